"""`run.py workbooks check`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from workbooks.check.command import add_check


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def error(self, message: str) -> NoReturn:
        """Status 2 and the sentence."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def main(argv: Sequence[str]) -> int:
    """Do what the command line says and return the exit status."""
    parser = Parser(prog="run.py workbooks", allow_abbrev=False)
    add_check(parser.add_subparsers(parser_class=Parser))
    arguments = parser.parse_args(["check", *argv])
    return int(arguments.verb(arguments))
