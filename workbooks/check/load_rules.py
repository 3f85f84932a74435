"""What makes Tableau refuse or quietly change a workbook although its XML is valid: rules met in opening files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from lxml import etree

from workbooks.check.elements import attribute, children, descendants, local, unbracketed
from workbooks.check.findings import Finding, finding
from workbooks.check.package import HYPER_START, Package
from workbooks.check.view import DIMENSIONAL
from workbooks.check.workbook import Workbook

DERIVATIONS = DIMENSIONAL | {"User", "Sum", "Avg", "Min", "Max", "Median", "Count", "CountD", "Attribute"}
_FILES = ("hyper", "dataengine")


def load_findings(root: etree._Element, workbook: Workbook, package: Package) -> Iterator[Finding]:
    """All rules over the whole file."""
    yield from _names(root)
    yield from _dashboards(root, workbook)
    yield from _pills(root, workbook)
    yield from _objects(root)
    yield from _files(root, package)
    yield from _version(root)


def _names(root: etree._Element) -> Iterator[Finding]:
    names = Counter(attribute(element, "name") for part in children(root, "worksheets", "dashboards")
                    for element in children(part, "worksheet", "dashboard"))
    for name, count in names.items():
        if count > 1:
            yield finding("name-twice", repr(name))


def _dashboards(root: etree._Element, workbook: Workbook) -> Iterator[Finding]:
    sheets = {sheet.name for sheet in workbook.sheets}
    windows = {attribute(window, "name"): window for part in children(root, "windows")
               for window in children(part, "window") if attribute(window, "class") == "dashboard"}
    for part in children(root, "dashboards"):
        for dashboard in children(part, "dashboard"):
            name = attribute(dashboard, "name")
            shown = dict.fromkeys(attribute(zone, "name") for zones in children(dashboard, "zones")
                                  for zone in descendants(zones, "zone") if zone.get("name"))
            yield from _window(name, list(shown), windows.get(name), sheets)
            yield from _size(name, dashboard)
            yield from _zones(name, dashboard)


def _window(name: str, shown: list[str], window: etree._Element | None, sheets: set[str]) -> Iterator[Finding]:
    where = repr(name)
    viewpoints = {attribute(viewpoint, "name") for viewpoint in descendants(window, "viewpoint")} \
        if window is not None else set()
    sheets_shown = [sheet for sheet in shown if sheet in sheets]
    if sheets_shown and not viewpoints:
        yield finding("window-missing", where)
    for sheet in shown:
        if sheet not in sheets and "[" not in sheet:
            yield finding("sheet-missing", where, sheet=sheet)
        elif viewpoints and sheet in sheets and sheet not in viewpoints:
            yield finding("viewpoint-missing", where, sheet=sheet)


def _size(name: str, dashboard: etree._Element) -> Iterator[Finding]:
    for size in children(dashboard, "size"):
        smallest = attribute(size, "minwidth"), attribute(size, "minheight")
        if attribute(size, "sizing-mode") == "fixed" and smallest != (attribute(size, "maxwidth"),
                                                                      attribute(size, "maxheight")):
            yield finding("size-not-fixed", repr(name))


def _zones(name: str, dashboard: etree._Element) -> Iterator[Finding]:
    for zones in children(dashboard, "zones"):
        ids = Counter(attribute(zone, "id") for zone in descendants(zones, "zone") if zone.get("id"))
        for number, count in ids.items():
            if count > 1:
                yield finding("zone-twice", repr(name), id=number)
        if any("zone-style" in [local(part) for part in zone if local(part)][:-1]
               for zone in descendants(zones, "zone")):
            yield finding("zone-style-order", repr(name))


def _pills(root: etree._Element, workbook: Workbook) -> Iterator[Finding]:
    for sheet in workbook.sheets:
        for pill in dict.fromkeys(sheet.on_shelves):
            if not pill.is_declared and pill.derivation:  # what Tableau generates has none
                yield finding("pill-undeclared", repr(sheet.name), pill=f"[{pill.name}]")
        for pill in sheet.pills.values():
            alike = [known for known in DERIVATIONS if known.casefold() == pill.derivation.casefold()]
            if alike and pill.derivation not in alike:  # there are more of them than are known here
                yield finding("derivation-unknown", repr(sheet.name), pill=f"[{pill.name}]",
                              derivation=pill.derivation, hint=alike[0])
    for element in descendants(root, "worksheet"):
        yield from _declarations(element, workbook)


def _declarations(sheet: etree._Element, workbook: Workbook) -> Iterator[Finding]:
    where = repr(attribute(sheet, "name"))
    for part in descendants(sheet, "datasource-dependencies"):
        source = workbook.datasources.get(attribute(part, "datasource"))
        declared = {attribute(column, "name"): column for column in children(part, "column", "group")}
        for instance in children(part, "column-instance"):
            column = attribute(instance, "column")
            if column not in declared and not column.startswith("[:"):
                yield finding("instance-column", where, pill=attribute(instance, "name"), column=column)
        for name, copy in declared.items():
            original = source.columns.get(unbracketed(name)) if source else None
            formula = next((part.get("formula") for part in children(copy, "calculation")), None)
            if original is not None and formula is not None and original.formula not in (None, formula):
                yield finding("copy-differs", where, field=f"[{original.shown}]")


def _objects(root: etree._Element) -> Iterator[Finding]:
    for part in children(root, "datasources"):
        for source in children(part, "datasource"):
            known = {attribute(item, "id") for item in descendants(source, "object")}
            named = {unbracketed((item.text or "").strip()) for item in descendants(source, "object-id")}
            for wrong in sorted(named - known - {""}) if known else ():
                yield finding("object-id", repr(attribute(source, "caption") or attribute(source, "name")), id=wrong)


def _files(root: etree._Element, package: Package) -> Iterator[Finding]:
    if not package.is_packaged:
        return
    for part in children(root, "datasources"):
        for connection in descendants(part, "connection"):
            kind = attribute(connection, "class")
            where = _owner(connection)
            path = attribute(connection, "dbname") if kind in _FILES else ""
            member = package.find(path) if path else None
            if path and member is None:
                yield finding("extract-missing", where, path=path)
            elif member and kind == "hyper" and package.start(member, len(HYPER_START)) != HYPER_START:
                yield finding("extract-damaged", where, path=path)
            folder, file = attribute(connection, "directory"), attribute(connection, "filename")
            if kind == "textscan" and file and not _has_extract(connection) \
                    and package.find(f"{folder}/{file}" if folder else file) is None:
                yield finding("csv-folder", where, folder=folder or "''")


def _has_extract(connection: etree._Element) -> bool:
    return any(any(True for _ in children(parent, "extract")) for parent in connection.iterancestors())


def _owner(element: etree._Element) -> str:
    for parent in element.iterancestors():
        if local(parent) == "datasource":
            return repr(attribute(parent, "caption") or attribute(parent, "name"))
    return repr("data source")


def _version(root: etree._Element) -> Iterator[Finding]:
    if any(True for _ in children(root, "repository-location")):
        yield finding("repository-location", "workbook")
    version = attribute(root, "version")
    major = version.partition(".")[0]
    has_manifest = any(True for _ in descendants(root, "ManifestByVersion"))
    if any(True for _ in children(root, "explain-data")) and major.isdecimal() and int(major) < 26 and not has_manifest:
        yield finding("explain-data", "workbook", version=version)
