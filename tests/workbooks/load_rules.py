"""What Tableau demands of a workbook beyond its schema: each rule is a load that failed, or a pill that vanished.

Written for any workbook of ours from its XML alone; it shares nothing with the writer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from lxml import etree

Root = etree._Element
_REFERENCE = re.compile(r"\[(federated\.[0-9a-z]+)\]\.(\[(?:[^\]]|\]\])+\])")
_DERIVATIONS = {"None": "none", "Sum": "sum", "Avg": "avg", "Min": "min", "Max": "max", "Count": "cnt", "User": "usr"}
_TYPES = {"nominal": "nk", "ordinal": "ok", "quantitative": "qk"}
_GATES = {"edit-parameter-action": "ParameterAction", "clear-option": "ParameterActionClearSelection",
          "computed-sort": "SortTagCleanup", "manual-sort": "SortTagCleanup", "shelf-sorts": "IntuitiveSorting",
          "datagraph": "DatagraphCoreV1", "button": "BasicButtonObject"}
_MARKS = {"Automatic", "Text", "Circle", "Bar", "Square", "Line"}


def faults(root: Root) -> list[str]:
    """Every fault of every rule."""
    return [fault for rule in RULES for fault in rule(root)]


def windows(root: Root) -> Iterator[str]:
    """A dashboard's window names all its sheets and has an active zone; no name stands twice."""
    names = [str(one.get("name")) for path in ("worksheets/worksheet", "dashboards/dashboard")
             for one in root.iterfind(path)]
    if len(set(names)) < len(names):
        yield "two sheets or dashboards share a name"
    if sorted(names) != sorted(str(one.get("name")) for one in root.iter("window")):
        yield "not every sheet and dashboard has one window"
    for dashboard in root.iterfind("dashboards/dashboard"):
        window = next(one for one in root.iter("window") if one.get("name") == dashboard.get("name"))
        shown = {zone.get("name") for zone in dashboard.iterfind("zones//zone[@name]")}
        if not shown or {one.get("name") for one in window.iterfind("viewpoints/viewpoint[zoom]")} != shown:
            yield f"viewpoints of {dashboard.get('name')} are not its sheets"
        active = window.find("active")
        if active is None or active.get("id") != "-1":
            yield f"{dashboard.get('name')} has no active zone"


def layouts(root: Root) -> Iterator[str]:
    """A fixed size is one size; sheets have the same ids in the phone layout; zones are flat; their style is last."""
    sheets = {str(one.get("name")) for one in root.iterfind("worksheets/worksheet")}
    for dashboard in root.iterfind("dashboards/dashboard"):
        size = dashboard.find("size")
        if size is None or any(size.get(f"min{side}") != size.get(f"max{side}") for side in ("width", "height")):
            yield "a fixed size differs between least and most"
        desk, phone = ({zone.get("name"): zone.get("id") for zone in dashboard.iterfind(f"{where}//zone[@name]")}
                       for where in ("zones", "devicelayouts"))
        if desk != phone or not set(map(str, desk)) <= sheets:
            yield "zones of sheets differ between layouts, or name no sheet"
        ids = [zone.get("id") for zone in dashboard.iterfind("zones//zone")]
        if len(set(ids)) < len(ids):
            yield "a zone's id stands twice"
        if dashboard.find("zones/zone/zone/zone") is not None:
            yield "zones are nested"
        for zone in dashboard.iter("zone"):
            if zone[-1].tag != "zone-style":
                yield f"zone {zone.get('id')}: its style is not last"


