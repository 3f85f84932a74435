"""Everything the check can say: one table of codes, each with a sentence and what to do.

Codes are public and never change: a CI job may look for them. A `note` is said and does not count; only a `finding`
makes the exit status 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["finding", "note"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One code: the sentence has places for the evidence in braces."""

    level: Level
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule met at a place: `where` is a field, a sheet or a part of the file."""

    code: str
    where: str
    text: str
    remedy: str

    @property
    def rule(self) -> Rule:
        """Its row of the table."""
        return RULES[self.code]


def finding(code: str, where: str, **evidence: object) -> Finding:
    """The sentence of a code with its evidence filled in."""
    rule = RULES[code]
    return Finding(code, where, rule.sentence.format(**evidence), rule.remedy.format(**evidence))


_FIELD: dict[str, Rule] = {
    "formula-broken": Rule("finding", "The calculation ends in the middle of {what}.",
                           "Open the field in Tableau and close it."),
    "field-unknown": Rule("finding", "{field} is no field of the data source.",
                          "Correct the name, or put the field back into the data source."),
    "unwrapped-field": Rule("finding", "Argument {number} has {field} without an aggregation, which Tableau refuses.",
                            "Write ATTR({field}) or MIN({field})."),
    "script-computed": Rule("note", "The script is put together when the view is drawn, so it is not looked at here.",
                            "Write it as one text, and pass what varies as an argument."),
    "script-syntax": Rule("finding", "The script is no Python: {error}.",
                          "Correct that line; TabPy answers with an error until then."),
    "script-r": Rule("finding", "The script is written in R (`.arg1`), which TabPy does not run.",
                     "Connect the workbook to Rserve, or write the script in Python (`_arg1`, `return`)."),
    "no-return": Rule("finding", "The script returns nothing, so every value is null.",
                      "End it with `return` and the list of answers."),
    "missing-response": Rule("finding", "The answer of {endpoint} is used without ['response'].",
                             "Write tabpy.query({endpoint!r}, ...)['response']."),
    "query-unknown": Rule("finding", "The script calls {name}.query, and {name} is nothing TabPy knows.",
                          "Write tabpy.query(...)."),
    "client-in-script": Rule("note", "The script opens a client of its own to ask {endpoint}: one more connection each "
                             "time, and a password TabPy may want is missing.",
                             "Write tabpy.query({endpoint!r}, ...)['response'], which needs no client."),
    "argument-missing": Rule("finding", "The script uses _arg{number}, but the field passes {passed} argument(s).",
                             "Add the argument to the field, or correct the number."),
    "argument-unused": Rule("note", "Argument {number} is sent with every row and the script does not use it.",
                            "Leave it out, or use _arg{number}."),
    "model-arguments": Rule("finding", "{function} has {names} parameter name(s) and {values} value(s).",
                            "After the model's name, first each parameter's name as a text, then as many values."),
    "endpoint-computed": Rule("note", "Which endpoint is asked depends on the data, so it is not compared with what is "
                              "deployed.", "Nothing, if that is meant."),
    "endpoint-missing": Rule("finding", "TabPy has no endpoint {endpoint}{hint}",
                             "Deploy it, or correct the name in the field; the case of letters counts."),
    "endpoint-arguments": Rule("finding", "{endpoint} {fault}.",
                               "Pass what {endpoint} takes, in that order or by name."),
    "result-type": Rule("finding", "{endpoint} answers {answered}, and the field is {function}.",
                        "Use {better} for it."),
    "datatype": Rule("finding", "{function} gives {given}, and the field is declared as {declared}.",
                     "Open the field in Tableau, change nothing, and save: Tableau declares it anew."),
    "evaluate-off": Rule("finding", "TabPy has scripts switched off, so {function} gets no answer.",
                         "Use MODEL_EXTENSION_{kind} with the endpoint's name, or switch scripts on."),
}
_SHEET: dict[str, Rule] = {
    "several-requests": Rule("finding", "Tableau sends {requests} requests for this field, one for each {per}.",
                             "Edit Table Calculation > Specific Dimensions > tick every dimension: then it is one."),
    "addressing-cell": Rule("finding", "The field is computed by Cell: Tableau sends one request for each mark.",
                            "Edit Table Calculation > Specific Dimensions > tick every dimension: then it is one."),
    "addressing-missing": Rule("finding", "Nothing says how this field is addressed.",
                               "Edit Table Calculation > Specific Dimensions > tick every dimension, and save."),
    "addressing-absent": Rule("finding", "The field is addressed along {field}, which is not in the view.",
                              "Put that field on Detail, or address the field along one that is in the view."),
    "attribute-null": Rule("finding", "ATTR({field}) is null in {marks} of {all} marks: they have several values.",
                           "Put {field} on Detail (and address along it), or pass MIN({field})."),
}
_TABPY: dict[str, Rule] = {
    "tabpy-away": Rule("finding", "TabPy was not asked: {why}.", "Start TabPy, or correct --tabpy."),
    "tabpy-refused": Rule("finding", "TabPy was not asked: {why}.",
                          "Give --tabpy-user and --tabpy-password-file as that TabPy wants them."),
    "server-refused": Rule("finding", "The functions of the server are not known: {why}.",
                           "Correct --server, and give in --token-file the token that it wants."),
    "extract-unreadable": Rule("note", "The rows inside are not read: {why}",
                               "Nothing is counted or replayed without them."),
    "run-skipped": Rule("note", "Not replayed: {why}.", "Open the sheet in Tableau to see it at work."),
    "run-failed": Rule("finding", "TabPy answered {status}: {why}.",
                       "Correct what it says; TabPy's log has the whole message."),
    "run-length": Rule("finding", "{sent} rows were sent and {received} answers came back.",
                       "Answer one value, or as many as there are rows, in their order."),
    "run-type": Rule("finding", "An answer is {value}, and the field is {function}.",
                     "Answer built-in values of that type, or null."),
    "run-nulls": Rule("finding", "All {count} answers are null.",
                      "Ask the function's status for the same rows (with Pixfield: image_status)."),
    "run-slow": Rule("finding", "The answer took {seconds} s; TabPy gives a script 30 s by default.",
                     "Compute beforehand, send fewer rows, or raise TABPY_EVALUATE_TIMEOUT."),
}
_FILE: dict[str, Rule] = {
    "schema-invalid": Rule("finding", "The schema allows something else: {error}.",
                           "Correct the element; Tableau may refuse the file."),
    "schema-known": Rule("note", "The schema asks for explain-data, which Tableau itself leaves out before 2026.1.",
                         "Nothing."),
    "window-missing": Rule("finding", "The dashboard has no window, or one without viewpoints: Tableau stops with "
                           "2805CF18 or 501CF476.",
                           "Add a window with a viewpoint for every sheet, then <active id='-1'/>."),
    "viewpoint-missing": Rule("finding", "The dashboard shows {sheet}, and its window has no viewpoint of that name.",
                              "Add <viewpoint name='{sheet}'> to the dashboard's window."),
    "sheet-missing": Rule("finding", "The dashboard shows {sheet}, and there is no such sheet.",
                          "Add the worksheet, or take the zone out."),
    "name-twice": Rule("finding", "Two sheets or dashboards have this name.", "Rename one of them."),
    "size-not-fixed": Rule("finding", "The dashboard's size is fixed and its smallest and largest differ.",
                           "Make minwidth and maxwidth equal, and minheight and maxheight."),
    "zone-twice": Rule("finding", "Two zones have the id {id}.", "Number the zones of a layout each differently."),
    "zone-style-order": Rule("finding", "A zone-style is not the last part of its zone.", "Move it to the end."),
    "pill-undeclared": Rule("finding", "{pill} is on a shelf and is not declared, so Tableau takes it away silently.",
                            "Declare its column and its column-instance in datasource-dependencies."),
    "instance-column": Rule("finding", "{pill} is a use of {column}, which is not declared in the sheet.",
                            "Declare the column in the sheet's datasource-dependencies."),
    "copy-differs": Rule("finding", "The sheet's copy of {field} has another formula than the data source.",
                         "Repeat the calculation letter by letter."),
    "derivation-unknown": Rule("finding", "{pill} has the derivation {derivation}, which Tableau rewrites to None.",
                               "Write it as Tableau does: {hint}."),
    "object-id": Rule("finding", "A column belongs to {id}, which is no object of the data source.",
                      "Give metadata-records and object-graph the same id."),
    "extract-missing": Rule("finding", "The data source reads {path}, which is not in the package.",
                            "Pack the file, or name it as it is packed."),
    "extract-damaged": Rule("finding", "The data source reads {path}, which is no Hyper file.",
                            "Make the extract anew in Tableau, and save the workbook."),
    "csv-folder": Rule("finding", "The text file is looked for in {folder}, which is only on the author's machine.",
                       "In a .twbx write directory='.' or Data/..., and pack the file there."),
    "repository-location": Rule("note", "The workbook says where it lies on a Tableau Server, which a file need not.",
                                "Take <repository-location> out of a workbook that is given on as a file."),
    "explain-data": Rule("finding", "explain-data stands in a workbook of version {version}: Tableau before 2026.1 "
                         "stops with D2E8DA72.", "Take it out, or write version 26.1 and ManifestByVersion."),
}
RULES: dict[str, Rule] = {**_FIELD, **_SHEET, **_TABPY, **_FILE}
