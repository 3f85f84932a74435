"""`run.py classify` killed in the middle and started again, by real processes; and the server it starts for itself."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from stack import free_ports, started

from benchmarks.pictures import many_digits
from models import digits

ROOT = Path(__file__).resolve().parent.parent
COUNT = 5000
SLOW = {"engine_threads": 1, "decode_threads": 1, "batch_size": 1}
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the kill is a POSIX one")


def start(table: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "workbooks.enrich", str(table), "--image-column", "画像", "--out", str(out),
               *words]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                            encoding="utf-8", env=os.environ | {"PYTHONUTF8": "1"})


def finish(child: subprocess.Popen[str]) -> str:
    """Its output, once it has ended well."""
    said, _ = child.communicate(timeout=120)
    assert child.returncode == 0, said
    return said


def wait_for(is_there: Callable[[], object]) -> None:
    """Wait until it is, a minute at most."""
    until = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < until
        time.sleep(0.01)


def kill(child: subprocess.Popen[str]) -> None:
    """As `kill -9` does."""
    child.kill()
    child.communicate()


def table_of(path: Path, pictures: list[Path]) -> Path:
    """A CSV file with a numbered row a picture."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["行", "画像"])
        writer.writerows((number, picture.relative_to(path.parent)) for number, picture in enumerate(pictures))
    return path


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    """A folder with thousands of pictures, each of other content."""
    folder = tmp_path_factory.mktemp("多数 の 画像")
    return folder, many_digits(COUNT, folder)


def metric(server: str, name: str) -> float:
    """The sum of a counter."""
    with urllib.request.urlopen(f"{server}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(map(float, re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)))


def test_killed_and_started_again_it_goes_on(many: tuple[Path, list[Path]], tmp_path: Path) -> None:
    """Twice in the middle: no row is lost or doubled, no picture is inferred twice; then OUT alone is left."""
    folder, pictures = many
    table, out = table_of(folder / "表.csv", pictures), tmp_path / "答え.csv"
    parts = tmp_path / "答え.csv.pixfield"
    (tmp_path / "state").mkdir()
    with started(tmp_path / "state", images=(folder,), no_tabpy=True, **SLOW) as running:
        words = ("--server", running.server)
        child = start(table, out, *words)
        wait_for(lambda: metric(running.server, "pixfield_inferences_total") > 100)
        kill(child)
        child = start(table, out, *words)
        wait_for(lambda: list(parts.glob("part-*.arrow")))
        kill(child)
        assert not out.exists()
        said = finish(start(table, out, *words))
        assert metric(running.server, "pixfield_inferences_total") == COUNT
        again = finish(start(table, out, *words))
        assert metric(running.server, "pixfield_inferences_total") == COUNT
    finished = re.search(r"^([\d,]+) of 5,000 rows are finished: going on behind them\.$", said, re.MULTILINE)
    assert finished is not None
    assert 0 < int(finished[1].replace(",", "")) < COUNT
    assert "5,000 rows asked" in again
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["行"] for row in rows] == [str(number) for number in range(COUNT)]
    assert {row["status"] for row in rows} == {"ok"}
    truth = [label for _, _, label in digits.held_out()]
    right = sum(row["label"] == truth[number % len(truth)] for number, row in enumerate(rows))
    assert right > 0.95 * COUNT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["state", "答え.csv"]


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Path]:
    """A configuration whose server is not started by anybody; no process of it is left at the end."""
    config = tmp_path / "pixfield.toml"
    port, _ = free_ports()
    state = tmp_path / "state of its own"
    config.write_text(f'state = "{state.as_posix()}"\nport = {port}\nmodel = "digits"\nengine_threads = 1\n'
                      "decode_threads = 1\nbatch_size = 1\n", encoding="utf-8")
    yield config
    assert servers(state) == []


def servers(state: Path) -> list[str]:
    """Processes that were told of the state folder."""
    return [" ".join(process.info["cmdline"]) for process in psutil.process_iter(["cmdline"])
            if any(str(state) in word for word in process.info["cmdline"] or ())]


def test_without_a_server_it_starts_one_that_ends_with_it(many: tuple[Path, list[Path]], settings: Path, tmp_path: Path
                                                          ) -> None:
    """Also when it is killed; the next one waits for the state folder and goes on."""
    folder, pictures = many
    table, out = table_of(folder / "表 2.csv", pictures[:500]), tmp_path / "out.csv"
    state = tmp_path / "state of its own"
    child = start(table, out, "--config", str(settings))
    wait_for(lambda: servers(state) and (state / "answers.sqlite").exists())
    kill(child)
    said = finish(start(table, out, "--config", str(settings)))
    assert "No server runs: starting one for the time." in said
    assert "500 of 500 rows have an answer" in said
    wait_for(lambda: not servers(state))


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT; Windows has console events instead")
def test_ctrl_c_says_that_it_goes_on(many: tuple[Path, list[Path]], settings: Path, tmp_path: Path) -> None:
    """Status 130, one sentence, no server left."""
    folder, pictures = many
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # what a shell starts in the background ignores Ctrl-C,
        signal.signal(signal.SIGINT, signal.default_int_handler)  # and so would the command
    child = start(table_of(folder / "表 3.csv", pictures[:1500]), tmp_path / "out.csv", "--config", str(settings))
    wait_for(lambda: list((tmp_path / "out.csv.pixfield").glob("job.json")))
    child.send_signal(signal.SIGINT)
    said, _ = child.communicate(timeout=60)
    assert (child.returncode, said.splitlines()[-1]) == (130, "Stopped; the same command goes on.")
