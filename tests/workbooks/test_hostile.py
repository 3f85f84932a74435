"""A workbook is somebody else's file: what is refused is refused with a sentence; nothing makes the check fall over."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from books import Book, Calc, along

from workbooks.check.command import Options, check
from workbooks.check.errors import UnreadableError
from workbooks.check.package import Limits, opened
from workbooks.check.report import Report

ASK = "SCRIPT_STR(\"return tabpy.query('image_label', _arg1)['response']\", ATTR([Image Path]))"
XML = Book([Calc("Calculation_1", ASK)]).xml()
LAUGHS = (
    "<!DOCTYPE w [<!ENTITY a 'ha'>"
    + "".join(f"<!ENTITY {b} '{('&' + a + ';') * 10}'>" for a, b in zip("abcdefghi", "bcdefghij", strict=True))
    + "]><workbook><x>&j;</x></workbook>"
)


def checked(path: Path, limits: Limits | None = None) -> Report:
    """The report of a file."""
    with opened(path, limits or Limits()) as package:
        return check(package, Options())


def refused(path: Path, limits: Limits | None = None) -> str:
    """The sentence that refuses it."""
    with pytest.raises(UnreadableError) as caught:
        checked(path, limits)
    return str(caught.value)


@pytest.mark.parametrize(
    "xml",
    [
        LAUGHS,
        "<!DOCTYPE workbook><workbook/>",
        "<!DOCTYPE workbook SYSTEM 'http://127.0.0.1:9/x.dtd'><workbook/>",
        "<?xml version='1.0'?>\n<!-- a -->\n<?pi x?><!DOCTYPE w [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><workbook>&x;</workbook>",
        "<!DOCTYPE w [<!ENTITY % p SYSTEM 'file:///etc/passwd'>%p;]><workbook a='1'/>",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_doctype_is_refused_before_anything_is_expanded(tmp_path: Path, xml: str, encoding: str) -> None:
    """Entities, external references, billion laughs; in any encoding."""
    path = tmp_path / "book.twb"
    path.write_bytes(xml.encode(encoding))
    assert "has a DOCTYPE" in refused(path)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is not well-formed XML"),
        (b"\0\0\0\0", "is not well-formed XML"),
        (b"no xml", "is not well-formed XML"),
        (b"<workbook>", "is not well-formed XML"),
        (b"<html/>", "but no workbook"),
        (b"PK", "is a damaged zip"),
        (b"PK\x03\x04" + b"\0" * 50, "is a zip without|damaged zip"),
        (b"<?xml version='1.0' encoding='klingon'?><workbook/>", "names an encoding that is not known"),
        (b"<?xml version='1.0' encoding='zip'?><workbook/>", "names an encoding that is not known"),
        (b"<?xml version='1.0' encoding='undefined'?><workbook/>", "save it as UTF-8"),
        (b"<?xml version='1.0' encoding='utf-8'?><workbook a='\xff'/>", "save it as UTF-8"),
        (b"\xff\xfe<\0w\0o", "not well-formed|save it as UTF-8"),
        (b"<workbook>" * 5000 + b"</workbook>" * 5000, "is not well-formed XML"),
        (b"<workbook a='" + b"x" * 11_000_000 + b"'/>", "is not well-formed XML"),
        (b"<workbook>&nbsp;</workbook>", "is not well-formed XML"),
    ],
)
def test_what_is_no_workbook_is_refused(tmp_path: Path, data: bytes, sentence: str) -> None:
    """In one sentence."""
    path = tmp_path / "book.twb"
    path.write_bytes(data)
    assert any(part in refused(path) for part in sentence.split("|"))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "shift_jis", "windows-1252", "gb18030"]
)
def test_encodings_that_are_what_they_say(tmp_path: Path, encoding: str) -> None:
    """Tableau writes UTF-8; editors write others."""
    path = tmp_path / "book.twb"
    path.write_bytes(XML.replace("encoding='utf-8'", f"encoding='{encoding.removesuffix('-sig')}'").encode(encoding))
    assert [one.label for one in checked(path).fields] == ["[Calculation_1]"]


@pytest.mark.parametrize(
    "name", ["../book.twb", "/etc/book.twb", "C:/book.twb", "a/../../book.twb", "..\\book.twb", "Data/../../x.hyper"]
)
def test_a_package_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    """As a whole, whichever member it is."""
    assert "points outside the package" in refused(Book([]).twbx(tmp_path, {name: b"<workbook/>"}))


def write_twice(archive: zipfile.ZipFile) -> None:
    """One name twice, in another case."""
    archive.writestr("Book.twb", XML)
    archive.writestr("book.TWB", XML)


def write_link(archive: zipfile.ZipFile) -> None:
    """A symbolic link."""
    link = zipfile.ZipInfo("Data/x.hyper")
    link.external_attr = 0o120777 << 16
    archive.writestr(link, "/etc/passwd")


def write_bomb(archive: zipfile.ZipFile) -> None:
    """30 MB of nothing in 30 kB."""
    archive.writestr("Data/x.hyper", b"\0" * 30_000_000)


def write_many(archive: zipfile.ZipFile) -> None:
    """More files than a workbook has."""
    for number in range(20_001):
        archive.writestr(zipfile.ZipInfo(f"{number}"), b"")


@pytest.mark.parametrize(
    ("write", "sentence"),
    [
        (write_twice, "is there twice"),
        (write_link, "is a link"),
        (write_bomb, "times its size"),
        (write_many, "20,001 files"),
        (lambda archive: archive.writestr("x.txt", "x"), "without a .twb"),
    ],
)
def test_odd_packages_are_refused(tmp_path: Path, write: Callable[[zipfile.ZipFile], None], sentence: str) -> None:
    """Before anything is unpacked."""
    path = tmp_path / "book.twbx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        write(archive)
    assert sentence in refused(path)


def test_an_encrypted_package_is_refused(tmp_path: Path) -> None:
    """The flag alone is enough."""
    path = Book([]).twbx(tmp_path, {})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    assert "is encrypted" in refused(path)


def test_a_size_that_lies_is_counted(tmp_path: Path) -> None:
    """The zip says 10 bytes and has more: it is damaged, and no more than the limit is ever read."""
    path = Book([Calc("Calculation_1", ASK)]).twbx(tmp_path, {})
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02") + 24
    data[place : place + 4] = (10).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    assert refused(path)


def test_limits_are_said_with_their_flags(tmp_path: Path) -> None:
    """And a larger one lets it through."""
    path = tmp_path / "book.twb"
    path.write_text(XML.replace("</workbook>", "<!--" + "x" * 1_100_000 + "--></workbook>"), encoding="utf-8")
    assert "--max-mb" in refused(path, Limits(workbook_mb=1))
    assert "--max-mb" in refused(
        Book([], more="<!--" + "x" * 1_100_000 + "-->").twbx(tmp_path, {}), Limits(workbook_mb=1)
    )
    assert "--max-package-mb" in refused(Book([]).twbx(tmp_path, {"x": b"x" * 1_100_000}), Limits(package_mb=1))
    assert checked(path).fields


@pytest.mark.parametrize(
    "script",
    [
        "(" * 100_000,
        "-" * 100_000 + "1",
        "return a" + ".b" * 100_000,
        "1" + "+1" * 100_000,
        "x" * 600_000,
        "f'" + "{" * 2_000 + "'",
        "\0",
        "\ud83d",
        "if 1:",
        "\\",
    ],
)
def test_scripts_that_break_parsers(tmp_path: Path, script: str) -> None:
    """Python's own limits are met with a finding."""
    text = script.replace('"', '""').encode("utf-8", "replace").decode().replace("\0", "")
    path = Book([Calc("Calculation_1", f'SCRIPT_STR("{text}", MIN([Image Path]))')]).twb(tmp_path)
    assert {found.code for found in checked(path).findings} & {"script-syntax", "no-return"}


