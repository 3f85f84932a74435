"""Tables that Tableau and Excel read, and a page that needs nothing but itself."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from measured import LABELS, SUBJECT, certain, drawn, measured

from models.errors import DataError
from models.evaluation.confusion_chart import heat_map, most_confused
from models.evaluation.evaluation import Evaluation, evaluate
from models.evaluation.files import DATA_FILE, PAGE_FILE, TABLES, contents, table, write
from models.evaluation.page import page

CARD: dict[str, Any] = {
    "title": "<i>どうぶつ</i>", "architecture": "resnet-20", "why": "it was best", "command": "run.py train 写真",
    "data": {"source": "写真", "trained_on": 4000},
    "leaderboard": [{"name": "linear probe", "kind": "baseline", "accuracy": 0.5, "low": 0.4, "high": 0.6,
                     "pictures": 900, "epochs": 0, "parameters": None, "seconds": 0.5, "note": ""}],
    "learning_curve": {"network": "residual", "exponent": 0.5, "scale": 2.0,
                       "points": [{"pictures": n, "error": 2 * n**-0.5, "validated": 100} for n in (500, 1000)]},
    "history": [{"number": n, "accuracy": 0.5 + n / 10, "validation_accuracy": 0.5 if n == 2 else None}
                for n in (1, 2, 3)],
    "problems": {"counts": {"unreadable": 3}, "first": ["壊れた.png: no picture"]},
}


class _Seen(HTMLParser):
    """Tags with their attributes, and whether each is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it, and remember that it is open."""
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closed at once."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """It must be the last that was opened."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """The text that is read."""
        self.text += data


def _rows(found: Evaluation, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table(found, name).decode("utf-8-sig"), newline="")))


def test_tables_have_a_row_a_mark() -> None:
    """Names as they are, also with commas, quotes and line breaks; counts that add up."""
    found = measured()
    assert sum(int(row["Pictures"]) for row in _rows(found, "confusion.csv")) == 400
    assert tuple(row["Class"] for row in _rows(found, "classes.csv")) == LABELS
    assert len(_rows(found, "mistakes.csv")) == found.wrong
    assert {row["Temperature"] for row in _rows(found, "reliability.csv")} == {"before", "after"}
    assert float(_rows(found, "coverage.csv")[-1]["Accuracy"]) == found.accuracy.value


def test_pandas_reads_every_table(tmp_path: Path) -> None:
    """As Tableau does: UTF-8 with its mark, numbers as numbers."""
    write(tmp_path / "結果 1", measured())
    for name, (head, _) in TABLES.items():
        frame = pd.read_csv(tmp_path / "結果 1" / name)
        assert tuple(frame.columns) == head
        assert (tmp_path / "結果 1" / name).read_bytes().startswith(b"\xef\xbb\xbf")
    classes = pd.read_csv(tmp_path / "結果 1" / "classes.csv")
    assert classes["F1 low"].dtype == np.float64


def test_what_was_not_counted_is_an_empty_cell() -> None:
    """Not 0 and not NaN: Tableau shows null."""
    row = _rows(certain([0, 1], [0, 1]), "classes.csv")[2]
    assert (row["Pictures"], row["Recall"], row["Recall low"], row["F1"]) == ("0", "", "", "")


def test_the_data_file_is_the_evaluation() -> None:
    """JSON in UTF-8 that is readable as it stands."""
    found = measured()
    data = contents(found)[DATA_FILE]
    assert "いぬ" in data.decode("utf-8")
    assert Evaluation.from_dict(json.loads(data)) == found


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    """A file stands where the folder should."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(DataError, match=r"taken cannot be written .*: name another folder"):
        write(tmp_path / "taken", measured())


