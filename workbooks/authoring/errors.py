"""What can go wrong while a workbook is built; the text is one sentence that says what to do next."""

from __future__ import annotations


class AuthoringError(Exception):
    """A workbook cannot be built; the text says why and what to do."""
