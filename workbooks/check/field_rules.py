"""What can be wrong with a field by itself, and against what is deployed."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from workbooks.check import script as scripts
from workbooks.check.arguments import references, unwrapped
from workbooks.check.endpoints import Deployed, Signature
from workbooks.check.fields import MODEL, SCRIPT, Field
from workbooks.check.findings import Finding, finding
from workbooks.check.script import Query
from workbooks.check.workbook import TableScript

ANSWERS = {"string": "STR", "number": "REAL", "integer": "INT", "boolean": "BOOL"}
FITS = {"string": {"STR"}, "number": {"REAL"}, "integer": {"INT", "REAL"}, "boolean": {"BOOL"}}
DATATYPES = {"STR": "string", "REAL": "real", "INT": "integer", "BOOL": "boolean"}
_SHOWN = {"string": "text", "number": "real numbers", "integer": "whole numbers", "boolean": "true or false",
          "object": "whole columns", "array": "lists"}


def field_findings(field: Field, deployed: Deployed) -> Iterator[Finding]:
    """All of it, for one field."""
    yield from _formula(field)
    yield from _arguments(field)
    if field.call.family == SCRIPT:
        yield from _script(field)
    yield from _declared(field)
    if field.call.family == SCRIPT and deployed.evaluates is False:
        yield finding("evaluate-off", field.label, function=field.call.name, kind=field.call.returns)
    for query in field.queries:
        yield from query_findings(field.label, query, deployed)
    yield from _answer(field, deployed)


def table_findings(table: TableScript, deployed: Deployed) -> Iterator[Finding]:
    """The script of a Table Extension asks endpoints, too."""
    script = scripts.read(table.script)
    if script.error:
        yield finding("script-syntax", table.caption, error=script.error)
    elif not script.returns:
        yield finding("no-return", table.caption)
    for query in script.queries:
        yield from _query_form(table.caption, query)
        yield from query_findings(table.caption, query, deployed)


def _formula(field: Field) -> Iterator[Finding]:
    if field.tokens.unclosed or not field.call.is_closed:
        yield finding("formula-broken", field.label, what=field.tokens.unclosed or f"{field.call.name}(")
    if field.text is None:
        yield finding("script-computed", field.label)
    names, values = len(field.names), len(field.values)
    if field.call.family == MODEL and names != values:
        yield finding("model-arguments", field.label, function=field.call.name, names=names, values=values)


def _arguments(field: Field) -> Iterator[Finding]:
    unknown: dict[str, None] = {}
    for number, argument in enumerate(field.values, 1):
        unknown |= {reference.shown: None for reference in references(argument, field.scope)
                    if reference.column is None}
        for name in unwrapped(argument, field.scope):
            yield finding("unwrapped-field", field.label, number=number, field=name)
    for name in unknown:
        yield finding("field-unknown", field.label, field=name)


def _script(field: Field) -> Iterator[Finding]:
    script = field.script
    if script is None:
        return
    if script.is_r and script.error:
        yield finding("script-r", field.label)
        return
    if script.error:
        yield finding("script-syntax", field.label, error=script.error)
        return
    if not script.returns:
        yield finding("no-return", field.label)
    passed = len(field.values)
    for number in sorted(script.arguments - set(range(1, passed + 1))):
        yield finding("argument-missing", field.label, number=number, passed=passed)
    for number in sorted(set(range(1, passed + 1)) - script.arguments):
        yield finding("argument-unused", field.label, number=number)
    for query in script.queries:
        yield from _query_form(field.label, query)


def _query_form(where: str, query: Query) -> Iterator[Finding]:
    name = query.name or "the endpoint"
    if query.lacks_response:
        yield finding("missing-response", where, endpoint=name)
    if query.through == "client":
        yield finding("client-in-script", where, endpoint=name)
    elif query.through != "tabpy":
        yield finding("query-unknown", where, name=query.through)
    if query.name is None:
        yield finding("endpoint-computed", where)


def _declared(field: Field) -> Iterator[Finding]:
    """A calculation that is the call alone has its type."""
    given, declared = DATATYPES[field.call.returns], field.column.datatype
    words = field.tokens.items
    is_alone = field.of == 1 and bool(words) and words[0].value.upper() == field.call.name and words[-1].is_sign(")") \
        and sum(len(argument) for argument in field.call.arguments) + len(field.call.arguments) + 2 == len(words)
    fits = declared == given or (declared == "real" and given == "integer")
    if is_alone and declared and not fits:
        yield finding("datatype", field.label, function=field.call.name, given=given, declared=declared)


def query_findings(where: str, query: Query, deployed: Deployed) -> Iterator[Finding]:
    """Whether the endpoint exists and takes what it is given."""
    if deployed.functions is None or query.name is None:
        return
    signature = deployed.functions.get(query.name)
    if signature is None:
        yield finding("endpoint-missing", where, endpoint=repr(query.name), hint=_hint(query.name, deployed.functions))
    elif signature.parameters is not None:
        for fault in _faults(query, signature, signature.parameters):
            yield finding("endpoint-arguments", where, endpoint=signature.shown, fault=fault)


def _hint(name: str, functions: dict[str, Signature]) -> str:
    known = {known.casefold(): known for known in functions}
    close = difflib.get_close_matches(name.casefold(), known, 5, 0.6)
    if close:
        swapped = [word for word in close if sorted(word) == sorted(name.casefold())]  # letters in another order
        return f"; did you mean {known[(swapped or close)[0]]!r}?"
    return "." if functions else "; none is deployed."


def _faults(query: Query, signature: Signature, parameters: tuple[str, ...]) -> Iterator[str]:
    for name in query.keywords:
        if name not in parameters:
            yield f"has no parameter {name}"
    if query.positional is None:
        return
    if query.positional and query.keywords:
        yield "is asked with arguments by place and by name at once, of which TabPy sends only those by place"
        return
    if query.positional > len(parameters):
        yield f"takes at most {len(parameters)} arguments and gets {query.positional}"
    given = {*parameters[:query.positional], *query.keywords}
    lacking = [name for name in signature.required if name not in given]
    if lacking:
        yield f"needs {', '.join(lacking)}"


def _answer(field: Field, deployed: Deployed) -> Iterator[Finding]:
    query = field.script.answer if field.script else field.queries[0] if field.call.family == MODEL else None
    if deployed.functions is None or query is None or query.name is None:
        return
    signature = deployed.functions.get(query.name)
    if signature is None or not signature.returns:
        return
    fits = FITS.get(signature.returns)
    if fits is not None and field.call.returns not in fits:
        yield finding("result-type", field.label, endpoint=signature.name, answered=_SHOWN[signature.returns],
                      function=field.call.name, better=f"{field.call.family}_{ANSWERS[signature.returns]}")
    elif signature.returns == "object":
        yield finding("result-type", field.label, endpoint=signature.name, answered=_SHOWN["object"],
                      function=field.call.name, better="a Table Extension")
