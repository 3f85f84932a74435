"""What breaks under the store: each says so, the server goes on without it or refuses, and no answer is ever wrong."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

from server.answers import Answers
from server.errors import SettingsError
from server.filesystems import network_kind
from server.paths import FoundFile, Signature
from server.ranking import Rankings
from server.service import state_folder
from server.store import _ANSWERS_QUEUED, Store, StoredAnswer, StoredSource
from server.store_file import IDLE_CONNECTIONS, StoreFile, seal, unseal

pytest_plugins = ("server_fixtures",)

MODEL = ROOTS = 1
ROWS = 3000
WaitUntil = Callable[[Callable[[], object]], None]


def put_rows(store: Store, rows: int = ROWS) -> dict[str, StoredAnswer]:
    """Put so many answers and sources, each unlike any other."""
    answers = {}
    for number in range(rows):
        answer = StoredAnswer(f"{number:032x}", number.to_bytes(40, "big"), None)
        answers[answer.digest] = answer
        store.put_answer(MODEL, answer, answer.ranking)
        found = FoundFile(f"/pictures/{number}.png", Signature(1, number, 3, 4))
        store.put_source(ROOTS, StoredSource(f"{number}.png", found, answer.digest))
    return answers


def damaged_files(folder: Path) -> list[str]:
    """The files that were set aside, without their journals."""
    names = [path.name for path in folder.iterdir() if ".damaged-" in path.name]
    return [name for name in names if not name.endswith(("-wal", "-shm"))]


def fill_disk(ballast: Path) -> None:
    """Write zeros until there is no room; raises OSError then."""
    with ballast.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass


@pytest.mark.parametrize("content", [b"no database" * 500, b"\0" * 8192, b"SQLite format 3\0" + b"\xff" * 8192])
def test_a_file_that_is_no_store_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    """It is kept under another name, said, and a new one serves."""
    path = tmp_path / "answers.sqlite"
    path.write_bytes(content)
    with closing(Store(path)) as store:
        answers = put_rows(store, 3)
        store.flush()
        assert {row.digest: row for row in store.answers(MODEL, list(answers))} == answers
    (aside,) = damaged_files(tmp_path)
    assert (tmp_path / aside).read_bytes() == content
    assert "a new one is begun" in caplog.text


@pytest.mark.parametrize("seed", range(12))
def test_garbage_in_the_middle_gives_no_wrong_answer(tmp_path: Path, seed: int) -> None:
    """Whatever is overwritten, what is read is what was put, or nothing; and what is put afterwards is kept."""
    path = tmp_path / "answers.sqlite"
    with closing(Store(path)) as store:
        answers = put_rows(store)
        owner = store.name_id("model")
    random = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    for begin in random.integers(4096, len(data) - 600, 1 + 4 * seed):
        data[begin:begin + 600] = random.bytes(600)
    path.write_bytes(data)
    with closing(Store(path)) as store:
        for _ in range(2):  # the first reading may meet the damage, the second a new file
            for page in [*store.every_answer(MODEL), store.answers(MODEL, list(answers))]:
                assert [row for row in page if answers.get(row.digest, row).ranking != row.ranking] == []
            vectors = store.vectors(MODEL, list(answers))
            assert {digest for digest, vector in vectors.items() if vector != answers[digest].ranking} == set()
        put_rows(store)
        store.flush()
        store.sources(ROOTS, [f"{number}.png" for number in range(ROWS)])
    with closing(Store(path)) as again:
        found = {row.digest: row for row in again.answers(MODEL, list(answers))}
        assert {digest for digest in found if found[digest] != answers[digest]} == set()
        assert again.name_id("model") == owner or damaged_files(tmp_path)


def test_a_broken_page_is_replaced_while_serving(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Reading finds nothing, the file is set aside, and writing goes on."""
    path = tmp_path / "answers.sqlite"
    with closing(Store(path)) as store:
        answers = put_rows(store)
    data = path.read_bytes()
    path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))  # all but the schema and the page after it
    with closing(Store(path)) as store:
        assert store.answers(MODEL, list(answers)) == []
        put_rows(store)
        store.flush()
        assert {row.digest: row for row in store.answers(MODEL, list(answers))} == answers
    assert (len(damaged_files(tmp_path)), caplog.text.count("a new one is begun")) == (1, 1)


def test_names_keep_their_numbers_in_a_new_file(tmp_path: Path) -> None:
    """Whoever holds a number goes on writing under it."""
    file = StoreFile(tmp_path / "answers.sqlite")
    numbers = {name: file.name_id(name) for name in ("one", "two", "f\udcfcr")}
    damage = sqlite3.DatabaseError("malformed")
    damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    with pytest.raises(sqlite3.DatabaseError, match="malformed"), file.connection():
        raise damage
    file.close()
    again = StoreFile(tmp_path / "answers.sqlite")
    assert ({name: again.name_id(name) for name in numbers}, len(damaged_files(tmp_path))) == (numbers, 1)
    again.close()


