"""Random weights that tell pictures apart, for benchmarks and tests without a download.

An untrained MobileNetV2 answers 1/C for every picture: each batch-norm layer expects what it never saw, and the signal
fades away. So each layer gets the statistics of what it sees here, spread by chance, and the last layer is scaled until
the answers differ.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.applications import classifier_of

_SPREAD = 1.0
"""Standard deviation of the logits between pictures: clear winners that the noise of half precision does not flip."""

_SEED = 20_260_101


def seed_everything() -> None:
    """Make the random weights the same on every run; call it before the network is built."""
    import keras

    keras.utils.set_random_seed(_SEED)


def spread_out(model: Any, pixels: NDArray[np.uint8]) -> None:
    """Change an untrained model's weights until the pictures `pixels`, uint8 (N, S, S, 3), get different answers."""
    inputs = pixels.astype(np.float32)
    _randomise_batch_norm(model, inputs)
    _scale_classifier(model, inputs)


def _randomise_batch_norm(model: Any, inputs: NDArray[np.float32]) -> None:
    """Statistics of the pictures themselves, each mean and variance off by a random tenth."""
    import keras

    random = np.random.default_rng(_SEED)
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # the moving statistics become those of the one batch that follows
    model(inputs, training=True)
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        for moving in (layer.moving_mean, layer.moving_variance):
            values = keras.ops.convert_to_numpy(moving)
            moving.assign(values * random.uniform(0.9, 1.1, values.shape).astype(np.float32))


def _scale_classifier(model: Any, inputs: NDArray[np.float32]) -> None:
    """Centre the logits and bring their spread between pictures to `_SPREAD`."""
    import keras

    probabilities = keras.ops.convert_to_numpy(model(inputs, training=False)["probabilities"]).astype(np.float64)
    logits = np.log(probabilities)
    logits -= logits.mean(axis=1, keepdims=True)
    factor = _SPREAD / logits.std(axis=0).mean()
    classifier = classifier_of(model)
    kernel, *rest = classifier.get_weights()
    bias = -factor * logits.mean(axis=0)
    classifier.set_weights([kernel * factor, *(bias.astype(np.float32) for _ in rest)])