def pills(root: Root) -> Iterator[str]:
    """What a sheet uses it declares as a column and an instance; its filters are slices."""
    for sheet in root.iterfind("worksheets/worksheet"):
        own = {str(one.get("datasource")): one for one in sheet.iterfind("table/view/datasource-dependencies")}
        for source, instance in _used(sheet):
            declared = own.get(source)
            found = None if declared is None else next(
                (one for one in declared.iterfind("column-instance") if one.get("name") == instance), None)
            if found is None or declared is None:
                yield f"{sheet.get('name')}: {instance} is not declared"
            elif not any(one.get("name") == found.get("column") for one in declared.iterfind("column")):
                yield f"{sheet.get('name')}: the column of {instance} is not declared"
        filters = {str(one.get("column")) for one in sheet.iterfind("table/view/filter")}
        if filters != {str(one.text) for one in sheet.iterfind("table/view/slices/column")}:
            yield f"{sheet.get('name')}: filters and slices differ"
        for one in sheet.iterfind("table/view/filter"):
            if any(not str(one.get("column")).endswith(str(group.get("level"))) for group in one.iter("groupfilter")):
                yield f"{sheet.get('name')}: a filter's level is not its column's instance"


def _used(sheet: Root) -> Iterator[tuple[str, str]]:
    places = [str(sheet.findtext(f"table/{shelf}") or "") for shelf in ("rows", "cols")]
    places += [str(one.get("column")) for tag in ("encodings/*", "filter", "computed-sort")
               for one in sheet.iterfind(f".//{tag}") if one.get("column")]
    places += [str(one.get("using")) for one in sheet.iter("computed-sort")]
    places += [str(one.text) for one in sheet.iterfind(".//customized-tooltip//run")]
    for place in places:
        yield from _REFERENCE.findall(place)


def instances(root: Root) -> Iterator[str]:
    """An instance's name says its derivation, its column and its type; marks have a known class."""
    for one in root.iter("column-instance"):
        column = str(one.get("column"))[1:-1]
        name = f"[{_DERIVATIONS.get(str(one.get('derivation')))}:{column}:{_TYPES.get(str(one.get('type')))}"
        if one.get("name") not in (f"{name}]", f"{name}:1]"):
            yield f"{one.get('name')} is not the name of its derivation, column and type"
    for mark in root.iter("mark"):
        if mark.get("class") not in _MARKS:
            yield f"a mark of class {mark.get('class')}"


def columns(root: Root) -> Iterator[str]:
    """A column is declared the same at its source and in every sheet."""
    known = {(str(source.get("name")), str(one.get("name"))): etree.tostring(one, with_tail=False)
             for source in root.iterfind("datasources/datasource") for one in source.iterfind("column")}
    for declared in root.iter("datasource-dependencies"):
        for one in declared.iterfind("column"):
            source = str(declared.get("datasource"))
            there = known.get((source, str(one.get("name"))))
            if there is None or _squeezed(there) != _squeezed(etree.tostring(one, with_tail=False)):
                yield f"{one.get('name')} is declared otherwise than at its source"


def _squeezed(xml: bytes) -> bytes:
    return re.sub(rb">\s+<", b"><", xml)


def sources(root: Root) -> Iterator[str]:
    """Relation, records, graph and table column are linked; the table lies in the package."""
    for source in root.iterfind("datasources/datasource"):
        if source.get("name") == "Parameters":
            continue
        ids = {one.get("id") for one in source.iterfind("object-graph/objects/object")}
        tables = {str(one.get("name")).rpartition("].[")[2][:-1]
                  for one in source.iterfind("column[@datatype='table']")}
        records = {str(one.findtext("object-id"))[1:-1] for one in source.iter("metadata-record")}
        if len(ids) != 1 or ids != tables or ids != records:
            yield f"{source.get('caption')}: object ids differ"
        named = {one.get("name") for one in source.iter("named-connection")}
        if {one.get("connection") for one in source.iter("relation")} != named or len(named) != 1:
            yield f"{source.get('caption')}: relations and connections differ"
        local = [str(one.findtext("local-name")) for one in source.iter("metadata-record")]
        if local != [str(one.get("name")) for one in source.iterfind("column")][:len(local)]:
            yield f"{source.get('caption')}: records and columns differ"
        inner = source.find("connection/named-connections/named-connection/connection")
        place = "" if inner is None else f"{inner.get('directory', '')}{inner.get('dbname', '')}"
        if not (place.startswith("Data/Extracts/") or place == "."):
            yield f"{source.get('caption')}: {place} is not inside the package"


