"""The inside of a deployed function, called as it stands."""

import ast
import builtins
import dis
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from stand_in import FUNCTIONS, TOKEN, StandIn
from tabpy_processes import free_port, stopped, wait_for

from tabpy_functions import forwarding
from tabpy_functions.errors import FunctionTableError
from tabpy_functions.forwarder import source_of
from tabpy_functions.function_table import parse

pytest_plugins = ("tabpy_fixtures",)

CLOSED_PORT = free_port()
NOT_REACHED = "Pixfield server not reached at {}: start it with `python run.py serve`"


@pytest.fixture(autouse=True)
def _closed_connection() -> Iterator[None]:
    """The connection this thread kept is closed after each test."""
    yield
    kept = vars(threading.current_thread())
    if kept.pop("pixfield_url", None):
        kept.pop("pixfield_connection").close()


@pytest.fixture
def asked(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """The stand-in, known to this process's environment, its list of requests empty."""
    monkeypatch.setenv("PIXFIELD_URL", server.url)
    monkeypatch.setenv("PIXFIELD_TOKEN", TOKEN)
    server.requests.clear()
    return server


def made(name: str) -> Any:
    """The function that TabPy would get, made from its source alone."""
    row = next(row for row in FUNCTIONS if row["name"] == name)
    namespace: dict[str, Any] = {}
    exec(source_of(parse({"functions": [row]})[0]), namespace)  # noqa: S102 - our own text
    return namespace[name]


@pytest.mark.usefixtures("asked")
@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a", None, "a", "日本.png"], ["label of a", None, "label of a", "label of 日本.png"]),
        (("a", "b"), ["label of a", "label of b"]),
        ([], []),
        ("a", "label of a"),
        (None, None),
        ([math.nan, "a"], [None, "label of a"]),
    ],
)
def test_answer_has_the_shape_of_the_question(paths: object, expected: object) -> None:
    """Columns, tuples, scalars, nulls and NaN go out; as many answers come back."""
    assert made("image_label")(paths) == expected


def test_source_needs_nothing_around_it() -> None:
    """It reads as Python 3.8, refers to no global, and is one function with a one-line docstring."""
    for function in parse({"functions": FUNCTIONS}):
        tree = ast.parse(source_of(function), feature_version=(3, 8))
        assert [type(node) for node in tree.body] == [ast.FunctionDef]
        namespace: dict[str, Any] = {"__builtins__": __builtins__}
        exec(compile(tree, "forwarder", "exec"), namespace)  # noqa: S102 - our own text
        assert globals_of(namespace[function.name].__code__) <= set(dir(builtins))


def globals_of(code: CodeType) -> set[str]:
    """The global names that code and the code inside it look up."""
    inner = [globals_of(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
    return {step.argval for step in dis.get_instructions(code) if step.opname == "LOAD_GLOBAL"}.union(*inner)


def test_source_is_what_tabpy_can_hold() -> None:
    """ASCII without a per cent sign, in the sources as in the texts."""
    for function in parse({"functions": FUNCTIONS}):
        assert source_of(function).isascii()
        assert "%" not in source_of(function)


@pytest.mark.parametrize("text", ["98 % right", "naïve", "C:\\photos", "two\nlines"])
@pytest.mark.parametrize("what", ["description", "example"])
def test_texts_that_break_tabpys_state_are_refused(what: str, text: str) -> None:
    """The error names the function and what to change."""
    with pytest.raises(FunctionTableError, match=rf"The {what} of image_label contains .* write it in ASCII"):
        parse({"functions": [FUNCTIONS[0] | {what: text}]})


def test_columns_go_in_chunks_with_their_arguments(asked: StandIn) -> None:
    """10,000 rows a request; a list of column length is cut alike, one value and one repeated value go out once."""
    paths, ranks = [f"{i}" for i in range(25_001)], [i % 3 for i in range(25_001)]
    answers = made("image_label_at")(paths, ranks, ["digits"] * 25_001, [1])
    assert answers == [f"{path} {rank}" for path, rank in zip(paths, ranks, strict=True)]
    sent = [(len(body["paths"]), len(body["rank"]), body["model"]) for _, _, body in asked.requests]
    assert sent == [(10_000, 10_000, "digits"), (10_000, 10_000, "digits"), (5_001, 5_001, "digits")]


def test_each_chunk_is_told_its_time(asked: StandIn) -> None:
    """One deadline of 25 s for all; the later chunks keep a second each."""
    made("image_label")(["a"] * 25_000)
    told = [float(headers["X-Pixfield-Deadline"]) for _, headers, _ in asked.requests]
    assert [round(seconds) for seconds in told] == [23, 24, 25]


def test_refresh_stays_here(asked: StandIn) -> None:
    """It only makes Tableau ask again; the server has no use for it."""
    made("image_label")(["a"], None, [5])
    assert [body for _, _, body in asked.requests] == [{"paths": ["a"]}]


def test_connection_is_kept_by_the_thread(asked: StandIn) -> None:
    """Two calls and three chunks need no second connection."""
    made("image_label")(["a"])
    before = asked.connections
    made("image_confidence")(["a"] * 25_000)
    assert asked.connections == before


def test_connection_gone_stale_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that was restarted on its port is asked again without a lost answer."""
    monkeypatch.setenv("PIXFIELD_TOKEN", TOKEN)
    with alone(0) as (url, port):
        monkeypatch.setenv("PIXFIELD_URL", url)
        assert made("image_label")(["a"]) == ["label of a"]
    with alone(port):
        assert made("image_label")(["a"]) == ["label of a"]


@contextmanager
def alone(port: int) -> Iterator[tuple[str, int]]:
    """A stand-in in a process of its own, which takes its connections with it when it ends."""
    number = port or free_port()
    child = subprocess.Popen([sys.executable, str(Path(__file__).with_name("stand_in.py")), str(number)], text=True)
    try:
        wait_for(f"http://127.0.0.1:{number}/v1/functions")
        yield f"http://127.0.0.1:{number}", number
    finally:
        stopped(child)


def test_server_down_means_nulls_and_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of nulls, and a status that says what to start; nothing is raised."""
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("PIXFIELD_URL", url)
    assert made("image_label")(["a", None]) == [None, None]
    assert made("image_needs_review")(["a"]) == [None]
    assert made("image_label")("a") is None
    assert made("image_status")(["a", None]) == [NOT_REACHED.format(url)] * 2
    assert made("image_table")(["a", "b"]) == {"status": [NOT_REACHED.format(url)] * 2}


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ("missing", "No model missing. Add it"),
        ("busy", "Full. Ask later"),
        ("garbage", "What answers at {} is not a Pixfield server: set PIXFIELD_URL to its address"),
    ],
)
def test_error_of_the_server_is_the_status(asked: StandIn, model: str, status: str) -> None:
    """Its own message and hint; the other functions are null."""
    assert made("image_status")(["a", "b"], model) == [status.format(asked.url)] * 2
    assert made("image_label")(["a", "b"], model) == [None, None]


