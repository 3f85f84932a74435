"""The benchmarks' model: MobileNetV2 at 224 pixels with random weights, made once by `models add`, as a user would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.stack import print_line

NAME = "mobilenetv2"


def untrained_store(cache: Path, application: str = "MobileNetV2") -> Path:
    """A store with the untrained `application` under its lower-case name."""
    store = cache / "store"
    if not (store / application.lower()).is_dir():
        print_line(f"  making an untrained {application} ...")
        subprocess.run([sys.executable, "-m", "models.cli", "add", application.lower(), "--application", application,
                        "--weights", "none", "--store", str(store)], check=True, stdout=sys.stderr)
    return store
