"""`run.py workbooks check` against the real server and the real TabPy, with a real Hyper extract in the workbook."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from stack import Running, started
from tabpy.tabpy_server.handlers.util import hash_password

sys.path.insert(0, str(Path(__file__).resolve().parent / "workbooks"))

from books import CELL, Book, Calc, along, hyper

from models import digits
from workbooks.cli import main

DOC = (Path(__file__).resolve().parent.parent / "docs" / "checking-workbooks.md").read_text(encoding="utf-8")
PATH = "ATTR([Image Path])"
ROWS = 24
UNRULY = """
from tabpy.tabpy_tools.client import Client
client = Client("http://localhost:{port}/")
client._wait_for_endpoint_deployment = lambda *args: None
def Answers_Nan(x): return [float("nan")] * len(x)
def raises(x): raise ValueError("no such luck")
def short(x): return x[:-1] + x[:-1]
def nothing(x): return [None] * len(x)
def doubled(x): return [2 * value for value in x]
for function in (Answers_Nan, raises, short, nothing, doubled):
    client.deploy(function.__name__.replace("_", " "), function, override=True)
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, data, _ in digits.held_out()[:ROWS]:
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module")
def running(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Server and TabPy, and in it functions as other people write them."""
    with started(tmp_path_factory.mktemp("state"), images=(pictures,)) as stack:
        script = UNRULY.format(port=stack.settings.tabpy_port)
        answer = requests.post(f"{stack.tabpy}/evaluate", json={"script": script, "data": {}}, timeout=60)
        assert answer.status_code == 200, answer.text
        yield stack


@pytest.fixture(scope="module")
def extract(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each picture twice, in two groups."""
    names = sorted(path.name for path in pictures.iterdir())
    return hyper(
        tmp_path_factory.mktemp("extract") / "images.hyper",
        {"Image Path": names * 2, "Group": ["even", "odd"] * ROWS, "Number": list(range(2 * ROWS))},
    )


def query(name: str, *arguments: str) -> str:
    """A script that asks an endpoint."""
    return f"\"return tabpy.query('{name}', {', '.join(arguments or ('_arg1',))})['response']\""


def book(*calcs: Calc, **changes: Any) -> Book:
    """A sheet of these fields."""
    return Book(calcs, columns={"Image Path": "string", "Group": "string", "Number": "integer"}, **changes)


def said(path: Path, running: Running, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    """The exit status and the JSON of a check that runs."""
    code = main(["check", str(path), "--tabpy", running.tabpy, "--run", "--json", *more])
    return code, json.loads(capsys.readouterr().out)


GOOD = (
    Calc("Calculation_1", f"SCRIPT_STR({query('image_label')}, {PATH})", caption="Label"),
    Calc(
        "Calculation_2",
        "SCRIPT_REAL(\"\r\nr = tabpy.query('image_confidence', paths=_arg1, model=_arg2)\r\n"
        "return r['response']\r\n\", MIN([Image Path]), [Parameters].[Parameter 1])",
        "REAL",
        caption="Confidence",
    ),
    Calc(
        "Calculation_3",
        f'MODEL_EXTENSION_STR("image_label", "paths", "model", {PATH}, [Parameters].[Parameter 1])',
        caption="Model",
    ),
    Calc(
        "Calculation_4",
        f"SCRIPT_BOOL({query('image_needs_review', '_arg1', '_arg2')}, {PATH}, [Parameters].[Parameter 2])",
        "BOOL",
        caption="Review",
    ),
    Calc("Calculation_5", f"SCRIPT_INT({query('doubled')}, SUM([Number]) + 1)", "INT", caption="Number"),
)


def test_sound_fields_replay_in_one_request_each(
    running: Running, extract: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every form, with the extract's rows: the same label by TabPy's both doors, no finding, exit status 0."""
    path = book(*GOOD).twbx(tmp_path, {"Data/Extracts/images.hyper": extract}, "本 1.twbx")
    code, found = said(path, running, capsys, "--server", running.server)
    keys = {*found, *found["fields"][0], *found["fields"][0]["sheets"][0], *found["fields"][0]["replays"][0]}
    (paragraph,) = re.findall(r"^`--json` prints.*?(?=\n\n)", DOC, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"`([a-z_]+)`", paragraph)) == keys | {"code", "level", "where", "text", "remedy", "error"}
    replays = {one["name"]: one["replays"][0] for one in found["fields"]}
    assert (code, found["said"]) == (0, [])
    assert {(one["requests"], one["rows"], len(one["values"])) for one in replays.values()} == {(1, ROWS, 5)}
    assert replays["Label"]["values"] == replays["Model"]["values"]
    assert replays["Number"]["values"] == [2 * (number + number + ROWS + 1) for number in range(5)]
    assert all(
        one["sheets"]
        == [
            {
                "sheet": "S",
                "addressing": "Specific Dimensions: Image Path",
                "requests": 1,
                "marks": ROWS,
                "filters_left_out": 0,
            }
        ]
        for one in found["fields"]
    )


def test_partitions_are_requests_of_their_own(
    running: Running, extract: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addressed along the path, with the group in the view: two requests; by Cell the first twenty are sent."""
    for table_calc, requests_sent, code in (
        (along("Image Path"), 2, "several-requests"),
        (CELL, 20, "addressing-cell"),
    ):
        sheet = book(GOOD[0], rows=("Group", "Image Path"), table_calc=table_calc)
        status, found = said(sheet.twbx(tmp_path, {"Data/Extracts/images.hyper": extract}), running, capsys)
        (replay,) = found["fields"][0]["replays"]
        assert (status, replay["requests"], [one["code"] for one in found["said"]]) == (1, requests_sent, [code])


WRONG = [
    (f"SCRIPT_REAL({query('Answers Nan')}, SUM([Number]))", "REAL", {"run-failed"}),
    ('MODEL_EXTENSION_REAL("Answers Nan", "x", SUM([Number]))', "REAL", {"run-type"}),
    (f"SCRIPT_STR({query('raises')}, {PATH})", "STR", {"run-failed"}),
    (f"SCRIPT_STR({query('short')}, {PATH})", "STR", {"run-length"}),
    (f"SCRIPT_STR({query('nothing')}, {PATH})", "STR", {"run-nulls"}),
    (f"SCRIPT_STR({query('doubled')}, SUM([Number]))", "STR", {"run-type"}),
    (f"SCRIPT_STR({query('image_lable')}, {PATH})", "STR", {"endpoint-missing", "run-failed"}),
    (f"SCRIPT_STR(\"return tabpy.query('image_label', _arg1)\", {PATH})", "STR", {"missing-response", "run-type"}),
    (f"SCRIPT_STR({query('image_label')}, [Image Path])", "STR", {"unwrapped-field", "run-skipped"}),
    (f"SCRIPT_STR({query('image_label')}, WINDOW_MAX(MIN([Image Path])))", "STR", {"run-skipped"}),
    (f'SCRIPT_STR("return 1 +", {PATH})', "STR", {"script-syntax", "run-failed"}),
    ('SCRIPT_BOOL("return [v > 9 for v in _arg1]", SUM([Number]))', "BOOL", set()),
    ('SCRIPT_INT("return 42", SUM([Number]))', "INT", {"argument-unused"}),
]


def test_what_a_field_does_wrong_is_seen_when_it_runs(
    running: Running, extract: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All in one workbook, so that one that fails does not keep the others from being sent."""
    calcs = [Calc(f"Calculation_{place}", formula, returns) for place, (formula, returns, _) in enumerate(WRONG)]
    _, found = said(book(*calcs).twbx(tmp_path, {"Data/Extracts/images.hyper": extract}), running, capsys)
    assert found["fields"][1]["replays"][0]["values"] == ["nan"] * 5  # which is no JSON
    codes = {
        f"[{calc.name}]": {one["code"] for one in found["said"] if one["where"].startswith(f"[{calc.name}]")}
        for calc in calcs
    }
    assert codes == {f"[{calc.name}]": expected for calc, (_, _, expected) in zip(calcs, WRONG, strict=True)}


def test_a_tabpy_that_does_not_answer_in_time(running: Running, extract: Path, tmp_path: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    """Twice what is allowed is waited for, and that is said."""
    script = '"import time\ntime.sleep(4)\nreturn _arg1"'
    sheet = book(Calc("Calculation_1", f"SCRIPT_INT({script}, SUM([Number]))", "INT"))
    path = sheet.twbx(tmp_path, {"Data/Extracts/images.hyper": extract})
    _, found = said(path, running, capsys, "--max-seconds", "0.5")
    assert [(one["code"], one["text"]) for one in found["said"]] == [
        ("run-failed", f"TabPy answered nothing: {running.tabpy} did not answer within 2 s.")]


def test_slow_answers_and_broken_extracts_are_said(
    running: Running, extract: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Against a limit of one's own; and without rows nothing is sent."""
    codes = []
    for content in (extract, b"no Hyper file"):
        path = book(GOOD[0]).twbx(tmp_path, {"Data/Extracts/images.hyper": content})
        codes.append([one["code"] for one in said(path, running, capsys, "--max-seconds", "0")[1]["said"]])
    assert codes == [["run-slow"], ["run-skipped", "extract-unreadable", "extract-damaged"]]


def test_a_field_on_no_sheet_is_sent_once(
    running: Running, extract: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a row for each value it would be asked for."""
    sheet = book(GOOD[0], GOOD[4], used=(), rows=())
    status, found = said(sheet.twbx(tmp_path, {"Data/Extracts/images.hyper": extract}), running, capsys)
    assert (status, [(one["replays"][0]["requests"], one["replays"][0]["rows"]) for one in found["fields"]]) == (
        0,
        [(1, ROWS), (1, 1)],
    )


def test_a_tabpy_behind_a_password(
    pictures: Path, extract: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Credentials come from a file; without them, or with others, the reason is said. Scripts switched off likewise."""
    (tmp_path / "users").write_text(f"ann {hash_password('ann', 'horse')}\n")
    (tmp_path / "right").write_text("horse\n")
    (tmp_path / "wrong").write_text("cow\n")
    (tmp_path / "tokens").write_text("token-0123456789\n")
    path = book(GOOD[0], GOOD[2]).twbx(tmp_path, {"Data/Extracts/images.hyper": extract})
    (tmp_path / "state").mkdir()
    with started(
        tmp_path / "state",
        images=(pictures,),
        tabpy_password_file=tmp_path / "users",
        no_evaluate=True,
        token_file=tmp_path / "tokens",
    ) as stack:

        def codes(*more: str) -> list[str]:
            return [one["code"] for one in said(path, stack, capsys, *more)[1]["said"]]

        login = ("--tabpy-user", "ann", "--tabpy-password-file")
        right = (*login, str(tmp_path / "right"))
        assert codes(*right) == ["evaluate-off", "run-failed"]
        assert codes(*login, str(tmp_path / "wrong")) == codes() == ["tabpy-refused"]
        assert codes(*right, "--server", stack.server) == ["server-refused", "evaluate-off", "run-failed"]
        assert codes(*right, "--server", stack.server, "--token-file", str(tmp_path / "tokens")) == [
            "evaluate-off",
            "run-failed",
        ]


def test_a_tabpy_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rest of the check goes on; what answers may be no TabPy at all."""
    path = book(GOOD[0]).twb(tmp_path)
    assert main(["check", str(path), "--tabpy", "http://127.0.0.1:9", "--run"]) == 1
    assert "TabPy was not asked: nothing answers at http://127.0.0.1:9" in capsys.readouterr().out


def test_the_server_speaks_for_tabpy_and_not_the_other_way_round(running: Running, tmp_path: Path,
                                                                 capsys: pytest.CaptureFixture[str]) -> None:
    """The Pixfield server's address given as TabPy's (the direct connection), TabPy's as the server's, and nobody's."""
    path = book(GOOD[0]).twb(tmp_path)
    codes = []
    for more in (["--tabpy", running.server], ["--tabpy", running.tabpy, "--server", running.tabpy],
                 ["--tabpy", "http://127.0.0.1:9"]):
        main(["check", str(path), "--json", *more])
        codes.append([one["code"] for one in json.loads(capsys.readouterr().out)["said"]])
    no_rows = "extract-unreadable"  # a bare workbook
    assert codes == [[no_rows], ["server-refused", no_rows], ["tabpy-away", no_rows]]


def test_the_page_shows_what_is_printed(
    running: Running,
    extract: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The examples of docs/checking-workbooks.md, on the workbook they speak of; only times are the machine's."""
    confidence = Calc("Calculation_2", f"SCRIPT_STR({query('image_confidence')}, {PATH})", caption="Confidence")
    status = Calc("Calculation_3", f"SCRIPT_STR({query('image_satus')}, {PATH})", caption="Status")
    book(GOOD[0], confidence, status, rows=("Group", "Image Path")).twbx(
        tmp_path, {"Data/Extracts/images.hyper": extract}, "before.twbx"
    )
    good = (
        Calc(confidence.name, f"SCRIPT_REAL({query('image_confidence')}, {PATH})", "REAL", caption="Confidence"),
        Calc(status.name, f"SCRIPT_STR({query('image_status')}, {PATH})", caption="Status"),
    )
    book(GOOD[0], *good, rows=("Group", "Image Path"), table_calc=along("Group", "Image Path")).twbx(
        tmp_path, {"Data/Extracts/images.hyper": extract}, "after.twbx"
    )
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^\$ python run\.py workbooks (.*)\n((?:.*\n)*?)```", DOC, re.MULTILINE)
    assert len(examples) == 2
    files = set(tmp_path.iterdir())
    for command, expected in examples:
        main(command.replace("http://127.0.0.1:9004", running.tabpy).split())
        printed = capsys.readouterr().out
        assert _timeless(printed) == _timeless(expected)
    assert set(tmp_path.iterdir()) == files  # Hyper leaves no log in the user's folder


def _timeless(text: str) -> str:
    return re.sub(r"\d+\.\d\d s", "0.00 s", text)
