"""What Tableau refuses or silently changes, and the published schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from books import DS, Book, Calc, along

from workbooks.check.command import Options, check
from workbooks.check.errors import UnreadableError
from workbooks.check.findings import Finding
from workbooks.check.package import Limits, opened

ASK = "SCRIPT_STR(\"return tabpy.query('image_label', _arg1)['response']\", ATTR([Image Path]))"
DASHBOARD = """
  <dashboards><dashboard name='D'><style /><size maxheight='800' maxwidth='1200' minheight='800' minwidth='1200'
    sizing-mode='fixed' /><zones><zone h='100000' id='2' type-v2='layout-basic' w='100000' x='0' y='0'>
    <zone h='100000' id='3' name='S' w='100000' x='0' y='0'><zone-style /></zone><zone-style /></zone></zones>
  </dashboard></dashboards>
  <windows><window class='worksheet' name='S' /><window class='dashboard' name='D'><viewpoints>
    <viewpoint name='S'><zoom type='entire-view' /></viewpoint></viewpoints><active id='-1' /></window></windows>"""
XML = Book([Calc("Calculation_1", ASK, caption="Asked")], table_calc=along("Image Path")).xml()
SOUND = XML.replace("</workbook>", DASHBOARD + "</workbook>")


def findings(xml: str, folder: Path, schema: Path | None = None) -> list[Finding]:
    """What is said about a bare workbook, but that it has no rows beside it."""
    path = folder / "book.twb"
    path.write_text(xml, encoding="utf-8")
    with opened(path, Limits()) as package:
        return [one for one in check(package, Options(schema=schema)).findings if one.code != "extract-unreadable"]


def test_a_sound_workbook_has_no_finding(tmp_path: Path) -> None:
    """With a dashboard and its window."""
    assert findings(SOUND, tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<viewpoint name='S'><zoom type='entire-view' /></viewpoint>", "", "window-missing"),
        ("<window class='dashboard' name='D'>", "<window class='dashboard' name='E'>", "window-missing"),
        ("<viewpoint name='S'>", "<viewpoint name='T'>", "viewpoint-missing"),
        ("id='3' name='S'", "id='3' name='T'", "sheet-missing"),
        ("<dashboard name='D'>", "<dashboard name='S'>", "name-twice"),
        ("minheight='800'", "minheight='600'", "size-not-fixed"),
        ("id='3'", "id='2'", "zone-twice"),
        ("<zone-style /></zone></zones>", "<zone-style /><zone id='9' /></zone></zones>", "zone-style-order"),
        (f"<rows>[{DS}].[none:Image Path:nk]", f"<rows>[{DS}].[none:Image:nk]", "pill-undeclared"),
        ("<column-instance column='[Image Path]'", "<column-instance column='[Image]'", "instance-column"),
        (
            "<column-instance column=\"[Image Path]\" derivation='None'",
            "<column-instance column=\"[Image Path]\" derivation='none'",
            "derivation-unknown",
        ),
        ("<dashboards>", "<explain-data /><dashboards>", "explain-data"),
        ("<datasources>", "<repository-location id='x' /><datasources>", "repository-location"),
    ],
)
def test_each_rule_is_met(old: str, new: str, code: str, tmp_path: Path) -> None:
    """One change makes one finding (the first in a chain, where one leads to another)."""
    old = old if old in SOUND else old.replace("'[", '"[').replace("]'", ']"')
    assert old in SOUND
    place = SOUND.rindex(old) if code in ("pill-undeclared", "instance-column") else SOUND.index(old)
    changed = SOUND[:place] + new + SOUND[place + len(old) :]
    assert code in [found.code for found in findings(changed, tmp_path)]


def test_a_copy_must_have_the_same_formula(tmp_path: Path) -> None:
    """The sheet's copy has another endpoint."""
    place = SOUND.rindex("image_label")
    changed = SOUND[:place] + "image_status" + SOUND[place + len("image_label") :]
    assert [found.code for found in findings(changed, tmp_path)] == ["copy-differs"]


def test_what_tableau_itself_writes_is_no_finding(tmp_path: Path) -> None:
    """Measure names, generated coordinates, feature prefixes, a comment with the build, generated pills."""
    pills = f"<rows>[{DS}].[none:Image Path:nk]"
    changed = SOUND.replace(
        pills,
        f"<rows>([{DS}].[:Measure Names] + ([{DS}].[Latitude (generated)] + "
        f"[{DS}].[Multiple Values])) * [{DS}].[none:Image Path:nk]",
    )
    changed = changed.replace(
        "<datasources>", "<!-- build 20251.25 --><_.fcp.AnimationOnByDefault.true...style /><datasources>", 1
    )
    assert changed.count("Measure Names") == 1
    assert findings(changed, tmp_path) == []


def test_a_column_of_an_object_that_is_not_there(tmp_path: Path) -> None:
    """Metadata records and object graph must have one id."""
    record = "<metadata-record class='column'><object-id>[{}]</object-id></metadata-record>"
    record = f"<metadata-records>{record}</metadata-records>"
    graph = "<object-graph><objects><object id='E_1' /></objects></object-graph>"
    texts = [
        SOUND.replace("</connection>\n      <column", f"{record.format(name)}</connection>{graph}<column")
        for name in ("E_1", "E_2")
    ]
    assert [[found.code for found in findings(text, tmp_path)] for text in texts] == [[], ["object-id"]]


