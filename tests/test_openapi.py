"""The OpenAPI document against the real server: what it allows is answered, what it forbids is refused."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import Running, started

from models import digits
from server.openapi import document

TOKEN = "token-of-these-tests-0123456789"  # noqa: S105 - of the tests
CONFIG = """\
[generation]
with-security-parameters = false  # where there are two schemes it makes a header of its own and calls it unexpected
[checks.positive_data_acceptance]
expected-statuses = [{statuses}]
"""
ACCEPTED = ["2xx", "401", "404", "413", "422", "503"]
"""What well-formed requests may get: 422 is for what no schema says, such as lists of different lengths."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server alone, with a token."""
    target = tmp_path_factory.mktemp("openapi")
    for part in ("pictures", "state"):
        (target / part).mkdir()
    name, data, _ = digits.held_out()[0]
    (target / "pictures" / name).write_bytes(data)
    (target / "token").write_text(TOKEN)
    with started(target / "state", images=(target / "pictures",), token_file=target / "token", no_tabpy=True) as stack:
        yield stack


@pytest.mark.skipif(importlib.util.find_spec("schemathesis") is None, reason="schemathesis is not installed")
def test_the_server_does_what_its_document_says(running: Running, tmp_path: Path) -> None:
    """Thousands of requests made from the document, right ones and wrong ones; the same at each run."""
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(statuses=", ".join(f'"{status}"' for status in ACCEPTED)))
    command = [sys.executable, "-c", "import sys; from schemathesis.cli import schemathesis; sys.exit(schemathesis())",
               f"--config-file={config}", "run", f"{running.server}/openapi.json",
               f"--header=Authorization: Bearer {TOKEN}", "--checks=all", "--phases=examples,coverage,fuzzing",
               "--max-examples=30", "--seed=1", "--generation-deterministic", "--continue-on-failure", "--no-color",
               "--suppress-health-check=all", "--warnings=off"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_the_document_is_served(running: Running) -> None:
    """As it is made."""
    answer = requests.get(f"{running.server}/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
    assert answer.json() == json.loads(json.dumps(document()))


@pytest.mark.parametrize(("method", "path", "options", "status"), [
    ("GET", "/v1/models", {"headers": {"Host": "evil.example"}}, "421"),
    ("GET", "/v1/models", {"headers": {"Origin": "https://evil.example"}}, "403"),
    ("GET", "/v1/models", {"headers": {"Authorization": "Bearer x"}}, "401"),
    ("PUT", "/v1/models", {}, "405"),
    ("GET", "/v1/models/{reference}", {}, "404"),
    ("GET", "/v1/models", {"headers": {"X-Long": "x" * 70_000}}, "431"),
    ("POST", "/v1/classify", {"data": "no json"}, "400"),
    ("POST", "/v1/classify", {"json": {"paths": ["a"], "top_k": 0}}, "422"),
    ("POST", "/v1/classify", {"json": {"paths": ["a"] * 200_001}}, "413"),
    ("POST", "/query/image_label", {"json": {"data": [["a"]]}, "headers": {"X-Pixfield-Deadline": "-1"}}, "422")])
def test_each_error_is_as_documented(running: Running, method: str, path: str, options: dict[str, Any],
                                     status: str) -> None:
    """Its status is listed for the endpoint, its headers are there, its body has the one form."""
    headers = {"Authorization": f"Bearer {TOKEN}"} | options.pop("headers", {})
    answer = requests.request(method, running.server + path, headers=headers, timeout=60, **options)
    whole = document()
    listed = next(iter(whole["paths"][path].values()))["responses"]
    reference = listed[status]["$ref"].rpartition("/")[2]
    wanted = {name.lower() for name in whole["components"]["responses"][reference]["headers"] if name != "Retry-After"}
    assert (str(answer.status_code), wanted - set(map(str.lower, answer.headers))) == (status, set())
    assert {key: type(value) for key, value in answer.json()["error"].items()} == {"code": str, "message": str,
                                                                                  "hint": str}
