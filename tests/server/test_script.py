"""Scripts are read and never run: one sentence is understood, everything else is refused with what is wrong."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import BadRequestError, RequestError, UnprocessableError
from server.functions import FUNCTIONS
from server.script import MAX_CHARACTERS, arguments_sent, parse

ASK = "return tabpy.query('image_label', {})['response']"


def bound(script: str, **data: Any) -> dict[str, Any]:
    """The arguments of a script that asks a function."""
    found = parse(script)
    assert found is not None
    return found.bound(data)


def refusal(script: str) -> str:
    """What is said of a script that is refused."""
    with pytest.raises(RequestError) as caught:
        parse(script)
    return caught.value.message


@pytest.mark.parametrize(("arguments", "expected"), [
    ("_arg1", {"paths": ["a"]}), ("_arg2, _arg1", {"paths": "m", "model": ["a"]}),
    ("_arg1, 'm', -2", {"paths": ["a"], "model": "m", "refresh": -2}), ("_arg3['x y']", {"paths": ["t"]}),
    ("_arg1[0]", {"paths": "a"}), ("_arg1[-1]", {"paths": "a"}), ("model=None, paths=_arg1",
                                                                {"paths": ["a"], "model": None})])
def test_arguments_are_bound_by_name(arguments: str, expected: dict[str, Any]) -> None:
    """Whatever their order and kind."""
    assert bound(ASK.format(arguments), _arg1=["a"], _arg2="m", _arg3={"x y": ["t"]}) == expected


@pytest.mark.parametrize("script", [
    "# a\n return {}", "#a\n#b\n\n    return {}\n# c", "\n\n  # a\n  return {}  # b\n\n",
    "   return {}\n  # a", "return {}\n \n#"])
def test_comments_and_blank_lines_are_read_as_tabpy_does(script: str) -> None:
    """Its lines stand in a function's body, where a comment says nothing of how far the others are indented."""
    assert bound(script.format(ASK.format("_arg1").removeprefix("return ")), _arg1=["a"]) == {"paths": ["a"]}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_of_the_table_can_be_asked(name: str) -> None:
    """With all that it takes."""
    parameters = FUNCTIONS[name].parameters
    numbers = range(1, len(parameters) + 1)
    script = f"return tabpy.query(\"{name}\", {', '.join(f'_arg{number}' for number in numbers)})[\"response\"]"
    arguments = bound(script, **{f"_arg{number}": number for number in numbers})
    assert arguments == dict(zip(parameters, numbers, strict=True))


