"""The doctor against planted faults: each a small real setup with one thing wrong, and only that is named."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from stack import Running, free_ports, started

from models import digits
from server.doctor.__main__ import CHECKS, examine, main, report
from server.doctor.finding import Case, Finding
from server.doctor.machine import mappings
from server.doctor.machine import state as state_findings
from server.functions import FUNCTIONS
from server.service import state_folder
from server.store import SCHEMA_VERSION
from tabpy_functions import deployment, function_table
from tabpy_functions.endpoints import endpoint_of
from tabpy_functions.http_json import Site

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "the-token-of-these-tests"  # noqa: S105 - of these tests


@dataclass(frozen=True, slots=True)
class World:
    """A healthy Pixfield with pictures and a token, another one without either, and TabPys of other kinds."""

    one: Running
    other: Running
    healthy: Case
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Started once; a fault that changes one of them mends it again."""
    folder = tmp_path_factory.mktemp("doctor")
    pictures = folder / "pictures"
    pictures.mkdir()
    for name, data, _ in list(digits.held_out())[:5]:
        (pictures / name).write_bytes(data)
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(TOKEN)
    for state in ("state", "other"):
        (folder / state).mkdir()
    with started(folder / "state", images=(pictures,), token_file=token) as one, started(folder / "other") as other:
        case = Case(settings=one.settings, server_url=one.server, tabpy_url=one.tabpy, token=TOKEN, environment={})
        yield World(one, other, case, folder)


def faults(case: Case) -> list[Finding]:
    """What is not well."""
    return [finding for finding in examine(case) if finding.is_well is False]


def test_a_healthy_pixfield_has_none(world: World) -> None:
    """Every check is well, each hop is timed."""
    found = list(examine(world.healthy))
    assert [finding.line() for finding in found if not finding.is_well] == []
    timed = [finding.check for finding in found if " ms" in finding.text]
    assert timed == ["server column", "TabPy /query", "TabPy /evaluate"]


Plant = Callable[[World, Path], contextlib.AbstractContextManager[Case]]
PLANTED: dict[str, tuple[Plant, str, str]] = {}
"""Fault -> (how it is planted, the check that finds it, words of its line)."""


def planted(check: str, words: str) -> Callable[[Callable[[World, Path], Any]], Callable[[World, Path], Any]]:
    """Registers a way to plant a fault: a function that returns a case, or yields one while the fault lasts."""

    def register(plant: Callable[[World, Path], Any]) -> Callable[[World, Path], Any]:
        @contextlib.contextmanager
        def lasting(world: World, folder: Path) -> Iterator[Case]:
            case = plant(world, folder)
            if isinstance(case, Case):
                yield case
            else:
                yield from case

        PLANTED[plant.__name__] = lasting, check, words
        return plant

    return register


def with_settings(case: Case, **changes: Any) -> Case:
    """The case with other settings."""
    return replace(case, settings=replace(case.settings, **changes))


# ---- this machine ------------------------------------------------------------------------------------------------


@planted("Python", "3.10 is not one of")
def old_python(world: World, _: Path) -> Case:
    return replace(world.healthy, python=(3, 10))


def project(folder: Path, requirements: str) -> Path:
    """Another project folder, whose TabPy side is the real one."""
    (folder / ".venv").mkdir()
    (folder / "requirements-serve.txt").write_text(requirements)
    (folder / "tabpy_functions").symlink_to(ROOT / "tabpy_functions")
    return folder


@planted("Python", "broken off")
def broken_off_install(world: World, folder: Path) -> Case:
    root = project(folder, "flask\n")
    (root / ".venv" / "pixfield-installing").touch()
    return replace(world.healthy, root=root)


@planted("packages", "no-such-package is not installed")
def missing_package(world: World, folder: Path) -> Case:
    return replace(world.healthy, root=project(folder, "flask~=3.1\nno-such-package==1.0  # why\n"))


@planted("packages", "==0.1 is needed")
def wrong_package_version(world: World, folder: Path) -> Case:
    return replace(world.healthy, root=project(folder, "tabpy==0.1\n"))


@planted("ports", "are both")
def one_port_twice(world: World, _: Path) -> Case:
    return with_settings(world.healthy, tabpy_port=world.one.settings.port)


@planted("port", "cannot be used")
def port_taken_by_another_program(world: World, _: Path) -> Iterator[Case]:
    with answering(b"hello") as url:
        case = with_settings(world.healthy, tabpy_port=int(url.rpartition(":")[2]))
        yield replace(case, tabpy_url=url)


@planted("state folder", "cannot be")
def state_is_a_file(world: World, folder: Path) -> Case:
    (folder / "file").touch()
    return with_settings(world.healthy, state=folder / "file" / "state")


