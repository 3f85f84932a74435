"""How many requests Tableau sends, counted in a real Hyper extract by how a field is addressed."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from books import CELL, DS, Book, Calc, along, hyper

from workbooks.check.command import Options, check
from workbooks.check.counting import Count, count, count_findings
from workbooks.check.document import parsed
from workbooks.check.extract import INSTALL, Extract, unpacked
from workbooks.check.fields import fields
from workbooks.check.package import Limits, opened
from workbooks.check.reading import read
from workbooks.check.report import Report
from workbooks.check.view import usages

ROOT = Path(__file__).resolve().parents[2]
ASK = "SCRIPT_STR(\"return tabpy.query('image_label', _arg1)['response']\", ATTR([Image Path]))"
ASKED = Calc("Calculation_1", ASK, caption="Asked", default="")
COLUMNS = {"Image Path": "string", "Group": "string", "Number": "integer", "Day": "date"}
BOOK = Book([ASKED], columns=COLUMNS)


def across(kind: str) -> str:
    """Relative addressing."""
    return f"<table-calc ordering-type='{kind}' />"


def members(*values: str) -> str:
    """A list of members, as Tableau keeps it."""
    parts = "".join(
        f"<groupfilter function='member' level='[none:Group:nk]' member='&quot;{value}&quot;' />" for value in values
    )
    return parts if len(values) == 1 else f"<groupfilter function='union'>{parts}</groupfilter>"


def kept(inner: str, column: str = "[none:Group:nk]", kind: str = "categorical", more: str = "") -> str:
    """A sheet's filter."""
    return f"<filter class='{kind}' column='[{DS}].{column}' {more}>{inner}</filter>"


