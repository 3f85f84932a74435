"""CSV files: columns found or named, paths of other machines, regions, parts, and encodings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from training_pictures import image, noise, write

from models.data.loading import load
from models.data.reading import Wishes
from models.errors import DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures, 0.png to 5.png, in a folder with a blank and Japanese in its name."""
    for index in range(6):
        write(tmp_path / "写真 2024" / f"{index}.png", index, width=32, height=32)
    return tmp_path


def _table(folder: Path, head: str, row: str, name: str = "labels.csv", encoding: str = "utf-8") -> Path:
    rows = [row.format(i=i, path=f"写真 2024/{i}.png", label="ab"[i % 2]) for i in range(6)]
    path = folder / name
    path.write_bytes("\r\n".join([head, *rows] if head else rows).encode(encoding))
    return path


@pytest.mark.parametrize(("head", "row"), [
    ("image,label", "{path},{label}"),
    ("ID;Image Path;Class", "{i};{path};{label}"),
    ("category\tfile_name", "{label}\t{path}"),
    ("ファイル名,ラベル", "{path},{label}"),
    ("species,photo", "{label},{path}"),
    ("n,where,label", "{i},{path},{label}"),
    ("", "{path},{label}"),
    ("", "{label},{path}"),
    ('"image","label"', '"{path}","{label}"'),
    ("image,label", "写真 2024\\{i}.png, {label} "),
    ("image,label", " {path} ,{label},extra"),
])
def test_columns_are_found(folder: Path, head: str, row: str) -> None:
    """By their names in any case and two languages, else by what is in them; no head is needed for two columns."""
    data = load(str(_table(folder, head, row)))
    assert (data.labels, len(data), data.problems) == (("a", "b"), 6, ())
    np.testing.assert_array_equal(data.pixels[3], noise(3, width=32, height=32))


def test_columns_may_be_named(folder: Path) -> None:
    """What a table calls otherwise, or has several of."""
    table = _table(folder, "label,x1,y1,path", "wrong,{path},{label},nowhere")
    wishes = Wishes(image_column="x1", label_column="y1")
    assert load(str(table), wishes=wishes).labels == ("a", "b")


@pytest.mark.parametrize(("head", "wishes", "expected"), [
    ("a,b,c", Wishes(), r"which column is it\? Say --label-column; there are a, b, c"),
    ("image,b,c", Wishes(), r"Say --label-column; there are image, b, c"),
    ("image,label,c", Wishes(label_column="art"), r"has no column 'art'; it has image, label, c"),
    ("image", Wishes(), r"expected a CSV file with a column of pictures and a column of labels"),
])
def test_columns_that_cannot_be_told_are_asked_for(folder: Path, head: str, wishes: Wishes, expected: str) -> None:
    """The error lists what there is."""
    with pytest.raises(DataError, match=expected):
        load(str(_table(folder, head, "{path},{label},{i}")), wishes=wishes)


@pytest.mark.parametrize(("encoding", "kinds"), [("utf-8-sig", []), ("utf-16", []), ("cp932", ["text"])])
def test_excels_encodings_are_read(folder: Path, encoding: str, kinds: list[str]) -> None:
    """With a byte order mark, or Japanese Windows's own, which is said."""
    data = load(str(_table(folder, "画像,ラベル", "{path},{label}猫", encoding=encoding)))
    assert data.labels == ("a猫", "b猫")
    assert [problem.kind for problem in data.problems] == kinds


@pytest.mark.parametrize("path", [
    "C:\\Users\\me\\写真 2024\\{i}.png", "/home/other/写真 2024/{i}.png", "\\\\nas\\share\\{i}.png", "{i}.png",
    "file:///C:/a%20b/{i}.png", "https://img.example/a/{i}.png?size=1", "file://nas/x/%E5%86%99%E7%9C%9F%202024/{i}.png",
])
def test_paths_of_other_machines_are_found_by_name_and_said(folder: Path, path: str) -> None:
    """Beside the table, by the end of the path or the name; one sentence says how many."""
    data = load(str(_table(folder, "image,label", path + ",{label}")))
    assert len(data) == 6
    problem, = data.problems
    assert problem.kind == "elsewhere"
    assert "were found by name: 6, such as " in problem.text


