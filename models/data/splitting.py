"""Which pictures are trained on, which choose and calibrate, and which judge: by content, so that none is on two sides.

The choice hangs on the seed and the contents alone: not on names, order, machine or a library's random generator.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.data.entries import TEST, TRAIN, VALIDATION
from models.data.labelled import Labelled
from models.errors import DataError

_NAMES = {TEST: "test", VALIDATION: "validation"}
_MOST = 0.8  # of the pictures may be held out together


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """Rows int64, ascending, of each part; `notes` are sentences about what could not be as asked."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]
    notes: tuple[str, ...] = ()


def split(
    data: Labelled, *, seed: int, validation: float = 0.1, test: float = 0.1, alike: Sequence[Hashable] | None = None
) -> Split:
    """Train, validation and test rows of `data`, of each class in the same proportion.

    Pictures of equal content, or of an equal key in `alike` (see `models.data.likeness`), are all in one part. An
    official test or validation part is taken as it is; its copies and what is like it are in no other part. To be
    comparable with published figures, leave `alike` out: of Fashion-MNIST it takes 1,600 of 60,000 from training.

    Args:
        data: what `models.data.loading.load` returned.
        seed: another seed, another split.
        validation: share of each class, 0 for none.
        test: share of each class, 0 for none.
        alike: one key a picture, None for a picture that is like no other.

    Raises:
        DataError: shares that cannot be, or a class with nothing to train on.
    """
    if not (0 <= validation < 1 and 0 <= test < 1 and validation + test <= _MOST):
        raise DataError(f"validation is {validation} and test {test}; expected shares from 0, together to {_MOST}.")
    groups = _groups(data.digests, alike)
    part = np.full(len(data), _OPEN, np.int8)
    notes = _official(data, groups, part)
    shares = {name: 0.0 if (part == name).any() else share for name, share in ((TEST, test), (VALIDATION, validation))}
    for label, members in _by_class(data, groups, part, seed).items():
        notes += _deal(data.labels[label], members, shares, part)
    train = np.flatnonzero(part == TRAIN)
    trained = set(data.classes[train].tolist())
    empty = [name for label, name in enumerate(data.labels) if label not in trained]
    if empty:
        raise DataError(f"{data.source}: nothing to train on in {', '.join(map(repr, empty[:10]))}; "
                        "expected pictures of every class outside the test part.")
    return Split(train, np.flatnonzero(part == VALIDATION), np.flatnonzero(part == TEST), tuple(notes))


_OPEN, _OUT = -1, -2
"""Values of a row's part beside the three: not yet dealt, and left out because a copy is in an official part."""

Group = NDArray[np.int64]
"""Rows that stay together, ascending."""


def _groups(digests: Sequence[str], alike: Sequence[Hashable] | None) -> list[Group]:
    """Rows connected by equal digests or equal keys, also by way of others."""
    leader: dict[Hashable, int] = {}
    parent = list(range(len(digests)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for row, digest in enumerate(digests):
        keys: list[Hashable] = [("content", digest)]
        if alike is not None and alike[row] is not None:
            keys.append(("alike", alike[row]))
        for key in keys:
            other = root(leader.setdefault(key, row))
            parent[root(row)] = other
    members: dict[int, list[int]] = defaultdict(list)
    for row in range(len(digests)):
        members[root(row)].append(row)
    return [np.array(rows, np.int64) for rows in members.values()]


def _official(data: Labelled, groups: Sequence[Group], part: NDArray[np.int8]) -> list[str]:
    """Write official parts into `part`; copies elsewhere are left out, the test part first. Returns notes."""
    if data.parts is None:
        return []
    left_out = 0
    for name in (VALIDATION, TEST):
        part[(data.parts == name)] = name
    for group in groups:
        strongest = next((name for name in (TEST, VALIDATION) if (part[group] == name).any()), None)
        if strongest is not None:
            copies = group[part[group] != strongest]
            part[copies] = _OUT
            left_out += len(copies)
    if not left_out:
        return []
    return [f"{left_out:,} pictures are left out because the official test or validation part has them, too"]


def _by_class(
    data: Labelled, groups: Sequence[Group], part: NDArray[np.int8], seed: int
) -> dict[int, list[Group]]:
    """Class -> its groups that may be dealt, in an order fixed by seed and content; a mixed group counts once.

    A group that holds all that is left of a class is trained on: written into `part` at once.
    """
    left = np.bincount(data.classes[part == _OPEN], minlength=len(data.labels))
    keyed: dict[int, list[tuple[str, Group]]] = defaultdict(list)
    for group in groups:
        if part[group[0]] != _OPEN:  # a group is open or settled as a whole
            continue
        votes = np.bincount(data.classes[group], minlength=len(data.labels))
        if len(group) > 1 and np.count_nonzero(votes) > 1 and (votes[votes > 0] == left[votes > 0]).any():
            part[group] = TRAIN
            continue
        content = min(data.digests[row] for row in group)
        keyed[int(votes.argmax())].append((hashlib.sha256(f"{seed} {content}".encode()).hexdigest(), group))
    return {
        label: [group for _, group in sorted(pairs, key=lambda pair: pair[0])] for label, pairs in sorted(keyed.items())
    }


def _deal(label: str, groups: list[Group], shares: dict[int, float], part: NDArray[np.int8]) -> list[str]:
    """Deal one class's groups: test, then validation, what is left to train on. Returns notes.

    Each part gets its share rounded, at least one group while there are enough: training comes first, then the test.
    """
    count = sum(map(len, groups))
    rest, notes = list(groups), []
    for name, share in shares.items():
        if not share:
            continue
        reserved = 1 + (name == TEST and shares[VALIDATION] > 0 and len(groups) > 2)
        dealt = _take(rest, quota=max(1, round(count * share)), reserved=reserved)
        if not dealt:
            notes.append(f"{label}: too few different pictures ({len(groups)}) for a {_NAMES[name]} part")
        for group in dealt:
            part[group] = name
    for group in rest:
        part[group] = TRAIN
    return notes


def _take(rest: list[Group], *, quota: int, reserved: int) -> list[Group]:
    """Remove from `rest`, in order, groups that fit into `quota` rows, but leave `reserved`; at least the smallest."""
    taken: list[Group] = []
    total = 0
    for group in list(rest):
        if total >= quota or len(rest) - len(taken) <= reserved:
            break
        if total + len(group) <= quota:
            taken.append(group)
            total += len(group)
    if not taken and len(rest) > reserved:
        taken = [min(rest, key=len)]
    places = {id(group) for group in taken}
    rest[:] = [group for group in rest if id(group) not in places]
    return taken
