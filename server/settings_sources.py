"""Where the settings come from: flags, else PIXFIELD_ variables, else one TOML file, else the defaults of the table.

A parsed command line and an environment enter, `SourcedSettings` leave: the checked values and the origin of each.
What is unknown or cannot be read stops the start and is named: the file or variable, the key, the value and the wish.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from server import settings as settings_table
from server.errors import SettingsError
from server.settings import Settings, flag_of, kind_of

CONFIG_FILE = Path(__file__).resolve().parent.parent / "pixfield.toml"
PREFIX = "PIXFIELD_"
NO_SETTINGS = frozenset({"PIXFIELD_URL", "PIXFIELD_TOKEN", "PIXFIELD_WHEELS"})
"""Variables of ours that are no settings: what the functions in TabPy read, and what run.py reads."""

_DEFAULT = "default"
_ROWS = {row.name: row for row in fields(Settings)}
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
_WISHES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", Path: "a path as text"}


@dataclass(frozen=True, slots=True)
class SourcedSettings:
    """The settings, and for each name its origin: "default", a file, a variable or a flag."""

    settings: Settings
    origins: Mapping[str, str]
    config: Path | None

    def shown(self) -> str:
        """A TOML file that means these settings, the origin of each behind it; token files are named, not read."""
        lines = []
        for name, origin in self.origins.items():
            value = _as_toml(getattr(self.settings, name))
            lines.append(f"{name} = {value}  # {origin}" if value else f"# {name} is not set")
        return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Every setting as an option, and `--config`."""
    parser.add_argument("--config", type=Path, metavar="FILE",
                        help=f"a TOML file of settings (default: {CONFIG_FILE.name} beside run.py, where there is one)")
    settings_table.add_arguments(parser)


def read(arguments: argparse.Namespace, *, environment: Mapping[str, str], default_config: Path = CONFIG_FILE,
         are_folders_checked: bool = False) -> SourcedSettings:
    """The settings of one start; paths are absolute, those in the file relative to its folder.

    Raises:
        SettingsError: names the file or variable, the key, the value and the wish.
    """
    config = arguments.config or (default_config if default_config.exists() else None)
    values: dict[str, Any] = {}
    origins = dict.fromkeys(_ROWS, _DEFAULT)
    for found, origin in ((_from_file(config), str(config)), (_from_environment(environment), PREFIX),
                          (settings_table.given(arguments), "--")):
        for name, value in found.items():
            values[name] = _absolute(value)
            origins[name] = {PREFIX: PREFIX + name.upper(), "--": flag_of(name)}.get(origin, origin)
    return SourcedSettings(_checked(values, origins, are_folders_checked), origins, config)


def _checked(values: Mapping[str, Any], origins: Mapping[str, str], are_folders_checked: bool) -> Settings:
    def made(without: str | None = None) -> Settings:
        settings = Settings(**{name: value for name, value in values.items() if name != without})
        return settings.with_checked_folders() if are_folders_checked else settings

    try:
        return made()
    except SettingsError as exc:
        for name in values:
            if not origins[name].startswith("--") and _passes(made, name):
                raise SettingsError(f"{origins[name]}: {exc}") from exc
        raise


def _passes(made: Any, without: str) -> bool:
    """Whether the settings hold when that one is left out: then it is the one to name."""
    try:
        made(without)
    except SettingsError:
        return False
    return True


# ---- the file ----------------------------------------------------------------------------------------------------


def _from_file(config: Path | None) -> dict[str, Any]:
    if config is None:
        return {}
    try:
        content = tomllib.loads(config.read_text(encoding="utf-8-sig"))
    except OSError as exc:
        raise SettingsError(f"--config {config} cannot be read ({exc.strerror}): name a file that can.") from exc
    except ValueError as exc:  # TOML's and UTF-8's errors are both of this kind
        raise SettingsError(f"{config} is not TOML in UTF-8: {exc}.") from exc
    return {name: _value_of(name, value, where=f"{config}: {name}", folder=config.absolute().parent)
            for name, value in content.items() if _is_known(name, f"{config}: there is no setting {name}")}


def _value_of(name: str, value: object, *, where: str, folder: Path) -> Any:
    """A TOML value as the setting's type."""
    kind = kind_of(name)
    if _ROWS[name].default != ():
        return _item_of(kind, value, folder, f"{where} is {value!r}; expected {_WISHES[kind]}.")
    refusal = f"{where} is {value!r}; expected a list, each of it {_WISHES[kind]}."
    if not isinstance(value, list):
        raise SettingsError(refusal)
    return tuple(_item_of(kind, item, folder, refusal) for item in value)


def _item_of(kind: type, value: object, folder: Path, refusal: str) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return folder / os.path.expanduser(value)  # noqa: PTH111 - Path.expanduser raises for an unknown user
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not kind:
        raise SettingsError(refusal)
    return value


# ---- the environment ---------------------------------------------------------------------------------------------


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for variable, text in environment.items():
        name = variable.removeprefix(PREFIX).lower()
        if not variable.startswith(PREFIX) or variable in NO_SETTINGS:
            continue
        if _is_known(name, f"{variable} is set and there is no such setting", PREFIX):
            found[name] = _parsed(name, text, variable)
    return found


def _parsed(name: str, text: str, variable: str) -> Any:
    """A variable's text as the setting's type; a list of folders is separated as PATH is, one of texts by `;`.

    A colon, which separates PATH's folders on most systems, stands in every URL, drive and IPv6 address.
    """
    kind = kind_of(name)
    refusal = f"{variable} is {text!r}; expected {_WISHES[kind]}."
    if _ROWS[name].default == ():
        items = text.split(os.pathsep if kind is Path else ";")
        return tuple(_converted(kind, item.strip(), refusal) for item in items if item.strip())
    return _converted(kind, text.strip(), refusal)


def _converted(kind: type, text: str, refusal: str) -> Any:
    if kind is bool and text.lower() in (*_YES, *_NO):
        return text.lower() in _YES
    if kind is bool or not text:
        raise SettingsError(refusal)
    if kind is Path:
        return Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises for an unknown user
    try:
        return kind(text)
    except ValueError as exc:
        raise SettingsError(refusal) from exc


# ---- both --------------------------------------------------------------------------------------------------------


def _is_known(name: str, refusal: str, prefix: str = "") -> bool:
    """True; raises SettingsError with the closest name there is."""
    if name in _ROWS:
        return True
    close = difflib.get_close_matches(name, _ROWS, 1)
    spelled = [prefix + word.upper() if prefix else word for word in close or _ROWS]
    hint = f"did you mean {spelled[0]}?" if close else f"there are {', '.join(spelled)}."
    raise SettingsError(f"{refusal}: {hint}")


def _absolute(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_absolute, value))
    return Path(os.path.abspath(value)) if isinstance(value, Path) else value  # noqa: PTH100 - keeps symbolic links


def _as_toml(value: object) -> str:
    """The value as TOML writes it; nothing for None, which TOML does not have."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_as_toml, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
