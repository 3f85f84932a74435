"""Making a reference, placing new pictures in it, and what its file may be."""

from __future__ import annotations

import io
import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import LABELS, NUMBERS, a_reference, embed, some_pictures

from models.errors import DataError, ModelError
from models.reference.clusters import clusters_of
from models.reference.making import Pictures, balanced, make_reference
from models.reference.placing import Placed, Placing
from models.reference.reference import Reference, from_bytes
from models.reference.tsne import map_of

pytest.importorskip("openTSNE", reason="openTSNE is not installed: only the serving requirements are")


@pytest.fixture(scope="module")
def reference() -> Reference:
    """Made once."""
    return a_reference()


@pytest.fixture(scope="module")
def placing(reference: Reference) -> Placing:
    """Ready to be searched."""
    return Placing(reference)


def rows_of(placed: Placed, rows: Any = slice(None)) -> list[tuple[Any, ...]]:
    """Everything that is said of some rows, to the bit."""
    return [(*place, nearest, outlier) for place, nearest, outlier in
            zip(placed.places[rows].tolist(), placed.nearest[rows].tolist(), placed.outlier[rows].tolist(),
                strict=True)]


# ---- making ------------------------------------------------------------------------------------------------------


def test_the_same_pictures_and_seed_make_the_same_file(reference: Reference) -> None:
    """To the byte: the map has one thread and one seed."""
    assert a_reference().to_bytes() == reference.to_bytes()


def test_another_seed_is_another_map(reference: Reference) -> None:
    """Of other pictures in another order."""
    assert a_reference(seed=2, count=60).to_bytes() != a_reference(seed=1, count=60).to_bytes()
    assert len(reference) == 120


def test_the_map_keeps_heaps_apart(reference: Reference) -> None:
    """Nine of ten pictures have a picture of their own class as their neighbour on the map."""
    apart = ((reference.places[:, None] - reference.places[None]) ** 2).sum(axis=2) + np.eye(len(reference)) * 1e9
    assert (reference.classes[apart.argmin(axis=1)] == reference.classes).mean() > 0.9


@given(counts=st.lists(st.integers(1, 30), min_size=2, max_size=5), count=st.integers(1, 80), seed=st.integers(0, 9))
def test_a_choice_is_balanced(counts: list[int], count: int, seed: int) -> None:
    """No class has two more than another that has some left; it is the same whatever the order of the pictures."""
    classes = np.repeat(np.arange(len(counts)), counts)
    digests = [str(row) for row in range(len(classes))]

    def chosen(order: Any) -> list[str]:
        names = [digests[row] for row in order]
        pictures = Pictures(np.zeros((len(classes), 1, 1, 1), np.uint8), order, classes[order], names, names)
        return [names[row] for row in balanced(pictures, count, seed=seed)]

    first = chosen(np.arange(len(classes)))
    taken = np.bincount(classes[[int(name) for name in first]], minlength=len(counts))
    left = [number for number, (have, had) in enumerate(zip(counts, taken, strict=True)) if have > had]
    assert len(first) == min(count, len(classes))
    assert all(taken[number] >= taken.max() - 1 for number in left)
    assert chosen(np.arange(len(classes))[::-1]) == first


def test_copies_of_a_picture_have_one_place() -> None:
    """Else a copy would land on either."""
    once = some_pictures(20)
    twice = once.taken(np.tile(np.arange(60), 2))
    digests = [str(row) for row in range(120)]
    made = make_reference(Pictures(twice.pixels, twice.rows, twice.classes, twice.names, digests), None, LABELS, embed,
                          numbers=NUMBERS)
    assert len(made) == 60


def test_the_time_is_kept() -> None:
    """A slow network: the pictures there was time for, and a map as far as it came."""

    def slow(pixels: Any) -> Any:
        time.sleep(0.15)
        return embed(pixels)

    many = some_pictures(700)
    started = time.monotonic()
    made = make_reference(many, None, LABELS, slow, numbers=NUMBERS, within_s=0.5)
    assert 256 <= len(made) < 2100
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("count", [4, 5, 15, 16, 17, 40])
def test_few_pictures_make_a_map_too(count: int) -> None:
    """Of four it is their principal components; neighbours are as many as there are."""
    made = make_reference(some_pictures(), None, LABELS, embed, numbers=NUMBERS, count=count)
    placed = Placing(made).place(embed(some_pictures(seed=5).pixels))
    assert len(made) == count
    assert np.isfinite(placed.places).all()
    assert placed.nearest.max() < count


def test_pictures_that_are_all_alike_are_refused() -> None:
    """One is no map; and so are many that a broken network sees as one."""
    grey = Pictures(np.zeros((9, 4, 4, 1), np.uint8), np.arange(9), np.arange(9) % 3, ["a"] * 9, list("abcdefghi"))
    with pytest.raises(DataError, match="needs 4 different pictures, received 1"):
        make_reference(grey, None, LABELS, embed, numbers=NUMBERS)
    with pytest.raises(ModelError, match="all alike"):
        map_of(np.ones((30, 5), np.int16), seed=1, within_s=1)


def test_embeddings_that_are_too_long_are_refused() -> None:
    """With both numbers."""
    with pytest.raises(DataError, match=r"have 5,000 numbers; a reference can have 4,096"):
        make_reference(some_pictures(), None, LABELS, embed, numbers=5000)


# ---- clusters ----------------------------------------------------------------------------------------------------


