"""The workbook against an official XSD of tableau/tableau-document-schemas, which Pixfield does not ship.

As they are published, libxml2 refuses them: two namespaces are imported without a place. Both get a stub here; nothing
else is ever fetched, whatever the schema names.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lxml import etree

from workbooks.check.errors import UnreadableError
from workbooks.check.findings import Finding, finding

XSD = "{http://www.w3.org/2001/XMLSchema}"
_USER, _XML = "http://www.tableausoftware.com/xml/user", "http://www.w3.org/XML/1998/namespace"
_STUBS = {
    _USER: f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{_USER}"><xs:attributeGroup '
           'name="UserAttributes-AG"><xs:anyAttribute namespace="##targetNamespace" processContents="skip"/>'
           "</xs:attributeGroup></xs:schema>",
    _XML: f'<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="{_XML}">'
          '<xs:attribute name="lang" type="xs:string"/><xs:attribute name="space" type="xs:NCName"/>'
          '<xs:attribute name="base" type="xs:anyURI"/><xs:attribute name="id" type="xs:ID"/></xs:schema>',
}
MAX_SHOWN = 20


class _Stubs(etree.Resolver):
    """Answers our two places and nothing else."""

    def resolve(self, system_url: str, public_id: str, context: Any) -> Any:  # type: ignore[override]  # noqa: ARG002
        """The stub's text; an empty document for any other place. lxml passes an argument more than its types say."""
        text = _STUBS.get(system_url.removeprefix("stub:"), "<none/>")
        return self.resolve_string(text, context, base_url=system_url)


def schema(path: Path) -> etree.XMLSchema:
    """The schema in a file; raises UnreadableError."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    parser.resolvers.add(_Stubs())
    try:
        tree = etree.fromstring(path.read_bytes(), parser)
        for child in list(tree.iter(f"{XSD}import", f"{XSD}include", f"{XSD}redefine")):
            if child.get("namespace") in _STUBS:
                child.set("schemaLocation", f"stub:{child.get('namespace')}")
            else:
                child.attrib.pop("schemaLocation", None)
        return etree.XMLSchema(tree)
    except (OSError, etree.LxmlError, ValueError) as exc:
        why = " ".join(str(exc).split())[:200]
        raise UnreadableError(f"{path} is no schema that can be read ({why}): name a twb_....xsd.") from exc


def schema_findings(root: etree._Element, against: etree.XMLSchema, name: str) -> list[Finding]:
    """Each different error once; those that Tableau's own files have are a note or left out."""
    if against.validate(root.getroottree()):
        return []
    found: dict[Finding, None] = {}
    errors: Any = against.error_log  # the stubs do not say that it can be walked through
    for error in errors:
        message = " ".join(error.message.split())
        if "_.fcp." in message:
            continue
        if "explain-data" in message and "Missing child element" in message:
            found[finding("schema-known", name)] = None
        else:
            found[finding("schema-invalid", name, error=f"line {error.line}, {message[:300].rstrip('.')}")] = None
    shown = list(found)[:MAX_SHOWN]
    if len(found) > MAX_SHOWN:
        shown.append(finding("schema-invalid", name, error=f"and {len(found) - MAX_SHOWN} more"))
    return shown
