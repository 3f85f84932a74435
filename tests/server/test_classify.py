"""The whole way of a column, with the real model: same picture, same answer, one inference."""

from __future__ import annotations

import itertools
import json
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from models.calibration import calibrate
from models.picture import read_picture
from models.registry import ModelVersion
from server import fields
from server.classify import Outcome, classify, classify_files
from server.engine import OnnxEngine
from server.ranking import Rankings
from server.served_model import ServedModel

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedEngine

pytest_plugins = ("server_fixtures",)

WAIT_S = 30.0
HALF = 1e-3  # what float16 rounds a probability by, at most
FORMS = ["label", "confidence", "margin", "entropy", "top", "embedding", "status", "note", "id", "model"]

Serve = Callable[..., ServedModel]
WaitUntil = Callable[[Callable[[], object]], None]


@pytest.fixture
def column(pictures: Pictures) -> list[str | None]:
    """Every kind of row: pictures, one content under two names, broken ones, nulls, repeats."""
    for number in range(6):
        pictures.write(f"{number}.png", number)
    pictures.write("日本/写真.png", 0)
    pictures.write("broken.png", b"this is no picture")
    pictures.write("cut.png", pictures.draw(7)[:200])
    pictures.write("empty.png", b"")
    return ["0.png", "1.png", None, "2.png", "broken.png", "日本/写真.png", "absent.png", "*", "3.png", "0.png",
            "cut.png", "4.png", "", "5.png", "empty.png", "../outside.png"]


def ask(model: ServedModel, texts: list[str | None], wait_s: float = WAIT_S) -> Outcome:
    """Classify a column."""
    return classify(texts, model, until=time.monotonic() + wait_s)


def answers(model: ServedModel, outcome: Outcome) -> list[tuple[Any, ...]]:
    """Every field of every row."""
    asked = fields.Request(outcome, model, {"top_k": 10}, lambda digest: f"signed {digest}")
    return list(zip(*(fields.column(field, asked) for field in FORMS), strict=True))


def statuses(model: ServedModel, outcome: Outcome) -> list[str]:
    """The status column."""
    return [row[FORMS.index("status")] for row in answers(model, outcome)]


def probabilities(outcome: Outcome) -> list[list[float] | None]:
    """All probabilities by row, in the order of the classes."""
    rankings = outcome.rankings
    by_class = np.zeros(rankings.order.shape)
    np.put_along_axis(by_class, rankings.order.astype(np.int64), rankings.probabilities.astype(np.float64), axis=1)
    return [by_class[place].tolist() if place >= 0 else None for place in outcome.rows]


# ---- what comes out ----------------------------------------------------------------------------------------------


def test_every_row_has_an_answer_or_a_reason(serve: Serve, column: list[str | None]) -> None:
    """In its place."""
    model = serve()
    no_path, star = "no path given", "several paths in one mark (ATTR gave *): put the path field on Detail"
    assert statuses(model, ask(model, column)) == [
        "ok", "ok", no_path, "ok", "not an image, or of a kind that is not supported", "ok", "file not found", star,
        "ok", "ok", "the image is truncated: the file ends too early", "ok", no_path, "ok", "the file is empty",
        "outside the allowed folders (--images)"]


def test_answers_are_the_model_s_own(serve: Serve, engine: OnnxEngine, version: ModelVersion,
                                     pictures: Pictures) -> None:
    """What the engine says of the decoded pixels, calibrated, in half precision."""
    spec = version.spec
    for number in range(5):
        pictures.write(f"{number}.png", number)
    pixels = np.stack([read_picture(pictures.draw(number), size=spec.input_size, channels=spec.channels,
                                    resize=spec.resize).pixels for number in range(5)])
    expected = calibrate(engine.run(pixels)["probabilities"], spec.temperature)
    outcome = ask(serve(), [f"{number}.png" for number in range(5)])
    assert np.array(probabilities(outcome)) == pytest.approx(expected, abs=HALF)


def test_golden_pictures_get_their_golden_labels(serve: Serve, version: ModelVersion) -> None:
    """The files of the model version itself, through the whole server."""
    golden = version.golden()
    model = serve(images=(version.folder / "golden",))
    expected = [version.spec.labels[number] for number in golden.probabilities.argmax(axis=1)]
    assert [row[0] for row in answers(model, ask(model, list(golden.names)))] == expected


