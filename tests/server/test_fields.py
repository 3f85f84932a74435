"""Every column an analyst can ask for, against plain Python and SciPy."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
import scipy.stats
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from server import fields
from server.answers import Answers
from server.classify import Outcome
from server.errors import TooLargeError, UnknownError
from server.ranking import TOP, Rankings
from server.served_model import ServedModel
from server.store import Store

pytest_plugins = ("server_fixtures",)

THREE = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [1 / 3, 1 / 3, 1 / 3]], np.float32)
"""Three pictures: cat, then bird, then undecided."""

LABELS = ["cat", "dog", "bird"]
ROUNDING = 1e-3  # float16 keeps three digits

Ask = Callable[..., list[Any]]


@dataclass
class Model:
    """As much of a served model as fields look at."""

    labels: list[str]
    answers: Answers
    name: str = "pets@1"
    remark: str | None = None
    places: None = None
    blindness: str = ""
    kernel: None = None

    @property
    def label_array(self) -> NDArray[np.object_]:
        """As an array of names."""
        return np.array(self.labels, object)


@pytest.fixture
def ask(store: Store) -> Ask:
    """Asks for a field of made-up answers: `rows` are places in `probabilities`, -1 has none."""

    def column(field: str, probabilities: NDArray[np.float32] = THREE, *, rows: list[int] | None = None,
               errors: dict[int, str] | None = None, notes: dict[str, str] | None = None,
               computed: frozenset[int] = frozenset(), **arguments: Any) -> list[Any]:
        classes = probabilities.shape[1]
        labels = LABELS if classes == 3 else [f"class {number}" for number in range(classes)]
        model = Model(labels, Answers(model=f"{classes}", classes=classes, limit_bytes=0, store=store))
        places = np.array(range(len(probabilities)) if rows is None else rows, np.int64)
        digests = [f"d{place}" if place >= 0 else None for place in places.tolist()]
        rankings = Rankings.of(probabilities)
        model.answers.put([f"d{place}" for place in range(len(rankings))], rankings,
                          np.linspace(0, len(rankings) / 2, 4 * len(rankings), endpoint=False, dtype=np.float32)
                          .reshape(-1, 4), [None] * len(rankings))
        outcome = Outcome(places, rankings, digests, errors or {}, notes or {}, computed)
        served = cast("ServedModel", model)
        return fields.column(field, fields.Request(outcome, served, arguments, lambda digest: f"signed {digest}"))

    return column


def spread(classes: int, pictures: int = 5) -> NDArray[np.float32]:
    """Probabilities of made-up pictures, some decided, some not."""
    random = np.random.default_rng(classes)
    raw = random.random((pictures, classes)) ** np.linspace(0.1, 20, pictures)[:, None]
    values: NDArray[np.float32] = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    return values


def test_the_label_is_the_most_probable_class(ask: Ask) -> None:
    """A tie goes to the first."""
    assert ask("label") == ["cat", "bird", "cat"]


def test_the_confidence_is_its_probability(ask: Ask) -> None:
    """As float16 keeps it."""
    assert ask("confidence") == [round(float(np.float16(value)), 6) for value in (0.7, 0.6, 1 / 3)]


def test_rows_without_an_answer_are_null(ask: Ask) -> None:
    """Between, before and after the others."""
    assert ask("label", rows=[-1, 1, -1, 0, 1, -1]) == [None, "bird", None, "cat", "bird", None]


@pytest.mark.parametrize("field", sorted(set(fields.FIELDS) - {"status", "cached", "needs_review"}))
def test_a_column_without_answers_is_null(ask: Ask, field: str) -> None:
    """Whatever is asked."""
    nothing = np.empty((0, 3), np.float32)
    assert ask(field, nothing, rows=[-1, -1], rank=1, label="cat") == [None, None]


@pytest.mark.parametrize("field", sorted(fields.FIELDS))
def test_an_empty_column_stays_empty(ask: Ask, field: str) -> None:
    """Whatever is asked."""
    assert ask(field, rows=[], rank=1, label="cat", threshold=0.5) == []


@pytest.mark.parametrize("classes", [1, 2, 10, 128, 129, 500])
def test_the_margin_is_the_first_minus_the_second(ask: Ask, classes: int) -> None:
    """One class alone has no second."""
    values = spread(classes)
    ranked = np.sort(values, axis=1)[:, ::-1]
    expected = ranked[:, 0] - (ranked[:, 1] if classes > 1 else 0)
    assert ask("margin", values) == pytest.approx(expected.tolist(), abs=ROUNDING)


@pytest.mark.parametrize("classes", [2, 3, 10, 128])
def test_the_entropy_is_scipy_s(ask: Ask, classes: int) -> None:
    """Over log C."""
    values = spread(classes)
    expected = scipy.stats.entropy(values.astype(np.float64), axis=1) / math.log(classes)
    assert ask("entropy", values) == pytest.approx(expected.tolist(), abs=ROUNDING)


@pytest.mark.parametrize("classes", [129, 500])
def test_the_entropy_of_many_classes_takes_the_rest_as_even(ask: Ask, classes: int) -> None:
    """Beyond the 32 that are kept."""
    values = spread(classes).astype(np.float64)
    ranked = np.sort(values, axis=1)[:, ::-1]
    ranked[:, TOP:] = ranked[:, TOP:].mean(axis=1, keepdims=True)
    expected = scipy.stats.entropy(ranked, axis=1) / math.log(classes)
    assert ask("entropy", spread(classes)) == pytest.approx(expected.tolist(), abs=2 * ROUNDING)


def test_the_entropy_reaches_both_ends(ask: Ask) -> None:
    """All alike is 1, one certain is 0, one class alone is 0; never beyond, never minus zero."""
    certain = np.eye(4, dtype=np.float32)[:1]
    even = np.full((1, 4), 0.25, np.float32)
    answers = [ask("entropy", values) for values in (even, certain, np.ones((1, 1), np.float32))]
    assert json.dumps(answers) == "[[1.0], [0.0], [0.0]]"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.lists(st.lists(st.floats(0, 1, width=32), min_size=4, max_size=4), min_size=1, max_size=4))
def test_numbers_are_in_their_range_and_never_nan(ask: Ask, raw: list[list[float]]) -> None:
    """Whatever a model says, also in sums that are not quite one."""
    values = np.array(raw, np.float32) + np.float32(1e-6)
    values /= values.sum(axis=1, keepdims=True)
    numbers = [number for field in ("confidence", "margin", "entropy") for number in ask(field, values)]
    assert all(0 <= number <= 1 for number in numbers)


# ---- arguments ---------------------------------------------------------------------------------------------------

RANKS = [1, 2, 3, 1.0, 2.0, "1", "2.0", [1], [2], ["3"]]


@pytest.mark.parametrize("rank", RANKS)
def test_a_rank_may_be_written_in_many_ways(ask: Ask, rank: Any) -> None:
    """Tableau sends whole numbers, reals, texts, and parameters as lists of one."""
    number = int(float(rank[0] if isinstance(rank, list) else rank)) - 1
    assert ask("label_at", THREE[:2], rank=rank) == [["cat", "dog", "bird"][number], ["bird", "dog", "cat"][number]]


@pytest.mark.parametrize("rank", [0, -1, 4, 1.5, "one", "", None, True, "nan", "inf", 1e300, 10**400, [None], [0]])
def test_a_rank_that_is_none_is_null(ask: Ask, rank: Any) -> None:
    """Outside, between two, no number, or missing."""
    assert ask("label_at", rank=rank) + ask("confidence_at", rank=rank) == [None] * 6


def test_a_rank_by_row_counts_in_its_row(ask: Ask) -> None:
    """Mixed kinds, nulls between."""
    assert ask("label_at", rank=[2, None, "1"]) == ["dog", None, "cat"]


def test_the_confidence_at_a_rank_belongs_to_the_label_at_it(ask: Ask) -> None:
    """All ranks of one picture, in order."""
    rows, ranks = [1, 1, 1], [1, 2, 3]
    expected = [("bird", 0.6), ("dog", 0.3), ("cat", 0.1)]
    answer = zip(ask("label_at", rows=rows, rank=ranks), ask("confidence_at", rows=rows, rank=ranks), strict=True)
    assert [(label, round(value, 3)) for label, value in answer] == expected


def test_ranks_end_with_what_is_kept(ask: Ask) -> None:
    """32 of many classes."""
    values = spread(200, 1)
    labels = ask("label_at", values, rows=[0, 0, 0], rank=[1, TOP, TOP + 1])
    order = np.argsort(-values[0], kind="stable")
    assert labels == [f"class {order[0]}", f"class {order[TOP - 1]}", None]


@pytest.mark.parametrize("label", ["dog", ["dog"], ["dog", "dog", "dog"]])
def test_the_probability_of_a_class(ask: Ask, label: Any) -> None:
    """By its name, once or by row."""
    assert ask("probability", label=label) == pytest.approx([0.2, 0.3, 1 / 3], abs=ROUNDING)


@pytest.mark.parametrize("label", ["Dog", "fish", "", None, 2, 1.5, True, [None]])
def test_the_probability_of_no_class_is_null(ask: Ask, label: Any) -> None:
    """A name the model does not have is no zero."""
    assert ask("probability", label=label) == [None] * 3


def test_the_probability_of_a_class_by_row(ask: Ask) -> None:
    """Null where the row asks for none."""
    assert ask("probability", label=["cat", None, "fish"]) == [pytest.approx(0.7, abs=ROUNDING), None, None]


def test_probabilities_beyond_the_kept_ranks_share_the_rest(ask: Ask) -> None:
    """Evenly, so that all classes still add up to one."""
    values = spread(200, 1)
    every = [f"class {number}" for number in range(200)]
    column = ask("probability", values, rows=[0] * 200, label=every)
    assert (abs(sum(column) - 1) <= 2 * ROUNDING, min(column) >= 0) == (True, True)


@pytest.mark.parametrize(("threshold", "expected"), [
    (0.65, [False, True, True]), ([0.65], [False, True, True]), (0, [False] * 3), (1, [True] * 3),
    ([0.1, 0.9, None], [False, True, None]), (None, [None] * 3), ("high", [None] * 3), (True, [None] * 3),
    ("0.65", [False, True, True]), (["1", "nan", "-inf"], [True, None, None])])
def test_a_confidence_below_the_threshold_needs_review(ask: Ask, threshold: Any, expected: list[bool | None]) -> None:
    """Null where there is no threshold to compare with."""
    assert ask("needs_review", threshold=threshold) == expected


def test_a_row_without_an_answer_needs_review(ask: Ask) -> None:
    """A person must look at it."""
    assert ask("needs_review", rows=[0, -1], threshold=0) == [False, True]


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (3, 3), (99, 3)])
def test_the_top_classes_with_their_probabilities(ask: Ask, top_k: int, count: int) -> None:
    """As many as asked for, as far as there are."""
    expected = [("cat", 0.7), ("dog", 0.2), ("bird", 0.1)][:count]
    (answer,) = ask("top", THREE[:1], top_k=top_k)
    assert [(row["label"], round(row["probability"], 3)) for row in answer] == expected


# ---- about the row -----------------------------------------------------------------------------------------------


def test_a_status_is_ok_a_reason_or_pending(ask: Ask) -> None:
    """Exactly one of them."""
    assert ask("status", rows=[0, -1, -1], errors={1: "file not found"}) == ["ok", "file not found", "pending"]


def test_remarks_stand_with_their_content(ask: Ask) -> None:
    """In each of its rows."""
    remark = "first frame of an animation"
    assert ask("note", rows=[0, 1, 0, -1], notes={"d0": remark}) == [remark, None, remark, None]


def test_an_id_is_signed(ask: Ask) -> None:
    """The content's digest itself is not given away."""
    assert ask("id", rows=[0, -1]) == ["signed d0", None]


