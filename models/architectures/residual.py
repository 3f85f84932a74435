"""A small residual network (He et al. 2015, "Deep Residual Learning for Image Recognition", section 3.3).

Every network ends in global average pooling and one dense layer, so that the last map times the dense weights shows
where a class was seen (Zhou et al. 2016, "Learning Deep Features for Discriminative Localization").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from models.architectures import ends


def build(*, size: int, channels: int, classes: int, patch: int, widths: Sequence[int]) -> Any:
    """A Keras model with the outputs "probabilities", "embedding" and "map".

    Args:
        size: side of the input in pixels.
        channels: 1 or 3.
        classes: C, the number of labels.
        patch: side in pixels of what the first layer makes one place of the map; divides `size`.
        widths: feature maps of each residual block, one block each.

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, widths[-1]), not negative; map (N, size/patch,
    size/patch, widths[-1]), whose mean over places is the embedding.

    Raises:
        ModelError: a size below `patch`, or what else `ends.start` refuses.
    """
    import keras

    pixels, x = ends.start("residual", size=size, channels=channels, classes=classes, smallest=patch)
    x = keras.layers.Conv2D(widths[0], patch, strides=patch, use_bias=False)(x)  # (N, h, w, widths[0])
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(x))
    for width in widths:
        x = _block(x, width)
    embedding = keras.layers.GlobalAveragePooling2D(name="embedding")(x)  # (N, widths[-1])
    dropped = keras.layers.Dropout(0.2)(embedding)
    probabilities = keras.layers.Dense(classes, activation="softmax", name="probabilities")(dropped)
    outputs = {"probabilities": probabilities, "embedding": embedding, "map": x}
    return keras.Model(pixels, outputs, name="residual")


def _block(x: Any, width: int) -> Any:
    """Two 3x3 convolutions around a shortcut, which is a 1x1 convolution where the width changes (option B)."""
    import keras

    shortcut = x
    if x.shape[-1] != width:
        shortcut = keras.layers.Conv2D(width, 1, use_bias=False)(x)
        shortcut = keras.layers.BatchNormalization()(shortcut)
    y = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
    y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
    y = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(y)
    y = keras.layers.BatchNormalization()(y)
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, y]))