@pytest.mark.parametrize("texts", [[], [None], ["", None, "*"]])
def test_columns_without_pictures_are_answered_at_once(serve: Serve, texts: list[str | None]) -> None:
    """Nothing is pending."""
    outcome = ask(serve(), texts)
    assert (len(outcome), outcome.pending, len(outcome.errors)) == (len(texts), 0, len(texts))


def test_nothing_that_comes_out_is_nan(serve: Serve, column: list[str | None]) -> None:
    """Every field is JSON."""
    model = serve()
    rows = answers(model, ask(model, column))
    assert json.loads(json.dumps(rows, allow_nan=False)) == [list(row) for row in rows]


def test_a_text_that_no_file_can_have_is_a_row_s_error(serve: Serve, pictures: Pictures) -> None:
    """The rows beside it are answered."""
    pictures.write("0.png", 0)
    model = serve()
    texts: list[str | None] = ["0.png", "\ud800", "a\0b", "\udc80/x.png", "x" * 5000, "0.png"]
    assert [status == "ok" for status in statuses(model, ask(model, texts))] == [True, *[False] * 4, True]


@pytest.mark.skipif(os.name != "posix", reason="there are no such names elsewhere")
def test_a_file_name_of_any_bytes_is_answered(serve: Serve, pictures: Pictures) -> None:
    """Again and again."""
    name = os.fsdecode(b"caf\xe9.png")
    pictures.write(name, 0)
    model = serve()
    assert [statuses(model, ask(model, [name])) for _ in range(2)] == [["ok"]] * 2


# ---- partition-proof ---------------------------------------------------------------------------------------------

ROWS = st.lists(st.integers(0, 15), max_size=24)
Parts = tuple[list[str | None], Serve, list[list[float] | None]]


@pytest.fixture
def parts(serve: Serve, column: list[str | None]) -> Parts:
    """The column, a way to serve it afresh, and what one fresh model says of all of it."""
    return column, serve, probabilities(ask(serve(), column))


@examples(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(ROWS, min_size=1, max_size=4))
def test_any_part_of_a_column_has_the_values_of_the_whole(
        parts: Parts, asked: list[list[int]]) -> None:
    """Subsets, permutations and repeats before the whole: each `ok` row has one value, ever."""
    column, serve, reference = parts
    model = serve()
    seen = [(row, answer) for rows in asked
            for row, answer in zip(rows, answers(model, ask(model, [column[row] for row in rows])), strict=True)]
    outcome = ask(model, column)
    whole = answers(model, outcome)
    close = [value is None if expected is None else value == pytest.approx(expected, abs=HALF)
             for value, expected in zip(probabilities(outcome), reference, strict=True)]
    assert (seen, close) == ([(row, whole[row]) for row, _ in seen], [True] * len(column))


