"""Two versions on one folder of pictures, through the very pipeline that serves: which pictures get another label.

A folder enters, a `Comparison` leaves. Where its subfolders have the names of labels they are taken as the truth. The
answers are kept in a temporary folder, never among those that are served.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelError
from models.names import normal
from models.paired import Paired
from server import fields
from server.classify import OK, classify
from server.doctor.machine import PICTURES
from server.errors import RequestError
from server.metrics import Metrics
from server.paths import Roots
from server.served_model import ServedModel
from server.served_models import ServedModels
from server.settings import Settings
from server.sources import Sources
from server.store import Store

_ROWS = 1000  # a request's; small enough to tell how far it is
_A_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Said:
    """What one version says of a picture; label and confidence are None where it has no answer, and `status` why."""

    label: str | None
    confidence: float | None
    status: str


@dataclass(frozen=True, slots=True)
class Row:
    """A picture by its path inside the folder, with the label its class folder names, if any."""

    path: str
    truth: str | None
    a: Said
    b: Said

    @property
    def is_compared(self) -> bool:
        """Whether both versions have an answer."""
        return self.a.status == self.b.status == OK

    @property
    def flips(self) -> bool:
        """Whether both have an answer, and another label."""
        return self.is_compared and self.a.label != self.b.label

    @property
    def problem(self) -> str | None:
        """Why it is not compared."""
        return None if self.is_compared else next(said.status for said in (self.a, self.b) if said.status != OK)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Versions A and B as name@version, what runs them, and every picture."""

    a: str
    b: str
    engines: tuple[str, str]
    rows: tuple[Row, ...]

    @property
    def compared(self) -> int:
        """Pictures that both answered."""
        return sum(row.is_compared for row in self.rows)

    @property
    def flips(self) -> list[Row]:
        """Pictures with another label."""
        return [row for row in self.rows if row.flips]

    @property
    def agreement(self) -> float | None:
        """The share of compared pictures with the same label, 0..1; None without any."""
        return 1 - len(self.flips) / self.compared if self.compared else None

    @property
    def unreadable(self) -> list[Row]:
        """Pictures without an answer."""
        return [row for row in self.rows if not row.is_compared]

    @property
    def paired(self) -> Paired | None:
        """Who is right, over the compared pictures in class folders; None without any."""
        rows = [(row.a.label == row.truth, row.b.label == row.truth) for row in self.rows
                if row.is_compared and row.truth is not None]
        counts = [rows.count(case) for case in ((True, True), (True, False), (False, True), (False, False))]
        return Paired(*counts) if rows else None


def compare(a: str, b: str, folder: Path, *, settings: Settings, tell: Callable[[int, int], object]) -> Comparison:
    """The versions that references `a` and `b` mean, on every picture below `folder`; `tell(done, all)` now and then.

    Raises:
        ModelError: a version cannot be served here, both are the same, or there is no picture.
    """
    paths = pictures_below(folder)
    with _at_work(settings) as models:
        try:
            with models.use(a, until=_later()) as one, models.use(b, until=_later()) as other:
                if one is other:
                    raise ModelError(f"{a} and {b} are the same version, {one.name}.")
                rows = tuple(_rows(paths, folder, one, other, tell))
                return Comparison(one.name, other.name, (one.engine.name, other.engine.name), rows)
        except RequestError as exc:
            raise ModelError(exc.message) from exc


def pictures_below(folder: Path) -> list[Path]:
    """Every file with a picture's suffix below `folder`, sorted; raises ModelError without any."""
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder: name one with pictures.")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and path.is_file())
    if not paths:
        raise ModelError(f"{folder} has no pictures ({', '.join(sorted(PICTURES))}).")
    return paths


@contextmanager
def _at_work(settings: Settings) -> Iterator[ServedModels]:
    with tempfile.TemporaryDirectory(prefix="pixfield-compare-", ignore_cleanup_errors=True) as state, ExitStack() as s:
        store = s.enter_context(closing(Store(Path(state) / "answers.sqlite")))
        sources = Sources(roots=Roots.of(settings.images), max_bytes=int(settings.max_image_mb * 1_000_000),
                          recheck_s=settings.recheck_s, limit_bytes=settings.cache_mb * 500_000, store=store,
                          clock=time.monotonic)
        yield s.enter_context(closing(ServedModels(settings=settings, sources=sources, store=store, metrics=Metrics())))


def _rows(paths: list[Path], folder: Path, one: ServedModel, other: ServedModel,
          tell: Callable[[int, int], object]) -> Iterator[Row]:
    labels = {normal(label): label for label in (*one.labels, *other.labels)}
    for start in range(0, len(paths), _ROWS):
        part = paths[start:start + _ROWS]
        for path, a, b in zip(part, _said(part, one), _said(part, other), strict=True):
            inside = path.relative_to(folder)
            truth = labels.get(normal(inside.parts[0])) if len(inside.parts) > 1 else None
            yield Row(inside.as_posix(), truth, a, b)
        tell(min(start + _ROWS, len(paths)), len(paths))


def _said(paths: list[Path], model: ServedModel) -> list[Said]:
    outcome = classify([str(path) for path in paths], model, until=_later())
    asked = fields.Request(outcome, model, {}, str)
    columns = [fields.column(name, asked) for name in ("label", "confidence", "status")]
    return [Said(*values) for values in zip(*columns, strict=True)]


def _later() -> float:
    return time.monotonic() + _A_DAY_S
