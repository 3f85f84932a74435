"""`store stats | prune | check` on real files: what is said, what goes, what stays, and what is refused."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from models.registry import ModelVersion
from server import store_cli
from server.fingerprints import KEYS
from server.paths import FoundFile, Signature
from server.ranking import FULL_UP_TO
from server.service import state_folder
from server.store import SCHEMA_VERSION, Store, StoredAnswer, StoredSource

pytest_plugins = ("server_fixtures",)

MODELS = Path(__file__).resolve().parents[2] / "models" / "store"
GONE = "f" * 64
RANKING = bytes(40)  # ten digits, four bytes each


def fill(state: Path, version: ModelVersion, *, rows: int = 3, ranking: bytes = RANKING) -> Path:
    """A state folder with answers of the digit model, of a version that is gone, and of one set of folders."""
    state.mkdir(exist_ok=True)
    path = state / store_cli.STORE_FILE
    with closing(Store(path)) as store:
        roots, here, gone = (store.name_id(name) for name in ("roots /photos\n/more", version.spec.digest, GONE))
        for row in range(rows):
            store.put_source(roots, StoredSource(f"{row}.png", FoundFile(f"/photos/{row}", Signature(1, row, 1, 1)),
                                                 f"digest-{row}"))
            store.put_answer(here, StoredAnswer(f"digest-{row}", ranking, None), bytes(256))
        store.put_answer(gone, StoredAnswer("old", RANKING, None), bytes(256))
    return path


def count(path: Path, table: str) -> int:
    """The rows of a table."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - the test's own


