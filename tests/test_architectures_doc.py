"""docs/architectures.md says what is so."""

from __future__ import annotations

import re

from models.architectures import table
from server.reference import ARCHITECTURES, with_tables

TEXT = ARCHITECTURES.read_text(encoding="utf-8")


def test_the_table_is_the_codes() -> None:
    """Every row, in order."""
    assert with_tables(TEXT, ARCHITECTURES) == TEXT


def test_its_examples_name_architectures() -> None:
    """With options that they have."""
    calls = re.findall(r'table\.build\("([^"]+)", size=(\d+), channels=(\d)', TEXT)
    assert len(calls) == 3
    for name, size, channels in calls:
        assert int(size) >= table.find(name).smallest
        assert int(channels) in (1, 3)