@pytest.fixture(scope="module")
def extract(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures in three groups, each picture twice."""
    rows = range(48)
    return hyper(
        tmp_path_factory.mktemp("extract") / "images.hyper",
        {
            "Image Path": [f"{row % 24}.png" for row in rows],
            "Group": ["abc"[row % 3] for row in rows],
            "Number": list(rows),
        },
    )


def report(book: Book, extract: Path, folder: Path, **options: Any) -> Report:
    """The check of a package with that extract."""
    with opened(book.twbx(folder, {"Data/Extracts/images.hyper": extract}), Limits()) as package:
        return check(package, Options(**options))


@pytest.fixture(scope="module")
def rows(extract: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Extract]:
    """The extract as a check opens it, once for all: each question starts a Hyper."""
    path = BOOK.twbx(tmp_path_factory.mktemp("rows"), {"Data/Extracts/images.hyper": extract})
    with opened(path, Limits()) as package:
        where = read(parsed(package.xml, "book.twb")).datasources[DS].extract
        assert where is not None
        with unpacked(package, where) as found:
            yield found


def counted(book: Book, rows: Extract) -> tuple[list[tuple[int | None, int | None]], list[str]]:
    """Requests and marks of each use, and the codes of what is wrong."""
    counts = figures(book, rows)
    codes = [said.code for one in counts for said in count_findings(one, most=1)]
    return [(one.requests, one.marks) for one in counts], codes


def figures(book: Book, rows: Extract) -> list[Count]:
    """Each use of each field."""
    workbook = read(parsed(book.xml().encode(), "book.twb"))
    return [count(workbook, usage, rows) for usage in usages(workbook, list(fields(workbook)))]


G, P = "Group", "Image Path"
CASES: Sequence[tuple[str, dict[str, Any], tuple[int, int], list[str]]] = [
    ("one dimension, along it", {}, (1, 24), []),
    ("by Cell", {"table_calc": CELL}, (24, 24), ["addressing-cell"]),
    ("two dimensions, along one", {"rows": (G, P)}, (3, 24), ["several-requests"]),
    ("two dimensions, along both", {"rows": (G, P), "table_calc": along(G, P)}, (1, 24), []),
    (
        "restarting every group",
        {
            "rows": (G, P),
            "table_calc": along(G, P).replace("ordering-type", f"level-break='[{DS}].[Group]' ordering-type"),
        },
        (3, 24),
        ["several-requests"],
    ),
    ("along the other one", {"rows": (G, P), "table_calc": along(G)}, (24, 24), ["several-requests"]),
    ("Table (across), the paths on Columns", {"rows": (), "cols": (P,), "table_calc": across("Rows")}, (1, 24), []),
    ("Table (across), the paths on Rows", {"table_calc": across("Rows")}, (24, 24), ["several-requests"]),
    ("Table (down), the paths on Rows", {"table_calc": across("Columns")}, (1, 24), []),
    ("Table (across then down)", {"rows": (G,), "cols": (P,), "table_calc": across("Table")}, (1, 24), []),
    ("Pane (down)", {"rows": (G, P), "table_calc": across("ColumnInPane")}, (3, 24), ["several-requests"]),
    (
        "on Detail, Table (across)",
        {"rows": (), "detail": (P,), "table_calc": across("Rows")},
        (24, 24),
        ["several-requests"],
    ),
    ("on Detail, along it", {"rows": (), "detail": (P,)}, (1, 24), []),
    ("nothing says how", {"table_calc": ""}, (24, 24), ["addressing-missing", "several-requests"]),
    (
        "along a field that is not in the view",
        {"table_calc": along("Number")},
        (24, 24),
        ["addressing-absent", "several-requests"],
    ),
    ("each row a mark", {"rows": (), "is_aggregated": False, "table_calc": across("Rows")}, (1, 48), []),
    (
        "each row a mark, by group",
        {"rows": (G,), "is_aggregated": False, "table_calc": across("Rows")},
        (3, 48),
        ["several-requests"],
    ),
    ("no dimension: one mark", {"rows": (), "table_calc": across("Rows")}, (1, 1), []),
    ("the paths not in the view", {"rows": (G,), "table_calc": along(G)}, (1, 3), ["attribute-null"]),
    ("one group kept", {"filters": kept(members("a"))}, (1, 8), []),
    ("two groups kept", {"filters": kept(members("a", "b"))}, (1, 16), []),
    (
        "one group left out",
        {
            "filters": kept(
                f"<groupfilter function='except'><groupfilter function='level-members' "
                f"level='[none:Group:nk]' />{members('a')}</groupfilter>"
            )
        },
        (1, 16),
        [],
    ),
    (
        "all members",
        {"filters": kept("<groupfilter function='level-members' level='[none:Group:nk]' />")},
        (1, 24),
        [],
    ),
    (
        "a range",
        {
            "filters": kept(
                "<min>0</min><max>9</max>", "[none:Number:qk]", "quantitative", "included-values='in-range'"
            )
        },
        (1, 10),
        [],
    ),
    ("a condition, which only Tableau applies", {"filters": kept("<groupfilter function='filter' />")}, (1, 24), []),
]


@pytest.mark.parametrize(
    ("changes", "expected", "codes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_requests_are_partitions(
    changes: dict[str, Any], expected: tuple[int, int], codes: list[str], rows: Extract
) -> None:
    """One request for each combination of the dimensions a field is not addressed along."""
    assert counted(replace(BOOK, **changes), rows) == ([expected], codes)


def test_a_field_inside_another_has_its_own_addressing(rows: Extract) -> None:
    """The pill of the outer one says how the inner one is computed."""
    outer = Calc("Calculation_2", "[Calculation_1] + '!'", default="")
    inner = f"<table-calc field='[{DS}].[Calculation_1]' ordering-type='CellInPane' />"
    book = replace(BOOK, calcs=[ASKED, outer], used=["Calculation_2"], table_calc=across("Columns") + inner)
    assert counted(book, rows) == ([(24, 24)], ["addressing-cell"])


def test_the_calculation_s_own_addressing_is_the_default(rows: Extract) -> None:
    """Where the pill says nothing."""
    book = replace(BOOK, calcs=[replace(ASKED, default=across("Columns"))], table_calc="")
    assert counted(book, rows) == ([(1, 24)], [])


@pytest.mark.parametrize(
    ("formula", "marks"),
    [
        ("[Group] + '/' + [Image Path]", 24),
        ("UPPER(LEFT([Image Path], 1))", 10),
        ("IF [Number] < 10 THEN 'a' ELSE 'b' END", 2),
        ("CASE [Group] WHEN 'a' THEN 1 WHEN 'b' THEN 2 END", 3),
        ("STR([Number] % 5)", 5),
        ("IIF([Group] IN ('a', 'b'), 1, 0)", 2),
        ("NOT CONTAINS([Image Path], '1') AND [Number] >= 2", 2),
        ("ISNULL([Group])", 1),
        ("-[Number] / 2", 48), ("[Number] ^ 0", 1),
        ("INT([Number] / 10)", 5),
        ("REPLACE([Image Path], '.png', '')", 24),
        ("// one\nIFNULL([Group], '') /* two */", 3),
    ],
)
def test_calculated_dimensions_are_computed_by_hyper(formula: str, marks: int, rows: Extract) -> None:
    """In Tableau's own language."""
    book = replace(
        BOOK,
        calcs=[replace(ASKED, formula=ASK.replace("ATTR", "MIN")), Calc("Made", formula)],
        rows=("Made",),
        table_calc=along("Made"),
        used=["Calculation_1"],
    )
    assert counted(book, rows) == ([(1, marks)], [])


@pytest.mark.parametrize(
    "formula",
    [
        "{FIXED [Group] : MIN([Number])}",
        "DATEPARSE('y', [Group])",
        "[Gone]",
        "IF",
        "#2020-01-01#",
        "ROUND()",
        "LEFT([Group])",
        "1 2",
        "[Made]",
    ],
)
def test_what_only_tableau_computes_is_not_counted(formula: str, rows: Extract) -> None:
    """One request all the same, if nothing partitions; how many marks stays open, and why."""
    book = replace(
        BOOK, calcs=[ASKED, Calc("Made", formula)], rows=("Made",), table_calc=along("Made"), used=["Calculation_1"]
    )
    (found,) = figures(book, rows)
    assert (found.requests, found.marks, bool(found.why)) == (1, None, True)


def test_without_rows_partitions_are_named(tmp_path: Path) -> None:
    """Several requests, one for each of what is named."""
    with opened(replace(BOOK, rows=(G, P)).twb(tmp_path), Limits()) as package:
        found = check(package, Options())
    beside = "Data/Extracts/images.hyper does not lie beside the workbook; save it as a .twbx."
    assert [(said.code, said.text) for said in found.findings] == [
        ("several-requests", "Tableau sends several requests for this field, one for each [Group]."),
        ("extract-unreadable", f"The rows inside are not read: {beside}"),
    ]


def test_more_requests_may_be_allowed(extract: Path, tmp_path: Path) -> None:
    """`--max-requests`, for fields that are meant to be computed by group."""
    book = replace(BOOK, rows=(G, P))
    assert [
        [said.code for said in report(book, extract, tmp_path, most_requests=most).findings] for most in (2, 3)
    ] == [["several-requests"], []]


def test_an_extract_beside_a_database_has_names_of_its_own(extract: Path, tmp_path: Path) -> None:
    """As Tableau saves one: the connection to the database stays, `<extract>` says where the rows are."""
    swapped = (("Image Path", "Group"), ("Group", "Image Path"))
    records = "".join(f"<metadata-record class='column'><remote-name>{remote}</remote-name><local-name>[{name}]"
                      "</local-name></metadata-record>" for name, remote in swapped)
    inside = ("<extract count='-1' enabled='true' units='records'><connection class='hyper' schema='Extract' "
              "tablename='Extract' dbname='Data/Extracts/images.hyper'>"
              "<relation name='Extract' table='[Extract].[Extract]' type='table' />"
              f"<metadata-records>{records}</metadata-records></connection></extract>")
    book = replace(BOOK, connection="<connection class='sqlserver' server='db' />")
    path = tmp_path / "book.twbx"
    with zipfile.ZipFile(path, "w") as archive:
        end = "</datasource>\n  </datasources>"
        archive.writestr("book.twb", book.xml().replace(end, inside + end))
        archive.write(extract, "Data/Extracts/images.hyper")
    with opened(path, Limits()) as package:
        found = [(one.requests, one.marks) for one in check(package, Options()).counts[0]]
    assert found == [(1, 3)]  # the three groups, which this data source calls paths


def test_without_pantab_the_rest_goes_on(tmp_path: Path) -> None:
    """What it needs is said, and how to get it; nothing is imported in vain."""
    path = BOOK.twbx(tmp_path, {"Data/Extracts/images.hyper": b"", "x.txt": b""})
    code = "import sys; sys.modules['pantab'] = None; from workbooks.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "check", str(path), "--tabpy", "http://127.0.0.1:9", "--run", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = json.loads(done.stdout)
    (sheet,) = found["fields"][0]["sheets"]
    assert (done.returncode, sheet["requests"], sheet["marks"], done.stderr) == (1, 1, None, "")
    assert [one["text"] for one in found["said"] if one["code"] == "extract-unreadable"] == [
        f"The rows inside are not read: {INSTALL}."]


def test_a_text_file_in_the_package_is_counted(tmp_path: Path) -> None:
    """As a live connection to a CSV beside the workbook has it."""
    pytest.importorskip("pantab")
    connection = "<connection class='textscan' directory='.' filename='images.csv' password='' server='' />"
    book = replace(BOOK, connection=connection)
    path = book.twbx(tmp_path, {"images.csv": "\ufeffImage Path,Group\nä.png,a\n日本.png,b\n日本.png,b\n".encode()})
    with opened(path, Limits()) as package:
        found = check(package, Options())
    assert ([(one.requests, one.marks) for one in found.counts[0]], found.findings) == ([(1, 2)], [])


@pytest.mark.parametrize(
    ("content", "connection", "why"),
    [
        (b"no Hyper file", BOOK.connection, "Hyper refuses"),
        (None, BOOK.connection, "is not in the package"),
        (b"", BOOK.connection.replace("class='hyper'", "class='dataengine'"), ".tde"),
        (None, "<connection class='sqlserver' server='db' />", "not in the workbook"),
    ],
)
def test_what_cannot_be_read_is_said(content: bytes | None, connection: str, why: str, tmp_path: Path) -> None:
    """And the rest of the check goes on."""
    pytest.importorskip("pantab")
    files = {} if content is None else {"Data/Extracts/images.hyper": content}
    with opened(replace(BOOK, connection=connection).twbx(tmp_path, files), Limits()) as package:
        (found,) = check(package, Options()).counts[0]
    assert (found.requests, found.marks, why in found.why) == (1, None, True)


def test_a_bare_workbook_reads_beside_itself_and_nowhere_else(extract: Path, tmp_path: Path) -> None:
    """A path the workbook names is followed inside its own folder only."""
    folder = tmp_path / "本 s"
    (folder / "Data" / "Extracts").mkdir(parents=True)
    (folder / "Data" / "Extracts" / "images.hyper").write_bytes(extract.read_bytes())
    (tmp_path / "outside.hyper").write_bytes(extract.read_bytes())
    books = [
        BOOK,
        *(
            replace(BOOK, connection=BOOK.connection.replace("Data/Extracts/images.hyper", path))
            for path in ("../outside.hyper", str(tmp_path / "outside.hyper"), "Data\\Extracts\\images.hyper")
        ),
    ]
    marks = []
    for book in books:
        with opened(book.twb(folder), Limits()) as package:
            marks.append(check(package, Options()).counts[0][0].marks)
    assert marks == [24, None, None, 24]
