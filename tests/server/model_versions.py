"""Versions of the digit model whose answers tell which version made them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path


def write_version(root: Path, version: str, *, source: Path, name: str = "digits", is_damaged: bool = False) -> Path:
    """Copy the digit model as `name`@`version`; its labels are "<version>-0" and so on. It arrives all at once.

    A damaged one has all its files, one of them with another content.
    """
    arriving, folder = root / name / f".{version}", root / name / version
    shutil.copytree(source, arriving)
    spec = arriving / "model.json"
    content = json.loads(spec.read_text(encoding="utf-8"))
    labels = [f"{version}-{label}" for label in content["labels"]]
    spec.write_text(json.dumps(content | {"name": name, "version": version, "labels": labels}), encoding="utf-8")
    if is_damaged:
        spoil(arriving)
    arriving.rename(folder)
    return folder


def spoil(folder: Path) -> bytes:
    """Change one byte of the ONNX file; returns what it was."""
    path = folder / "model.onnx"
    before = path.read_bytes()
    path.write_bytes(before[:-1] + b"?")
    return before
