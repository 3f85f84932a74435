"""The settings of the server: one table, read once at the edge, passed on as one frozen value."""

from __future__ import annotations

import argparse
import ipaddress
import math
import os
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlsplit

from server.errors import SettingsError
from server.path_text import PathTexts
from server.paths import Roots
from server.url_scheme import prefix_of

_ROOT = Path(__file__).resolve().parent.parent
_CORES = os.cpu_count() or 1


def _setting(default: Any, help_text: str, *, flag: str | None = None, metavar: str | None = None) -> Any:
    """One row of the table: the default, what it means, and how it is written on the command line."""
    return field(default=default, metadata={"help": help_text, "flag": flag, "metavar": metavar})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of `serve`; the unit stands in the name. Flags are the names with dashes."""

    images: tuple[Path, ...] = _setting((), "a folder whose pictures may be read; repeat it for more", metavar="DIR")
    map: tuple[str, ...] = _setting((), "FROM=TO: texts below FROM (a share, a drive, a URL or a folder elsewhere) mean"
                                    " files below TO, inside --images; repeat it for more", metavar="FROM=TO")
    allow_url: tuple[str, ...] = _setting((), "a URL below which pictures may be read, such as"
                                          " https://img.example/photos or s3://bucket/photos; repeat it for more",
                                          metavar="PREFIX")
    url_timeout_s: float = _setting(10.0, "seconds one picture behind a URL may take, redirects included")
    model: str | None = _setting(None, "the model that answers when a request names none", metavar="NAME[@VERSION]")
    max_models: int = _setting(4, "versions that may be open at once, and one more while one is exchanged; the longest"
                               " unused is closed for another")
    model_idle_s: float = _setting(600.0, "seconds without a request after which a version is closed that is not the"
                                   " default model; one that was replaced after 30 at most")
    host: str = _setting("127.0.0.1", "the address the server listens on; beyond loopback it needs --token-file")
    public_host: tuple[str, ...] = _setting((), "a name under which callers reach the server or TabPy, such as a"
                                            " reverse proxy's; repeat it for more", metavar="NAME")
    public_url: str | None = _setting(None, "what stands in front of picture addresses, such as"
                                      " https://pixfield.example/px; without it http://HOST:PORT", metavar="URL")
    port: int = _setting(9005, "the port the server listens on")
    tabpy_port: int = _setting(9004, "the port TabPy listens on")
    tabpy_host: str = _setting("127.0.0.1", "the address TabPy listens on beside loopback; beyond it, it needs"
                               " --tabpy-password-file")
    tabpy_password_file: Path | None = _setting(None, "TabPy's file of users and password hashes; its callers must log"
                                                " in", metavar="FILE")
    no_evaluate: bool = _setting(False, "switch TabPy's scripts off: `MODEL_EXTENSION_` fields alone go on working")
    no_tabpy: bool = _setting(False, "start the server alone: for a TabPy that is already there, or without any")
    state: Path = _setting(_ROOT / "state", "the folder of stored answers; one server at a time", metavar="DIR")
    store: Path = _setting(_ROOT / "models" / "store", "the folder of model versions", metavar="DIR")
    token_file: Path | None = _setting(None, "a file with the token callers must send, Tableau as the password",
                                       metavar="FILE")
    recheck_s: float = _setting(30.0, "seconds until a picture file is looked at again for changes")
    deadline_s: float = _setting(20.0, "seconds a request waits before its missing rows are `pending`")
    drain_s: float = _setting(10.0, "seconds that requests under way get when the server is stopped")
    cache_mb: int = _setting(512, "memory for recent answers; older ones are read from the state folder")
    picture_cache_mb: int = _setting(500, "disk for pictures that were drawn already, in the state folder")
    max_rows: int = _setting(200_000, "rows one request may have")
    max_body_mb: int = _setting(100, "size one request may have")
    max_image_mb: float = _setting(64.0, "size one picture file may have")
    max_image_megapixels: float = _setting(50.0, "pixels one picture may have, checked before it is decoded")
    max_decode_s: float = _setting(10.0, "seconds that reading, and then decoding, one picture may take")
    max_decode_mb: int = _setting(2000, "memory of each process that decodes unusual pictures, itself (150) included")
    queue_rows: int = _setting(50_000, "pictures that may wait for the model; more are `pending` until asked again")
    engine: str = _setting("auto", "onnx, keras, or auto: ONNX Runtime on a CPU where the export is exact, else Keras")
    half: bool = _setting(False, "half precision in the Keras engine, for GPUs")
    batch_size: int = _setting(8, "pictures the model sees at once (ONNX Runtime; Keras on a GPU uses 64)")
    engine_threads: int = _setting(_CORES, "threads that run the model (ONNX Runtime)")
    decode_threads: int = _setting(_CORES, "threads that read and decode pictures")
    fetch_threads: int = _setting(8, "threads that read and decode pictures behind URLs (none without --allow-url)")
    log_file: Path | None = _setting(None, "the file of all processes' log, instead of standard error", metavar="FILE")
    log_format: str = _setting("text", "text, or json: one object a line")
    log_max_mb: float = _setting(10.0, "size at which --log-file is put aside and a new one begun")
    log_files: int = _setting(5, "how many log files are kept that were put aside")
    verbose: bool = _setting(False, "log what is looked at, not only one line a request")

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            SettingsError: names the flag, the value and what is expected.
        """
        for name in ("port", "tabpy_port"):
            if not 0 <= getattr(self, name) <= 65535:
                raise SettingsError(f"{flag_of(name)} is {getattr(self, name)}; expected a port from 0 to 65535.")
        for name in _POSITIVE:
            if not 0 < getattr(self, name) < math.inf:  # nan and inf are read as floats too
                raise SettingsError(f"{flag_of(name)} is {getattr(self, name)}; expected a number above 0.")
        for name in ("recheck_s", "drain_s", "model_idle_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SettingsError(f"{flag_of(name)} is {getattr(self, name)}; expected 0 or more seconds.")
        if self.max_models < 2:
            raise SettingsError(f"--max-models is {self.max_models}; expected 2 or more: the default model"
                                " and another.")
        if self.engine not in ("auto", "onnx", "keras"):
            raise SettingsError(f"--engine is {self.engine!r}; expected auto, onnx or keras.")
        if self.log_format not in ("text", "json"):
            raise SettingsError(f"--log-format is {self.log_format!r}; expected text or json.")
        self._check_doors()

    def _check_doors(self) -> None:
        for name in self.public_host:
            if not _NAME.fullmatch(name):
                raise SettingsError(f"--public-host is {name!r}; expected a name or address alone, such as"
                                    " pixfield.example.")
        if self.public_url is not None:
            check_public_url(self.public_url)
        if self.public_hosts and self.token_file is None:
            flag = f"--public-host {self.public_host[0]}" if self.public_host else f"--public-url {self.public_url}"
            raise SettingsError(f"{flag} means that other machines reach the server: add"
                                " --token-file FILE (a token in it).")
        if not is_loopback(self.host) and self.token_file is None:
            raise SettingsError(f"--host {self.host} is open to other machines: add --token-file FILE (a token in it).")
        if not is_loopback(self.tabpy_host) and self.tabpy_password_file is None:
            raise SettingsError(f"--tabpy-host {self.tabpy_host} lets other machines run scripts: add"
                                " --tabpy-password-file FILE (made by `tabpy-user`).")

    @property
    def public_hosts(self) -> tuple[str, ...]:
        """The names of --public-host, and that of --public-url unless it means this machine alone."""
        host = (urlsplit(self.public_url).hostname or "") if self.public_url else ""
        return (*self.public_host, host) if host and not is_loopback(host) else self.public_host

    @property
    def base_url(self) -> str:
        """What stands in front of picture addresses, without a slash at the end."""
        if self.public_url is not None:
            return self.public_url.rstrip("/")
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def with_checked_folders(self) -> Settings:
        """The same settings; raises `SettingsError` for a missing folder or file, a mapping elsewhere or no URL."""
        for folder in self.images:
            if not folder.is_dir():
                raise SettingsError(f"--images {folder}: there is no such folder; name one that exists.")
        for text in self.allow_url:
            prefix_of(text)
        roots = Roots.of(self.images)
        for target in PathTexts.of(self.map).folders.values():
            if not roots.contains(target):
                raise SettingsError(f"--map to {target}: it is in none of the --images folders; add it to them.")
        if self.tabpy_password_file is not None and not self.tabpy_password_file.is_file():
            raise SettingsError(f"--tabpy-password-file {self.tabpy_password_file}: there is no such file; make it with"
                                " `tabpy-user add`.")
        return self


_POSITIVE = ("deadline_s", "cache_mb", "max_rows", "max_body_mb", "max_image_mb", "max_image_megapixels", "queue_rows",
             "max_decode_s", "max_decode_mb", "picture_cache_mb",
             "batch_size", "engine_threads", "decode_threads", "log_max_mb", "log_files",
             "fetch_threads", "url_timeout_s")


_NAME = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*", re.IGNORECASE | re.ASCII)


_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?", re.ASCII)


def check_public_url(text: str) -> None:
    """Raise SettingsError unless `text` can stand in front of an address: a scheme, a host, a port and folders."""
    try:
        parts = urlsplit(text)
        is_fit = (parts.scheme in ("http", "https") and bool(_NAME.fullmatch(parts.hostname or ""))
                  and parts.port != 0 and parts.username is None and "?" not in text and "#" not in text
                  and bool(_PREFIX.fullmatch(parts.path)) and not {".", ".."} & set(parts.path.split("/"))
                  and text.isascii() and not re.search(r"[\s\\]", text))
    except ValueError:  # a port that is no number, half an IPv6 address
        is_fit = False
    if not is_fit:
        raise SettingsError(f"--public-url is {text!r}; expected http or https, a host and at most folders, such as"
                            " https://pixfield.example/px.")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def url_of(host: str, port: int) -> str:
    """Where this machine reaches what listens on `host`."""
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - to reach, not to bind
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def flag_of(name: str) -> str:
    """The command line's spelling of a setting."""
    return "--" + name.replace("_", "-")


def contrary_flag_of(name: str) -> str:
    """The flag that switches a yes-or-no setting off again, where a file or a variable has switched it on."""
    return flag_of("with_" + name.removeprefix("no_") if name.startswith("no_") else "no_" + name)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as an option of `parser`; what is not given is not in the parsed arguments."""
    for row in fields(Settings):
        name, default, metadata = row.name, row.default, row.metadata
        shown = "none" if default in (None, ()) else default
        text = f"{metadata['help']} (default: {shown})"
        options: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS}
        if isinstance(default, bool):
            parser.add_argument(flag_of(name), action="store_true", help=metadata["help"], **options)
            parser.add_argument(contrary_flag_of(name), action="store_false", help=argparse.SUPPRESS, **options)
        elif default == ():
            parser.add_argument(flag_of(name), action="append", type=_reader_of(name), metavar=metadata["metavar"],
                                help=text, **options)
        else:
            parser.add_argument(flag_of(name), type=_reader_of(name), metavar=metadata["metavar"] or name.upper(),
                                help=text, **options)


def _reader_of(name: str) -> Callable[[str], Any]:
    """What makes a setting's value of a word of the command line."""
    kind = kind_of(name)
    return _path if kind is Path else kind


def _path(text: str) -> Path:
    if not text:  # an empty variable of a shell: Path("") would be the working directory
        raise argparse.ArgumentTypeError("expected a path, received nothing")
    return Path(text)


def kind_of(name: str) -> type:
    """The type of a setting's value, or of its items where it is a list: bool, int, float, str or Path."""
    hint = get_type_hints(Settings)[name]
    kinds = [kind for kind in get_args(hint) or (hint,) if kind not in (type(None), Ellipsis)]
    kind: type = kinds[0]
    return kind


def given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that a parsed command line names."""
    values = {row.name: vars(arguments)[row.name] for row in fields(Settings) if row.name in vars(arguments)}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings a parsed command line means, and nothing else: how a child reads what its parent told it."""
    return Settings(**given(arguments))


def as_arguments(settings: Settings) -> list[str]:
    """The command line that means `settings`: how the supervisor tells its children."""
    words: list[str] = []
    for row in fields(Settings):
        value = getattr(settings, row.name)
        if isinstance(value, bool):
            words += [flag_of(row.name)] if value else []
        elif isinstance(value, tuple):
            words += [f"{flag_of(row.name)}={item}" for item in value]
        elif value is not None:
            words.append(f"{flag_of(row.name)}={value}")
    return words