def test_clusters_are_called_by_what_is_most_of_them() -> None:
    """Two of one label have numbers, a mixed one has both names, and none the name of another."""
    random = np.random.default_rng(1)
    centres = np.array([[0, 0], [50, 0], [0, 50], [50, 50]])
    places = (np.repeat(centres, 40, axis=0) + random.normal(0, 1, (160, 2))).astype(np.float32)
    classes = np.array([0] * 80 + [1, 2] * 20 + [3] * 40, np.int32)
    clusters, names = clusters_of(places, classes, ("cat", "dog", "cow", "cat 1"))
    assert sorted(names) == ["cat 1", "cat 2", "cat 3", "dog + cow"]
    assert names[clusters[-1]] == "cat 1"


def test_where_the_map_shows_no_clusters_the_classes_are_them() -> None:
    """Nine pictures are no heap."""
    _, names = clusters_of(np.arange(18, dtype=np.float32).reshape(9, 2), np.arange(9, dtype=np.int32) % 3, LABELS)
    assert sorted(names) == sorted(LABELS)


# ---- placing -----------------------------------------------------------------------------------------------------


def test_a_picture_of_the_reference_is_exactly_at_its_place(reference: Reference, placing: Placing) -> None:
    """The map does not move: the difference is 0."""
    pictures = some_pictures()
    placed = placing.place(embed(pictures.pixels[[pictures.names.index(name) for name in reference.names]]))
    assert np.abs(placed.places - reference.places).max() == 0
    assert placed.nearest.tolist() == list(range(len(reference)))


def test_an_engine_that_rounds_otherwise_finds_the_same_place(reference: Reference, placing: Placing) -> None:
    """Half precision: a thousandth of each number."""
    pictures = some_pictures()
    vectors = embed(pictures.pixels[[pictures.names.index(name) for name in reference.names]])
    other = vectors * (1 + np.random.default_rng(1).uniform(-1e-3, 1e-3, vectors.shape))
    assert np.abs(placing.place(other).places - reference.places).max() == 0


@given(data=st.data())
def test_a_place_hangs_on_no_other_picture(placing: Placing, data: st.DataObject) -> None:
    """Any part of a column, in any order, with repeats: bit for bit the same."""
    vectors = embed(some_pictures(20, seed=7).pixels)
    whole = rows_of(placing.place(vectors))
    rows = data.draw(st.lists(st.integers(0, 59), min_size=1, max_size=100))
    assert rows_of(placing.place(vectors[rows])) == [whole[row] for row in rows]


def test_a_place_is_among_its_neighbours(reference: Reference, placing: Placing) -> None:
    """Weighted by the fourth power of one over the distance, computed by hand."""
    vector = embed(some_pictures(seed=8).pixels[:1])
    apart = ((Placing(reference).reference.points.astype(np.float64)
              - 2000 * vector / np.linalg.norm(vector)) ** 2).sum(axis=1)
    nearest = np.argsort(apart)[:10]
    weights = 1 / apart[nearest] ** 2
    expected = (weights[:, None] * reference.places[nearest]).sum(axis=0) / weights.sum()
    assert placing.place(vector).places[0].tolist() == pytest.approx(expected.tolist(), abs=0.1)


def test_planted_outliers_are_far_out_and_usual_ones_are_not(placing: Placing) -> None:
    """Noise is beyond nearly all; pictures like those of the reference are spread evenly."""
    noise = np.random.default_rng(3).integers(0, 256, (50, 4, 4, 1), np.uint8)
    usual = placing.place(embed(some_pictures(100, seed=9).pixels)).outlier
    assert (placing.place(embed(noise)).outlier.min() > 0.98, abs(float(np.median(usual)) - 0.5) < 0.15) == (True, True)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 1e30])
def test_embeddings_that_are_none_have_a_place(placing: Placing, value: float) -> None:
    """Some place, never NaN, and far out where they have no direction."""
    placed = placing.place(np.full((1, NUMBERS), value, np.float32))
    assert np.isfinite(placed.places).all()
    assert 0 <= placed.outlier[0] <= 1


# ---- the file ----------------------------------------------------------------------------------------------------


def test_a_file_comes_back_as_it_was(reference: Reference) -> None:
    """Every array and every text, Japanese and Arabic ones."""
    again = from_bytes(reference.to_bytes())
    for name in ("points", "classes", "clusters", "places", "distances"):
        assert (getattr(again, name) == getattr(reference, name)).all()
    assert (again.labels, again.cluster_names, again.names) == (reference.labels, reference.cluster_names,
                                                                reference.names)


def _arrays(reference: Reference) -> dict[str, Any]:
    with np.load(io.BytesIO(reference.to_bytes())) as file:
        return dict(file)


@pytest.mark.parametrize(("name", "change"), [
    ("points", lambda a: a.astype(np.float32)), ("points", lambda a: a[:-1]), ("points", lambda a: a * 2),
    ("points", lambda a: a[0]), ("classes", lambda a: a + 1), ("clusters", lambda a: a - 1),
    ("places", lambda a: a * np.float32("nan")), ("places", lambda a: a + 50), ("places", lambda a: a[:, :1]),
    ("distances", lambda a: a[::-1]), ("distances", lambda a: a[:0]), ("distances", lambda a: a - 10**9),
    ("texts", lambda a: a[:-1]), ("texts", lambda _: np.frombuffer(json.dumps({"format": 2}).encode(), np.uint8)),
])
def test_a_file_that_cannot_be_is_refused(reference: Reference, name: str, change: Any) -> None:
    """A wrong type, length, range or order, before anything is computed with it."""
    arrays = _arrays(reference)
    arrays[name] = change(arrays[name])
    file = io.BytesIO()
    np.savez(file, **arrays)
    with pytest.raises(ValueError, match=r"\w"):
        from_bytes(file.getvalue())
