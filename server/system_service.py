"""`run.py service install | uninstall | print`: Pixfield as a service of systemd or of Windows' Task Scheduler.

A start's settings enter, the text of a unit file or of a task leaves. The configuration file is named in it, not
copied; flags and variables of this start are written out, with absolute paths, because a service has neither.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from xml.sax.saxutils import escape

from server import settings_sources
from server.errors import SettingsError
from server.settings import Settings, as_arguments, contrary_flag_of, flag_of
from server.settings_sources import SourcedSettings
from server.supervisor import STOP_TIMEOUT_S

NAME = "pixfield"
ROOT = Path(__file__).resolve().parent.parent
_LAST_S = 10  # for the supervisor itself, after its two children

Run = Callable[[Sequence[str]], int]

_UNIT = """\
[Unit]
Description=Pixfield: image classification for Tableau
After=network-online.target remote-fs.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=simple
ExecStart={command}
WorkingDirectory={folder}
Environment=PYTHONUTF8=1
Restart=on-failure
RestartSec=5
RestartPreventExitStatus=2
KillMode=mixed
TimeoutStopSec={stop_s}
UMask=0077
NoNewPrivileges=yes
{user}
[Install]
WantedBy={wanted_by}
"""

_TASK = """\
<?xml version="1.0" encoding="UTF-16"?>
<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">
  <RegistrationInfo><Description>Pixfield: image classification for Tableau</Description></RegistrationInfo>
  <Triggers>{trigger}</Triggers>
  <Principals><Principal id="Author">{principal}<RunLevel>LeastPrivilege</RunLevel></Principal></Principals>
  <Settings>
    <MultipleInstancesPolicy>IgnoreNew</MultipleInstancesPolicy>
    <DisallowStartIfOnBatteries>false</DisallowStartIfOnBatteries>
    <StopIfGoingOnBatteries>false</StopIfGoingOnBatteries>
    <ExecutionTimeLimit>PT0S</ExecutionTimeLimit>
    <RestartOnFailure><Interval>PT1M</Interval><Count>999</Count></RestartOnFailure>
  </Settings>
  <Actions Context="Author">
    <Exec><Command>{program}</Command><Arguments>{arguments}</Arguments><WorkingDirectory>{folder}</WorkingDirectory></Exec>
  </Actions>
</Task>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: what it runs, where, for whom; `user` is the account, None for the one that installs it.

    `stop_s` is how long stopping may take before the system kills what is left.
    """

    command: tuple[str, ...]
    folder: Path
    is_of_system: bool
    stop_s: int
    user: str | None = None

    def unit(self) -> str:
        """The systemd unit file.

        Raises:
            SettingsError: a word with a line break or another control character, which no unit file can hold.
        """
        user = f"User={_plain(self.user)}\n" if self.user else ""
        wanted_by = "multi-user.target" if self.is_of_system else "default.target"
        program, *words = map(_unit_word, self.command)
        command = " ".join([program, *(word.replace("$", "$$") for word in words)])  # variables only in arguments
        return _UNIT.format(command=command, folder=_plain(str(self.folder)),
                            stop_s=self.stop_s, user=user, wanted_by=wanted_by)

    def task(self) -> str:
        """The definition for Windows' Task Scheduler; it is to be saved in UTF-16."""
        trigger = "<BootTrigger/>" if self.is_of_system else "<LogonTrigger/>"
        account = self.user or ("S-1-5-19" if self.is_of_system else "")  # LOCAL SERVICE
        principal = f"<UserId>{escape(account)}</UserId>" if account else "<LogonType>InteractiveToken</LogonType>"
        for word in self.command:
            _refuse_controls(word)
        return _TASK.format(trigger=trigger, principal=principal, program=escape(self.command[0]),
                            arguments=escape(subprocess.list2cmdline(self.command[1:])),
                            folder=escape(str(self.folder)))


def words_of(found: SourcedSettings) -> list[str]:
    """The arguments of `serve` that mean the same in every folder and without variables."""
    words = [] if found.config is None else [f"--config={Path(os.path.abspath(found.config))}"]  # noqa: PTH100 - keeps links
    named = [row.name for row in fields(Settings) if found.origins[row.name].startswith(("--", "PIXFIELD_"))]
    written = as_arguments(found.settings)
    for name in named:
        own = [word for word in written if word.partition("=")[0] == flag_of(name)]
        is_off = getattr(found.settings, name) is False
        words += [contrary_flag_of(name)] if is_off else own
    return words


def stop_s_of(settings: Settings) -> int:
    """Seconds in which TabPy and then the server are drained and ended, and the supervisor too."""
    return math.ceil(2 * (settings.drain_s + STOP_TIMEOUT_S)) + _LAST_S


