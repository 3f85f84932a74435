"""Our TabPy and a stock one, asked the same over real HTTP: whatever goes over the wire is equal."""

import re
from typing import Any

import pytest
import requests
from tabpy_processes import TabPy

pytest_plugins = ("tabpy_fixtures",)

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ASK = "return tabpy.query({!r}, _arg1)['response']"
COMPARED = ("Content-Type", "Etag", "Content-Encoding", "WWW-Authenticate")

SCRIPTS = {
    "the connection test": ("return int(1)", [4]),
    "a column": (ASK.format("identity"), ["a", None, "a", "日本", "</b>", 1, 2.5, True]),
    "one row": (ASK.format("identity"), ["a"]),
    "a scalar": (ASK.format("identity"), "*"),
    "no rows": (ASK.format("identity"), []),
    "a table": (ASK.format("identity"), {"Col A": ["x", None], "Col B": [1, 2]}),
    "a whole answer": ("return tabpy.query('identity', _arg1)", ["a"]),
    "an argument by name": ("return tabpy.query('identity', x=_arg1)['response']", ["a"]),
    "a wrong name": ("return tabpy.query('identity', y=_arg1)['response']", ["a"]),
    "a wrong name, the whole answer": ("return tabpy.query('identity', y=_arg1)", ["a"]),
    "a tuple": ("return tabpy.query('identity', tuple(_arg1))['response']", ["a"]),
    "what is no JSON": ("return tabpy.query('identity', {1, 2})['response']", ["a"]),
    "NaN from a script": ("return [float('nan'), 1.0]", ["a"]),
    "NaN into a function": ("return tabpy.query('identity', [float('nan')])['response']", ["a"]),
    "NaN from a function": (ASK.format("nan"), ["a", "b"]),
    "an exception": (ASK.format("raising"), ["a"]),
    "an exception, the whole answer": ("return tabpy.query('raising', _arg1)", ["a"]),
    "an answer that is no JSON": (ASK.format("unserialisable"), ["a"]),
    "an answer that changes in JSON": (ASK.format("mixed"), ["a", 1.0]),
    "a function that is not there": (ASK.format("nobody"), ["a"]),
    "a function that is not there, the whole answer": ("return tabpy.query('nobody', _arg1)", ["a"]),
    "an odd name": ("return tabpy.query('no body?', _arg1)", ["a"]),
    "no arguments": ("return tabpy.query('identity')", ["a"]),
    "a function that changes its argument": (
        "n = tabpy.query('changing', _arg1)['response']\nreturn [n, len(_arg1)]",
        [1],
    ),
    "a script of two lines": ("x = [len(a) for a in _arg1]\nreturn x", ["a", "bb"]),
    "a script that fails": ("return 1 / 0", ["a"]),
    "a script that is no Python": ("return (", ["a"]),
    "a data frame": ("return pandas.DataFrame({'a': [1, None]})", ["a"]),
    "nothing": ("pass", ["a"]),
}

BODIES = {
    "named": ("identity", b'{"data": {"x": ["a", null, "\\u65e5", "</b>", 2.5, 1]}}'),
    "positional": ("identity", b'{"data": [["a", null]]}'),
    "wrong name": ("identity", b'{"data": {"y": ["a"]}}'),
    "unknown endpoint": ("nobody", b'{"data": [["a"]]}'),
    "bad JSON": ("identity", b'{"data": '),
    "empty body": ("identity", b""),
    "no data": ("identity", b'{"x": 1}'),
    "a list": ("identity", b"[1]"),
    "data that is a scalar": ("identity", b'{"data": 5}'),
    "with a method": ("identity", b'{"data": {"x": 1}, "method": "query"}'),
    "no UTF-8": ("identity", b"\xff\xfe"),
    "NaN": ("nan", b'{"data": [["a"]]}'),
    "an exception": ("raising", b'{"data": [["a"]]}'),
    "no JSON": ("unserialisable", b'{"data": [["a"]]}'),
    "changes in JSON": ("mixed", b'{"data": [["a"]]}'),
    "a quoted name": ("iden%74ity", b'{"data": [["a"]]}'),
}


def told(response: requests.Response) -> tuple[int, dict[str, str | None], str]:
    """What a client sees, but for the request's own id."""
    headers = {name: response.headers.get(name) for name in COMPARED}
    return response.status_code, headers, UUID.sub("<uuid>", response.text)


@pytest.mark.parametrize("case", SCRIPTS)
def test_evaluate_answers_as_stock_tabpy(ours: TabPy, stock: TabPy, case: str) -> None:
    """Scripts with every kind of argument, answer and failure."""
    script, column = SCRIPTS[case]
    assert told(ours.evaluate(script, column)) == told(stock.evaluate(script, column))


@pytest.mark.parametrize("body", [{}, {"script": "return 1"}, {"script": "return 1", "data": {"a": 1}}])
def test_evaluate_refuses_as_stock_tabpy(ours: TabPy, stock: TabPy, body: dict[str, Any]) -> None:
    """Bodies that Tableau would not send."""
    answers = [told(requests.post(f"{tabpy.url}/evaluate", json=body, timeout=10)) for tabpy in (ours, stock)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("case", BODIES)
def test_query_answers_as_stock_tabpy(ours: TabPy, stock: TabPy, case: str, method: str) -> None:
    """Success, every error, and the headers."""
    function, body = BODIES[case]
    answers = [
        told(requests.request(method, f"{tabpy.url}/query/{function}", data=body, timeout=10))
        for tabpy in (ours, stock)
    ]
    assert answers[0] == answers[1]


def test_query_refuses_credentials_as_stock_tabpy(ours: TabPy, stock: TabPy) -> None:
    """406: a password where none is asked for."""
    answers = [told(tabpy.query("identity", {"x": [1]}, auth=("a", "b"))) for tabpy in (ours, stock)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 406
