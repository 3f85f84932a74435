"""What must be well on this machine before anything is started: Python, ports, folders, disk, clock, proxies."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import os
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from server.doctor.finding import Case, Finding, ask, fault, well
from server.doors import read_tokens
from server.errors import SettingsError
from server.filesystems import network_kind
from server.path_text import PathTexts
from server.paths import Roots
from server.service import is_in_use
from server.settings import is_loopback
from server.store import SCHEMA_VERSION
from server.supervisor import check_port

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp"})
_VERSIONS = ((3, 11), (3, 12), (3, 13))
_LEAST_FREE_BYTES = 1_000_000_000
_SKEW_S = 5.0  # FAT keeps times to 2 s
_LOOKED_AT = 20_000  # directory entries; a share of millions is not walked through
_SAMPLE = 20


def python(case: Case) -> Iterator[Finding]:
    """Python's version, the environment, and the packages that serving needs."""
    from packaging.requirements import Requirement

    shown = ".".join(map(str, case.python))
    if case.python not in _VERSIONS:
        yield fault("Python", f"{shown} is not one of 3.11, 3.12, 3.13",
                    "install one of them and remove the folder .venv")
    elif (case.root / ".venv" / "pixfield-installing").exists():
        yield fault("Python", "the last installation was broken off", "run `python run.py demo`, which installs afresh")
    else:
        yield well("Python", shown)
    wrong = []
    for line in (case.root / "requirements-serve.txt").read_text(encoding="utf-8").splitlines():
        if text := line.partition("#")[0].strip():
            wrong += _unmet(Requirement(text))
    if wrong:
        yield fault("packages", "; ".join(wrong), "run `python run.py serve`, which installs what is missing")
    else:
        yield well("packages", "as requirements-serve.txt asks")


def _unmet(requirement: object) -> list[str]:
    name, specifier = getattr(requirement, "name", ""), getattr(requirement, "specifier", "")
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return [f"{name} is not installed"]
    return [] if version in specifier else [f"{name} is {version}, {specifier} is needed"]


def ports(case: Case) -> Iterator[Finding]:
    """The two ports: different, and free or held by what belongs there."""
    settings = case.settings
    if settings.port == settings.tabpy_port and not settings.no_tabpy:
        yield fault("ports", f"--port and --tabpy-port are both {settings.port}", "give them different numbers")
        return
    if case.is_server_here:
        yield _port(settings.host, settings.port, "--port", case.server_url + "/healthz", "status")
    if case.is_tabpy_ours and case.tabpy_url:
        yield _port("127.0.0.1", settings.tabpy_port, "--tabpy-port", case.tabpy_url + "/info", "server_version")


def _port(host: str, port: int, flag: str, url: str, key: str) -> Finding:
    reply = ask(url, timeout_s=3)
    if reply is not None and (reply.status == 401 or (isinstance(reply.value, dict) and key in reply.value)):
        return well("port", f"{port} is in use by what belongs there")
    try:
        check_port(host, port, flag)
    except SettingsError as exc:
        what, _, remedy = str(exc).rstrip(".").partition(": ")
        return fault("port", what, remedy or f"change {flag}")
    return well("port", f"{port} is free")


def state(case: Case) -> Iterator[Finding]:
    """The state folder: there, writable, ours, with room, and its file of answers readable."""
    folder = case.settings.state
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        if parent.is_dir() and os.access(parent, os.W_OK):
            yield well("state folder", f"{folder} will be made")
        else:
            yield fault("state folder", f"{folder} cannot be made in {parent}", "name another with --state")
        return
    yield _writable(case, folder)
    free = case.free_bytes(folder)
    if free < _LEAST_FREE_BYTES:
        yield fault("disk", f"{free / 1e6:,.0f} MB are free at {folder}",
                    "make room (`python run.py store prune`), or name another --state")
    else:
        yield well("disk", f"{free / 1e9:,.0f} GB are free")
    yield from _answers(folder / "answers.sqlite")


def _writable(case: Case, folder: Path) -> Finding:
    kind = network_kind(folder)
    if kind is not None:
        return fault("state folder", f"{folder} is on a network file system ({kind}), where answers could be damaged",
                     "name a folder on a local disk with --state")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        if not is_in_use(folder):
            return well("state folder", f"{folder} can be written")
    except OSError as exc:
        return fault("state folder", f"{folder} cannot be written ({exc.strerror})",
                     "name a folder you may write to with --state")
    reply = ask(case.server_url + "/healthz", timeout_s=3)
    if reply is not None and reply.status == 200:
        return well("state folder", f"{folder} is in use by the server that answers")
    return fault("state folder", f"{folder} is locked by a Pixfield that does not answer at {case.server_url}",
                 "stop that one, or give the doctor its --port")


def _answers(path: Path) -> Iterator[Finding]:
    if not path.exists():
        return
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (count,) = connection.execute("SELECT count(*) FROM (SELECT 1 FROM answers LIMIT 100000)").fetchone()
    except sqlite3.Error as exc:
        yield fault("stored answers", f"{path} cannot be read ({exc})", "move it away; a new one is made")
        return
    if version > SCHEMA_VERSION:
        yield fault("stored answers", f"{path} was written by a newer Pixfield",
                    "update Pixfield, or name another --state")
    else:
        yield well("stored answers", f"{count:,}" if count < 100_000 else "100,000 or more")