@planted("state folder", "is locked by a Pixfield that does not answer")
def state_locked(world: World, folder: Path) -> Iterator[Case]:
    port = free_ports()[0]
    with state_folder(folder / "s"):
        case = with_settings(world.healthy, state=folder / "s", port=port)
        yield replace(case, server_url=f"http://127.0.0.1:{port}")


@planted("disk", "5 MB are free")
def full_disk(world: World, _: Path) -> Case:
    return replace(world.healthy, free_bytes=lambda _: 5_000_000)


@planted("stored answers", "cannot be read")
def damaged_answers(world: World, folder: Path) -> Case:
    (folder / "answers.sqlite").write_bytes(b"no database" * 100)
    return with_settings(world.healthy, state=folder)


@planted("stored answers", "newer Pixfield")
def answers_of_a_newer_pixfield(world: World, folder: Path) -> Case:
    with contextlib.closing(sqlite3.connect(folder / "answers.sqlite")) as connection:
        connection.execute("CREATE TABLE answers (digest TEXT)")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    return with_settings(world.healthy, state=folder)


@planted("token file", "is empty")
def empty_token_file(world: World, folder: Path) -> Case:
    (folder / "token").touch()
    return with_settings(world.healthy, token_file=folder / "token")


@planted("token file", "can be read by other users")
def token_for_all_to_read(world: World, folder: Path) -> Case:
    (folder / "token").write_text(TOKEN)
    (folder / "token").chmod(0o644)
    return with_settings(world.healthy, token_file=folder / "token")


# ---- models and pictures -----------------------------------------------------------------------------------------


def models(folder: Path) -> Path:
    """A copy of the shipped model."""
    shutil.copytree(ROOT / "models" / "store" / "digits", folder / "digits")
    return folder


@planted("model folder", "is not there")
def no_model_folder(world: World, folder: Path) -> Case:
    return with_settings(world.healthy, store=folder / "none")


@planted("model folder", "half copied")
def half_copied_model(world: World, folder: Path) -> Case:
    store = models(folder)
    shutil.copytree(store / "digits" / "1", store / "digits" / "2")
    (store / "digits" / "2" / "model.json").unlink()
    return with_settings(world.healthy, store=store)


@planted("model", "has SHA-256")
def changed_model_file(world: World, folder: Path) -> Case:
    with (models(folder) / "digits" / "1" / "model.onnx").open("ab") as file:
        file.write(b"\0")
    return with_settings(world.healthy, store=folder)


@planted("alias", "digits@best means version 7")
def alias_that_leads_nowhere(world: World, folder: Path) -> Case:
    (models(folder) / "digits" / "aliases.json").write_text('{"best": "7"}')
    return with_settings(world.healthy, store=folder)


@planted("model", "There is no model 'cats'")
def unknown_model(world: World, _: Path) -> Case:
    return with_settings(world.healthy, model="cats")


@planted("image folder", "is not there")
def missing_image_folder(world: World, folder: Path) -> Case:
    return with_settings(world.healthy, images=(*world.healthy.settings.images, folder / "gone"))


@planted("image folder", "is a file")
def image_folder_that_is_a_file(world: World, folder: Path) -> Case:
    (folder / "a.png").touch()
    return with_settings(world.healthy, images=(*world.healthy.settings.images, folder / "a.png"))


@planted("image folder", "has no pictures")
def empty_image_folder(world: World, folder: Path) -> Case:
    (folder / "notes.txt").touch()
    return with_settings(world.healthy, images=(*world.healthy.settings.images, folder))


@planted("image folders", "none is allowed")
def no_image_folder(world: World, _: Path) -> Case:
    return with_settings(world.healthy, images=())


# ---- surroundings ------------------------------------------------------------------------------------------------


@planted("proxies", "HTTP_PROXY and http_proxy are both set")
def proxy_in_both_spellings(world: World, _: Path) -> Case:
    environment = {"http_proxy": "http://p", "HTTP_PROXY": "http://p", "NO_PROXY": "localhost"}
    return replace(world.healthy, is_tabpy_ours=False, environment=environment)


@planted("proxies", "sends its own questions to the proxy")
def proxy_without_exceptions(world: World, _: Path) -> Case:
    return replace(world.healthy, is_tabpy_ours=False, environment={"HTTP_PROXY": "http://p"})


@planted("clock", "get a time -30 s from this machine's")
def clock_ahead(world: World, _: Path) -> Case:
    return replace(world.healthy, now=lambda: time.time() + 30)


@planted("clock", "1 of the pictures looked at are dated in the future")
def picture_from_the_future(world: World, folder: Path) -> Case:
    picture = shutil.copy(next(world.healthy.settings.images[0].iterdir()), folder / "a.png")
    os.utime(picture, (time.time() + 86_400,) * 2)
    return with_settings(world.healthy, images=(*world.healthy.settings.images, folder))


