"""ONNX Runtime on a graph in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from models import onnx_runtime
from models.errors import ModelError
from models.importing.keras_file import shown
from models.importing.onnx_parts import LARGEST_FILE, save


def open_session(proto: Any) -> Any:
    """ONNX Runtime on the CPU; raises `ModelError` for what it does not take."""
    onnxruntime = onnx_runtime.load()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its warnings are for authors of exporters, its errors are raised
    # Windows removes no file that is still mapped
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        network: str | bytes = str(Path(folder) / "model.onnx")
        if proto.ByteSize() > LARGEST_FILE:
            save(proto, Path(folder) / "model.onnx")
        else:
            network = proto.SerializeToString()
        try:
            return onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        except Exception as exc:  # it raises classes of its own, without a common parent
            raise ModelError(f"ONNX Runtime does not take this network: {shown(exc)}") from exc
