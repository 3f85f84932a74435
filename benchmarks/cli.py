"""`python run.py bench NAME`: run one benchmark, print its table, and fail when a promise is broken."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

NAMES = {
    "warm": "a column whose answers are known, against stock TabPy's identity",
    "direct": "the same without TabPy: the server's own /evaluate",
    "cold": "photos nobody has asked for yet, against decoding and the model alone",
    "fields": "four fields on one cold column at once",
    "alive": "how TabPy answers others while cold columns wait",
    "memory": "what a warm column and a million stored rows add to the server",
    "restart": "`kill -9` of server or TabPy, twenty times in mid-column",
    "latency": "single images at random moments, at 0.85 of the offline rate",
    "overload": "single images at twice the rate the server can bear",
    "enrich": "`classify` on a table of 100,000 rows: rate, memory, killed in the middle, a second run (--table-rows)",
    "soak": "minutes of mixed load: memory and descriptors stay flat (--minutes)",
}
_STATE = Path(__file__).resolve().parent.parent / "state" / "bench"


def main(argv: list[str] | None = None) -> int:
    """Exit status 0 when every promise is kept, else 1."""
    text = "\n".join(f"  {name:8}{what}" for name, what in NAMES.items())
    parser = argparse.ArgumentParser(prog="run.py bench", description=f"Benchmarks:\n{text}",
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=NAMES, metavar="NAME")
    parser.add_argument("--images", type=Path, metavar="DIR", help="a folder of photos instead of the made ones")
    parser.add_argument("--rows", type=int, default=768, help="photos a column has (default: %(default)s)")
    parser.add_argument("--table-rows", type=int, default=100_000, help="enrich: rows (default: %(default)s)")
    parser.add_argument("--naive", action="store_true", help="cold: also the Keras model inside stock TabPy")
    parser.add_argument("--minutes", type=float, default=5.0, help="soak: how long (default: %(default)s)")
    parser.add_argument("--scratch", type=Path, default=_STATE / "scratch", metavar="DIR", help="for state folders")
    parser.add_argument("--cache", type=Path, default=_STATE / "cache", metavar="DIR", help="for made pictures, models")
    arguments = parser.parse_args(argv)
    report = importlib.import_module(f"benchmarks.{arguments.name}").run(arguments)
    sys.stdout.write(report.text())
    return 0 if report.is_kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
