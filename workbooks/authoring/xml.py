"""Elements in one call: `element("zone", {"h": 10}, child, ...)`; attributes by name, as Tableau writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

from lxml import etree

from workbooks.authoring.errors import AuthoringError

Element: TypeAlias = etree._Element  # noqa: SLF001 - what etree.Element makes has no public name
_IMPOSSIBLE = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no Char: https://www.w3.org/TR/xml/#charsets."""
USER = "http://www.tableausoftware.com/xml/user"


def element(tag: str, attributes: Mapping[str, object] | None = None, *children: Element | None,
            text: str | None = None) -> Element:
    """An element; children that are None are left out, and so are attributes that are None.

    Raises:
        AuthoringError: a text has a character that XML cannot say.
    """
    made = etree.Element(tag, nsmap={"user": USER} if tag == "workbook" else None)
    for name, value in sorted((attributes or {}).items()):
        if value is not None:
            made.set(name, possible(spelled(value)))
    if text is not None:
        made.text = possible(text)
    made.extend([child for child in children if child is not None])
    return made


def user(name: str) -> str:
    """An attribute of Tableau's `user:` namespace."""
    return f"{{{USER}}}{name}"


def cdata(text: str) -> etree.CDATA:
    """Text that stays as it is, as Tableau writes references inside text."""
    return etree.CDATA(possible(text))


def possible(text: str) -> str:
    """The text, if XML can say it; raises AuthoringError where it has a control character other than tab and line end.
    """
    wrong = _IMPOSSIBLE.search(text)
    if wrong:
        raise AuthoringError(f"{text[:60]!r} has the character U+{ord(wrong.group()):04X}, which no workbook can have"
                             " in its names and labels: take it out of the table.")
    return text


def spelled(value: object) -> str:
    """A value as an attribute has it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def to_bytes(root: Element) -> bytes:
    """The document in UTF-8, indented; inside of texts nothing is."""
    etree.cleanup_namespaces(root, keep_ns_prefixes=["user"])
    etree.indent(root, "  ")
    return b"<?xml version='1.0' encoding='utf-8' ?>\n" + etree.tostring(root, encoding="utf-8") + b"\n"
