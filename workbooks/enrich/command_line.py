"""The command line of `classify`, and the table that its INPUT names."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from workbooks.enrich.checking import check_numbers
from workbooks.enrich.csv_table import CsvTable
from workbooks.enrich.errors import InputError, OutputError
from workbooks.enrich.journal import Journal
from workbooks.enrich.outputs import FORMATS, TYPED
from workbooks.enrich.picture_folder import PATH, folder_table
from workbooks.enrich.table import Table

_CSV, _EXCEL, _PARQUET = (".csv", ".tsv", ".txt"), (".xlsx", ".xlsm"), (".parquet", ".pq")


def parser() -> argparse.ArgumentParser:
    """Every option; a test holds docs/enriching.md to it."""
    found = argparse.ArgumentParser(prog="run.py classify", allow_abbrev=False,
                                    description="A table with a column of pictures becomes the same table with answers"
                                    " beside it. Broken off at any moment, the same command goes on.")
    add = found.add_argument
    add("input", metavar="INPUT", type=Path, help="a CSV, Excel (.xlsx) or Parquet file, or a folder of pictures")
    add("--image-column", metavar="NAME", help="the column of paths or URLs (a folder needs none)")
    add("--out", type=Path, metavar="OUT", required=True, help="the table to write: .csv, .parquet or .hyper")
    add("--model", metavar="NAME[@VERSION]", help="which model answers (default: the server's)")
    add("--fields", default="label,confidence", metavar="A,B,...", help="columns of answers, named as the functions"
        " without image_ (default: %(default)s); status is always there")
    add("--rank", type=int, help="for the fields label_at and confidence_at: 1 is the most probable class")
    add("--label", help="for the field probability: the class")
    add("--threshold", type=float, help="for the field needs_review: a confidence, 0 to 1")
    add("--to", metavar="PICTURE", help="for the field similarity: the picture to compare with;"
        " a relative path begins where those of the rows do")
    add("--base", type=Path, metavar="DIR", help="where relative paths begin (default: INPUT's folder)")
    add("--as-written", action="store_true", help="send paths as they stand, for a server on another machine")
    add("--sheet", metavar="NAME", help="Excel: the sheet (default: the first)")
    add("--encoding", help="CSV: how it is encoded (default: UTF-8, or UTF-16 or UTF-32 where its first bytes"
        " show that)")
    add("--separator", type=_separator, help="CSV: what stands between cells (default: found in the first rows)")
    add("--afresh", action="store_true", help="leave what a run that was broken off has finished")
    server = found.add_argument_group("server", "without --server the one of `serve` on this machine, else one that is"
                                      " started for the time with the settings of `serve`").add_argument
    server("--server", metavar="URL", help="the Pixfield server to ask, such as http://pixfield.corp:9005")
    server("--token-file", type=Path, metavar="FILE", help="the file with the server's token")
    server("--config", type=Path, metavar="FILE", help="the settings of `serve` (default: pixfield.toml)")
    server("--images", type=Path, action="append", default=[], metavar="DIR",
           help="a further folder whose pictures a server that is started may read; repeat it for more")
    tableau = found.add_argument_group("Tableau Server or Cloud", "with a personal access token in the environment:"
                                       " TABLEAU_TOKEN_NAME and TABLEAU_TOKEN_SECRET").add_argument
    tableau("--publish", action="store_true", help="publish the .hyper file when it is written")
    tableau("--tableau-url", metavar="URL", help="Tableau's address, such as https://tableau.corp")
    tableau("--site", default="", metavar="NAME", help="the site as its address has it (default: the default site)")
    tableau("--project", default="default", metavar="NAME", help="the project; A/B is B in A (default: %(default)s)")
    tableau("--name", metavar="NAME", help="the data source's name (default: OUT's)")
    return found


def checked(arguments: argparse.Namespace) -> None:
    """Raise where INPUT and OUT cannot be what they are, before anything is started."""
    check_numbers(vars(arguments))
    try:
        _check_out(arguments)
        _check_input(arguments)
    except OSError as exc:  # a name that is too long, a folder that may not be looked into
        raise InputError(f"{exc.filename} cannot be looked at ({exc.strerror}): name another file or folder.") from exc


def _check_input(arguments: argparse.Namespace) -> None:
    path: Path = arguments.input
    if not path.exists():
        raise InputError(f"There is no file or folder {path}.")
    if arguments.out.exists() and arguments.out.samefile(path):
        raise OutputError("--out is the INPUT itself: name another file.")
    if arguments.base is not None and not arguments.base.is_dir():
        raise InputError(f"--base {arguments.base}: there is no such folder.")
    if path.is_dir():
        return
    if path.suffix.lower() not in (*_CSV, *_EXCEL, *_PARQUET):
        raise InputError(f"{path}: expected a folder of pictures or a file that ends in"
                         f" {', '.join((*_CSV, *_EXCEL, *_PARQUET))}; Excel saves older workbooks as .xlsx.")
    if not path.is_file():
        raise InputError(f"{path} is a pipe or a device, which can be read only once: save it as a file first.")
    if not arguments.image_column:
        raise InputError("Name the column of paths or URLs with --image-column.")


def _check_out(arguments: argparse.Namespace) -> None:
    out: Path = arguments.out
    if out.suffix.lower() not in FORMATS:
        raise OutputError(f"--out {out}: expected a name that ends in {', '.join(FORMATS)}.")
    if arguments.publish and out.suffix.lower() != ".hyper":
        raise OutputError(f"--publish needs a .hyper file: name --out {out.with_suffix('.hyper')}.")
    if not out.absolute().parent.is_dir():
        raise OutputError(f"--out {out}: there is no folder {out.absolute().parent}; make it first.")
    if out.is_dir():
        raise OutputError(f"--out {out} is a folder: name a file.")


def opened(arguments: argparse.Namespace, journal: Journal) -> tuple[Table, str]:
    """The table and the name of its column of pictures.

    Raises:
        InputError: it cannot be read.
    """
    path: Path = arguments.input
    is_typed = arguments.out.suffix.lower() in TYPED
    if path.is_dir():
        return folder_table(path, journal.listing, is_typed=is_typed), arguments.image_column or PATH
    if path.suffix.lower() in _EXCEL:
        from workbooks.enrich.excel_table import ExcelTable

        return ExcelTable.open(path, sheet=arguments.sheet), arguments.image_column
    if path.suffix.lower() in _PARQUET:
        from workbooks.enrich.parquet_table import ParquetTable

        return ParquetTable.open(path), arguments.image_column
    return CsvTable.open(path, is_typed=is_typed, texts=(arguments.image_column,), encoding=arguments.encoding,
                         separator=arguments.separator), arguments.image_column


def source_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """What tells this INPUT from another, and from itself after a change; a folder's listing is kept as it was."""
    path: Path = arguments.input.absolute()
    found = path.stat()
    signature = [] if path.is_dir() else [found.st_size, found.st_mtime_ns]
    return {"path": str(path), "signature": signature, "sheet": arguments.sheet, "encoding": arguments.encoding,
            "separator": arguments.separator}


def check_unchanged(arguments: argparse.Namespace, source: dict[str, Any]) -> None:
    """Raise InputError where INPUT is not any more what `source_of` found."""
    try:
        is_unchanged = source_of(arguments) == source
    except OSError:
        is_unchanged = False
    if not is_unchanged:
        raise InputError(f"{arguments.input} has changed while it was read, so nothing is written: give the same"
                         " command again when nobody writes to it.")


def base_of(arguments: argparse.Namespace) -> Path | None:
    """Where relative paths begin; None where they are sent as they stand."""
    if arguments.as_written:
        return None
    path: Path = arguments.input.absolute()
    base: Path = arguments.base.absolute() if arguments.base else path if path.is_dir() else path.parent
    return base


def _separator(text: str) -> str:
    separator = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(separator) != 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not one character (or the word tab)")
    return separator
