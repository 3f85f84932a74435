"""The service definitions as text: what systemd and Windows would run is what was typed, whatever is in the paths."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import settings_sources, system_service
from server.errors import SettingsError
from server.settings import Settings
from server.system_service import Service, words_of

ODD = ("/opt/画像 100% $HOME/py", "run.py", "serve", '--images=/data/a "b" \\ c', "--state=C:\\x y\\", "--model=é")
PRINTABLE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" "), min_size=1)
NAMESPACE = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}


def service(*command: str, is_of_system: bool = True, user: str | None = None) -> Service:
    """A service in a folder with a blank."""
    return Service(command=command, folder=Path("/opt/pix field"), is_of_system=is_of_system, stop_s=60,
                   user=user)


def systemd_words(unit: str) -> list[str]:
    """What systemd makes of ExecStart=: a shell's quotes; %% and, in arguments, $$ are single."""
    line = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    program, *words = (word.replace("%%", "%") for word in shlex.split(line.removeprefix("ExecStart=")))
    return [program, *(word.replace("$$", "$") for word in words)]


def windows_words(text: str) -> list[str]:
    """What CommandLineToArgvW makes of a command line: Microsoft's rules, written out."""
    words: list[str] = []
    word, is_quoted, at, is_word = "", False, 0, False
    while at < len(text):
        slashes = len(text[at:]) - len(text[at:].lstrip("\\"))
        at += slashes
        quote = at < len(text) and text[at] == '"'
        word += "\\" * (slashes // 2 if quote else slashes)
        is_word = is_word or slashes > 0
        if at == len(text):
            break
        if quote and slashes % 2:
            word += '"'
        elif quote:
            is_quoted, is_word = not is_quoted, True
        elif text[at] in " \t" and not is_quoted:
            words, word, is_word = [*words, word] if is_word else words, "", False
        else:
            word, is_word = word + text[at], True
        at += 1
    return [*words, word] if is_word else words


def test_systemd_runs_what_was_typed() -> None:
    """Blanks, quotes, backslashes, per cent and dollar signs."""
    assert systemd_words(service(*ODD).unit()) == list(ODD)


@given(words=st.lists(PRINTABLE.filter(str.isprintable), min_size=1, max_size=4))
def test_systemd_runs_any_words(words: list[str]) -> None:
    """A property, for what nobody thought of."""
    assert systemd_words(service(*words).unit()) == words


@given(words=st.lists(PRINTABLE.filter(str.isprintable), min_size=1, max_size=4))
def test_windows_runs_any_words(words: list[str]) -> None:
    """Through XML and through Windows' own splitting."""
    task = ET.fromstring(service("python.exe", *words).task().partition("\n")[2])  # noqa: S314 - our own text
    assert windows_words(task.findtext(".//t:Arguments", "", NAMESPACE)) == words


def test_a_line_break_is_refused() -> None:
    """It would start a setting of its own in the unit file."""
    with pytest.raises(SettingsError, match="has a character that a service definition cannot hold"):
        service("python", "--model=x\nExecStartPre=/bin/evil").unit()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("is_of_system", [True, False])
def test_systemd_finds_nothing_wrong(tmp_path: Path, is_of_system: bool) -> None:
    """`systemd-analyze verify` on a unit with blanks in its paths."""
    program = tmp_path / "py thon 100% $x"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "pixfield.service"
    made = Service(command=(str(program), "run.py", "serve", "--images=/a b", "--model=$x%"), folder=tmp_path,
                   is_of_system=is_of_system, stop_s=60, user="root" if is_of_system else None)
    unit.write_text(made.unit())
    scope = [] if is_of_system else ["--user"]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *scope, str(unit)], capture_output=True, text=True,
                          env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}, check=False)
    assert [line for line in done.stderr.splitlines() if "pixfield.service" in line] == []


def test_a_unit_restarts_on_failure_but_not_for_settings() -> None:
    """Status 2 means that a person must mend something."""
    lines = service("python").unit().splitlines()
    assert {"Restart=on-failure", "RestartPreventExitStatus=2", "WorkingDirectory=/opt/pix field"} <= set(lines)
    assert "User=ann" in service("python", user="ann").unit().splitlines()


