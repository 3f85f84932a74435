"""The three sample workbooks of the models a server has: what they are made of is asked for here, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbooks.authoring.errors import AuthoringError
from workbooks.authoring.source import Storage
from workbooks.authoring.table import Table, read_csv
from workbooks.authoring.workbook import Workbook
from workbooks.content.catalogue import MAP_SIDE, MAP_SIZE, catalogue
from workbooks.content.live import ASKED, RANK, Function, functions_of, live
from workbooks.content.quality import MOST_SEEN, mistakes, quality
from workbooks.gathering import classified, measured
from workbooks.gathering.classified import COLUMNS, IMAGE, SIMILAR
from workbooks.gathering.client import Client
from workbooks.gathering.demo_server import DIGITS_TABLE
from workbooks.gathering.picture_sheets import picture_map, picture_row
from workbooks.gathering.pictures import Pictures, from_folder, from_table, golden

_LIVE_ROWS = 100  # a model: a live view asks for all of them with every field
_DIGITS, _DIGITS_SOURCE = "digits", "sklearn:digits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the samples are made of: at most `rows` pictures a model; `state` is that of a server started for it."""

    store: Path
    state: Path | None = None
    pictures: Mapping[str, Path] = field(default_factory=dict)
    depth: Path | None = None
    rows: int = 1000
    has_addresses: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """What was found out about one model."""

    name: str
    pictures: Pictures
    labels: Sequence[str]
    rows: list[dict[str, Any]]
    similar: list[dict[str, Any]]
    quality: measured.Rows
    asked: list[dict[str, Any]]


def samples(client: Client, wishes: Wishes, storage: Storage, say: Callable[[str], None]) -> Iterator[Workbook]:
    """*Image catalogue*, *Model quality* and *Live*.

    Raises:
        AuthoringError: no model has pictures, some are named for a model that is not there, or the server or the
            measurement fails.
    """
    functions = functions_of(client.listed("functions"))
    models = client.models()
    for name, source in wishes.pictures.items():
        if name not in models:
            raise AuthoringError(f"--pictures {name}={source}: the server has no model {name} that it can open; it has"
                                 f" {', '.join(models) or 'none'}.")
    found = [one for model in models if (one := _gathered(client, model, functions, wishes, say))]
    if not found:
        raise AuthoringError("No model has pictures to classify: name some with --pictures MODEL=FOLDER.")
    found.sort(key=lambda one: -len(one.rows))  # the first is shown when a workbook opens
    table = Table("catalogue", COLUMNS, [row for one in found for row in one.rows])
    similar = [row for one in found for row in one.similar]
    seen = picture_map(found[0].rows, IMAGE, found[0].pictures.folder, size=MAP_SIZE, side=MAP_SIDE)
    yield catalogue(table, Table("similar", SIMILAR, similar), IMAGE, storage, seen=seen,
                    models=[one.name for one in found])
    yield _quality(found, wishes, storage, say)
    yield live([row for one in found for row in one.asked], functions, {one.name: one.labels for one in found}, storage)


def _gathered(client: Client, model: str, functions: Sequence[Function], wishes: Wishes,
              say: Callable[[str], None]) -> _Gathered | None:
    pictures = _pictures(model, wishes)
    if pictures is None:
        say(f"{model}: no pictures, so it is left out; name some with --pictures {model}=FOLDER")
        return None
    pictures = pictures.at_most(wishes.rows)
    about = client.get("v1", "models", model)
    rows = classified.catalogue_rows(client, model, pictures, has_addresses=wishes.has_addresses)
    answered = sum(row["status"] == "ok" for row in rows)
    say(f"{model}: {answered:,} of {len(rows):,} pictures classified")
    if not answered:
        raise AuthoringError(f"{model}: no picture could be read ({rows[0]['status']}): is their folder one of the"
                             " server's --images?")
    found = measured.evaluation(model, pictures.source, wishes.store)
    tables = measured.quality_rows(model, found) if found else {}
    if board := measured.leaderboard_rows(model, about["about"]):
        tables["leaderboard"] = board
    asked = _asked(client, model, rows[:_LIVE_ROWS], about["labels"], functions)
    similar = classified.similar_rows(client, model, rows)
    return _Gathered(model, pictures, about["labels"], rows, similar, tables, asked)


def _pictures(model: str, wishes: Wishes) -> Pictures | None:
    """Those the user names, else the demo's for digits, else what came with the version."""
    named = wishes.pictures.get(model)
    if named is not None and named.suffix.lower() == ".csv":
        return from_table(named, _DIGITS_SOURCE if model == _DIGITS else "")
    if named is not None:
        return from_folder(named)
    if model == _DIGITS and wishes.state is not None:
        return from_table(wishes.state / DIGITS_TABLE, _DIGITS_SOURCE)
    return golden(wishes.store, model)


def _asked(client: Client, model: str, rows: Sequence[Mapping[str, Any]], labels: Sequence[str],
           functions: Sequence[Function]) -> list[dict[str, Any]]:
    """The rows with the answers that hold for the parameters' first values."""
    known = {function.column for function in functions}
    fields = [name for name in ASKED if name in known]
    paths = [str(row[IMAGE]) for row in rows]
    answers = client.classify(paths, model, fields, {"rank": RANK, "label": labels[0], "to": paths[0]})
    return [dict(row) | {name: answers[name][place] if name in fields else None for name in ASKED}
            for place, row in enumerate(rows)]


def _quality(found: Sequence[_Gathered], wishes: Wishes, storage: Storage, say: Callable[[str], None]) -> Workbook:
    rows: dict[str, list[Any]] = {}
    for one in found:
        for name, more in one.quality.items():
            rows.setdefault(name, []).extend(more)
    rows["mistakes"] = [row for one in found for row in mistakes(one.rows)]
    if wishes.depth is not None:
        rows["depth"] = _depth(wishes.depth)
    measured_models = [one.name for one in found if one.quality]
    if not measured_models:
        raise AuthoringError("No model could be measured: name labelled pictures with --pictures MODEL=FOLDER.")
    for name, what in (("leaderboard", "no model was chosen from several"), ("depth", "no --depth depth.csv")):
        if not rows.get(name):
            say(f"Model quality has no {name}: {what}")
    first = found[0]
    worst = [first.pictures.folder / row["Picture"] for row in rows["mistakes"] if row["Model"] == first.name]
    return quality(rows, measured_models, storage, picture_row(worst, side=96, most=MOST_SEEN))


def _depth(path: Path) -> list[dict[str, Any]]:
    """The rows of `depth.csv` as `run.py experiment depth` writes it."""
    names = {"network": "Network", "depth": "Depth", "shortcuts": "Shortcuts", "epoch": "Epoch",
             "training_error": "Training error", "test_error": "Test error"}
    table = read_csv(path)
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise AuthoringError(f"{path} has no column {missing[0]}: name the depth.csv of `run.py experiment depth`.")
    return [{caption: row[name] for name, caption in names.items()} for row in table.rows]
