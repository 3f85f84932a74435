"""Where the model looked: columns over real pictures and the real model, its numbers and its pictures."""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from models.activation import FOCUS_NAMES, class_activation, focus, focus_values
from models.picture import read_picture
from models.registry import ModelVersion
from server import fields, seeing
from server.classify import classify
from server.engine import OnnxEngine, Outputs
from server.errors import UnknownError
from server.heat_pictures import filters_grid, heat_over, maps_grid, side_of
from server.layers import NO_MAP, SeeingEngine, named
from server.served_model import ServedModel

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedEngine, WatchedSight

pytest_plugins = ("server_fixtures",)

COUNT = 11
PATHS = [f"{number}.png" for number in range(COUNT)]
Serve = Callable[..., ServedModel]


@pytest.fixture
def paths(pictures: Pictures) -> list[str]:
    """Pictures in the folder, each of its own noise."""
    for number, name in enumerate(PATHS):
        pictures.write(name, number)
    return list(PATHS)


def ask(model: ServedModel, paths: list[str], *names: str, needs_focus: bool = True) -> dict[str, list[Any]]:
    """Columns of `paths`, as a request would have them."""
    outcome = classify(paths, model, until=time.monotonic() + 30, needs_focus=needs_focus)
    request = fields.Request(outcome, model, {}, lambda digest: digest)
    return {name: fields.column(name, request) for name in names}


def expected_focus(engine: OnnxEngine, version: ModelVersion, data: bytes) -> list[float]:
    """What one picture's focus must be, computed alone."""
    spec = version.spec
    pixels = read_picture(data, size=spec.input_size, channels=spec.channels, resize=spec.resize).pixels[None]
    outputs = engine.run(pixels)
    assert engine.kernel is not None
    activation = class_activation(outputs["map"], engine.kernel, outputs["probabilities"].argmax(axis=1))
    values: list[float] = focus_values(focus(activation))[0].tolist()
    return values


def test_columns_are_what_one_picture_alone_has(serve: Serve, sight: WatchedSight, engine: OnnxEngine,
                                                version: ModelVersion, pictures: Pictures, paths: list[str]) -> None:
    """Whatever batch it was in."""
    columns = ask(serve(sight), paths, *FOCUS_NAMES)
    expected = [expected_focus(engine, version, pictures.draw(number)) for number in range(COUNT)]
    np.testing.assert_allclose(np.array([columns[name] for name in FOCUS_NAMES]).T, expected, atol=1.1e-4)


def test_any_part_in_any_order_has_the_same_values(serve: Serve, sight: WatchedSight, paths: list[str]) -> None:
    """f(all), f(subset), f(permuted), f(repeated), and after a start from the store."""
    model = serve(sight)
    part = ask(model, paths[4:6], *FOCUS_NAMES)
    everything = ask(model, paths, *FOCUS_NAMES)
    for name in FOCUS_NAMES:
        assert everything[name][4:6] == part[name]
        assert ask(model, paths[::-1], name)[name] == everything[name][::-1]
        assert ask(model, [paths[3]] * 5, name)[name] == [everything[name][3]] * 5


def test_a_warm_column_asks_the_model_for_nothing(serve: Serve, sight: WatchedSight, paths: list[str],
                                                  tmp_path: Path) -> None:
    """Computed with the label, kept with it, read after a start: one inference a picture, ever."""
    first = serve(sight, state=tmp_path / "kept.sqlite")
    labels = ask(first, paths, "label", needs_focus=False)
    before = ask(first, paths, *FOCUS_NAMES)
    again = serve(sight, state=tmp_path / "kept.sqlite")
    assert ask(again, paths, *FOCUS_NAMES) == before
    assert ask(again, paths, "label", needs_focus=False) == labels
    assert sight.inferences == COUNT


