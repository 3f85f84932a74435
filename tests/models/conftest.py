"""What several tests of `models` need: the shipped version, and Keras imported once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from models.registry import ModelVersion, Registry

HERE = Path(__file__).parent
STORE = HERE.parents[1] / "models" / "store"

KERAS_COPIES = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
"""Keras 3.15 copies TensorFlow 2.21 tensors with `np.array(x)`, which NumPy 2.4 warns about: nothing of ours."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let Keras's own warning pass in this folder; all others are errors."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(KERAS_COPIES))


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras, imported once; tests that need it ask for this."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return pytest.importorskip("keras", reason="Keras is not installed: only the serving requirements are")


@pytest.fixture(scope="session")
def shipped() -> ModelVersion:
    """The digit model of the project."""
    return Registry([STORE]).resolve("digits@1")
