"""What is kept of an enrichment that was broken off, and what is not."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from workbooks.enrich.errors import OutputError
from workbooks.enrich.journal import Journal

SOURCE = {"path": "/t.csv", "signature": [1, 2]}
JOB: dict[str, Any] = {"source": SOURCE, "fields": ["label"], "rows_a_batch": 2}


def batch(first: int) -> pa.RecordBatch:
    """Two rows."""
    return pa.record_batch({"写真": [f"{first}.png", None], "n": [first, first + 1]})


def left_off(out: Path, count: int) -> None:
    """An enrichment that was broken off after `count` batches."""
    with Journal(out) as journal:
        journal.prepare(SOURCE, is_afresh=False, say=lambda _: None)
        assert journal.begin(JOB, say=lambda _: None) == 0
        journal.listing.touch()
        for number in range(count):
            journal.add(number, batch(2 * number))


def begun_again(out: Path, job: dict[str, Any], *, is_afresh: bool = False) -> tuple[int, bool, list[str]]:
    """How many batches are gone on with, whether the listing is still there, and what is said."""
    said: list[str] = []
    with Journal(out) as journal:
        journal.prepare(job["source"], is_afresh=is_afresh, say=said.append)
        has_listing = journal.listing.exists()
        return journal.begin(job, say=said.append), has_listing, said


def test_finished_batches_are_gone_on_with(tmp_path: Path) -> None:
    """As they were, whatever the type; OUT alone is left at the end."""
    out = tmp_path / "答え.csv"
    left_off(out, 3)
    assert begun_again(out, JOB) == (3, True, [])
    with Journal(out) as journal:
        assert list(journal.batches(3)) == [batch(0), batch(2), batch(4)]
        finished = journal.finished_file(".csv")
        finished.write_text("all")
        journal.finish(finished)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("答え.csv", "all")]


@pytest.mark.parametrize(("job", "is_afresh", "has_listing", "said"), [
    (JOB | {"fields": ["top"]}, False, True, "had other options"),
    (JOB | {"source": SOURCE | {"signature": [1, 3]}}, False, False, "the table has changed"),
    (JOB, True, False, None),
])
def test_what_is_of_another_job_is_begun_afresh(tmp_path: Path, job: dict[str, Any], *, is_afresh: bool,
                                                has_listing: bool, said: str | None) -> None:
    """And it is said why; a folder's listing goes with its table."""
    left_off(tmp_path / "out.csv", 2)
    done, is_listed, sentences = begun_again(tmp_path / "out.csv", job, is_afresh=is_afresh)
    assert (done, is_listed, len(sentences)) == (0, has_listing, 0 if said is None else 1)
    assert said is None or said in sentences[0]


def test_a_beginning_lasts_a_day(tmp_path: Path) -> None:
    """Pictures may have changed since."""
    left_off(tmp_path / "out.csv", 2)
    job = tmp_path / "out.csv.pixfield" / "job.json"
    job.write_text(json.dumps({"began": time.time() - 90_000, "job": JOB}))
    assert begun_again(tmp_path / "out.csv", JOB)[::2] == (
        0, ["What was begun before is older than a day: beginning afresh."])


@pytest.mark.parametrize("damage", [b"", b"ARROW1\0\0 cut off"])
def test_a_batch_that_is_cut_off_is_asked_again(tmp_path: Path, damage: bytes) -> None:
    """As a power failure may leave it; so is all behind it."""
    left_off(tmp_path / "out.csv", 3)
    (tmp_path / "out.csv.pixfield" / "part-0000001.arrow").write_bytes(damage)
    assert begun_again(tmp_path / "out.csv", JOB)[0] == 1


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """The other one is told; a folder in which nothing was begun is gone afterwards."""
    with Journal(tmp_path / "out.csv"), pytest.raises(OutputError, match="Another classify is writing"), \
            Journal(tmp_path / "out.csv"):
        pass
    assert list(tmp_path.iterdir()) == []
