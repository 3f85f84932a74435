"""A network without convolutions: every pixel meets every unit of one hidden layer.

TensorFlow's first tutorial ("Basic classification: Classify images of clothing", "Build the model"): 101,770 parameters
for the 28 x 28 grey pictures and 10 classes of Fashion-MNIST.
"""

from __future__ import annotations

from typing import Any

from models.architectures import ends

SMALLEST = 1


def build(*, size: int, channels: int, classes: int, units: int = 128) -> Any:
    """A Keras model with the outputs "probabilities" and "embedding"; it has no map, for its pixels have no places.

    Args:
        size: side of the input in pixels.
        channels: 1 or 3.
        classes: C, the number of labels.
        units: of the hidden layer.

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, units), not negative.
    """
    import keras

    pixels, x = ends.start("dense", size=size, channels=channels, classes=classes, smallest=SMALLEST)
    x = keras.layers.Flatten()(x)  # (N, size * size * channels)
    hidden = keras.layers.Dense(units, activation="relu", kernel_initializer="he_normal", name="embedding")(x)
    return ends.flat(pixels, hidden, classes=classes, name="dense")