def test_busy_server_is_asked_again_when_it_says_so(asked: StandIn) -> None:
    """Retry-After within the deadline is worth the wait."""
    assert made("image_label")(["a"], ["busy once"]) == ["label of a"]
    assert len(asked.requests) == 2


def test_chunk_that_fails_keeps_what_was_answered(asked: StandIn) -> None:
    """Rows before it have their answers, rows from it on are null and say why."""
    models = ["digits"] * 9_999 + ["x"] + ["missing"] * 10_000
    status = made("image_status")(["a"] * 20_000, models)
    table = made("image_table")(["a"] * 20_000, models)
    assert status == ["ok"] * 10_000 + ["No model missing. Add it"] * 10_000
    assert (table["label"], table["status"]) == (["label of a"] * 10_000 + [None] * 10_000, status)
    assert len(asked.requests) == 4


@pytest.mark.usefixtures("asked")
def test_argument_of_another_length_is_a_reason() -> None:
    """Three models for two rows fit no row."""
    expected = ["model has 3 values for 2 rows: give one value, or one a row"] * 2
    assert made("image_status")(["a", "b"], ["x", "y", "z"]) == expected


@pytest.mark.usefixtures("asked")
def test_nan_never_comes_back() -> None:
    """Not even from a server that says it."""
    assert made("image_confidence")(["a", "b"], "nan") == [None, None]


@pytest.mark.parametrize("setting", ["127.0.0.1:9005", "ftp://x", "http://:80", "http://127.0.0.1:port"])
def test_bad_address_is_a_reason(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    """A wrong PIXFIELD_URL is told in the status."""
    monkeypatch.setenv("PIXFIELD_URL", setting)
    (status,) = made("image_status")(["a"])
    assert status.startswith(f"Pixfield server not asked at {setting}: ")


def test_token_file_is_read_at_each_call(asked: StandIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A token that changes needs no redeployment; a file that is gone is told."""
    monkeypatch.delenv("PIXFIELD_TOKEN")
    secret = tmp_path / "token"
    monkeypatch.setenv("PIXFIELD_TOKEN_FILE", str(secret))
    assert made("image_status")(["a"]) == [
        f"Pixfield server not asked at {asked.url}: the token file {secret} cannot be read"
    ]
    secret.write_text("wrong")
    assert made("image_status")(["a"]) == ["No token. Give one"]
    for content in (TOKEN, f"\n{TOKEN}\r\nthe-old-one\n"):
        secret.write_text(content)
        assert made("image_status")(["a"]) == ["ok"]


def test_slow_server_ends_in_time(asked: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that overruns its deadline is left, with a reason."""
    monkeypatch.setattr(forwarding, "DEADLINE_S", 0.2)
    monkeypatch.setattr(forwarding, "GRACE_S", 0.1)
    status = forwarding.forward("image_status", "message", ["a"], {"model": "slow 1"})
    assert status == [f"The Pixfield server at {asked.url} did not answer in time: ask again in a moment"]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paths=st.one_of(
        st.lists(st.one_of(st.none(), st.text(), st.floats(), st.integers(), st.booleans(), st.binary())),
        st.none(),
        st.text(),
        st.dictionaries(st.text(), st.integers()),
        st.binary(),
    ),
    model=st.one_of(st.none(), st.text(), st.lists(st.one_of(st.none(), st.text(), st.floats())), st.binary()),
)
def test_nothing_is_ever_raised(monkeypatch: pytest.MonkeyPatch, paths: Any, model: Any) -> None:
    """Whatever Tableau or a script hands over, the answer has the column's length."""
    monkeypatch.setenv("PIXFIELD_URL", f"http://127.0.0.1:{CLOSED_PORT}")
    answer = made("image_label")(paths, model)
    assert answer == ([None] * len(paths) if isinstance(paths, list) else None)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.text(alphabet="aé日 /\\\"'")), max_size=40), st.integers(1, 7))
def test_chunks_do_not_show(
    asked: StandIn, monkeypatch: pytest.MonkeyPatch, paths: list[str | None], rows: int
) -> None:
    """Any chunk size answers what one request answers."""
    monkeypatch.setattr(forwarding, "CHUNK_ROWS", rows)
    expected = [None if path is None else f"label of {path}" for path in paths]
    assert forwarding.forward("image_label", "null", paths, {"model": ["digits"] * len(paths)}) == expected
    assert asked.url