def test_answers_from_before_are_computed_once_more_and_stay(serve: Serve, sight: WatchedSight, paths: list[str],
                                                             tmp_path: Path) -> None:
    """A store without focuses: labels need no inference, a focus column one a picture, and no answer changes."""
    state = tmp_path / "old.sqlite"
    labels = ask(serve(sight, state=state), paths, "label", "confidence", "embedding", needs_focus=False)
    serve(sight, state=state)  # closes the first, which writes what is queued
    with sqlite3.connect(state) as connection:
        assert connection.execute("DELETE FROM focuses").rowcount == COUNT
    connection.close()
    old = serve(sight, state=state)
    assert ask(old, paths, "label", needs_focus=False)["label"] == labels["label"]
    assert sight.inferences == COUNT
    columns = ask(old, paths, *FOCUS_NAMES, "status")
    assert columns.pop("status") == ["ok"] * COUNT
    assert not any(None in column for column in columns.values())
    assert sight.inferences == 2 * COUNT
    assert ask(old, paths, *FOCUS_NAMES) == columns
    assert ask(old, paths, "label", "confidence", "embedding", needs_focus=False) == labels
    assert sight.inferences == 2 * COUNT


def test_rows_without_an_answer_have_none(serve: Serve, sight: WatchedSight, paths: list[str],
                                          pictures: Pictures) -> None:
    """A broken picture, one that is not there, and null."""
    pictures.write("broken.png", b"\x89PNG broken")
    column = ask(serve(sight), [paths[0], "broken.png", "absent.png", None], "focus_x")["focus_x"]  # type: ignore[list-item]
    assert [value is None for value in column] == [False, True, True, True]


def test_a_version_without_a_map_says_so(serve: Serve, blind: WatchedSight, paths: list[str]) -> None:
    """Null, with the reason in the note; broken rows have their status instead."""
    columns = ask(serve(blind), [paths[0], "absent.png"], *FOCUS_NAMES, "note", "status")
    assert [columns[name] for name in FOCUS_NAMES] == [[None, None]] * 4
    assert columns["note"] == [f"digits@1 {NO_MAP}", None]
    assert columns["status"][0] == "ok"


def test_the_note_of_a_model_with_a_map_stays_empty(serve: Serve, sight: WatchedSight, paths: list[str]) -> None:
    """Remarks are for pictures that have one."""
    assert ask(serve(sight), paths[:2], "note")["note"] == [None, None]


# ---- numbers and pictures ---------------------------------------------------------------------------------------


def opened(png: bytes) -> Image.Image:
    """A PNG, read in full."""
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        return image.convert("RGB")


def test_an_explanation_is_the_activation_of_the_label(serve: Serve, sight: WatchedSight,
                                                       version: ModelVersion) -> None:
    """Its mean is the logit without the bias, its focus that of the columns, and the PNG is legible."""
    model, pixels = serve(sight), version.golden().pixels[0]
    numbers = seeing.explanation_numbers(model, pixels)
    outputs = model.engine.run(pixels[None])
    best = int(outputs["probabilities"][0].argmax())
    assert numbers["label"] == version.spec.labels[best]
    assert model.kernel is not None
    logit = outputs["embedding"][0] @ model.kernel[:, best]
    np.testing.assert_allclose(np.mean(numbers["activation"]), logit, rtol=1e-3)
    assert opened(seeing.explanation_png(model, pixels)).size == (256, 256)


def test_another_class_has_another_activation(serve: Serve, sight: WatchedSight, version: ModelVersion) -> None:
    """Why not a seven?; a class that there is not is refused."""
    model, pixels = serve(sight), version.golden().pixels[0]
    seven, eight = (seeing.explanation_numbers(model, pixels, label) for label in "78")
    assert seven["activation"] != eight["activation"]
    with pytest.raises(UnknownError, match="has no class 'ねこ'"):
        seeing.explanation_numbers(model, pixels, "ねこ")


def test_the_maps_of_the_last_layer_are_the_map(engine: OnnxEngine, version: ModelVersion) -> None:
    """And every layer that is named can be asked for."""
    pixels = version.golden().pixels[:2]
    shapes = {layer: engine.feature_maps(pixels, layer).shape for layer in engine.layers()}
    assert len(shapes) == 19
    assert {len(shape) for shape in shapes.values()} == {4}
    assert shapes["re_lu"] == (2, 8, 8, 24)
    np.testing.assert_allclose(engine.feature_maps(pixels, engine.layers()[-1]), engine.run(pixels)["map"], atol=1e-6)


