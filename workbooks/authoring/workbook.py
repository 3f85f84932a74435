"""A workbook: parameters, sources, sheets, dashboards and actions become one `.twb` for one of the two targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workbooks.authoring.actions import Action, actions_element
from workbooks.authoring.dashboard import Dashboard, dashboard_element
from workbooks.authoring.names import simple_uuid
from workbooks.authoring.parameters import Parameter, dependencies, parameters_element, used_in
from workbooks.authoring.sheet import Sheet, sheet_element
from workbooks.authoring.source import Source, source_element
from workbooks.authoring.target import Target
from workbooks.authoring.xml import Element, element, to_bytes


@dataclass(frozen=True, slots=True, eq=False)
class Workbook:
    """Everything of one workbook; the first dashboard is what it opens with. `pictures` are files of the package."""

    name: str
    parameters: Sequence[Parameter]
    sheets: Sequence[Sheet]
    dashboards: Sequence[Dashboard]
    actions: Sequence[Action] = ()
    pictures: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def sources(self) -> list[Source]:
        """The sources of its sheets, once each."""
        return list({sheet.source.name: sheet.source for sheet in self.sheets}.values())


def workbook_bytes(workbook: Workbook, target: Target) -> bytes:
    """The `.twb`."""
    body = [
        element("preferences", None, element("preference", {"name": "ui.encoding.shelf.height", "value": 24}),
                element("preference", {"name": "ui.shelf.height", "value": 26})),
        element("datasources", None, parameters_element(workbook.parameters, target),
                *(_source(source, workbook, target) for source in workbook.sources)),
        actions_element(workbook.actions),
        element("worksheets", None, *(sheet_element(sheet, workbook.parameters) for sheet in workbook.sheets)),
        element("dashboards", None, *map(dashboard_element, workbook.dashboards)),
        _windows(workbook),
        element("explain-data", {"enabled-for-viewer": True, "extreme-values-enabled-for-all": False},
                element("explanation-types")) if target.has_explain_data else None,
    ]
    occurring = {str(one.tag) for part in body if part is not None for one in part.iter()}
    manifest = element("document-format-change-manifest", None, *map(element, target.manifest(occurring)))
    return to_bytes(element("workbook", {"original-version": target.version, "source-build": target.build,
                                         "source-platform": "win", "version": target.version}, manifest, *body))


def _source(source: Source, workbook: Workbook, target: Target) -> Element:
    used = used_in([one.formula for one in source.fields.values()], workbook.parameters)
    return source_element(source, target, dependencies(used))


def _windows(workbook: Workbook) -> Element:
    """A window for each dashboard and sheet; the first dashboard's is in front. A dashboard's names all its sheets:
    without them Tableau refuses the workbook.
    """
    dashboards = [element("window", {"class": "dashboard", "name": one.name, "maximized": True if place == 0 else None},
                          _viewpoints(one), element("active", {"id": -1}), _id(one.name))
                  for place, one in enumerate(workbook.dashboards)]
    sheets = [element("window", {"class": "worksheet", "name": sheet.name}, _cards(), _id(sheet.name))
              for sheet in workbook.sheets]
    return element("windows", {"source-height": 30}, *dashboards, *sheets)


def _viewpoints(dashboard: Dashboard) -> Element:
    return element("viewpoints", None, *(element("viewpoint", {"name": sheet.name}, _zoom(sheet))
                                         for sheet in dashboard.sheets))


def _zoom(sheet: Sheet) -> Element:
    return element("zoom", {"type": "fit-width" if sheet.is_list else "entire-view"})


def _cards() -> Element:
    """The shelves Tableau shows around a sheet."""
    def strip(size: int, *kinds: str) -> Element:
        return element("strip", {"size": size}, *(element("card", {"type": kind}) for kind in kinds))

    wide = 2_147_483_647
    return element("cards", None,
                   element("edge", {"name": "left"}, strip(160, "pages", "filters", "marks")),
                   element("edge", {"name": "top"}, strip(wide, "columns"), strip(wide, "rows"), strip(31, "title")))


def _id(name: str) -> Element:
    return element("simple-id", {"uuid": simple_uuid("window", name)})
