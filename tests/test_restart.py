"""`kill -9` of server and TabPy in mid-column: the short form of `bench restart`."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path

import pytest

from benchmarks.pictures import many_digits
from benchmarks.restart import Kill, kill_in, promises, right_answers, serving
from server.functions import FUNCTIONS

ROWS = 3000


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_killed_in_mid_column(tmp_path: Path) -> None:
    """Both come back by themselves with functions deployed, nothing stored is lost, nothing is wrong."""
    paths = [str(path) for path in many_digits(2 * ROWS, tmp_path)]
    folder = Path(paths[0]).parent.parent
    truth, row_s = right_answers(tmp_path / "truth", folder, paths)
    kills: list[Kill] = []
    with serving(tmp_path / "state", folder) as stack:
        for victim, column in (("server", paths[:ROWS]), ("TabPy", paths[ROWS:])):
            kills.append(kill_in(stack, column, truth, victim=victim, after_s=0.8 * row_s * ROWS + 1.0))
        with urllib.request.urlopen(f"http://127.0.0.1:{stack.settings.tabpy_port}/endpoints", timeout=30) as answer:
            deployed = set(json.load(answer))
    assert [str(promise) for promise in promises(kills) if not promise.is_kept] == []
    assert deployed >= set(FUNCTIONS)
