"""What outlives the process: what was put is read, before and after it is written, and after a kill."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.errors import SettingsError
from server.paths import FoundFile, Signature
from server.store import SCHEMA_VERSION, Store, StoredAnswer, StoredSource

pytest_plugins = ("server_fixtures",)

ROOT = Path(__file__).resolve().parents[2]
ROOTS = MODEL = 1

WaitUntil = Callable[[Callable[[], object]], None]

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)
WHOLE = st.integers(0, 2**63 - 1)
SIGNATURES = st.builds(Signature, WHOLE, WHOLE, WHOLE, st.integers(-(2**63), 2**63 - 1))
SOURCES = st.builds(StoredSource, TEXTS, st.builds(FoundFile, TEXTS, SIGNATURES), TEXTS)
ANSWERS = st.builds(StoredAnswer, TEXTS, st.binary(max_size=80), st.none() | TEXTS)


def source(text: str, digest: str = "digest") -> StoredSource:
    """A source that is like any other."""
    return StoredSource(text, FoundFile(f"/pictures/{text}", Signature(1, 2, 3, 4)), digest)


def answer(digest: str, ranking: bytes = b"ranking") -> StoredAnswer:
    """An answer that is like any other."""
    return StoredAnswer(digest, ranking, None)


@pytest.mark.parametrize("is_written", [False, True])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(SOURCES, min_size=1, max_size=10, unique_by=lambda row: row.text))
def test_sources_come_back_as_they_were_put(store: Store, is_written: bool, rows: list[StoredSource]) -> None:
    """Queued or written, in every script."""
    for row in rows:
        store.put_source(ROOTS, row)
    if is_written:
        store.flush()
    assert sorted(store.sources(ROOTS, [row.text for row in rows])) == sorted(rows)


@pytest.mark.parametrize("is_written", [False, True])
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(ANSWERS, min_size=1, max_size=10, unique_by=lambda row: row.digest), vector=st.binary(max_size=50))
def test_answers_come_back_as_they_were_put(store: Store, is_written: bool, rows: list[StoredAnswer],
                                            vector: bytes) -> None:
    """With their remark and their embedding."""
    for row in rows:
        store.put_answer(MODEL, row, vector)
    if is_written:
        store.flush()
    digests = [row.digest for row in rows]
    found = {row.digest: row for row in store.answers(MODEL, digests)}
    assert (found, store.vectors(MODEL, digests)) == ({row.digest: row for row in rows}, dict.fromkeys(digests, vector))


@pytest.mark.parametrize("is_written", [False, True])
def test_the_last_value_of_a_key_counts(store: Store, is_written: bool) -> None:
    """Over what is written and over what is queued."""
    store.put_source(ROOTS, source("a", "old"))
    if is_written:
        store.flush()
    store.put_source(ROOTS, source("a", "new"))
    assert store.sources(ROOTS, ["a"]) == [source("a", "new")]


def test_owners_do_not_see_each_other_s_rows(store: Store) -> None:
    """Two models, two sets of roots."""
    store.put_answer(1, answer("d"), b"")
    store.put_source(1, source("a"))
    store.flush()
    assert (store.answers(2, ["d"]), store.sources(2, ["a"]), store.vectors(2, ["d"])) == ([], [], {})


def test_what_is_unknown_is_left_out(store: Store) -> None:
    """No row, no error; also for texts that no row can have."""
    store.put_source(ROOTS, source("a"))
    store.flush()
    odd = ["", "b", "a\0", "\0", "\ud800", "'; DROP TABLE sources; --"]
    assert store.sources(ROOTS, [*odd, "a"]) == [source("a")]


@pytest.mark.parametrize("text", ["\ud800", "caf\udce9.png"])
def test_a_text_that_is_no_utf_8_is_left_out_and_stops_nothing(store: Store, text: str) -> None:
    """What is put beside it is written."""
    store.put_source(ROOTS, source(text))
    store.put_source(ROOTS, source("a"))
    store.flush()
    assert store.sources(ROOTS, [text, "a"]) == [source("a")]


def test_names_have_numbers_that_last(store: Store, tmp_path: Path) -> None:
    """Equal names one number, other names others, also for the next process; any bytes."""
    names = ["model a", "model b", "f\udcfcr", "日本"]
    numbers = [store.name_id(name) for name in names]
    store.close()
    with closing(Store(tmp_path / "answers.sqlite")) as again:
        assert ([again.name_id(name) for name in reversed(names)], len(set(numbers))) == (numbers[::-1], 4)


def test_ten_thousand_keys_are_one_question(store: Store) -> None:
    """And 25,000, half of them unknown, are three: none is lost at the seams."""
    rows = [answer(f"{number:032x}") for number in range(12_500)]
    for row in rows:
        store.put_answer(MODEL, row, b"v")
    store.flush()
    unknown = [f"unknown {number}" for number in range(12_500)]
    asked = [key for pair in zip(unknown, (row.digest for row in rows), strict=True) for key in pair]
    assert sorted(store.answers(MODEL, asked)) == rows


def test_every_row_is_paged_through_once(store: Store) -> None:
    """In pages of ten thousand, of one owner only."""
    texts = {f"{number}.png" for number in range(10_500)}
    for text in texts:
        store.put_source(ROOTS, source(text))
    store.put_source(2, source("another's"))
    store.put_answer(MODEL, answer("d"), b"")
    store.flush()
    seen = [row.text for page in store.every_source(ROOTS) for row in page]
    answers = [row for page in store.every_answer(MODEL) for row in page]
    assert (len(seen), set(seen), answers) == (10_500, texts, [answer("d")])


# ---- closing and opening -----------------------------------------------------------------------------------------


def test_closing_writes_what_is_queued(store: Store, tmp_path: Path) -> None:
    """Nothing is lost by a stop."""
    store.put_source(ROOTS, source("a"))
    store.put_answer(MODEL, answer("d"), b"vector")
    store.close()
    with closing(Store(tmp_path / "answers.sqlite")) as again:
        assert (again.sources(ROOTS, ["a"]), again.answers(MODEL, ["d"]), again.vectors(MODEL, ["d"])) == (
            [source("a")], [answer("d")], {"d": b"vector"})


def test_closing_writes_what_was_queued_while_the_writer_wrote(store: Store, tmp_path: Path,
                                                                wait_until: WaitUntil) -> None:
    """The last round has everything, however long the one before takes."""
    path = tmp_path / "answers.sqlite"
    for number in range(60_000):
        store.put_source(ROOTS, source(f"{number}.png"))
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        wait_until(lambda: is_being_written(other))
    store.put_source(ROOTS, source("late"))
    store.close()
    with closing(Store(path)) as again:
        assert again.sources(ROOTS, ["late"]) == [source("late")]


def is_being_written(other: sqlite3.Connection) -> bool:
    """Whether another connection holds the write lock."""
    try:
        other.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return True
    other.execute("ROLLBACK")
    return False


def test_the_writer_writes_by_itself(store: Store, tmp_path: Path, wait_until: WaitUntil) -> None:
    """Another connection sees it without a flush or a close."""
    store.put_source(ROOTS, source("a"))
    with closing(sqlite3.connect(tmp_path / "answers.sqlite")) as other:
        wait_until(lambda: other.execute("SELECT text FROM sources").fetchall() == [("a",)])


def test_a_store_of_a_newer_pixfield_is_refused(tmp_path: Path) -> None:
    """Its schema is not guessed at, and its file not touched."""
    path = tmp_path / "answers.sqlite"
    with closing(sqlite3.connect(path)) as newer:
        newer.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(SettingsError, match=r"answers\.sqlite was written by a newer Pixfield \(schema 4, .* --state"):
        Store(path)


def test_a_store_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    """One sentence with the remedy, not a traceback."""
    path = tmp_path / "answers.sqlite"
    path.mkdir()
    with pytest.raises(SettingsError, match=r"answers\.sqlite cannot be used \(.*\): move it away"):
        Store(path)


KILLED = """
import itertools, sys
from pathlib import Path
from server.paths import FoundFile, Signature
from server.store import Store, StoredAnswer, StoredSource

