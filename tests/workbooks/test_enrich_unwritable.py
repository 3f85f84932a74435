"""Folders that cannot be written: one sentence, wherever it happens."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbooks.enrich.errors import OutputError, ServerAwayError
from workbooks.enrich.finding_server import Wishes, found_server
from workbooks.enrich.journal import Journal
from workbooks.enrich.picture_folder import folder_table

JOB = {"source": {}, "rows_a_batch": 2}


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """No file can get a byte more."""
    if sys.platform == "win32":
        pytest.skip("limits the size of files, which Windows cannot")
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def say(_: str) -> None:
    """To nobody."""


def test_no_room_for_a_beginning_is_said(tmp_path: Path) -> None:
    """And no folder is left beside OUT."""
    with Journal(tmp_path / "out.csv") as journal:
        journal.prepare({}, is_afresh=False, say=say)
        with no_room(), pytest.raises(OutputError, match=r"job\.json cannot be written \(.*\): make room; the same"):
            journal.begin(JOB, say=say)
    assert list(tmp_path.iterdir()) == []


def test_no_room_for_a_listing_is_said(tmp_path: Path) -> None:
    """What was written of it counts for nothing."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").touch()
    with no_room(), pytest.raises(OutputError, match=r"listing\.csv cannot be written \(.*\): make room; the same"):
        folder_table(tmp_path / "photos", tmp_path / "listing.csv", is_typed=False)
    assert not (tmp_path / "listing.csv").exists()


def test_a_folder_in_the_way_is_said(tmp_path: Path) -> None:
    """It is somebody's: it stays."""
    (tmp_path / "out.csv.pixfield" / "mine").mkdir(parents=True)
    with pytest.raises(OutputError, match=r"mine cannot be removed \(.*\): remove .*pixfield yourself, or name"), \
            Journal(tmp_path / "out.csv") as journal:
        journal.prepare({}, is_afresh=False, say=say)
    assert (tmp_path / "out.csv.pixfield" / "mine").is_dir()


def test_a_state_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    """Before a server is started."""
    (tmp_path / "file").touch()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config = tmp_path / "pixfield.toml"
    config.write_text(f'state = "{(tmp_path / "file" / "state").as_posix()}"\nport = {port}\n', encoding="utf-8")
    with pytest.raises(ServerAwayError, match=r"The state folder cannot be written \(.*\): name another one"), \
            found_server(Wishes(None, None, config, ()), say):
        pass