def scripts(root: Root) -> Iterator[str]:
    """A field that asks the extension is addressed along one dimension of the sheet, wherever it is used."""
    for one in root.iter("column"):
        formula = one.find("calculation")
        is_script = formula is not None and re.match(r"(SCRIPT|MODEL_EXTENSION)_", str(formula.get("formula")))
        if is_script and one.find("calculation/table-calc[@ordering-type='Rows']") is None:
            yield f"{one.get('caption')}: no default addressing"
    for sheet in root.iterfind("worksheets/worksheet"):
        declared = {str(one.get("name")): one for one in sheet.iter("column")}
        for instance in sheet.iter("column-instance"):
            column = declared.get(str(instance.get("column")))
            formula = None if column is None else column.find("calculation")
            if formula is None or not re.match(r"(SCRIPT|MODEL_EXTENSION)_", str(formula.get("formula"))):
                continue
            addressing = instance.find("table-calc[@ordering-type='Field']")
            along = "" if addressing is None else str(addressing.get("ordering-field")).rpartition("].")[2]
            if along not in declared or declared[along].get("role") != "dimension":
                yield f"{sheet.get('name')}: {instance.get('name')} is not addressed along a dimension"


def parameters(root: Root) -> Iterator[str]:
    """A sheet declares the parameters its formulas name, and so does a dashboard that shows one."""
    for place in (*root.iterfind("worksheets/worksheet"), *root.iterfind("dashboards/dashboard")):
        declared = {str(one.get("name")) for one in place.iterfind(".//datasource-dependencies[@datasource="
                                                                   "'Parameters']/column")}
        texts = [str(one.get("formula")) for one in place.iter("calculation")]
        texts += [str(one.get("param")) for one in place.iter("zone")]
        used = {name for text in texts for name in re.findall(r"\[Parameters\]\.(\[[^\]]+\])", text)}
        if used != declared:
            yield f"{place.get('name')}: uses {sorted(used)}, declares {sorted(declared)}"


def manifest(root: Root) -> Iterator[str]:
    """Either the version's whole schema, with the element 2026.1 wants, or each feature by name, without it."""
    named = {str(one.tag) for one in root.iterfind("document-format-change-manifest/*")}
    has_explain_data = root.find("explain-data") is not None
    if root.get("version") == "26.1":
        if named != {"ManifestByVersion"} or not has_explain_data:
            yield "the form of 2026.1 wants ManifestByVersion and explain-data"
        return
    if root.get("version") != "18.1" or has_explain_data:
        yield "the form before 2026.1 is 18.1 without explain-data"
    for one in root.iter():
        feature = _GATES.get(str(one.tag), "")
        if feature not in {"", *named}:
            yield f"{one.tag} occurs and {feature} is not in the manifest"
    wanted = {"SheetIdentifierTracking", "WindowsPersistSimpleIdentifiers"}
    if not wanted <= named or any("_.fcp" in name for name in named):
        yield "the manifest is not that of a workbook with ids"


def plainness(root: Root) -> Iterator[str]:
    """No comments, no place in a repository, no colour in capitals, no path of a machine."""
    if next(root.iter(etree.Comment), None) is not None:
        yield "there are comments"
    if root.find(".//repository-location") is not None:
        yield "there is a repository-location"
    text = etree.tostring(root, encoding="unicode")
    if re.search(r"['\"]#[0-9a-f]*[A-F][0-9a-fA-F]*['\"]", text):
        yield "a colour has capitals"
    if found := re.search(r"[A-Za-z]:[\\/](?!/)|file:/|=['\"]/|\.\./", text):
        yield f"there is a path: {text[max(0, found.start() - 30):found.end() + 30]}"


RULES: tuple[Callable[[Root], Iterator[str]], ...] = (windows, layouts, pills, instances, columns, sources, scripts,
                                                      parameters, manifest, plainness)
