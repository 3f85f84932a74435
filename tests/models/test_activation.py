"""Class activation maps and the focus made of them, against gradients and sums written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.activation import FOCUS_NAMES, class_activation, find_kernel, focus, focus_values

COLUMNS = dict(zip(FOCUS_NAMES, range(4), strict=True))


def tiny(seed: int, *, pictures: int = 9, depth: int = 5, classes: int = 4) -> tuple[NDArray[np.float32], ...]:
    """Maps (N, 3, 4, K), the dense kernel (K, C), its bias (C,), and the probabilities (N, C) they lead to."""
    random = np.random.default_rng(seed)
    maps = np.maximum(random.normal(size=(pictures, 3, 4, depth)), 0).astype(np.float32)
    kernel, bias = random.normal(size=(depth, classes)).astype(np.float32), random.normal(size=classes)
    logits = maps.mean(axis=(1, 2)) @ kernel + bias
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return maps, kernel, bias.astype(np.float32), (raised / raised.sum(axis=1, keepdims=True)).astype(np.float32)


def focus_of(cells: list[list[float]]) -> dict[str, float]:
    """The focus of one activation by name."""
    values = focus_values(focus(np.array([cells], np.float32)))[0]
    return {name: float(values[column]) for name, column in COLUMNS.items()}


@pytest.mark.parametrize("seed", range(5))
def test_grad_cam_is_the_map_up_to_a_positive_factor(seed: int) -> None:
    """Selvaraju 2017, equations 1 and 2: gradients of the logit by central differences, averaged, times the maps."""
    maps, kernel, bias, probabilities = (values.astype(np.float64) for values in tiny(seed))
    classes = probabilities.argmax(axis=1)

    def logit(one: NDArray[np.float64], number: int) -> float:
        return float((one.mean(axis=(0, 1)) @ kernel + bias)[number])

    activation = class_activation(maps.astype(np.float32), kernel.astype(np.float32), classes)
    for picture, number in enumerate(classes):
        gradient = np.zeros_like(maps[picture])
        for place in np.ndindex(gradient.shape):
            step = np.zeros_like(gradient)
            step[place] = 1e-4
            gradient[place] = (logit(maps[picture] + step, number) - logit(maps[picture] - step, number)) / 2e-4
        grad_cam = np.maximum(maps[picture] @ gradient.mean(axis=(0, 1)), 0)
        factor = gradient.shape[0] * gradient.shape[1]
        np.testing.assert_allclose(grad_cam * factor, np.maximum(activation[picture], 0), atol=1e-5)


def test_its_mean_is_the_logit_without_the_bias() -> None:
    """Zhou 2016, section 2: the places together say what the network says."""
    maps, kernel, bias, probabilities = tiny(1)
    classes = probabilities.argmax(axis=1)
    logits = maps.mean(axis=(1, 2)) @ kernel
    np.testing.assert_allclose(class_activation(maps, kernel, classes).mean(axis=(1, 2)),
                               logits[np.arange(len(classes)), classes], rtol=1e-4, atol=1e-6)
    assert bias.any()


def test_one_picture_does_not_depend_on_the_others() -> None:
    """To the last bit, so that a focus is the same in every batch."""
    maps, kernel, _, probabilities = tiny(2, pictures=8, depth=64)
    classes = probabilities.argmax(axis=1)
    together = class_activation(maps, kernel, classes)
    alone = [class_activation(maps[row:row + 1], kernel, classes[row:row + 1])[0] for row in range(8)]
    np.testing.assert_array_equal(together, np.stack(alone))


@pytest.mark.parametrize("turn", [lambda kernel: kernel, lambda kernel: kernel.T,
                                  lambda kernel: kernel.T[:, :, None, None]])
def test_the_kernel_is_found_by_what_it_does(turn: object) -> None:
    """Among weights of the same shape, as a product, a transposed one or a 1 x 1 convolution."""
    maps, kernel, _, probabilities = tiny(3)
    others = [np.random.default_rng(seed).normal(size=kernel.shape).astype(np.float32) for seed in range(5)]
    found = find_kernel([*others, turn(kernel), *others], maps, probabilities)  # type: ignore[operator]
    np.testing.assert_array_equal(found, kernel)


def test_a_network_that_goes_on_otherwise_has_no_kernel() -> None:
    """Another nonlinearity between the average and the answers: no weights explain them."""
    maps, kernel, _, _ = tiny(4)
    logits = np.tanh(3 * maps.mean(axis=(1, 2))) @ kernel * 3
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert find_kernel([kernel], maps, probabilities.astype(np.float32)) is None


def test_the_focus_of_one_cell_is_its_centre() -> None:
    """Second column, third row of a 4 x 4 map; half of it is half a cell; nothing of it lies at the border."""
    cells = [[0.0] * 4 for _ in range(4)]
    cells[2][1] = 5.0
    expected = {"focus_x": 0.375, "focus_y": 0.625, "focus_area": 1 / 32, "border_share": 0.0}
    assert focus_of(cells) == pytest.approx(expected, abs=1e-4)


def test_an_even_activation_is_in_the_middle() -> None:
    """Half of it is half of the picture, and 1 - 0.8 ** 2 of it lies in the outer tenth."""
    assert focus_of([[1.0] * 7] * 7) == {"focus_x": 0.5, "focus_y": 0.5, "focus_area": 0.5, "border_share": 0.36}


def test_what_speaks_against_the_class_does_not_count() -> None:
    """Only the positive part has a place."""
    assert focus_of([[-9.0, 1.0], [-9.0, -9.0]]) == focus_of([[0.0, 1.0], [0.0, 0.0]])


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_nothing_for_the_class_is_nowhere(value: float) -> None:
    """No number is made up, neither for that picture nor for its neighbour in the batch."""
    activation = np.stack([np.full((3, 3), value), np.ones((3, 3))]).astype(np.float32)
    values = focus_values(focus(activation))
    assert np.isnan(values[0]).all()
    assert values[1].tolist() == [0.5, 0.5, 0.5, 0.36]


@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_a_focus_is_within_the_picture(seed: int, height: int, width: int) -> None:
    """Whatever the map: shares of 0 to 1, mirrored when the map is, and hardly moved by float32 noise."""
    cells = np.random.default_rng(seed).normal(size=(1, height, width)).astype(np.float32)
    values = focus_values(focus(cells))
    if not np.isnan(values).any():
        assert ((values >= 0) & (values <= 1)).all()
        x, y, area, border = focus_values(focus(cells[:, :, ::-1]))[0]
        np.testing.assert_allclose([1 - x, y, area, border], values[0], atol=2.1e-4)
        noisy = cells * np.float32(1 + 1e-6)
        np.testing.assert_allclose(focus_values(focus(noisy)), values, atol=1.1e-4)
