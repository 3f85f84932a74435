"""Every field that asks TabPy is found, in whatever form it is written, and what is wrong with it is named."""

from __future__ import annotations

import pytest
from books import Book, Calc
from forms import FORMS, Form
from signatures import DEPLOYED

from workbooks.check.document import parsed
from workbooks.check.field_rules import field_findings
from workbooks.check.fields import Field, fields
from workbooks.check.reading import read

COLUMNS = {"Image Path": "string", "Group": "string", "Number": "integer"}
AROUND = (Calc("Aggregated", "MIN([Image Path])"), Calc("Row Level", "[Image Path] + '.png'"))
RETURNS = {
    "SCRIPT_STR": "STR",
    "SCRIPT_REAL": "REAL",
    "SCRIPT_INT": "INT",
    "MODEL_EXTENSION_STR": "STR",
    "MODEL_EXTENSION_REAL": "REAL",
}


def found(formula: str, returns: str = "STR", version: str = "18.1") -> list[Field]:
    """The fields of a workbook with this calculation."""
    book = Book([*AROUND, Calc("Calculation_1", formula, returns, caption="Asked")], columns=COLUMNS, version=version)
    return list(fields(read(parsed(book.xml().encode(), "book.twb"))))


@pytest.mark.parametrize("form", FORMS, ids=[form.claim for form in FORMS])
def test_every_form_is_found_and_judged(form: Form) -> None:
    """The functions, the endpoints, and the codes of what is wrong."""
    returns = RETURNS[form.functions[0]] if form.functions else "STR"
    asked = found(form.formula, returns)
    codes = [said.code for one in asked for said in field_findings(one, DEPLOYED)]
    assert (
        tuple(one.call.name for one in asked),
        [query.name for one in asked for query in one.queries],
        sorted(codes),
    ) == (form.functions, list(form.endpoints), sorted(form.codes))


def test_there_are_at_least_forty_forms() -> None:
    """And each is another one."""
    assert len({form.formula for form in FORMS}) == len(FORMS) >= 40


@pytest.mark.parametrize("version", ["8.1", "9.3", "10.5", "18.1", "26.1", ""])
def test_old_and_new_versions_have_the_same_fields(version: str) -> None:
    """Versions 8 to 10 wrote calculations as today's do."""
    assert [one.label for one in found(FORMS[0].formula, version=version)] == ["[Asked]"]


def test_the_declared_type_is_compared() -> None:
    """A SCRIPT_REAL in a column of text."""
    formula = 'SCRIPT_REAL("return _arg1", SUM([Number]))'
    codes = [
        [said.code for one in found(formula, returns) for said in field_findings(one, DEPLOYED)]
        for returns in ("STR", "REAL")
    ]
    assert codes == [["datatype"], []]


def test_scripts_switched_off_is_said() -> None:
    """For SCRIPT_ fields, not for MODEL_EXTENSION_ ones."""
    from workbooks.check.endpoints import Deployed

    off = Deployed(DEPLOYED.functions, evaluates=False)
    asked = [*found(FORMS[0].formula), *found('MODEL_EXTENSION_STR("image_label", "paths", MIN([Image Path]))')]
    assert [[said.code for said in field_findings(one, off)] for one in asked] == [["evaluate-off"], []]


def test_a_calculation_typed_into_a_sheet_is_found() -> None:
    """It stands in the sheet alone, not in the data source."""
    xml = Book([Calc("Calculation_1", FORMS[0].formula)]).xml()
    head, _, tail = xml.partition("</datasources>")
    without = head.replace(Calc("Calculation_1", FORMS[0].formula).column, "") + "</datasources>" + tail
    assert without != xml
    assert [one.column.name for one in fields(read(parsed(without.encode(), "x")))] == ["Calculation_1"]
