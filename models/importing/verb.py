"""`run.py models import`: its arguments, and what they become."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from models.errors import ModelError
from models.importing.labels import read_labels
from models.importing.order import Order, Report
from models.importing.sandbox import Bounds, import_apart
from models.importing.scalings import scalings

_SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx")
_SECONDS = 1200.0  # exporting a network of a gigabyte takes minutes
_SHARE = 0.8  # of the memory that is free at the start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the verb understands, but for --store."""
    parser.add_argument("file", metavar="FILE", type=Path, help="a .keras, .h5 or .onnx file, or a SavedModel folder")
    parser.add_argument("--labels", metavar="FILE|a,b,c",
                        help="one label a line, Teachable Machine's labels.txt, a JSON list or map; or the labels")
    parser.add_argument("--scale", choices=list(scalings(3)), metavar="SCALE",
                        help=f"what the network expects of its pixels: {', '.join(scalings(3))}")
    parser.add_argument("--check", type=Path, metavar="FOLDER",
                        help="a folder of pictures for each label: every scaling is tried, and the best one taken")
    parser.add_argument("--trust", action="store_true", help="let the file's own code run (Lambda layers)")
    parser.add_argument("--max-s", type=_positive, default=_SECONDS, metavar="S", help=f"default: {_SECONDS:g} seconds")
    parser.add_argument("--max-mb", type=_positive, metavar="MB", help="memory; default: four fifths of what is free")


def run(arguments: argparse.Namespace) -> Report:
    """Look at what can be looked at cheaply, then import in a child process; raises `ModelError`."""
    file: Path = arguments.file
    if not file.exists():
        raise ModelError(f"{file}: there is no such file.")
    if not file.is_dir() and file.suffix.lower() not in _SUFFIXES:
        raise ModelError(f"{file.name} is none of {', '.join(_SUFFIXES)}, and no SavedModel folder.")
    order = Order(
        file=file.absolute(), name=arguments.name, root=arguments.store.absolute(), scale=arguments.scale,
        labels=read_labels(arguments.labels) if arguments.labels else (), size=arguments.size,
        check=arguments.check.absolute() if arguments.check else None, is_trusted=arguments.trust,
    )
    return import_apart(order, Bounds(arguments.max_s, int(arguments.max_mb or _free_megabytes())))


def show(report: Report) -> None:
    """The report to stdout, warnings to stderr."""
    print("\n".join(report.lines))
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _free_megabytes() -> float:
    import psutil

    return _SHARE * psutil.virtual_memory().available / 1e6


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value
