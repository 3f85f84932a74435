"""`run.py models`: list, show, add and remove model versions.

`server.models_cli` adds `evaluate`, which needs the server's engines. Status 0 when done, 1 when it cannot be done, 2
when the arguments make no sense; always one sentence, never a traceback. Only `add` loads TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from models.applications import find_application
from models.errors import ModelError
from models.names import name_fault
from models.registry import CHAMPION, ModelVersion, Registry

STORE = Path(__file__).resolve().parent / "store"
PROGRAM = "run.py models"


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


Verbs: TypeAlias = "argparse._SubParsersAction[_Parser]"  # noqa: SLF001 - argparse gives it no public name


def main(argv: Sequence[str] | None = None, *, more: Sequence[Callable[[Verbs], None]] = ()) -> int:
    """Do what the command line says and return the exit status; each of `more` adds a verb."""
    try:
        arguments = _parser(more).parse_args(argv)
    except SystemExit as exc:  # argparse ends the process; a caller of main wants the status
        return int(exc.code or 0)
    verb: Callable[[argparse.Namespace], None] = arguments.verb
    try:
        verb(arguments)
    except ModelError as exc:
        print(f"{PROGRAM}: {exc}", file=sys.stderr)
        return 1
    return 0


def _parser(more: Sequence[Callable[[Verbs], None]] = ()) -> argparse.ArgumentParser:
    parser = _Parser(prog=PROGRAM, description="List, show, add and remove model versions.")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    listing = verbs.add_parser("list", help="every version there is")
    listing.set_defaults(verb=_list)
    showing = verbs.add_parser("show", help="what a version says about itself, and whether its files are intact")
    showing.add_argument("name", metavar="NAME[@VERSION]", type=reference)
    showing.set_defaults(verb=_show)
    adding = verbs.add_parser("add", help="a network of keras.applications as a new version")
    adding.add_argument("name", metavar="NAME", type=_name, help="the model's name; its next free version is taken")
    adding.add_argument("--application", required=True, metavar="ARCH", type=_application,
                        help="for example MobileNetV2 or ResNet50; any case")
    adding.add_argument("--weights", required=True, metavar="imagenet|none|FILE",
                        help="downloaded, random, or a .weights.h5, .h5 or .keras file")
    adding.add_argument("--labels", type=Path, metavar="FILE", help="one label a line, UTF-8")
    adding.add_argument("--size", type=_size, metavar="N", help="input side in pixels (default: the application's own)")
    adding.set_defaults(verb=_add)
    removing = verbs.add_parser("remove", help="delete a version")
    removing.add_argument("reference", metavar="NAME@VERSION", type=exact_reference)
    removing.set_defaults(verb=_remove)
    for add_verb in more:
        add_verb(verbs)
    verbs.metavar = " | ".join(verbs.choices)
    for one in verbs.choices.values():
        one.add_argument("--store", type=Path, default=STORE, metavar="DIR", help="default: models/store")
    return parser


def _name(text: str) -> str:
    fault = name_fault(text)
    if fault:
        raise argparse.ArgumentTypeError(f"{text!r} {fault}")
    return text


def reference(text: str) -> str:
    """`text` where it may be a reference to a version, for a parser."""
    for part in text.split("@", 1):
        _name(part)
    return text


def exact_reference(text: str) -> str:
    """`text` where it may be a reference with something after its @, for a parser."""
    if "@" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} has no version; expected NAME@VERSION")
    return reference(text)


def _application(text: str) -> str:
    try:
        return find_application(text).name
    except ModelError as exc:
        raise argparse.ArgumentTypeError(str(exc).rstrip(".")) from exc


def _size(text: str) -> int:
    if not text.isdecimal() or not 32 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 32 to 1024")
    return int(text)


def _list(arguments: argparse.Namespace) -> None:
    registry = Registry([arguments.store])
    problems = registry.problems()
    rows: list[tuple[str, ...]] = []
    for name in registry.names():
        try:
            champion = registry.resolve(name).spec.version
        except ModelError as exc:  # an alias that points nowhere must not hide the versions
            champion = ""
            problems.append(str(exc))
        rows += [_row(one, is_champion=one.spec.version == champion) for one in registry.usable(name)]
    _print_table([("MODEL", "LABELS", "INPUT", "MB", "ENGINES", "ACCURACY"), *rows])
    if not rows:
        print(f"No model in {arguments.store}; `{PROGRAM} add` makes one.")
    for problem in problems:
        print(f"unusable: {problem}")


def _print_table(rows: list[tuple[str, ...]]) -> None:
    """Rows with aligned columns; nothing when there is only the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows if len(rows) > 1 else []:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(version: ModelVersion, *, is_champion: bool) -> tuple[str, ...]:
    spec = version.spec
    megabytes = sum((version.folder / name).stat().st_size for name in spec.files) / 1e6
    engines = [engine for engine in ("keras", "onnx") if f"model.{engine}" in spec.files]
    accuracy = spec.about.get("accuracy")
    return (
        version.reference + (f" ({CHAMPION})" if is_champion else ""),
        str(len(spec.labels)),
        f"{spec.input_size}x{spec.input_size}x{spec.channels}",
        f"{megabytes:.1f}",
        "+".join(engines),
        f"{accuracy:.2%}" if isinstance(accuracy, float) else "-",
    )


def _show(arguments: argparse.Namespace) -> None:
    registry = Registry([arguments.store])
    version = registry.resolve(arguments.name)
    spec = version.spec
    aliases = [alias for alias, target in registry.aliases(spec.name).items() if target == spec.version]
    shown = ", ".join(spec.labels[:10]) + (f", ... ({len(spec.labels):,})" if len(spec.labels) > 10 else "")
    lines = {
        "model": version.reference + (f" ({', '.join(aliases)})" if aliases else ""),
        "folder": version.folder,
        "digest": spec.digest,
        "labels": shown,
        "input": f"{spec.input_size}x{spec.input_size}x{spec.channels}, {spec.decode}, {spec.resize}",
        "outputs": ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in spec.outputs.items()),
        "temperature": f"{spec.temperature:g}",
        **{key: value for key, value in spec.about.items() if key != "history"},  # the evaluation's page draws it
    }
    for key, value in lines.items():
        print(f"{key}: {value}")
    version.verify()
    print(f"files: {len(spec.files)}, intact")


def _add(arguments: argparse.Namespace) -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start is 20 lines about processors otherwise
    from models.adding import add_application

    version = add_application(
        arguments.name, application=arguments.application, weights=arguments.weights, labels_file=arguments.labels,
        size=arguments.size, root=arguments.store,
    )
    print(f"{version.reference} is in {version.folder}; model.onnx: {version.spec.about['onnx']}")


def _remove(arguments: argparse.Namespace) -> None:
    name, _, number = arguments.reference.partition("@")
    folder = Registry([arguments.store]).remove(name, number)
    print(f"{arguments.reference} is removed; it was in {folder}")


if __name__ == "__main__":
    sys.exit(main())
