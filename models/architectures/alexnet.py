"""AlexNet (Krizhevsky et al. 2012, "ImageNet Classification with Deep Convolutional Neural Networks", 3.5).

In one tower (Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks") with the widths of
torchvision (256 feature maps in the fourth convolution): 61,100,840 parameters. The two towers of 2012 (60,965,224)
were two GPUs, and their grouped convolutions cannot be trained by every backend. Local response normalization (2012,
3.3) is left out, as torchvision does.
"""

from __future__ import annotations

from typing import Any

from models.architectures import ends

SMALLEST = 63


def build(*, size: int, channels: int, classes: int, dropout: float = 0.5) -> Any:
    """A Keras model with the outputs "probabilities" and "embedding"; its dense layers leave no map.

    Args:
        size: side of the input in pixels, at least 63; the published count belongs to 224.
        channels: 1 or 3.
        classes: C, the number of labels.
        dropout: share of the units left out before each of the three dense layers but the last (2012, 4.2).

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, 4096), not negative.
    """
    import keras

    pixels, x = ends.start("alexnet", size=size, channels=channels, classes=classes, smallest=SMALLEST)
    x = keras.layers.ZeroPadding2D(2)(x)
    x = _convolution(x, 64, kernel=11, stride=4, padding="valid")  # (N, 55, 55, 64) for size 224
    x = keras.layers.MaxPooling2D(3, strides=2)(x)
    x = _convolution(x, 192, kernel=5)
    x = keras.layers.MaxPooling2D(3, strides=2)(x)
    for width in (384, 256, 256):
        x = _convolution(x, width, kernel=3)
    x = keras.layers.MaxPooling2D(3, strides=2)(x)
    x = keras.layers.Flatten()(x)  # (N, 9216)
    for name in ("hidden", "embedding"):
        x = keras.layers.Dropout(dropout)(x)
        x = keras.layers.Dense(4096, activation="relu", kernel_initializer="he_normal", name=name)(x)
    return ends.flat(pixels, x, classes=classes, name="alexnet")


def _convolution(x: Any, width: int, *, kernel: int, stride: int = 1, padding: str = "same") -> Any:
    import keras

    return keras.layers.Conv2D(
        width, kernel, strides=stride, padding=padding, activation="relu", kernel_initializer="he_normal"
    )(x)
