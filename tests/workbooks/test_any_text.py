"""No formula, no script and no damaged file makes the check fall over: it answers, or refuses with a sentence."""

from __future__ import annotations

import contextlib
import random
import time
import zipfile
from pathlib import Path

import pytest
from books import Book, Calc
from forms import FORMS
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from signatures import DEPLOYED

from workbooks.check import script
from workbooks.check.arguments import Scope, unwrapped
from workbooks.check.calls import calls
from workbooks.check.command import Options, check
from workbooks.check.errors import UnreadableError
from workbooks.check.field_rules import field_findings
from workbooks.check.fields import fields
from workbooks.check.grammar import NotUnderstoodError, tree
from workbooks.check.package import Limits, opened
from workbooks.check.report import as_json, as_text
from workbooks.check.tokens import tokens
from workbooks.check.workbook import Column, Datasource, Workbook

PIECES = st.sampled_from(
    [
        "SCRIPT_STR(",
        "MODEL_EXTENSION_REAL(",
        '"',
        "'",
        "[",
        "]",
        "]]",
        "(",
        ")",
        "{",
        "}",
        ",",
        "//",
        "/*",
        "*/",
        "\n",
        "\r\n",
        "#",
        "ATTR([a])",
        "[Parameters].[p]",
        "tabpy.query('x', _arg1)",
        "['response']",
        "return ",
        "1.5",
        ".",
        "IF",
        "THEN",
        "END",
        "CASE",
        "WHEN",
        "\\",
        "日本",
        " ",
    ]
)
SOUP = st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join)


def written(text: str) -> str:
    """A text as Tableau writes it in double quotes."""
    return '"' + text.replace('"', '""') + '"'


@settings(max_examples=200)
@given(SOUP)
def test_any_formula_is_read(formula: str) -> None:
    """To the last token, and its calls are judged."""
    workbook = Workbook(
        "",
        {"d": Datasource("d", "", {"a": Column("a", "", "string"), "c": Column("c", "", "string", formula=formula)})},
    )
    words = tokens(formula)
    rest = formula
    for token in words.items:
        _, text, rest = rest.partition(token.text)
        assert text == token.text
    found = list(fields(workbook))
    assert len(found) == len(list(calls(words.items)))
    for one in found:
        assert all(said.text and said.remedy for said in field_findings(one, DEPLOYED))
    assert isinstance(unwrapped(words.items, Scope(workbook, "d")), list)
    with contextlib.suppress(NotUnderstoodError):
        tree(words.items)


@settings(max_examples=150)
@given(SOUP)
def test_any_script_is_read(text: str) -> None:
    """By Python's own parser, or with the reason why not."""
    found = script.read(text)
    assert not found.error or not found.queries


@settings(max_examples=100)
@given(st.text(), st.text(max_size=20))
def test_quotes_and_comments_come_back(text: str, comment: str) -> None:
    """What stands between quotes is the text, whatever it is; a comment is nothing."""
    line = comment.replace("\n", "").replace("\r", "")
    items = tokens(f"// {line}\nSCRIPT_STR({written(text)} /* {comment.replace('*/', '')} */, 'x''y')").items
    (call,) = calls(items)
    assert [[token.value for token in argument] for argument in call.arguments] == [[text], ["x'y"]]


def test_nothing_is_slow() -> None:
    """Thousands of openings in a row are read once, not once each."""
    workbook = Workbook("", {"d": Datasource("d", "")})
    start = time.perf_counter()
    for sign in ("(", "[", "{", "'", "''", "/*", "SCRIPT_STR(", "#", "IF ", "]", "MIN(", "MIN([a],", "{MAX("):
        words = tokens(sign * 6_000).items
        unwrapped(words, Scope(workbook, "d"))
        assert sum(1 for _ in calls(words)) in (0, 200)
    assert time.perf_counter() - start < 30  # 1 s; looking each up to the end would take minutes


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Sound workbooks of several shapes."""
    folder = tmp_path_factory.mktemp("books")
    found = [
        Book(
            [Calc(f"Calculation_{place}", form.formula) for place, form in enumerate(FORMS[start : start + 6])],
            columns={"Image Path": "string", "Group": "string"},
            detail=("Group",),
            version=version,
        )
        .xml()
        .encode()
        for start, version in enumerate(("18.1", "10.5", "9.0", "26.1"))
    ]
    packed = Book([Calc("Calculation_1", FORMS[0].formula)]).twbx(
        folder, {"Data/Extracts/images.hyper": b"no Hyper file"}
    )
    return [*found, packed.read_bytes()]


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_answered_or_refused(books: list[bytes], seed: int, tmp_path: Path) -> None:
    """Elements lost, moved, doubled, renamed, attributes emptied and exchanged; bytes flipped, cut and doubled."""
    dice = random.Random(seed)
    path = tmp_path / "book.twbx"
    answered = 0
    for _ in range(40):
        data = dice.choice(books)
        damage = damaged_bytes if data.startswith(b"PK") or dice.random() < 0.3 else damaged_tree
        for _ in range(dice.randint(1, 4)):
            data = damage(data, dice)
        if dice.random() < 0.3 and not data.startswith(b"PK"):
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("book.twb", data)
        else:
            path.write_bytes(data)
        answered += is_answered(path)
    assert answered > 15


def is_answered(path: Path) -> bool:
    """There is a report, in both forms; or a sentence that refuses."""
    try:
        with opened(path, Limits()) as package:
            report = check(package, Options())
    except UnreadableError:
        return False
    assert (as_json(report)["workbook"], as_text(report)[0].startswith("book.twbx")) == ("book.twbx", True)
    return True


def damaged_tree(data: bytes, dice: random.Random) -> bytes:
    """Well-formed XML with one thing wrong."""
    root = etree.fromstring(data)
    elements = [element for element in root.iter() if not isinstance(element, etree._Comment)][1:]
    if not elements:
        return data
    one, other = dice.choice(elements), dice.choice(elements)
    names = list(one.attrib)
    name = dice.choice(names) if names else "name"
    match dice.randrange(7):
        case 0 if (parent := one.getparent()) is not None:
            parent.remove(one)
        case 1:
            other.append(etree.fromstring(etree.tostring(one)))
        case 2:
            one.tag = dice.choice((other.tag, "_.fcp.New.true..." + other.tag, "unheard-of"))
        case 3:
            one.attrib.pop(name, "")
        case 4:
            one.set(name, dice.choice(("", "[", "[]", "[a].[b].[c]", "none:", "日本", "-1", "]" * 9, "[x]" * 999)))
        case 5:
            one.set(name, dice.choice([str(value) for value in other.attrib.values()] or [""]))
        case _:
            one.text = dice.choice(("", "[a].[none:b:nk]", "(" * 99, other.text or ""))
    return etree.tostring(root, encoding="utf-8")


def damaged_bytes(data: bytes, dice: random.Random) -> bytes:
    """One place overwritten, cut or doubled."""
    place = dice.randrange(len(data) or 1)
    end = min(len(data), place + dice.randint(1, 60))
    replaced = data[:place] + bytes([dice.randrange(256)]) + data[place + 1 :]
    return dice.choice((replaced, data[:place] + data[end:], data[:end] + data[place:]))
