"""The memory in front of the store: what leaves it comes back the same."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from server.answers import Answers, Found
from server.ranking import Rankings
from server.store import Store

pytest_plugins = ("server_fixtures",)

CLASSES = 10
Open = Callable[..., Answers]


@pytest.fixture
def reopen(store: Store) -> Open:
    """Makes a memory as after a restart, on the same store or another one."""

    def make(model: str = "model", on: Store = store, limit_bytes: int = 10_000_000) -> Answers:
        return Answers(model=model, classes=CLASSES, limit_bytes=limit_bytes, store=on)

    return make


@pytest.fixture
def answers(reopen: Open) -> Answers:
    """An empty memory."""
    return reopen()


def probabilities_of(digest: str) -> list[float]:
    """The made-up answer for a content, by falling probability, as float16 keeps it."""
    values = np.sort(np.random.default_rng(list(digest.encode())).random(CLASSES).astype(np.float32))[::-1]
    return [float(value) for value in values.astype(np.float16)]


def put(answers: Answers, *digests: str, note: str | None = None) -> None:
    """Put the made-up answer of each."""
    values = np.array([probabilities_of(digest) for digest in digests], np.float32)
    vectors = np.arange(len(digests), dtype=np.float32).reshape(-1, 1).repeat(3, axis=1)
    answers.put(digests, Rankings.of(values), vectors, [note] * len(digests))


def rows(found: Found) -> list[list[float] | None]:
    """The probabilities by row, None where there is no answer."""
    return [found.rankings.probabilities[place].tolist() if place >= 0 else None for place in found.rows]


def expected(*digests: str) -> list[list[float] | None]:
    """What `rows` must be for known digests."""
    return [probabilities_of(digest) for digest in digests]


def test_what_is_put_is_found_in_the_order_of_the_question(answers: Answers) -> None:
    """Repeats, unknown ones and nulls in their places."""
    put(answers, "a", "b", "c")
    assert rows(answers.lookup(["c", None, "a", "?", "c", "b"])) == [
        *expected("c"), None, *expected("a"), None, *expected("c", "b")]


@pytest.mark.parametrize("digests", [[], [None], ["?"], [None, "?", None]])
def test_nothing_known_is_no_answer(answers: Answers, digests: list[str | None]) -> None:
    """Empty columns too."""
    assert rows(answers.lookup(digests)) == [None] * len(digests)


def test_the_last_answer_counts(answers: Answers) -> None:
    """A second put replaces the first."""
    put(answers, "a")
    values = np.full((1, CLASSES), 0.5, np.float32)
    answers.put(["a"], Rankings.of(values), np.zeros((1, 3), np.float32), [None])
    assert rows(answers.lookup(["a"])) == [[0.5] * CLASSES]


@pytest.mark.parametrize("is_filled", [False, True])
def test_the_memory_is_bounded_and_the_store_has_the_rest(reopen: Open, is_filled: bool) -> None:
    """5,000 answers in a memory for 1,000 are all found, all right, whatever it knew at the start."""
    answers = reopen(limit_bytes=0)  # the least is 1,000
    if is_filled:
        answers.fill()
    digests = [f"{number}" for number in range(5000)]
    for start in range(0, 5000, 50):
        put(answers, *digests[start:start + 50])
    found = rows(answers.lookup(digests))
    assert (found, len(answers) <= 1000) == (expected(*digests), True)


def test_remarks_come_with_their_answers(answers: Answers) -> None:
    """Those that have none are left out."""
    put(answers, "a", note="a remark")
    put(answers, "b")
    assert answers.lookup(["a", "b"]).notes == {"a": "a remark"}


@pytest.mark.parametrize("is_filled", [False, True])
def test_one_content_is_found_wherever_its_answer_is(reopen: Open, is_filled: bool) -> None:
    """In memory or in the store, with its remark; an unknown one is not."""
    answers = reopen(limit_bytes=0)
    if is_filled:
        answers.fill()
    put(answers, "first", note="a remark")
    put(answers, *(f"{number}" for number in range(2000)))
    found = [answers.find(digest) for digest in ("first", "1999", "?")]
    assert [one and (one[0].probabilities[0].tolist(), one[1]) for one in found] == [
        (probabilities_of("first"), "a remark"), (probabilities_of("1999"), None), None]


def test_what_left_the_memory_has_its_note(reopen: Open) -> None:
    """Remarks go and come with their answers."""
    answers = reopen(limit_bytes=0)
    put(answers, "first", note="first frame of an animation")
    put(answers, *(f"{number}" for number in range(2000)))
    assert answers.lookup(["first"]).notes == {"first": "first frame of an animation"}


def test_a_found_column_stays_as_it_was_when_the_memory_changes(reopen: Open) -> None:
    """A request keeps its answers while others push them out."""
    answers = reopen(limit_bytes=0)
    put(answers, "a", "b")
    found = answers.lookup(["a", "b"])
    put(answers, *(f"{number}" for number in range(3000)))
    assert rows(found) == expected("a", "b")


def test_models_have_answers_of_their_own(answers: Answers, reopen: Open) -> None:
    """The same picture, another version: not answered."""
    put(answers, "a")
    assert rows(reopen("other model").lookup(["a"])) == [None]


def test_a_restart_loses_nothing(answers: Answers, store: Store, reopen: Open, tmp_path: Path) -> None:
    """Answers, remarks and embeddings."""
    put(answers, "a", "b", note="a remark")
    store.close()
    with closing(Store(tmp_path / "answers.sqlite")) as again:
        reopened = reopen(on=again)
        found = reopened.lookup(["b", "a"])
        assert (rows(found), found.notes) == (expected("b", "a"), {"a": "a remark", "b": "a remark"})


def test_filling_loads_what_is_stored(answers: Answers, store: Store, reopen: Open) -> None:
    """Into memory."""
    digests = [f"{number}" for number in range(300)]
    put(answers, *digests)
    store.flush()
    again = reopen()
    assert (again.fill(), len(again), rows(again.lookup(digests))) == (300, 300, expected(*digests))


def test_filling_stops_at_the_limit(answers: Answers, store: Store, reopen: Open) -> None:
    """The rest stays in the store."""
    put(answers, *(f"{number}" for number in range(1500)))
    store.flush()
    again = reopen(limit_bytes=0)
    assert (again.fill(), len(again)) == (0, 0)


def test_failures_are_remembered_by_content(answers: Answers) -> None:
    """For as long as the process lives."""
    answers.fail("broken", "not an image")
    assert (answers.failure("broken"), answers.failure("other")) == ("not an image", None)


def test_embeddings_come_back_in_half_precision(answers: Answers) -> None:
    """Rounded, never infinite; unknown ones are left out."""
    vectors = np.array([[0.1, -2.5, 1e9], [-1e9, 0.0, 65504]], np.float32)
    answers.put(["a", "b"], Rankings.of(np.ones((2, CLASSES), np.float32)), vectors, [None, None])
    found = answers.vectors(["b", "a", "?", "a"])
    half = np.float16(0.1).item()
    assert {digest: vector.tolist() for digest, vector in found.items()} == {
        "a": [half, -2.5, 65504], "b": [-65504, 0, 65504]}


def test_putting_and_looking_up_at_once_never_mixes_answers(reopen: Open) -> None:
    """Eight threads over a memory that keeps being halved: a row is right or not there yet."""
    answers = reopen(limit_bytes=0)
    wrong: list[str] = []

    def work(name: int) -> None:
        digests = [f"{name}-{number}" for number in range(600)]
        for start in range(0, 600, 20):
            put(answers, *digests[start:start + 20])
            asked = [*digests[max(0, start - 40):start + 20], f"{(name + 1) % 8}-{start}"]
            for digest, row in zip(asked, rows(answers.lookup(asked)), strict=True):
                if row != probabilities_of(digest) and (row is not None or digest in digests):
                    wrong.append(digest)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
