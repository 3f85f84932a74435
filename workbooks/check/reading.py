"""The XML tree becomes a `Workbook`: old and new forms alike, and whatever is missing is empty, never an error."""

from __future__ import annotations

import re

from lxml import etree

from workbooks.check.connections import extract_of, remote_names
from workbooks.check.elements import attribute, children, descendants, local, pairs, unbracketed
from workbooks.check.filters import read_filter
from workbooks.check.workbook import Column, Datasource, Pill, Sheet, TableCalc, TableScript, Workbook

_PREFIXES = {"none": "None", "usr": "User", "sum": "Sum", "avg": "Avg", "min": "Min", "max": "Max", "attr": "Attribute",
             "cnt": "Count", "ctd": "CountD", "med": "Median", "yr": "Year", "qr": "Quarter", "mn": "Month",
             "dy": "Day", "wk": "Week", "tyr": "Year-Trunc", "tqr": "Quarter-Trunc", "tmn": "Month-Trunc",
             "tdy": "Day-Trunc", "twk": "Week-Trunc", "io": "InOut"}


def read(root: etree._Element) -> Workbook:
    """What the tree says."""
    workbook = Workbook(attribute(root, "version"))
    for part in children(root, "datasources"):
        for element in children(part, "datasource"):
            source = workbook.datasources.setdefault(attribute(element, "name"), Datasource(
                attribute(element, "name"), attribute(element, "caption")))
            source.remote |= remote_names(element)
            _add_records(source, element)
            _add_columns(source, element)
            source.extract = extract_of(element) or source.extract
    for element in descendants(root, "worksheet"):
        if attribute(element, "name"):
            workbook.sheets.append(_sheet(element, workbook))
    workbook.table_scripts += [TableScript(_caption(element), element.text or "")
                               for element in descendants(root, "script-code")]
    return workbook


def _add_columns(source: Datasource, element: etree._Element) -> None:
    """What is declared; a copy in a sheet adds what the data source itself does not have."""
    for child in children(element, "column", "group"):
        name = unbracketed(attribute(child, "name"))
        found = _column(name, child)
        known = source.columns.get(name)
        if known is None or (known.formula is None and (found.formula is not None or not known.role)):
            source.columns[name] = found


def _add_records(source: Datasource, element: etree._Element) -> None:
    """Fields of the connection that nobody changed are not declared as columns."""
    for record in descendants(element, "metadata-record"):
        name = unbracketed(_text(record, "local-name"))
        if name and name not in source.columns:
            source.columns[name] = Column(name, "", _text(record, "local-type"))


def _text(element: etree._Element, name: str) -> str:
    found = next(children(element, name), None)
    return (found.text or "").strip() if found is not None else ""


def _column(name: str, element: etree._Element) -> Column:
    calculation = next(children(element, "calculation"), None)
    formula = table_calc = None
    is_special = local(element) == "group"
    if calculation is not None:
        formula = calculation.get("formula")
        is_special = is_special or formula is None or calculation.get("class") not in (None, "tableau")
        table_calc = next((_table_calc(child) for child in children(calculation, "table-calc")), None)
    return Column(name, attribute(element, "caption"), attribute(element, "datatype"), attribute(element, "role"),
                  attribute(element, "type"), None if formula is None else str(formula),
                  element.get("value"), table_calc, is_special)


def _table_calc(element: etree._Element) -> TableCalc:
    fields = [attribute(child, "field") for child in children(element, "order")]
    if element.get("ordering-field"):
        fields.insert(0, attribute(element, "ordering-field"))
    return TableCalc(attribute(element, "ordering-type"), tuple(fields), attribute(element, "field"),
                     attribute(element, "level-break"))


def _sheet(element: etree._Element, workbook: Workbook) -> Sheet:
    sheet = Sheet(attribute(element, "name"))
    for part in descendants(element, "datasource-dependencies"):
        name = attribute(part, "datasource")
        source = workbook.datasources.setdefault(name, Datasource(name, ""))
        _add_columns(source, part)
        for instance in children(part, "column-instance"):
            pill = _pill(name, instance)
            sheet.pills[name, pill.name] = pill
    sheet.datasources = [attribute(child, "name") for part in descendants(element, "datasources")
                         for child in children(part, "datasource")] or sorted({name for name, _ in sheet.pills})
    sheet.filters = [read_filter(child, pill) for child in descendants(element, "filter")
                     for pill in _pills(sheet, attribute(child, "column"))[:1]]
    sheet.is_aggregated = all(child.get("value") != "false" for child in descendants(element, "aggregation"))
    for shelf, target in (("rows", sheet.rows), ("cols", sheet.columns)):
        for child in descendants(element, shelf):
            target.extend(_pills(sheet, child.text or ""))
    for part in descendants(element, "encodings", "pages"):
        for child in part:
            sheet.marks += _pills(sheet, attribute(child, "column") or child.text or "")
    return sheet


def _pill(datasource: str, element: etree._Element) -> Pill:
    table_calcs = tuple(_table_calc(child) for child in children(element, "table-calc"))
    return Pill(datasource, unbracketed(attribute(element, "name")), unbracketed(attribute(element, "column")),
                attribute(element, "derivation"), table_calcs)


def _pills(sheet: Sheet, text: str) -> list[Pill]:
    return [sheet.pills.get(pair) or _guessed(*pair) for pair in pairs(text)]


def _guessed(datasource: str, name: str) -> Pill:
    """A pill that is not declared: `none:Image Path:nk` says itself what it is."""
    prefix, _, rest = name.partition(":")
    column = rest.rpartition(":")[0] or rest
    if prefix in _PREFIXES and column:
        return Pill(datasource, name, re.sub(r":(nk|ok|qk)$", "", column), _PREFIXES[prefix], (), is_declared=False)
    return Pill(datasource, name, name, "", (), is_declared=False)


def _caption(element: etree._Element) -> str:
    for parent in element.iterancestors():
        if parent.get("caption"):
            return str(parent.get("caption"))
    return "Table Extension"
