"""What a click does: set a parameter, filter the other sheets, open an address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbooks.authoring.dashboard import Dashboard
from workbooks.authoring.fields import Pill
from workbooks.authoring.names import bracketed, hexadecimal, qualified
from workbooks.authoring.parameters import Parameter
from workbooks.authoring.sheet import Sheet
from workbooks.authoring.source import Source, column_element, instance_element
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


def actions_element(actions: Sequence[Action]) -> Element | None:
    """All actions: those that open, the declarations of what they open, those that set, as the schema wants them."""
    if not actions:
        return None
    opening = [action for action in actions if isinstance(action, OpenAddress)]
    setting = [action for action in actions if isinstance(action, SetParameter)]
    sources = {action.sheet.source.name: action.sheet.source for action in opening}
    ordered: list[Action] = [*opening, *setting]
    numbered = [action_element(action, number) for number, action in enumerate(ordered, 1)]
    return element(
        "actions", None, *numbered[:len(opening)],
        element("datasources", None, *(element("datasource", {"caption": one.caption, "name": name})
                                       for name, one in sources.items())) if opening else None,
        *(_dependencies(one, [action.pill for action in opening if action.sheet.source is one])
          for one in sources.values()),
        *numbered[len(opening):])


def _dependencies(source: Source, pills: Sequence[Pill]) -> Element:
    return element("datasource-dependencies", {"datasource": source.name},
                   *(column_element(pill.field) for pill in pills), *(instance_element(source, pill) for pill in pills))


def action_element(action: Action, number: int) -> Element:
    """One action."""
    name = f"[Action{number}_{hexadecimal('action', action.caption).upper()}]"
    source = element("source", {"dashboard": action.dashboard.name, "type": "sheet", "worksheet": action.sheet.name})
    if isinstance(action, OpenAddress):
        expression = f"<{qualified(action.sheet.source.name, bracketed(action.pill.field.name))}~na>"
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
