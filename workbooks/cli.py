"""`run.py workbooks VERB`: one small table of verbs, each with a module of its own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NoReturn

from workbooks.check.command import add_check

if TYPE_CHECKING:
    from workbooks.check.command import Verbs

VERBS: tuple[Callable[[Verbs], None], ...] = (add_check,)
"""Each adds its verb's arguments and sets `verb` to what runs it and returns the exit status."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def error(self, message: str) -> NoReturn:
        """Status 2 and the sentence."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    parser = Parser(prog="run.py workbooks", description="What looks after Tableau workbooks.", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True, metavar="VERB", parser_class=Parser)
    for add in VERBS:
        add(verbs)
    arguments = parser.parse_args(argv)
    return int(arguments.verb(arguments))


if __name__ == "__main__":
    sys.exit(main())
