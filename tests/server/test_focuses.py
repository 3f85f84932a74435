"""Where a model looked, in memory and in the store: kept, bounded, and computed again when it is damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from server.answers import Answers
from server.focuses import Focuses
from server.ranking import Rankings
from server.store import Store
from server.stored_file import StoredFile

DIGESTS = [f"{number:032x}" for number in range(2500)]
NUMBERS = np.random.default_rng(1).integers(0, 10_001, (len(DIGESTS), 4)).astype(np.uint16)


def kept_in(store: Store, *, model: str = "m") -> Focuses:
    """The focuses of a model with the least memory there is: 1,000 rows."""
    return Focuses(owner=store.name_id(model), limit_bytes=0, store=store)


def test_what_is_put_comes_back_in_any_order(tmp_path: Path) -> None:
    """From memory, from the queue, and from the file after a start; rows without a digest have nothing."""
    path = tmp_path / "answers.sqlite"
    with closing(Store(path)) as store:
        first = kept_in(store)
        first.put(DIGESTS, NUMBERS)
        np.testing.assert_array_equal(first.numbers(DIGESTS[::-1]), NUMBERS[::-1])
    with closing(Store(path)) as store:
        column = kept_in(store).numbers([None, *DIGESTS, "absent"])
    np.testing.assert_array_equal(column, [[65_535] * 4, *NUMBERS.tolist(), [65_535] * 4])


def test_memory_is_bounded(tmp_path: Path) -> None:
    """However many are put, one at a time or together."""
    with closing(Store(tmp_path / "answers.sqlite")) as store:
        focuses = kept_in(store)
        focuses.put(DIGESTS, NUMBERS)
        for row in range(1200):
            focuses.put(DIGESTS[row:row + 1], NUMBERS[row:row + 1])
        assert 0 < len(focuses._kept) <= 1000


def test_a_model_does_not_see_another_ones(tmp_path: Path) -> None:
    """Each version looks elsewhere."""
    with closing(Store(tmp_path / "answers.sqlite")) as store:
        kept_in(store).put(DIGESTS[:1], NUMBERS[:1])
        assert kept_in(store, model="n").column(DIGESTS[:1]) == [None]


def test_damaged_ones_are_as_if_they_were_not_there(tmp_path: Path) -> None:
    """Overwritten, cut, and of a wrong length under a right checksum; `store check` says both."""
    path = tmp_path / "answers.sqlite"
    with closing(Store(path)) as store:
        kept_in(store).put(DIGESTS[:3], NUMBERS[:3])
        store.put_focus(store.name_id("m"), DIGESTS[3], b"12345")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE focuses SET numbers = zeroblob(12) WHERE digest = ?", DIGESTS[:1])
        connection.execute("UPDATE focuses SET numbers = 'text' WHERE digest = ?", DIGESTS[1:2])
    with closing(StoredFile(path)) as file:
        assert [fault for fault in file.faults({}) if "focuses" in fault] \
            == ["2 focuses have another checksum than when they were written: they are computed again",
                    "2 focuses of m have a length that none has"]
    with closing(Store(path)) as store:
        assert kept_in(store).column(DIGESTS[:4]) == [None, None, NUMBERS[2].tobytes(), None]


def test_pruning_takes_them_with_their_answers(tmp_path: Path) -> None:
    """Of a version that is gone, and of the oldest answers."""
    path = tmp_path / "answers.sqlite"
    with closing(Store(path)) as store:
        for model in ("gone", "stays"):
            answers = Answers(model=model, classes=2, limit_bytes=0, store=store, has_focus=True)
            assert answers.focuses is not None
            answers.focuses.put(DIGESTS[:10], NUMBERS[:10])
            answers.put(DIGESTS[:10], Rankings.of(np.full((10, 2), 0.5, np.float32)), np.zeros((10, 2), np.float32),
                        [None] * 10)
    with closing(StoredFile(path)) as file:
        assert file.prune_versions(frozenset({"stays"})) == 10
        assert file._rows("SELECT count(*) FROM focuses") == [(10,)]
        file.prune_to(0)
        assert file._rows("SELECT count(*) FROM focuses") == [(0,)]


def test_a_store_from_before_gets_its_table(tmp_path: Path) -> None:
    """Its answers stay; what the model looked at is lacking, no more."""
    path = tmp_path / "answers.sqlite"
    with closing(Store(path)) as store:
        answers = Answers(model="m", classes=2, limit_bytes=0, store=store)
        answers.put(DIGESTS[:1], Rankings.of(np.full((1, 2), 0.5, np.float32)), np.zeros((1, 2), np.float32), [None])
        assert answers.lacking_focus(DIGESTS[:1]) == set()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE focuses")
    with closing(Store(path)) as store:
        answers = Answers(model="m", classes=2, limit_bytes=0, store=store, has_focus=True)
        assert answers.find(DIGESTS[0]) is not None
        assert answers.lacking_focus([*DIGESTS[:1], None]) == set(DIGESTS[:1])