def test_one_name_in_two_folders_is_not_guessed(tmp_path: Path) -> None:
    """Two foreign paths that end in one name here would be the same picture with two labels."""
    for index in range(4):
        write(tmp_path / f"{index}.png", index)
    write(tmp_path / "same.png", 9)
    rows = ["image,label", *(f"{i}.png,{'ab'[i % 2]}" for i in range(4)), "C:\\a\\same.png,a", "C:\\b\\same.png,b"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    data = load(str(tmp_path / "t.csv"))
    assert len(data) == 4
    assert any("several paths of other folders end in this name" in problem.text for problem in data.problems)


def test_a_name_that_several_files_have_is_missing(tmp_path: Path) -> None:
    """Which of them is meant cannot be known."""
    for index in range(4):
        write(tmp_path / f"{index}.png", index)
    write(tmp_path / "a" / "same.png", 8)
    write(tmp_path / "b" / "same.png", 9)
    rows = ["image,label", *(f"{i}.png,{'ab'[i % 2]}" for i in range(4)), "D:\\x\\same.png,a"]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    problem, = load(str(tmp_path / "t.csv")).problems
    assert str(problem) == ("row 6 (D:\\x\\same.png): there is no picture D:\\x\\same.png, "
                            "and not just one of that name here")


def test_pictures_may_lie_in_another_folder(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """`images` is looked in first."""
    table = _table(tmp_path_factory.mktemp("elsewhere"), "image,label", "{path},{label}")
    assert len(load(str(table), wishes=Wishes(images=folder))) == 6


def test_odd_rows_are_left_out_and_named(folder: Path) -> None:
    """Blank lines cost no word; rows without a label, a picture, a file or with a wrong region do."""
    table = _table(folder, "image,label,split", "{path},{label},train")
    with table.open("a", encoding="utf-8", newline="") as file:
        file.write("\r\n\r\n写真 2024/0.png,,train\r\n,a,train\r\nnone.png,a,train\r\n")
        file.write("写真 2024/1.png,a,maybe\r\nshort\r\n")
    problems = [str(problem) for problem in load(str(table)).problems]
    assert problems == [
        "row 9 (写真 2024/0.png): has no label", "row 10: names no picture",
        "row 11 (none.png): there is no picture none.png, and not just one of that name here",
        "row 12 (写真 2024/1.png): says 'maybe'; expected train, test or validation",
        "row 13 (short): has no label",
    ]


def test_a_column_may_say_the_part(folder: Path) -> None:
    """The official split of a table."""
    table = folder / "t.csv"
    table.write_text("\n".join(["image,label,Split", *(
        f"写真 2024/{i}.png,{'ab'[i % 2]},{['Train', 'TEST', 'val'][i // 2]}" for i in range(6))]), encoding="utf-8")
    data = load(str(table))
    assert data.parts is not None
    assert data.parts.tolist() == [0, 0, 1, 1, 2, 2]


def test_votts_csv_export_is_cut_out(tmp_path: Path) -> None:
    """`image,xmin,ymin,xmax,ymax,label`: several regions of one picture; one without area is named."""
    for name in ("a.png", "b.png"):
        write(tmp_path / name, ord(name[0]), width=60, height=40)
    (tmp_path / "p-export.csv").write_text(
        '"image","xmin","ymin","xmax","ymax","label"\n"a.png",4.2,8.7,20,24,"cat"\n"a.png",30,2,46,18,"dog"\n'
        '"b.png",0,0,16,16,"cat"\n"b.png",40,20,60.5,40.2,"dog"\n"b.png",5,5,5,9,"dog"\n"b.png",70,5,80,9,"dog"\n')
    data = load(str(tmp_path / "p-export.csv"), size=16)
    expected = image(ord("a"), width=60, height=40).crop((4, 8, 20, 24))
    np.testing.assert_array_equal(data.pixels[0], np.asarray(expected))
    assert len(data) == 4
    assert [problem.text for problem in data.problems] == [
        "has no usable region (a region without area is none)", "the region lies outside the picture"]


@pytest.mark.parametrize("text", ["", "image", 'image,label\n"a,b', "\0\0", "a\n" * 3])
def test_what_is_no_table_is_one_sentence(tmp_path: Path, text: str) -> None:
    """Not a traceback."""
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DataError, match=r"t\.csv: "):
        load(str(tmp_path / "t.csv"))
