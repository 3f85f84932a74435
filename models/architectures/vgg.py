"""VGG-16 (Simonyan and Zisserman 2014, "Very Deep Convolutional Networks for Large-Scale Image Recognition", table 1).

The paper's network D: thirteen 3x3 convolutions in five stages and three dense layers. 138,357,544 parameters, nine in
ten of them in the dense layers. `head="pooled"` puts global average pooling and one dense layer in their place, for
small pictures.
"""

from __future__ import annotations

from typing import Any, Literal

from models.architectures import ends
from models.errors import ModelError

SMALLEST = 32

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""Feature maps and convolutions of each stage; a pooling follows each."""


def build(
    *,
    size: int,
    channels: int,
    classes: int,
    head: Literal["paper", "pooled"] = "paper",
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> Any:
    """A Keras model with the outputs "probabilities", "embedding" and, with the pooled head, "map".

    Args:
        size: side of the input in pixels, at least 32; the published count belongs to 224.
        channels: 1 or 3.
        classes: C, the number of labels.
        head: "paper": two hidden layers of 4,096 units; "pooled": global average pooling (14.7 million parameters).
        batch_norm: normalize after each convolution (Ioffe and Szegedy 2015, 3.2): without it, and without the paper's
            start from a shallower network, training from random weights is slow to begin.
        dropout: share of the units left out after each hidden layer, or before the one dense layer (the paper's 3.1).

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, 4096), or (N, 512) with map (N, h, h, 512), h the
    size / 32 rounded down, whose mean over places is the embedding.

    Raises:
        ModelError: another head, or what `ends.start` refuses.
    """
    import keras

    if head not in ("paper", "pooled"):
        raise ModelError(f"vgg-16 has the heads paper and pooled; head is {head!r}.")
    pixels, x = ends.start("vgg-16", size=size, channels=channels, classes=classes, smallest=SMALLEST)
    for width, count in _STAGES:
        for _ in range(count):
            x = _convolution(x, width, batch_norm=batch_norm)
        x = keras.layers.MaxPooling2D(2)(x)
    if head == "pooled":
        return ends.pooled(pixels, x, classes=classes, name="vgg-16", dropout=dropout)
    x = keras.layers.Flatten()(x)  # (N, 25088) for size 224
    x = keras.layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name="hidden")(x)
    x = keras.layers.Dropout(dropout)(x)
    x = keras.layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name="embedding")(x)
    return ends.flat(pixels, x, classes=classes, name="vgg-16", dropout=dropout)


def _convolution(x: Any, width: int, *, batch_norm: bool) -> Any:
    import keras

    x = keras.layers.Conv2D(width, 3, padding="same", use_bias=not batch_norm, kernel_initializer="he_normal")(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.ReLU()(x)