def test_a_batch_equals_one_by_one(serve: Serve, pictures: Pictures) -> None:
    """On fresh stores, within the rounding of half precision."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(9)]
    together = ask(serve(), names)
    model = serve()
    apart = [probabilities(ask(model, [name]))[0] for name in names]
    assert np.array(probabilities(together)) == pytest.approx(np.array(apart), abs=HALF)


def test_a_restart_changes_nothing(serve: Serve, watched: WatchedEngine, column: list[str | None],
                                   tmp_path: Path) -> None:
    """Bit by bit, without the model."""
    first = serve(state=tmp_path / "shared.sqlite")
    before = answers(first, ask(first, column))
    second = serve(watched, state=tmp_path / "shared.sqlite")
    assert (answers(second, ask(second, column)), watched.inferences) == (before, 0)


# ---- one inference -----------------------------------------------------------------------------------------------


def test_a_warm_column_does_not_ask_the_model(serve: Serve, watched: WatchedEngine, column: list[str | None]) -> None:
    """However often it is asked."""
    model = serve(watched)
    ask(model, column)
    before = watched.inferences
    ask(model, column)
    ask(model, column[::-1])
    assert (before, watched.inferences) == (6, 6)


def test_one_content_under_two_names_is_inferred_once(serve: Serve, watched: WatchedEngine, pictures: Pictures) -> None:
    """In one request and in the next."""
    for name in ("a.png", "b.png", "sub/c.png"):
        pictures.write(name, 0)
    model = serve(watched)
    ask(model, ["a.png", "b.png"])
    ask(model, ["sub/c.png"])
    assert watched.inferences == 1


def test_four_requests_at_once_cost_one_inference_for_each_content(serve: Serve, watched: WatchedEngine,
                                                                   pictures: Pictures) -> None:
    """Four calculated fields on one cold column, as Tableau sends them."""
    names: list[str | None] = [pictures.write(f"{number}.png", number % 20).name for number in range(40)]
    model = serve(watched)
    with ThreadPoolExecutor(4) as pool:
        outcomes = list(pool.map(lambda _: ask(model, names), range(4)))
    columns = [answers(model, outcome) for outcome in outcomes]
    assert (watched.inferences, [rows == columns[0] for rows in columns], outcomes[0].pending) == (20, [True] * 4, 0)


def test_batches_are_never_larger_than_the_engine_takes(serve: Serve, watched: WatchedEngine,
                                                        pictures: Pictures) -> None:
    """And use its size when there is enough to do."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(60)]
    ask(serve(watched), names)
    sizes = [len(batch) for batch in watched.batches]
    assert (max(sizes) <= watched.max_batch, sum(sizes)) == (True, 60)


def test_a_broken_picture_is_decoded_once(serve: Serve, pictures: Pictures, watched: WatchedEngine) -> None:
    """Its reason is remembered by content, and costs no inference."""
    pictures.write("broken.png", b"no picture")
    pictures.write("same.png", b"no picture")
    model = serve(watched)
    outcomes = [ask(model, [name]) for name in ("broken.png", "same.png", "broken.png")]
    reason = "not an image, or of a kind that is not supported"
    assert ([outcome.errors for outcome in outcomes], watched.inferences) == ([{0: reason}] * 3, 0)


def test_rows_that_needed_the_model_are_told_from_the_others(serve: Serve, pictures: Pictures) -> None:
    """Old rows are cached, new ones are not."""
    pictures.write("old.png", 0)
    pictures.write("new.png", 1)
    model = serve()
    ask(model, ["old.png"])
    assert ask(model, ["old.png", "new.png", None, "old.png"]).computed == {1}


def test_a_changed_file_gets_its_own_answer(serve: Serve, pictures: Pictures) -> None:
    """The answer goes with the content, not with the name."""
    pictures.write("a.png", 0)
    pictures.write("b.png", 1)
    model = serve(recheck_s=0)
    ask(model, ["a.png", "b.png"])
    pictures.write("a.png", 1)
    first, second = probabilities(ask(model, ["a.png", "b.png"]))
    assert first == second


def test_a_file_that_was_mended_is_answered(serve: Serve, pictures: Pictures) -> None:
    """Absent, then broken, then a picture."""
    model = serve(recheck_s=0)
    seen = statuses(model, ask(model, ["a.png"]))
    for content in (b"broken", 0):
        pictures.write("a.png", content)
        seen += statuses(model, ask(model, ["a.png"]))
    assert seen == ["file not found", "not an image, or of a kind that is not supported", "ok"]


def test_two_versions_share_files_and_no_answers(serve: Serve, watched: WatchedEngine, pictures: Pictures) -> None:
    """The second version infers for itself, though every digest is known."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(3)]
    first = serve()
    ask(first, names)
    second = serve(watched, beside=first)
    assert (statuses(second, ask(second, names)), watched.inferences) == (["ok"] * 3, 3)


def test_a_file_replaced_since_another_version_answered_is_read_anew(serve: Serve, pictures: Pictures) -> None:
    """Inside the window its old content is what is known, but only the new one can be read: it is answered with."""
    pictures.write("a.png", 0)
    pictures.write("b.png", 1)
    first = serve(recheck_s=1000)
    ask(first, ["a.png"])
    pictures.write("new.png", 1).replace(pictures.folder / "a.png")
    second = serve(beside=first)
    one, two = probabilities(ask(second, ["a.png", "b.png"]))
    assert (one is not None, one) == (True, two)


# ---- deadlines ---------------------------------------------------------------------------------------------------


def test_without_time_everything_is_pending_and_answered_later(serve: Serve, watched: WatchedEngine,
                                                               pictures: Pictures, wait_until: WaitUntil) -> None:
    """The work goes on when the request is gone."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(20)]
    watched.gate.clear()
    model = serve(watched)
    first = ask(model, names, wait_s=0)
    watched.gate.set()
    wait_until(lambda: len(model.in_flight) == 0)
    second = ask(model, names, wait_s=0)
    assert (first.pending, statuses(model, first), second.pending) == (20, ["pending"] * 20, 0)