store = Store(Path(sys.argv[1]))
for number in itertools.count():
    store.put_source(1, StoredSource(f"{number}.png", FoundFile("/a", Signature(1, 2, 3, number)), f"{number}"))
    store.put_answer(1, StoredAnswer(f"{number}", b"ranking", None), b"vector")
    if number % 500 == 499:
        store.flush()
        print(number, flush=True)
"""


def test_a_kill_keeps_what_was_committed(tmp_path: Path) -> None:
    """Every answer that was said to be written is there, and the file is sound."""
    path = tmp_path / "answers.sqlite"
    process = subprocess.Popen([sys.executable, "-c", KILLED, path], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    written = [int(process.stdout.readline()) for _ in range(6)][-1]
    process.kill()
    process.communicate()
    keys = [f"{number}" for number in range(written + 1)]
    with closing(Store(path)) as store, closing(sqlite3.connect(path)) as other:
        (soundness,) = other.execute("PRAGMA integrity_check").fetchone()
        found = store.sources(1, [f"{key}.png" for key in keys])
        assert (soundness, {row.digest for row in found}, set(store.vectors(1, keys))) == ("ok", set(keys), set(keys))


def test_threads_that_put_and_read_lose_nothing(store: Store) -> None:
    """What a thread has put it can read at once, while others write and the writer commits."""
    missing: list[str] = []

    def work(name: int) -> None:
        for number in range(150):
            row = answer(f"{name}-{number}", f"{name} {number}".encode())
            store.put_answer(MODEL, row, b"")
            missing.extend(row.digest for _ in [0] if store.answers(MODEL, [row.digest]) != [row])
            if number % 50 == 0:
                store.flush()

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert missing == []
