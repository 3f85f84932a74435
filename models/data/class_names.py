"""Class names as people and file systems write them, made one spelling a class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from models.data.entries import Problem
from models.names import normal
from models.spec_fields import is_plain_text


def tidy(label: str) -> str:
    """`label` in Unicode's composed form (NFC), without blanks around and with single ones inside; "" for nothing.

    macOS writes folder names decomposed, tables have trailing blanks: both are the same class.
    """
    return " ".join(normal(label).split())


def label_fault(label: str) -> str | None:
    """Why a tidy `label` cannot be a class; None when it can."""
    if not label:
        return "has no label"
    return None if is_plain_text(label) else f"has the label {label!r}, which is not plain text"


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Each class once: by number where all are whole numbers ("2" before "10"), else by text."""
    distinct = set(labels)
    if all(label.isdecimal() for label in distinct):
        return tuple(sorted(distinct, key=lambda label: (int(label), label)))
    return tuple(sorted(distinct))


def confusable(labels: Iterable[str]) -> list[Problem]:
    """One problem for each set of classes whose names differ only in case; they stay apart."""
    alike: dict[str, list[str]] = defaultdict(list)
    for label in labels:
        alike[label.casefold()].append(label)
    return [
        Problem(" / ".join(names), "name", f"{len(names)} classes whose names differ only in case; "
                "they are kept apart: rename one if they are the same")
        for names in alike.values() if len(names) > 1
    ]
