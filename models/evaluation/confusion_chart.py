"""The confusion matrix as a heat map for up to sixty classes; of more, only pairs can be read."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from models.evaluation.chart import columns, drawing, shortened
from models.evaluation.evaluation import Evaluation
from models.evaluation.per_class import matrix

MOST_CLASSES = 60
"""More make cells that cannot be read."""

_NUMBERED = 20  # classes up to which a cell has its count in it
_LABEL_COLUMNS = 16
_COLUMN_WIDTH = 6.6  # pixels of one column of a label at 12 px
_LIFT = 0.6  # power of the shares: a confusion of 1 per cent must be seen beside one of 30


@dataclass(frozen=True, slots=True)
class Pair:
    """Pictures of `truth` that are called `answer`, and their share of all pictures of `truth`."""

    truth: str
    answer: str
    pictures: int
    share: float


def most_confused(found: Evaluation, most: int = 15) -> list[Pair]:
    """The wrong pairs with most pictures, by falling count, then in the order of the labels."""
    wrong = sorted((cell for cell in found.confusion if cell[0] != cell[1]), key=lambda cell: -cell[2])
    return [Pair(found.labels[truth], found.labels[answer], count, count / found.classes[truth].pictures)
            for truth, answer, count in wrong[:most]]


def heat_map(found: Evaluation) -> str:
    """Rows are truths, columns answers; colour is the share of the row, right ones in another colour. Empty above
    `MOST_CLASSES`."""
    classes = len(found.labels)
    if classes > MOST_CLASSES:
        return ""
    names = [shortened(label, _LABEL_COLUMNS) for label in found.labels]
    cell = 44.0 if classes <= 10 else 32.0 if classes <= _NUMBERED else 13.0
    left = 34 + max(map(columns, names)) * _COLUMN_WIDTH
    is_slanted = max(map(columns, names)) * _COLUMN_WIDTH > cell - 4
    top = 30 + (max(map(columns, names)) * _COLUMN_WIDTH * (0.75 if classes <= _NUMBERED else 1.0) if is_slanted
                else 14)
    angle = -45 if classes <= _NUMBERED else -90  # narrow columns have no room for a slant
    parts = [*_cells(found, matrix(found.confusion, classes), left, top, cell)]
    for place, name in enumerate(names):
        middle = (place + 0.5) * cell
        parts.append(f'<text class="tick end" x="{left - 6:.1f}" y="{top + middle + 4:.1f}">{escape(name)}</text>')
        x = left + middle + (4 if angle == -90 and is_slanted else 0)  # half a letter: its line is then the middle
        turn = f' transform="rotate({angle} {x:.1f} {top - 7:.1f})"' if is_slanted else ""
        parts.append(f'<text class="tick {"start" if is_slanted else "mid"}" x="{x:.1f}" y="{top - 7:.1f}"'
                     f'{turn}>{escape(name)}</text>')
    side = classes * cell
    slack = max(columns(names[-1]) * _COLUMN_WIDTH * 0.75 - cell / 2, 0) if is_slanted and angle == -45 else 0.0
    parts.append(f'<text class="axis mid" x="{left + side / 2:.1f}" y="13">answer</text>')
    parts.append(f'<text class="axis mid" transform="translate(12 {top + side / 2:.1f}) rotate(-90)">truth</text>')
    return drawing("Confusion matrix", left + side + 4 + slack, top + side + 4, parts)


def _cells(found: Evaluation, full: NDArray[np.int64], left: float, top: float, cell: float) -> list[str]:
    parts = []
    totals = full.sum(axis=1)
    for (truth, answer), count in np.ndenumerate(full):
        x, y = left + answer * cell, top + truth * cell
        share = count / totals[truth] if totals[truth] else 0.0
        style = "empty" if not count else "right" if truth == answer else "wrong"
        said = f"{found.labels[truth]} → {found.labels[answer]}: {count:,} ({share:.1%})"
        depth = f' fill-opacity="{0.14 + 0.86 * share**_LIFT:.3f}"' if count else ""
        parts.append(f'<rect class="cell {style}" x="{x:.1f}" y="{y:.1f}" width="{cell - 1:.1f}"'
                     f' height="{cell - 1:.1f}"{depth}><title>{escape(said)}</title></rect>')
        if count and len(full) <= _NUMBERED:
            tone = "count deep" if share**_LIFT > 0.55 else "count"
            parts.append(f'<text class="{tone}" x="{x + cell / 2:.1f}" y="{y + cell / 2 + 4:.1f}">{count}</text>')
    return parts
