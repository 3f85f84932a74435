"""Columns of where the model looked, and what a version looks for, over HTTP."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from models.activation import FOCUS_NAMES
from server.app import create_app
from server.functions import FUNCTIONS
from server.service import Service
from server.settings import Settings

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedSight

pytest_plugins = ("server_fixtures",)


@pytest.fixture
def client(settings: Settings, sight: WatchedSight, pictures: Pictures) -> Iterator[FlaskClient]:
    """A server with three pictures, one of them under a Japanese name."""
    for number, name in enumerate(("0.png", "日本 写真.png", "2.png")):
        pictures.write(name, number)
    with closing(Service(settings, open_engine=lambda *_: sight)) as service:
        yield create_app(service).test_client()


PATHS = ["0.png", "日本 写真.png", None, "2.png", "0.png"]


def test_functions_and_fields_are_the_same(client: FlaskClient) -> None:
    """TabPy's form and the columnar one: numbers of 0 to 1, null where there is no picture."""
    answer = client.post("/v1/classify", json={"paths": PATHS, "fields": [*FOCUS_NAMES, "note"]})
    assert answer.status_code == 200, answer.text
    columns = answer.get_json()["columns"]
    for name in FOCUS_NAMES:
        response = client.post(f"/query/image_{name}", json={"data": {"paths": PATHS}}).get_json()["response"]
        assert response == columns[name]
        assert [value is None for value in response] == [False, False, True, False, False]
        assert all(isinstance(value, float) and 0 <= value <= 1 for value in response if value is not None)
        assert FUNCTIONS[f"image_{name}"].returns == "number"
    assert columns["note"] == [None] * 5


def test_an_upload_has_a_focus(client: FlaskClient, pictures: Pictures) -> None:
    """The same as the file's."""
    form = {"files": (io.BytesIO(pictures.draw(0)), "x.png"), "fields": "focus_x,border_share"}
    uploaded = client.post("/v1/classify", data=form).get_json()["columns"]
    kept = client.post("/v1/classify", json={"paths": ["0.png"], "fields": ["focus_x", "border_share"]}).get_json()
    assert uploaded == kept["columns"]


def test_filters_are_numbers_and_a_png(client: FlaskClient) -> None:
    """Of the version that the reference means."""
    numbers = client.get("/v1/models/digits@1/filters.json").get_json()
    assert (numbers["model"], numbers["version"], numbers["layer"]) == ("digits", "1", "conv2d")
    assert list(np.shape(numbers["filters"])) == numbers["shape"]
    answer = client.get("/v1/models/digits/filters.png")
    assert (answer.status_code, answer.mimetype) == (200, "image/png")
    with Image.open(io.BytesIO(answer.data)) as image:
        image.load()
        assert max(image.size) <= 600


def test_layers_are_listed(client: FlaskClient) -> None:
    """By the names that their maps are asked for with."""
    answer = client.get("/v1/models/digits/layers.json").get_json()
    assert (len(answer["layers"]), answer["has_map"], answer["reason"]) == (19, True, None)


@pytest.mark.parametrize("page", ["layers.json", "filters.json", "filters.png"])
def test_an_unknown_model_is_not_there(client: FlaskClient, page: str) -> None:
    """As everywhere."""
    answer = client.get(f"/v1/models/ねこ/{page}")
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "unknown_model")
