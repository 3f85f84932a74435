"""docs/direct-connection.md says what is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from server.app import BLUEPRINTS
from server.doors import is_tableaus
from server.errors import RequestError, error_body
from server.reference import FIELDS, with_tables
from server.script import FORM, MAX_CHARACTERS, MAX_WORDS, parse

DOCS = Path(__file__).resolve().parent.parent / "docs"
TEXT = (DOCS / "direct-connection.md").read_text(encoding="utf-8")


def test_its_script_is_the_form_that_errors_show() -> None:
    """And is understood."""
    assert FORM in TEXT
    assert parse(FORM) is not None
    assert f"{MAX_CHARACTERS:,} characters and {MAX_WORDS} words" in TEXT


def test_its_refusal_is_what_the_server_says() -> None:
    """Word by word."""
    asked, said = re.findall(r"-d '(.*)'\n(.*)\n", TEXT)[0]
    with pytest.raises(RequestError) as caught:
        parse(json.loads(asked)["script"])
    error = caught.value
    assert json.loads(said) == error_body(error.code, error.message, error.hint, for_tableau=True)


def test_its_pages_are_those_that_take_a_password() -> None:
    """All of them, and they are there."""
    named = [page.replace("<function>", "<name>") for page in re.findall(r"^\| `[A-Z]+ ([^`]+)`", TEXT, re.MULTILINE)]
    assert all(is_tableaus(page) for page in named)
    from flask import Flask

    app = Flask("rules", static_folder=None)
    for pages in BLUEPRINTS:
        app.register_blueprint(pages)
    there = {str(rule) for rule in app.url_map.iter_rules() if is_tableaus(str(rule))}
    assert there - {"/endpoints/<name>"} == set(named)


def test_docs_fields_is_generated() -> None:
    """`python -m server.reference` changes nothing."""
    text = FIELDS.read_text(encoding="utf-8")
    assert with_tables(text, FIELDS) == text