def test_calculations_in_circles_end(tmp_path: Path) -> None:
    """Tableau refuses them; the check goes on."""
    calcs = [
        Calc("A", f"[B] + {ASK}"),
        Calc("B", "[A]"),
        Calc("C", "[C]"),
        *(Calc(f"D{n}", f"[D{n + 1}]") for n in range(200)),
        Calc("D200", "[Image Path]"),
        Calc("E", ASK.replace("ATTR([Image Path])", "[D0]")),
    ]
    assert [one.label for one in checked(Book(calcs, table_calc=along("Image Path")).twb(tmp_path)).fields] == [
        "[A]",
        "[E]",
    ]


def test_calculations_that_name_others_many_times_end(tmp_path: Path) -> None:
    """Forty levels of a sum of two would be 2 to the 40 terms."""
    calcs = [
        *(Calc(f"D{n}", f"[D{n + 1}] + [D{n + 1}]") for n in range(40)),
        Calc("D40", "[Image Path]"),
        Calc("E", ASK.replace("ATTR([Image Path])", "[D0]")),
        Calc("F", ASK.replace("[Image Path]", "[D0]")),
    ]
    found = [(one.where, one.code) for one in checked(Book(calcs).twb(tmp_path)).findings]
    assert found == [("[E]", "unwrapped-field"), ("'Images'", "extract-unreadable")]


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    """With what to name instead."""
    assert "name a .twb or .twbx file" in refused(tmp_path)
    assert "name a .twb or .twbx file" in refused(tmp_path / "missing.twb")
    assert "name a .twb or .twbx file" in refused(Path("a\0b.twb"))
