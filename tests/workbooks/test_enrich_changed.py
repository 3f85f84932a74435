"""An INPUT that changes while it is read: nothing is written of it, and a sentence says so; and what else is said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from workbooks.enrich.answering import Asking
from workbooks.enrich.command_line import check_unchanged, opened, parser, source_of
from workbooks.enrich.enriching import Plan, enrich
from workbooks.enrich.errors import InputError
from workbooks.enrich.fields import chosen
from workbooks.enrich.journal import Journal
from workbooks.enrich.server_http import ServerHttp

COUNT = 12_000
FUNCTIONS = [{"name": f"image_{name}", "returns": "string", "required": ["paths"]} for name in ("label", "status")]


class Answering(ServerHttp):
    """A server whose every picture has a label; `first` happens when rows are asked for the first time."""

    first: Callable[[], object]
    label: str | None = "a"
    _lock = threading.Lock()

    def post(self, path: str, value: Any, **_: Any) -> Any:
        """Labels, from no network."""
        assert path == "/v1/classify"
        rows = len(value["paths"])
        with self._lock:
            if rows:
                self.first()
                self.first = lambda: None
        return {"model": "m", "version": "1", "columns": {"label": [self.label] * rows, "status": ["ok"] * rows}}


def run(table: Path, out: Path, meanwhile: Callable[[], object], label: str | None = "a") -> list[str]:
    """What `classify` says of the table, when `meanwhile` happens to it."""
    arguments = parser().parse_args([str(table), "--image-column", "path", "--out", str(out)])
    said: list[str] = []
    server = Answering("http://127.0.0.1:9")
    server.first, server.label = meanwhile, label
    with Journal(out) as journal:
        source = source_of(arguments)
        journal.prepare(source, is_afresh=False, say=said.append)
        found, _ = opened(arguments, journal)
        fields = chosen(["label"], FUNCTIONS, {})
        plan = Plan(found, 0, table.parent, fields, out, partial(check_unchanged, arguments, source))
        asking = Asking(server, fields, None, {})
        done = journal.begin(plan.job(source, asking.pin(), {}), say=said.append)
        enrich(plan, asking, journal, done=done, say=said.append)
    return said


def written(path: Path, rows: int = COUNT) -> Path:
    """A table with numbers."""
    path.write_text("path,n\n" + "".join(f"{number}.png,{number}\n" for number in range(rows)), encoding="utf-8")
    return path


def cut(path: Path) -> None:
    """Leave nine tenths of its bytes."""
    path.write_bytes(path.read_bytes()[:-path.stat().st_size // 10])


def add(path: Path, lines: str) -> None:
    """Write at its end."""
    with path.open("a", encoding="utf-8") as file:
        file.write(lines)


@pytest.mark.parametrize("out", ["out.csv", "out.parquet"])
@pytest.mark.parametrize("change", [
    cut, Path.unlink, partial(written, rows=10), partial(add, lines="x.png,1\n"), partial(add, lines="x.png,a text\n"),
    partial(add, lines="x,1,2,3\n")])
def test_a_table_that_changes_is_refused(tmp_path: Path, change: Callable[[Path], object], out: str) -> None:
    """Cut off, gone, shorter, longer, of another type, no CSV any more: OUT stays as it was."""
    table = written(tmp_path / "t.csv")
    (tmp_path / out).write_text("old")
    with pytest.raises(InputError, match=r"t\.csv has changed while it was read, so nothing is written: give the same"):
        run(table, tmp_path / out, partial(change, table))
    assert (tmp_path / out).read_text() == "old"
    written(table)
    said = run(table, tmp_path / out, lambda: None)
    assert said[0] == "What was begun before was of another table, or the table has changed: beginning afresh."
    assert (tmp_path / out).read_bytes() != b"old"


def test_a_table_that_has_other_rows_than_were_counted_is_refused(tmp_path: Path) -> None:
    """Also where the file system's time tells nothing."""
    table = written(tmp_path / "t.csv")
    arguments = parser().parse_args([str(table), "--image-column", "path", "--out", str(tmp_path / "out.csv")])
    with Journal(tmp_path / "out.csv") as journal:
        found, _ = opened(arguments, journal)
        add(table, "x.png,1\n")
        fields = chosen(["label"], FUNCTIONS, {})
        plan = Plan(found, 0, tmp_path, fields, tmp_path / "out.csv")
        server = Answering("http://127.0.0.1:9")
        server.first = lambda: None
        with pytest.raises(InputError, match="has 12,001 rows and had 12,000 before"):
            enrich(plan, Asking(server, fields, None, {}), journal, done=0, say=lambda _: None)
    assert not (tmp_path / "out.csv").exists()


def test_a_column_without_any_value_is_said(tmp_path: Path) -> None:
    """Where pictures have answers all the same."""
    said = run(written(tmp_path / "t.csv", 5), tmp_path / "out.csv", lambda: None, label=None)
    assert "The column label is empty in every row: --fields note may say why." in said
    assert not any("empty" in line for line in run(tmp_path / "t.csv", tmp_path / "out.csv", lambda: None))