@pytest.mark.parametrize(("drain_s", "line"), [(10, "TimeoutStopSec=60"), (120, "TimeoutStopSec=280")])
def test_systemd_waits_until_both_are_drained(drain_s: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """TabPy and the server are stopped one after the other, each within --drain-s and 15 s more."""
    system_service.main(["print", "--on=systemd", f"--drain-s={drain_s}"], environment={})
    assert line in capsys.readouterr().out.splitlines()


def test_a_task_starts_with_the_machine_and_restarts() -> None:
    """The parts of the definition that matter, in the schema's order."""
    task = ET.fromstring(service("C:\\p y\\python.exe", "run.py").task().partition("\n")[2])  # noqa: S314 - our own text
    assert [part.tag.partition("}")[2] for part in task] == ["RegistrationInfo", "Triggers", "Principals", "Settings",
                                                             "Actions"]
    assert task.find(".//t:BootTrigger", NAMESPACE) is not None
    assert task.findtext(".//t:UserId", "", NAMESPACE) == "S-1-5-19"
    assert task.findtext(".//t:RestartOnFailure/t:Count", "", NAMESPACE) == "999"
    assert task.findtext(".//t:Command", "", NAMESPACE) == "C:\\p y\\python.exe"


def found(words: Sequence[str], environment: Mapping[str, str], config: Path) -> settings_sources.SourcedSettings:
    """What a start means."""
    parser = argparse.ArgumentParser()
    settings_sources.add_arguments(parser)
    return settings_sources.read(parser.parse_args(list(words)), environment=environment, default_config=config)


def test_the_service_means_the_start_that_installed_it(tmp_path: Path) -> None:
    """The file is named; flags and variables are written out, also those that switch something off."""
    config = tmp_path / "pix field.toml"
    config.write_text("half = true\nno_tabpy = true\ncache_mb = 7\n")
    start = found(["--no-half", "--images=a", "--images=b c"], {"PIXFIELD_PORT": "77"}, config)
    words = words_of(start)
    assert words[0] == f"--config={config}"
    folders = {f"--images={Path.cwd() / name}" for name in ("a", "b c")}
    assert set(words[1:]) == folders | {"--port=77", "--no-half"}
    assert found(words, {}, Path("/none")).settings == start.settings
    assert start.settings != Settings()


def test_install_writes_the_unit_and_starts_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And uninstall takes both back."""
    ran: list[Sequence[str]] = []
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}

    def run(command: Sequence[str]) -> int:
        ran.append(command)
        return 0

    path = tmp_path / "systemd" / "user" / "pixfield.service"
    options = ["--on=systemd", f"--images={tmp_path}"]
    assert system_service.main(["install", *options], run=run, environment=environment) == 0
    assert f'"--images={tmp_path}"' in path.read_text()
    assert ran[-1] == ["systemctl", "--user", "enable", "--now", "pixfield.service"]
    assert system_service.main(["uninstall", "--on=systemd"], run=run, environment=environment) == 0
    assert not path.exists()
    assert ran[-2:] == [["systemctl", "--user", "disable", "--now", "pixfield.service"],
                        ["systemctl", "--user", "daemon-reload"]]
    assert system_service.main(["uninstall", "--on=systemd"], run=run, environment=environment) == 2
    assert "nothing is installed" in capsys.readouterr().err


def test_windows_gets_its_task_by_schtasks(tmp_path: Path) -> None:
    """The definition is read while the command runs, in UTF-16, as schtasks wants it."""
    seen: list[str] = []

    def run(command: Sequence[str]) -> int:
        if "/XML" in command:
            seen.append(Path(command[command.index("/XML") + 1]).read_bytes().decode("utf-16"))
        return 0

    status = system_service.main(["install", "--system", "--on=windows", f"--images={tmp_path}"], run=run,
                                 environment={})
    assert status == 0
    assert f"--images={tmp_path}" in seen[0]


def test_a_failing_command_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its own status."""
    status = system_service.main(["install", "--on=systemd"], run=lambda _: 4,
                                 environment={"XDG_CONFIG_HOME": str(tmp_path)})
    assert status == 4
    assert "`systemctl --user daemon-reload` failed with status 4" in capsys.readouterr().err
