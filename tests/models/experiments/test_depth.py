"""The depth experiment: what it compares, what it says, what it writes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from models import digits
from models.data.loading import load
from models.errors import DataError
from models.experiments.cli import main
from models.experiments.depth import SCALES, Network, finding, parts, run
from models.experiments.depth_figure import write_csv, write_svg
from models.training.loop import Epoch


def _network(depth: int, errors: list[float], *, is_residual: bool) -> Network:
    return Network(depth, is_residual, tuple(Epoch(number, 14, 0.1, 1.0, 1 - error, 1 - error / 2, 2.0)
                                             for number, error in enumerate(errors, 1)))


def _four(plain: tuple[float, float], residual: tuple[float, float]) -> list[Network]:
    return [_network(depth, [0.5, *[error] * 5], is_residual=is_residual)
            for is_residual, pair in ((False, plain), (True, residual)) for depth, error in zip((20, 56), pair,
                                                                                             strict=True)]


@pytest.mark.parametrize(("plain", "residual", "is_seen", "said"), [
    ((0.1, 0.2), (0.09, 0.08), True, "Seen: the deeper plain network trains worse, shortcuts mend it"),
    ((0.2, 0.1), (0.09, 0.08), False, "Not seen in this run: the deeper plain network did not train worse"),
    ((0.1, 0.2), (0.09, 0.3), False, "Not seen in this run: shortcuts did not help the deeper one"),
])
def test_the_claim_is_about_training_error(plain: tuple[float, float], residual: tuple[float, float], is_seen: bool,
                                           said: str) -> None:
    """The mean of the last five epochs decides; what was not seen is said to be so."""
    seen, sentence = finding(_four(plain, residual))
    assert seen == is_seen
    assert sentence.startswith(said)
    assert f"plain-56 {plain[1]:.1%}" in sentence


def test_the_table_and_the_drawing_have_every_network(tmp_path: Path) -> None:
    """One row an epoch; the drawing is sound XML with a line for each network on each side."""
    networks = _four((0.1, 0.2), (0.09, 0.08))
    write_csv(tmp_path / "depth.csv", networks)
    write_svg(tmp_path / "depth.svg", networks)
    with (tmp_path / "depth.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    assert (rows[0]["network"], rows[0]["training_error"], rows[-1]["network"]) == ("plain-20", "0.50000", "resnet-56")
    drawing = ET.parse(tmp_path / "depth.svg").getroot()  # noqa: S314 - our own file
    assert len(drawing.findall(".//{*}polyline")) == 8


def test_data_without_a_test_part_is_refused(tmp_path: Path) -> None:
    """Errors are compared on pictures that nobody trains on."""
    data = digits.load()
    np.savez(tmp_path / "digits.npz", x=data.pixels[:100, ..., 0], y=data.classes[:100])
    with pytest.raises(DataError, match="official test part"):
        parts(load(str(tmp_path / "digits.npz")), SCALES["small"], seed=1)


def test_a_wrong_order_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a traceback."""
    assert main(["depth", "--data", "nowhere"]) == 1
    assert capsys.readouterr().err == "run.py experiment: nowhere: there is no such file or folder.\n"
    assert main(["depth", "--scale", "huge"]) == 2


@pytest.mark.usefixtures("keras")
def test_it_runs(tmp_path: Path) -> None:
    """Two shallow pairs on digits, one epoch each: the same weights at the start, a history for each."""
    data = digits.load()
    np.savez(tmp_path / "d.npz", x_train=data.pixels[:128, ..., 0], y_train=data.classes[:128],
             x_test=data.pixels[128:192, ..., 0], y_test=data.classes[128:192])
    small = SCALES["small"]
    scale = replace(small, pictures=64, judged=32, width=4, depths=(8,),
                    recipe=replace(small.recipe, epochs=1, batch_size=32))
    said: list[str] = []
    networks = run(load(str(tmp_path / "d.npz")), scale, seed=1, say=said.append)
    assert [one.name for one in networks] == ["plain-8", "resnet-8"]
    assert all(len(one.history) == 1 for one in networks)
    assert any(line.startswith("plain-8, epoch 1: training error") for line in said)