def test_values_are_sealed_under_their_key() -> None:
    """Another key's value, another length or another type is none."""
    sealed = seal("a", b"value")
    odd = (seal("b", b"value"), sealed[1:], sealed + b"\0", b"", b"abc", "text", None, 7)
    assert (unseal("a", sealed), [unseal("a", value) for value in odd]) == (b"value", [None] * len(odd))


def test_a_ranking_of_wrong_length_is_ignored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is said and counts as not stored, on demand and when the memory is filled."""
    with closing(Store(tmp_path / "answers.sqlite")) as store:
        owner = store.name_id("digest of a model")
        right = Rankings.of(np.array([[0.7, 0.2, 0.1]], np.float32)).pack()[0]
        for digest, ranking in (("good", right), ("short", right[:-2]), ("long", right + b"\0\0")):
            store.put_answer(owner, StoredAnswer(digest, ranking, None), b"")
        store.flush()
        answers = Answers(model="digest of a model", classes=3, limit_bytes=1_000_000, store=store)
        found = answers.lookup(["short", "good", "long"])
        assert ([row >= 0 for row in found.rows.tolist()], answers.fill()) == ([False, True, False], 1)
    assert "wrong length" in caplog.text


# ---- the disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root on Linux")
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        pytest.skip(f"mounting a small disk is not allowed here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_stops_nothing(small_disk: Path, caplog: pytest.LogCaptureFixture, wait_until: WaitUntil) -> None:
    """It is said once, what is queued is read, the queue stays bounded, and all is written when there is room again."""
    ballast = small_disk / "ballast"
    with closing(Store(small_disk / "answers.sqlite")) as store:
        before = put_rows(store, 10)
        store.flush()
        with pytest.raises(OSError, match="No space"):
            fill_disk(ballast)
        answers = put_rows(store)
        with pytest.raises(sqlite3.OperationalError):
            store.flush()
        assert {row.digest: row for row in store.answers(MODEL, list(answers))} == answers
        assert store.answers(MODEL, list(before))[0] in before.values()
        wait_until(lambda: "the store cannot be used (database or disk is full)" in caplog.text)
        for number in range(_ANSWERS_QUEUED + 1000):
            store.put_answer(2, StoredAnswer(f"{number}", b"", None), b"")
        assert store.queued <= _ANSWERS_QUEUED + ROWS
        ballast.unlink()
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
        wait_until(lambda: store.queued == 0)
        assert {row.digest: row for row in store.answers(MODEL, list(answers))} == answers
        wait_until(lambda: "the store is written again" in caplog.text)
    assert sum(record.levelno == logging.ERROR for record in caplog.records) == 1


def test_a_full_disk_at_the_start_is_refused(small_disk: Path) -> None:
    """In one sentence."""
    with pytest.raises(OSError, match="No space"):
        fill_disk(small_disk / "ballast")
    with pytest.raises(SettingsError, match="cannot be used"):
        Store(small_disk / "answers.sqlite")


def test_few_connections_are_kept_however_many_met(tmp_path: Path) -> None:
    """Else the descriptors of a server rise for days, as chance makes ever more callers meet."""
    with closing(StoreFile(tmp_path / "answers.sqlite")) as file:
        with ExitStack() as together:
            met = {id(together.enter_context(file.connection())) for _ in range(3 * IDLE_CONNECTIONS)}
        with ExitStack() as again:
            kept = [again.enter_context(file.connection()) for _ in range(IDLE_CONNECTIONS)]
            assert len(met) == 3 * IDLE_CONNECTIONS
            assert ({id(one) for one in kept} <= met, file._idle) == (True, [])


# ---- network file systems ----------------------------------------------------------------------------------------


MOUNTS = """\
/dev/sda1 / ext4 rw,relatime 0 0
nas:/export {folder}/nas nfs4 rw,relatime 0 0
//nas/share {folder}/with\\040blank cifs rw 0 0
/dev/sdb1 {folder}/nas/local ext4 rw 0 0
user@host: {folder}/ssh fuse.sshfs rw 0 0
/dev/sdc1 {folder}/ssh ext4 rw 0 0
"""


@pytest.mark.skipif(sys.platform == "win32", reason="reads Linux's mount table")
@pytest.mark.parametrize(("name", "kind"), [("nas/a/b", "nfs4"), ("with blank", "cifs"), ("nas/local/a", None),
                                            ("nasty", None), ("ssh", None), ("link/a", "nfs4")])
def test_a_state_folder_on_a_network_is_refused(tmp_path: Path, name: str, kind: str | None) -> None:
    """By the innermost and latest mount, through symbolic links; a local disk is taken."""
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS.format(folder=tmp_path), encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "nas")
    (tmp_path / "nas").mkdir()
    state = tmp_path / name
    assert network_kind(state, mounts=mounts) == kind
    if kind is None:
        with state_folder(state, mounts=mounts) as made:
            assert made.is_dir()
    else:
        with pytest.raises(SettingsError, match=rf"network file system \({kind}\)"), \
                state_folder(state, mounts=mounts):
            pass


def test_no_mount_table_means_a_local_disk(tmp_path: Path) -> None:
    """On systems that have none."""
    assert network_kind(tmp_path, mounts=tmp_path / "none") is None