def _unit_word(word: str) -> str:
    """A word as systemd reads it: in quotes, with its specifiers doubled."""
    _refuse_controls(word)
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _plain(text: str) -> str:
    """A whole value of a unit file, which takes blanks as they are."""
    _refuse_controls(text)
    return text.replace("%", "%%")


def _refuse_controls(text: str) -> None:
    if any(not char.isprintable() for char in text):
        raise SettingsError(f"{text!r} has a character that a service definition cannot hold: use another name.")


# ---- the command -------------------------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None, *, run: Run = subprocess.call,
         environment: Mapping[str, str] = os.environ) -> int:
    """`python run.py service`; 0 when done, 2 and one sentence when not."""
    arguments = _parser().parse_args(argv)
    try:
        found = settings_sources.read(arguments, environment=environment,
                                      are_folders_checked=arguments.verb == "install")
        service = Service(command=(_python(), str(ROOT / "run.py"), "serve", *words_of(found)), folder=ROOT,
                          is_of_system=arguments.system, stop_s=stop_s_of(found.settings), user=arguments.user)
        verbs = {"print": _print, "install": _install, "uninstall": _uninstall}
        return verbs[arguments.verb](service, arguments.on == "windows", run, environment)
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2
    except OSError as exc:
        print(f"{exc.filename} cannot be written ({exc.strerror}): run this as an administrator, or without --system.",
              file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py service", description="Pixfield as a service of this machine.")
    parser.add_argument("verb", choices=("install", "uninstall", "print"))
    parser.add_argument("--system", action="store_true", help="for the whole machine; without it for this user")
    parser.add_argument("--user", metavar="ACCOUNT", help="with --system: the account it runs as")
    parser.add_argument("--on", choices=("systemd", "windows"), default="windows" if os.name == "nt" else "systemd",
                        help="what it is written for (default: this machine)")
    settings_sources.add_arguments(parser)
    return parser


def _python() -> str:
    """The project's own Python where there is one, else this one; by its path, not by what the path links to."""
    own = ROOT / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    return str(own) if own.exists() else sys.executable


def _print(service: Service, is_windows: bool, _: Run, __: Mapping[str, str]) -> int:
    print(service.task() if is_windows else service.unit(), end="")
    return 0


def _install(service: Service, is_windows: bool, run: Run, environment: Mapping[str, str]) -> int:
    if is_windows:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{NAME}.xml"
            path.write_text(service.task(), encoding="utf-16")
            return _run_all(run, ["schtasks", "/Create", "/TN", NAME, "/XML", str(path), "/F"],
                            ["schtasks", "/Run", "/TN", NAME])
    path = unit_path(service.is_of_system, environment)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(service.unit(), encoding="utf-8")
    print(f"{path} is written.")
    if not service.is_of_system:
        print("It runs while you are logged in; `loginctl enable-linger` keeps it running without you.")
    return _run_all(run, [*_systemctl(service), "daemon-reload"],
                    [*_systemctl(service), "enable", "--now", f"{NAME}.service"])


def _uninstall(service: Service, is_windows: bool, run: Run, environment: Mapping[str, str]) -> int:
    if is_windows:
        run(["schtasks", "/End", "/TN", NAME])  # fails where it does not run
        return _run_all(run, ["schtasks", "/Delete", "/TN", NAME, "/F"])
    path = unit_path(service.is_of_system, environment)
    if not path.exists():
        whom = "machine" if service.is_of_system else "user"
        raise SettingsError(f"{path} is not there: nothing is installed for this {whom}.")
    status = _run_all(run, [*_systemctl(service), "disable", "--now", f"{NAME}.service"])
    if status:
        return status
    path.unlink()
    print(f"{path} is removed; stored answers and settings stay.")
    return _run_all(run, [*_systemctl(service), "daemon-reload"])


def unit_path(is_of_system: bool, environment: Mapping[str, str]) -> Path:
    """Where systemd looks for the unit file."""
    if is_of_system:
        return Path("/etc/systemd/system") / f"{NAME}.service"
    config = environment.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(config) / "systemd" / "user" / f"{NAME}.service"


def _systemctl(service: Service) -> list[str]:
    return ["systemctl"] if service.is_of_system else ["systemctl", "--user"]


def _run_all(run: Run, *commands: Sequence[str]) -> int:
    """Each command until one fails; what it said stands above."""
    for command in commands:
        if status := run(command):
            print(f"`{' '.join(command)}` failed with status {status}: mend that and start again.", file=sys.stderr)
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
