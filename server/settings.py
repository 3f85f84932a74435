"""The settings of the server: one table, read once at the edge, passed on as one frozen value."""

from __future__ import annotations

import argparse
import ipaddress
import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from server.errors import SettingsError

_ROOT = Path(__file__).resolve().parent.parent
_CORES = os.cpu_count() or 1


def _setting(default: Any, help_text: str, *, flag: str | None = None, metavar: str | None = None) -> Any:
    """One row of the table: the default, what it means, and how it is written on the command line."""
    return field(default=default, metadata={"help": help_text, "flag": flag, "metavar": metavar})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting of `serve`; the unit stands in the name. Flags are the names with dashes."""

    images: tuple[Path, ...] = _setting((), "a folder whose pictures may be read; repeat it for more", metavar="DIR")
    model: str | None = _setting(None, "the model that answers when a request names none", metavar="NAME[@VERSION]")
    host: str = _setting("127.0.0.1", "the address the server listens on; beyond loopback it needs --token-file")
    port: int = _setting(9005, "the port the server listens on")
    tabpy_port: int = _setting(9004, "the port TabPy listens on")
    no_tabpy: bool = _setting(False, "start the server alone, for a TabPy that is already there")
    state: Path = _setting(_ROOT / "state", "the folder of stored answers; one server at a time", metavar="DIR")
    store: Path = _setting(_ROOT / "models" / "store", "the folder of model versions", metavar="DIR")
    token_file: Path | None = _setting(None, "a file with the bearer token callers must send", metavar="FILE")
    recheck_s: float = _setting(30.0, "seconds until a picture file is looked at again for changes")
    deadline_s: float = _setting(20.0, "seconds a request waits before its missing rows are `pending`")
    drain_s: float = _setting(10.0, "seconds that requests under way get when the server is stopped")
    cache_mb: int = _setting(512, "memory for recent answers; older ones are read from the state folder")
    max_rows: int = _setting(200_000, "rows one request may have")
    max_body_mb: int = _setting(100, "size one request may have")
    max_image_mb: float = _setting(64.0, "size one picture file may have")
    max_image_megapixels: float = _setting(50.0, "pixels one picture may have, checked before it is decoded")
    queue_rows: int = _setting(50_000, "pictures that may wait for the model; more are `pending` until asked again")
    engine: str = _setting("auto", "onnx, keras, or auto: ONNX Runtime on a CPU where the export is exact, else Keras")
    half: bool = _setting(False, "half precision in the Keras engine, for GPUs")
    batch_size: int = _setting(8, "pictures the model sees at once (ONNX Runtime; Keras on a GPU uses 64)")
    engine_threads: int = _setting(_CORES, "threads that run the model (ONNX Runtime)")
    decode_threads: int = _setting(_CORES, "threads that read and decode pictures")
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
        for name in ("recheck_s", "drain_s"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SettingsError(f"{flag_of(name)} is {getattr(self, name)}; expected 0 or more seconds.")
        if self.engine not in ("auto", "onnx", "keras"):
            raise SettingsError(f"--engine is {self.engine!r}; expected auto, onnx or keras.")
        if not is_loopback(self.host) and self.token_file is None:
            raise SettingsError(f"--host {self.host} is open to other machines: add --token-file FILE (a token in it).")

    def with_checked_folders(self) -> Settings:
        """The same settings; raises `SettingsError` where an image folder is missing."""
        for folder in self.images:
            if not folder.is_dir():
                raise SettingsError(f"--images {folder}: there is no such folder; name one that exists.")
        return self


_POSITIVE = ("deadline_s", "cache_mb", "max_rows", "max_body_mb", "max_image_mb", "max_image_megapixels", "queue_rows",
             "batch_size", "engine_threads", "decode_threads")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def flag_of(name: str) -> str:
    """The command line's spelling of a setting."""
    return "--" + name.replace("_", "-")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as an option of `parser`, its default in the help."""
    for row in fields(Settings):
        name, default, metadata = row.name, row.default, row.metadata
        shown = "none" if default in (None, ()) else default
        text = f"{metadata['help']} (default: {shown})"
        if isinstance(default, bool):
            parser.add_argument(flag_of(name), dest=name, action="store_true", help=metadata["help"])
        elif default == ():
            parser.add_argument(flag_of(name), dest=name, action="append", type=Path, metavar="DIR", help=text)
        else:
            parser.add_argument(flag_of(name), dest=name, type=_type_of(name, default), default=default,
                                metavar=metadata["metavar"] or name.upper(), help=text)


def _type_of(name: str, default: object) -> type:
    if name in ("state", "store", "token_file"):
        return Path
    return str if default is None else type(default)


def from_arguments(arguments: argparse.Namespace) -> Settings:
    """The settings a parsed command line means."""
    values = {row.name: getattr(arguments, row.name) for row in fields(Settings)}
    values["images"] = tuple(values["images"] or ())
    return Settings(**values)


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
