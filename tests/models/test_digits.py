"""The digits: their split, their pictures, and the shipped model measured as a user would meet it."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from models import digits
from models.calibration import calibrate, expected_calibration_error
from models.data.digits_source import DIGITS
from models.data.loading import load
from models.golden import check_decode, check_engine
from models.onnx_export import onnx_run
from models.picture import read_picture
from models.training.material import deal
from models.version import ModelVersion


@pytest.fixture(scope="module")
def data() -> digits.Digits:
    """All 1,797."""
    return digits.load()


def test_a_fifth_of_each_class_is_held_out(data: digits.Digits) -> None:
    """Stratified: 20 % of every class, rounded."""
    for label in range(10):
        share = data.is_held_out[data.classes == label]
        assert share.sum() == round(len(share) * 0.2)


def test_the_split_is_the_one_the_model_was_trained_with(data: digits.Digits) -> None:
    """Whoever changes the split must train again: these are the held-out rows of version 1."""
    rows = ",".join(map(str, np.flatnonzero(data.is_held_out)))
    assert hashlib.sha256(rows.encode()).hexdigest().startswith(SPLIT)


SPLIT = "929443d40f4e572c"


def test_training_parts_do_not_overlap(data: digits.Digits) -> None:
    """What `train sklearn:digits` trains on, validates and tests with are together all pictures, each once."""
    source = load(DIGITS)
    dealt = deal(source, seed=1, alike=None)
    assert sorted(np.concatenate([dealt.train, dealt.validation, dealt.test])) == list(range(len(data.classes)))
    np.testing.assert_array_equal(dealt.test, np.flatnonzero(data.is_held_out))
    np.testing.assert_array_equal(source.pixels, data.pixels)
    assert source.names[7] == digits.file_name(7)


def test_the_demos_files_are_what_training_saw(data: digits.Digits) -> None:
    """Held-out PNG files, read as serving reads them, are the pixels of `load`."""
    files = digits.held_out()
    rows = np.flatnonzero(data.is_held_out)
    assert [name for name, _, _ in files] == [digits.file_name(row) for row in rows]
    assert [label for _, _, label in files] == [str(data.classes[row]) for row in rows]
    for (_, png, _), row in zip(files, rows, strict=True):
        np.testing.assert_array_equal(read_picture(png, **digits.POLICY).pixels, data.pixels[row])


def test_ink_0_to_16_is_grey_0_to_255() -> None:
    """No ink is black, all ink is white, half is in the middle; each count is a square of four pixels."""
    ink = np.zeros((8, 8), np.uint8)
    ink[0, 0], ink[7, 7] = 16, 8
    pixels = digits.enlarge(ink)
    assert pixels.shape == (32, 32)
    assert (pixels[:4, :4] == 255).all()
    assert (pixels[-4:, -4:] == 128).all()
    assert pixels.sum(dtype=int) == 16 * (255 + 128)


def test_the_digits_need_no_keras() -> None:
    """The demo writes its pictures with the serving requirements only."""
    code = ("import sys; from models import digits, registry, golden, calibration, cli; digits.held_out(); "
            "assert not {'tensorflow', 'keras', 'jax', 'torch', 'onnx'} & set(sys.modules)")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_shipped_version_is_intact_and_small(shipped: ModelVersion) -> None:
    """Every hash, and under a megabyte."""
    shipped.verify()
    assert sum(path.stat().st_size for path in shipped.folder.rglob("*") if path.is_file()) < 1_000_000
    listed = {*shipped.spec.files, "model.json"}
    assert {path.relative_to(shipped.folder).as_posix() for path in shipped.folder.rglob("*.*")} == listed


def test_the_shipped_version_decodes_and_answers_as_when_it_was_made(shipped: ModelVersion) -> None:
    """The golden check every server start makes."""
    check_decode(shipped)
    check_engine(shipped, onnx_run(shipped.folder / "model.onnx"))


def test_the_shipped_version_knows_the_held_out_digits(shipped: ModelVersion, data: digits.Digits) -> None:
    """At least 98.5 % through ONNX Runtime, as model.json says, and calibrated."""
    held_out = data.is_held_out
    answers = onnx_run(shipped.folder / "model.onnx")(data.pixels[held_out])["probabilities"]
    accuracy = float((answers.argmax(axis=1) == data.classes[held_out]).mean())
    assert accuracy >= 0.985
    assert accuracy == pytest.approx(shipped.spec.about["accuracy"], abs=1e-4)
    calibrated = calibrate(answers, shipped.spec.temperature)
    assert expected_calibration_error(calibrated, data.classes[held_out]) < 0.02


def test_the_shipped_version_was_trained_on_this_data(shipped: ModelVersion) -> None:
    """The digest of the source stands in model.json."""
    assert shipped.spec.about["data"]["sha256"] == load(DIGITS).digest
