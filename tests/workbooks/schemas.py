"""Tableau's own schemas of workbooks, where they are at hand: in the folder PIXFIELD_SCHEMAS names, or in
`shared/schemas` beside the project. They are no part of it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

FOLDER = Path(os.environ.get("PIXFIELD_SCHEMAS") or Path(__file__).resolve().parents[3] / "shared" / "schemas")
needs_schemas = pytest.mark.skipif(not list(FOLDER.glob("twb_*.xsd")),
                                   reason="Tableau's schemas (tableau/tableau-document-schemas) are not at hand:"
                                   " PIXFIELD_SCHEMAS names their folder")

_XSD = "http://www.w3.org/2001/XMLSchema"
_STUBS = {
    "http://www.tableausoftware.com/xml/user":
        "<xs:attributeGroup name='UserAttributes-AG'><xs:anyAttribute processContents='skip'"
        " namespace='http://www.tableausoftware.com/xml/user'/></xs:attributeGroup>",
    "http://www.w3.org/XML/1998/namespace":
        "".join(f"<xs:attribute name='{name}' type='xs:string'/>" for name in ("base", "id", "lang", "space")),
}
"""Namespace -> what the schemas import from it without saying where it is."""

EXPLAIN_DATA = "Missing child element(s)"
"""The one thing they find in every workbook Tableau itself wrote before 2026.1: its last element is missing."""


def schemas(scratch: Path) -> list[etree.XMLSchema]:
    """Every schema that is there; stubs of what they import go to `scratch`."""
    return [_schema(path, scratch) for path in sorted(FOLDER.glob("twb_*.xsd"))]


def _schema(path: Path, scratch: Path) -> etree.XMLSchema:
    tree = etree.parse(path)
    for number, one in enumerate(tree.iter(f"{{{_XSD}}}import")):
        namespace = str(one.get("namespace"))
        stub = scratch / f"stub-{number}.xsd"
        stub.write_text(f"<xs:schema xmlns:xs='{_XSD}' targetNamespace='{namespace}'>{_STUBS[namespace]}</xs:schema>",
                        encoding="utf-8")
        one.set("schemaLocation", stub.as_uri())
    return etree.XMLSchema(tree)


def errors(schema: etree.XMLSchema, root: etree._Element) -> list[str]:
    """What a schema finds in a workbook."""
    schema.validate(root)
    return [line.partition(": ")[2] for line in str(schema.error_log).splitlines()]
