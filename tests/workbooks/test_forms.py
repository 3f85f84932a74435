"""Every field that asks TabPy is found, in whatever form it is written, and what is wrong with it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from books import Book, Calc
from forms import FORMS, Form
from signatures import DEPLOYED

from workbooks.check.command import Options, check
from workbooks.check.document import parsed
from workbooks.check.field_rules import field_findings
from workbooks.check.fields import Field, fields
from workbooks.check.package import Limits, opened
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


OLD = """<?xml version='1.0' encoding='utf-8' ?>\r
<workbook version='8.1' xmlns:user='http://www.tableausoftware.com/xml/user'>\r
  <datasources><datasource caption='Pima' name='dataengine.41534.613' version='8.1'>\r
    <connection class='dataengine' dbname='Data\\\\Pima.tde' schema='Extract' tablename='Extract'>\r
      <relation name='Extract' table='[Extract].[Extract]' type='table' /></connection>\r
    <column caption='Row ID' datatype='integer' name='[Row_ID]' role='dimension' type='ordinal' />\r
    <column caption='Diabetic' datatype='integer' name='[Calculation_4210]' role='measure' type='quantitative'>\r
      <calculation class='tableau' formula='SCRIPT_INT(&quot;return tabpy_client.Client(&apos;http://x:9004/&apos;).query(\
&apos;Diabetes Classifier&apos;, _arg1)[&apos;response&apos;]&quot;, SUM([Glucose]))' /></column>\r
  </datasource></datasources>\r
  <worksheets><worksheet name='Sheet 1'><table><view>\r
    <datasources><datasource name='dataengine.41534.613' /></datasources>\r
    <datasource-dependencies datasource='dataengine.41534.613'>\r
      <column datatype='integer' name='[Glucose]' role='measure' type='quantitative' />\r
      <column caption='Row ID' datatype='integer' name='[Row_ID]' role='dimension' type='ordinal' />\r
      <column datatype='integer' name='[Calculation_4210]' role='measure' type='quantitative' />\r
      <column-instance column='[Row_ID]' derivation='None' name='[none:Row_ID:ok]' pivot='key' type='ordinal' />\r
      <column-instance column='[Calculation_4210]' derivation='User' name='[usr:Calculation_4210:qk]' pivot='key'\r
        type='quantitative'><table-calc ordering-field='[dataengine.41534.613].[Row_ID]' ordering-type='Field' />\r
      </column-instance></datasource-dependencies></view>\r
    <panes><pane><mark class='Automatic' /><encodings>\r
      <color column='[dataengine.41534.613].[usr:Calculation_4210:qk]' /></encodings></pane></panes>\r
    <rows>[dataengine.41534.613].[none:Row_ID:ok]</rows><cols /></table></worksheet></worksheets>\r
</workbook>"""


def test_a_workbook_of_tableau_8_is_checked(tmp_path: Path) -> None:
    """A connection without federation, an extract of another kind, no aggregation element, no window, a client."""
    path = tmp_path / "old.twb"
    path.write_bytes(OLD.encode())
    with opened(path, Limits()) as package:
        report = check(package, Options())
    (counted,) = report.counts[0]
    assert ([said.code for said in report.findings], counted.requests, ".tde" in counted.why) == (
        ["client-in-script", "extract-unreadable"], 1, True)
    assert [query.name for query in report.fields[0].queries] == ["Diabetes Classifier"]


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