def test_a_row_is_cached_when_the_model_was_not_asked(ask: Ask) -> None:
    """Rows without an answer are not."""
    assert ask("cached", rows=[0, 1, -1], computed=frozenset({1})) == [True, False, False]


def test_the_model_is_named_where_it_answered(ask: Ask) -> None:
    """With its version."""
    assert ask("model", rows=[0, -1]) == ["pets@1", None]


def test_an_embedding_is_a_json_array(ask: Ask) -> None:
    """Once more for a repeated row."""
    column = ask("embedding", rows=[1, -1, 0, 1])
    vectors = [text and json.loads(text) for text in column]
    assert vectors == [[0.5, 0.625, 0.75, 0.875], None, [0, 0.125, 0.25, 0.375], [0.5, 0.625, 0.75, 0.875]]


def test_embeddings_are_limited_by_row(ask: Ask) -> None:
    """1,000 are answered, 1,001 refused with what to do."""
    column = ask("embedding", rows=[0] * 1000)
    with pytest.raises(TooLargeError, match="1,001 rows of embeddings, the limit is 1,000") as caught:
        ask("embedding", rows=[0] * 1001)
    assert (len(column), caught.value.status, bool(caught.value.hint)) == (1000, 413, True)


def test_an_unknown_field_is_refused_with_the_known_ones(ask: Ask) -> None:
    """The hint is the list."""
    with pytest.raises(UnknownError, match="there is no field 'colour'") as caught:
        ask("colour")
    assert caught.value.hint == f"fields are {', '.join(sorted(fields.FIELDS))}"


@pytest.mark.parametrize("field", sorted(fields.FIELDS))
def test_every_field_is_plain_json_of_the_column_s_length(ask: Ask, field: str) -> None:
    """Built-in types only: what goes out comes back the same."""
    rows = [2, -1, 0, 1, -1, 0]
    column = ask(field, rows=rows, rank=1, label="cat", threshold=0.5, errors={1: "broken"}, notes={"d0": "remark"})
    assert (json.loads(json.dumps(column, allow_nan=False)), len(column)) == (column, len(rows))
