"""A file is read again when it has changed, and only then."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy import make_spec, write_toy

from models.errors import SpecError
from models.spec import SPEC_FILE, write_spec
from models.spec_memory import SpecMemory


def test_an_unchanged_file_is_read_once(tmp_path: Path) -> None:
    """The very same value comes back."""
    path = write_toy(tmp_path).folder / SPEC_FILE
    memory = SpecMemory()
    assert memory(path) is memory(path)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """Changed, removed, and back."""
    path = write_toy(tmp_path).folder / SPEC_FILE
    memory = SpecMemory()
    before = memory(path)
    after = write_spec(path, make_spec(labels=("a", "b", "other")))
    assert (memory(path).labels, memory(path).digest) == (("a", "b", "other"), after.digest)
    path.unlink()
    with pytest.raises(SpecError, match=r"model\.json: cannot be read"):
        memory(path)
    write_spec(path, before)
    assert memory(path).labels == before.labels
