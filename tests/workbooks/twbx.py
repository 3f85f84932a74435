"""What is inside a packaged workbook."""

from __future__ import annotations

import zipfile
from pathlib import Path

from lxml import etree


def root_of(package: Path) -> etree._Element:
    """The workbook inside a package."""
    with zipfile.ZipFile(package) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".twb"))
        return etree.fromstring(archive.read(name))