@pytest.mark.parametrize(("script", "message"), [
    ("", "the script is empty"), ("# nothing", "the script is empty"),
    ("# no\n\n  # thing\n", "the script is empty"), ("  \n ", "the script is empty"),
    ("#\n return 1\n return 2", "the script has more than one statement"),
    ("return 1\n\fimport os", "the script has more than one statement"),
    ("import os\nreturn 1", "the script has more than one statement"),
    ("return 1 / 0", "the script does more than to ask one function"),
    ("return int(2)", "the script does more than to ask one function"),
    ("return int(1, 2)", "the script does more than to ask one function"),
    ("tabpy.query('image_label', _arg1)['response']", "the script returns nothing: it does not begin with return"),
    ("return tabpy.query('image_label', _arg1)", "['response'] is missing at the end of the script"),
    ("return tabpy.query('image_label', _arg1)['model']", "the script does more than to ask one function"),
    ("return os.system('x')['response']", "the script calls something else than tabpy.query"),
    ("return tabpy.query.query('image_label', _arg1)['response']", "the script calls something else than tabpy.query"),
    ("return tabpy.query(_arg1, _arg1)['response']", "the function's name is not a text in quotes"),
    ("return tabpy.query(f'image_label', _arg1)['response']", "the function's name is not a text in quotes"),
    ("return tabpy.query(name='image_label', x=_arg1)['response']", "the function's name is not a text in quotes"),
    ("return tabpy.query('nobody', _arg1)['response']", "there is no function 'nobody'"),
    (ASK.format("*_arg1"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("**_arg1"), "image_label has no argument **"),
    (ASK.format("_arg1, model='a'"), "some arguments are named and some are not"),
    (ASK.format("model=_arg1"), "image_label is asked without paths"),
    (ASK.format("paths=_arg1, paths=_arg1"), "the argument paths is given twice"),
    (ASK.format("_arg1, 1, 2, 3"), "image_label takes 3 arguments, the script gives 4"),
    (ASK.format("_arg1.tolist()"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("list(_arg1)"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("[x for x in _arg1]"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("_arg1 + _arg2"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("(y := _arg1)"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("lambda: 1"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("f'{_arg1}'"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("b'a'"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("..."), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("1j"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("tabpy"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("_arg1[0:2]"), "an argument is neither _arg1, _arg2, ... nor a text or number"),
    (ASK.format("_arg1[1.5]"), "a part of _arg1 is neither a column's name nor a row's number"),
    (ASK.format("_arg1[True]"), "a part of _arg1 is neither a column's name nor a row's number")])
def test_what_is_no_question_is_refused(script: str, message: str) -> None:
    """With what is wrong about it."""
    assert refusal(script) == message


@pytest.mark.parametrize("script", [
    "return " + "(" * 3_000, "return " + "[" * 199 + "]" * 199, "return " + "-" * 3_000 + "1", "return " + "not " * 900,
    "return " + "a." * 1_500 + "b", "return " + "(a" * 40 + ")" * 40, "if 1:\n" * 90,
    "\n".join(" " * depth + "if 1:" for depth in range(60)),
    "return " + "lambda:" * 400 + "1", "return " + "1+" * 1_500 + "1", "x" * MAX_CHARACTERS, "return '\x00'",
    "return '''", "return \\", "\ufeffreturn 1", "return 0" + "0" * 3_900, "return " + "9" * 3_900, "return '\\N{",
    "return '\ud800'"])
def test_hostile_scripts_are_refused(script: str) -> None:
    """Deep, long, cut off: at once, and in a thread with a small stack as on any other."""
    said: list[str] = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: said.append(refusal(script)))
        thread.start()
        thread.join(10)
    finally:
        threading.stack_size(before)
    assert len(said) == 1


def test_a_script_has_a_longest_length() -> None:
    """A constant may be long, a script longer than that is not looked at."""
    assert bound(ASK.format("'" + "x" * 3_900 + "'"))["paths"] == "x" * 3_900
    assert refusal("x" * 4_001) == "the script has 4,001 characters, at most 4,000 are read"


WORDS = ["return", "tabpy", ".query", "(", ")", "[", "]", "'image_label'", "'response'", "_arg1", ",", " ", "\n", "=",
         "paths", "int", "1", "lambda", ":", "*", "-", "#", '"', "'", "f'", "{", "}", "\\", ";", "await"]


@given(st.text(max_size=80) | st.lists(st.sampled_from(WORDS), max_size=40).map("".join))
def test_whatever_comes_is_read_or_refused(script: str) -> None:
    """Never another exception."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(RequestError):
            parse(script)


def test_nothing_is_run() -> None:
    """An audit hook sees every execution, import and file that is opened."""
    events: list[str] = []
    watched = threading.get_ident()
    is_on = [True]

    def hook(event: str, _: tuple[Any, ...]) -> None:
        if is_on[0] and threading.get_ident() == watched and event in ("exec", "import", "open", "os.system",
                                                                      "subprocess.Popen"):
            events.append(event)

    sys.addaudithook(hook)  # cannot be taken away: it is switched off
    try:
        for script in (ASK.format("_arg1"), "return int(1)"):
            parse(script)
        for script in ("import os", "return __import__('os').system('x')", "return open('x')"):
            refusal(script)
    finally:
        is_on[0] = False
    assert events == []


@pytest.mark.parametrize(("arguments", "message"), [
    ("_arg2", "the script uses _arg2, and Tableau sent _arg1"),
    ("_arg1['x']", "_arg1 is a column, not a table of columns"),
    ("_arg1[1]", "_arg1 has no row 1")])
def test_what_tableau_did_not_send_is_said(arguments: str, message: str) -> None:
    """By name."""
    with pytest.raises(UnprocessableError, match="^" + message.replace("[", r"\[")):
        bound(ASK.format(arguments), _arg1=["a"])


def test_a_table_s_columns_are_named() -> None:
    """When the one that the script wants is not there."""
    with pytest.raises(UnprocessableError) as caught:
        bound(ASK.format("_arg1['Path']"), _arg1={"Image Path": [], "Größe": []})
    assert (caught.value.message, caught.value.hint) == ("the table has no column 'Path'",
                                                         "its columns are Image Path, Größe")


@pytest.mark.parametrize(("body", "kind"), [
    ([], BadRequestError), ({}, BadRequestError), ({"script": 1}, BadRequestError),
    ({"script": "x", "data": []}, BadRequestError), ({"script": "x", "data": {"a": []}}, UnprocessableError),
    ({"script": "x", "data": {"_arg2": []}}, UnprocessableError)])
def test_bodies_that_tableau_does_not_send(body: object, kind: type[RequestError]) -> None:
    """Are refused."""
    with pytest.raises(kind):
        arguments_sent(body)
