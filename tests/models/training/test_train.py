"""A training that comes apart: begun again calmer, given up in one sentence, and never beyond its budget."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models import digits
from models.data.loading import load
from models.errors import ModelError
from models.training.choice import Choice, builder
from models.training.material import Material
from models.training.recipe import Recipe
from models.training.train import _train
from models.training.unfinished import Unfinished

pytestmark = pytest.mark.usefixtures("keras")


def test_a_hopeless_rate_is_tried_calmer_and_then_given_up(tmp_path: Path) -> None:
    """Three rates, each a quarter of the one before; what was spent is noted, so that --resume gets no more time."""
    data = digits.load()
    np.savez(tmp_path / "d.npz", x=data.pixels[:64, ..., 0], y=data.classes[:64] % 2)
    labelled, rows = load(str(tmp_path / "d.npz")), np.arange(64)
    material = Material(labelled, rows[:48], rows[48:56], labelled, rows[56:], ())
    recipe = Recipe(epochs=3, batch_size=16, small=0.0, peak=1e25, optimizer="adamw")
    choice = Choice(architecture="residual", build=builder("residual", material), recipe=recipe, precision="float32",
                    why="")
    unfinished = Unfinished(tmp_path / "work", "k")
    said: list[str] = []
    with pytest.raises(ModelError, match="residual cannot be trained on these pictures"):
        _train(choice, material, unfinished, within_s=1e9, spent_s=60.0, say=said.append)
    kept = unfinished.read()
    assert kept is not None
    assert kept[0]["recipe"].peak == recipe.peak / 16
    assert kept[1] > 60.0
    assert sum("beginning again" in line for line in said) == 2
