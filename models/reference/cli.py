"""The verb `run.py models reference`: what it is asked, and what it says."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from models.data.reading import Wishes
from models.reference.reference import MOST_PICTURES, REFERENCE_FILE
from models.registry import Registry

_FEWEST = 50  # fewer make no map


def add_verb(verbs: argparse._SubParsersAction[Any]) -> argparse.ArgumentParser:
    """The verb among the others."""
    what = "a version with labelled pictures as its map, clusters, nearest labels and outliers: a new version"
    parser: argparse.ArgumentParser = verbs.add_parser("reference", help=what)
    parser.add_argument("name", metavar="NAME[@VERSION]", help="the version it is made for; it stays as it is")
    parser.add_argument("source", metavar="SOURCE", help="labelled pictures: a folder of class folders, a table, ...;"
                        " see docs/training-data.md")
    parser.add_argument("--reference", type=_count, metavar="N", help="pictures of the reference (default: what makes 3"
                        f" MB, at most 4,000; at most {MOST_PICTURES:,})")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="another seed, other pictures and another map")
    parser.add_argument("--image-column", metavar="NAME", help="a table's column of paths")
    parser.add_argument("--label-column", metavar="NAME", help="a table's column of classes")
    parser.add_argument("--pictures", type=Path, metavar="DIR", help="where pictures that a table names are looked for")
    parser.set_defaults(verb=_make)
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not _FEWEST <= int(text) <= MOST_PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {_FEWEST} to {MOST_PICTURES}")
    return int(text)


def _make(arguments: argparse.Namespace) -> None:
    from models.reference.adding import add_reference

    wishes = Wishes(image_column=arguments.image_column, label_column=arguments.label_column, images=arguments.pictures)
    version = Registry([arguments.store]).resolve(arguments.name)
    made = add_reference(version, arguments.source, root=arguments.store, wishes=wishes, count=arguments.reference,
                         seed=arguments.seed)
    said = made.spec.about["reference"]
    megabytes = (made.folder / REFERENCE_FILE).stat().st_size / 1e6
    print(f"{made.reference} is in {made.folder}: {version.reference} with a reference of {said['pictures']:,} pictures"
          f" in {said['clusters']} clusters, {megabytes:.1f} MB")
