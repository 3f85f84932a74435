"""The split: no content on two sides, in proportion, the same everywhere, whatever the classes look like."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.data.labelled import Labelled
from models.data.splitting import Split, split
from models.errors import DataError


def _data(contents: list[tuple[int, int]], parts: list[int] | None = None) -> Labelled:
    """Rows of (content, class); pixels do not matter here."""
    count = 1 + max(label for _, label in contents)
    return Labelled(
        labels=tuple(f"class {label}" for label in range(count)),
        classes=np.array([label for _, label in contents], np.int64),
        pixels=np.zeros((len(contents), 8, 8, 1), np.uint8),
        names=tuple(f"row {row}" for row in range(len(contents))),
        digests=tuple(f"{content:064x}" for content, _ in contents),
        parts=None if parts is None else np.array(parts, np.int8),
        problems=(), source="test", resize="squash-bilinear-v1", entries=(), digest="",
    )


def _rows(one: Split) -> dict[str, list[int]]:
    return {"train": one.train.tolist(), "validation": one.validation.tolist(), "test": one.test.tolist()}


CONTENTS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 4)), min_size=2, max_size=120)


@st.composite
def _many(draw: st.DrawFn) -> tuple[Labelled, list[int | None]]:
    """Data in which every content has one class and every class has pictures; and likeness keys."""
    rows = draw(CONTENTS)
    label_of: dict[int, int] = {}
    contents = [(content, label_of.setdefault(content, label)) for content, label in rows]
    present = sorted({label for _, label in contents})
    contents = [(content, present.index(label)) for content, label in contents]
    keys = draw(st.lists(st.one_of(st.none(), st.integers(0, 8)), min_size=len(rows), max_size=len(rows)))
    return _data(contents), keys


@given(_many(), st.integers(0, 5))
@settings(deadline=None, max_examples=80)
def test_no_content_is_on_two_sides(made: tuple[Labelled, list[int | None]], seed: int) -> None:
    """Neither equal contents nor pictures that look alike; and every row is somewhere exactly once."""
    data, keys = made
    parts = _rows(split(data, seed=seed, alike=keys))
    assert sorted(row for rows in parts.values() for row in rows) == list(range(len(data)))
    for text in (data.digests, [row if key is None else f"key {key}" for row, key in enumerate(keys)]):
        sides = Counter(content for rows in parts.values() for content in {text[row] for row in rows})
        assert max(sides.values()) == 1


@given(_many(), st.integers(0, 5))
@settings(deadline=None, max_examples=80)
def test_every_class_is_trained_on(made: tuple[Labelled, list[int | None]], seed: int) -> None:
    """However small a class is, and however its pictures are tied to others."""
    data, keys = made
    train = split(data, seed=seed, alike=keys).train
    assert set(data.classes[train].tolist()) == set(range(len(data.labels)))


@given(st.lists(st.integers(3, 60), min_size=2, max_size=5), st.integers(0, 5))
@settings(deadline=None, max_examples=50)
def test_classes_are_in_proportion(sizes: list[int], seed: int) -> None:
    """Of different pictures, each class gives its share to within one, and at least one to each part."""
    labels = [label for label, size in enumerate(sizes) for _ in range(size)]
    data = _data(list(enumerate(labels)))
    one = split(data, seed=seed, validation=0.2, test=0.1)
    for label, size in enumerate(sizes):
        for rows, share in ((one.validation, 0.2), (one.test, 0.1)):
            count = int((data.classes[rows] == label).sum())
            assert count >= 1
            assert abs(count - max(1, size * share)) <= 1


@given(_many(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=80)
def test_the_split_hangs_on_content_alone(made: tuple[Labelled, list[int | None]], random: object) -> None:
    """Another order of the rows gives the same contents in each part."""
    data, _ = made
    order = list(range(len(data)))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = _data([(int(data.digests[row], 16), int(data.classes[row])) for row in order])

    def contents(one: Labelled) -> list[list[str]]:
        return [sorted({one.digests[row] for row in rows}) for rows in _rows(split(one, seed=3)).values()]

    assert contents(data) == contents(shuffled)


def test_the_split_is_the_same_on_every_machine() -> None:
    """Written down once: a change would move pictures of the test part into training."""
    data = _data([(content, content % 2) for content in range(20)])
    assert _rows(split(data, seed=7)) == EXPECTED


EXPECTED = {
    "train": [0, 1, 3, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16, 17, 18], "validation": [2, 13], "test": [4, 19],
}


def test_another_seed_is_another_split() -> None:
    """The seed decides."""
    data = _data([(content, content % 2) for content in range(60)])
    assert len({tuple(split(data, seed=seed).test) for seed in range(6)}) > 1


@pytest.mark.parametrize(("pictures", "expected"), [(2, (1, 0, 1)), (3, (1, 1, 1)), (4, (2, 1, 1)), (10, (8, 1, 1))])
def test_tiny_classes_are_trained_on_first(pictures: int, expected: tuple[int, int, int]) -> None:
    """One to train on, then one to be judged by, then one to choose by; what is missing is said."""
    data = _data([(100 * label + number, label) for label in range(2) for number in range(pictures)])
    one = split(data, seed=0)
    assert tuple(len(rows) // 2 for rows in (one.train, one.validation, one.test)) == expected
    said = [f"class {label}: too few different pictures (2) for a validation part" for label in range(2)]
    assert list(one.notes) == (said if pictures == 2 else [])


def test_an_official_test_part_stays_as_it_is() -> None:
    """All of it and nothing else; a copy of one of its pictures is not trained on, which is said."""
    contents = [(content, content % 2) for content in range(20)] + [(0, 0)]
    data = _data(contents, parts=[1] * 4 + [0] * 17)
    one = split(data, seed=0, test=0.5)
    assert one.test.tolist() == [0, 1, 2, 3]
    assert 20 not in {*one.train.tolist(), *one.validation.tolist()}
    assert one.notes == (
        "1 pictures are left out because the official test or validation part has them, too",)


def test_an_official_validation_part_stays_as_it_is() -> None:
    """Three official parts: nothing is dealt."""
    data = _data([(content, content % 2) for content in range(12)], parts=[0] * 6 + [2] * 4 + [1] * 2)
    assert _rows(split(data, seed=0)) == {
        "train": [0, 1, 2, 3, 4, 5], "validation": [6, 7, 8, 9], "test": [10, 11]}


def test_a_class_that_is_only_in_the_test_part_is_refused() -> None:
    """It could not be learnt."""
    data = _data([(content, content // 5) for content in range(10)], parts=[0] * 5 + [1] * 5)
    with pytest.raises(DataError, match="nothing to train on in 'class 1'"):
        split(data, seed=0)


def test_no_share_is_no_part() -> None:
    """Zero is allowed for either."""
    data = _data([(content, content % 2) for content in range(20)])
    one = split(data, seed=0, validation=0, test=0)
    assert (len(one.train), len(one.validation), len(one.test)) == (20, 0, 0)


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (1.0, 0.0), (float("nan"), 0.1)])
def test_shares_that_cannot_be_are_refused(shares: tuple[float, float]) -> None:
    """Something must be left to train on."""
    data = _data([(content, content % 2) for content in range(20)])
    with pytest.raises(DataError, match=r"expected shares from 0, together to 0\.8"):
        split(data, seed=0, validation=shares[0], test=shares[1])
