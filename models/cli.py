"""`run.py models`: list, show, add, import, promote, roll back and remove model versions.

`server.models_cli` adds `compare` and `evaluate`, which need the server's engines. Status 0 when done, 1 when it cannot
be done, 2 when the arguments make no sense; always one sentence, never a traceback. Only `add` and `import` load
TensorFlow.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from models.applications import find_application
from models.command_line import Parser, model_name
from models.errors import ModelError
from models.importing import verb as import_verb
from models.promotion import Change, alias_fault, promote, roll_back, take_away
from models.reference import cli as reference_verb
from models.registry import CHAMPION, ModelVersion, Registry

STORE = Path(__file__).resolve().parent / "store"
PROGRAM = "run.py models"


Verbs: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001 - argparse gives it no public name


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
    parser = Parser(prog=PROGRAM, description="List, show, add, import, promote, compare and remove model versions.")
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=Parser)
    for add_verb in (_add_looking, _add_adding, _add_aliases, reference_verb.add_verb, *more):
        add_verb(verbs)
    for one in verbs.choices.values():
        one.add_argument("--store", type=Path, default=STORE, metavar="DIR", help="default: models/store")
    verbs.metavar = " | ".join(verbs.choices)
    return parser


def _add_looking(verbs: Verbs) -> None:
    listing = verbs.add_parser("list", help="every version there is")
    listing.set_defaults(verb=_list)
    showing = verbs.add_parser("show", help="what a version says about itself, and whether its files are intact")
    showing.add_argument("name", metavar="NAME[@VERSION|@ALIAS]", type=reference)
    showing.set_defaults(verb=_show)


def _add_adding(verbs: Verbs) -> None:
    adding = verbs.add_parser("add", help="a network of keras.applications as a new version")
    adding.add_argument("name", metavar="NAME", type=model_name, help="its next free version is taken")
    adding.add_argument("--application", required=True, metavar="ARCH", type=_application,
                        help="for example MobileNetV2 or ResNet50; any case")
    adding.add_argument("--weights", required=True, metavar="imagenet|none|FILE",
                        help="downloaded, random, or a .weights.h5, .h5 or .keras file")
    adding.add_argument("--labels", type=Path, metavar="FILE", help="one label a line, UTF-8")
    adding.add_argument("--size", type=_size, metavar="N", help="input side in pixels (default: the application's own)")
    adding.set_defaults(verb=_add)
    importing = verbs.add_parser("import", help="a .keras, .h5, SavedModel or .onnx network as a new version")
    importing.add_argument("--name", required=True, metavar="NAME", type=model_name,
                           help="its next free version is taken")
    importing.add_argument("--size", type=_import_size, metavar="N", help="input side where the network leaves it open")
    import_verb.add_arguments(importing)
    importing.set_defaults(verb=_import)
    removing = verbs.add_parser("remove", help="delete a version")
    removing.add_argument("reference", metavar="NAME@VERSION", type=exact_reference)
    removing.set_defaults(verb=_remove)


def _add_aliases(verbs: Verbs) -> None:
    promoting = verbs.add_parser("promote", help="let an alias mean a version: champion, which a bare name means")
    promoting.add_argument("reference", metavar="NAME@VERSION", type=exact_reference)
    promoting.set_defaults(verb=_promote)
    back = verbs.add_parser("rollback", help="let an alias mean what it meant before; again and again")
    back.add_argument("name", metavar="NAME", type=model_name)
    back.set_defaults(verb=_roll_back)
    for one in (promoting, back):
        one.add_argument("--alias", type=_alias, default=CHAMPION, metavar="ALIAS", help=f"default: {CHAMPION}")
    taking = verbs.add_parser("unalias", help="let an alias mean nothing any more")
    taking.add_argument("reference", metavar="NAME@ALIAS", type=_alias_reference)
    taking.set_defaults(verb=_take_away)


def _alias(text: str) -> str:
    fault = alias_fault(text)
    if fault:
        raise argparse.ArgumentTypeError(f"{text!r} {fault}")
    return text


def reference(text: str) -> str:
    """`text` where it may be a reference to a version, for a parser."""
    for part in text.split("@", 1):
        model_name(part)
    return text


def exact_reference(text: str) -> str:
    """`text` where it may be a reference with something after its @, for a parser."""
    if "@" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} has no version; expected NAME@VERSION")
    return reference(text)


def _alias_reference(text: str) -> str:
    if "@" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} has no alias; expected NAME@ALIAS")
    return reference(text)


def _application(text: str) -> str:
    try:
        return find_application(text).name
    except ModelError as exc:
        raise argparse.ArgumentTypeError(str(exc).rstrip(".")) from exc


def _import_size(text: str) -> int:
    if not text.isdecimal() or not 8 <= int(text) <= 4096:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 8 to 4096")
    return int(text)


def _size(text: str) -> int:
    if not text.isdecimal() or not 32 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 32 to 1024")
    return int(text)


def _list(arguments: argparse.Namespace) -> None:
    registry = Registry([arguments.store])
    problems = registry.problems()
    rows: list[tuple[str, ...]] = []
    for name in registry.names():
        meant: dict[str, list[str]] = {}
        try:
            meant = {registry.resolve(name).spec.version: [CHAMPION]}
            for alias, target in sorted(registry.aliases(name).items()):
                meant.setdefault(target, []).extend([alias] if alias != CHAMPION else [])
        except ModelError as exc:  # an alias that points nowhere must not hide the versions
            problems.append(str(exc))
        rows += [_row(one, meant.get(one.spec.version, [])) for one in registry.usable(name)]
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


def _row(version: ModelVersion, aliases: Sequence[str]) -> tuple[str, ...]:
    spec = version.spec
    megabytes = sum((version.folder / name).stat().st_size for name in spec.files) / 1e6
    engines = [engine for engine in ("keras", "onnx") if f"model.{engine}" in spec.files]
    accuracy = spec.about.get("accuracy")
    return (
        version.reference + (f" ({', '.join(aliases)})" if aliases else ""),
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
    aliases = sorted((alias for alias, target in registry.aliases(spec.name).items() if target == spec.version),
                     key=lambda alias: (alias != CHAMPION, alias))
    shown = ", ".join(spec.labels[:10]) + (f", ... ({len(spec.labels):,})" if len(spec.labels) > 10 else "")
    lines = {
        "model": version.reference + (f" ({', '.join(aliases)})" if aliases else ""),
        "folder": version.folder,
        "digest": spec.digest,
        "labels": shown,
        "input": f"{spec.input_size}x{spec.input_size}x{spec.channels}, {spec.decode}, {spec.resize}",
        "outputs": ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in spec.outputs.items()),
        "temperature": f"{spec.temperature:g}",
        **{key: value for key, value in spec.about.items() if key != "history"},
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


def _import(arguments: argparse.Namespace) -> None:
    import_verb.show(import_verb.run(arguments))


def _promote(arguments: argparse.Namespace) -> None:
    _say(promote(Registry([arguments.store]), arguments.reference, arguments.alias))


def _roll_back(arguments: argparse.Namespace) -> None:
    _say(roll_back(Registry([arguments.store]), arguments.name, arguments.alias))


def _take_away(arguments: argparse.Namespace) -> None:
    name, _, alias = arguments.reference.partition("@")
    _say(take_away(Registry([arguments.store]), name, alias))


def _say(change: Change) -> None:
    """One sentence: what the alias means now, and what it meant before."""
    if change.version is None:
        means = "means nothing any more" if change.alias != CHAMPION else "is the highest version again"
    elif change.version == change.before:
        means = f"is {change.version} already"
    else:
        means = f"is {change.version} now"
    before = f"; it was {change.before}" if change.before not in (None, change.version) else ""
    gone = f" ({', '.join(change.passed_over)} passed over: not there any more)" if change.passed_over else ""
    print(f"{change.name}@{change.alias} {means}{before}{gone}")


def _remove(arguments: argparse.Namespace) -> None:
    name, _, number = arguments.reference.partition("@")
    folder = Registry([arguments.store]).remove(name, number)
    print(f"{arguments.reference} is removed; it was in {folder}")


if __name__ == "__main__":
    sys.exit(main())
