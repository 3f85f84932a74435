"""A small convolutional network: three 3x3 convolutions, two poolings, one hidden layer.

TensorFlow's second tutorial ("Convolutional Neural Network (CNN)", "Create the convolutional base"): 122,570 parameters
for the 32 x 32 RGB pictures and 10 classes of CIFAR-10.
"""

from __future__ import annotations

from typing import Any

from models.architectures import ends

SMALLEST = 18


def build(*, size: int, channels: int, classes: int) -> Any:
    """A Keras model with the outputs "probabilities" and "embedding"; its dense layers leave no map.

    Args:
        size: side of the input in pixels, at least 18: a smaller one leaves the last convolution nothing.
        channels: 1 or 3.
        classes: C, the number of labels.

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, 64), not negative.
    """
    import keras

    pixels, x = ends.start("cnn", size=size, channels=channels, classes=classes, smallest=SMALLEST)
    for width in (32, 64):
        x = keras.layers.Conv2D(width, 3, activation="relu", kernel_initializer="he_normal")(x)
        x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Conv2D(64, 3, activation="relu", kernel_initializer="he_normal")(x)  # (N, 4, 4, 64) for size 32
    x = keras.layers.Flatten()(x)
    hidden = keras.layers.Dense(64, activation="relu", kernel_initializer="he_normal", name="embedding")(x)
    return ends.flat(pixels, hidden, classes=classes, name="cnn")
