"""What the columns of classified pictures are in Tableau: captions, roles, formats, colours.

A column is known by its name, the function's without `image_`; any other column of a user's own table is taken as it
is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from workbooks.authoring.fields import Datatype, Field
from workbooks.authoring.table import Table


class Known(NamedTuple):
    """A column's caption and number format; numbers are measures."""

    caption: str
    number_format: str = ""


SHARE, PLACE = "p0.0%", "n0.0"
KNOWN: Mapping[str, Known] = {
    "label": Known("Label"), "confidence": Known("Confidence", SHARE), "margin": Known("Margin", SHARE),
    "entropy": Known("Entropy", SHARE), "status": Known("Status"), "note": Known("Note"),
    "map_x": Known("Map X", PLACE), "map_y": Known("Map Y", PLACE), "cluster": Known("Cluster"),
    "nearest_label": Known("Nearest Label"), "outlier": Known("Outlier", SHARE), "focus_x": Known("Focus X", SHARE),
    "focus_y": Known("Focus Y", SHARE), "focus_area": Known("Focus Area", SHARE),
    "border_share": Known("Border Share", SHARE), "duplicate_group": Known("Duplicate Group"),
    "thumbnail_url": Known("Thumbnail"), "explanation_url": Known("Explanation"),
    "truth_probability": Known("Confidence in Truth", SHARE), "likeness": Known("Likeness", "n0.000"),
    "label_at": Known("Label at Rank"), "confidence_at": Known("Confidence at Rank", SHARE),
    "probability": Known("Probability", SHARE), "similarity": Known("Similarity", "n0.000"),
    "rank": Known("Rank"), "similar_path": Known("Similar Picture"), "similar_label": Known("Its Label"),
}
DISCRETE = ("rank",)
"""Numbers that are headers."""

COLOURS = ("#4e79a7", "#f28e2b", "#e15759", "#76b7b2", "#59a14f", "#edc948", "#b07aa1", "#ff9da7", "#9c755f", "#79706e")
"""One a class, in the order of their names; from the eleventh on Tableau chooses."""


def fields_of(table: Table, formats: Mapping[str, str] | None = None) -> dict[str, Field]:
    """A field a column, in the table's order; `formats` are those of further columns."""
    return {name: _field(name, datatype, (formats or {}).get(name, "")) for name, datatype in table.columns.items()}


def without_clashes(fields: Mapping[str, Field]) -> dict[str, Field]:
    """The fields, no two of which read the same: a column keeps its name alone, a calculation says what it is."""
    names = [name.casefold() for name, one in fields.items() if not one.formula]
    found = {}
    for name, one in fields.items():
        caption = one.caption.casefold()
        is_clash = bool(caption) and names.count(caption) > (caption == name.casefold())
        found[name] = replace(one, caption=f"{one.caption} (calculated)" if one.formula else "") if is_clash else one
    return found


def class_colours(labels: Iterable[str | None]) -> dict[str, str]:
    """Class -> colour, for the first classes by name."""
    names = sorted({label for label in labels if label is not None}, key=natural)
    return dict(zip(names, COLOURS, strict=False))


def natural(text: str) -> tuple[int, int, str]:
    """Whole numbers by their size, before texts."""
    return (0, int(text), text) if text.isascii() and text.isdigit() else (1, 0, text)


def _field(name: str, datatype: Datatype, number_format: str) -> Field:
    known = KNOWN.get(name, Known("", number_format))
    is_number = datatype in ("integer", "real") and name not in DISCRETE
    kind = "ordinal" if name in DISCRETE else ""
    return Field(name, datatype, known.caption, is_dimension=not is_number, kind=kind,
                 number_format=known.number_format if datatype == "real" else "")
