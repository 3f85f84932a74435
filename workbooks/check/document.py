"""The workbook's bytes become an XML tree, with entities, DTDs and everything on the network off.

The text is decoded here, not by the parser: so a wrong encoding is a sentence, and a DTD is seen before anything of it
could be expanded.
"""

from __future__ import annotations

import codecs
import re

from lxml import etree

from workbooks.check.elements import local
from workbooks.check.errors import UnreadableError

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32-le"), (codecs.BOM_UTF32_BE, "utf-32-be"),
         (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARATION = re.compile(r"\s*<\?xml\b([^>]*?)\?>")
_ENCODING = re.compile(r"""encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_PROLOG = re.compile(r"\s+|<\?.*?\?>|<!--.*?-->", re.DOTALL)


def parsed(data: bytes, name: str) -> etree._Element:
    """The root of the workbook; raises UnreadableError."""
    text = _decoded(data, name)
    declaration = _DECLARATION.match(text)
    body = text[declaration.end():] if declaration else text
    if _first(body).startswith("<!DOCTYPE"):
        raise UnreadableError(f"{name} has a DOCTYPE, which no workbook needs and which can pull in other files: it is "
                              "refused; take the DOCTYPE out.")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
                             huge_tree=False, remove_comments=False, strip_cdata=True)
    try:
        root = etree.fromstring(body.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError) as exc:
        raise UnreadableError(f"{name} is not well-formed XML ({_reason(exc)}): save the workbook again.") from exc
    if root.getroottree().docinfo.internalDTD is not None:
        raise UnreadableError(f"{name} has a DOCTYPE, which no workbook needs: it is refused.")
    if local(root) != "workbook":
        raise UnreadableError(f"{name} is XML, but no workbook (its root is <{local(root)[:60]}>): name a .twb or "
                              ".twbx file.")
    return root


def _decoded(data: bytes, name: str) -> str:
    encoding, skipped = next(((found, len(bom)) for bom, found in _BOMS if data.startswith(bom)), ("", 0))
    if not encoding:
        encoding = _guessed(data)
    try:
        return data[skipped:].decode(encoding)
    except LookupError as exc:
        raise UnreadableError(f"{name} names an encoding that is not known ({encoding}): save it as UTF-8.") from exc
    except UnicodeError as exc:
        raise UnreadableError(f"{name} is not {encoding}, as it says or must be: save it as UTF-8.") from exc


def _guessed(data: bytes) -> str:
    """By XML's own rules (appendix F of XML 1.0): the zero bytes around `<`, else what the declaration says."""
    if data[:4] in (b"<\0?\0", b"<\0w\0"):
        return "utf-16-le"
    if data[:4] in (b"\0<\0?", b"\0<\0w"):
        return "utf-16-be"
    declaration = _DECLARATION.match(data[:200].decode("latin-1"))
    named = _ENCODING.search(declaration.group(1)) if declaration else None
    encoding = named.group(1).lower() if named else "utf-8"
    is_wide = encoding.replace("_", "-").startswith(("utf-16", "utf-32"))  # the declaration itself was read bytewise
    return "utf-8" if is_wide else encoding


def _first(body: str) -> str:
    """The text from the first thing that is neither space, comment nor processing instruction."""
    position = 0
    while found := _PROLOG.match(body, position):
        position = found.end()
    return body[position:position + 10].lstrip("\ufeff")


def _reason(exc: Exception) -> str:
    return " ".join(str(exc).split()).removesuffix(" (<string>, line 1)")[:200]
