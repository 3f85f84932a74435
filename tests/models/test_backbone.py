"""Networks of `keras.applications` with a new head: what is frozen stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.applications import WeightsError, find_application
from models.architectures.backbone import backbone, thaw
from models.errors import ModelError
from models.untrained import spread_out

PIXELS = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)


def make(name: str = "MobileNetV2", **changes: Any) -> Any:
    """A network for pictures of 32 x 32 and three classes."""
    arguments = {"classes": 3, "size": 32, "weights": "none", "trainable": False, **changes}
    return backbone(find_application(name), **arguments)


@pytest.fixture(scope="module")
def trainable(keras: Any) -> Any:
    """Everything learns; random weights that tell pictures apart, for an untrained network answers nothing."""
    keras.utils.set_random_seed(2)
    model = make(trainable=True)
    spread_out(model, PIXELS.astype(np.uint8))
    return model


@pytest.fixture(scope="module")
def frozen(trainable: Any) -> Any:
    """The same weights, of which only those of the head learn."""
    model = make()
    model.set_weights(trainable.get_weights())
    return model


def test_only_the_dense_layer_of_a_frozen_network_learns(keras: Any, frozen: Any) -> None:
    """A training step changes the head and nothing else, batch normalization's statistics included."""
    assert [tuple(variable.shape) for variable in frozen.trainable_weights] == [(1280, 3), (3,)]
    model = keras.Model(frozen.input, frozen.output["probabilities"])
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", run_eagerly=True)
    *before, kernel, bias = model.get_weights()
    model.train_on_batch(PIXELS, np.arange(4) % 3)
    *after, new_kernel, new_bias = model.get_weights()
    assert all(np.array_equal(old, new) for old, new in zip(before, after, strict=True))
    assert not np.array_equal(kernel, new_kernel)
    assert not np.array_equal(bias, new_bias)


def test_a_frozen_network_sees_the_same_in_training(keras: Any, frozen: Any) -> None:
    """Batch normalization stays in inference mode."""
    answer, training = (keras.ops.convert_to_numpy(frozen(PIXELS, training=mode)["map"]) for mode in (False, True))
    np.testing.assert_array_equal(answer, training)
    assert answer.std() > 0


def test_outputs_are_the_contract(frozen: Any) -> None:
    """The mean of the map is the embedding."""
    outputs = {name: np.asarray(values) for name, values in frozen(PIXELS, training=False).items()}
    assert {name: values.shape for name, values in outputs.items()} == {
        "probabilities": (4, 3), "embedding": (4, 1280), "map": (4, 1, 1, 1280)}
    np.testing.assert_allclose(outputs["map"].mean(axis=(1, 2)), outputs["embedding"], atol=1e-5)


def test_a_thawed_network_learns_but_for_batch_normalization(keras: Any) -> None:
    """Its statistics and its scales stay."""
    model = make()
    thaw(model)
    held = {id(variable) for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)
            for variable in layer.weights}
    assert {id(variable) for variable in model.weights if id(variable) not in held} == {
        id(variable) for variable in model.trainable_weights}


def test_a_trainable_network_learns_everywhere(keras: Any, trainable: Any) -> None:
    """Only moving statistics are no parameters."""
    norms = [layer for layer in trainable.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(trainable.weights) - len(trainable.trainable_weights) == 2 * len(norms) > 0


def test_weights_come_from_a_file(keras: Any, tmp_path: Path) -> None:
    """Those of the network without its head."""
    network = keras.applications.MobileNet(weights=None, include_top=False, input_shape=(32, 32, 3))
    path = tmp_path / "ねこ.weights.h5"
    network.save_weights(path)
    loaded = make("MobileNet", weights=str(path))
    for expected, actual in zip(network.get_weights(), loaded.get_weights()[:-2], strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_what_cannot_be_met_is_said(keras: Any, tmp_path: Path) -> None:
    """A size, a number of classes, and files that are none or of something else."""
    assert keras
    with pytest.raises(ModelError, match="MobileNetV2 takes pictures of at least 32 x 32 pixels; size is 31"):
        make(size=31)
    with pytest.raises(ModelError, match="MobileNetV2 tells at least 2 classes apart; classes is 1"):
        make(classes=1)
    with pytest.raises(WeightsError, match="there is no such file"):
        make(weights=str(tmp_path / "none.weights.h5"))
    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match=r"damaged\.weights\.h5 holds no weights of MobileNetV2 without its head"):
        make(weights=str(damaged))