@pytest.mark.parametrize(
    ("connection", "code"),
    [
        ("<connection class='hyper' dbname='Data/Extracts/other.hyper' />", "extract-missing"),
        ("<connection class='textscan' directory='C:/Users/ann' filename='x.csv' />", "csv-folder"),
    ],
)
def test_files_that_are_not_packed(connection: str, code: str, tmp_path: Path) -> None:
    """Whoever gets the package has no rows."""
    book = Book([Calc("Calculation_1", ASK)], connection=connection)
    with opened(book.twbx(tmp_path, {"Data/Extracts/images.hyper": b""}), Limits()) as package:
        assert code in [found.code for found in check(package, Options()).findings]


@pytest.mark.parametrize(("content", "codes"), [(b"Hyper", []), (b"no Hyper file", ["extract-damaged"]),
                                                (b"", ["extract-damaged"])])
def test_a_packed_extract_that_is_none(content: bytes, codes: list[str], tmp_path: Path) -> None:
    """Tableau opens none of them, whether or not a field asks for its rows."""
    with opened(Book([]).twbx(tmp_path, {"Data/Extracts/images.hyper": content}), Limits()) as package:
        assert [found.code for found in check(package, Options()).findings] == codes


@pytest.mark.parametrize(("content", "text"), [
    (None, "does not lie beside"), (b"no", "is no Hyper file"), (b"Hyper", "")])
@pytest.mark.parametrize("calcs", [[], [Calc("Calculation_1", ASK)]])
def test_rows_of_a_bare_workbook_that_are_none(content: bytes | None, text: str, calcs: list[Calc],
                                               tmp_path: Path) -> None:
    """A note, without --run, too: also where no field asks for the rows."""
    if content is not None:
        (tmp_path / "Data" / "Extracts").mkdir(parents=True)
        (tmp_path / "Data" / "Extracts" / "images.hyper").write_bytes(content)
    with opened(Book(calcs).twb(tmp_path), Limits()) as package:
        found = check(package, Options()).findings
    if calcs and content:  # whatever Hyper says
        text = "The rows inside are not read"
    assert [(one.code, text in one.text) for one in found] == ([("extract-unreadable", True)] if text else [])


@pytest.mark.parametrize("path", ["x" * 5000, "../a.hyper", ""])
def test_an_extract_at_an_odd_place(path: str, tmp_path: Path) -> None:
    """Is said, however it is written."""
    book = Book([], connection=f"<connection class='hyper' dbname='{path}' />")
    with opened(book.twb(tmp_path), Limits()) as package:
        assert [one.code for one in check(package, Options()).findings] == ["extract-unreadable"]


def test_the_script_of_a_table_extension_is_looked_at(tmp_path: Path) -> None:
    """It asks endpoints, too."""

    def text(script: str) -> str:
        node = f"<object caption='Table Extension'><script-code>{script}</script-code></object>"
        return SOUND.replace("</datasource>\n  </datasources>", f"{node}</datasource></datasources>")

    scripts = (
        "return tabpy.query('image_table', _arg1)['response']",
        "return tabpy.query('image_table', _arg1)",
        "x = 1",
        "(",
    )
    assert [[found.code for found in findings(text(script), tmp_path)] for script in scripts] == [
        [],
        ["missing-response"],
        ["no-return"],
        ["script-syntax"],
    ]


SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:user="http://www.tableausoftware.com/xml/user">
  <xs:import namespace="http://www.tableausoftware.com/xml/user"/>
  <xs:import namespace="http://www.w3.org/XML/1998/namespace"/>
  <xs:import namespace="urn:elsewhere" schemaLocation="http://127.0.0.1:9/never.xsd"/>
  <xs:element name="workbook"><xs:complexType><xs:sequence>
    <xs:element name="datasources" minOccurs="0"><xs:complexType><xs:sequence/></xs:complexType></xs:element>
    <xs:element name="explain-data"/></xs:sequence>
    <xs:attribute name="version" use="required"/><xs:attribute ref="xml:base"/>
    <xs:attributeGroup ref="user:UserAttributes-AG"/></xs:complexType></xs:element>
</xs:schema>"""
"""In the form of the published ones: two imports without a place."""


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ("<explain-data/>", []),
        ("", ["schema-known"]),
        ("<datasources/>", ["schema-known"]),
        ("<x/>", ["schema-invalid"]),
        ("<_.fcp.New.true...x/>", []),
    ],
)
def test_the_schema_is_asked(body: str, codes: list[str], tmp_path: Path) -> None:
    """What Tableau's own files break is a note or nothing."""
    (tmp_path / "twb.xsd").write_text(SCHEMA)
    xml = (
        f"<workbook version='26.1' user:a='1' xmlns:user='http://www.tableausoftware.com/xml/user'>{body}</workbook>"
    )
    assert [found.code for found in findings(xml, tmp_path, tmp_path / "twb.xsd")] == codes


@pytest.mark.parametrize(
    "write",
    [
        lambda path: path.unlink(missing_ok=True),
        lambda path: path.mkdir(),
        lambda path: path.write_text("no schema"),
        lambda path: path.write_text("<workbook/>"),
        lambda path: path.write_text("<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>"),
    ],
)
def test_what_is_no_schema_is_refused(write: Callable[[Path], None], tmp_path: Path) -> None:
    """With what to name instead."""
    write(tmp_path / "twb.xsd")
    with pytest.raises(UnreadableError, match=r"name a twb_.*\.xsd"):
        findings(SOUND, tmp_path, tmp_path / "twb.xsd")


def test_many_errors_are_cut(tmp_path: Path) -> None:
    """Twenty, and how many more."""
    (tmp_path / "twb.xsd").write_text(SCHEMA)
    wrong = " ".join(f"a{number}=''" for number in range(30))
    found = findings(f"<workbook version='26.1' {wrong}><explain-data/></workbook>", tmp_path, tmp_path / "twb.xsd")
    assert (len(found), {one.code for one in found}, found[-1].text) == (
        21,
        {"schema-invalid"},
        "The schema allows something else: and 10 more.",
    )