def token(case: Case) -> Iterator[Finding]:
    """The token file: readable, with a token, and closed to other users."""
    path = case.settings.token_file
    if path is None:
        return
    try:
        read_tokens(path)
    except SettingsError as exc:
        yield fault("token file", str(exc).rstrip("."), "put one long random line of ASCII in it")
        return
    if os.name == "posix" and path.stat().st_mode & 0o077:
        yield fault("token file", f"{path} can be read by other users", f"chmod 600 {path}")
    else:
        yield well("token file", "can be read, by its owner only")


def images(case: Case) -> Iterator[Finding]:
    """The image folders: there, readable, with pictures."""
    if not case.settings.images:
        yield fault("image folders", "none is allowed, so no picture can be read", "add --images DIR")
    for folder in case.settings.images:
        yield _image_folder(folder)


def _image_folder(folder: Path) -> Finding:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "is not there"
        return fault("image folder", f"{folder} {what}", "mount or make it, or correct --images")
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except OSError as exc:
        return fault("image folder", f"{folder} cannot be read ({exc.strerror})",
                     "let the user that runs Pixfield read it")
    count = len(pictures(folder, 1000))
    if not count:
        return fault("image folder", f"{folder} has no pictures", "put pictures there, or correct --images")
    return well("image folder", f"{folder} has {count if count < 1000 else '1,000 or more'} pictures")


def pictures(folder: Path, limit: int) -> list[Path]:
    """The first picture files in a folder and below."""
    entries = (Path(place, name) for place, _, names in os.walk(folder) for name in sorted(names))
    looked_at = itertools.islice(entries, _LOOKED_AT)
    return list(itertools.islice((path for path in looked_at if path.suffix.lower() in PICTURES), limit))


def sample(case: Case) -> list[str]:
    """A column of a few real pictures."""
    found = (path for folder in case.settings.images for path in pictures(folder, _SAMPLE))
    return [str(path) for path in itertools.islice(found, _SAMPLE)]


def mappings(case: Case) -> Iterator[Finding]:
    """The path mappings: each can be read and leads to a folder inside --images."""
    roots = Roots.of(case.settings.images)
    for mapping in case.settings.map:
        yield _mapping(mapping, roots)


def _mapping(mapping: str, roots: Roots) -> Finding:
    try:
        (target,) = PathTexts.of([mapping]).folders.values()
    except SettingsError as exc:
        return fault("mapping", str(exc).rstrip("."), "correct --map")
    if not Path(target).is_dir():
        return fault("mapping", f"{mapping} leads to {target}, which is no folder", "mount it, or correct --map")
    if not roots.contains(target):
        return fault("mapping", f"{mapping} leads to a folder in none of --images", "add that folder to --images")
    return well("mapping", mapping)


def proxies(case: Case) -> Iterator[Finding]:
    """Proxies in the environment: they break a TabPy that is started from it; the one of `serve` never sees them."""
    found = sorted(name for name in case.environment if name.lower() in ("http_proxy", "https_proxy", "all_proxy"))
    host = urlsplit(case.tabpy_url or "").hostname or ""
    if not found:
        yield well("proxies", "none in the environment")
    elif case.is_tabpy_ours or not is_loopback(host):
        yield well("proxies", f"{', '.join(found)} set; Pixfield and its TabPy ignore them")
    elif len(found) != len({name.lower() for name in found}):
        yield fault("proxies", f"{' and '.join(found)} are both set: a TabPy started so ends at once",
                    "start TabPy with one spelling only, and with NO_PROXY=localhost,127.0.0.1")
    elif not any(case.environment.get(name) for name in ("no_proxy", "NO_PROXY")):
        yield fault("proxies", f"{found[0]} is set: a TabPy started so sends its own questions to the proxy",
                    "start TabPy with NO_PROXY=localhost,127.0.0.1")
    else:
        yield well("proxies", f"{', '.join(found)} set, with exceptions")


def clock(case: Case) -> Iterator[Finding]:
    """The clock: against that of the state folder's disk, and against the pictures' times."""
    now = case.now()
    skew = 0.0
    if case.settings.state.is_dir():
        with contextlib.suppress(OSError), tempfile.TemporaryFile(dir=case.settings.state) as file:
            file.write(b"now")
            file.flush()
            skew = os.fstat(file.fileno()).st_mtime - now
    if abs(skew) > _SKEW_S:
        yield fault("clock", f"files in {case.settings.state} get a time {skew:+,.0f} s from this machine's",
                    "let both machines take the time from one source (NTP)")
        return
    future = [path for path in sample(case) if _mtime(path) > now + _SKEW_S]
    if future:
        yield fault("clock", f"{len(future)} of the pictures looked at are dated in the future",
                    "let the machine that writes pictures take its time from the same source (NTP)")
    else:
        yield well("clock", "agrees with the files")


def _mtime(path: str) -> float:
    try:
        return Path(path).stat().st_mtime
    except OSError:
        return 0.0