def test_stats_names_versions_folders_and_age(tmp_path: Path, version: ModelVersion,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    """One line each."""
    fill(tmp_path / "s", version)
    assert store_cli.main(["stats", f"--state={tmp_path / 's'}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"  model digits@1 {version.spec.digest[:12]}: 3 answers, 0.0 MB, written 20")
    assert lines[2].startswith(f"  model no longer in the model store, {GONE[:12]}: 1 answers")
    assert lines[3] == "  folders /photos, /more: 3 paths, 0.0 MB"


def test_a_damaged_file_set_aside_costs_no_answer(tmp_path: Path, version: ModelVersion,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    """It does not count as size of the file that is pruned; `stats` names it."""
    path = fill(tmp_path / "s", version)
    aside = path.with_name(f"{path.name}.damaged-20260101-000000-1")
    aside.write_bytes(bytes(5_000_000))
    assert store_cli.main(["prune", "--max-mb=2", f"--state={tmp_path / 's'}"]) == 0
    assert (count(path, "answers"), aside.exists()) == (3, True)
    store_cli.main(["stats", f"--state={tmp_path / 's'}"])
    assert f"  {aside.name}: 5.0 MB, damaged" in capsys.readouterr().out


def test_prune_removes_what_is_gone_and_nothing_else(tmp_path: Path, version: ModelVersion) -> None:
    """Answers of a version that is still there stay, and their paths."""
    path = fill(tmp_path / "s", version)
    assert store_cli.main(["prune", f"--state={tmp_path / 's'}"]) == 0
    assert [count(path, table) for table in ("answers", "embeddings", "sources")] == [3, 3, 3]
    with closing(Store(path)) as store:
        model = store.name_id(version.spec.digest)
        assert len(store.answers(model, ["digest-0", "digest-1", "digest-2"])) == 3


def test_prune_keeps_a_version_that_is_half_copied(tmp_path: Path, version: ModelVersion) -> None:
    """It is being mended, not removed."""
    path = fill(tmp_path / "s", version)
    models = tmp_path / "models"
    shutil.copytree(MODELS / "digits", models / "digits")
    (models / "digits" / "1" / "model.onnx").unlink()
    assert store_cli.main(["prune", f"--state={tmp_path / 's'}", f"--store={models}"]) == 0
    assert count(path, "answers") == 3


def test_keys_for_duplicates_are_no_removed_version(tmp_path: Path, version: ModelVersion,
                                                    capsys: pytest.CaptureFixture[str]) -> None:
    """They belong to no model: they are named, sound, and stay."""
    path = fill(tmp_path / "s", version)
    with closing(Store(path)) as store:
        store.put_answer(store.name_id(KEYS), StoredAnswer("key", bytes(16), None), b"")
    for verb in ("stats", "prune", "check"):
        assert store_cli.main([verb, f"--state={tmp_path / 's'}"]) == 0
    assert "  keys for duplicates, fingerprint-: 1 answers" in capsys.readouterr().out
    with closing(Store(path)) as store:
        assert [answer.digest for answer in store.answers(store.name_id(KEYS), ["key"])] == ["key"]


def test_prune_without_any_model_is_refused(tmp_path: Path, version: ModelVersion,
                                            capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped --store must not cost every answer."""
    path = fill(tmp_path / "s", version)
    assert store_cli.main(["prune", f"--state={tmp_path / 's'}", f"--store={tmp_path}"]) == 2
    assert "nothing is pruned" in capsys.readouterr().err
    assert count(path, "answers") == 4


def test_a_size_limit_removes_the_oldest(tmp_path: Path, version: ModelVersion) -> None:
    """By the day they were written; the file is smaller than the limit afterwards."""
    path = fill(tmp_path / "s", version, rows=3000)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE answers SET written_day = 1 WHERE digest < 'digest-2'")
    assert store_cli.main(["prune", f"--state={tmp_path / 's'}", "--max-mb=1.0"]) == 0
    assert path.stat().st_size <= 1_000_000
    with closing(sqlite3.connect(path)) as connection:
        left = {row[0] for row in connection.execute("SELECT digest FROM answers")}
        paths = {row[0] for row in connection.execute("SELECT digest FROM sources")}
    assert {f"digest-{row}" for row in range(3000) if f"digest-{row}" >= "digest-2"} <= left
    assert paths == left


def test_check_passes_a_sound_file(tmp_path: Path, version: ModelVersion, capsys: pytest.CaptureFixture[str]) -> None:
    """And says how much is in it."""
    path = fill(tmp_path / "s", version)
    assert store_cli.main(["check", f"--state={tmp_path / 's'}"]) == 0
    assert capsys.readouterr().out == f"{path} is sound: 4 answers.\n"


@pytest.mark.parametrize("ranking", [bytes(36), bytes(41), bytes(4 * FULL_UP_TO + 4), b""])
def test_check_finds_a_ranking_of_a_wrong_length(tmp_path: Path, version: ModelVersion, ranking: bytes,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    """It would be read as another model's answer, or not at all."""
    fill(tmp_path / "s", version, ranking=ranking)
    assert store_cli.main(["check", f"--state={tmp_path / 's'}"]) == 1
    assert f"3 answers of {version.spec.digest[:12]} have {len(ranking)} bytes" in capsys.readouterr().out


def test_check_finds_a_damaged_page(tmp_path: Path, version: ModelVersion, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever was overwritten, it is said in one sentence, never in a traceback."""
    path = fill(tmp_path / "s", version, rows=3000)
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xff" * 40_000)
    assert store_cli.main(["check", f"--state={tmp_path / 's'}"]) in (1, 2)
    said = capsys.readouterr()
    assert "move it away" in (said.out + said.err).lower() or "Move " in said.out


def test_a_file_of_the_first_schema_keeps_its_answers(tmp_path: Path, version: ModelVersion,
                                                      capsys: pytest.CaptureFixture[str]) -> None:
    """It has no days: its answers are the oldest there are."""
    path = tmp_path / store_cli.STORE_FILE
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript("CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
                          "CREATE TABLE answers (model INTEGER, digest TEXT, ranking BLOB, note TEXT,"
                          " PRIMARY KEY (model, digest)) WITHOUT ROWID; PRAGMA user_version = 1;")
        old.execute("INSERT INTO names VALUES (1, ?)", (version.spec.digest,))
        old.execute("INSERT INTO answers VALUES (1, 'digest', ?, 'a note')", (RANKING,))
    with closing(Store(path)) as store:
        assert store.answers(1, ["digest"]) == [StoredAnswer("digest", RANKING, "a note")]
        store.put_answer(1, StoredAnswer("new", RANKING, None), b"")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        days = dict(connection.execute("SELECT digest, written_day FROM answers").fetchall())
    assert days["digest"] == 0
    assert days["new"] > 20_000
    assert store_cli.main(["stats", f"--state={tmp_path}"]) == 0
    assert "2 answers" in capsys.readouterr().out


@pytest.mark.parametrize("verb", ["stats", "prune", "check"])
def test_a_state_folder_in_use_is_refused(tmp_path: Path, version: ModelVersion, verb: str,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    """The server may be writing."""
    fill(tmp_path / "s", version)
    with state_folder(tmp_path / "s"):
        assert store_cli.main([verb, f"--state={tmp_path / 's'}"]) == 2
    assert "is used by another Pixfield" in capsys.readouterr().err


def test_nothing_stored_is_said_and_nothing_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a folder nor a file."""
    assert store_cli.main(["stats", f"--state={tmp_path / 'none'}"]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
