"""A data source of a workbook: a table, its fields, and how Tableau is told about both.

Tableau wants five linked pieces of it: the connection with its relation, metadata records, columns, the object graph,
and a column that stands for the table; each record and the graph name the same object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from workbooks.authoring.fields import Datatype, Field, Pill
from workbooks.authoring.hyper import SCHEMA
from workbooks.authoring.hyper import TABLE as EXTRACT
from workbooks.authoring.names import bracketed, hexadecimal, qualified
from workbooks.authoring.table import Table
from workbooks.authoring.target import Target
from workbooks.authoring.xml import Element, element

Storage = Literal["hyper", "csv"]
"""How the table lies in the package: as a Hyper extract, with its CSV twin beside it, or as the CSV alone."""

_REMOTE_TYPES: Mapping[Datatype, int] = {"string": 129, "real": 5, "integer": 20, "boolean": 11}
_OBJECT_COLUMN = "[__tableau_internal_object_id__]"


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """A table with the fields on it: one a column, in its order, then calculations.

    `colours` gives the members of a field colours that are the same in every sheet; `hidden` columns are not shown.
    """

    table: Table
    caption: str
    fields: Mapping[str, Field]
    storage: Storage = "hyper"
    colours: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name references carry: `federated.` and digits."""
        return f"federated.{hexadecimal('source', self.table.name, digits=28)}"

    @property
    def connection(self) -> str:
        """The connection's name."""
        kind = "hyper" if self.storage == "hyper" else "textscan"
        return f"{kind}.{hexadecimal('connection', self.table.name, digits=28)}"

    @property
    def object_id(self) -> str:
        """What binds records, graph and table column together."""
        return f"{EXTRACT}_{hexadecimal('object', self.table.name).upper()}"

    @property
    def file(self) -> str:
        """Where the table lies in the package. Tableau looks for a text file flat at its root."""
        return f"Data/Extracts/{self.table.name}.hyper" if self.storage == "hyper" else f"{self.table.name}.csv"

    def reference(self, pill: Pill) -> str:
        """The pill as shelves and encodings name it."""
        return qualified(self.name, pill.instance)

    def by_caption(self, caption: str) -> Field:
        """The field people know by that caption."""
        return next(one for one in self.fields.values() if one.label == caption)


def column_element(one: Field) -> Element:
    """The field's declaration, the same at the source and in each sheet that uses it."""
    calculation = None
    if one.formula:
        addressing = element("table-calc", {"ordering-type": "Rows"}) if one.is_script else None
        calculation = element("calculation", {"class": "tableau", "formula": one.formula}, addressing)
    return element("column", {"caption": one.caption or None, "datatype": one.datatype, "name": bracketed(one.name),
                              "default-format": one.number_format or None, "role": one.role, "type": one.type},
                   calculation)


def instance_element(source: Source, pill: Pill) -> Element:
    """The pill's declaration; a table calculation's has its addressing, without which Tableau may ask once a mark."""
    addressing = None
    if pill.along is not None:
        along = qualified(source.name, bracketed(pill.along.name))
        addressing = element("table-calc", {"ordering-field": along, "ordering-type": "Field"})
    return element("column-instance", {"column": bracketed(pill.field.name), "derivation": pill.derivation,
                                       "name": pill.instance, "pivot": "key", "type": pill.type}, addressing)


def source_element(source: Source, target: Target, parameters: Element | None) -> Element:
    """The whole data source; `parameters` are the declarations of those its calculations use."""
    coloured = [Pill(source.fields[name]) for name in source.colours]
    return element(
        "datasource", {"caption": source.caption, "inline": True, "name": source.name, "version": target.version},
        _connection(source),
        element("aliases", {"enabled": "yes"}),
        *(column_element(one) for one in source.fields.values()),
        element("column", {"caption": source.caption, "datatype": "table", "role": "measure", "type": "quantitative",
                           "name": f"{_OBJECT_COLUMN}.{bracketed(source.object_id)}"}),
        *(instance_element(source, pill) for pill in coloured),
        element("layout", {"dim-ordering": "alphabetic", "measure-ordering": "alphabetic", "show-structure": True}),
        _colours(source, coloured) if coloured else None,
        parameters,
        element("object-graph", None, element("objects", None, element(
            "object", {"caption": source.caption, "id": source.object_id},
            element("properties", {"context": ""}, _relation(source))))),
    )


def _connection(source: Source) -> Element:
    if source.storage == "hyper":
        inner = element("connection", {"authentication": "auth-none", "author-locale": "en_US", "class": "hyper",
                                       "dbname": source.file, "default-settings": "yes", "schema": SCHEMA,
                                       "sslmode": "", "tablename": EXTRACT, "username": ""})
    else:
        inner = element("connection", {"class": "textscan", "directory": ".", "filename": source.file, "password": "",
                                       "server": ""})
    return element(
        "connection", {"class": "federated"},
        element("named-connections", None,
                element("named-connection", {"caption": source.table.name, "name": source.connection}, inner)),
        _relation(source),
        element("metadata-records", None, *(_record(source, name, number, datatype) for number, (name, datatype)
                                            in enumerate(source.table.columns.items()))))


def _relation(source: Source) -> Element:
    """The table as the connection knows it; of a text file with its columns."""
    if source.storage == "hyper":
        return element("relation", {"connection": source.connection, "name": EXTRACT, "type": "table",
                                    "table": f"[{SCHEMA}].[{EXTRACT}]"})
    columns = [element("column", {"datatype": datatype, "name": name, "ordinal": number})
               for number, (name, datatype) in enumerate(source.table.columns.items())]
    return element("relation", {"connection": source.connection, "name": source.file, "type": "table",
                                "table": f"[{source.table.name}#csv]"},
                   element("columns", {"character-set": "UTF-8", "header": "yes", "locale": "en_US", "separator": ","},
                           *columns))


def _record(source: Source, name: str, number: int, datatype: Datatype) -> Element:
    parent = EXTRACT if source.storage == "hyper" else source.file
    parts = {"remote-name": name, "remote-type": _REMOTE_TYPES[datatype], "local-name": bracketed(name),
             "parent-name": bracketed(parent), "remote-alias": name, "ordinal": number, "local-type": datatype,
             "aggregation": "Sum" if datatype in ("real", "integer") else "Count", "contains-null": "true",
             "object-id": bracketed(source.object_id)}
    return element("metadata-record", {"class": "column"},
                   *(element(tag, text=str(text)) for tag, text in parts.items()))


def _colours(source: Source, pills: list[Pill]) -> Element:
    encodings = []
    for pill in pills:
        maps = [element("map", {"to": colour}, element("bucket", text=bucket(member, pill.field.datatype)))
                for member, colour in source.colours[pill.field.name].items()]
        encodings.append(element("encoding", {"attr": "color", "field": pill.instance, "type": "palette"}, *maps))
    return element("style", None, element("style-rule", {"element": "mark"}, *encodings))


def bucket(member: object, datatype: Datatype) -> str:
    """A member as filters, palettes and parameters spell it: text in quotation marks, the rest as it is."""
    if datatype == "string":
        return '"' + str(member).replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(member).lower() if isinstance(member, bool) else str(member)
