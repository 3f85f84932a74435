"""`run.py workbooks VERB`: what is done with Tableau workbooks."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

VERBS = {  # verb: (module with main(argv), what it does)
    "build": ("workbooks.build", "the sample workbooks, or a catalogue of your own table"),
    "check": ("workbooks.check.cli", "find the mistakes in the fields of a workbook that ask TabPy"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Hand over to the verb; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        lines = [f"  {verb:8}{what}" for verb, (_, what) in VERBS.items()]
        sys.stdout.write("\n".join(["usage: run.py workbooks VERB [arguments]", "", *lines]) + "\n")
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb not in VERBS:
        sys.stderr.write(f"There is no verb {verb} of workbooks: there are {', '.join(VERBS)}.\n")
        return 2
    try:
        status = int(importlib.import_module(VERBS[verb][0]).main(rest))
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # whoever reads, such as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the end of Python says it once more
        return 1
    return status


if __name__ == "__main__":
    raise SystemExit(main())
