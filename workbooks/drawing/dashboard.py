"""A dashboard as an SVG: every zone at its place, every sheet drawn from its own rows."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from workbooks.authoring.dashboard import Dashboard, Zone
from workbooks.authoring.parameters import Parameter
from workbooks.authoring.workbook import Workbook
from workbooks.drawing.charts import Box, draw
from workbooks.drawing.svg import INK, LINE, MUTED, document, fitted, n, rect, text
from workbooks.drawing.view import marks, number

SAID = "A drawing from the same sheets and data, not a screenshot of Tableau"
_FOOT = 22


def drawing(workbook: Workbook, dashboard: Dashboard) -> str:
    """The dashboard as its parameters' first values show it."""
    values = {one.caption: one.value for one in workbook.parameters}
    parts = [rect(0, 0, dashboard.width, dashboard.height + _FOOT, "#f6f7f9")]
    for zone in dashboard.zones:
        parts += _zone(zone, values, workbook.pictures)
    parts.append(text(dashboard.width - 12, dashboard.height + 13, SAID, size=10, anchor="end"))
    return document(dashboard.width, dashboard.height + _FOOT, f"{dashboard.name}: {SAID.lower()}", parts)


def _zone(zone: Zone, values: Mapping[str, object], pictures: Mapping[str, bytes]) -> list[str]:
    box = Box(zone.x, zone.y, zone.width, zone.height).inside(4, 4, 4, 4)
    if zone.sheet is not None:
        frame = rect(box.x, box.y, box.width, box.height, "#ffffff", LINE, radius=4)
        return [frame, *draw(zone.sheet, marks(zone.sheet, values), box)]
    if zone.parameter is not None:
        return _control(zone.parameter, box)
    if zone.picture:
        return _picture(pictures[zone.picture], box)
    is_title = zone.size >= 16
    return [text(box.x + 8, box.y + box.height / 2 + zone.size * 0.4, fitted(zone.text, box.width, zone.size),
                 size=zone.size * 1.2, color=INK if is_title else MUTED, weight="600" if is_title else "")]


def _control(parameter: Parameter, box: Box) -> list[str]:
    value = parameter.value
    said = number(value, "") if isinstance(value, int | float) else str(value)
    return [text(box.x + 4, box.y + 13, parameter.caption),
            rect(box.x + 4, box.y + 20, box.width - 12, 24, "#ffffff", LINE, radius=3),
            text(box.x + 12, box.y + 36, fitted(said, box.width - 40), size=11, color=INK),
            *([text(box.x + box.width - 16, box.y + 36, "▾", size=10, anchor="end")] if parameter.members else [])]


def _picture(data: bytes, box: Box) -> list[str]:
    encoded = base64.b64encode(data).decode("ascii")
    return [(f'<image x="{n(box.x)}" y="{n(box.y)}" width="{n(box.width)}" height="{n(box.height)}"'
            f' preserveAspectRatio="xMinYMid meet" href="data:image/png;base64,{encoded}"/>')]
