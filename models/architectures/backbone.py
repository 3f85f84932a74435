"""Any network of `keras.applications` without its head: what it learned from ImageNet looks, a new dense layer answers.

Frozen, only the dense layer learns (features "off the shelf": Razavian et al. 2014, "CNN Features off-the-shelf"). For
fine-tuning, train it frozen first, `thaw` it, and go on with a tenth of the learning rate or less: random weights at
the end would send large gradients through all that was learned (Keras, "Transfer learning & fine-tuning").
"""

from __future__ import annotations

from typing import Any

from models.applications import Application, load_network, scale
from models.architectures import ends
from models.errors import ModelError

_SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
"""What Keras documents for networks that pad little; 32 for all others."""


def smallest_size(application: Application) -> int:
    """The smallest side in pixels that Keras documents for the network without its head."""
    return _SMALLEST.get(application.name, 32)


def backbone(application: Application, *, classes: int, size: int, weights: str, trainable: bool) -> Any:
    """A Keras model with the outputs "probabilities", "embedding" and "map": the head is average pooling and one layer.

    Args:
        application: which network; its scaling goes inside.
        classes: C, the number of labels.
        size: side of the input in pixels.
        weights: "imagenet" (downloaded once, then kept by Keras), "none" (random), or a file of weights without a head.
        trainable: False freezes all but the dense layer; batch normalization then stays in inference mode, also while
            the dense layer is trained.

    Input shape: float32 (N, size, size, 3), raw RGB 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, K); map (N, h, w, K), whose mean over places is the
    embedding.

    Raises:
        ModelError: a size below the network's smallest, or fewer than 2 classes.
        WeightsError: no internet, no such file, or weights of another network.
    """
    import keras

    name, smallest = application.name, smallest_size(application)
    if size < smallest:
        raise ModelError(f"{name} takes pictures of at least {smallest} x {smallest} pixels; size is {size}.")
    if classes < 2:
        raise ModelError(f"{name} tells at least 2 classes apart; classes is {classes}.")
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = scale(pixels, application.scaling)
    network = load_network(application, weights=weights, input_tensor=scaled, include_top=False)
    for layer in network.layers:
        layer.trainable = trainable
    return ends.pooled(pixels, network.output, classes=classes, name=name.lower())


def thaw(model: Any) -> None:
    """Let everything learn but batch normalization, which keeps its statistics and stays in inference mode.

    Compile the model again afterwards: an optimizer knows the weights it was compiled with.
    """
    import keras

    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
