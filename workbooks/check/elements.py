"""What the readers of the XML share: names without prefixes, children by name, bracketed names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

_PAIR = re.compile(r"\[((?:[^\]]|\]\])*)\]\.\[((?:[^\]]|\]\])*)\]")


def local(element: etree._Element) -> str:
    """The element's name without namespace and without Tableau's `_.fcp.Feature.true...` prefix; comments have none."""
    tag: object = element.tag  # of comments it is a function
    if not isinstance(tag, str):
        return ""
    return tag.rpartition("}")[2].rpartition("...")[2]


def children(element: etree._Element, *names: str) -> Iterator[etree._Element]:
    """The children with one of these local names, in order."""
    for child in element:
        if local(child) in names:
            yield child


def descendants(element: etree._Element, *names: str) -> Iterator[etree._Element]:
    """All below with one of these local names, in order."""
    for child in element.iter():
        if child is not element and local(child) in names:
            yield child


def attribute(element: etree._Element, name: str) -> str:
    """The attribute, "" where it is not there."""
    return str(element.get(name) or "")


def unbracketed(text: str) -> str:
    """`[Image Path]` as `Image Path`."""
    return text[1:-1].replace("]]", "]") if text.startswith("[") and text.endswith("]") else text


def pairs(text: str) -> list[tuple[str, str]]:
    """Every `[data source].[name]` in a text, without brackets."""
    return [(one.replace("]]", "]"), two.replace("]]", "]")) for one, two in _PAIR.findall(text)]
