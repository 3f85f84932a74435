"""Names of models, versions and aliases."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.names import name_fault, version_key


@pytest.mark.parametrize("name", ["digits", "手書き数字", "Größe 2", "कुत्ता", "می‌خواهم", "v1.2-rc", "a_b"])
def test_any_script_may_name_a_model(name: str) -> None:
    """Combining marks and joiners are part of spelling."""
    assert name_fault(name) is None


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\\b", "c:x", "a@b", "-x", " x", "x.", "x ", "nul",
                                  "COM1.txt", "a\x00b", "a\nb", "100%", "x" * 101])
def test_what_a_file_system_could_misread_is_refused(name: str) -> None:
    """Separators, dots at the ends, devices, control characters, and what argparse or ini files would misread."""
    assert name_fault(name)


@given(st.text(max_size=30))
def test_a_fine_name_is_one_step_below_its_folder(name: str) -> None:
    """On every system a name that is accepted leads exactly one folder down."""
    if name_fault(name) is None:
        for kind in (PurePosixPath, PureWindowsPath):
            assert (kind("root") / name).parts == ("root", name)


def test_versions_sort_as_people_count() -> None:
    """Numbers by value, also inside words; words before numbers."""
    assert sorted(["10", "9", "v10", "v9", "1.2", "beta"], key=version_key) == ["beta", "v9", "v10", "1.2", "9", "10"]
