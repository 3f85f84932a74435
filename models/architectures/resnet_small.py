"""Plain and residual networks for small images (He et al. 2015, "Deep Residual Learning for Image Recognition", 4.2).

6n layers of 3x3 convolutions in three stages, one convolution before and one dense layer after them: 20, 32, 44, 56 and
110 layers have 0.27, 0.46, 0.66, 0.85 and 1.7 million parameters (the paper's table 6). The shortcuts have none (the
paper's option A), so that a plain network and the residual one of its depth have exactly the same weights: whatever
differs after training comes from the shortcuts alone.
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
    depth: int = 20,
    residual: bool = True,
    width: int = 16,
    momentum: float = 0.9,
) -> Any:
    """A Keras model with the outputs "probabilities", "embedding" and "map".

    Args:
        size: side of the input in pixels, at least 8.
        channels: 1 or 3.
        classes: C, the number of labels.
        depth: layers with weights, 6n + 2: 8, 14, 20, 26, 32, 38, 44, 50, 56, ..., 110.
        residual: False leaves the shortcuts out and nothing else.
        width: feature maps of the first stage; the second has twice, the third four times as many.
        momentum: of batch normalization's moving statistics; 0.9 follows trainings of a few hundred steps, 0.99 (the
            default of Keras) those of many thousand.

    Input shape: float32 (N, size, size, channels), raw pixels 0..255.

    Output shape: probabilities (N, C) summing to 1; embedding (N, 4 * width), not negative; map (N, h, h, 4 * width)
    with h a quarter of the size, rounded up, whose mean over places is the embedding.

    Weight decay (the paper: 1e-4) is the optimizer's.

    Raises:
        ModelError: a depth that is not 6n + 2, a width below 1, or what `ends.start` refuses.
    """
    import keras

    if depth < 8 or depth % 6 != 2:
        raise ModelError(f"A network for small images has 6n + 2 layers (8, 14, 20, 26, 32, ...); depth is {depth}.")
    if width < 1:
        raise ModelError(f"A network needs at least 1 feature map in its first stage; width is {width}.")
    name = f"{'resnet' if residual else 'plain'}-{depth}"
    pixels, x = ends.start(name, size=size, channels=channels, classes=classes, smallest=SMALLEST)
    x = keras.layers.ReLU()(_convolution(x, width, stride=1, momentum=momentum))  # (N, size, size, width)
    for stage in range(3):
        for block in range((depth - 2) // 6):
            stride = 2 if stage and not block else 1
            x = _block(x, width * 2**stage, stride=stride, residual=residual, momentum=momentum)
    return ends.pooled(pixels, x, classes=classes, name=name)


def _block(x: Any, width: int, *, stride: int, residual: bool, momentum: float) -> Any:
    """Two 3x3 convolutions, with or without the shortcut around them (the paper's figure 2)."""
    import keras

    y = keras.layers.ReLU()(_convolution(x, width, stride=stride, momentum=momentum))
    y = _convolution(y, width, stride=1, momentum=momentum)
    if residual:
        y = keras.layers.Add()([y, _shortcut(x, width, stride=stride)])
    return keras.layers.ReLU()(y)


def _convolution(x: Any, width: int, *, stride: int, momentum: float) -> Any:
    """A 3x3 convolution of places 0, stride, 2 * stride, ..., and batch normalization.

    "same" would pad an even side at its end only and look at the places 1, 3, 5, ..., between those of the shortcut.
    """
    import keras

    padded = x if stride == 1 else keras.layers.ZeroPadding2D(1)(x)
    x = keras.layers.Conv2D(
        width, 3, strides=stride, padding="same" if stride == 1 else "valid", use_bias=False,
        kernel_initializer="he_normal",  # He et al. 2015, "Delving Deep into Rectifiers", 2.2: the paper's choice
    )(padded)
    return keras.layers.BatchNormalization(momentum=momentum, epsilon=1e-5)(x)


def _shortcut(x: Any, width: int, *, stride: int) -> Any:
    """Option A: every `stride`-th place, and zeros for the further feature maps; no weights."""
    import keras

    if stride > 1:
        x = keras.layers.MaxPooling2D(1, strides=stride)(x)  # pooling of single places is subsampling
    missing = width - x.shape[-1]
    return keras.ops.pad(x, [[0, 0], [0, 0], [0, 0], [0, missing]]) if missing else x
