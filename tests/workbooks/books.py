"""Workbooks for the tests, written afresh: a data source, calculations, one sheet, in Tableau's own forms."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest

DS = "federated.0images0000000000000000000001"
TYPES = {
    "STR": ("string", "nominal"),
    "REAL": ("real", "quantitative"),
    "INT": ("integer", "quantitative"),
    "BOOL": ("boolean", "nominal"),
}
PARAMETERS = {
    "Parameter 1": ("Model", "string", '"digits"'),
    "Parameter 2": ("Threshold", "real", "0.9"),
    "Parameter 3": ("What", "string", '"label"'),
}


@dataclass(frozen=True, slots=True)
class Calc:
    """A calculated field; `returns` STR, REAL, INT or BOOL."""

    name: str
    formula: str
    returns: str = "STR"
    caption: str = ""
    default: str = "<table-calc ordering-type='Rows' />"

    @property
    def column(self) -> str:
        """The `<column>`, as the data source and the sheet have it."""
        datatype, kind = TYPES[self.returns]
        formula = quoteattr(self.formula).replace("\r", "&#13;").replace("\n", "&#10;")
        caption = f"caption={quoteattr(self.caption)} " if self.caption else ""
        return (
            f"<column {caption}datatype='{datatype}' name={quoteattr(f'[{self.name}]')} role='measure' "
            f"type='{kind}'><calculation class='tableau' formula={formula}>{self.default}</calculation></column>"
        )

    def instance(self, table_calc: str) -> tuple[str, str]:
        """The pill's name and its `<column-instance>`."""
        key = "qk" if self.returns in ("REAL", "INT") else "nk"
        name = f"usr:{self.name}:{key}:1"
        kind = TYPES[self.returns][1]
        return name, (
            f"<column-instance column={quoteattr(f'[{self.name}]')} derivation='User' "
            f"name={quoteattr(f'[{name}]')} pivot='key' type='{kind}'>{table_calc}</column-instance>"
        )


def along(*fields: str) -> str:
    """Specific Dimensions: one as Tableau 2026.1 writes it, several as a list."""
    if len(fields) == 1:
        return f"<table-calc ordering-field='[{DS}].[{fields[0]}]' ordering-type='Field' />"
    orders = "".join(f"<order field='[{DS}].[{name}]' />" for name in fields)
    return f"<table-calc ordering-type='Field'>{orders}</table-calc>"


CELL = "<table-calc ordering-type='CellInPane' />"


@dataclass(frozen=True, slots=True)
class Book:
    """One sheet `S` of calculations over columns of text."""

    calcs: Sequence[Calc]
    columns: Mapping[str, str] = field(default_factory=lambda: {"Image Path": "string"})
    rows: Sequence[str] = ("Image Path",)
    cols: Sequence[str] = ()
    detail: Sequence[str] = ()
    table_calc: str = along("Image Path")
    used: Sequence[str] | None = None
    version: str = "18.1"
    is_aggregated: bool = True
    filters: str = ""
    more: str = ""
    connection: str = (
        "<connection class='hyper' dbname='Data/Extracts/images.hyper' schema='Extract' "
        "tablename='Extract' username='' />"
    )

    def xml(self) -> str:
        """The `.twb`."""
        plain = "".join(
            f"<column caption='' datatype='{kind}' name={quoteattr(f'[{name}]')} role='dimension' type='nominal' />"
            for name, kind in self.columns.items()
        )
        calcs = "".join(calc.column for calc in self.calcs)
        used = [calc for calc in self.calcs if self.used is None or calc.name in self.used]
        pills = [calc.instance(self.table_calc) for calc in used]
        instances = "".join(text for _, text in pills)
        shelves = [*self.rows, *self.cols, *self.detail]
        instances += "".join(
            f"<column-instance column={quoteattr(f'[{name}]')} derivation='None' "
            f"name={quoteattr(f'[none:{name}:nk]')} pivot='key' type='nominal' />"
            for name in dict.fromkeys(shelves)
        )
        text = "".join(f"<text column={quoteattr(f'[{DS}].[{name}]')} />" for name, _ in pills)
        text += "".join(f"<lod column={quoteattr(f'[{DS}].[none:{name}:nk]')} />" for name in self.detail)
        sheet = (
            ""
            if not used and not shelves
            else f"""
  <worksheets><worksheet name='S'><table><view>
    <datasources><datasource caption='Images' name='{DS}' /></datasources>
    <datasource-dependencies datasource='{DS}'>{plain}{calcs}{instances}</datasource-dependencies>{self.filters}
    <aggregation value='{str(self.is_aggregated).lower()}' /></view><style /><panes><pane><view />
    <mark class='Text' /><encodings>{text}</encodings></pane></panes>
    <rows>{_shelf(self.rows)}</rows><cols>{_shelf(self.cols)}</cols></table></worksheet></worksheets>"""
        )
        parameters = "".join(
            f"<column caption='{caption}' datatype='{kind}' name='[{name}]' param-domain-type='any' role='measure' "
            f"type='nominal' value={quoteattr(value)}>"
            f"<calculation class='tableau' formula={quoteattr(value)} /></column>"
            for name, (caption, kind, value) in PARAMETERS.items()
        )
        return f"""<?xml version='1.0' encoding='utf-8' ?>
<workbook source-build='2024.2.0 (20242.24.0000.0000)' version='{self.version}'
          xmlns:user='http://www.tableausoftware.com/xml/user'>
  <datasources>
    <datasource hasconnection='false' inline='true' name='Parameters' version='18.1'>{parameters}</datasource>
    <datasource caption='Images' inline='true' name='{DS}' version='18.1'>
      <connection class='federated'><named-connections><named-connection caption='images' name='hyper.1'>
        {self.connection}</named-connection></named-connections>
        <relation connection='hyper.1' name='Extract' table='[Extract].[Extract]' type='table' /></connection>
      {plain}{calcs}
    </datasource>
  </datasources>{self.more}{sheet}
</workbook>"""

    def twb(self, folder: Path, name: str = "book.twb") -> Path:
        """Written as a bare workbook."""
        path = folder / name
        path.write_text(self.xml(), encoding="utf-8")
        return path

    def twbx(self, folder: Path, files: Mapping[str, Path | bytes], name: str = "book.twbx") -> Path:
        """Written as a package with these files beside the workbook."""
        path = folder / name
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("book.twb", self.xml())
            for member, content in files.items():
                archive.writestr(member, content if isinstance(content, bytes) else content.read_bytes())
        return path


def _shelf(names: Sequence[str]) -> str:
    pills = [f"[{DS}].[none:{name}:nk]".replace("&", "&amp;") for name in names]
    return "(" + " / ".join(pills) + ")" if len(pills) > 1 else "".join(pills)


def hyper(path: Path, rows: Mapping[str, Sequence[Any]]) -> Path:
    """A real extract of these columns."""
    import pandas as pd

    pantab = pytest.importorskip("pantab", reason="pip install -r requirements-tableau.txt")

    pantab.frame_to_hyper(pd.DataFrame(dict(rows)), path, table=("Extract", "Extract"))
    return path
