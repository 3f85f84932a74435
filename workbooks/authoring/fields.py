"""Fields of a data source and the pills that are made of them.

A `Field` is a column of the extract, or a calculation; a `Pill` is a field as it stands on a shelf: as it is,
aggregated, or as a table calculation with its addressing. Tableau drops every pill in silence whose derivation or
instance name is not exactly as it would write them, so that names are made here only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from workbooks.authoring.names import bracketed

Datatype = Literal["string", "integer", "real", "boolean"]
Derivation = Literal["None", "Sum", "Avg", "Min", "Max", "Count", "User"]
Row = Mapping[str, Any]
Value = Callable[[Row, Mapping[str, Any]], Any]
"""What a calculated field is for a row, by the parameters' captions: how drawings know it without Tableau."""

_PREFIXES: dict[Derivation, str] = {"None": "none", "Sum": "sum", "Avg": "avg", "Min": "min", "Max": "max",
                                    "Count": "cnt", "User": "usr"}
_KEYS = {"nominal": "nk", "ordinal": "ok", "quantitative": "qk"}


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A column of the extract, or with a `formula` a calculated field.

    `name` is the column's name in the extract, of a calculated field Tableau's inner one; `caption` is what people
    read. `uses` names the fields a formula refers to; `is_script` says that it asks the analytics extension.
    """

    name: str
    datatype: Datatype
    caption: str = ""
    is_dimension: bool = True
    kind: str = ""
    number_format: str = ""
    formula: str = ""
    uses: tuple[str, ...] = ()
    is_script: bool = False
    value: Value | None = None

    @property
    def role(self) -> str:
        """Tableau's: dimension or measure."""
        return "dimension" if self.is_dimension else "measure"

    @property
    def type(self) -> str:
        """Tableau's: nominal, ordinal or quantitative."""
        if self.kind:
            return self.kind
        return "quantitative" if self.datatype in ("integer", "real") and not self.is_dimension else "nominal"

    @property
    def label(self) -> str:
        """What people read."""
        return self.caption or self.name

    def of(self, row: Row, parameters: Mapping[str, Any]) -> Any:
        """The field's value in a row."""
        return row.get(self.name) if self.value is None else self.value(row, parameters)


@dataclass(frozen=True, slots=True)
class Pill:
    """A field on a shelf. `along` is the dimension a table calculation is addressed along: one request for all rows.

    `is_discrete` makes headers of a number instead of an axis.
    """

    field: Field
    derivation: Derivation = "None"
    along: Field | None = None
    is_discrete: bool = False

    @property
    def type(self) -> str:
        """nominal, ordinal or quantitative, of the pill."""
        is_number = self.derivation in ("Sum", "Avg", "Count") or self.field.type == "quantitative"
        if not is_number:
            return self.field.type
        return "ordinal" if self.is_discrete else "quantitative"

    @property
    def is_measure(self) -> bool:
        """It makes an axis, not headers."""
        return self.type == "quantitative"

    @property
    def instance(self) -> str:
        """The instance's name: `[avg:confidence:qk]`."""
        ending = ":1" if self.along is not None else ""
        inner = f"{_PREFIXES[self.derivation]}:{self.field.name}:{_KEYS[self.type]}{ending}"
        return bracketed(inner)

    @property
    def label(self) -> str:
        """What the pill is called in a view."""
        word = {"Sum": "Sum of ", "Avg": "Avg. ", "Min": "Min. ", "Max": "Max. ", "Count": "Count of "}
        return word.get(self.derivation, "") + self.field.label


def dimension(field: Field) -> Pill:
    """The field as it is."""
    return Pill(field)


def measure(field: Field, derivation: Derivation = "Sum") -> Pill:
    """The field, aggregated."""
    return Pill(field, derivation)


def script(field: Field, along: Field) -> Pill:
    """A field that asks the analytics extension, addressed along one dimension."""
    return Pill(field, "User", along)
