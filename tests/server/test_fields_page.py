"""What is pasted into Tableau is true: formulas answer, examples are the shipped model's, the page has all."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from flask.testing import FlaskClient

from models.registry import ModelVersion
from server.app import create_app
from server.engine import Engine
from server.function_fields import (
    EXAMPLE_ARGUMENTS,
    EXAMPLE_PICTURE,
    PARAMETERS,
    TABLE_SCRIPT,
    FunctionField,
    all_fields,
    field_of,
)
from server.functions import FUNCTIONS
from server.script import parse
from server.service import Service
from server.settings import Settings

pytest_plugins = ("server_fixtures",)

FIELDS = {field.function.name: field for field in all_fields()}
SCALARS = sorted(set(FUNCTIONS) - {"image_table"})


@pytest.fixture(scope="module")
def client(version: ModelVersion, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A server on the golden pictures."""
    settings = Settings(images=(version.folder / "golden",), state=tmp_path_factory.mktemp("state"), model="digits",
                        engine="onnx", cache_mb=1, engine_threads=2, decode_threads=1)
    with closing(Service(settings, open_engine=lambda *_: engine)) as service:
        yield create_app(service).test_client()


def script_in(field: FunctionField) -> str:
    """The text between the quotes of a SCRIPT_ formula."""
    (script,) = re.findall(r'^SCRIPT_[A-Z]+\("([^"]+)", ', field.script)
    return str(script)


def values_in(formula: str) -> list[str]:
    """The expressions behind the quotes."""
    return formula[formula.rindex('", ') + 3:-1].split(", ")


def answered(client: FlaskClient, script: str, data: dict[str, Any]) -> Any:
    """What `/evaluate` says."""
    answer = client.post("/evaluate", json={"script": script, "data": data})
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.mark.parametrize("name", SCALARS)
def test_a_script_field_answers_as_its_example_says(client: FlaskClient, name: str) -> None:
    """The pasted formula, sent as Tableau does; numbers to what two machines differ by, addresses by their form."""
    field, example = FIELDS[name], FUNCTIONS[name].example
    values = {PARAMETERS[key]: value for key, value in EXAMPLE_ARGUMENTS.items()} | {
        "ATTR([Image Path])": EXAMPLE_PICTURE}
    data = {f"_arg{number}": [values[word]] for number, word in enumerate(values_in(field.script), 1)}
    (answer,) = answered(client, script_in(field), data)
    if name.endswith("_url"):
        base, images, rest = example.partition("/v1/images/")
        form = re.sub(r"[0-9a-f]{4,}", "[0-9a-f]{16,}", re.escape(rest))
        assert re.fullmatch(re.escape(base + images) + form, answer)
    elif name == "image_embedding":
        assert answer.startswith(example.removesuffix(", ...]")[:12])
    else:
        assert answer == (pytest.approx(example, abs=2e-4) if isinstance(example, float) else example)


def test_the_table_answers_as_its_example_says(client: FlaskClient) -> None:
    """By the script of the Table Extension."""
    table = answered(client, TABLE_SCRIPT, {"_arg1": {"Image Path": [EXAMPLE_PICTURE]}})
    example = FUNCTIONS["image_table"].example
    assert {name: table[name] for name in example} == example | {"confidence": [pytest.approx(0.995605, abs=2e-4)]}


@pytest.mark.parametrize("name", SCALARS)
@pytest.mark.parametrize("has_all", [False, True])
def test_a_model_extension_field_names_the_same_arguments(name: str, has_all: bool) -> None:
    """As many texts as values, with the function's own names, and the same values as the script's."""
    field = field_of(FUNCTIONS[name], has_all=has_all)
    inside = re.fullmatch(r"MODEL_EXTENSION_([A-Z]+)\((.*)\)", field.model_extension)
    assert inside is not None
    quoted = re.findall(r'"([^"]+)"', inside[2])
    script = parse(script_in(field))
    assert script is not None
    assert (quoted, values_in(field.model_extension)) == ([name, *script.arguments], values_in(field.script))
    assert field.script.startswith(f"SCRIPT_{inside[1]}(")
    assert set(script.arguments) == set(FUNCTIONS[name].parameters if has_all else FUNCTIONS[name].required)


class _Texts(HTMLParser):
    """The text of each `code` element."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._is_inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - its signature
        self._is_inside = tag == "code"

    def handle_data(self, data: str) -> None:
        if self._is_inside:
            self.found.append(data)

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - its signature
        self._is_inside = False


def test_the_page_has_every_field(client: FlaskClient) -> None:
    """Letter by letter, as a browser shows it."""
    texts = _Texts()
    texts.feed(client.get("/fields").text)
    wanted = [text for field in all_fields() for text in (field.script, field.model_extension) if text]
    assert set(wanted) <= set(texts.found)
    assert TABLE_SCRIPT in texts.found


def test_the_page_has_the_style_that_its_policy_names(client: FlaskClient) -> None:
    """The digest of the very letters between the tags, as a browser computes it."""
    answer = client.get("/fields")
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'")


def test_texts_are_escaped(monkeypatch: pytest.MonkeyPatch, client: FlaskClient) -> None:
    """Also where a description would have markup in it."""
    odd = replace(FUNCTIONS["image_label"], description="<b>&")
    monkeypatch.setitem(FUNCTIONS, "image_label", odd)
    assert "&lt;b&gt;&amp;" in client.get("/fields").text
