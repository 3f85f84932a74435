"""A served version on labelled pictures: decoding, engine and temperature are those that answer analysts."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from models.evaluation.evaluation import Evaluation, Subject, evaluate
from models.evaluation.judging import Judges
from models.golden import check_decode
from models.registry import ModelVersion
from server.engine import Engine, open_engine
from server.settings import Settings

_TOLD_EVERY = 64  # batches


def measure(version: ModelVersion, judges: Judges, *, settings: Settings,
            tell: Callable[[int, int], object]) -> Evaluation:
    """Ask `version` for every picture of `judges`; `tell(done, all)` now and then.

    Raises:
        ModelError: the version is damaged, or decodes or computes something else here than where it was made.
        SettingsError: the wanted engine cannot serve it.
    """
    version.verify()
    check_decode(version)
    engine = open_engine(version, settings)
    subject = Subject(model=version.reference, source=PurePath(judges.data.source).name, part=judges.part,
                      engine=engine.name)
    return evaluate(probabilities(engine, judges.pixels, tell=tell), judges.classes, version.spec.labels,
                    version.spec.temperature, subject=subject, names=judges.names, pixels=judges.pixels)


def probabilities(engine: Engine, pixels: NDArray[np.uint8], *, tell: Callable[[int, int], object]
                  ) -> NDArray[np.float32]:
    """What the engine says of uint8 (N, S, S, C), in batches of its size and as many at once as it wants."""
    starts = range(0, len(pixels), engine.max_batch)

    def run(start: int) -> NDArray[np.float32]:
        return engine.run(np.ascontiguousarray(pixels[start:start + engine.max_batch]))["probabilities"]

    parts = []
    with ThreadPoolExecutor(engine.threads, thread_name_prefix="evaluate") as pool:
        for number, part in enumerate(pool.map(run, starts), 1):
            parts.append(part)
            if number % _TOLD_EVERY == 0:
                tell(min(number * engine.max_batch, len(pixels)), len(pixels))
    return np.concatenate(parts)
