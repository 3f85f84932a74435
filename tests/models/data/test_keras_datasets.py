"""`keras:NAME`: the official split, class names, and one sentence when it cannot be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_pictures import noise

from models.data.keras_datasets import LABELS, download, list_keras
from models.data.loading import load
from models.errors import DataError


def _arrays(_name: str) -> Any:
    """The shapes of `keras.datasets.cifar10`."""
    x = np.stack([noise(seed, width=32, height=32) for seed in range(30)])
    y = (np.arange(30) % 10).astype(np.uint8)[:, None]
    return (x[:20], y[:20]), (x[20:], y[20:])


def test_a_data_set_has_its_names_and_its_split() -> None:
    """Numbers become the names their authors gave, in their order."""
    listing = list_keras("keras:cifar10", download=_arrays)
    assert listing.labels == LABELS["cifar10"]
    assert [(entry.name, entry.label, entry.part) for entry in listing.entries[19:21]] == [
        ("train 19", "truck", 0), ("test 0", "airplane", 1)]


def test_an_unknown_one_lists_the_choices() -> None:
    """The error is the catalogue."""
    with pytest.raises(DataError, match=r"no such data set; choose from keras:mnist, .*, keras:cifar100\."):
        load("keras:imagenet")


@pytest.mark.parametrize(("error", "expected"), [
    (Exception("URL fetch failure on https://x: None -- \n [Errno -2]"), r"cannot be downloaded \(URL fetch failure"),
    (ImportError("No module named 'keras'"), r"needs Keras, which is not installed"),
])
def test_what_cannot_be_had_is_one_sentence(error: Exception, expected: str) -> None:
    """With the alternatives that need no network."""
    def fail(_name: str) -> Any:
        raise error

    with pytest.raises(DataError, match=expected) as caught:
        list_keras("keras:mnist", download=fail)
    assert "folder" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_keras_itself_without_a_network(keras: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keras's own error, whatever class it has, becomes the sentence: nothing listens where the proxy should be."""
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setattr(keras.src.backend.config, "_KERAS_DIR", str(tmp_path))  # as KERAS_HOME would before the import
    with pytest.raises(DataError, match="keras:mnist: cannot be downloaded"):
        list_keras("keras:mnist", download=download)
