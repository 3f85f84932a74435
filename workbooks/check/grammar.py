"""Tableau's calculation language as a tree, as far as it can be computed outside Tableau.

    or < and < not < = <> < <= > >= IN < + - < * / % < unary - < ^ < value
Table calculations, level-of-detail expressions and whatever else is not here raise NotUnderstoodError.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbooks.check.errors import CheckError
from workbooks.check.tokens import Token

MAX_DEPTH = 60
_COMPARISONS = {"=": "=", "==": "=", "<>": "<>", "!=": "<>", "<": "<", ">": ">", "<=": "<=", ">=": ">="}


class NotUnderstoodError(CheckError):
    """A part of a calculation that only Tableau computes."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value; `datatype` as Tableau calls it."""

    value: str | int | float | bool | None
    datatype: str


@dataclass(frozen=True, slots=True)
class FieldName:
    """`[name]` or `[qualifier].[name]`."""

    name: str
    qualifier: str = ""


@dataclass(frozen=True, slots=True)
class Operation:
    """A function by its upper-case name, an operator by its sign, or IF with condition and answer in turn."""

    name: str
    parts: tuple[Node, ...]


Node = Literal | FieldName | Operation


def tree(items: Sequence[Token]) -> Node:
    """The expression; raises NotUnderstoodError."""
    parser = _Parser(items)
    node = parser.expression()
    if parser.position < len(items):
        raise NotUnderstoodError(f"{items[parser.position].text[:20]!r} is not expected there")
    return node


class _Parser:
    def __init__(self, items: Sequence[Token]) -> None:
        self.items = items
        self.position = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        if self.position >= len(self.items):
            raise NotUnderstoodError("the expression ends too early")
        return self.items[self.position]

    def taken(self, *signs: str) -> str:
        """The sign or word that stands here, if it is one of these; it is passed then."""
        if self.position < len(self.items):
            token = self.items[self.position]
            text = token.value.upper() if token.kind == "name" else token.value
            if token.kind in ("sign", "name") and text in signs:
                self.position += 1
                return text
        return ""

    def expect(self, *signs: str) -> str:
        found = self.taken(*signs)
        if not found:
            raise NotUnderstoodError(f"{' or '.join(signs)} is missing")
        return found

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotUnderstoodError("it is nested too deeply")
        node = self.conjunction()
        while self.taken("OR"):
            node = Operation("OR", (node, self.conjunction()))
        self.depth -= 1
        return node

    def conjunction(self) -> Node:
        node = self.negation()
        while self.taken("AND"):
            node = Operation("AND", (node, self.negation()))
        return node

    def negation(self) -> Node:
        if self.taken("NOT"):
            return Operation("NOT", (self.comparison(),))
        return self.comparison()

    def comparison(self) -> Node:
        node = self.sum()
        if sign := self.taken(*_COMPARISONS):
            return Operation(_COMPARISONS[sign], (node, self.sum()))
        if self.taken("IN"):
            self.expect("(")
            return Operation("IN", (node, *self.listed()))
        return node

    def sum(self) -> Node:
        node = self.product()
        while sign := self.taken("+", "-"):
            node = Operation(sign, (node, self.product()))
        return node

    def product(self) -> Node:
        node = self.unary()
        while sign := self.taken("*", "/", "%"):
            node = Operation(sign, (node, self.unary()))
        return node

    def unary(self) -> Node:
        if self.taken("-"):
            return Operation("NEGATE", (self.power(),))
        return self.power()

    def power(self) -> Node:
        node = self.value()
        return Operation("^", (node, self.value())) if self.taken("^") else node

    def listed(self) -> tuple[Node, ...]:
        """Expressions up to the closing parenthesis."""
        found: list[Node] = []
        while not self.taken(")"):
            if found:
                self.expect(",")
            found.append(self.expression())
        return tuple(found)

    def value(self) -> Node:
        token = self.token
        self.position += 1
        if token.kind == "string":
            return Literal(token.value, "string")
        if token.kind == "number":
            is_whole = token.value.isdecimal()
            return Literal(int(token.value) if is_whole else float(token.value), "integer" if is_whole else "real")
        if token.kind == "field":
            return self.field(token.value)
        if token.is_sign("("):
            node = self.expression()
            self.expect(")")
            return node
        if token.kind == "name":
            return self.word(token.value.upper())
        raise NotUnderstoodError(f"{token.text[:20]!r} is computed by Tableau alone")

    def field(self, name: str) -> Node:
        if self.taken("."):
            second = self.token
            self.position += 1
            if second.kind == "field":
                return FieldName(second.value, name)
            raise NotUnderstoodError("a field's name is missing")
        return FieldName(name)

    def word(self, name: str) -> Node:
        if name in ("TRUE", "FALSE"):
            return Literal(name == "TRUE", "boolean")
        if name == "NULL":
            return Literal(None, "")
        if name == "IF":
            return self.branches()
        if name == "CASE":
            return self.cases()
        self.expect("(")
        return Operation(name, self.listed())

    def branches(self) -> Node:
        parts = [self.expression()]
        self.expect("THEN")
        parts.append(self.expression())
        while (word := self.expect("ELSEIF", "ELSE", "END")) != "END":
            if word == "ELSEIF":
                parts.append(self.expression())
                self.expect("THEN")
            parts.append(self.expression())
        return Operation("IF", tuple(parts))

    def cases(self) -> Node:
        subject = self.expression()
        parts: list[Node] = []
        while (word := self.expect("WHEN", "ELSE", "END")) != "END":
            if word == "WHEN":
                parts.append(Operation("=", (subject, self.expression())))
                self.expect("THEN")
            parts.append(self.expression())
        return Operation("IF", tuple(parts))
