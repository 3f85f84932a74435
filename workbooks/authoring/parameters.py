"""Parameters: values a viewer sets, from a list, a range or freely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbooks.authoring.fields import Datatype
from workbooks.authoring.source import bucket
from workbooks.authoring.target import Target
from workbooks.authoring.xml import Element, element

SOURCE = "Parameters"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter with the value a workbook opens with: a list with `members`, a range with `between` (low, high,
    step).
    """

    caption: str
    datatype: Datatype
    value: str | float | int
    members: Sequence[str] = ()
    between: tuple[float, float, float] | None = None

    @property
    def reference(self) -> str:
        """How formulas and actions name it."""
        return f"[{SOURCE}].[{self.caption}]"

    def declared(self) -> Element:
        """The declaration, the same at the source and wherever it is used."""
        value = bucket(self.value, self.datatype)
        is_number = self.datatype in ("integer", "real")
        domain = "list" if self.members else "range" if self.between else "any"
        return element("column", {"caption": self.caption, "datatype": self.datatype, "name": f"[{self.caption}]",
                                  "param-domain-type": domain, "role": "measure", "value": value,
                                  "type": "quantitative" if is_number else "nominal"},
                       element("calculation", {"class": "tableau", "formula": value}), self._domain())

    def _domain(self) -> Element | None:
        if self.members:
            return element("members", None, *(element("member", {"value": bucket(member, self.datatype)})
                                              for member in self.members))
        if self.between:
            low, high, step = self.between
            return element("range", {"granularity": step, "max": high, "min": low})
        return None


def parameters_element(parameters: Sequence[Parameter], target: Target) -> Element:
    """The data source Tableau keeps parameters in."""
    return element("datasource", {"hasconnection": False, "inline": True, "name": SOURCE, "version": target.version},
                   element("aliases", {"enabled": "yes"}), *(one.declared() for one in parameters))


def dependencies(parameters: Sequence[Parameter]) -> Element | None:
    """What a sheet, a dashboard or a source says of the parameters it uses; nothing where it uses none."""
    if not parameters:
        return None
    return element("datasource-dependencies", {"datasource": SOURCE}, *(one.declared() for one in parameters))


def used_in(formulas: Sequence[str], parameters: Sequence[Parameter]) -> list[Parameter]:
    """Those that the formulas name."""
    return [one for one in parameters if any(one.reference in formula for formula in formulas)]
