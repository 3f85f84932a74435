"""The loop with a real network: it learns, it goes on where it was stopped, it says when it comes apart."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import digits
from models.errors import ModelError
from models.training.checkpoint import Checkpoint
from models.training.loop import DivergedError, Epoch, Training, predict
from models.training.part import Part
from models.training.recipe import Recipe

pytestmark = pytest.mark.usefixtures("keras")

RECIPE = Recipe(epochs=4, batch_size=32, small=0.0, peak=0.1)


def build(size: int) -> Any:
    """Three blocks on patches: a second an epoch would be too long."""
    from models.architectures import residual

    return residual.build(size=size, channels=1, classes=10, patch=8, widths=(8, 16))


@pytest.fixture(scope="module")
def part() -> Part:
    """Six hundred digits."""
    data = digits.load()
    return Part(data.pixels[:600], data.classes[:600])


def test_it_learns(part: Part) -> None:
    """Six epochs over digits are far above chance, and every epoch is in the history."""
    training = Training(build, part, replace(RECIPE, epochs=6), validation=part)
    answers = predict(training.run(), part.pixels)
    assert (answers.argmax(axis=1) == part.classes).mean() > 0.8
    assert [epoch.number for epoch in training.history] == list(range(1, 7))
    assert answers.sum(axis=1) == pytest.approx(np.ones(600), abs=1e-5)


def test_a_small_class_counts_more_where_the_recipe_says_so() -> None:
    """Two classes that overlap, one of them twenty times as large: with balance the small one is found more often."""
    random = np.random.default_rng(3)
    classes = (np.arange(630) % 21 == 0).astype(np.int64)
    levels = random.normal(np.where(classes, 150, 110), 25)[:, None, None, None]
    part = Part(np.clip(levels + random.normal(0, 5, (630, 8, 8, 1)), 0, 255).astype(np.uint8), classes)

    def dense(size: int) -> Any:
        from models.architectures import dense

        return dense.build(size=size, channels=1, classes=2)

    found = []
    for balance in (0.0, 0.5, 1.0):
        recipe = replace(RECIPE, epochs=8, optimizer="adamw", peak=3e-3, shift=0.0, balance=balance)
        answers = predict(Training(dense, part, recipe).run(), part.pixels).argmax(axis=1)
        found.append(int(answers[classes == 1].sum()))
    assert found[0] < found[1] < found[2]


def test_a_stopped_training_goes_on_as_if_it_had_not_been(part: Part, tmp_path: Path) -> None:
    """Stopped after the second epoch and gone on with, the weights are those of an uninterrupted one."""
    whole = Training(build, part, RECIPE).run().get_weights()

    def stop(epoch: Epoch, _left: float) -> None:
        if epoch.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Training(build, part, RECIPE, checkpoint=Checkpoint(tmp_path / "c", "k"), say=stop).run()
    second = Training(build, part, RECIPE, checkpoint=Checkpoint(tmp_path / "c", "k"))
    resumed = second.run().get_weights()
    assert len(second.history) == 4
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_another_trainings_checkpoint_is_refused(part: Part, tmp_path: Path) -> None:
    """So is a damaged one: nothing is gone on with by mistake."""
    Training(build, part, replace(RECIPE, epochs=1), checkpoint=Checkpoint(tmp_path / "c", "k")).run()
    with pytest.raises(ModelError, match="another training"):
        Training(build, part, RECIPE, checkpoint=Checkpoint(tmp_path / "c", "other")).run()
    (tmp_path / "c" / "progress.json").write_text(json.dumps({"key": "k"}), encoding="utf-8")
    with pytest.raises(ModelError, match="is damaged"):
        Training(build, part, RECIPE, checkpoint=Checkpoint(tmp_path / "c", "k")).run()


def test_a_checkpoint_left_between_two_renames_is_found(part: Part, tmp_path: Path) -> None:
    """A process that died there left the old one aside."""
    Training(build, part, replace(RECIPE, epochs=1), checkpoint=Checkpoint(tmp_path / "c", "k")).run()
    (tmp_path / "c").rename(tmp_path / "c.old")
    again = Training(build, part, RECIPE, checkpoint=Checkpoint(tmp_path / "c", "k"))
    again.run()
    assert len(again.history) >= 1
    assert again.history[0].number == 1


def test_a_training_that_comes_apart_says_so(part: Part) -> None:
    """A loss that is no number ends it."""
    with pytest.raises(DivergedError, match="the loss is"):
        Training(build, part, replace(RECIPE, peak=1e25, optimizer="adamw")).run()


def test_small_pictures_first_end_at_the_full_side() -> None:
    """A network that ends in an average is trained on smaller pictures for a part of the cycle."""
    from models.architectures import resnet_small

    data = digits.load()
    small = Part(data.pixels[:64], data.classes[:64])
    training = Training(lambda size: resnet_small.build(size=size, channels=1, classes=10, depth=8, width=4), small,
                        Recipe(epochs=2, batch_size=32, small=0.5, small_side=0.5))
    model = training.run()
    assert [epoch.side for epoch in training.history] == [16, 32]
    assert model.input_shape == (None, 32, 32, 1)


def test_a_network_without_batch_normalization_gets_a_recipe_it_bears() -> None:
    """The tutorial's net blows up at the rates of the residual ones."""
    from models.architectures import cnn

    model = cnn.build(size=32, channels=1, classes=10)
    assert Recipe().suited(model).optimizer == "adamw"
    assert Recipe().suited(build(32)) == Recipe()
