"""A benchmark's result: a small table of figures, and the promises with what they were measured against."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Promise:
    """A promised figure: `value` must be at most (or at least) `limit`."""

    text: str
    value: float
    limit: float
    is_floor: bool = False

    @property
    def is_kept(self) -> bool:
        """Whether the measured value keeps it."""
        return self.value >= self.limit if self.is_floor else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.is_floor else "<="
        verdict = "kept" if self.is_kept else "BROKEN"
        return f"{verdict}: {self.text}: {self.value:.3g} {sign} {self.limit:g}"


@dataclass(slots=True)
class Report:
    """Rows of figures and promises; `text` is Markdown."""

    title: str
    head: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)

    @property
    def is_kept(self) -> bool:
        """Whether every promise was kept."""
        return all(promise.is_kept for promise in self.promises)

    def text(self) -> str:
        """The table and the promises, with the machine named."""
        cells = [list(map(_cell, row)) for row in (self.head, *self.rows)]
        widths = [max(len(row[place]) for row in cells) for place in range(len(self.head))]
        lines = ["| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
                 for row in cells]
        lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
        promises = [f"- {promise}" for promise in self.promises]
        return "\n".join([f"### {self.title}", "", machine(), "", *lines, "", *promises, ""])


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def machine() -> str:
    """The machine in one line: processor, cores, system, Python."""
    return f"{_processor()}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
