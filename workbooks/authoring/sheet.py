"""A worksheet: marks on shelves, filters, a sort, and the declarations of everything it uses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workbooks.authoring.fields import Field, Pill
from workbooks.authoring.names import simple_uuid
from workbooks.authoring.parameters import SOURCE as PARAMETERS
from workbooks.authoring.parameters import Parameter, dependencies, used_in
from workbooks.authoring.source import Source, column_element, instance_element
from workbooks.authoring.xml import Element, cdata, element, user

Mark = Literal["Text", "Circle", "Bar", "Square", "Line"]
INK, MUTED, MARK = "#1b1f24", "#5b6470", "#2563c9"


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """A view of one source. Pills on `rows` and `cols`; `only` are truth-value fields that must be true.

    `sort` is (dimension, measure, "ASC" or "DESC"); `widths` is the width in pixels of a header, by caption.
    `tooltip` is what a mark says, a line a pill; without it Tableau lists everything. A list has many rows: on a
    dashboard it fills the width and scrolls, where other sheets are fitted into their zone.
    """

    name: str
    source: Source
    mark: Mark
    rows: Sequence[Pill] = ()
    cols: Sequence[Pill] = ()
    color: Pill | None = None
    size: Pill | None = None
    text: Sequence[Pill] = ()
    detail: Sequence[Pill] = ()
    path: Pill | None = None
    only: Sequence[Field] = ()
    sort: tuple[Pill, Pill, Literal["ASC", "DESC"]] | None = None
    has_labels: bool = False
    is_list: bool = False
    font_size: int = 9
    tooltip: Sequence[Pill] = ()
    widths: tuple[tuple[str, int], ...] = ()
    title: str = ""

    @property
    def encodings(self) -> list[tuple[str, Pill]]:
        """(name of the encoding, pill), in the order Tableau writes them."""
        single = [("color", self.color), ("size", self.size)]
        return [*((name, pill) for name, pill in single if pill is not None),
                *(("text", pill) for pill in self.text), *(("lod", pill) for pill in self.detail),
                *([("path", self.path)] if self.path else [])]

    @property
    def pills(self) -> list[Pill]:
        """Every pill of the sheet, once."""
        sorting = list(self.sort[:2]) if self.sort else []
        every = [*self.rows, *self.cols, *(pill for _, pill in self.encodings), *map(Pill, self.only), *sorting]
        return list({pill.instance: pill for pill in every}.values())

    @property
    def fields(self) -> list[Field]:
        """Every field of the sheet, with those its calculations are made of."""
        found: dict[str, Field] = {}
        pending = [pill.field for pill in self.pills] + [pill.along for pill in self.pills if pill.along]
        while pending:
            one = pending.pop(0)
            if one.name not in found:
                found[one.name] = one
                pending += [self.source.fields[name] for name in one.uses]
        return list(found.values())

    def parameters(self, every: Sequence[Parameter]) -> list[Parameter]:
        """The parameters its calculations name."""
        return used_in([one.formula for one in self.fields], every)


def sheet_element(sheet: Sheet, every: Sequence[Parameter]) -> Element:
    """The worksheet."""
    source, parameters = sheet.source, sheet.parameters(every)
    used = [element("datasource", {"caption": source.caption, "name": source.name})]
    if parameters:
        used.append(element("datasource", {"name": PARAMETERS}))
    view = element(
        "view", None, element("datasources", None, *used), dependencies(parameters),
        element("datasource-dependencies", {"datasource": source.name}, *map(column_element, sheet.fields),
                *(instance_element(source, pill) for pill in sheet.pills)),
        *(_filter(source, one) for one in sheet.only), _sort(sheet), _slices(sheet),
        element("aggregation", {"value": True}))
    table = element("table", None, view, _style(sheet), element("panes", None, _pane(sheet)),
                    element("rows", text=shelf(source, sheet.rows) or None),
                    element("cols", text=shelf(source, sheet.cols) or None))
    return element("worksheet", {"name": sheet.name}, _title(sheet), table,
                   element("simple-id", {"uuid": simple_uuid("worksheet", sheet.name)}))


def shelf(source: Source, pills: Sequence[Pill]) -> str:
    """Headers nest (`a / (b / c)`), axes stand side by side (`a + b`), axes inside headers (`a * b`)."""
    headers = _joined([source.reference(pill) for pill in pills if not pill.is_measure], "/")
    axes = _joined([source.reference(pill) for pill in pills if pill.is_measure], "+")
    return f"({headers} * {axes})" if headers and axes else headers or axes


def _joined(references: Sequence[str], operator: str) -> str:
    if len(references) < 2:
        return "".join(references)
    return f"({references[0]} {operator} {_joined(references[1:], operator)})"


def _title(sheet: Sheet) -> Element | None:
    if not sheet.title:
        return None
    run = element("run", {"bold": True, "fontcolor": INK, "fontsize": 11}, text=sheet.title)
    return element("layout-options", None, element("title", None, element("formatted-text", None, run)))


def _filter(source: Source, one: Field) -> Element:
    """Keeps the rows for which the field is true."""
    pill = Pill(one)
    return element("filter", {"class": "categorical", "column": source.reference(pill)},
                   element("groupfilter", {"function": "member", "level": pill.instance, "member": "true",
                                           user("ui-domain"): "database", user("ui-enumeration"): "inclusive",
                                           user("ui-marker"): "enumerate"}))


def _sort(sheet: Sheet) -> Element | None:
    if sheet.sort is None:
        return None
    what, by, direction = sheet.sort
    return element("computed-sort", {"column": sheet.source.reference(what), "direction": direction,
                                     "using": sheet.source.reference(by)})


def _slices(sheet: Sheet) -> Element | None:
    if not sheet.only:
        return None
    return element("slices", None, *(element("column", text=sheet.source.reference(Pill(one))) for one in sheet.only))


def _style(sheet: Sheet) -> Element:
    widths = dict(sheet.widths)
    headers = [element("format", {"attr": "width", "field": sheet.source.reference(pill),
                                  "value": widths[pill.field.label]})
               for pill in sheet.rows if pill.field.label in widths]
    fonts = element("style-rule", {"element": "worksheet"},
                    element("format", {"attr": "font-size", "value": 9}),
                    element("format", {"attr": "color", "value": MUTED}))
    cells = element("style-rule", {"element": "cell"},
                    element("format", {"attr": "font-size", "value": sheet.font_size}),
                    element("format", {"attr": "color", "value": INK}))
    return element("style", None, fonts, cells,
                   element("style-rule", {"element": "header"}, *headers) if headers else None)


def _pane(sheet: Sheet) -> Element:
    encodings = [element(name, {"column": sheet.source.reference(pill)}) for name, pill in sheet.encodings]
    formats = [element("format", {"attr": "mark-labels-show", "value": sheet.has_labels})]
    if sheet.color is None and sheet.mark != "Text":
        formats.append(element("format", {"attr": "mark-color", "value": MARK}))
    return element("pane", {"selection-relaxation-option": "selection-relaxation-allow"},
                   element("view", None, element("breakdown", {"value": "auto"})),
                   element("mark", {"class": sheet.mark}),
                   element("encodings", None, *encodings) if encodings else None, _tooltip(sheet),
                   element("style", None, element("style-rule", {"element": "mark"}, *formats)))


def _tooltip(sheet: Sheet) -> Element | None:
    """Lines of a caption and a reference; Tableau breaks lines by a run of its own sign."""
    if not sheet.tooltip:
        return None
    runs: list[Element] = []
    for pill in sheet.tooltip:
        if runs:
            runs.append(element("run", text="\u00c6\n"))
        value = element("run", {"bold": True, "fontcolor": INK})
        value.text = cdata(f"<{sheet.source.reference(pill)}>")
        runs += [element("run", {"fontcolor": MUTED}, text=f"{pill.field.label}: "), value]
    return element("customized-tooltip", None, element("formatted-text", None, *runs))
