"""Explanations as a dashboard has them: addresses in a column, digits by the real server, seen by a browser."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image
from stack import Running, started

from models import digits

TOKEN = {"Authorization": "Bearer token-of-these-tests-0123456789"}
SHOWN = 5


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server alone, with digits that training never saw, and a token."""
    target = tmp_path_factory.mktemp("explanations 説明")
    for part in ("pictures", "state"):
        (target / part).mkdir()
    for name, data, _ in digits.held_out()[:SHOWN]:
        (target / "pictures" / name).write_bytes(data)
    (target / "token").write_text(TOKEN["Authorization"].removeprefix("Bearer "))
    with started(target / "state", images=(target / "pictures",), token_file=target / "token", no_tabpy=True) as stack:
        yield stack


def test_digits_are_lit_where_their_ink_is(running: Running, tmp_path: Path) -> None:
    """Every address opens without a token; the hottest place of most digits is near their ink."""
    names = [name for name, _, _ in digits.held_out()[:SHOWN]]
    answer = requests.post(f"{running.server}/v1/classify", headers=TOKEN, timeout=60, json={
        "paths": names, "fields": ["explanation_url", "id", "label"]})
    columns = answer.json()["columns"]
    near = 0
    for number, url in enumerate(columns["explanation_url"]):
        shown = requests.get(url, timeout=60)
        assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/png")
        (tmp_path / f"{number}.png").write_bytes(shown.content)
        assert Image.open(io.BytesIO(shown.content)).size == (256, 256)
        numbers = requests.get(f"{running.server}/v1/images/{columns['id'][number]}/explanation.json", headers=TOKEN,
                               timeout=60).json()
        assert numbers["label"] == columns["label"][number]
        near += _is_near_ink(digits.held_out()[number][1], np.array(numbers["activation"]))
    assert near >= SHOWN - 1


def _is_near_ink(data: bytes, activation: np.ndarray) -> bool:
    """Whether the brightest place has ink within an eighth of the picture."""
    side = len(activation)
    ink = np.asarray(Image.open(io.BytesIO(data)).convert("L").resize((side, side)), float)
    ink = np.abs(ink - np.median(ink))
    row, column = np.unravel_index(activation.argmax(), activation.shape)
    around = ink[max(0, row - 1):row + 2, max(0, column - 1):column + 2]
    return bool(around.max() > 0.3 * ink.max())
