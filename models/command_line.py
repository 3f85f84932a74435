"""What the commands about models share: an error is one sentence, and a name is one that every file system bears."""

from __future__ import annotations

import argparse
from typing import NoReturn

from models.names import name_fault


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage lines."""

    def error(self, message: str) -> NoReturn:
        """Status 2 and the sentence."""
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help.\n")


def model_name(text: str) -> str:
    """The text if it may name a model; raises `argparse.ArgumentTypeError`."""
    fault = name_fault(text)
    if fault:
        raise argparse.ArgumentTypeError(f"{text!r} {fault}")
    return text
