"""Writes `legacy/`: files of Keras 2 with what it answers to them, by Keras 2 itself (`pip install tf-keras==2.21.0`).

Not a test and not run by any: the files are kept. `keras_model.h5` is built as Teachable Machine builds its own, with
weights set by hand that tell colours apart, so that it has something to say about pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEGACY = Path(__file__).parent / "legacy"
SIDE = 32


def probe_pixels() -> NDArray[np.float32]:
    """Noise, raw 0..255."""
    return np.random.default_rng(7).integers(0, 256, (3, SIDE, SIDE, 3)).astype(np.float32)


def main() -> None:
    """All three files, and `answers.npz`."""
    import tf_keras

    pixels = probe_pixels()
    networks = {"keras_model": (_teachable(tf_keras), pixels / 127.5 - 1), "binary": (_binary(tf_keras), pixels),
                "caffe": (_caffe(tf_keras), pixels)}
    answers = {}
    for name, (network, entering) in networks.items():
        network.save(LEGACY / f"{name}.h5", include_optimizer=False)
        answers[name] = network.predict(entering, verbose=0)
    networks["binary"][0].save(LEGACY / "binary.keras")
    np.savez(LEGACY / "answers.npz", **answers)


def _base(keras: Any) -> Any:
    layers = keras.layers
    pixels = layers.Input((SIDE, SIDE, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(pixels)
    x = layers.Conv2D(3, 1, strides=2, use_bias=False, name="Conv1")(x)
    x = layers.BatchNormalization(name="bn_Conv1", epsilon=0.0)(x)
    x = layers.DepthwiseConv2D(1, use_bias=False, depthwise_initializer="ones", name="expanded_conv_depthwise")(x)
    x = layers.Add(name="add")([x, x])
    base = keras.Model(pixels, layers.ReLU(negative_slope=1.0, name="out_relu")(x), name="model1")
    base.get_layer("Conv1").set_weights([np.eye(3)[None, None]])
    return base


def _teachable(keras: Any) -> Any:
    """Sequential[Sequential[Functional, average], Sequential[Dense, Dense]], the base frozen; it sees twice -1..1."""
    layers = keras.layers
    base = _base(keras)
    base.trainable = False
    first = keras.Sequential([base, layers.GlobalAveragePooling2D(name="global_average_pooling2d_1")],
                             name="sequential_1")
    second = keras.Sequential([layers.Dense(4, activation="relu", input_shape=(3,), name="dense_Dense1"),
                               layers.Dense(5, activation="softmax", use_bias=False, name="dense_Dense2")],
                              name="sequential_3")
    network = keras.Sequential([first, second], name="sequential_4")
    second.layers[0].set_weights([np.eye(3, 4), np.array([4.0, 4.0, 4.0, 1.0])])
    dark, bright, grey = [-0.7, -0.7, -0.7, -1.0], [0.7, 0.7, 0.7, -1.0], [0.0, 0.0, 0.0, 0.0]
    red, blue = [1.5, 0.0, -1.5, -1.0], [-1.5, 0.0, 1.5, -1.0]
    kernel = np.array([dark, grey, bright, red, blue]).T
    kernel[3] -= 4 * kernel[:3].sum(axis=0)  # the first layer added 4 so that its ReLU lets everything through
    second.layers[1].set_weights([kernel])
    return network


def _binary(keras: Any) -> Any:
    """Transfer learning as tutorials show it: scaling as operators, a frozen base, one score at the end."""
    layers = keras.layers
    pixels = layers.Input((SIDE, SIDE, 3))
    x = keras.applications.mobilenet_v2.preprocess_input(pixels)
    x = layers.RandomFlip()(x)
    x = _base(keras)(x, training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(pixels, layers.Dense(1, bias_initializer="ones")(x))


def _caffe(keras: Any) -> Any:
    """RGB to BGR and the mean as operators."""
    layers = keras.layers
    pixels = layers.Input((SIDE, SIDE, 3))
    x = layers.AveragePooling2D(8)(keras.applications.resnet50.preprocess_input(pixels))
    return keras.Model(pixels, layers.Dense(4, activation="softmax")(layers.Flatten()(x)))


if __name__ == "__main__":
    main()
