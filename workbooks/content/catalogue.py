"""*Image catalogue*: what the pictures are, where they lie on the map, which are like the chosen one, which to look at.

It is made of any table that has a column of pictures; a sheet whose columns are missing is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from workbooks.authoring.actions import Action, OpenAddress, SetParameter
from workbooks.authoring.dashboard import Dashboard, Zone
from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.fields import Field, Pill, Row, dimension, measure
from workbooks.authoring.parameters import Parameter
from workbooks.authoring.sheet import Sheet
from workbooks.authoring.source import Source, Storage
from workbooks.authoring.table import Table
from workbooks.authoring.workbook import Workbook
from workbooks.content.calculated import is_chosen_model, is_picture, mark_size, needs_review
from workbooks.content.columns import class_colours, fields_of, without_clashes
from workbooks.gathering.classified import ADDRESSES, MODEL

NAME = "Image catalogue"
THRESHOLD = 0.9
MAP_SIZE, MAP_SIDE = (1120, 700), 48
"""Of the picture of the map, in pixels, with the proportions of its zone; and the side of each picture in it."""

_SEEN = "Image/map.png"


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    """What sheets are made of: both sources, the column of pictures, the filters and parameters."""

    pictures: Source
    similar: Source | None
    image: Field
    size: Field
    chosen: tuple[Field, ...]
    review: Field | None
    parameters: dict[str, Parameter]

    def pill(self, name: str) -> Pill:
        """A column as it is, or its mean where it is a measure."""
        one = self.pictures.fields[name]
        return dimension(one) if one.is_dimension else measure(one, "Avg")

    def has(self, *names: str) -> bool:
        """The table has these columns, and something in each."""
        return all(any(row.get(name) is not None for row in self.pictures.table.rows) for name in names)


def catalogue(table: Table, similar: Table, image: str, storage: Storage, *, seen: bytes | None = None,
              models: Sequence[str] = ()) -> Workbook:
    """The workbook of a table of pictures; `similar` may be empty, `seen` is a PNG of the map made of pictures.

    With `models` the column `Model` says of which each row is, and one of them is shown at a time; `seen` is the
    first's.

    Raises:
        AuthoringError: the table has no rows, or no label.
    """
    if not table.rows or "label" not in table.columns:
        raise AuthoringError(f"{table.name} needs rows and a column label: write it with `python run.py classify`.")
    parts = _parts(table, similar if similar.rows else None, image, storage, models)
    sheets = {name: sheet for name, sheet in _sheets(parts).items() if sheet is not None}
    dashboard = Dashboard(NAME, _zones(parts, sheets, has_picture=seen is not None))
    return Workbook(NAME, list(parts.parameters.values()), list(sheets.values()), [dashboard],
                    _actions(parts, sheets, dashboard), {} if seen is None else {_SEEN: seen})


def _parts(table: Table, similar: Table | None, image: str, storage: Storage, models: Sequence[str]) -> _Parts:
    parameters = {"Model": Parameter("Model", "string", models[0], members=models)} if models else {}
    shown = [row for row in table.rows if not models or row[MODEL] == models[0]]
    parameters |= {"Threshold": Parameter("Threshold", "real", THRESHOLD, between=(0, 1, 0.01)),
                   "Similar to": Parameter("Similar to", "string", _undecided(shown, image))}
    calculated = {"size": mark_size(image, parameters["Similar to"], NAME)}
    if models:
        calculated["chosen"] = is_chosen_model(parameters["Model"], NAME)
    if "confidence" in table.columns:
        calculated["review"] = needs_review(parameters["Threshold"], NAME)
    fields = without_clashes(fields_of(table) | {one.name: one for one in calculated.values()})
    made = {role: fields[one.name] for role, one in calculated.items()}
    pictures = Source(table, "Pictures", fields, storage, {"label": class_colours(table.column("label"))})
    return _Parts(pictures, _similar(similar, image, parameters, storage) if similar else None, fields[image],
                  made["size"], tuple(one for role, one in made.items() if role == "chosen"), made.get("review"),
                  parameters)


def _undecided(rows: Sequence[Row], image: str) -> str:
    """The picture a workbook opens with: the one whose label is least sure, which is where looking is worth most."""
    answered = [row for row in rows if row.get("label") is not None] or rows
    return str(min(answered, key=lambda row: row.get("confidence") or 1.0)[image])


def _similar(table: Table, image: str, parameters: dict[str, Parameter], storage: Storage) -> Source:
    fields = fields_of(table)
    calculated = [is_picture(image, parameters["Similar to"], "similar")]
    if "Model" in parameters:
        calculated.append(is_chosen_model(parameters["Model"], "similar"))
    colours = {"similar_label": class_colours(table.column("similar_label"))}
    return Source(table, "Similar pictures", fields | {one.name: one for one in calculated}, storage, colours)


def _sheets(parts: _Parts) -> dict[str, Sheet | None]:
    """Role -> sheet; None where its columns are missing."""
    base = Sheet("", parts.pictures, "Text", only=parts.chosen)
    counted, label = measure(parts.image, "Count"), parts.pill("label")
    number = replace(base, font_size=22)
    return {
        "map": _map(parts, base) if parts.has("map_x", "map_y") else None,
        "labels": replace(base, name="Labels", mark="Bar", rows=[label], cols=[counted], color=label, has_labels=True,
                          title="Pictures by label"),
        "similar": _similar_sheet(parts),
        "review": _review(parts, base),
        "thumbnails": _thumbnails(parts, base) if parts.has("thumbnail_url") else None,
        "count": replace(number, name="Count", text=[counted], title="Pictures"),
        "to review": None if parts.review is None else replace(
            number, name="To review", text=[counted], only=(*parts.chosen, parts.review), title="Need review"),
        "confidence": None if parts.review is None else replace(
            number, name="Mean confidence", text=[parts.pill("confidence")], title="Mean confidence"),
    }


def _map(parts: _Parts, base: Sheet) -> Sheet:
    """The scatter; addresses are on it so that a mark's menu can open them."""
    image, label = dimension(parts.image), parts.pill("label")
    further = [] if parts.review is None else [parts.pill("confidence")]
    addresses = [parts.pill(name) for name in ADDRESSES if parts.has(name)]
    return replace(base, name="Map", mark="Circle", cols=[parts.pill("map_x")], rows=[parts.pill("map_y")],
                   color=label, size=measure(parts.size, "Max"), detail=[image, *further, *addresses],
                   tooltip=[image, label, *further],
                   title="The map: pictures that are alike to the model lie together. Click one.")


