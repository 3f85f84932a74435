"""Tags on pictures and regions, as labelling tools export them, to entries: one tag is one class."""

from __future__ import annotations

from collections.abc import Sequence

from models.data.class_names import label_fault, tidy
from models.data.entries import Box, Entry, Finds, Origin

BAD_SHAPES = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)
"""What reading JSON raises that is not of the shape its tool writes."""


def add_tagged(finds: Finds, name: str, tags: Sequence[str], origin: Origin, box: Box | None = None) -> None:
    """Add the picture or region under its one tag; a problem where it has none, or several."""
    labels = sorted({label for tag in tags if (label := tidy(tag))})
    if len(labels) != 1:
        said = f"has several tags ({', '.join(labels)}); one picture has one class here" if labels else "has no tag"
        finds.problem(name, "label", said)
        return
    fault = label_fault(labels[0])
    if fault:
        finds.problem(name, "label", fault)
    else:
        finds.entries.append(Entry(name, labels[0], origin, box))


def texts(tags: object) -> list[str]:
    """Names of tags: texts, or objects with a `name`, as projects converted from VoTT 1 have them."""
    if tags is None:
        return []
    if not isinstance(tags, list):
        raise TypeError("tags is no list")
    return [str(tag["name"]) if isinstance(tag, dict) else str(tag) for tag in tags]
