"""What was tried, as rows that explain the choice: accuracy with its interval, size, speed and cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from models.interval import wilson

KINDS = ("baseline", "candidate", "search", "winner")
"""What a row is: without a network, one that was looked at on a subset, a recipe that was tried, what is served."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One attempt: right answers `correct` of `validated` validation pictures after training on `pictures`.

    `parameters` and `pictures_a_second` (in training) are None where there is no network.
    """

    name: str
    kind: str
    correct: int
    validated: int
    pictures: int
    seconds: float
    epochs: int = 0
    parameters: int | None = None
    pictures_a_second: float | None = None
    note: str = ""

    @property
    def accuracy(self) -> float:
        """The share 0..1 of validation pictures that were classed right."""
        return self.correct / self.validated

    def as_dict(self) -> dict[str, Any]:
        """The row as `model.json` has it."""
        low, high = wilson(self.correct, self.validated)
        rate = None if self.pictures_a_second is None else round(self.pictures_a_second, 1)
        return asdict(self) | {"accuracy": round(self.accuracy, 5), "low": round(low, 5), "high": round(high, 5),
                               "seconds": round(self.seconds, 1), "pictures_a_second": rate}


def as_text(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as a table of plain text, the best last."""
    shown = [("", "accuracy", "95 % interval", "pictures", "epochs", "parameters", "pictures/s", "seconds")]
    for row in rows:
        parameters = "" if row["parameters"] is None else f"{row['parameters']:,}"
        rate = "" if row["pictures_a_second"] is None else f"{row['pictures_a_second']:,.0f}"
        shown.append((row["name"], f"{row['accuracy']:.2%}", f"{row['low']:.2%} to {row['high']:.2%}",
                      f"{row['pictures']:,}", f"{row['epochs'] or ''}", parameters, rate, f"{row['seconds']:,.0f}"))
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *(text.rjust(width) for text, width in
                                                   zip(row[1:], widths[1:], strict=True))]).rstrip() for row in shown]
    return "\n".join(lines)