def test_what_is_known_does_not_wait_for_what_is_not(serve: Serve, watched: WatchedEngine, pictures: Pictures) -> None:
    """Warm rows and errors are there at the deadline."""
    pictures.write("warm.png", 0)
    pictures.write("cold.png", 1)
    model = serve(watched)
    ask(model, ["warm.png"])
    watched.gate.clear()
    assert statuses(model, ask(model, ["warm.png", "cold.png", None], wait_s=0)) == ["ok", "pending", "no path given"]


def test_who_waits_is_served_before_a_column_that_was_given_up(serve: Serve, watched: WatchedEngine,
                                                               pictures: Pictures, version: ModelVersion) -> None:
    """A hundred rows that somebody waits for overtake four hundred of a request whose deadline has passed."""
    given_up: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(400)]
    waiting: list[str | None] = [pictures.write(f"w{number}.png", 1000 + number).name for number in range(100)]
    watched.gate.clear()
    model = serve(watched)
    ask(model, given_up, wait_s=0)
    threading.Timer(0.05, watched.gate.set).start()
    ask(model, waiting)
    served = {pixels.tobytes(): place for place, pixels in enumerate(np.concatenate(watched.batches))}
    last = max(served[pixels_of(pictures.draw(1000 + number), version)] for number in range(100))
    assert last < 200 + READY


READY = 8 * 2 * (3 + 1) + 2
"""Pictures that may have left the lanes before: three batches ready and one at work for two engine threads, and one
for each of two decoders."""


def pixels_of(data: bytes, version: ModelVersion) -> bytes:
    """A picture as the model sees it."""
    spec = version.spec
    picture = read_picture(data, size=spec.input_size, channels=spec.channels, resize=spec.resize)
    return picture.pixels.tobytes()


def test_a_full_queue_leaves_rows_pending_until_they_are_asked_again(serve: Serve, watched: WatchedEngine,
                                                                     pictures: Pictures) -> None:
    """Bounded, and never an error."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(10)]
    watched.gate.clear()
    model = serve(watched, queue_rows=3)
    first = ask(model, names, wait_s=0)
    waiting = len(model.in_flight)
    watched.gate.set()
    asked = itertools.takewhile(lambda outcome: outcome.pending, (ask(model, names) for _ in range(20)))
    assert (first.pending, waiting, len(list(asked)) < 10) == (10, 3, True)


# ---- uploads -----------------------------------------------------------------------------------------------------


def test_uploads_are_answered_as_files_are(serve: Serve, pictures: Pictures) -> None:
    """The same values, without a path."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(4)]
    model = serve()
    files = [pictures.draw(number) for number in range(4)]
    uploaded = classify_files(files, model, until=time.monotonic() + WAIT_S)
    assert answers(model, uploaded) == answers(model, ask(model, names))


def test_broken_empty_and_equal_uploads(serve: Serve, watched: WatchedEngine, pictures: Pictures) -> None:
    """A reason each; equal ones are inferred once."""
    model = serve(watched)
    files = [pictures.draw(0), b"", pictures.draw(0), b"no picture", pictures.draw(0)]
    outcome = classify_files(files, model, until=time.monotonic() + WAIT_S)
    assert (statuses(model, outcome), watched.inferences) == (
        ["ok", "the file is empty", "ok", "not an image, or of a kind that is not supported", "ok"], 1)


