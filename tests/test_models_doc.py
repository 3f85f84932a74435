"""docs/models.md says what is so: its commands are run, their outputs and the list of models compared."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from models import digits
from models.registry import Registry
from server.app import create_app
from server.model_watch import GRACE_S
from server.models_cli import main
from server.openapi import document
from server.service import Service
from server.settings import Settings, flag_of

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "models" / "store" / "digits" / "1"
TEXT = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
PROMPT = "$ python run.py models "


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """digits 1, and 2, the champion, which takes threes for fives; 40 held out digits are beside it in photos."""
    root = tmp_path / "models"
    for number in ("1", "2"):
        shutil.copytree(DIGITS, root / "digits" / number)
    spec = root / "digits" / "2" / "model.json"
    content = json.loads(spec.read_text(encoding="utf-8"))
    labels = content["labels"]
    labels[3], labels[5] = labels[5], labels[3]
    spec.write_text(json.dumps(content | {"version": "2"}), encoding="utf-8")
    for name, data, label in digits.held_out()[:40]:
        (tmp_path / "photos" / str(label)).mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / str(label) / name).write_bytes(data)
    return root


def examples() -> list[tuple[str, str]]:
    """Command and output, in the order of the page."""
    blocks = re.findall(r"^```\n(\$ .*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    parts = [block.partition("\n") for block in blocks]
    return [(command, output) for command, _, output in parts]


def said(command: str, store: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What a command prints, on a store."""
    words = shlex.split(command.removeprefix(PROMPT))
    assert main([*words, "--store", str(store)]) == 0
    return capsys.readouterr().out


def test_the_commands_print_what_the_page_says(store: Path, capsys: pytest.CaptureFixture[str],
                                               monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, as somebody would who follows it."""
    monkeypatch.chdir(store.parent)
    printed = [(command, said(command, store, capsys)) for command, _ in examples()]
    assert (printed, len(printed) >= 4) == (examples(), True)


def test_the_list_of_models_is_as_the_page_says(store: Path, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    """With a half copied version."""
    said(f"{PROMPT}promote digits@1", store, capsys)
    shutil.copytree(DIGITS, store / "digits" / "3")
    spec = store / "digits" / "3" / "model.json"
    spec.write_text(spec.read_text(encoding="utf-8").replace('"version": "1"', '"version": "3"'), encoding="utf-8")
    (store / "digits" / "3" / "model.onnx").unlink()
    (tmp_path / "state").mkdir()
    settings = Settings(state=tmp_path / "state", store=store, engine="onnx")
    with closing(Service(settings)) as service:
        service.model(None)
        listed = create_app(service).test_client().get("/v1/models").get_json()
    (shown,) = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    assert listed == json.loads(shown)


def test_the_states_are_those_of_the_document() -> None:
    """The table has each of them."""
    listed = document()["paths"]["/v1/models"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    states = listed["properties"]["models"]["items"]["properties"]["states"]["additionalProperties"]
    assert re.findall(r"^\| `([a-z]+)` \|", TEXT, re.MULTILINE) == states["properties"]["state"]["enum"]


def test_every_verb_and_flag_named_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the command line or of the server."""
    main(["--help"])
    verbs = set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.MULTILINE))
    named = set(re.findall(r"run\.py models ([a-z]+)", TEXT + README))
    flags = set(re.findall(r"`[^`\n]*?(--[a-z-]+)", TEXT))
    own = {"--alias", "--csv", "--json"}
    settings = {flag_of(name) for name in Settings.__dataclass_fields__}
    assert (named - verbs, verbs - named, flags - own - settings) == (set(), set(), set())


def test_the_numbers_named_are_the_code_s() -> None:
    """The grace period, and how far the way back goes."""
    from models.aliases import REMEMBERED

    assert (f"for {GRACE_S:.0f} seconds" in TEXT, f"({REMEMBERED} steps)" in TEXT) == (True, True)


def test_a_new_reader_of_the_store_needs_nothing_else(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`name`, `name@alias` and `name@version` mean what the page says."""
    said(f"{PROMPT}promote digits@1 --alias canary", store, capsys)
    resolve: Callable[[str], str] = lambda reference: Registry([store]).resolve(reference).spec.version  # noqa: E731
    assert [resolve(reference) for reference in ("digits", "digits@canary", "digits@2")] == ["2", "1", "2"]
