"""Plain and residual networks for small images: the shortcuts are the only difference, and have no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.architectures.resnet_small import build
from models.errors import ModelError


def shapes(model: Any) -> list[tuple[int, ...]]:
    """Of all weights, in their order."""
    return [tuple(variable.shape) for variable in model.weights]


def test_a_plain_network_lacks_the_shortcuts_and_nothing_else(keras: Any) -> None:
    """The same weights with the same first values; without the layers of the shortcuts the same layers."""
    networks = {}
    for residual in (True, False):
        keras.utils.set_random_seed(7)
        networks[residual] = build(size=16, channels=3, classes=10, depth=14, residual=residual)
    assert shapes(networks[True]) == shapes(networks[False])
    for ours, theirs in zip(networks[True].get_weights(), networks[False].get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    kinds = {residual: [type(layer).__name__ for layer in model.operations] for residual, model in networks.items()}
    shortcuts = ("Add", "MaxPooling2D", "Pad")
    assert [kind for kind in kinds[True] if kind not in shortcuts] == kinds[False]
    assert [kinds[True].count(kind) for kind in shortcuts] == [6, 2, 2]


def test_shortcuts_have_no_weights_and_take_every_second_place(keras: Any) -> None:
    """Option A against the same by hand: subsampled from place 0, zeros in the further feature maps."""
    from models.architectures.resnet_small import _shortcut

    features = keras.Input((5, 5, 2))
    model = keras.Model(features, _shortcut(features, 4, stride=2))
    assert model.weights == []
    values = np.random.default_rng(0).normal(size=(3, 5, 5, 2)).astype(np.float32)
    expected = np.concatenate([values[:, ::2, ::2], np.zeros((3, 3, 3, 2), np.float32)], axis=-1)
    np.testing.assert_array_equal(model.predict_on_batch(values), expected)


def test_both_ways_of_a_block_look_at_the_same_places(keras: Any) -> None:
    """A convolution that copies its middle is the shortcut: no shift by one pixel, at odd and even sides."""
    from models.architectures.resnet_small import _convolution

    for side in (4, 5):
        features = keras.Input((side, side, 1))
        model = keras.Model(features, _convolution(features, 1, stride=2, momentum=0.9))
        kernel = np.zeros((3, 3, 1, 1), np.float32)
        kernel[1, 1] = 1
        model.layers[-2].set_weights([kernel])
        values = np.random.default_rng(0).normal(size=(1, side, side, 1)).astype(np.float32)
        np.testing.assert_allclose(model.predict_on_batch(values), values[:, ::2, ::2], rtol=1e-4)


@pytest.mark.parametrize(("options", "text"), [
    ({"depth": 21}, r"6n \+ 2 layers \(8, 14, 20, 26, 32, \.\.\.\); depth is 21"),
    ({"depth": 2}, "depth is 2"),
    ({"width": 0}, "at least 1 feature map in its first stage; width is 0"),
    ({"size": 7}, "resnet-20 takes pictures of at least 8 x 8 pixels; size is 7"),
    ({"channels": 4}, r"1 channel \(grey\) or 3 \(RGB\); channels is 4"),
    ({"classes": 1}, "at least 2 classes apart; classes is 1"),
])
def test_what_cannot_be_built_is_refused_in_one_sentence(keras: Any, options: dict[str, Any], text: str) -> None:
    """It names the value and what is expected."""
    assert keras
    with pytest.raises(ModelError, match=text):
        build(**{"size": 16, "channels": 3, "classes": 10, **options})


def test_width_and_momentum_arrive(keras: Any) -> None:
    """Eight feature maps at first, 32 at last; every batch normalization follows as fast as asked."""
    model = build(size=12, channels=1, classes=4, depth=8, width=8, momentum=0.8)
    assert model.output["map"].shape == (None, 3, 3, 32)
    momenta = {layer.momentum for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)}
    assert momenta == {0.8}


def test_a_saved_network_is_loaded_in_safe_mode(keras: Any, tmp_path: Path) -> None:
    """The shortcuts are plain Keras: no code in the file."""
    model = build(size=9, channels=3, classes=3, depth=8)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False, safe_mode=True)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3)).astype(np.float32)
    expected, actual = model.predict_on_batch(pixels), loaded.predict_on_batch(pixels)
    np.testing.assert_allclose(actual["probabilities"], expected["probabilities"], atol=1e-6)