def test_uploads_at_once_never_mix(serve: Serve, pictures: Pictures) -> None:
    """Each caller has the answers to its own pictures."""
    model = serve()
    files = [pictures.draw(number) for number in range(16)]
    expected = answers(model, classify_files(files, model, until=time.monotonic() + WAIT_S))
    fresh = serve()
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda data: classify_files([data], fresh, until=time.monotonic() + WAIT_S), files))
    labels = [answers(fresh, outcome)[0][0] for outcome in outcomes]
    assert labels == [row[0] for row in expected]


def test_an_upload_without_time_is_pending(serve: Serve, watched: WatchedEngine, pictures: Pictures) -> None:
    """And takes no one's place for ever."""
    watched.gate.clear()
    model = serve(watched)
    outcome = classify_files([pictures.draw(0)], model, until=time.monotonic())
    assert (outcome.pending, outcome.digests) == (1, [None])


# ---- engines that fail -------------------------------------------------------------------------------------------


class FailingEngine:
    """An engine that breaks its promise in the way it is told, until it is mended."""

    name, max_batch, threads = "failing", 8, 1

    def __init__(self, engine: OnnxEngine, fault: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._engine, self._fault = engine, fault
        self.is_mended = False

    def run(self, pixels: Any) -> dict[str, Any]:
        """Wrong values, or an exception."""
        outputs = self._engine.run(pixels)
        return outputs if self.is_mended else self._fault(outputs)

    def warm_up(self) -> None:
        """It is warm."""


def raise_out_of_memory(_outputs: dict[str, Any]) -> dict[str, Any]:
    """As engines do."""
    raise RuntimeError("out of memory")


def constant(value: float) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """All probabilities the same."""
    return lambda outputs: outputs | {"probabilities": np.full_like(outputs["probabilities"], value)}


FAULTS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "an exception": raise_out_of_memory,
    "a row too few": lambda outputs: {name: values[:-1] for name, values in outputs.items()},
    "a class too few": lambda outputs: outputs | {"probabilities": outputs["probabilities"][:, :-1]},
    "no embedding": lambda outputs: {"probabilities": outputs["probabilities"]},
    "not a number": constant(np.nan),
    "infinity": constant(np.inf),
    "nothing at all": constant(0.0),
    "below zero": constant(-0.5),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_model_that_fails_is_a_reason_and_not_remembered(serve: Serve, engine: OnnxEngine, pictures: Pictures,
                                                           fault: str) -> None:
    """No row hangs, none is answered with nonsense, and mended it answers."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(3)]
    failing = FailingEngine(engine, FAULTS[fault])
    model = serve(failing)
    before = statuses(model, ask(model, names))
    failing.is_mended = True
    after = statuses(model, ask(model, names))
    assert (before, after) == (["the model failed on this picture: see the server's log"] * 3, ["ok"] * 3)


def test_closing_drops_what_is_under_way(serve: Serve, watched: WatchedEngine, pictures: Pictures) -> None:
    """It ends, though a hundred pictures wait."""
    names: list[str | None] = [pictures.write(f"{number}.png", number).name for number in range(100)]
    watched.gate.clear()
    model = serve(watched)
    ask(model, names, wait_s=0)
    watched.gate.set()
    model.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith(("decode-", "engine-"))] == []


def test_rankings_have_the_model_s_width_when_nothing_is_known(serve: Serve) -> None:
    """So that fields can look at them."""
    outcome = ask(serve(), ["absent.png"])
    assert outcome.rankings.order.shape == Rankings.empty(10).order.shape


def test_uploads_nobody_waits_for_are_not_kept(serve: Serve, watched: WatchedEngine, pictures: Pictures) -> None:
    """Their bytes would stay in memory, and nobody could ask for them again."""
    model = serve(watched)
    watched.gate.clear()
    files = [pictures.draw(number) for number in range(200)]
    outcome = classify_files(files, model, until=time.monotonic() + 0.2)
    assert (outcome.pending, len(model.in_flight) < 100) == (200, True)
    watched.gate.set()
    again = classify_files(files, model, until=time.monotonic() + WAIT_S)
    assert (again.pending, again.errors) == (0, {})
