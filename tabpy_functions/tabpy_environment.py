"""The surroundings TabPy is started in: environment, configuration file, state folder; all built, nothing inherited.

TabPy feeds the whole environment to a ConfigParser: a per cent sign anywhere, or both `http_proxy` and `HTTP_PROXY`,
and it dies; one proxy variable, and every `tabpy.query` goes to the proxy. Its own default configuration logs whole
columns into the working directory.
"""

import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

EVALUATE_TIMEOUT_S = 30
_KEPT = frozenset(  # what Python and its libraries need to work on Linux, macOS and Windows; never a proxy
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TEMP", "TMP"}
    | {
        "SYSTEMROOT",
        "SYSTEMDRIVE",
        "WINDIR",
        "COMSPEC",
        "PATHEXT",
        "USERPROFILE",
        "USERNAME",
        "APPDATA",
        "LOCALAPPDATA",
    }
    | {"PROGRAMDATA", "PUBLIC", "NUMBER_OF_PROCESSORS", "PYTHONUTF8", "PYTHONPATH", "PYTHONHOME"}
    | {"SSL_CERT_FILE", "SSL_CERT_DIR", "PIXFIELD_TOKEN"}
)
_TABPY_TAKES = re.compile(r"[-_~./:()\\A-Za-z0-9 ]+")  # as its own check of an endpoint's path

_CONFIG = """\
[TabPy]
TABPY_PORT = {port}
TABPY_STATE_PATH = {state}
TABPY_QUERY_OBJECT_PATH = {state}
TABPY_EVALUATE_ENABLE = {evaluate}
TABPY_EVALUATE_TIMEOUT = {timeout_s}
TABPY_ARROW_ENABLE = false
{password_line}

[loggers]
keys = root
[handlers]
keys = stderr
[formatters]
keys = line
[logger_root]
level = WARNING
handlers = stderr
[handler_stderr]
class = StreamHandler
formatter = line
args = (sys.stderr,)
[formatter_line]
format = %(asctime)s %(levelname)s %(name)s: %(message)s
"""


@dataclass(frozen=True, slots=True)
class TabPySettings:
    """What the configuration file says about one TabPy."""

    port: int
    state: Path
    is_evaluate_on: bool
    password_file: Path | None


def built(inherited: Mapping[str, str], *, server_url: str, token_file: Path | None) -> dict[str, str]:
    """The environment that TabPy and the functions in it see."""
    kept = {name: value for name, value in inherited.items() if name.upper() in _KEPT}
    kept["PIXFIELD_URL"] = server_url
    named = token_file or inherited.get("PIXFIELD_TOKEN_FILE")
    if named:
        kept["PIXFIELD_TOKEN_FILE"] = str(Path(named).resolve())
    kept["NO_PROXY"] = "localhost,127.0.0.1,::1"  # macOS and Windows know proxies from their settings, too
    return kept


def enter(environment: Mapping[str, str]) -> None:
    """Makes `environment` the process's own."""
    os.environ.clear()
    os.environ.update(environment)


@contextmanager
def config_file(settings: TabPySettings) -> Iterator[Path]:
    """A TabPy configuration, and while it is read no environment that could break it."""
    path = settings.state / "tabpy.conf"
    path.write_text(_config(settings))  # in the platform's encoding: TabPy reads it so
    before = dict(os.environ)
    enter({})
    try:
        yield path
    finally:
        enter(before)


def _config(settings: TabPySettings) -> str:
    password_line = f"TABPY_PWD_FILE = {_ini(settings.password_file)}" if settings.password_file else ""
    return _CONFIG.format(
        port=settings.port,
        state=_ini(settings.state),
        evaluate=str(settings.is_evaluate_on).lower(),
        timeout_s=EVALUATE_TIMEOUT_S,
        password_line=password_line,
    )


def _ini(path: Path) -> str:
    """A path as a value in an ini file, where a per cent sign starts a reference."""
    return str(path).replace("%", "%%")


@contextmanager
def state_folder() -> Iterator[Path]:
    """A folder for TabPy's state, gone afterwards: the functions are deployed anew at each start."""
    with tempfile.TemporaryDirectory(prefix="pixfield-tabpy-", dir=_state_parent(), ignore_cleanup_errors=True) as name:
        yield Path(name)


def _state_parent() -> Path:
    """The temporary folder; another one where its name has letters that TabPy refuses in an endpoint's path."""
    usual = Path(tempfile.gettempdir())
    names = [os.environ.get("PUBLIC"), os.environ.get("PROGRAMDATA"), "/tmp", "/var/tmp"]  # noqa: S108 - as mkdtemp does
    places = [usual, *(Path(name) for name in names if name)]
    usable = [place for place in places if _TABPY_TAKES.fullmatch(str(place.resolve())) and os.access(place, os.W_OK)]
    return usable[0] if usable else usual
