"""The launcher: how it starts, what it refuses, how it ends."""

import importlib.metadata
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import requests
from stand_in import FUNCTIONS, StandIn, running
from tabpy_processes import ROOT, TabPy, free_port, launched_tabpy, launcher, stopped

from tabpy_functions.errors import LaunchError
from tabpy_functions.tabpy_hooks import check_hooks

pytest_plugins = ("tabpy_fixtures",)

on_posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and pipes")


def refusal(*arguments: str, **options: Any) -> str:
    """What a launcher that ends at once says on standard error."""
    process = launcher(*arguments, stderr=subprocess.PIPE, **options)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    return err.strip().splitlines()[-1]


def test_hooks_are_where_they_were() -> None:
    """Fails when a TabPy update moves what the launcher holds on to."""
    check_hooks()


def test_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence, before TabPy is touched."""
    monkeypatch.setattr(importlib.metadata, "version", lambda _: "2.17.0")
    with pytest.raises(LaunchError, match=r"TabPy 2\.17\.0 is installed, 2\.16\.0 is needed"):
        check_hooks()


def test_moved_hook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the place."""
    from tabpy.tabpy_server.handlers.query_plane_handler import QueryPlaneHandler

    monkeypatch.setattr(QueryPlaneHandler, "_handle_result", lambda self, name: (self, name))
    with pytest.raises(LaunchError, match="not as expected at _handle_result"):
        check_hooks()


def test_ready_line(ours: TabPy) -> None:
    """One JSON line: the port, both loopback addresses, the functions deployed."""
    has_ipv6 = "::1" in ours.ready["addresses"]
    port = int(ours.url.rpartition(":")[2])
    addresses = ["127.0.0.1", "::1"][: 1 + has_ipv6]
    assert ours.ready == {"status": "ready", "port": port, "addresses": addresses, "functions": len(FUNCTIONS)}
    for host in ["localhost", "127.0.0.1", "[::1]"][: 2 + has_ipv6]:
        assert requests.get(f"http://{host}:{port}/info", timeout=5).status_code == 200


