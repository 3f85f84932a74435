"""The same content under several labels: what most copies say is kept, a tie is left out, both are said."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from models.data.entries import Entry, Problem

_SHOWN = 4  # names in a problem's text


def without_conflicts(entries: Sequence[Entry], digests: Sequence[str]) -> tuple[list[int], list[Problem]]:
    """The rows to keep, in order, and one problem for each content that is there more than once.

    Copies of one content under one label are all kept; `models.data.splitting` keeps them on one side.
    """
    same: dict[str, list[int]] = defaultdict(list)
    for row, digest in enumerate(digests):
        same[digest].append(row)
    dropped: set[int] = set()
    problems = []
    for rows in same.values():
        if len(rows) < 2:
            continue
        votes = Counter(entries[row].label for row in rows).most_common()
        names = [entries[row].name for row in rows]
        if len(votes) == 1:
            problems.append(Problem(names[0], "duplicate", f"the same content as {_listed(names[1:])}"))
            continue
        winner = votes[0][0] if votes[0][1] > votes[1][1] else None
        dropped.update(row for row in rows if entries[row].label != winner)
        said = ", ".join(f"{label} ({count})" for label, count in votes)
        done = f"only {winner} is kept" if winner is not None else "all are left out"
        text = f"the same content as {_listed(names[1:])}, labelled {said}; {done}"
        problems.append(Problem(names[0], "conflict", text))
    return [row for row in range(len(entries)) if row not in dropped], problems


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
