"""`run.py models` with everything: the verbs of `models.cli`, and `compare` and `evaluate`, which run versions as they
are served.
"""

from __future__ import annotations

import argparse
import csv
import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import cli
from models.errors import ModelError
from server.evaluate_cli import add_evaluate

if TYPE_CHECKING:
    from server.compare import Comparison, Row, Said

_SHOWN = 50
_HEAD = ("path", "truth", "label_a", "confidence_a", "label_b", "confidence_b", "flips", "status")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    return cli.main(argv, more=(_add_compare, add_evaluate))


def _add_compare(verbs: cli.Verbs) -> None:
    comparing = verbs.add_parser("compare", help="which pictures get another label from another version")
    for name in ("a", "b"):
        comparing.add_argument(name, metavar=f"NAME@{name.upper()}", type=cli.exact_reference)
    comparing.add_argument("folder", metavar="FOLDER", type=Path,
                           help="pictures; subfolders with the names of labels are taken as the truth")
    comparing.add_argument("--csv", type=Path, metavar="FILE", help="write every picture there")
    comparing.add_argument("--json", action="store_true", help="print JSON instead of text")
    comparing.set_defaults(verb=_compare)


def _compare(arguments: argparse.Namespace) -> None:
    from server.compare import compare
    from server.errors import SettingsError
    from server.settings import Settings

    logging.getLogger("server").addHandler(logging.NullHandler())  # what matters is said in one sentence
    try:
        folder = arguments.folder.absolute()
        settings = Settings(images=(folder,), store=arguments.store)
        found = compare(arguments.a, arguments.b, folder, settings=settings, tell=_tell)
    except SettingsError as exc:
        raise ModelError(str(exc)) from exc
    if arguments.csv is not None:
        _write_csv(arguments.csv, found)
    print(json.dumps(_as_json(found), indent=2) if arguments.json else "\n".join(_as_text(found)))


def _tell(done: int, count: int) -> None:
    if sys.stderr.isatty():
        print(f"{done:,} of {count:,} pictures", file=sys.stderr)


def _as_text(found: Comparison) -> list[str]:
    agreement = "" if found.agreement is None else f", agreement {found.agreement:.2%}"
    lines = [f"{found.a} ({found.engines[0]}) against {found.b} ({found.engines[1]})",
             f"{found.compared:,} pictures compared, {len(found.flips):,} flip{agreement}", *_accuracy(found),
             *_flips(found), *_shown([f"unreadable: {row.path}: {row.problem}" for row in found.unreadable])]
    return [line.encode("utf-8", "backslashreplace").decode() for line in lines]


def _flips(found: Comparison) -> list[str]:
    """The flipped rows as aligned columns."""
    if not found.flips:
        return []
    cells = [("FLIPS", found.a, found.b), *((row.path, _cell(row.a), _cell(row.b)) for row in found.flips)]
    widths = [max(map(len, column)) for column in zip(*cells[:_SHOWN + 1], strict=True)]
    head, *rows = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
                   for row in cells]
    return [head, *_shown(rows)]


def _shown(lines: list[str]) -> list[str]:
    more = [f"... and {len(lines) - _SHOWN:,} more: --csv FILE has all of them"] if len(lines) > _SHOWN else []
    return lines[:_SHOWN] + more


def _cell(said: Said) -> str:
    return f"{said.label} {said.confidence:.3f}"


def _accuracy(found: Comparison) -> list[str]:
    paired = found.paired
    if paired is None:
        return []
    (low, high), a, b = paired.interval, found.a, found.b
    accuracy = f"{a} {paired.accuracy_a:.2%}, {b} {paired.accuracy_b:.2%}"
    interval = f"95 % interval {100 * low:+.2f} to {100 * high:+.2f}"
    return [f"accuracy on {paired.count:,} pictures in class folders: {accuracy}",
            f"difference {100 * paired.difference:+.2f} points, {interval}, McNemar p {paired.p_value:.2g}",
            f"right only in {a}: {paired.only_a:,}, right only in {b}: {paired.only_b:,}"]


def _as_json(found: Comparison) -> dict[str, Any]:
    paired = found.paired
    accuracy = None if paired is None else {
        **asdict(paired), "accuracy_a": paired.accuracy_a, "accuracy_b": paired.accuracy_b,
        "difference": paired.difference, "interval": list(paired.interval), "p_value": paired.p_value}
    return {"a": found.a, "b": found.b, "engines": list(found.engines), "pictures": len(found.rows),
            "compared": found.compared, "agreement": found.agreement, "accuracy": accuracy,
            "flips": [_fields(row) for row in found.flips],
            "unreadable": [{"path": row.path, "reason": row.problem} for row in found.unreadable]}


def _fields(row: Row) -> dict[str, Any]:
    values = (row.path, row.truth, row.a.label, row.a.confidence, row.b.label, row.b.confidence, row.flips,
              row.problem or "ok")
    return dict(zip(_HEAD, values, strict=True))


def _write_csv(path: Path, found: Comparison) -> None:
    """One line a picture; with the mark by which Excel knows UTF-8."""
    try:
        with path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
            writer = csv.DictWriter(file, _HEAD)
            writer.writeheader()
            writer.writerows({**_fields(row), "flips": int(row.flips)} for row in found.rows)
    except OSError as exc:
        raise ModelError(f"--csv {path} cannot be written ({exc.strerror}): name a file in a folder that is there.") \
            from exc


if __name__ == "__main__":
    sys.exit(main())
