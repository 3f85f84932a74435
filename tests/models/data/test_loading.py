"""`load`: sources to arrays, defaults from the data, and one sentence for what cannot be trained on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_pictures import class_folders, noise, png, write

from models.data.loading import load
from models.data.reading import Wishes
from models.errors import DataError
from models.picture import read_picture


def _kinds(data_problems: object) -> list[tuple[str, str]]:
    return [(problem.name, problem.kind) for problem in data_problems]  # type: ignore[attr-defined]


def test_pixels_are_what_serving_would_see(tmp_path: Path) -> None:
    """Every row equals `read_picture` of its file, in the order of the names."""
    class_folders(tmp_path, "cat", "dog", size=50)
    data = load(str(tmp_path), size=24, channels=3, resize="crop-bilinear-v1")
    for name, pixels in zip(data.names, data.pixels, strict=True):
        expected = read_picture((tmp_path / name).read_bytes(), size=24, channels=3, resize="crop-bilinear-v1").pixels
        np.testing.assert_array_equal(pixels, expected)
    assert (data.labels, data.classes.tolist()) == (("cat", "dog"), [0] * 4 + [1] * 4)
    assert data.counts() == {"cat": 4, "dog": 4}


def test_a_picture_from_png_bytes_is_the_row_again(tmp_path: Path) -> None:
    """Golden pictures are made of `png`: decoding it gives the row's pixels."""
    class_folders(tmp_path, "cat", "dog", size=50)
    data = load(str(tmp_path), size=24)
    again = read_picture(data.png(5), size=24, channels=data.channels, resize=data.resize).pixels
    np.testing.assert_array_equal(again, data.pixels[5])


@pytest.mark.parametrize(("width", "height", "channels", "expected"), [
    (28, 28, 1, (28, 28, 1)), (32, 32, 3, (32, 32, 3)), (40, 30, 3, (32, 32, 3)), (500, 333, 3, (224, 224, 3)),
    (100, 130, 1, (128, 128, 1)), (97, 97, 3, (128, 128, 3)), (5, 5, 3, (32, 32, 3)),
])
def test_size_and_channels_come_from_the_data(
    tmp_path: Path, width: int, height: int, channels: int, expected: tuple[int, ...]
) -> None:
    """Small squares keep their size; others get the next usual one above their shorter side; grey stays grey."""
    for index in range(4):
        write(tmp_path / "ab"[index % 2] / f"{index}.png", index, width=width, height=height, channels=channels)
    assert load(str(tmp_path)).pixels.shape[1:] == expected