def test_nothing_listens_beyond_loopback(ours: TabPy) -> None:
    """Another address of this machine is deaf."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only picks the outward address
        except OSError:
            pytest.skip("this machine has no other address")
        outward = probe.getsockname()[0]
    if outward.startswith("127."):
        pytest.skip("this machine has no other address")
    with socket.socket() as client:
        assert client.connect_ex((outward, ours.ready["port"])) != 0


def test_environment_is_built(ours: TabPy) -> None:
    """Proxies and odd variables of the parent are gone; TabPy started in spite of them."""
    names = ours.evaluate("import os\nreturn sorted(os.environ)", []).json()
    assert {"PIXFIELD_URL", "PIXFIELD_TOKEN_FILE", "PATH"} <= set(names)
    assert not {"http_proxy", "HTTP_PROXY", "ALL_PROXY", "ODD"} & set(names)


@on_posix
def test_print_in_a_script_stays_out_of_the_way(ours: TabPy) -> None:
    """Standard output carries our line alone."""
    assert ours.evaluate("print('hello')\nreturn 1", []).json() == 1
    assert ours.process.stdout is not None
    assert select.select([ours.process.stdout], [], [], 0.1)[0] == []


def test_starts_in_a_folder_of_any_name_and_leaves_nothing(server: StandIn, token_file: Path, tmp_path: Path) -> None:
    """A temporary folder with letters and signs that TabPy refuses in paths; no log, no state afterwards."""
    folder = tmp_path / "山田 100%"
    folder.mkdir()
    env = {"TMPDIR": str(folder), "TEMP": str(folder)}
    arguments = ("--server", server.url, "--token-file", str(token_file), "--parent-pipe")
    with launched_tabpy(*arguments, env=env, cwd=folder, stdin=subprocess.PIPE) as tabpy:
        assert tabpy.evaluate("return tabpy.query('image_label', _arg1)['response']", ["a"]).json() == ["label of a"]
        state = Path(requests.get(f"{tabpy.url}/info", timeout=5).json()["state_path"])
        assert state.exists()
        assert tabpy.process.stdin is not None
        tabpy.process.stdin.close()
        assert tabpy.process.wait(5) == 0
    assert not state.exists()
    assert list(folder.iterdir()) == []


@on_posix
def test_child_ignores_ctrl_c_and_stops_on_sigterm(server: StandIn, token_file: Path) -> None:
    """The supervisor decides when it ends."""
    arguments = ("--server", server.url, "--token-file", str(token_file), "--parent-pipe")
    with launched_tabpy(*arguments, stdin=subprocess.PIPE) as tabpy:
        tabpy.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert requests.get(f"{tabpy.url}/info", timeout=5).status_code == 200
        start = time.monotonic()
        tabpy.process.terminate()
        assert tabpy.process.wait(10) == 0
        assert time.monotonic() - start < 3


def test_stops_while_a_script_runs(server: StandIn, token_file: Path) -> None:
    """A script that never ends does not hold TabPy."""
    arguments = ("--server", server.url, "--token-file", str(token_file), "--parent-pipe")
    with launched_tabpy(*arguments, stdin=subprocess.PIPE) as tabpy:
        with pytest.raises(requests.Timeout):
            requests.post(
                f"{tabpy.url}/evaluate",
                json={"data": {}, "script": "import time\ntime.sleep(60)"},
                timeout=0.3,
            )
        assert tabpy.process.stdin is not None
        tabpy.process.stdin.close()
        assert tabpy.process.wait(5) == 0


def test_waits_for_the_server(token_file: Path) -> None:
    """TabPy answers at once, is ready when the server came, and says what is missing when it went."""
    port = free_port()
    process = launcher("--server", f"http://127.0.0.1:{port}", "--token-file", str(token_file))
    try:
        time.sleep(1.5)
        with running(port):
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
        tabpy = TabPy(f"http://127.0.0.1:{ready['port']}", process, ready)
        status = tabpy.evaluate("return tabpy.query('image_status', _arg1)['response']", ["a", "b"]).json()
        label = tabpy.query("image_label", {"paths": ["a", "b"]}).json()["response"]
    finally:
        stopped(process)
    reason = f"Pixfield server not reached at http://127.0.0.1:{port}: start it with `python run.py serve`"
    assert (status, label) == ([reason] * 2, [None] * 2)


def test_scripts_can_be_off(server: StandIn, token_file: Path) -> None:
    """Functions are deployed and answer all the same."""
    with launched_tabpy("--server", server.url, "--token-file", str(token_file), "--no-evaluate") as tabpy:
        assert tabpy.evaluate("return 1").status_code == 404
        assert tabpy.query("image_label", {"paths": ["a"]}).json()["response"] == ["label of a"]


def test_password(server: StandIn, token_file: Path, tmp_path: Path) -> None:
    """With a password file TabPy listens where it is told, and nobody gets in without a password."""
    from tabpy.tabpy_server.handlers.util import hash_password

    passwords = tmp_path / "passwords"
    passwords.write_text(f"ann {hash_password('ann', 'secret')}\n")
    arguments = ("--password-file", str(passwords), "--host", "0.0.0.0")  # noqa: S104 - the claim
    with launched_tabpy("--server", server.url, "--token-file", str(token_file), *arguments) as tabpy:
        script = "return tabpy.query('image_label', _arg1)['response']"
        assert tabpy.evaluate(script, ["a"]).status_code == 401
        assert tabpy.query("image_label", {"paths": ["a"]}).status_code == 401
        assert tabpy.evaluate(script, ["a"], auth=("ann", "secret")).json() == ["label of a"]
        assert tabpy.query("image_label", {"paths": ["a"]}, auth=("ann", "secret")).status_code == 200


def test_open_to_the_network_needs_a_password(server: StandIn) -> None:
    """TabPy runs any script it is sent."""
    said = refusal("--server", server.url, "--host", "0.0.0.0")  # noqa: S104 - the claim
    assert said == "TabPy runs any script it is sent: listening on 0.0.0.0 needs --password-file."


def test_taken_port(ours: TabPy, server: StandIn) -> None:
    """Says which and what to do."""
    port = str(ours.ready["port"])
    said = refusal("--server", server.url, "--port", port)
    assert said == f"Port {port} is taken by another program: stop it, or give TabPy another port."


def test_wrong_token(server: StandIn) -> None:
    """Waiting would not help."""
    said = refusal("--server", server.url)
    assert said == f"The Pixfield server at {server.url} wants its token: name its file (--token-file)."


def test_text_that_breaks_tabpys_state(token_file: Path) -> None:
    """A per cent sign in a description is refused before TabPy sees it."""
    with running() as stand_in:
        stand_in.functions = [FUNCTIONS[0] | {"description": "98 % right"}]
        said = refusal("--server", stand_in.url, "--token-file", str(token_file))
    assert said.startswith("The description of image_label contains '%', which TabPy's state file cannot hold")


def test_importing_does_no_work() -> None:
    """TabPy is not loaded by importing the launcher, the deployer or the forwarder, and the server never is."""
    code = "import sys, tabpy_functions.launcher, tabpy_functions.deploy\nprint(sorted(sys.modules))"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    names = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout
    assert not [name for name in ("'tabpy'", "'tornado'", "'pandas'", "'server'", "'models'") if name in names]
