"""ONNX Runtime, told before it is loaded that it is to send nothing.

From 1.29 on its official packages report to their maker: a device id in the user's cache folder, and events over HTTPS,
the first one while the library is loaded. Its own switch counts only where it is set before. Who wants the reports sets
`ORT_DISABLE_TELEMETRY=0`. https://github.com/microsoft/onnxruntime/blob/main/docs/Privacy.md
"""

from __future__ import annotations

import os
from types import ModuleType


def load() -> ModuleType:
    """The library; whoever needs it takes it from here."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    runtime: ModuleType = onnxruntime
    return runtime
