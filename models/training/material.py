"""A source of labelled pictures, read and dealt into what is trained on, what calibrates, and what judges."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.adding import read_labels
from models.data.balance import imbalance
from models.data.entries import Problem
from models.data.labelled import Labelled
from models.data.likeness import likeness_keys
from models.data.loading import load
from models.data.splitting import Split, split
from models.errors import DataError
from models.training.order import Order
from models.training.part import Part

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]

KEPT = "a part of the source"
"""What a card says of the test where no other source judged."""

TOGETHER = "in one part"
"""What a card says of near-duplicates where the parts were dealt with regard to them."""

_SHOWN = 5  # problems of a kind that are said in the terminal

_SHARE = 0.1  # of the pictures for validation, and for the test where there is no part or source for it
_ENOUGH = 5000  # pictures tell a temperature and an accuracy to half a per cent; more would be lost for training


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """The data and its rows in each part; `judge` is the data that `test` are rows of, `data` itself or another source.
    """

    data: Labelled
    train: Rows
    validation: Rows
    judge: Labelled
    test: Rows
    notes: tuple[str, ...]

    @property
    def training(self) -> Part:
        """What networks are trained on."""
        return part(self.data, self.train)

    @property
    def validating(self) -> Part:
        """What chooses and calibrates."""
        return part(self.data, self.validation)

    @property
    def judging(self) -> Part:
        """What is looked at once, at the end."""
        return part(self.judge, self.test)

    @property
    def is_dealt(self) -> bool:
        """Whether the test was dealt from the source by seed and content: no official one, none of its own."""
        return self.judge is self.data and self.data.parts is None

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was odd about the pictures."""
        return self.data.problems if self.judge is self.data else (*self.data.problems, *self.judge.problems)


def part(data: Labelled, rows: Rows) -> Part:
    """Those rows of the data as arrays."""
    return Part(data.pixels[rows], data.classes[rows])


def gather(order: Order, *, say: Callable[[str], None]) -> Material:
    """Read what `order` names and deal it; raises `DataError` for what cannot be trained on."""
    data = named(load(order.source, size=order.size, wishes=order.wishes), order.labels)
    say(data.summary())
    say(imbalance(data.counts()))
    tell(data.problems, say)
    if order.test is None:
        alike, problems = likeness_keys(data)
        tell(problems, say)
        data = replace(data, problems=(*data.problems, *problems))
        dealt = deal(data, seed=order.seed, alike=alike)
        material = Material(data, dealt.train, dealt.validation, data, dealt.test, dealt.notes)
    else:
        material = _with_judge(order, data)
    if not len(material.validation) or not len(material.test):
        raise DataError(f"{order.source}: too few pictures for a validation and a test part; add pictures to the"
                        " classes that have fewest.")
    for note in material.notes:
        say(note)
    return material


def tell(problems: Sequence[Problem], say: Callable[[str], None]) -> None:
    """Say the first problems of each kind, and how many more there are."""
    for kind, count in Counter(problem.kind for problem in problems).items():
        for problem in [problem for problem in problems if problem.kind == kind][:_SHOWN]:
            say(f"  {kind}: {problem}")
        if count > _SHOWN:
            say(f"  {kind}: {count - _SHOWN:,} more")


def deal(data: Labelled, *, seed: int, alike: Sequence[str | None] | None, test: float = _SHARE) -> Split:
    """The parts of a source; the same for the same source, seed and keys of `models.data.likeness`, so that a version
    can be judged again. Official parts stay as they are, near-duplicates or not: published figures are made so."""
    count = len(data) if data.parts is None else int((data.parts == 0).sum())
    return split(data, seed=seed, validation=min(_SHARE, _ENOUGH / max(count, 1)), test=test,
                 alike=alike if data.parts is None else None)


def named(data: Labelled, labels: str | None) -> Labelled:
    """The data with its classes called as asked; raises `DataError` for another number of names."""
    if labels is None:
        return data
    path = Path(labels)
    names = read_labels(path) if path.is_file() else tuple(name.strip() for name in labels.split(","))
    if len(names) != len(data.labels) or len(set(names)) < len(names) or not all(names):
        raise DataError(f"--labels names {len(names)} classes, {data.source} has {len(data.labels)}"
                        f" ({', '.join(data.labels[:10])}); expected one name for each, in that order.")
    return replace(data, labels=names)


def _with_judge(order: Order, data: Labelled) -> Material:
    """The test part is a source of its own; pictures that are in it are not trained on."""
    judge = named(load(order.test or "", size=data.size, channels=data.channels, wishes=order.wishes), order.labels)
    unknown = sorted(set(judge.labels) - set(data.labels))
    if unknown:
        raise DataError(f"{order.test}: has the class {unknown[0]!r}, which {order.source} does not have; expected the"
                        " same classes.")
    places = np.array([data.labels.index(label) for label in judge.labels], np.int64)
    judge = replace(judge, labels=data.labels, classes=places[judge.classes])
    dealt = deal(data, seed=order.seed, alike=None, test=0.0)
    known = set(judge.digests)
    kept = [np.array([row for row in rows if data.digests[row] not in known], np.int64)
            for rows in (dealt.train, dealt.validation)]
    left_out = len(dealt.train) + len(dealt.validation) - len(kept[0]) - len(kept[1])
    notes = (*dealt.notes, f"{left_out:,} pictures are left out because they are in {order.test}") if left_out \
        else dealt.notes
    return Material(data, kept[0], kept[1], judge, np.arange(len(judge)), notes)
