"""Where a data source's rows are: Hyper extracts, old `.tde` extracts and text files beside the workbook."""

from __future__ import annotations

from lxml import etree

from workbooks.check.elements import attribute, children, descendants, local, pairs, unbracketed
from workbooks.check.workbook import ExtractTable

_FILES = ("hyper", "dataengine", "textscan")


def extract_of(datasource: etree._Element) -> ExtractTable | None:
    """The extract, else a text file; nothing for a live connection to a database."""
    extracts = [connection for part in children(datasource, "extract") if attribute(part, "enabled") != "false"
                for connection in descendants(part, "connection")]
    for connection in (*extracts, *descendants(datasource, "connection")):
        if attribute(connection, "class") in _FILES:
            return _table(connection, datasource)
    return None


def remote_names(datasource: etree._Element) -> dict[str, str]:
    """Column name -> its name in the rows; the extract's own records, where there are any, are the last."""
    found: dict[str, str] = {}
    for record in descendants(datasource, "metadata-record"):
        names = {local(child): (child.text or "").strip() for child in record}
        if attribute(record, "class") == "column" and names.get("local-name") and names.get("remote-name"):
            found[unbracketed(names["local-name"])] = names["remote-name"]
    return found


def _table(connection: etree._Element, datasource: etree._Element) -> ExtractTable:
    """With the one table of the relations below or beside the connection."""
    kind = attribute(connection, "class")
    if kind == "textscan":
        folder, file = attribute(connection, "directory"), attribute(connection, "filename")
        separator = next((attribute(part, "separator") for part in descendants(datasource, "columns")), "")
        return ExtractTable(f"{folder}/{file}" if folder else file, "", file, kind, separator or ",")
    relations = list(descendants(connection, "relation"))
    if not relations:
        parent = connection.getparent()
        scope = parent.getparent() if parent is not None and local(parent) == "named-connection" else parent
        while scope is not None and local(scope) == "named-connections":
            scope = scope.getparent()
        relations = list(children(scope, "relation")) if scope is not None else []
        relations += [inner for outer in list(relations) for inner in descendants(outer, "relation")]
    tables = list(dict.fromkeys(attribute(relation, "table") for relation in relations if relation.get("table")))
    if len(tables) > 1:
        return ExtractTable(attribute(connection, "dbname"), "", "", kind)
    schema, table = _names(tables[0]) if tables else ("", "")
    return ExtractTable(attribute(connection, "dbname"), schema or attribute(connection, "schema") or "Extract",
                        table or attribute(connection, "tablename") or "Extract", kind)


def _names(table: str) -> tuple[str, str]:
    found = pairs(table)
    return found[0] if found else ("", unbracketed(table))
