"""`run.py workbooks build`: the three sample workbooks from the models that are there, or a catalogue of a table.

The pictures are really classified: by a server that is named, else by one that is started for it and stopped again.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from workbooks.authoring import hyper
from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.package import write_package
from workbooks.authoring.source import Storage
from workbooks.authoring.target import TARGETS
from workbooks.authoring.workbook import Workbook
from workbooks.content.own_table import own_catalogue
from workbooks.content.samples import Wishes, samples
from workbooks.drawing.dashboard import drawing
from workbooks.gathering.client import Client
from workbooks.gathering.demo_server import demo_server
from workbooks.site import is_address, is_sendable

_ROOT = Path(__file__).resolve().parent.parent
_PUBLIC_URL = "http://127.0.0.1:9005"  # where `serve` and `demo` answer by default


def main(argv: Sequence[str] | None = None) -> int:
    """Build what the command line says; returns the exit status: 0, or 1 with one sentence why not."""
    arguments = parser().parse_args(argv)
    try:
        _make_folder("--drawings", arguments.drawings)
        for workbook in _workbooks(arguments):
            _write(workbook, arguments)
    except AuthoringError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """What the command line takes."""
    one = argparse.ArgumentParser(prog="run.py workbooks build", usage="run.py workbooks build [options]",
                                  description="Tableau workbooks that open without a server.")
    one.add_argument("--out", type=Path, default=Path("tableau-workbooks"), metavar="DIR",
                     help="where they go (default: tableau-workbooks)")
    one.add_argument("--tableau", choices=tuple(TARGETS), default="2024.2",
                     help="the form: 2024.2 opens in that and newer ones (default), 2026.1 from there on")
    one.add_argument("--extract", choices=("hyper", "csv"), default=None,
                     help="what the workbook reads: a Hyper extract (default where pantab is installed), or CSV")
    one.add_argument("--data", type=Path, metavar="CSV", help="the catalogue of this table instead of the samples")
    one.add_argument("--image-column", metavar="NAME", help="the table's column of pictures")
    one.add_argument("--server", metavar="URL", help="a running server, instead of one that is started")
    one.add_argument("--token-file", type=Path, metavar="FILE", help="the token that server wants")
    one.add_argument("--pictures", action="append", default=[], metavar="MODEL=SOURCE", help="labelled pictures for"
                     " a model: a folder with a subfolder a class; repeat it for more")
    one.add_argument("--depth", type=Path, metavar="CSV", help="depth.csv of `run.py experiment depth`")
    one.add_argument("--rows", type=_positive, default=1000, metavar="N", help="pictures a model (default: 1000)")
    one.add_argument("--public-url", default=_PUBLIC_URL, metavar="URL",
                     help=f"what picture addresses begin with (default: {_PUBLIC_URL})")
    one.add_argument("--no-addresses", action="store_true", help="leave picture addresses out: they hold for one"
                     " state folder only")
    one.add_argument("--state", type=Path, default=_ROOT / "state", metavar="DIR",
                     help="the state folder of the server that is started (default: state beside run.py)")
    one.add_argument("--store", type=Path, default=_ROOT / "models" / "store", metavar="DIR",
                     help="the folder of model versions (default: models/store)")
    one.add_argument("--drawings", type=Path, metavar="DIR", help="draw each dashboard there, too, as SVG")
    return one


def _positive(text: str) -> int:
    """A whole number from 1; argparse says what was wrong with another."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def _workbooks(arguments: argparse.Namespace) -> Iterator[Workbook]:
    storage: Storage = arguments.extract or ("hyper" if hyper.is_there() else "csv")
    if arguments.extract is None and storage == "csv":
        _say("pantab is not installed (requirements-tableau.txt): the workbooks read CSV instead of Hyper extracts.")
    if arguments.data is not None:
        yield own_catalogue(arguments.data, arguments.image_column, storage)
        return
    with _server(arguments) as client:
        yield from samples(client, wishes(arguments), storage, _say)


def _token(path: Path | None) -> str:
    """The first line of the file."""
    if path is None:
        return ""
    try:
        token = (path.read_text(encoding="utf-8").splitlines() or [""])[0].strip()
    except (OSError, ValueError) as exc:
        why = getattr(exc, "strerror", None) or "it is no text in UTF-8"
        raise AuthoringError(f"--token-file {path} cannot be read ({why}): name a file whose first line is the"
                             " token.") from exc
    if not is_sendable(token):
        raise AuthoringError(f"--token-file {path} has a token with characters no header can carry: name the file whose"
                             " first line is the server's token.")
    return token


def wishes(arguments: argparse.Namespace) -> Wishes:
    """What the samples are to be made of."""
    return Wishes(store=arguments.store, state=None if arguments.server else arguments.state,
                  pictures=_named(arguments.pictures), depth=arguments.depth, rows=arguments.rows,
                  has_addresses=not arguments.no_addresses)


def _named(texts: Sequence[str]) -> dict[str, Path]:
    """MODEL=SOURCE as given."""
    pairs = [text.partition("=") for text in texts]
    wrong = ["".join(pair) for pair in pairs if not all(pair)]
    if wrong:
        raise AuthoringError(f"--pictures {wrong[0]}: write MODEL=FOLDER, such as --pictures photos=/data/labelled.")
    return {name: Path(source).absolute() for name, _, source in pairs}


@contextlib.contextmanager
def _server(arguments: argparse.Namespace) -> Iterator[Client]:
    if arguments.server:
        if not is_address(arguments.server):
            raise AuthoringError(f"--server {arguments.server!r} is no address: write it like {_PUBLIC_URL}")
        yield Client(arguments.server.rstrip("/"), _token(arguments.token_file))
        return
    _say("Starting a server ...")
    with demo_server(arguments.state, image_folders(arguments), arguments.public_url, arguments.store) as demo:
        yield demo.client


def image_folders(arguments: argparse.Namespace) -> list[Path]:
    """Where the server that is started may read: what was named, and the pictures that came with versions."""
    named = [path.with_suffix("") if path.suffix.lower() == ".csv" else path
             for path in _named(arguments.pictures).values()]
    return [*named, arguments.store.absolute()]


def _write(workbook: Workbook, arguments: argparse.Namespace) -> None:
    path = arguments.out / f"{workbook.name}.twbx"
    size = write_package(path, workbook, TARGETS[arguments.tableau])
    rows = sum(len(source.table.rows) for source in workbook.sources)
    _say(f"{path}: {len(workbook.sheets)} sheets, {len(workbook.dashboards)} dashboards, {rows:,} rows,"
         f" {size / 1000:,.0f} kB, for Tableau {arguments.tableau} on")
    for dashboard in workbook.dashboards if arguments.drawings else ():
        _draw(arguments.drawings / f"{dashboard.name.lower().replace(' ', '-')}.svg", drawing(workbook, dashboard))


def _draw(path: Path, svg: str) -> None:
    try:
        path.write_text(svg, encoding="utf-8", newline="\n")
    except OSError as exc:
        raise AuthoringError(f"{path} cannot be written ({exc.strerror or exc}): name another folder with"
                             " --drawings.") from exc


def _make_folder(option: str, folder: Path | None) -> None:
    """Before any work is done that a wrong name would make futile."""
    try:
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise AuthoringError(f"{option} {folder} cannot be a folder ({exc.strerror or exc}): name another.") from exc


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
