"""The tables of README.md and docs/, made from the code: settings, functions, fields, endpoints, checks, architectures.

`python -m server.reference` writes them between their markers; a test fails when they differ.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from flask import Flask

from models.architectures import table as architectures
from server.app import BLUEPRINTS
from server.doctor.__main__ import CHECKS
from server.doors import OPEN
from server.function_fields import as_markdown
from server.functions import FUNCTIONS
from server.settings import Settings, flag_of

README = Path(__file__).resolve().parent.parent / "README.md"
OPERATIONS = README.parent / "docs" / "operations.md"
FIELDS = README.parent / "docs" / "fields.md"
ARCHITECTURES = README.parent / "docs" / "architectures.md"
_RETURNS = {"string": "SCRIPT_STR", "number": "SCRIPT_REAL", "boolean": "SCRIPT_BOOL", "object": "Table Extension"}


def settings_table() -> str:
    """Every setting of `serve` with its default; defaults that depend on the machine are said in words."""
    words = {"state": "`state/` beside run.py", "store": "`models/store/`", "engine_threads": "cores",
             "decode_threads": "cores"}
    rows = []
    for row in fields(Settings):
        default = words.get(row.name) or ("none" if row.default in (None, ()) else f"`{row.default}`")
        shown = "off" if row.default is False else default
        rows.append(f"| `{flag_of(row.name)}` | {shown} | {row.metadata['help']} |")
    return _table("setting", "default", "meaning", rows)


def functions_table() -> str:
    """Every function with its parameters and how a calculated field calls it."""
    rows = [f"| `{function.name}({', '.join(function.parameters)})` | `{_RETURNS[function.returns]}` |"
            f" {function.description} |" for function in FUNCTIONS.values()]
    return _table("function", "in Tableau", "answers", rows)


def endpoints_table() -> str:
    """Every endpoint with its method and the first sentence of its docstring."""
    app = Flask("reference")
    for pages in BLUEPRINTS:
        app.register_blueprint(pages)
    rows = []
    for rule in sorted(app.url_map.iter_rules(), key=str):
        name = rule.endpoint.rpartition(".")[2]
        view = app.view_functions[rule.endpoint]
        if name == "static":
            continue
        methods = ", ".join(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        is_signed = str(rule).startswith("/v1/images/") and str(rule).endswith(".png")
        token = "" if str(rule) in OPEN else "or signed" if is_signed else "yes"
        rows.append(f"| `{methods} {rule}` | {token} | {(view.__doc__ or '').strip().splitlines()[0]} |")
    return _table("endpoint", "token", "answers", rows)


def checks_list() -> str:
    """The checks of `doctor` in their order, each with the first sentence of its docstring."""
    lines = [f"{number}. {(check.__doc__ or '').strip().splitlines()[0]}" for number, check in enumerate(CHECKS, 1)]
    return "\n".join(lines) + "\n"


TABLES: dict[Path, dict[str, Callable[[], str]]] = {
    README: {"settings": settings_table, "functions": functions_table, "endpoints": endpoints_table},
    OPERATIONS: {"checks": checks_list},
    FIELDS: {"fields": as_markdown},
    ARCHITECTURES: {"architectures": architectures.as_markdown},
}


def with_tables(text: str, path: Path = README) -> str:
    """`text` with every table between `<!-- name -->` and `<!-- /name -->` made anew; ValueError without a marker."""
    for name, make in TABLES[path].items():
        before, marker, rest = text.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- /{name} -->")
        if not (marker and end):
            raise ValueError(f"{path.name} has no place for the table {name!r}")
        text = before + marker + make() + end + after
    return text


def _table(first: str, second: str, third: str, rows: list[str]) -> str:
    return "\n".join([f"| {first} | {second} | {third} |", "|---|---|---|", *rows]) + "\n"


if __name__ == "__main__":
    for page in TABLES:
        page.write_text(with_tables(page.read_text(encoding="utf-8"), page), encoding="utf-8", newline="\n")
        sys.stdout.write(f"{page} is up to date.\n")
