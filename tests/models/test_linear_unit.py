"""Gradient descent by hand: it finds the line, step for step as Keras does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.architectures.linear_unit import descend
from models.errors import ModelError

X = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0)
Y = tuple(2 * x + 1 for x in X)


def test_it_finds_the_line_of_the_talk() -> None:
    """y = 2x + 1, from (0, 0), and the loss falls at every step."""
    path = descend(X, Y, learning_rate=0.05, steps=500)
    assert (path[0].w, path[0].b, len(path)) == (0, 0, 501)
    assert [path[-1].w, path[-1].b] == pytest.approx([2, 1], abs=1e-6)
    losses = [place.loss for place in path]
    assert losses[:100] == sorted(losses[:100], reverse=True)
    assert losses[-1] < 1e-12


@settings(max_examples=50, deadline=None)
@given(w=st.floats(-10, 10), b=st.floats(-10, 10))
def test_it_finds_any_line(w: float, b: float) -> None:
    """Whatever its slope and height."""
    last = descend(X, [w * x + b for x in X], learning_rate=0.1, steps=1000)[-1]
    assert [last.w, last.b] == pytest.approx([w, b], abs=1e-6)


def test_its_way_is_kerass(keras: Any) -> None:
    """One dense unit, mean squared error, plain gradient descent: the same places."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile(keras.optimizers.SGD(0.05), "mean_squared_error", run_eagerly=True)
    x, y = np.array(X, np.float32)[:, None], np.array(Y, np.float32)[:, None]
    for place in descend(X, Y, learning_rate=0.05, steps=5):
        kernel, bias = model.get_weights()
        assert (kernel[0, 0], bias[0]) == (pytest.approx(place.w, rel=1e-5), pytest.approx(place.b, rel=1e-5))
        assert float(model.train_on_batch(x, y)) == pytest.approx(place.loss, rel=1e-5)


def test_one_point_has_many_lines() -> None:
    """Any of them does; the loss still goes to nothing."""
    assert descend([2.0], [5.0], learning_rate=0.05, steps=200)[-1].loss < 1e-12


@pytest.mark.parametrize(("arguments", "text"), [
    ({"x": (), "y": ()}, "at least one"),
    ({"y": (1.0,)}, r"received \(6,\) and \(1,\)"),
    ({"y": (float("nan"),) * 6}, "finite numbers"),
    ({"learning_rate": 0}, "a learning_rate above 0"),
    ({"learning_rate": float("nan")}, "a learning_rate above 0"),
    ({"steps": -1}, "steps from 0"),
    ({"learning_rate": 1.0}, r"After \d steps the loss is .*; take a learning_rate below 1"),
    ({"learning_rate": 1e300}, "take a learning_rate below"),
])
def test_what_leads_nowhere_is_refused(arguments: dict[str, Any], text: str) -> None:
    """Points that are none, and steps that climb."""
    with pytest.raises(ModelError, match=text):
        descend(**{"x": X, "y": Y, **arguments})
