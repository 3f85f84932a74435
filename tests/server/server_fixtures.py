"""What several tests of the server need: pictures in a folder, the shipped model, and that model at work."""

from __future__ import annotations

import io
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from web_server import Web

from models.registry import ModelVersion, Registry
from server.engine import Engine, OnnxEngine, Outputs
from server.layers import NO_MAP, Filters
from server.metrics import Metrics
from server.paths import Roots
from server.served_model import ServedModel
from server.settings import Settings
from server.sources import Sources
from server.store import Store
from server.url_fetch import UrlFetcher

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models" / "store"
HOUR_S = 3600.0


@dataclass(slots=True)
class Clock:
    """Seconds that pass when a test says so; `then` is done one by one when it is looked at."""

    now: float = 1000.0
    then: list[Callable[[], object]] = field(default_factory=list)

    def __call__(self) -> float:
        if self.then:
            self.then.pop(0)()
        return self.now


class WatchedEngine:
    """Another engine that keeps what it was asked for, and waits while `gate` is closed."""

    name = "watched"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.max_batch, self.threads = engine.max_batch, engine.threads
        self.gate = threading.Event()
        self.gate.set()
        self.batches: list[NDArray[np.uint8]] = []

    @property
    def inferences(self) -> int:
        """How many pictures it was asked for."""
        return sum(map(len, self.batches))

    def run(self, pixels: NDArray[np.uint8]) -> Outputs:
        """The other engine's answer."""
        self.gate.wait(30)  # a test that forgets to open it fails and does not hang
        self.batches.append(pixels)
        return self._engine.run(pixels)

    def warm_up(self) -> None:
        """It is warm."""


class WatchedSight(WatchedEngine):
    """The digit model watched, which can also be looked into; a blind one has no map and no filters."""

    def __init__(self, engine: OnnxEngine, *, is_blind: bool = False) -> None:
        super().__init__(engine)
        self._seeing = engine
        self.kernel = None if is_blind else engine.kernel
        self.blindness = NO_MAP if is_blind else ""

    def filters(self) -> Filters | None:
        """The digit model's, or none."""
        return None if self.kernel is None else self._seeing.filters()

    def layers(self) -> tuple[str, ...]:
        """The digit model's."""
        return self._seeing.layers()

    def feature_maps(self, pixels: NDArray[np.uint8], layer: str) -> NDArray[np.float32]:
        """The digit model's."""
        return self._seeing.feature_maps(pixels, layer)


@dataclass(slots=True)
class Pictures:
    """A folder of pictures, written an hour ago unless told otherwise."""

    folder: Path
    _drawn: dict[int, bytes] = field(default_factory=dict)

    def draw(self, number: int) -> bytes:
        """The PNG bytes of picture `number`: noise that no other number has."""
        if number not in self._drawn:
            pixels = np.random.default_rng(number).integers(0, 256, (32, 32), np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            self._drawn[number] = file.getvalue()
        return self._drawn[number]

    def write(self, name: str, content: bytes | int, *, age_s: float = HOUR_S) -> Path:
        """Put bytes, or the picture of that number, under `name`."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.draw(content) if isinstance(content, int) else content)
        self.set_age(path, age_s)
        return path

    def set_age(self, path: Path, age_s: float) -> None:
        """Let the file have been written that long ago."""
        changed_at = time.time() - age_s
        os.utime(path, (changed_at, changed_at))


@pytest.fixture(scope="session")
def version() -> ModelVersion:
    """The digit model of the project."""
    return Registry([MODELS]).resolve("digits@1")


@pytest.fixture(scope="session")
def engine(version: ModelVersion) -> OnnxEngine:
    """The digit model in ONNX Runtime."""
    return OnnxEngine(version, threads=2, max_batch=8)


@pytest.fixture
def watched(engine: OnnxEngine) -> Iterator[WatchedEngine]:
    """The digit model, watched."""
    watching = WatchedEngine(engine)
    yield watching
    watching.gate.set()


@pytest.fixture
def sight(engine: OnnxEngine) -> WatchedSight:
    """The digit model, watched, which can be looked into."""
    return WatchedSight(engine)


@pytest.fixture
def blind(engine: OnnxEngine) -> WatchedSight:
    """The same without a map."""
    return WatchedSight(engine, is_blind=True)


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    """An empty folder for pictures."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return Pictures(folder)


@pytest.fixture
def settings(tmp_path: Path, pictures: Pictures) -> Settings:
    """Settings for the digit model, the picture folder and a state folder of its own."""
    state = tmp_path / "state"
    state.mkdir()
    return Settings(images=(pictures.folder,), state=state, store=MODELS, model="digits", engine="onnx", cache_mb=1,
                    batch_size=8, engine_threads=2, decode_threads=2)


@pytest.fixture(scope="session")
def wait_until() -> Callable[[Callable[[], object]], None]:
    """Returns when something has become true; fails when it has not after twenty seconds."""

    def wait(is_true: Callable[[], object]) -> None:
        until = time.monotonic() + 20
        while not is_true():
            assert time.monotonic() < until, "what was waited for did not come"
            time.sleep(0.002)

    return wait


@pytest.fixture
def free_port() -> int:
    """One that nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with closing(Store(tmp_path / "answers.sqlite")) as opened:
        yield opened


@pytest.fixture
def serve(version: ModelVersion, engine: OnnxEngine, settings: Settings,
          tmp_path: Path) -> Iterator[Callable[..., ServedModel]]:
    """Starts the digit model, by default on a store of its own: `serve(engine, state=..., queue_rows=...)`.

    `beside` another one it is a later version, on the same store and the same memory of paths; on a `state` file that
    another one has it is that one started again.
    """
    stores: dict[ServedModel, Store] = {}
    open_on: dict[Path, ExitStack] = {}
    with ExitStack() as stack:

        def start(chosen: Engine = engine, *, state: Path | None = None, beside: ServedModel | None = None,
                  urls: UrlFetcher | None = None, **changes: Any) -> ServedModel:
            wanted = replace(settings, **changes)
            if beside is not None:
                store, sources = stores[beside], beside.sources
                later = replace(version, spec=replace(version.spec, version="2", digest="a later version"))
            else:
                if state in open_on:
                    open_on[state].close()
                store = Store(state or tmp_path / f"answers-{len(stores)}.sqlite")
                sources = Sources(roots=Roots.of(wanted.images), max_bytes=int(wanted.max_image_mb * 1_000_000),
                                  recheck_s=wanted.recheck_s, limit_bytes=500_000, store=store, clock=time.monotonic,
                                  urls=urls)
            model = ServedModel(later if beside else version, chosen, settings=wanted, sources=sources, store=store,
                                metrics=Metrics())
            stores[model] = store
            running = stack.enter_context(ExitStack())
            running.callback(store.close)
            running.callback(model.close)
            if state is not None:
                open_on[state] = running
            return model

        yield start


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server that has no page yet."""
    server = Web()
    yield server
    server.close()
