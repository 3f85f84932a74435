"""Both ends of a network: raw pixels enter and are scaled; three named outputs leave.

Whatever stands between, the rest of the project sees the same contract: `probabilities`, `embedding`, and `map` where
the network ends in global average pooling and one dense layer, because then the map times the dense weights shows where
a class was seen (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization").
"""

from __future__ import annotations

from typing import Any

from models.errors import ModelError


def start(name: str, *, size: int, channels: int, classes: int, smallest: int) -> tuple[Any, Any]:
    """The input float32 (N, size, size, channels) of raw pixels 0..255, and the same scaled to -1..1.

    Raises:
        ModelError: a size below `smallest`, other channels than 1 or 3, or fewer than 2 classes.
    """
    import keras

    if size < smallest:
        raise ModelError(f"{name} takes pictures of at least {smallest} x {smallest} pixels; size is {size}.")
    if channels not in (1, 3):
        raise ModelError(f"{name} takes pictures of 1 channel (grey) or 3 (RGB); channels is {channels}.")
    if classes < 2:
        raise ModelError(f"{name} tells at least 2 classes apart; classes is {classes}.")
    pixels = keras.Input((size, size, channels), name="pixels")
    return pixels, keras.layers.Rescaling(1 / 127.5, offset=-1.0)(pixels)


def pooled(pixels: Any, x: Any, *, classes: int, name: str, dropout: float = 0.0) -> Any:
    """The model that averages the map `x` (N, h, w, K) over its places and ends in one dense layer.

    Output shape: probabilities (N, classes); embedding (N, K); map (N, h, w, K), whose mean over places is the
    embedding.
    """
    import keras

    embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(x)
    outputs = {"probabilities": _classifier(embedding, classes, dropout), "embedding": embedding, "map": x}
    return keras.Model(pixels, outputs, name=name)


def flat(pixels: Any, embedding: Any, *, classes: int, name: str, dropout: float = 0.0) -> Any:
    """The model whose last hidden layer is `embedding` (N, D): it has no map.

    Output shape: probabilities (N, classes); embedding (N, D).
    """
    import keras

    outputs = {"probabilities": _classifier(embedding, classes, dropout), "embedding": embedding}
    return keras.Model(pixels, outputs, name=name)


def _classifier(embedding: Any, classes: int, dropout: float) -> Any:
    """Dropout, where there is any, and the dense layer whose softmax is the answer."""
    import keras

    features = keras.layers.Dropout(dropout)(embedding) if dropout else embedding
    dense = keras.layers.Dense(
        classes, activation="softmax", kernel_initializer="he_normal", dtype="float32", name="probabilities"
    )
    return dense(features)
