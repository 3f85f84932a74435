"""Training pictures made from training pictures."""

from __future__ import annotations

import numpy as np

from models.training.augmentation import augment, smaller
from models.training.recipe import Recipe

_STILL = Recipe(shift=0.0, flip=False, erase=0.0)


def _pictures(count: int = 200, size: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def test_the_argument_stays_as_it_is() -> None:
    """Whatever is changed is a copy."""
    pictures = _pictures()
    before = pictures.copy()
    augment(pictures, Recipe(shift=0.25, flip=True, erase=0.5), np.random.default_rng(1))
    assert (pictures == before).all()


def test_a_shifted_picture_is_the_same_inside() -> None:
    """Each picture is its original moved by at most the share of the side, in both directions."""
    pictures = _pictures(40)
    moved = augment(pictures, Recipe(shift=1 / 8, flip=False), np.random.default_rng(1))
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    places = {next((down, right) for down in range(5) for right in range(5)
                   if (padded[row, down:down + 16, right:right + 16] == moved[row]).all()) for row in range(40)}
    assert len(places) > 10


def test_about_half_are_mirrored() -> None:
    """Left to right, never upside down."""
    pictures = _pictures()
    changed = augment(pictures, Recipe(shift=0.0, flip=True), np.random.default_rng(1))
    mirrored = [bool((changed[row] == pictures[row, :, ::-1]).all()) for row in range(200)]
    same = [bool((changed[row] == pictures[row]).all()) for row in range(200)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 70 < sum(mirrored) < 130


def test_an_erased_square_has_one_colour() -> None:
    """The rest is untouched."""
    pictures = _pictures(50)
    changed = augment(pictures, Recipe(shift=0.0, erase=0.5), np.random.default_rng(1))
    for before, after in zip(pictures, changed, strict=True):
        different = (before != after).any(axis=2)
        assert different.sum() <= 64
        assert len(np.unique(after[different], axis=0)) <= 1


def test_the_same_seed_gives_the_same_pictures() -> None:
    """A training that goes on sees what it would have seen."""
    recipe = Recipe(flip=True, erase=0.25)
    one, two = (augment(_pictures(), recipe, np.random.default_rng((1, 7))) for _ in range(2))
    assert (one == two).all()


def test_smaller_pictures_keep_their_mean() -> None:
    """Antialiased, so that nothing is left out; grey ones keep their one channel."""
    pictures = _pictures(3, 32, 1)
    half = smaller(pictures, 16)
    assert half.shape == (3, 16, 16, 1)
    assert abs(float(half.mean()) - float(pictures.mean())) < 1
    assert smaller(pictures, 32) is pictures


def test_nothing_asked_for_changes_nothing() -> None:
    """Without shift, flip and erasing the pictures are as they were."""
    assert (augment(_pictures(), _STILL, np.random.default_rng(1)) == _pictures()).all()