# ---- the server --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def answering(body: bytes) -> Iterator[str]:
    """A program that answers every question with `body`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - the library's name

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@planted("server", "nothing answers")
def no_server(world: World, _: Path) -> Case:
    return replace(world.healthy, server_url=f"http://127.0.0.1:{free_ports()[0]}", is_server_here=False,
                   settings=replace(world.healthy.settings, state=world.folder / "fresh"))


@planted("server", "is no Pixfield server")
def another_program_at_the_servers_address(world: World, _: Path) -> Iterator[Case]:
    with answering(b"hello") as url:
        yield replace(world.healthy, server_url=url, is_server_here=False)


@planted("token", "refuses the token")
def wrong_token(world: World, folder: Path) -> Case:
    (folder / "token").touch(mode=0o600)
    (folder / "token").write_text("wrong")
    return replace(with_settings(world.healthy, token_file=folder / "token"), token="wrong")  # noqa: S106 - wrong


@planted("token", "wants a token and none was given")
def missing_token(world: World, _: Path) -> Case:
    return replace(with_settings(world.healthy, token_file=None), token="")


@planted("ready", "There is no model 'cats'")
def server_without_a_model(world: World, folder: Path) -> Iterator[Case]:
    port = free_ports()[0]
    command = [sys.executable, "-m", "server", f"--port={port}", f"--state={folder}", "--model=cats", "--parent-pipe"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        wait_for(port)
        yield replace(world.healthy, server_url=f"http://127.0.0.1:{port}", is_server_here=False)
        cast("Any", process.stdin).close()
        process.wait(20)


@planted("server column", "no picture has an answer: no folder is allowed")
def server_that_does_not_see_the_pictures(world: World, _: Path) -> Case:
    return replace(world.healthy, server_url=world.other.server, is_server_here=False)


# ---- TabPy -------------------------------------------------------------------------------------------------------


@planted("TabPy", "nothing answers")
def no_tabpy(world: World, _: Path) -> Case:
    return replace(world.healthy, tabpy_url=f"http://127.0.0.1:{free_ports()[0]}", is_tabpy_ours=False)


@planted("TabPy", "is no TabPy")
def another_program_at_tabpys_address(world: World, _: Path) -> Iterator[Case]:
    with answering(b'{"hello": 1}') as url:
        yield replace(world.healthy, tabpy_url=url, is_tabpy_ours=False)


@planted("TabPy version", "1.1 is too old")
def old_tabpy(world: World, _: Path) -> Iterator[Case]:
    with answering(b'{"server_version": "1.1"}') as url:
        yield replace(world.healthy, tabpy_url=url, is_tabpy_ours=False)


@contextlib.contextmanager
def launched(world: World, *options: str) -> Iterator[str]:
    """A TabPy of ours with other options, in front of the healthy server."""
    command = [sys.executable, "-m", "tabpy_functions.launcher", "--port=0", f"--server={world.one.server}",
               f"--token-file={world.one.settings.token_file}", "--parent-pipe", *options]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        yield f"http://127.0.0.1:{json.loads(cast('Any', process.stdout).readline())['port']}"
        cast("Any", process.stdin).close()
        process.wait(20)


@planted("TabPy password", "is asked for and none was given")
def tabpy_with_a_password(world: World, folder: Path) -> Iterator[Case]:
    add = [str(Path(sys.executable).with_name("tabpy-user")), "add", "-u", "ann", "-p", "secret", "-f",
           str(folder / "users")]
    (folder / "users").touch()
    subprocess.run(add, check=True, capture_output=True)
    with launched(world, f"--password-file={folder / 'users'}") as url:
        case = replace(world.healthy, tabpy_url=url, is_tabpy_ours=False)
        (folder / "password").write_text("secret")
        assert faults(replace(case, tabpy_login=("ann", folder / "password"))) == []
        yield case


@planted("TabPy scripts", "are switched off")
def tabpy_without_scripts(world: World, _: Path) -> Iterator[Case]:
    with launched(world, "--no-evaluate") as url:
        yield replace(world.healthy, tabpy_url=url, is_tabpy_ours=False)


@planted("TabPy /query", "no row has an answer")
def tabpy_of_another_server(world: World, _: Path) -> Case:
    return replace(world.healthy, tabpy_url=world.other.tabpy, is_tabpy_ours=False)


@contextlib.contextmanager
def changed_functions(world: World) -> Iterator[tuple[Case, Site, dict[str, Any]]]:
    """The other TabPy, whose functions are put right again afterwards."""
    tabpy = Site(world.other.tabpy)
    endpoints = {f.name: endpoint_of(f) for f in function_table.fetch(Site(world.other.server))}
    try:
        yield replace(world.healthy, tabpy_url=world.other.tabpy, is_tabpy_ours=False), tabpy, endpoints
    finally:
        deployment.deploy(tabpy, list(endpoints.values()), replace=True)


def with_older(world: World, name: str, endpoints: dict[str, Any]) -> list[Any]:
    """The functions, one of them as another version of Pixfield describes it."""
    function = next(f for f in function_table.fetch(Site(world.other.server)) if f.name == name)
    return list((endpoints | {name: endpoint_of(replace(function, description="As it was."))}).values())


@planted("functions", f"1 of {len(FUNCTIONS)} are not deployed: image_label")
def missing_function(world: World, _: Path) -> Iterator[Case]:
    with launched(world) as url:
        tabpy = Site(url)
        endpoints = {f.name: endpoint_of(f) for f in function_table.fetch(Site(world.other.server))}
        deployment.deploy(tabpy, with_older(world, "image_label", endpoints))  # it deletes only what came over HTTP
        assert tabpy.ask("DELETE", "/endpoints/image_label").status < 300
        yield replace(world.healthy, tabpy_url=url, is_tabpy_ours=False)


@planted("functions", f"1 of {len(FUNCTIONS)} are not the server's own: image_margin")
def old_function(world: World, _: Path) -> Iterator[Case]:
    with changed_functions(world) as (case, tabpy, endpoints):
        deployment.deploy(tabpy, with_older(world, "image_margin", endpoints))
        yield case


@planted("functions", "somebody else's are under the names image_note")
def foreign_function(world: World, _: Path) -> Iterator[Case]:
    with changed_functions(world) as (case, tabpy, endpoints):
        ours = endpoints["image_note"]
        theirs = replace(ours, digest="none", schema={**ours.schema, "input": {"type": "object"}})
        deployment.deploy(tabpy, [*(e for e in endpoints.values() if e is not ours), theirs])
        yield case


def wait_for(port: int) -> None:
    """Returns when something listens there."""
    until = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


# ---- all of them -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_named_first(world: World, tmp_path: Path, name: str,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    """The first problem is the planted one, it comes with something to do, and that is the one next thing."""
    plant, check, words = PLANTED[name]
    with plant(world, tmp_path) as case:
        found = faults(case)
        assert found, "nothing was found"
        assert (found[0].check, found[0].remedy != "") == (check, True)
        assert words in found[0].text
        assert report(iter(found)) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"Next: {found[0].remedy} ({check}: ")


def test_at_least_fifteen_faults_are_planted() -> None:
    """As promised; and none hides another check: each check but the mappings' is among them."""
    assert len(PLANTED) >= 15
    assert len(CHECKS) == 11