def test_the_page_refers_to_nothing_outside() -> None:
    """No script, no link, no address but data; a policy in the page forbids them, too."""
    seen = _Seen(page(measured(), CARD))
    for tag, attributes in seen.tags:
        assert tag not in ("script", "iframe", "object", "embed", "base", "form", "a")
        for name in ("src", "href", "xlink:href", "srcset", "action"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert "url(" not in page(measured(), CARD)
    assert "@import" not in page(measured(), CARD)
    policy = next(attributes["content"] for tag, attributes in seen.tags if "http-equiv" in attributes)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def test_names_are_text_not_markup() -> None:
    """Labels, sources and titles come from strangers; every tag that is opened is closed."""
    seen = _Seen(page(measured(), CARD))
    assert not [tag for tag, _ in seen.tags if tag in ("i", "春")]
    assert "<b>cat</b>" in seen.text
    assert "<i>どうぶつ</i>" in seen.text
    assert seen.open == []


def test_the_page_shows_what_the_card_has() -> None:
    """Leaderboard, learning curve, history and problems where they are there, and none of it where not."""
    full, bare = page(measured(), CARD), page(measured())
    for text in ("linear probe", "Learning curve", "Course of the training", "壊れた.png", "resnet-20"):
        assert text in full
        assert text not in bare


@pytest.mark.parametrize("card", [
    {"leaderboard": "long", "learning_curve": 3, "history": [1, 2], "problems": [], "data": "digits"},
    {"leaderboard": [{}], "learning_curve": {}, "history": [{}, {}], "problems": {"counts": 2}},
    {"learning_curve": None, "history": [], "data": {"trained_on": None}},
])
def test_another_makers_card_is_no_error(card: dict[str, Any]) -> None:
    """What `about` says is free; what is not understood is left out."""
    assert "How it was chosen" not in page(measured(), card)


def test_the_heat_map_has_the_planted_counts() -> None:
    """Three pictures of a are called b; rows are truths."""
    drawing = heat_map(certain([0, 0, 1, 1, 1, 2], [0, 0, 0, 0, 0, 2]))
    assert "<title>a → b: 3 (60.0%)</title>" in drawing
    assert "<title>b → a: 0 (0.0%)</title>" in drawing
    assert re.findall(r'<text class="count[^>]*>(\d+)</text>', drawing) == ["2", "3", "1"]


def test_the_reliability_diagram_has_the_planted_values() -> None:
    """Ten pictures with a confidence of 0.9, seven of them right."""
    rows = np.tile([[0.9, 0.1]], (10, 1))
    text = page(evaluate(rows, np.array([0] * 7 + [1] * 3), ["a", "b"], subject=SUBJECT))
    assert text.count("confidence 90.0%, accuracy 70.0% (10 pictures)") == 2


def test_the_same_evaluation_is_the_same_page() -> None:
    """Byte for byte: no time, no chance."""
    assert contents(measured(), CARD) == contents(measured(), CARD)


def test_a_thousand_classes_stay_readable() -> None:
    """Pairs instead of a matrix, the worst classes drawn, all of them listed, in a page that opens at once."""
    labels = [f"n{number:04d} 種類" for number in range(1000)]
    true, classes = drawn(3000, 1000, sharpness=5.0)
    found = evaluate(true.astype(np.float32), classes, labels, subject=SUBJECT)
    text = page(found)
    assert heat_map(found) == ""
    assert all(pair.truth in text and pair.answer in text for pair in most_confused(found, 12))
    assert len(text) < 600_000
    assert len(_rows(found, "classes.csv")) == 1000


@pytest.mark.parametrize("labels", [["ok", "だめ"], [f"c{n}" for n in range(21)],
                                    [f"長い名前{n}" for n in range(60)]])
def test_every_size_of_matrix_has_all_its_names(labels: list[str]) -> None:
    """Two, twenty-one and sixty classes."""
    drawing = heat_map(measured(200, labels))
    assert drawing.count("<rect") == len(labels) ** 2
    assert all(drawing.count(f">{label}</text>") == 2 for label in labels)


@pytest.mark.parametrize("found", [certain([0, 1], [0, 1]), certain([1, 0], [0, 1]), certain([0], [0])],
                         ids=["perfect", "hopeless", "one picture"])
def test_the_ends_have_a_page(found: Evaluation) -> None:
    """Nothing wrong, nothing right, hardly anything there: numbers and no NaN."""
    text = page(found)
    assert not re.search(r"\bnan\b|\binf\b", text)


def test_a_browser_opens_it_without_complaint(tmp_path: Path) -> None:
    """Chromium: no message on the console, no request, no horizontal scrolling on a phone, in light and dark."""
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    browser = next((path for name in ("chromium", "chromium-browser", "google-chrome", "chrome")
                    if (path := shutil.which(name))), None)
    if browser is None:
        pytest.skip("there is no Chromium")
    write(tmp_path, measured(labels=[f"長い名前{n}" for n in range(30)]), CARD)
    said: list[str] = []
    with api.sync_playwright() as play, play.chromium.launch(executable_path=browser, args=["--no-sandbox"]) as chrome:
        for scheme in ("light", "dark"):
            view = chrome.new_page(color_scheme=scheme, viewport={"width": 390, "height": 800})
            view.on("console", lambda message: said.append(message.text))
            view.on("pageerror", lambda error: said.append(str(error)))
            view.on("request", lambda request: said.extend(
                [] if request.url.startswith(("data:", "file:")) else [request.url]))
            view.goto((tmp_path / PAGE_FILE).as_uri())
            assert view.evaluate("document.documentElement.scrollWidth") <= 390
            assert view.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert said == []
