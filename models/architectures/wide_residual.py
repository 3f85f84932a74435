"""Wide residual networks (Zagoruyko and Komodakis 2016, "Wide Residual Networks", table 1).

WRN-d-k has d layers and k times the feature maps of the thin network; normalization and activation stand before each
convolution (He et al. 2016, "Identity Mappings in Deep Residual Networks"). WRN-16-4 has 2.7, WRN-28-10 36.5 million
parameters (table 4).
"""

from __future__ import annotations

from typing import Any

from models.architectures import ends
from models.errors import ModelError

SMALLEST = 8


def build(
    *,
    size: int,
    channels: int,
    classes: int,
    depth: int = 16,
    widening: int = 4,
    dropout: float = 0.0,
    momentum: float = 0.9,
) -> Any:
    """A Keras model with the outputs "probabilities", "embedding" and "map".

    Args:
        size: side of the input in pixels, at least 8.
        channels: 1 or 3.
        classes: C, the number of labels.
        depth: d, 6n + 4: 10, 16, 22, 28, 34, 40.
        widening: k, at least 1.
        dropout: share of the feature maps' values left out between the two convolutions of a block (the paper's 3.3).
        momentum: of batch normalization's moving statistics.

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, 64 * k), not negative; map (N, h, h, 64 * k) with h a
    quarter of the size, rounded up, whose mean over places is the embedding.

    Raises:
        ModelError: a depth that is not 6n + 4, a widening below 1, or what `ends.start` refuses.
    """
    if depth < 10 or depth % 6 != 4:
        raise ModelError(f"A wide residual network has 6n + 4 layers (10, 16, 22, 28, 34, 40, ...); depth is {depth}.")
    if widening < 1:
        raise ModelError(f"A wide residual network is at least 1 time as wide as the thin one; widening is {widening}.")
    name = f"wrn-{depth}-{widening}"
    pixels, x = ends.start(name, size=size, channels=channels, classes=classes, smallest=SMALLEST)
    x = _convolution(x, 16)  # (N, size, size, 16)
    for stage in range(3):
        for block in range((depth - 4) // 6):
            stride = 2 if stage and not block else 1
            x = _block(x, 16 * widening * 2**stage, stride=stride, dropout=dropout, momentum=momentum)
    return ends.pooled(pixels, _activated(x, momentum), classes=classes, name=name)


def _block(x: Any, width: int, *, stride: int, dropout: float, momentum: float) -> Any:
    """B(3,3) with dropout between; a shortcut that changes the width is a 1x1 convolution."""
    import keras

    activated = _activated(x, momentum)
    y = _activated(_convolution(activated, width, stride=stride), momentum)
    if dropout:
        y = keras.layers.Dropout(dropout)(y)
    y = _convolution(y, width)
    if x.shape[-1] != width or stride > 1:
        x = keras.layers.Conv2D(width, 1, strides=stride, use_bias=False, kernel_initializer="he_normal")(activated)
    return keras.layers.Add()([x, y])


def _activated(x: Any, momentum: float) -> Any:
    import keras

    return keras.layers.ReLU()(keras.layers.BatchNormalization(momentum=momentum, epsilon=1e-5)(x))


def _convolution(x: Any, width: int, *, stride: int = 1) -> Any:
    """A 3x3 convolution of places 0, stride, 2 * stride, ...: those of the 1x1 convolution beside it."""
    import keras

    padded = x if stride == 1 else keras.layers.ZeroPadding2D(1)(x)
    return keras.layers.Conv2D(
        width, 3, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
        kernel_initializer="he_normal",
    )(padded)
