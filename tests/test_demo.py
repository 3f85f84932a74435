"""`demo` and `serve` as a user starts them: real processes, real TabPy, real pictures."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from stack import free_ports

ROOT = Path(__file__).resolve().parent.parent


def _free_ports() -> tuple[str, str]:
    one, two = free_ports()
    return str(one), str(two)


def _command(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def test_demo_once_agrees_with_the_truth(tmp_path: Path) -> None:
    """`demo --once` prints the table, at least 98.5 % agreement, and leaves nothing running."""
    port, tabpy_port = _free_ports()
    state = tmp_path / "state ファイル"
    done = subprocess.run(_command("server.demo", "--once", "--port", port, "--tabpy-port", tabpy_port,
                                   "--state", str(state)), cwd=ROOT, capture_output=True, text=True, encoding="utf-8",
                          check=False, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    found = re.search(r"([\d.]+) %", done.stdout.splitlines()[-1])
    assert found is not None
    assert float(found[1]) >= 98.5
    assert "digit-0002.png" in done.stdout
    _assert_nobody_mentions(str(state))


def _assert_nobody_mentions(text: str) -> None:
    left = [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])
            if any(text in word for word in process.info["cmdline"] or ())]
    assert left == []


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT; Windows has console events instead")
def test_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    """Ctrl-C while it serves ends server and TabPy too, with status 0."""
    port, tabpy_port = _free_ports()
    process = subprocess.Popen(_command("server.demo", "--port", port, "--tabpy-port", tabpy_port, "--state",
                                        str(tmp_path / "state")), cwd=ROOT, stdout=subprocess.PIPE, text=True,
                               encoding="utf-8")
    assert process.stdout is not None
    with process.stdout:
        shown = [line for line in iter(process.stdout.readline, "Ctrl-C stops everything.\n") if line]
        process.send_signal(signal.SIGINT)
        status = process.wait(30)
    assert status == 0
    assert f"  Port      {tabpy_port}\n" in shown
    _assert_nobody_mentions(str(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_children_go_with_a_killed_supervisor(tmp_path: Path) -> None:
    """When the supervisor is killed outright, its children see the end of their pipe and stop."""
    port, tabpy_port = _free_ports()
    process = subprocess.Popen(_command("server.supervisor", "--port", port, "--tabpy-port", tabpy_port, "--images",
                                        str(tmp_path), "--model", "digits", "--state", str(tmp_path / "state")),
                               cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
        children = psutil.Process(process.pid).children()
        process.kill()
        process.wait()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert (len(gone), alive) == (2, [])


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
@pytest.mark.parametrize("name", ["server", "tabpy_functions.launcher"])
def test_a_killed_child_comes_back(tmp_path: Path, name: str) -> None:
    """`kill -9` of the server or of TabPy: it is started again by itself."""
    port, tabpy_port = _free_ports()
    process = subprocess.Popen(_command("server.supervisor", "--port", port, "--tabpy-port", tabpy_port, "--images",
                                        str(tmp_path), "--model", "digits", "--state", str(tmp_path / "state")),
                               cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        with process.stdout:
            for line in process.stdout:
                if line.startswith("Ctrl-C"):
                    break
            victim = _child(process.pid, name)
            victim.kill()
            victim.wait(10)
            revived = _wait_for_child(process.pid, name)
            assert revived.pid != victim.pid
            _wait_for_port(int(port if name == "server" else tabpy_port))
            os.kill(process.pid, signal.SIGTERM)
            assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def _child(parent: int, module: str) -> psutil.Process:
    return next(child for child in psutil.Process(parent).children() if module in child.cmdline())


def _wait_for_child(parent: int, module: str) -> psutil.Process:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for child in psutil.Process(parent).children():
            if child.is_running() and child.status() != psutil.STATUS_ZOMBIE and module in child.cmdline():
                return child
        time.sleep(0.05)
    raise AssertionError(f"{module} did not come back")


def _wait_for_port(port: int) -> None:
    until = time.monotonic() + 30
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


@pytest.mark.parametrize("flag", ["--port", "--tabpy-port"])
def test_a_taken_port_is_said_in_one_line(tmp_path: Path, flag: str) -> None:
    """A port that is in use stops the start with one sentence that names the flag."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(_command("server.demo", "--once", flag, str(port), "--state", str(tmp_path / "state")),
                              cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"port {port} " in done.stderr
    assert flag in done.stderr


def test_a_missing_folder_is_said_in_one_line(tmp_path: Path) -> None:
    """`serve --images` with a folder that is not there names it."""
    missing = tmp_path / "no such folder"
    done = subprocess.run(_command("server.supervisor", "--images", str(missing), "--state", str(tmp_path / "state")),
                          cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    expected = f"--images {missing}: there is no such folder; name one that exists.\n"
    assert (done.returncode, done.stderr) == (2, expected)


def test_an_unknown_model_is_said_in_one_line(tmp_path: Path) -> None:
    """`serve --model` with a name that is not there lists what is."""
    done = subprocess.run(_command("server.supervisor", "--model", "nothing", "--state", str(tmp_path / "state")),
                          cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr.startswith("--model nothing: There is no model 'nothing'. Models: ")
    assert (done.stderr.count("\n"), "digits" in done.stderr) == (1, True)