def _review(parts: _Parts, base: Sheet) -> Sheet | None:
    if parts.review is None:
        return None
    image, confidence = dimension(parts.image), parts.pill("confidence")
    return replace(base, name="Needs review", mark="Bar", rows=[image, parts.pill("label")], cols=[confidence],
                   has_labels=True, is_list=True, only=(*parts.chosen, parts.review), widths=(("Label", 70),),
                   sort=(image, confidence, "ASC"), title="Needs review: below the threshold, or without an answer")


def _thumbnails(parts: _Parts, base: Sheet) -> Sheet:
    """Of what needs review: Tableau shows 500 pictures of a field at most."""
    label, further = parts.pill("label"), [] if parts.review is None else [parts.review]
    return replace(base, name="Thumbnails", mark="Circle", color=label, is_list=True,
                   rows=[parts.pill("thumbnail_url"), dimension(parts.image), label], only=(*parts.chosen, *further),
                   title="Thumbnail's menu: Image Role > URL, then these are pictures")


def _similar_sheet(parts: _Parts) -> Sheet | None:
    source = parts.similar
    if source is None:
        return None
    fields = source.fields
    only = [one for one in fields.values() if one.formula]
    return Sheet("Similar pictures", source, "Bar", only=only, cols=[measure(fields["likeness"], "Avg")],
                 has_labels=True,
                 rows=[dimension(fields[name]) for name in ("rank", "similar_path", "similar_label")],
                 widths=(("Rank", 40), ("Its Label", 70)), title="Most like the chosen picture")


def _zones(parts: _Parts, sheets: dict[str, Sheet], *, has_picture: bool) -> list[Zone]:
    controls = [Zone(620 + 190 * place, 0, 190, 60, parameter=one)
                for place, one in enumerate(reversed(parts.parameters.values()))]
    return [Zone(0, 0, 620, 44, text=NAME, size=18), *controls,
            Zone(0, 44, 620, 28, size=9, text="Classified by Pixfield. Choose a picture on the map: the list of"
                 " similar ones follows."),
            *_left(sheets), *_right(parts, sheets, has_picture=has_picture)]


def _left(sheets: dict[str, Sheet]) -> list[Zone]:
    """Numbers, the map, the labels."""
    numbers = [sheets[name] for name in ("count", "to review", "confidence") if name in sheets]
    width = 744 // len(numbers)
    top = 590 if "map" in sheets else 160
    return [*(Zone(width * place, 76, width, 84, sheet=sheet) for place, sheet in enumerate(numbers)),
            *([Zone(0, 160, 744, 430, sheet=sheets["map"])] if "map" in sheets else []),
            Zone(0, top, 744, 800 - top, sheet=sheets["labels"])]


def _right(parts: _Parts, sheets: dict[str, Sheet], *, has_picture: bool) -> list[Zone]:
    """The map as pictures, and both lists in the height that is left."""
    picture = [Zone(744, 76, 456, 24, text=f"The map as pictures{_of(parts)}"),
               Zone(744, 100, 456, 286, picture=_SEEN)] if has_picture else []
    top = 386 if has_picture else 76
    lists = [sheets[name] for name in ("similar", "review") if name in sheets]
    height = (800 - top) // max(1, len(lists))
    return picture + [Zone(744, top + place * height, 456, height, sheet=sheet) for place, sheet in enumerate(lists)]


def _of(parts: _Parts) -> str:
    """Whose they are: a picture does not follow the parameter."""
    model = parts.parameters.get("Model")
    return f", of {model.value}" if model and len(model.members) > 1 else ""


def _actions(parts: _Parts, sheets: dict[str, Sheet], dashboard: Dashboard) -> list[Action]:
    actions: list[Action] = [SetParameter(f"Similar to this ({sheets[name].name})", dashboard, sheets[name],
                                          dimension(parts.image), parts.parameters["Similar to"])
                             for name in ("map", "review") if name in sheets]
    if "map" in sheets:
        actions += [OpenAddress(caption, dashboard, sheets["map"], parts.pill(name))
                    for name, caption in zip(ADDRESSES, ("Open the picture", "Open what the model saw"), strict=True)
                    if parts.has(name)]
    if "similar" in sheets and parts.similar is not None:
        chosen = dimension(parts.similar.fields["similar_path"])
        actions.append(SetParameter("Similar to this (Similar pictures)", dashboard, sheets["similar"], chosen,
                                    parts.parameters["Similar to"]))
    return actions
