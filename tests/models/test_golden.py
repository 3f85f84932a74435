"""Golden pictures: a difference is found, and the right part is blamed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from toy import make_spec, png, toy_pictures, toy_run, write_toy

from models.errors import GoldenMismatchError
from models.golden import check_decode, check_engine, make_golden, read_golden
from models.version import ModelVersion


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    """The toy."""
    return write_toy(tmp_path)


def test_an_intact_version_passes(version: ModelVersion) -> None:
    """The same decoding and the same engine."""
    check_decode(version)
    check_engine(version, toy_run, tolerance=0.0)


def test_decoding_is_blamed_for_other_pixels(version: ModelVersion) -> None:
    """A file that decodes otherwise; the engine is not mentioned as the culprit."""
    (version.folder / "golden" / "2.png").write_bytes(png(np.full((16, 16), 9, np.uint8)))
    with pytest.raises(GoldenMismatchError, match=r"toy@1: decoding differs by \d+ of 255 levels on golden/2\.png"):
        check_decode(version)
    check_engine(version, toy_run)


def test_decoding_is_blamed_for_an_unreadable_file(version: ModelVersion) -> None:
    """A broken file is decoding's matter too."""
    (version.folder / "golden" / "2.png").write_bytes(b"no picture")
    with pytest.raises(GoldenMismatchError, match=r"decoding failed on golden/2\.png"):
        check_decode(version)


def shifted(by: float, name: str) -> Mapping[str, NDArray[np.float32]]:
    """The toy's golden answers with one output off."""
    pixels = np.stack([np.asarray(row) for row in golden_pixels()])
    outputs = toy_run(pixels)
    return {**outputs, name: outputs[name] + np.float32(by)}


def golden_pixels() -> NDArray[np.uint8]:
    """What the toy's pictures decode to."""
    return make_golden(toy_pictures(), toy_run, size=16, channels=1, resize="squash-bilinear-v1").pixels


@pytest.mark.parametrize(
    ("name", "by", "tolerance", "is_fine"),
    [
        ("probabilities", 9e-4, 1e-3, True),
        ("probabilities", 2e-3, 1e-3, False),
        ("probabilities", 1e-2, 2e-2, True),
        ("probabilities", np.nan, 1e-3, False),
        ("embedding", 4e-3, 1e-3, True),
        ("embedding", 6e-3, 1e-3, False),
    ],
)
def test_the_engine_is_blamed_beyond_the_tolerance(
    version: ModelVersion, name: str, by: float, tolerance: float, is_fine: bool
) -> None:
    """Within it all is fine; beyond it the output and the difference are named."""
    if is_fine:
        check_engine(version, lambda _: shifted(by, name), tolerance)
        return
    with pytest.raises(GoldenMismatchError, match=f"toy@1: the engine differs: {name} is off"):
        check_engine(version, lambda _: shifted(by, name), tolerance)


def test_another_winner_is_a_mismatch_however_close(version: ModelVersion) -> None:
    """A wide tolerance never lets another class win."""
    def swapped(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        outputs = toy_run(pixels)
        return {**outputs, "probabilities": outputs["probabilities"][:, ::-1]}

    with pytest.raises(GoldenMismatchError, match=r"another top class for golden/0\.png"):
        check_engine(version, swapped, tolerance=2.0)


def test_missing_or_misshapen_outputs_are_a_mismatch(version: ModelVersion) -> None:
    """An engine without an embedding is not this model's."""
    with pytest.raises(GoldenMismatchError, match="embedding has shape None"):
        check_engine(version, lambda pixels: {"probabilities": toy_run(pixels)["probabilities"]})


def test_answers_that_are_all_alike_are_refused_when_made() -> None:
    """They would confirm any engine that answers 1/C."""
    def alike(pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        return {**toy_run(pixels), "probabilities": np.full((len(pixels), 3), 1 / 3, np.float32)}

    with pytest.raises(GoldenMismatchError, match="All golden probabilities are alike"):
        make_golden(toy_pictures(), alike, size=16, channels=1, resize="squash-bilinear-v1")


def test_answers_that_are_all_alike_are_refused_when_loaded(version: ModelVersion) -> None:
    """Also in a file that somebody else made."""
    path = version.folder / "golden" / "outputs.npz"
    with np.load(path) as arrays:
        content = dict(arrays)
    content["embedding"] = np.zeros_like(content["embedding"])
    np.savez(path, **content)
    with pytest.raises(GoldenMismatchError, match="All golden embeddings are alike"):
        read_golden(version.folder, version.spec)


@pytest.mark.parametrize("count", [7, 17])
def test_a_golden_set_has_8_to_16_pictures(count: int) -> None:
    """Fewer prove little, more cost every start."""
    with pytest.raises(GoldenMismatchError, match="expected 8 to 16"):
        make_golden(toy_pictures(count), toy_run, size=16, channels=1, resize="squash-bilinear-v1")


def test_golden_outputs_of_another_network_are_refused(version: ModelVersion) -> None:
    """The shapes must be those of model.json."""
    spec = make_spec(input_size=17)
    with pytest.raises(GoldenMismatchError, match=r"pixels of shape \(16, 16, 1\); model\.json says \(17, 17, 1\)"):
        read_golden(version.folder, spec)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 torn", b"\x93NUMPY"])
def test_a_damaged_file_is_one_error(version: ModelVersion, data: bytes) -> None:
    """Whatever NumPy raises about it."""
    (version.folder / "golden" / "outputs.npz").write_bytes(data)
    with pytest.raises(GoldenMismatchError, match="cannot be read"):
        version.golden()
