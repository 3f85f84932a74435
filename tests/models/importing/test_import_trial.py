"""Which scaling a network wants, and what its numbers are: told by what it answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from networks import COLOURS, colour_bias, colour_kernel, write_colours
from numpy.typing import NDArray

from models.errors import ModelError
from models.importing.check_folder import CheckSet, folder_names, read_check
from models.importing.ends import End, end_of, finished
from models.importing.scalings import scalings, usual_scaling
from models.importing.trial import Trial, try_scalings


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> CheckSet:
    """Forty pictures of five colours."""
    return read_check(write_colours(tmp_path_factory.mktemp("check") / "写真"), COLOURS)


def _trial(check: CheckSet, wanted: str) -> Trial:
    """A linear network that expects the scaling `wanted`: what differs is turned back before it answers."""
    pixels = check.pixels(size=16, channels=3, resize="squash-bilinear-v1")
    rows = scalings(3)
    expected = rows[wanted]

    def answer(values: NDArray[np.float32]) -> NDArray[np.float32]:
        rgb = values[..., ::-1] if expected.is_bgr else values
        raw = (rgb - np.array(expected.offsets)) / np.array(expected.factors)
        scores = (raw / 127.5 - 1).mean(axis=(1, 2)) @ colour_kernel() + colour_bias()
        return finished(scores, End.SCORES)

    return try_scalings(answer, rows, pixels, check.classes, len(COLOURS))


@pytest.mark.parametrize("wanted", list(scalings(3)))
def test_the_scaling_that_a_network_expects_is_found(check: CheckSet, wanted: str) -> None:
    """Each of the ten, with every picture right."""
    trial = _trial(check, wanted)
    assert trial.best.scaling.name == wanted
    assert trial.best.accuracy == 1.0


def test_a_wrong_scaling_is_clearly_worse(check: CheckSet) -> None:
    """The silent fault: nothing fails, most answers are wrong."""
    accuracy = {one.scaling.name: one.accuracy for one in _trial(check, "signed").outcomes}
    assert accuracy["raw"] < 0.7
    assert accuracy["signed-bgr"] == pytest.approx(0.6)


def test_scalings_within_noise_are_named(check: CheckSet) -> None:
    """Two that answer alike on these pictures: the user is told, and what would tell them apart."""
    few = CheckSet(check.pictures[:3], check.classes[:3])
    warnings = _trial(few, "signed").warnings()
    assert "are within noise on 3 pictures: give --check more pictures" in warnings[0]


def test_a_network_that_only_guesses_is_doubted(check: CheckSet) -> None:
    """Most often the labels are in another order."""
    pixels = check.pixels(size=16, channels=3, resize="squash-bilinear-v1")
    always = np.eye(5, dtype=np.float32)[:1] * 0.9 + 0.02
    trial = try_scalings(lambda values: np.repeat(always, len(values), axis=0), scalings(3), pixels, check.classes, 5)
    assert "look at the order of the labels" in trial.warnings()[-1]


def test_scalings_are_those_of_their_libraries() -> None:
    """The figures of torchvision and of Caffe, on one pixel."""
    pixel = np.array([[[[255, 128, 0]]]], np.uint8)
    rows = scalings(3)
    np.testing.assert_allclose(rows["torch"](pixel)[0, 0, 0], [2.2489, 0.2052, -1.8044], atol=1e-4)
    np.testing.assert_allclose(rows["caffe"](pixel)[0, 0, 0], [-103.939, 11.221, 131.32], atol=1e-3)
    assert [one.name for one in scalings(1).values()] == ["raw", "unit", "signed"]


def test_known_networks_have_their_usual_scaling() -> None:
    """By the names Keras gives them; ResNet50V2 is no ResNet50."""
    found = [usual_scaling([name], "unit")[0] for name in ("mobilenetv2_1.00_224", "resnet50", "resnet50v2", "model_3",
                                                          "efficientnetb0", "inception_v3", "densenet121")]
    assert found == ["signed", "caffe", "signed", "unit", "raw", "signed", "torch"]


@pytest.mark.parametrize(
    ("values", "activation", "end"),
    [
        ([[0.2, 0.8], [0.9, 0.1]], None, End.PROBABILITIES),
        ([[-3.0, 2.0], [0.5, 0.1]], None, End.SCORES),
        ([[3.0, 2.0], [0.5, 0.1]], None, End.SCORES),
        ([[-0.2, -1.7], [-2.3, -0.1]], "linear", End.SCORES),
        ([[0.2], [0.9]], None, End.SIGMOID),
        ([[0.2], [0.9]], "linear", End.SCORE),
        ([[-2.0], [7.0]], None, End.SCORE),
    ],
)
def test_the_end_of_a_network_is_recognised(values: list[list[float]], activation: str | None, end: End) -> None:
    """Logits are not mistaken for probabilities; one number stands for two labels."""
    found = end_of(np.array(values), activation)
    assert found is end
    assert finished(np.array(values), found).sum(axis=1) == pytest.approx(np.ones(2), abs=1e-5)


def test_independent_sigmoids_are_refused() -> None:
    """Several labels may be true at once: that is another question than Pixfield's."""
    for activation in ("sigmoid", None):
        with pytest.raises(ModelError, match="ends in 3 independent sigmoids"):
            end_of(np.array([[0.9, 0.8, 0.1]]), activation)


def test_a_network_that_answers_nan_is_refused() -> None:
    """Not served as zeros."""
    with pytest.raises(ModelError, match="values that are not numbers"):
        end_of(np.array([[np.nan, 0.5]]), "softmax")


def test_class_folders_are_matched_to_labels(tmp_path: Path) -> None:
    """In any case and either Unicode spelling; the folders alone are labels in Keras's order."""
    folder = write_colours(tmp_path, each=2, names={"dark": "Dark", "red": "re\u0301d"})
    found = read_check(folder, ("blue", "bright", "dark", "grey", "r\u00e9d"))
    assert sorted(found.classes.tolist()) == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert folder_names(folder) == ["Dark", "blue", "bright", "grey", "re\u0301d"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [("stray", "the folder 'stray' is none of the labels"), ("empty", "no picture in red can be read"),
     ("few", "has 5 pictures that can be read; expected at least 8")],
)
def test_a_check_folder_that_does_not_fit_is_refused(tmp_path: Path, change: str, sentence: str) -> None:
    """A folder nobody knows; a class without a picture; too few pictures for a golden set."""
    folder = write_colours(tmp_path, each=1)
    if change == "stray":
        (folder / "stray").mkdir()
    elif change == "empty":
        next((folder / "red").iterdir()).write_bytes(b"no picture")
    with pytest.raises(ModelError, match="--check") as caught:
        read_check(folder, COLOURS)
    assert sentence in str(caught.value)


def test_a_flat_folder_is_refused(tmp_path: Path) -> None:
    """Pictures without classes tell nothing."""
    with pytest.raises(ModelError, match="has 0 folders; expected one for each"):
        folder_names(tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        folder_names(tmp_path / "nowhere")


def test_a_scaling_that_the_user_names_is_doubted_where_it_is_worse(check: CheckSet) -> None:
    """--scale is obeyed; the pictures speak against it."""
    trial = _trial(check, "signed")
    (doubt,) = trial.doubts_about(scalings(3)["raw"])
    assert doubt.startswith("--scale raw is right on ")
    assert doubt.endswith("%, signed on 100.0% of 40 pictures.")
    assert trial.doubts_about(scalings(3)["signed"]) == []
