"""Near-duplicates: one problem a group, one side of the split, and no group of plain pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image
from training_pictures import write

from models.data.likeness import likeness_keys
from models.data.loading import load
from models.data.splitting import split
from models.photos import photo_pieces


def test_pictures_saved_again_stay_on_one_side(tmp_path: Path) -> None:
    """Each piece of a photo as PNG and as JPEG: found, said, and together in every split."""
    for number, (name, picture) in enumerate(photo_pieces().items()):
        folder = tmp_path / "ab"[number % 2]
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(picture)
        file = io.BytesIO()
        Image.open(io.BytesIO(picture)).save(file, "JPEG", quality=90)
        (folder / f"{name}.jpg").write_bytes(file.getvalue())
    data = load(str(tmp_path), size=64)
    keys, problems = likeness_keys(data)
    pairs = [(row, row + 1) for row in range(0, len(data), 2)]
    alike = [pair for pair in pairs if keys[pair[0]] is not None and keys[pair[0]] == keys[pair[1]]]
    assert len(alike) >= 10
    assert len(problems) == len(alike)
    assert problems[0].kind == "near-duplicate"
    for seed in range(4):
        one = split(data, seed=seed, validation=0.3, test=0.3, alike=keys)
        for part in (one.train, one.validation, one.test):
            assert all((first in part) == (second in part) for first, second in alike)


def test_labels_that_differ_are_said(tmp_path: Path) -> None:
    """Two looks-alike of two classes are worth a look; equal contents are reported elsewhere."""
    rows = np.arange(32, dtype=np.uint8)
    for place, shift in (("cat/1", 0), ("dog/1", 1)):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.add.outer(rows * 3, rows * 4) + np.uint8(shift)).save(tmp_path / f"{place}.png")
    for index in range(4):
        write(tmp_path / ("cat", "dog")[index % 2] / f"n{index}.png", index, width=32, height=32, channels=1)
    write(tmp_path / "cat" / "copy.png", 0, width=32, height=32, channels=1)
    _, problems = likeness_keys(load(str(tmp_path)))
    assert [str(problem) for problem in problems] == ["cat/1.png: looks like dog/1.png, labelled cat, dog"]


def test_a_key_that_many_share_says_nothing(tmp_path: Path) -> None:
    """Thirty plain pictures are no thirty copies: they may be on different sides."""
    x = np.arange(60, dtype=np.uint8).reshape(60, 1, 1).repeat(28, 1).repeat(28, 2)
    np.savez(tmp_path / "a.npz", x=x, y=np.arange(60) % 2)
    keys, problems = likeness_keys(load(str(tmp_path / "a.npz")))
    assert (set(keys), problems) == ({None}, ())
