"""`run.py models` with everything: the verbs of `models.cli`, and `evaluate`, which runs a version as it is served."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from models import cli
from server.evaluate_cli import add_evaluate


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    return cli.main(argv, more=(add_evaluate,))


if __name__ == "__main__":
    sys.exit(main())
