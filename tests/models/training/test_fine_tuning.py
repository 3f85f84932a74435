"""Going on from weights of a network of keras.applications."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import digits
from models.data.loading import load
from models.training.choice import Choice, builder
from models.training.fine_tuning import FineTuning
from models.training.material import Material
from models.training.recipe import Recipe
from models.training.unfinished import Unfinished

pytestmark = pytest.mark.usefixtures("keras")


def test_the_head_learns_first_then_everything(tmp_path: Path) -> None:
    """The features of the file are what it begins with; in the second stage they move, batch norm's statistics not."""
    import keras

    data = digits.load()
    np.savez(tmp_path / "d.npz", x=np.repeat(data.pixels[:64], 3, axis=3), y=data.classes[:64] % 2)
    source = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(32, 32, 3))
    source.save_weights(tmp_path / "own.weights.h5")
    labelled = load(str(tmp_path / "d.npz"))
    rows = np.arange(64)
    material = Material(labelled, rows[:48], rows[48:56], labelled, rows[56:], ())
    build = builder("mobilenetv2", material, tmp_path / "own.weights.h5")
    begun = {weight.path: weight.numpy() for weight in build(32).weights}
    choice = Choice(architecture="mobilenetv2", build=build, precision="float32", why="", is_fine_tuned=True,
                    recipe=Recipe(epochs=2, batch_size=16, peak=0.2))
    seen: list[int] = []
    stages = FineTuning(choice, material, Unfinished(tmp_path / "work", "k"), 1e9,
                        lambda epoch, _left: seen.append(epoch.number))
    model, history = stages.run()
    ended = {weight.path: weight.numpy() for weight in model.weights}
    moved = {path for path in begun if not np.allclose(begun[path], ended[path])}
    assert seen == [1, 2, 1, 2]
    assert len(history) == 4
    assert any("conv" in path for path in moved)
    assert not any("moving" in path for path in moved)