@pytest.mark.parametrize(("target", "words"), [
    ("{images}", "mapping: "),
    ("{images}/a=b", "mapping: "),
    ("{images}/none", "which is no folder"),
    ("https://img.corp/c", "which is no folder"),
    ("{elsewhere}", "in none of --images"),
    ("", "expected FROM=TO"),
])
def test_a_mapping_is_read_as_the_server_reads_it(world: World, tmp_path: Path, target: str, words: str) -> None:
    """It is well where `serve` takes it, else the finding says why not."""
    images = tmp_path / "images"
    (images / "a=b").mkdir(parents=True)
    mapping = rf"\\nas\a={target.format(images=images, elsewhere=tmp_path)}"
    (finding,) = mappings(with_settings(world.healthy, images=(images,), map=(mapping,)))
    assert (finding.is_well, words in finding.line()) == (words == "mapping: ", True), finding.line()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
def test_the_doctor_changes_nothing_in_the_state_folder(world: World, tmp_path: Path) -> None:
    """Run as another user it would leave a lock that the server cannot open, or take rights away."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    (folder / "image-id.key").touch(mode=0o644)
    list(state_findings(with_settings(world.healthy, state=folder)))
    assert ([path.name for path in folder.iterdir()], folder.stat().st_mode & 0o777) == (["image-id.key"], 0o755)


def test_settings_that_cannot_be_read_are_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The doctor is what one asks then."""
    (tmp_path / "pixfield.toml").write_text("prot = 1\n")
    assert main(["--config", str(tmp_path / "pixfield.toml")]) == 1
    out = capsys.readouterr().out
    assert "PROBLEM settings: " in out
    assert "did you mean port?" in out


def test_the_command_says_all_is_well(world: World) -> None:
    """As a user types it: status 0, the token not shown."""
    settings = world.one.settings
    done = subprocess.run([sys.executable, "-m", "server.doctor", f"--port={settings.port}", "--model=digits",
                           f"--tabpy-port={settings.tabpy_port}", f"--images={settings.images[0]}",
                           f"--state={settings.state}", f"--token-file={settings.token_file}"],
                          cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "All is well."), done.stdout + done.stderr
    assert TOKEN not in done.stdout + done.stderr
