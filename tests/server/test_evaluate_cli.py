"""`run.py models evaluate`: the shipped model measured again, and one sentence for what cannot be measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from models import digits
from models.evaluation.files import DATA_FILE, PAGE_FILE, TABLES
from models.registry import Registry
from server.models_cli import main

STORE = Path(__file__).parents[2] / "models" / "store"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Held-out digits as files in class folders, and one that is no picture."""
    folder = tmp_path_factory.mktemp("手書き 数字")
    for name, data, label in digits.held_out()[:60]:
        (folder / label).mkdir(exist_ok=True)
        (folder / label / name).write_bytes(data)
    (folder / "3" / "壊れた.png").write_bytes(b"no picture")
    return folder


def _json(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["evaluate", *words, "--json"]) == 0
    content: dict[str, Any] = json.loads(capsys.readouterr().out)
    return content


def test_the_shipped_model_is_as_good_as_its_card_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The command of the README: accuracy, log-loss and calibration of the pictures that were held out, without Keras'
    help."""
    found = _json(capsys, "digits@1", "sklearn:digits")
    card = Registry([STORE]).resolve("digits@1").spec.about["measured"]["test"]
    assert found["subject"] == {"model": "digits@1", "source": "sklearn:digits",
                                "part": "its test part, kept from training", "engine": "onnxruntime"}
    assert found["pictures"] == card["pictures"]
    assert found["accuracy"]["value"] == pytest.approx(card["accuracy"], abs=1e-5)
    assert found["after"]["log_loss"] == pytest.approx(card["log_loss"], abs=1e-4)
    assert found["after"]["calibration_error"] == pytest.approx(card["calibration_error"], abs=1e-3)
    assert found["before"]["calibration_error"] > found["after"]["calibration_error"]


def test_files_are_written_and_the_figures_said(pictures: Path, tmp_path: Path,
                                                capsys: pytest.CaptureFixture[str]) -> None:
    """A folder with a Japanese name and a picture that cannot be read: it is left out and named."""
    out = tmp_path / "結果"
    assert main(["evaluate", "digits", str(pictures), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == sorted([*TABLES, DATA_FILE, PAGE_FILE])
    assert "accuracy 100.00%, 95 % interval 93.98% to 100.00%" in said
    assert "wrong: 0 of 60 pictures" in said
    assert "unreadable: 3/壊れた.png:" in said
    assert "数字" in (out / PAGE_FILE).read_text(encoding="utf-8")


def test_answers_are_those_of_serving(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Confidences equal those of the pipeline that serves, picture by picture; labels turned make all of them wrong."""
    labels = ",".join(digits.LABELS[1:] + digits.LABELS[:1])
    mistakes = _json(capsys, "digits@1", str(pictures), "--labels", labels)["mistakes"]
    served = _served(sorted(pictures / one["picture"] for one in mistakes))
    ours = {one["picture"]: (digits.LABELS[one["answer"]], one["confidence"]) for one in mistakes}
    assert len(ours) == 60
    for path, said in served.items():
        label, confidence = ours[path.relative_to(pictures).as_posix()]
        assert (label, confidence) == (said[0], pytest.approx(said[1], abs=1e-3))


def _served(paths: list[Path]) -> dict[Path, tuple[str, float]]:
    """What the engine and the form of stored answers make of the files, one by one."""
    from models.calibration import calibrate
    from models.picture import read_picture
    from server.engine import open_engine
    from server.ranking import Rankings
    from server.settings import Settings

    version = Registry([STORE]).resolve("digits@1")
    engine = open_engine(version, Settings(store=STORE))
    answers = {}
    for path in paths:
        pixels = read_picture(path.read_bytes(), size=32, channels=1, resize=version.spec.resize).pixels[None]
        ranking = Rankings.of(calibrate(engine.run(pixels)["probabilities"], version.spec.temperature))
        answers[path] = (version.spec.labels[int(ranking.order[0, 0])], float(ranking.probabilities[0, 0]))
    return answers


@pytest.mark.parametrize(("words", "expected"), [
    (["digits@9", "sklearn:digits"], "There is no digits@9. digits has: 1"),
    (["digits", "nowhere"], "nowhere: there is no such file or folder."),
    (["digits", "sklearn:digits", "--labels", "a,b"], "--labels names 2 classes, sklearn:digits has 10"),
    (["digits", "sklearn:digits", "--part", "validation"], "has no picture in its validation part"),
])
def test_what_cannot_be_measured_is_one_sentence(words: list[str], expected: str, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1, nothing written, no traceback."""
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", *words]) == 1
    said = capsys.readouterr().err
    assert expected in said
    assert len(said.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_no_tensorflow_is_loaded() -> None:
    """A machine that only serves can measure."""
    code = ("import sys; from server.models_cli import main; main(['evaluate', 'digits', 'sklearn:digits', '--json']);"
            "print([name for name in ('keras', 'tensorflow') if name in sys.modules], file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=True)
    assert done.stderr.strip().splitlines()[-1] == "[]"