def test_maps_are_numbers_and_a_picture(serve: Serve, sight: WatchedSight, version: ModelVersion) -> None:
    """Of one picture; a layer that there is not is refused with those there are."""
    model, pixels = serve(sight), version.golden().pixels[0]
    numbers = seeing.maps_numbers(model, pixels, "re_lu")
    assert np.shape(numbers["maps"]) == tuple(numbers["shape"]) == (8, 8, 24)
    assert max(opened(seeing.maps_png(model, pixels, "re_lu")).size) <= 1100
    with pytest.raises(UnknownError) as caught:
        seeing.maps_png(model, pixels, "../../etc")
    assert "re_lu" in caught.value.hint


def test_filters_are_the_first_weights(serve: Serve, sight: WatchedSight) -> None:
    """24 filters of 4 x 4 pixels."""
    numbers = seeing.filters_numbers(serve(sight))
    assert (numbers["layer"], numbers["shape"]) == ("conv2d", [24, 4, 4, 1])
    assert np.shape(numbers["filters"]) == (24, 4, 4, 1)


def test_what_cannot_be_told_is_refused_with_the_reason(serve: Serve, blind: WatchedSight, version: ModelVersion,
                                                        watched: WatchedEngine) -> None:
    """No map, no filters, and an engine that cannot be looked into."""
    model, pixels = serve(blind), version.golden().pixels[0]
    with pytest.raises(UnknownError, match="global average pooling"):
        seeing.explanation_png(model, pixels)
    with pytest.raises(UnknownError, match="does not begin with a convolution"):
        seeing.filters_picture(model)
    with pytest.raises(UnknownError, match="cannot be looked into"):
        seeing.layers_of(serve(watched))


def test_an_unlisted_map_is_not_asked_for(version: ModelVersion) -> None:
    """A version whose `model.json` has no map answers as before."""
    outputs = {name: shape for name, shape in version.spec.outputs.items() if name != "map"}
    blind = OnnxEngine(replace(version, spec=replace(version.spec, outputs=outputs)), threads=1, max_batch=8)
    answer: Outputs = blind.run(version.golden().pixels[:1])
    assert (set(answer), blind.kernel, blind.blindness) == ({"probabilities", "embedding"}, None, NO_MAP)
    assert isinstance(blind, SeeingEngine)


@pytest.mark.parametrize("size", [8, 28, 32, 100, 224, 256, 299, 512, 600, 4096])
def test_a_heat_map_is_legible(size: int) -> None:
    """128 to 512 pixels; hot places are brighter than cold ones, so that no colour is needed."""
    activation = np.zeros((4, 4), np.float32)
    activation[1, 2] = 1
    drawn = heat_over(np.full((size, size, 3), 90, np.uint8), activation)
    side = side_of(size)
    assert drawn.shape == (side, side, 3)
    assert 128 <= side <= 512
    grey = np.asarray(Image.fromarray(drawn).convert("L"), float)
    assert grey[int(side * 0.375), int(side * 0.625)] > grey[int(side * 0.9), int(side * 0.1)] + 80


@pytest.mark.parametrize("value", [0.0, -3.0, float("nan")])
def test_nothing_for_the_class_is_a_grey_picture(value: float) -> None:
    """No heat is made up."""
    drawn = heat_over(np.full((32, 32, 1), 200, np.uint8), np.full((2, 2), value, np.float32))
    assert (drawn == drawn[..., :1]).all()


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 7, 7, 3), (64, 3, 5, 4), (2000, 2, 2, 3), (2, 300, 300, 1)])
def test_grids_are_bounded(shape: tuple[int, int, int, int]) -> None:
    """From one cell to thousands, also of zeros and of what is no number."""
    values = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    for odd in (values, np.zeros_like(values), np.full_like(values, np.nan)):
        assert max(filters_grid(odd).shape) <= 1400
        assert max(maps_grid(np.moveaxis(odd[..., 0], 0, -1)).shape) <= 1400


def test_layer_names_fit_an_address() -> None:
    """Lower case, nothing odd, and the last step of a layer is its output."""
    assert named([("Conv1/Relu 6", "a"), ("b", "1"), ("畳み込み", "c"), ("b", "2")]) \
        == {"conv1-relu-6": "a", "layer": "c", "b": "2"}
