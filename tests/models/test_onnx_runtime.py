"""ONNX Runtime sends nothing: run in a process of its own, since it decides once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USE = """
from models import onnx_runtime
onnx_runtime.load().InferenceSession("models/store/digits/1/model.onnx", providers=["CPUExecutionProvider"])
"""


def test_loading_it_leaves_nothing_in_the_user_s_folder(tmp_path: Path) -> None:
    """Neither a device id nor a file of events to be sent."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    homes = dict.fromkeys(("HOME", "USERPROFILE", "LOCALAPPDATA", "APPDATA"), str(tmp_path))
    subprocess.run([sys.executable, "-c", USE], cwd=ROOT, env=kept | homes | {"PYTHONPATH": str(ROOT)}, check=True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_nobody_loads_it_otherwise() -> None:
    """One import before the switch is set would be one report."""
    files = [path for folder in ("benchmarks", "models", "server", "tabpy_functions")
             for path in (ROOT / folder).rglob("*.py")]
    found = {path.relative_to(ROOT).as_posix() for path in files
             if re.search(r"^\s*(import|from) onnxruntime\b", path.read_text(encoding="utf-8"), re.MULTILINE)}
    assert found == {"models/onnx_runtime.py"}