def test_what_cannot_be_read_is_named_and_left_out(tmp_path: Path) -> None:
    """Broken files cost their own row only; what systems leave in folders costs no word."""
    class_folders(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    (tmp_path / "dog" / "empty.png").write_bytes(b"")
    for hidden in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png"):
        (tmp_path / "dog" / hidden).write_bytes(b"x")
    data = load(str(tmp_path))
    assert len(data) == 8
    assert _kinds(data.problems) == [("cat/broken.jpg", "unreadable"), ("dog/empty.png", "unreadable")]


def test_the_same_content_with_two_labels_is_decided_by_majority(tmp_path: Path) -> None:
    """Two against one keeps the two; one against one keeps none; both are said."""
    class_folders(tmp_path, "cat", "dog")
    for place in ("cat/m1", "cat/m2", "dog/m3", "cat/t1", "dog/t2"):
        write(tmp_path / f"{place}.png", 77 if "m" in place else 78)
    data = load(str(tmp_path))
    assert sorted(set(data.names) & {"cat/m1.png", "cat/m2.png", "dog/m3.png", "cat/t1.png", "dog/t2.png"}) == [
        "cat/m1.png", "cat/m2.png"]
    assert [str(problem) for problem in data.problems] == [
        "cat/m1.png: the same content as cat/m2.png, dog/m3.png, labelled cat (2), dog (1); only cat is kept",
        "cat/t1.png: the same content as dog/t2.png, labelled cat (1), dog (1); all are left out",
    ]


def test_rows_close_up_when_some_are_left_out(tmp_path: Path) -> None:
    """After unreadable and conflicting rows, pixels still belong to their names."""
    class_folders(tmp_path, "cat", "dog")
    (tmp_path / "cat" / "00.png").write_bytes(b"no")
    write(tmp_path / "cat" / "01.png", 5)
    write(tmp_path / "dog" / "01.png", 5)
    data = load(str(tmp_path), size=32)
    for name, pixels in zip(data.names, data.pixels, strict=True):
        expected = read_picture((tmp_path / name).read_bytes(), size=32, channels=3, resize=data.resize).pixels
        np.testing.assert_array_equal(pixels, expected)
    assert len(data) == 8


def test_the_digest_says_what_the_data_are(tmp_path: Path) -> None:
    """Equal for the same pictures under other names; another for another picture, label, size or policy."""
    one = load(str(class_folders(tmp_path / "one", "cat", "dog")))
    (tmp_path / "one").rename(tmp_path / "two")
    (tmp_path / "two" / "cat" / "0.png").rename(tmp_path / "two" / "cat" / "z.png")
    same = load(str(tmp_path / "two"))
    others = [load(str(tmp_path / "two"), size=24), load(str(tmp_path / "two"), resize="crop-bilinear-v1")]
    write(tmp_path / "two" / "dog" / "new.png", 99)
    others.append(load(str(tmp_path / "two")))
    (tmp_path / "two" / "dog" / "new.png").rename(tmp_path / "two" / "cat" / "new.png")
    others.append(load(str(tmp_path / "two")))
    assert one.digest == same.digest
    assert len({one.digest, *(other.digest for other in others)}) == 5


def test_progress_reaches_the_end(tmp_path: Path) -> None:
    """The last call says that all are done."""
    calls: list[tuple[int, int]] = []
    load(str(class_folders(tmp_path, "a", "b")), progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (8, 8)


def test_a_second_source_is_the_test_part(tmp_path: Path) -> None:
    """Train and test in two files, as Fashion-MNIST has them."""
    for name, seed in (("train", 0), ("test", 10)):
        np.savez(tmp_path / f"{name}.npz", x=np.stack([noise(seed + i, width=28, height=28)[..., 0] for i in range(6)]),
                 y=np.array([0, 1, 0, 1, 0, 1]))
    data = load(str(tmp_path / "train.npz"), test_source=str(tmp_path / "test.npz"))
    assert data.parts is not None
    assert data.parts.tolist() == [0] * 6 + [1] * 6
    assert data.pixels.shape == (12, 28, 28, 1)


def test_a_test_source_of_other_classes_is_refused(tmp_path: Path) -> None:
    """A class that was never trained on cannot be judged."""
    one, two = class_folders(tmp_path / "one", "a", "b"), class_folders(tmp_path / "two", "a", "c")
    with pytest.raises(DataError, match=r"two: has classes that .*one has not: c\.$"):
        load(str(one), test_source=str(two))


REFUSALS: dict[str, tuple[dict[str, int | None], str]] = {
    "nothing": ({}, r"there is no labelled picture in it; expected a folder for each class"),
    "flat": ({"a.png": 1, "b.png": 2}, r"files in no class folder are left out: 2 \(a\.png, b\.png\)"),
    "one class": ({"cat/a.png": 1, "cat/b.png": 2}, r"has one class, 'cat'; expected at least two"),
    "one picture": ({"cat/a.png": 1, "cat/b.png": 2, "犬/a.png": 3}, r"only one picture in '犬'; a class needs"),
    "unreadable": ({"cat/a.png": None, "dog/b.png": None}, r"none of 2 pictures can be used; the first: cat/a"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_be_trained_on_is_one_sentence(tmp_path: Path, case: str) -> None:
    """Each refusal names the source and what is wrong with it."""
    files, expected = REFUSALS[case]
    for name, seed in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"text" if seed is None else png(seed))
    with pytest.raises(DataError, match=expected) as caught:
        load(str(tmp_path))
    assert str(caught.value).startswith(f"{tmp_path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("source", "expected"), [
    ("nowhere", "there is no such file or folder"), ("a\0b", "cannot be looked at|no such file"),
    ("x" * 5000, "cannot be looked at|no such file"), ("labels.xlsx", r"expected a folder, or a file that ends"),
])
def test_a_source_that_is_none_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, expected: str
) -> None:
    """Missing, impossible and unknown files."""
    monkeypatch.chdir(tmp_path)
    Path("labels.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=expected):
        load(source)


@pytest.mark.parametrize(("wrong", "expected"), [
    ({"size": 4}, "size is 4; expected 8 to 1024"), ({"channels": 2}, "channels is 2; expected 1"),
    ({"resize": "fit"}, "resize is 'fit'; expected squash"),
])
def test_wrong_wishes_are_refused(tmp_path: Path, wrong: dict[str, object], expected: str) -> None:
    """A wrong argument is named with what is possible."""
    class_folders(tmp_path, "a", "b")
    with pytest.raises(DataError, match=expected):
        load(str(tmp_path), **wrong)  # type: ignore[arg-type]


def test_the_limit_of_pixels_may_be_raised(tmp_path: Path) -> None:
    """A picture above it is left out and says which option lifts it."""
    class_folders(tmp_path, "a", "b", size=32)
    write(tmp_path / "a" / "large.png", 9, width=60, height=50)
    data = load(str(tmp_path), wishes=Wishes(max_image_megapixels=0.002))
    assert [str(problem) for problem in data.problems] == [
        "a/large.png: too many pixels: 3,000, the limit is 2,000 (--max-image-megapixels)"]
    assert len(load(str(tmp_path))) == 9


def test_more_than_fits_into_memory_is_refused_before_decoding(tmp_path: Path) -> None:
    """The bound and the remedy are said; a cache folder lifts it."""
    class_folders(tmp_path / "pictures", "a", "b")
    wishes = Wishes(max_memory_mb=1)
    with pytest.raises(DataError, match=r"8 pictures of 224x224x3 need 1 MB; at most 1 MB .* name a cache folder"):
        load(str(tmp_path / "pictures"), size=224, wishes=wishes)
    data = load(str(tmp_path / "pictures"), size=224, wishes=wishes, cache=tmp_path / "cache")
    assert isinstance(data.pixels, np.memmap)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["asset", "assets", "frames", "regions", "tags", "name", "path", "size", "data", "image",
                         "annotations", "result", "value", "choices", "type", "boundingBox", "x1", "id"]), inner,
        max_size=4), max_leaves=25)


def _alone(factory: pytest.TempPathFactory) -> Path:
    """One folder without pictures for all examples, so that none is searched for far and wide."""
    folder = factory.getbasetemp() / "any source"
    folder.mkdir(exist_ok=True)
    return folder


@given(JSON)
@settings(deadline=None, max_examples=150)
def test_any_json_is_pictures_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, content: object) -> None:
    """No shape of a file of labels is a traceback."""
    path = _alone(tmp_path_factory) / "any.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match=r"any\.json"):
        load(str(path))


@given(st.text(alphabet=st.sampled_from('image,label;"\n\r\t.png猫\0 1-'), max_size=60))
@settings(deadline=None, max_examples=100)
def test_any_text_is_a_table_or_one_sentence(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """The same for tables."""
    path = _alone(tmp_path_factory) / "any.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=r"any\.csv"):
        load(str(path))
