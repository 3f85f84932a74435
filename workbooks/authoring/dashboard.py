"""A dashboard: zones at fixed places in pixels, flat under one layout, and a phone layout of the same sheets.

Tableau flattens nested rows in silence; zones that lie beside each other under one `layout-basic` stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from workbooks.authoring.names import simple_uuid
from workbooks.authoring.parameters import SOURCE as PARAMETERS
from workbooks.authoring.parameters import Parameter, dependencies
from workbooks.authoring.sheet import INK, MUTED, Sheet
from workbooks.authoring.xml import Element, element

WHOLE = 100_000
"""Zones are placed in hundred-thousandths of the dashboard."""

_ROOT, _PHONE_ROOT, _PHONE_FLOW, _FIRST = 2, 1000, 1001, 3


@dataclass(frozen=True, slots=True, eq=False)
class Zone:
    """Something at a place in pixels: a sheet, a line of text, a parameter's control, or a picture of the package."""

    x: int
    y: int
    width: int
    height: int
    sheet: Sheet | None = None
    text: str = ""
    size: Literal[9, 10, 11, 16, 18] = 10
    parameter: Parameter | None = None
    picture: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Dashboard:
    """Zones on a sheet of paper of a fixed size in pixels. No dashboard may have the name of a sheet."""

    name: str
    zones: Sequence[Zone]
    width: int = 1200
    height: int = 800

    @property
    def sheets(self) -> list[Sheet]:
        """The sheets in it, in the order of their zones."""
        return [zone.sheet for zone in self.zones if zone.sheet is not None]

    def number(self, sheet: Sheet) -> int:
        """The id of a sheet's zone, the same in every layout."""
        return next(number for number, zone in enumerate(self.zones, _FIRST) if zone.sheet is sheet)


def dashboard_element(dashboard: Dashboard) -> Element:
    """The dashboard."""
    parameters = [zone.parameter for zone in dashboard.zones if zone.parameter is not None]
    zones = [_zone(dashboard, zone, number) for number, zone in enumerate(dashboard.zones, _FIRST)]
    root = element("zone", {"h": WHOLE, "id": _ROOT, "type-v2": "layout-basic", "w": WHOLE, "x": 0, "y": 0},
                   *zones, _zone_style(8))
    size = {"maxheight": dashboard.height, "maxwidth": dashboard.width, "minheight": dashboard.height,
            "minwidth": dashboard.width, "sizing-mode": "fixed"}
    return element(
        "dashboard", {"name": dashboard.name}, element("style"), element("size", size),
        element("datasources", None, element("datasource", {"name": PARAMETERS})) if parameters else None,
        dependencies(parameters), element("zones", None, root), _phone(dashboard),
        element("simple-id", {"uuid": simple_uuid("dashboard", dashboard.name)}))


def _zone(dashboard: Dashboard, zone: Zone, number: int) -> Element:
    place: dict[str, object] = {
        "h": round(zone.height * WHOLE / dashboard.height), "w": round(zone.width * WHOLE / dashboard.width),
        "x": round(zone.x * WHOLE / dashboard.width), "y": round(zone.y * WHOLE / dashboard.height), "id": number}
    if zone.sheet is not None:
        return element("zone", place | {"name": zone.sheet.name}, _zone_style(4))
    if zone.parameter is not None:
        return element("zone", place | {"mode": "compact", "param": zone.parameter.reference, "type-v2": "paramctrl"},
                       _zone_style(4))
    if zone.picture:
        return element("zone", place | {"is-scaled": 1, "param": zone.picture, "type-v2": "bitmap"}, _zone_style(4))
    is_title = zone.size >= 16
    run = element("run", {"bold": True if is_title else None, "fontcolor": INK if is_title else MUTED,
                          "fontsize": zone.size}, text=zone.text)
    return element("zone", place | {"type-v2": "text"}, element("formatted-text", None, run), _zone_style(4))


def _zone_style(margin: int) -> Element:
    """Always the last child of a zone."""
    formats = {"border-color": "#000000", "border-style": "none", "border-width": 0, "margin": margin}
    return element("zone-style", None, *(element("format", {"attr": name, "value": value})
                                         for name, value in formats.items()))


def _phone(dashboard: Dashboard) -> Element:
    """The sheets below each other; without a phone layout sheets may be invisible."""
    sheets = [element("zone", {"fixed-size": 280, "h": 98_000 // max(1, len(dashboard.sheets)), "is-fixed": True,
                               "id": dashboard.number(sheet), "name": sheet.name, "w": 98_400, "x": 800,
                               "y": 1000 + place * (98_000 // len(dashboard.sheets))}, _zone_style(4))
              for place, sheet in enumerate(dashboard.sheets)]
    flow = element("zone", {"h": 98_000, "id": _PHONE_FLOW, "param": "vert", "type-v2": "layout-flow", "w": 98_400,
                            "x": 800, "y": 1000}, *sheets, _zone_style(4))
    root = element("zone", {"h": WHOLE, "id": _PHONE_ROOT, "type-v2": "layout-basic", "w": WHOLE, "x": 0, "y": 0},
                   flow, _zone_style(8))
    height = 300 * max(1, len(dashboard.sheets))
    return element("devicelayouts", None, element(
        "devicelayout", {"auto-generated": True, "name": "Phone"},
        element("size", {"maxheight": height, "minheight": height, "sizing-mode": "vscroll"}),
        element("zones", None, root)))
