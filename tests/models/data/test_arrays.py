"""`.npz` files: the shapes people save, untouched pixels, and refusals that name the array."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_pictures import noise, shared

from models.data.loading import load
from models.data.reading import Wishes
from models.errors import DataError
from models.picture import read_picture


def _grey(count: int, side: int = 28) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.stack([noise(seed, width=side, height=side, channels=1)[..., 0] for seed in range(count)])


def test_arrays_of_the_exact_size_pass_untouched(tmp_path: Path) -> None:
    """Bit for bit, without a second copy."""
    x = _grey(6)
    np.savez(tmp_path / "a.npz", x=x, y=np.array([2, 10, 2, 10, 2, 10]))
    data = load(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(data.pixels[..., 0], x)
    assert (data.labels, data.classes.tolist(), data.names[1]) == (("2", "10"), [0, 1] * 3, "row 1")
    assert data.parts is None


@pytest.mark.parametrize(("size", "channels", "resize"), [(28, 3, "squash-bilinear-v1"), (40, 1, "squash-bilinear-v1"),
                                                         (28, 1, "crop-bilinear-v1")])
def test_other_sizes_are_as_serving_would_see_the_row(tmp_path: Path, size: int, channels: int, resize: str) -> None:
    """Resized, coloured or cropped rows equal `read_picture` of their PNG."""
    np.savez(tmp_path / "a.npz", x=_grey(4), y=np.array([0, 1, 0, 1]))
    data = load(str(tmp_path / "a.npz"), size=size, channels=channels, resize=resize)
    expected = [read_picture(data.png(row), size=size, channels=channels, resize=resize).pixels for row in range(4)]
    np.testing.assert_array_equal(data.pixels, np.stack(expected))


def test_the_official_split_and_names_of_classes(tmp_path: Path) -> None:
    """As keras.datasets gives them: y of shape (N, 1), and `labels` in their order."""
    np.savez(tmp_path / "a.npz", x_train=_grey(4), y_train=np.array([[0], [1], [0], [1]]), x_test=_grey(6)[4:],
             y_test=np.array([[0], [1]]), labels=np.array(["zebra", "猫", "unused"]))
    data = load(str(tmp_path / "a.npz"))
    assert data.labels == ("zebra", "猫")
    assert data.parts is not None
    assert data.parts.tolist() == [0, 0, 0, 0, 1, 1]
    assert data.names[-1] == "test 1"


def test_labels_may_be_texts(tmp_path: Path) -> None:
    """An array of texts is the labels themselves."""
    np.savez(tmp_path / "a.npz", x=_grey(4), y=np.array(["b", "a ", "b", "a"]))
    assert load(str(tmp_path / "a.npz")).labels == ("a", "b")


def test_a_conflict_leaves_the_source_as_it_is(tmp_path: Path) -> None:
    """Rows close up in a copy: the originals are still there for golden pictures."""
    x = _grey(6)
    x[1] = x[0]
    np.savez(tmp_path / "a.npz", x=x, y=np.array([0, 1, 0, 1, 0, 1]))
    data = load(str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(data.pixels[..., 0], x[2:])
    for row in range(4):
        np.testing.assert_array_equal(read_picture(data.png(row), size=28, channels=1, resize=data.resize).pixels,
                                      data.pixels[row])


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "float": ({"x": _grey(4) / 255, "y": np.zeros(4, int)}, r"x is float64; expected uint8 in 0\.\.255: multiply"),
    "shape": ({"x": _grey(4)[..., None].repeat(2, -1), "y": np.zeros(4, int)}, r"x has shape \(4, 28, 28, 2\)"),
    "channels first": ({"x": np.zeros((4, 3, 28, 28), np.uint8), "y": np.zeros(4, int)}, r"shape \(4, 3, 28, 28\)"),
    "lengths": ({"x": _grey(4), "y": np.zeros(5, int)}, r"y has shape \(5,\); expected \(4,\)"),
    "names": ({"images": _grey(4), "y": np.zeros(4, int)}, r"has images, y; expected x uint8"),
    "test only": ({"x_test": _grey(4), "y_test": np.zeros(4, int)}, r"has x_test, y_test; expected"),
    "both": ({"x": _grey(4), "y": np.zeros(4, int), "x_test": _grey(4), "y_test": np.zeros(4, int)}, "expected x"),
    "half": ({"x": _grey(4), "y": np.zeros(4)}, "y is float64; expected whole numbers or texts"),
    "too few labels": ({"x": _grey(4), "y": np.arange(4), "labels": np.array(["a", "b"])}, "from 0 to 3; labels has 2"),
    "labels twice": ({"x": _grey(4), "y": np.arange(4), "labels": np.array(["a", "a"])}, "expected texts, each once"),
    "pickle": ({"x": _grey(4), "y": np.array([None] * 4)}, r"cannot be read as \.npz"),
    "empty": ({"x": _grey(4)[:0], "y": np.zeros(0, int)}, r"x has shape \(0, 28, 28, 1\)"),
    "blank": ({"x": _grey(2), "y": np.array(["a", " "])}, "a row of y has no label"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_no_such_file_is_refused(tmp_path: Path, case: str) -> None:
    """Each refusal names the array, what it is, and what was expected."""
    arrays, expected = REFUSALS[case]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=expected):
        load(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04"])
def test_a_broken_file_is_one_sentence(tmp_path: Path, data: bytes) -> None:
    """Not a traceback."""
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        load(str(tmp_path / "a.npz"))


def test_a_file_that_unpacks_to_too_much_is_refused_unopened(tmp_path: Path) -> None:
    """A small archive of zeros does not fill the memory."""
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((3000, 28, 28), np.uint8), y=np.zeros(3000, int))
    with pytest.raises(DataError, match="unpacks to 2 MB; at most 1 MB"):
        load(str(tmp_path / "a.npz"), wishes=Wishes(max_memory_mb=1))


def test_fashion_mnist_is_ten_classes_of_a_thousand() -> None:
    """The real file, untouched."""
    data = load(str(shared("fashion-mnist-test.npz")))
    assert data.pixels.shape == (10_000, 28, 28, 1)
    assert set(data.counts().values()) == {1000}
    assert round(float(data.pixels.mean()), 1) == 73.1
