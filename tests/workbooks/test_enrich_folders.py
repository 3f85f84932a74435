"""A folder as a table, with names that are allowed and odd."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from workbooks.enrich.picture_folder import folder_table
from workbooks.enrich.picture_texts import listed_texts


@pytest.mark.skipif(sys.platform == "win32", reason="no such name there")
def test_a_name_with_a_line_end_is_one_row(tmp_path: Path) -> None:
    """Whichever line end it is."""
    names = ["a\nb.png", "c\rd.png"]
    (tmp_path / "photos").mkdir()
    for name in names:
        (tmp_path / "photos" / name).touch()
    table = folder_table(tmp_path / "photos", tmp_path / "listing.csv", is_typed=False)
    assert [path for batch in table.batches(rows=9, skip=0) for path in batch.column(0).to_pylist()] == names


def test_a_listed_name_is_a_name() -> None:
    """Blanks in front, a colon and a slash at the folder's end: in a cell somebody else wrote they mean something."""
    assert listed_texts([" a.png", "C:b.png", None], Path("/photos")) == ["/photos/ a.png", "/photos/C:b.png", None]
    assert listed_texts([" a.png"], Path("/")) == ["/ a.png"]
    assert listed_texts([" a.png"], None) == [" a.png"]
