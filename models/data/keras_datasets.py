"""`keras:fashion_mnist` and other picture sets of `keras.datasets`, which Keras downloads once."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from models.data.arrays import list_arrays
from models.data.entries import Listing
from models.errors import DataError

PREFIX = "keras:"

LABELS: dict[str, tuple[str, ...] | None] = {
    "mnist": None,
    "fashion_mnist": ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
                      "Ankle boot"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    "cifar100": None,
}
"""Name in `keras.datasets` -> class names by number, as the data sets' authors give them; None: the numbers."""


Download = Callable[[str], Any]
"""Name -> ((x_train, y_train), (x_test, y_test))."""


def download(name: str) -> Any:
    """What `keras.datasets` gives, which keeps it in its own folder for the next time."""
    return importlib.import_module(f"keras.datasets.{name}").load_data()


def list_keras(source: str, *, download: Download = download) -> Listing:
    """The official train and test parts of `keras:NAME`; raises `DataError` when it is unknown or cannot be had."""
    name = source.removeprefix(PREFIX)
    if name not in LABELS:
        raise DataError(f"{source}: there is no such data set; choose from "
                        f"{', '.join(PREFIX + known for known in LABELS)}.")
    (x_train, y_train), (x_test, y_test) = _had(source, name, download)
    arrays: dict[str, Any] = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
    labels = LABELS[name]
    if labels is not None:
        arrays["labels"] = np.array(labels)
    return list_arrays(source, arrays)


def _had(source: str, name: str, download: Download) -> Any:
    try:
        return download(name)
    except ImportError as exc:
        raise DataError(f"{source}: needs Keras, which is not installed ({exc}); use an .npz, .zip or folder.") from exc
    except Exception as exc:  # keras.utils.get_file raises a bare Exception when a download fails
        raise DataError(f"{source}: cannot be downloaded ({_short(exc)}); without a network, name an .npz, a .zip or a "
                        "folder with the same pictures.") from exc


def _short(exc: Exception) -> str:
    return " ".join(str(exc).split())[:200] or type(exc).__name__
