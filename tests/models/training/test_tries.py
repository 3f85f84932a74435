"""A training within its time: begun again calmer where it comes apart, and from other starts where time is left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import digits
from models.data.loading import load
from models.errors import ModelError
from models.training.choice import Choice, builder
from models.training.material import Material
from models.training.recipe import Recipe
from models.training.tries import MOST, Try, Trying
from models.training.unfinished import Unfinished

pytestmark = pytest.mark.usefixtures("keras")


@pytest.fixture
def material(tmp_path: Path) -> Material:
    """Sixty-four digits in two classes, odd and even."""
    data = digits.load()
    np.savez(tmp_path / "d.npz", x=data.pixels[:64, ..., 0], y=data.classes[:64] % 2)
    labelled, rows = load(str(tmp_path / "d.npz")), np.arange(64)
    return Material(labelled, rows[:48], rows[48:56], labelled, rows[56:], ())


def _choice(material: Material, **recipe: float) -> Choice:
    numbers = Recipe(epochs=3, batch_size=16, small=0.0, optimizer="adamw", peak=1e-3, weight_decay=0.02)
    return Choice(architecture="dense", build=builder("dense", material), precision="float32", why="",
                  recipe=replace(numbers, **recipe))  # type: ignore[arg-type]


def test_a_hopeless_rate_is_tried_calmer_and_then_given_up(material: Material, tmp_path: Path) -> None:
    """Three rates, each a quarter of the one before; what was spent is noted, so that --resume gets no more time."""
    choice = _choice(material, peak=1e25)
    unfinished = Unfinished(tmp_path / "work", "k")
    said: list[str] = []
    with pytest.raises(ModelError, match="dense cannot be trained on these pictures"):
        Trying(material, unfinished, said.append).run(choice, within_s=1e9, spent_s=60.0)
    kept = unfinished.read()
    assert kept is not None
    assert kept[0]["recipe"].peak == choice.recipe.peak / 16
    assert kept[1] > 60.0
    assert sum("beginning again" in line for line in said) == 2


def test_time_that_is_left_goes_to_other_starts(material: Material, tmp_path: Path) -> None:
    """Other seeds, and validation says which is kept; the card has them all. Stopped at the very end and gone on with,
    no epoch is made again."""
    trying, said = Trying(material, Unfinished(tmp_path / "work", "k"), lambda _line: None), list[str]()
    best = trying.run(_choice(material), within_s=1e9, spent_s=0.0)
    tries = best.choice.tries
    assert [one["seed"] for one in tries] == [1, 2, 3][:MOST]
    assert len({one["log_loss"] for one in tries}) == MOST
    kept = min(tries, key=lambda one: one["log_loss"])
    assert (best.choice.recipe.seed, round(best.log_loss, 5)) == (kept["seed"], kept["log_loss"])
    again = replace(trying, say=said.append).run(_choice(material), within_s=1e9, spent_s=0.0)
    assert not [line for line in said if line.startswith("epoch ")]
    assert again.choice.tries == tries
    assert [layer.name for layer in again.model.layers] == [layer.name for layer in best.model.layers]
    assert not any(layer.name.endswith(tuple("0123456789")) for layer in best.model.layers), "counted on"
    for one, two in zip(best.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_without_time_left_there_is_one_start(material: Material, tmp_path: Path) -> None:
    """And nothing is said of others."""
    best = Trying(material, Unfinished(tmp_path / "work", "k"), lambda _line: None).run(
        _choice(material), within_s=0.001, spent_s=0.0)
    assert best.choice.tries == ()
    assert len(best.history) < 3


def test_a_later_start_that_comes_apart_costs_nothing(material: Material, tmp_path: Path,
                                                      monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before it is kept, and it is said."""
    said: list[str] = []
    trying = Trying(material, Unfinished(tmp_path / "work", "k"), said.append)
    first = trying.run(_choice(material), within_s=0.001, spent_s=0.0)
    monkeypatch.setattr(Trying, "_first", lambda *_args, **_named: replace(
        first, choice=_choice(material, peak=1e25)))
    best: Try = trying.run(_choice(material), within_s=1e9, spent_s=0.0)
    assert best.model is first.model
    assert said[-1].startswith("start 2 came apart")
