"""`run.py models reference`: a new version with a reference, the old one as it was."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from models import digits
from models.cli import main
from models.errors import DamagedModelError
from models.golden import check_engine
from models.onnx_export import onnx_run
from models.reference.reference import REFERENCE_FILE, read_reference
from models.registry import ModelVersion, Registry

pytest.importorskip("openTSNE", reason="openTSNE is not installed: only the serving requirements are")

NAMES = ("ゼロ", "one", "two three")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Class folders with names of their own, 60 pictures in all, one of them twice."""
    folder = tmp_path_factory.mktemp("手書き 数字")
    for label, name in enumerate(NAMES):
        (folder / name).mkdir()
        pictures = [data for _, data, truth in digits.held_out() if truth == str(label)][:20]
        for number, data in enumerate(pictures):
            (folder / name / f"{number}.png").write_bytes(data)
    shutil.copyfile(folder / "one" / "0.png", folder / "one" / "copy.png")
    return folder


@pytest.fixture
def store(tmp_path: Path, shipped: ModelVersion) -> Path:
    """A store of its own with the shipped version."""
    shutil.copytree(shipped.folder, tmp_path / "digits" / "1")
    return tmp_path


def test_the_verb_makes_the_next_version(store: Path, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same network, another reference and identity; the labels are the source's."""
    before = Registry([store]).resolve("digits@1")
    assert main(["reference", "digits@1", str(source), "--store", str(store)]) == 0
    assert capsys.readouterr().out.startswith("digits@2 is in ")
    after = Registry([store]).resolve("digits")
    after.verify()
    check_engine(after, onnx_run(after.folder / "model.onnx"))
    reference = read_reference(after)
    assert reference is not None
    assert (after.reference, set(reference.labels), len(reference)) == ("digits@2", set(NAMES), 54)
    assert after.spec.about["made_from"] == "digits@1"
    assert after.spec.digest != before.spec.digest
    assert Registry([store]).resolve("digits@1").spec.digest == before.spec.digest
    assert str(source.parent) not in (after.folder / "model.json").read_text(encoding="utf-8")


@pytest.mark.parametrize(("words", "status", "sentence"), [
    (["nothing", "{source}"], 1, "There is no model"),
    (["digits", "{source}/nowhere"], 1, "there is no such file or folder"),
    (["digits", "{source}", "--reference", "10"], 2, "'10' is no whole number from 50 to 100000"),
    (["digits"], 2, "the following arguments are required: SOURCE"),
])
def test_a_wrong_order_is_one_sentence(store: Path, source: Path, words: list[str], status: int, sentence: str,
                                       capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing is made."""
    arguments = [word.format(source=source) for word in words]
    assert main(["reference", *arguments, "--store", str(store)]) == status
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
    assert [path.name for path in (store / "digits").iterdir()] == ["1"]


def test_a_reference_of_another_network_is_refused(shipped: ModelVersion) -> None:
    """It has embeddings of another length."""
    version = replace(shipped, spec=replace(shipped.spec, outputs={**shipped.spec.outputs, "embedding": (57,)}))
    with pytest.raises(DamagedModelError, match=f"{REFERENCE_FILE} has embeddings of 56 numbers, model.json says 57"):
        read_reference(version)
