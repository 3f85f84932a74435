"""What the caller did wrong: an HTTP status, a code for programs, and words; never a traceback, never a guess."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from server.app import create_app
from server.engine import OnnxEngine
from server.service import Service
from server.settings import Settings

pytest_plugins = ("server_fixtures",)

CLASSIFY = "/v1/classify"
LABEL = "/query/image_label"


@pytest.fixture
def client(settings: Settings, engine: OnnxEngine) -> Iterator[FlaskClient]:
    """The application on the digits model, with small limits."""
    small = replace(settings, max_rows=3, max_body_mb=1, max_image_mb=0.01)
    with closing(Service(small, open_engine=lambda *_: engine)) as service:
        yield create_app(service).test_client()


def refusal(client: FlaskClient, path: str, body: Any, **options: Any) -> tuple[int, str]:
    """Status and code; the message is words, the hint is there."""
    data = body if isinstance(body, bytes) or "content_type" in options else json.dumps(body).encode()
    answer = client.post(path, data=data, **options)
    error = answer.get_json()["error"]
    assert error.keys() == {"code", "message", "hint"}
    assert len(error["message"]) > 10
    return answer.status_code, error["code"]


@pytest.mark.parametrize(("path", "body", "status", "code"), [
    (CLASSIFY, b"", 400, "not_json"),
    (CLASSIFY, b"paths=a.png", 400, "not_json"),
    (CLASSIFY, b'{"paths": ["a"]', 400, "not_json"),
    (CLASSIFY, b'{"paths": ["a"], "deadline_s": NaN}', 400, "not_json"),
    (CLASSIFY, b"[" * 100_000, 400, "not_json"),
    (CLASSIFY, b"\xff\xfe{}", 400, "not_json"),
    (CLASSIFY, [], 400, "no_object"),
    (CLASSIFY, None, 400, "no_object"),
    (CLASSIFY, {}, 400, "no_paths"),
    (CLASSIFY, {"paths": "a.png"}, 400, "no_paths"),
    (CLASSIFY, {"paths": {"0": "a.png"}}, 400, "no_paths"),
    (CLASSIFY, {"paths": [["a.png"]]}, 422, "bad_path"),
    (CLASSIFY, {"paths": ["a"] * 4}, 413, "too_many_rows"),
    (CLASSIFY, {"paths": ["a"], "fields": 5}, 400, "bad_fields"),
    (CLASSIFY, {"paths": ["a"], "fields": [None]}, 400, "bad_fields"),
    (CLASSIFY, {"paths": ["a"], "fields": ["colour"]}, 404, "unknown_field"),
    (CLASSIFY, {"paths": ["a"], "model": "none such"}, 404, "unknown_model"),
    (CLASSIFY, {"paths": ["a"], "model": "digits@99"}, 404, "unknown_model"),
    (CLASSIFY, {"paths": ["a"], "model": "../digits"}, 404, "unknown_model"),
    (CLASSIFY, {"paths": ["a"], "model": 5}, 422, "bad_value"),
    (CLASSIFY, {"paths": ["a"], "deadline_s": -1}, 422, "bad_deadline"),
    (CLASSIFY, {"paths": ["a"], "deadline_s": "soon"}, 422, "bad_deadline"),
    (CLASSIFY, {"paths": ["a"], "deadline_s": True}, 422, "bad_deadline"),
    (CLASSIFY, {"paths": ["a"], "deadline_s": [1]}, 422, "bad_deadline"),
    (CLASSIFY, {"paths": ["a"], "deadline_s": 1e9}, 422, "bad_deadline"),
    (CLASSIFY, {"paths": ["a"], "top_k": 0}, 422, "bad_top_k"),
    (CLASSIFY, {"paths": ["a"], "top_k": 1.5}, 422, "bad_top_k"),
    (CLASSIFY, {"paths": ["a"], "arguments": [2]}, 400, "bad_arguments"),
    (CLASSIFY, {"paths": ["a"], "fields": ["label_at"], "arguments": {"rnak": 2}}, 422, "unknown_argument"),
    (CLASSIFY, {"paths": ["a"], "fields": ["label_at"], "arguments": {"rank": [1, 2]}}, 422, "lengths_differ"),
    (LABEL, {}, 400, "no_data"),
    (LABEL, {"data": 5}, 400, "no_data"),
    (LABEL, {"data": {}}, 422, "missing_argument"),
    (LABEL, {"data": {"paths": ["a"], "colour": 1}}, 422, "unknown_argument"),
    (LABEL, {"data": [["a"], 1, 2, 3, 4]}, 422, "too_many_arguments"),
    (LABEL, {"data": {"paths": ["a"] * 4}}, 413, "too_many_rows"),
    ("/query/image_colour", {"data": [["a"]]}, 404, "unknown_function"),
    ("/healthz", {}, 405, "method_not_allowed"),
    ("/nowhere", {}, 404, "not_found"),
])
def test_a_wrong_request_is_told_so(client: FlaskClient, path: str, body: Any, status: int, code: str) -> None:
    """By status and code."""
    assert refusal(client, path, body) == (status, code)


@pytest.mark.parametrize("deadline", ["-1", "soon", "nan", "601"])
def test_a_wrong_deadline_header_is_told_so(client: FlaskClient, deadline: str) -> None:
    """TabPy's form has it in a header."""
    headers = {"X-Pixfield-Deadline": deadline}
    assert refusal(client, LABEL, {"data": [["a"]]}, headers=headers) == (422, "bad_deadline")


def test_too_large_a_body_is_told_so(client: FlaskClient) -> None:
    """Beyond --max-body-mb."""
    assert refusal(client, CLASSIFY, {"paths": ["a" * 1_100_000]}) == (413, "request_entity_too_large")


@pytest.mark.parametrize(("sizes", "status", "code"), [
    ([], 400, "no_files"), ([5] * 4, 413, "too_many_rows"), ([5, 20_000], 413, "too_many_bytes")])
def test_wrong_uploads_are_told_so(client: FlaskClient, sizes: list[int], status: int, code: str) -> None:
    """None, too many, too large."""
    files = [(io.BytesIO(bytes(size)), f"{number}.png") for number, size in enumerate(sizes)]
    body = {"files": files, "model": "digits"}
    assert refusal(client, CLASSIFY, body, content_type="multipart/form-data") == (status, code)


@pytest.mark.filterwarnings("ignore:.*SpooledTemporaryFile")  # werkzeug closes the files of a whole form only
@pytest.mark.parametrize("body", [
    {"files": [(io.BytesIO(b"x"), "a.png") for _ in range(1001)]},
    {"files": (io.BytesIO(b"x"), "a.png"), "fields": "x" * 500_001},
], ids=["files", "text"])
def test_a_form_of_too_many_parts_is_told_what_to_do(client: FlaskClient, body: dict[str, Any]) -> None:
    """The limit and the remedy, not only that something is too large."""
    answer = client.post(CLASSIFY, data=body, content_type="multipart/form-data")
    assert (answer.status_code, answer.get_json()["error"]) == (413, {
        "code": "too_many_parts", "message": "a form has at most 1,000 parts, and 500,000 bytes of text",
        "hint": "send the files in several requests"})
