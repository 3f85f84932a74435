"""A child process: told to stop through its stdin, killed when it does not, never left behind."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from server.child import Child

pytest_plugins = ("server_fixtures",)

WaitUntil = Callable[[Callable[[], object]], None]
Start = Callable[..., Child]

OBEDIENT = "import sys; sys.stdin.read()"
DEAF = "import time; time.sleep(60)"


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Runs a piece of Python as a child; its module lies where the child's search path leads."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    children: list[Child] = []

    def run(code: str, *arguments: str, log: Path | None = None) -> Child:
        (tmp_path / "piece.py").write_text(code, encoding="utf-8")
        children.append(Child("piece", "piece", arguments, log=log))
        return children[-1]

    yield run
    for child in children:
        child.stop(0)


def test_a_child_that_listens_ends_when_its_stdin_does(start: Start) -> None:
    """By itself."""
    child = start(OBEDIENT)
    before = child.exit_status
    child.stop(20)
    assert (before, child.exit_status) == (None, 0)


def test_a_child_that_does_not_listen_is_killed(start: Start) -> None:
    """After its time, and no process is left."""
    child = start(DEAF)
    child.stop(0.05)
    assert (child.exit_status == 0, psutil.pid_exists(child.pid)) == (False, False)


def test_stopping_twice_is_stopping(start: Start) -> None:
    """An error on the way up stops everything again."""
    child = start(OBEDIENT)
    child.stop(20)
    child.stop(20)
    assert child.exit_status == 0


def test_a_child_that_ended_can_be_stopped(start: Start, wait_until: WaitUntil) -> None:
    """Its status stays."""
    child = start("raise SystemExit(7)")
    wait_until(lambda: child.exit_status is not None)
    child.stop(0)
    assert child.exit_status == 7


@pytest.mark.parametrize(("line", "is_ready"), [
    ('{"status": "ready", "port": 1}', True), ('{"status": "starting"}', False), ("ready", False), ('["ready"]', False),
    ("", False), ("\udcff", False)])
def test_a_json_line_says_that_it_is_ready(start: Start, line: str, is_ready: bool) -> None:
    """Anything else on stdout says nothing."""
    child = start(f"import sys; sys.stdout.buffer.write({os.fsencode(line)!r} + b'\\n')")
    child.stop(20)
    assert child.is_ready.is_set() == is_ready


def test_a_child_that_talks_a_lot_does_not_block(start: Start) -> None:
    """Its pipe is emptied."""
    child = start("print('x' * 2_000_000)")
    child.stop(20)
    assert child.exit_status == 0


def test_the_log_takes_what_a_child_complains_about(start: Start, tmp_path: Path) -> None:
    """One after the other."""
    log = tmp_path / "child.log"
    for word in ("first", "second"):
        start(f"import sys; sys.stderr.write('{word} ログ\\n')", log=log).stop(20)
    assert log.read_text(encoding="utf-8").splitlines() == ["first ログ", "second ログ"]


def test_arguments_reach_the_child_as_they_are(start: Start, tmp_path: Path) -> None:
    """No shell in between."""
    words = ["a b", "$HOME", "*", "--x=日本", ""]
    log = tmp_path / "child.log"
    start("import sys; sys.stderr.write(repr(sys.argv[1:]))", *words, log=log).stop(20)
    assert log.read_text(encoding="utf-8") == repr(words)


@pytest.mark.skipif(sys.platform == "win32", reason="a console has other groups there")
def test_a_child_is_not_in_the_terminal_s_group(start: Start) -> None:
    """Ctrl-C reaches the supervisor alone."""
    child = start(OBEDIENT)
    assert os.getpgid(child.pid) != os.getpgid(os.getpid())


def test_a_child_knows_when_it_was_started(start: Start) -> None:
    """For the supervisor's patience."""
    before = time.monotonic()
    started_at = start(OBEDIENT).started_at
    assert before <= started_at <= time.monotonic()
