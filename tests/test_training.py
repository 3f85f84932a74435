"""`run.py train` as a user has it: a process from a folder of pictures to a version that is served."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models import digits
from models.evaluation.evaluation import Evaluation
from models.evaluation.files import DATA_FILE, PAGE_FILE
from models.evaluation.judging import judges
from models.golden import check_decode, check_engine
from models.onnx_export import onnx_run
from models.reference.reference import read_reference
from models.registry import Registry
from models.version import ModelVersion
from server.evaluate import measure
from server.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("ゼロ", "one", "two three")
"""Class folders: Japanese, plain, and with a blank."""


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "models.training.cli", *words]


def _start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(_command(*words), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            encoding="utf-8", env=os.environ | {"PYTHONUTF8": "1"})


def _lines(child: subprocess.Popen[str]) -> Iterator[str]:
    assert child.stdout is not None
    yield from child.stdout


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty pictures of each of three digits in folders of their names, and a file that is no picture."""
    folder = tmp_path_factory.mktemp("手書き 数字")
    data = digits.load()
    for label, name in enumerate(NAMES):
        (folder / name).mkdir()
        rows = [row for row in range(len(data.classes)) if data.classes[row] == label][:80]
        for number, row in enumerate(rows):
            (folder / name / f"{number:03d}.png").write_bytes(digits.as_png(data.ink[row]))
    (folder / NAMES[1] / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the kill is a POSIX one")
def test_a_killed_training_goes_on_and_is_served(pictures: Path, tmp_path: Path) -> None:
    """kill -9 in an epoch, the same command with --resume: the choice stays, the epochs go on, the version is sound."""
    pytest.importorskip("keras", reason="Keras is not installed: only the serving requirements are")
    store, work = tmp_path / "store", tmp_path / "work"
    order = (str(pictures), "--name", "数字", "--budget", "45s", "--store", str(store), "--work", str(work))
    with _start(*order) as child:
        chosen = [line for line in _lines(child) if line.startswith("residual was best") or _kill(child, line)]
    assert chosen
    with _start(*order, "--resume") as child:
        said = list(_lines(child))
    assert child.returncode == 0, said
    assert any(line.startswith("going on with residual") for line in said)
    epochs = [line for line in said if line.startswith("epoch ")]
    assert int(epochs[0].split()[1].rstrip(":")) >= 4
    version = Registry([store]).resolve("数字")
    version.verify()
    check_decode(version)
    check_engine(version, onnx_run(version.folder / "model.onnx"), tolerance=1e-3)
    about = version.spec.about
    assert version.spec.labels == tuple(sorted(NAMES))
    assert about["accuracy"] > 0.9
    assert {row["name"] for row in about["leaderboard"]} >= {"majority class", "linear probe", "residual"}
    assert about["measured"]["test"]["pictures"] == 24
    reference = read_reference(version)
    assert reference is not None
    assert (len(reference) > 50, set(reference.labels)) == (True, set(NAMES))
    assert str(pictures.parent) not in (version.folder / "model.json").read_text(encoding="utf-8")
    assert list(work.iterdir()) == []
    _check_report(version, pictures)


def _check_report(version: ModelVersion, pictures: Path) -> None:
    """The version carries the evaluation of the pictures that judge, and serving's engine confirms it."""
    written = Evaluation.from_dict(json.loads((version.folder / DATA_FILE).read_text(encoding="utf-8")))
    asked = judges(version, str(pictures))
    again = measure(version, asked, settings=Settings(store=version.folder.parents[1]), tell=lambda _done, _all: None)
    assert {DATA_FILE, PAGE_FILE} <= set(version.spec.files)
    assert (again.pictures, again.wrong, again.accuracy) == (written.pictures, written.wrong, written.accuracy)
    assert again.after.log_loss == pytest.approx(written.after.log_loss, abs=1e-3)
    page = (version.folder / PAGE_FILE).read_text(encoding="utf-8")
    assert all(text in page for text in ("数字@1", "linear probe", "Course of the training", "unreadable"))


def _kill(child: subprocess.Popen[str], line: str) -> bool:
    if line.startswith("epoch 4:"):
        child.send_signal(signal.SIGKILL)
    return False


@pytest.mark.parametrize(("words", "expected"), [
    (["nowhere", "--name", "a"], "nowhere: there is no such file or folder."),
    ([".", "--name", "a", "--budget", "soon"], "--budget soon: expected a time such as 45s, 30m or 2h"),
    ([".", "--name", "a/b"], "'a/b' contains '/'"),
    ([".", "--name", "a", "--architecture", "resnet-21"], "There is no architecture 'resnet-21'; choose from"),
    ([".", "--name", "a", "--weights", "x.h5"], "--weights: name the network they belong to"),
    ([".", "--name", "a", "--architecture", "cnn", "--weights", "x.h5"], "--weights: cnn takes none"),
    ([".", "--name", "a", "--architecture", "MobileNetV2", "--weights", "x.h5"], "--weights x.h5: there is no such"),
    (["."], "the following arguments are required: --name"),
    ([".", "--name", "a", "--distort", "much"], "argument --distort: 'much' is no number from 0 to 1;"),
    ([".", "--name", "a", "--erase", "0.6"], "argument --erase: '0.6' is no number from 0 to 0.5;"),
    ([".", "--name", "a", "--report", "nowhere/page.html"], "'nowhere/page.html' is no file in a folder that is there"),
])
def test_a_wrong_order_is_one_sentence(words: list[str], expected: str) -> None:
    """Said before Keras is loaded, without a traceback."""
    done = subprocess.run(_command(*words), cwd=ROOT / "docs", capture_output=True, text=True, encoding="utf-8",
                          env=os.environ | {"PYTHONUTF8": "1", "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode in (1, 2)
    assert expected in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
