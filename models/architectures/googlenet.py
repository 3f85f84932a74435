"""GoogLeNet (Szegedy et al. 2014, "Going Deeper with Convolutions", table 1) without its two auxiliary classifiers.

6,998,552 parameters, biases included, as the Caffe network `bvlc_googlenet` (6.999 M); the rows of the paper's table
add up to 6.8 M. Local response normalization is left out: Simonyan and Zisserman 2014 (4.1) found no gain from it.
"""

from __future__ import annotations

from typing import Any

from models.architectures import ends

SMALLEST = 32

_STAGES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),  # 3a, 3b
    (
        (192, 96, 208, 16, 48, 64), (160, 112, 224, 24, 64, 64), (128, 128, 256, 24, 64, 64),  # 4a, 4b, 4c
        (112, 144, 288, 32, 64, 64), (256, 160, 320, 32, 128, 128),  # 4d, 4e
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),  # 5a, 5b
)
"""Table 1: feature maps of #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5 and pool proj, a row each inception module."""


def build(*, size: int, channels: int, classes: int, batch_norm: bool = False, dropout: float = 0.4) -> Any:
    """A Keras model with the outputs "probabilities", "embedding" and "map".

    Args:
        size: side of the input in pixels, at least 32; the paper's is 224.
        channels: 1 or 3.
        classes: C, the number of labels.
        batch_norm: normalize after each convolution (Ioffe and Szegedy 2015, 3.2): without it and without the auxiliary
            classifiers, training from random weights is slow to begin.
        dropout: share of the embedding left out in training (the paper's section 5).

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, 1024), not negative; map (N, h, h, 1024), h a 32nd of
    the size rounded up, whose mean over places is the embedding.
    """
    import keras

    pixels, x = ends.start("googlenet", size=size, channels=channels, classes=classes, smallest=SMALLEST)
    x = _convolution(x, 64, kernel=7, stride=2, batch_norm=batch_norm)  # (N, 112, 112, 64) for size 224
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
    x = _convolution(x, 64, kernel=1, batch_norm=batch_norm)
    x = _convolution(x, 192, kernel=3, batch_norm=batch_norm)
    for modules in _STAGES:
        x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)
        for widths in modules:
            x = _inception(x, widths, batch_norm=batch_norm)
    return ends.pooled(pixels, x, classes=classes, name="googlenet", dropout=dropout)


def _inception(x: Any, widths: tuple[int, int, int, int, int, int], *, batch_norm: bool) -> Any:
    """One module (the paper's figure 2b): four ways side by side, their feature maps one after the other."""
    import keras

    one, reduce_3, three, reduce_5, five, projection = widths
    to_3 = _convolution(x, reduce_3, kernel=1, batch_norm=batch_norm)
    to_5 = _convolution(x, reduce_5, kernel=1, batch_norm=batch_norm)
    largest = keras.layers.MaxPooling2D(3, strides=1, padding="same")(x)
    ways = [
        _convolution(x, one, kernel=1, batch_norm=batch_norm),
        _convolution(to_3, three, kernel=3, batch_norm=batch_norm),
        _convolution(to_5, five, kernel=5, batch_norm=batch_norm),
        _convolution(largest, projection, kernel=1, batch_norm=batch_norm),
    ]
    return keras.layers.Concatenate()(ways)


def _convolution(x: Any, width: int, *, kernel: int, stride: int = 1, batch_norm: bool) -> Any:
    import keras

    x = keras.layers.Conv2D(
        width, kernel, strides=stride, padding="same", use_bias=not batch_norm, kernel_initializer="he_normal"
    )(x)
    if batch_norm:
        x = keras.layers.BatchNormalization(momentum=0.9)(x)
    return keras.layers.ReLU()(x)
