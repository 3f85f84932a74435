"""What the cores allow: decoding alone and the model alone, in a process that does nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from models.picture import read_picture
from models.registry import Registry
from server.engine import open_engine
from server.settings import Settings

_ENOUGH_S = 6.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Images per second: `decode` reads and decodes on all cores, `model` runs the network alone on all cores."""

    decode: float
    model: float
    engine: str
    on_gpu: bool

    @property
    def both(self) -> float:
        """What both together can reach: they share the cores, or with a GPU the slower one rules."""
        return min(self.decode, self.model) if self.on_gpu else 1 / (1 / self.decode + 1 / self.model)


def measure(paths: Sequence[Path], store: Path, model: str, engine: str = "auto", *, half: bool = False) -> Limits:
    """Measure in a fresh process, so that nothing of the benchmark shares its interpreter lock."""
    command = [sys.executable, "-m", "benchmarks.limits", str(store), model, engine, str(half)]
    done = subprocess.run(command, input="\n".join(map(str, paths)), stdout=subprocess.PIPE, text=True, check=True,
                          encoding="utf-8")
    return Limits(**json.loads(done.stdout.splitlines()[-1]))


def _main(arguments: list[str]) -> None:
    store, model, engine_name, half = arguments
    paths = [Path(line) for line in sys.stdin.read().splitlines()]
    settings = Settings(store=Path(store), engine=engine_name, half=half == "True")
    version = Registry((settings.store,)).resolve(model)
    spec = version.spec
    engine = open_engine(version, settings)

    def decode(path: Path) -> None:
        read_picture(path.read_bytes(), size=spec.input_size, channels=spec.channels, resize=spec.resize)

    decoded = [read_picture(path.read_bytes(), size=spec.input_size, channels=spec.channels, resize=spec.resize).pixels
               for path in islice(cycle(paths), engine.max_batch)]
    batch = np.stack(decoded)
    is_on_gpu = not engine.name.startswith("onnx")
    shares = [paths[number::settings.engine_threads] for number in range(settings.engine_threads)]
    limits = {"decode": _rate([partial(_each, decode, share) for share in shares], len(paths)),
              "model": _rate([lambda: engine.run(batch)] * engine.threads, len(batch) * engine.threads),
              "engine": engine.name, "on_gpu": is_on_gpu}
    sys.stdout.write(json.dumps(limits) + "\n")


def _each(work: Callable[[Path], None], paths: Sequence[Path]) -> None:
    for path in paths:
        work(path)


def _rate(works: Sequence[Callable[[], object]], images: int) -> float:
    """Images per second when every work runs in a thread of its own, again and again for some seconds."""
    rounds = [0] * len(works)
    started = time.perf_counter()

    def repeat(number: int) -> None:
        while time.perf_counter() - started < _ENOUGH_S:
            works[number]()
            rounds[number] += 1

    threads = [threading.Thread(target=repeat, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(rounds) * images / len(works) / (time.perf_counter() - started)


if __name__ == "__main__":
    _main(sys.argv[1:])
