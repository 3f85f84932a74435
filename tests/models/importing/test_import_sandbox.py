"""The child process that reads a foreign file: whatever it does, the user gets one sentence in bounded time."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from models.cli import main
from models.errors import ModelError
from models.importing.order import Order
from models.importing.sandbox import Bounds, import_apart

AMPLE = Bounds(60.0, 4000)


def _order(tmp_path: Path) -> Order:
    return Order(file=tmp_path / "モデル.h5", name="m", root=tmp_path, labels=("猫", "犬"), check=tmp_path / "写真")


def _child(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_an_order_survives_the_way_to_the_child(tmp_path: Path) -> None:
    """Paths, Japanese, and what is not given."""
    order = _order(tmp_path)
    assert Order.from_json(order.to_json()) == order


@pytest.mark.parametrize(
    ("code", "bounds", "sentence"),
    [
        ("import os; os.abort()", AMPLE, "ends its reader (status "),
        ("print('no answer at all')", AMPLE, "ends its reader (status 0)"),
        ("import time; time.sleep(60)", Bounds(0.3, 4000), "takes longer than 0.3 s (--max-s); nothing was imported"),
        ("import time; x = bytearray(300_000_000); time.sleep(60)", Bounds(60.0, 200),
         "takes more than 200 MB of memory (--max-mb)"),
        ("import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])",
         Bounds(1.0, 4000), "takes longer than 1 s"),
    ],
    ids=["crash", "silence", "hang", "memory", "grandchild"],
)
def test_a_child_that_fails_is_one_sentence(tmp_path: Path, code: str, bounds: Bounds, sentence: str) -> None:
    """A crash, silence, a hang, too much memory, and a hang in a child of its own."""
    with pytest.raises(ModelError) as caught:
        import_apart(_order(tmp_path), bounds, command=_child(code))
    assert str(caught.value).startswith("モデル.h5")
    assert sentence in str(caught.value)


def test_the_childs_report_arrives(tmp_path: Path) -> None:
    """And what it says in between does not disturb it."""
    code = ("import sys, json; sys.stdin.readline(); sys.stderr.write('x' * 999_999); "
            "print(json.dumps({'lines': ['猫'], 'warnings': []}))")
    assert import_apart(_order(tmp_path), AMPLE, command=(sys.executable, "-X", "utf8", "-c", code)).lines == ["猫"]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["nowhere.h5", "--name", "m"], 1, "nowhere.h5: there is no such file."),
        ([__file__, "--name", "m"], 1, "is none of .keras, .h5, .hdf5, .onnx, and no SavedModel folder."),
        ([__file__], 2, "the following arguments are required: --name"),
        ([__file__, "--name", "m", "--scale", "0..1"], 2, "invalid choice: '0..1'"),
        ([__file__, "--name", "m", "--size", "7"], 2, "no whole number from 8 to 4096"),
        ([__file__, "--name", "m", "--max-s", "nan"], 2, "'nan' is no number above 0"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    arguments: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any child is started."""
    assert main(["import", *arguments]) == status
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1


def test_a_killed_child_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither half a version nor temporary files."""
    code = ("import os, pathlib, sys, tempfile, time; place = pathlib.Path(sys.argv[1]); "
            "(place / f'.arriving-1-{os.getpid()}').mkdir(parents=True); "
            "(place.parent / 'temporary').write_text(tempfile.mkdtemp()); "
            "x = bytearray(300_000_000); time.sleep(60)")
    with pytest.raises(ModelError, match="more than 200 MB"):
        import_apart(_order(tmp_path), Bounds(60.0, 200), command=(*_child(code), str(tmp_path / "m")))
    assert not (tmp_path / "m").exists()
    assert not Path((tmp_path / "temporary").read_text()).exists()
