"""What a click does: set a parameter, filter the other sheets, open an address."""

from __future__ import annotations

from dataclasses import dataclass

from workbooks.authoring.dashboard import Dashboard
from workbooks.authoring.fields import Pill
from workbooks.authoring.names import hexadecimal
from workbooks.authoring.parameters import Parameter
from workbooks.authoring.sheet import Sheet
from workbooks.authoring.xml import Element, element


@dataclass(frozen=True, slots=True, eq=False)
class SetParameter:
    """Choosing a mark of `sheet` gives the parameter the mark's value of `pill`; letting it go changes nothing."""

    caption: str
    dashboard: Dashboard
    sheet: Sheet
    pill: Pill
    parameter: Parameter


@dataclass(frozen=True, slots=True, eq=False)
class OpenAddress:
    """The menu of a mark of `sheet` opens the address in `pill`."""

    caption: str
    dashboard: Dashboard
    sheet: Sheet
    pill: Pill


Action = SetParameter | OpenAddress


def action_element(action: Action, number: int) -> Element:
    """The action; the schema wants those that open or filter before those that set."""
    name = f"[Action{number}_{hexadecimal('action', action.caption).upper()}]"
    source = element("source", {"dashboard": action.dashboard.name, "type": "sheet", "worksheet": action.sheet.name})
    if isinstance(action, OpenAddress):
        expression = f"<{action.pill.instance}~na>"
        return element("action", {"caption": action.caption, "name": name},
                       element("activation", {"type": "explicit"}), source,
                       element("link", {"caption": action.caption, "delimiter": ",", "escape": "\\",
                                        "expression": expression, "include-null": True, "multi-select": True,
                                        "url-escape": False}))
    parameters = {"source-field": action.sheet.source.reference(action.pill),
                  "target-parameter": action.parameter.reference}
    return element("edit-parameter-action", {"caption": action.caption, "name": name},
                   element("activation", {"type": "on-select"}), source, element("agg-type", {"type": "attr"}),
                   element("clear-option", {"type": "do-nothing", "value": "s:LROOT:"}),
                   element("params", None, *(element("param", {"name": key, "value": value})
                                             for key, value in parameters.items())))
