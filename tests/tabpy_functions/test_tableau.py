"""What Tableau sends, in Tableau's own request bodies, and what it gets, from our TabPy before a real HTTP server."""

import gzip
import json
import threading
import time

import pytest
import requests
from stand_in import FUNCTIONS
from tabpy_processes import TabPy

pytest_plugins = ("tabpy_fixtures",)

ASK = "return tabpy.query('image_label', _arg1)['response']"


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (["a", None, "a"], ["label of a", None, "label of a"]),
        (["a"], ["label of a"]),
        (["*"], ["label of *"]),
        ([None], [None]),
        ("a", "label of a"),
        (["日本/é.png"], ["label of 日本/é.png"]),
    ],
)
def test_script_column(ours: TabPy, column: object, expected: object) -> None:
    """SCRIPT_STR over nulls, repeats, one row, `*` and other scripts."""
    response = ours.evaluate(ASK, column)
    assert (response.status_code, response.json()) == (200, expected)


def test_script_with_a_parameter(ours: TabPy) -> None:
    """Tableau repeats a parameter for every row."""
    script = "return tabpy.query('image_label_at', _arg1, _arg2)['response']"
    assert ours.evaluate(script, ["a", "b"], [2, 2]).json() == ["a 2", "b 2"]


@pytest.mark.parametrize("data", [{"paths": ["a", None], "model": ["digits", "digits"]}, [["a", None], ["digits"]]])
def test_model_extension(ours: TabPy, data: object) -> None:
    """MODEL_EXTENSION_STR by name, and the positional form."""
    answer = ours.query("image_label", data).json()
    assert (answer["response"], answer["model"], answer["version"]) == (["label of a", None], "image_label", 1)


def test_gzip_body(ours: TabPy) -> None:
    """Tableau compresses large columns."""
    body = gzip.compress(json.dumps({"data": {"_arg1": ["a"] * 1000}, "script": ASK}).encode())
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = requests.post(f"{ours.url}/evaluate", data=body, headers=headers, timeout=10)
    assert response.json() == ["label of a"] * 1000


def test_form_content_type(ours: TabPy) -> None:
    """Tableau 2020.1 says its JSON were a form."""
    body = json.dumps({"data": {"_arg1": ["a"]}, "script": ASK})
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = requests.post(f"{ours.url}/evaluate", data=body, headers=headers, timeout=10)
    assert response.json() == ["label of a"]


def test_connection_test(ours: TabPy) -> None:
    """What the connection dialog asks."""
    assert ours.evaluate("return int(1)", [4]).json() == 1
    features = requests.get(f"{ours.url}/info", timeout=10).json()["versions"]["v1"]["features"]
    assert features == {"evaluate_enabled": True, "gzip_enabled": True, "arrow_enabled": False}


def test_table_extension(ours: TabPy) -> None:
    """A dict of columns goes in, a dict of columns comes out."""
    script = "return tabpy.query('image_table', _arg1['Image Path'])['response']"
    answer = ours.evaluate(script, {"Image Path": ["a", None], "Other": [1, 2]}).json()
    assert answer == {"label": ["label of a", None], "status": ["ok", "ok"]}


def test_function_explorer(ours: TabPy) -> None:
    """Every function of the server is there, public, described, with a schema in generate_schema's form."""
    from tabpy.tabpy_tools.schema import generate_schema

    endpoints = requests.get(f"{ours.url}/endpoints", timeout=10).json()
    for row in FUNCTIONS:
        info = endpoints[row["name"]]
        model = generate_schema(input={"paths": ["a"]}, output=["x"])
        assert info["is_public"] is True
        assert info["description"] == row["description"]
        assert info["docstring"] == f"{row['description']} Example: 7"
        assert info["schema"].keys() == model.keys()
        assert info["schema"]["input"].keys() - {"$comment"} == model["input"].keys()
        assert info["schema"]["input"]["required"] == row["required"]


@pytest.mark.parametrize("way", ["query", "evaluate"])
def test_tabpy_stays_awake(ours: TabPy, way: str) -> None:
    """While a dozen slow functions run, `/info` and another user's column are answered."""
    script = "return tabpy.query('image_label', _arg1, 'slow 3')['response']"

    def slow() -> None:
        data = {"paths": ["a"], "model": "slow 3"}
        response = ours.query("image_label", data) if way == "query" else ours.evaluate(script, ["a"])
        assert response.status_code == 200

    threads = [threading.Thread(target=slow, name=f"slow-{i}") for i in range(12)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)  # they are in TabPy now
    start = time.monotonic()
    requests.get(f"{ours.url}/info", timeout=10).raise_for_status()
    assert ours.evaluate(ASK, ["a"]).json() == ["label of a"]
    waited_s = time.monotonic() - start
    assert any(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join()
    assert waited_s < 1
