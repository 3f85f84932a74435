"""Which version takes requests: swaps nobody waits for, what goes on meanwhile, and what is closed when.

The clock and the engines are the test's; the watch is told when to look.
"""

from __future__ import annotations

import gc
import logging
import shutil
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from model_versions import spoil, write_version

from models.promotion import promote, roll_back
from models.registry import ModelVersion, Registry
from server.engine import OnnxEngine
from server.errors import BusyError, UnknownError
from server.metrics import Metrics
from server.model_watch import GRACE_S, ModelWatch
from server.openings import RETRY_S
from server.paths import Roots
from server.served_model import ServedModel
from server.served_models import ServedModels
from server.settings import Settings
from server.sources import Sources
from server.store import Store

if TYPE_CHECKING:
    from server_fixtures import Clock, WatchedEngine

pytest_plugins = ("server_fixtures",)

WaitUntil = Callable[[Callable[[], object]], None]


@dataclass(slots=True)
class Shelf:
    """A store with digits 1 and 2, of which 1 is the champion and at work."""

    root: Path
    source: Path
    models: ServedModels
    watch: ModelWatch
    clock: Clock
    metrics: Metrics
    gates: dict[str, threading.Event]
    opened: list[str] = field(default_factory=list)

    @property
    def registry(self) -> Registry:
        """Its folders."""
        return Registry([self.root])

    def look(self, times: int = 2) -> None:
        """Look, wait for what is being opened, and look again."""
        for _ in range(times):
            self.watch.look()
            for thread in list(self.models.openings._threads):
                thread.join(20)

    def write(self, version: str, **more: Any) -> Path:
        """One more version."""
        return write_version(self.root, version, source=self.source, **more)

    def state(self, version: str) -> dict[str, str]:
        """What is said of it."""
        return self.models.states("digits")[version]

    def name(self, reference: str | None = None) -> str:
        """What answers for a reference."""
        return self.models.get(reference).name


@pytest.fixture
def make_shelf(settings: Settings, version: ModelVersion, engine: OnnxEngine, store: Store, clock: Clock,
               tmp_path: Path) -> Iterator[Callable[..., Shelf]]:
    """Makes a shelf: `make_shelf(max_models=2)`; opening `gates[version]` waits until it is set."""
    with ExitStack() as stack:

        def make(**changes: Any) -> Shelf:
            root = tmp_path / "models"
            for number in ("1", "2"):
                write_version(root, number, source=version.folder)
            promote(Registry([root]), "digits@1")
            wanted = replace(settings, store=root, **changes)
            sources = Sources(roots=Roots.of(wanted.images), max_bytes=1_000_000, recheck_s=30, limit_bytes=500_000,
                              store=store, clock=time.monotonic)
            gates: dict[str, threading.Event] = {}
            opened: list[str] = []

            def open_engine(asked: ModelVersion, _: Settings) -> OnnxEngine:
                opened.append(asked.reference)
                if asked.spec.version in gates:
                    gates[asked.spec.version].wait(20)
                return engine

            metrics = Metrics()
            models = ServedModels(settings=wanted, sources=sources, store=store, metrics=metrics,
                                  open_engine=open_engine, clock=clock)
            stack.callback(models.close)
            stack.callback(open_all, gates)
            models.get(None)
            return Shelf(root, version.folder, models, ModelWatch(models, wanted, clock=clock), clock, metrics, gates,
                         opened)

        yield make


def open_all(gates: dict[str, threading.Event]) -> None:
    """Let every opening go on."""
    for gate in gates.values():
        gate.set()


@pytest.fixture
def shelf(make_shelf: Callable[..., Shelf]) -> Shelf:
    """One with the usual settings."""
    return make_shelf()


# ---- swaps -------------------------------------------------------------------------------------------------------


def test_a_promotion_is_noticed_without_being_asked(shelf: Shelf) -> None:
    """The new version is at work before the next request comes, and the way back needs no opening."""
    promote(shelf.registry, "digits@2")
    shelf.look()
    assert (shelf.name(), shelf.opened) == ("digits@2", ["digits@1", "digits@2"])
    roll_back(shelf.registry, "digits")
    shelf.look(1)
    assert (shelf.name(), len(shelf.opened)) == ("digits@1", 2)


def test_requests_during_an_opening_go_on_with_the_old_version(shelf: Shelf) -> None:
    """None waits, whatever reference it has; the new version's state is told."""
    shelf.models.get("digits")
    gate = shelf.gates["2"] = threading.Event()
    promote(shelf.registry, "digits@2")
    shelf.watch.look()
    shelf.watch.look()
    assert ([shelf.name(), shelf.name("digits"), shelf.state("2")["state"]]) == ["digits@1", "digits@1", "opening"]
    gate.set()
    shelf.look()
    assert [shelf.name(), shelf.name("digits"), shelf.opened.count("digits@2")] == ["digits@2", "digits@2", 1]


def test_a_request_keeps_the_version_it_began_with(shelf: Shelf) -> None:
    """It ends with it, however long after the swap; then the version is closed, after the grace period."""
    with shelf.models.use(None) as model:
        promote(shelf.registry, "digits@2")
        shelf.look()
        shelf.clock.now += 10 * GRACE_S
        shelf.look()
        assert (model.name, shelf.state("1"), model._threads[0].is_alive()) == ("digits@1", {"state": "leaving"}, True)
    shelf.look()
    assert shelf.state("1") == {"state": "leaving"}
    shelf.clock.now += GRACE_S + 1
    shelf.look()
    assert (shelf.state("1"), model._threads[0].is_alive()) == ({"state": "idle"}, False)


def test_pictures_on_their_way_keep_a_version_open(shelf: Shelf, pictures: Any, watched: WatchedEngine,
                                                   wait_until: WaitUntil) -> None:
    """Rows that are pending are answered by the version that was asked, though nobody waits for them."""
    from server.classify import classify

    watched.gate.clear()
    model = shelf.models.get(None)
    model.engine = watched
    pictures.write("a.png", 0)
    classify(["a.png"], model, until=time.monotonic())
    promote(shelf.registry, "digits@2")
    shelf.look()
    shelf.clock.now += 10 * GRACE_S
    shelf.look()
    assert shelf.state("1") == {"state": "leaving"}
    watched.gate.set()
    wait_until(lambda: len(model.in_flight) == 0)
    shelf.look()
    assert (shelf.state("1"), watched.inferences) == ({"state": "idle"}, 1)


def test_a_closed_version_leaves_nothing_behind(shelf: Shelf) -> None:
    """No thread, no gauge, and no memory, without waiting for a garbage collection."""
    model: Any = shelf.models.get("digits@2")
    marker = weakref.ref(model)
    names = {thread.name for thread in model._threads}
    del model
    shelf.clock.now += shelf.models._settings.model_idle_s + GRACE_S
    gc.disable()
    try:
        shelf.look()
        assert marker() is None
    finally:
        gc.enable()
    assert b'pixfield_queue_rows{model="digits@2"}' not in shelf.metrics.render()
    assert b'pixfield_queue_rows{model="digits@1"}' in shelf.metrics.render()
    assert len([thread for thread in threading.enumerate() if thread.name in names]) == len(names)  # those of 1


# ---- damage ------------------------------------------------------------------------------------------------------


def test_a_damaged_version_never_goes_live(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """The log says so once, the list says why, it is not read again and again, and the old version answers."""
    promote(shelf.registry, "digits@2")
    spoil(shelf.root / "digits" / "2")
    caplog.set_level(logging.INFO)
    shelf.look(5)
    assert (shelf.name(), shelf.opened) == ("digits@1", ["digits@1"])
    assert "model.onnx has SHA-256" in shelf.state("2")["reason"]
    assert shelf.models.meanings.problems("digits").keys() == {"digits"}
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [text.partition(": ")[0] for text in told] == [
        "digits@2 is not served", "digits@1 goes on answering for the default model"]


def test_a_mended_version_goes_live_when_its_files_have_settled(shelf: Shelf) -> None:
    """At the second look that finds them alike: while they are copied every look would read all of them."""
    promote(shelf.registry, "digits@2")
    before = spoil(shelf.root / "digits" / "2")
    shelf.look()
    (shelf.root / "digits" / "2" / "model.onnx").write_bytes(before)
    shelf.look(1)
    assert "digits@2" not in shelf.opened
    shelf.look()
    assert shelf.name() == "digits@2"


def test_an_engine_that_failed_is_tried_again_after_a_while(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """The reason may lie elsewhere, such as memory; the traceback is in the log."""
    works = shelf.models._open_engine

    def fail(*_: object) -> OnnxEngine:
        raise MemoryError("no room")

    shelf.models._open_engine = fail
    promote(shelf.registry, "digits@2")
    shelf.look()
    shelf.models._open_engine = works
    shelf.look()
    assert (shelf.name(), shelf.state("2")["reason"], "Traceback" in caplog.text) == (
        "digits@1", "MemoryError: no room", True)
    shelf.clock.now += RETRY_S
    shelf.look()
    assert shelf.name() == "digits@2"


def test_a_half_copied_folder_is_told_once(shelf: Shelf, caplog: pytest.LogCaptureFixture) -> None:
    """By the second look, and again only when it was whole in between."""
    folder = shelf.write("3")
    spec = (folder / "model.json").read_bytes()
    (folder / "model.json").unlink()
    shelf.look(4)
    (folder / "model.json").write_bytes(spec)
    shelf.look()
    (folder / "model.json").unlink()
    shelf.look(4)
    lines = [record.getMessage() for record in caplog.records if "not served: digits@3" in record.getMessage()]
    assert lines == ["not served: digits@3: there is no model.json: the folder is half copied or no model."] * 2
    assert "there is no model.json" in shelf.state("3")["reason"]


def test_an_alias_file_that_breaks_changes_nothing(shelf: Shelf) -> None:
    """Until it can be read again."""
    path = shelf.root / "digits" / "aliases.json"
    path.write_text("{", encoding="utf-8")
    shelf.look()
    assert (shelf.name(), "is not JSON" in shelf.models.meanings.problems("digits")["digits"]) == ("digits@1", True)
    path.write_text('{"champion": "2"}', encoding="utf-8")
    shelf.look()
    assert (shelf.name(), shelf.models.meanings.problems("digits")) == ("digits@2", {})


def test_a_store_that_is_away_for_a_moment_stops_nothing(shelf: Shelf) -> None:
    """A network drive that hangs is not a removal."""
    shelf.root.rename(shelf.root.with_name("away"))
    shelf.look()
    assert shelf.name() == "digits@1"
    shelf.root.with_name("away").rename(shelf.root)
    promote(shelf.registry, "digits@2")
    shelf.look()
    assert shelf.name() == "digits@2"


def test_a_removed_version_is_no_longer_served(shelf: Shelf) -> None:
    """A pin to it is refused, the others go on."""
    assert shelf.name("digits@2") == "digits@2"
    shelf.registry.remove("digits", "2")
    shelf.look()
    with pytest.raises(UnknownError, match=r"There is no digits@2\. digits has: 1, champion"):
        shelf.name("digits@2")
    assert shelf.name() == "digits@1"


# ---- pins and bounds ---------------------------------------------------------------------------------------------


def test_pins_stay_open_while_they_are_used(shelf: Shelf) -> None:
    """And are closed when nobody has asked for a while; the default model never is."""
    idle_s = shelf.models._settings.model_idle_s
    for _ in range(3):
        shelf.models.get("digits@2")
        shelf.clock.now += 0.9 * idle_s
        shelf.look()
        assert shelf.state("2") == {"state": "serving"}
    shelf.clock.now += 0.2 * idle_s
    shelf.look()
    assert [shelf.state(version)["state"] for version in "12"] == ["serving", "idle"]


def test_as_many_are_open_as_may_be(make_shelf: Callable[..., Shelf]) -> None:
    """The longest unused goes for a new one; none that is in use, and never the default."""
    shelf = make_shelf(max_models=3)
    for number in ("3", "4"):
        shelf.write(number)
    for number in ("2", "3"):
        shelf.models.get(f"digits@{number}")
        shelf.clock.now += 1
    shelf.models.get("digits@4")
    assert [shelf.state(version)["state"] for version in "1234"] == ["serving", "idle", "serving", "serving"]
    with shelf.models.use("digits@3"), shelf.models.use("digits@4"):
        with pytest.raises(BusyError, match=r"3 versions are open and in use \(--max-models\)"):
            shelf.models.get("digits@2")
        promote(shelf.registry, "digits@2")
        shelf.look()
        assert shelf.name() == "digits@2"


def test_what_leaves_for_another_is_closed_by_the_thread_that_opens(make_shelf: Callable[..., Shelf],
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own threads may take seconds to end: neither its request nor another waits for that."""
    closing: list[str] = []
    close = ServedModel.close

    def noting(model: ServedModel) -> None:
        closing.append(f"{model.name} by {threading.current_thread().name}")
        close(model)

    monkeypatch.setattr(ServedModel, "close", noting)
    shelf = make_shelf(max_models=2)
    shelf.write("3")
    for reference in ("digits@2", "digits@3"):
        shelf.models.get(reference)
    assert closing == ["digits@2 by open-digits@3"]


def test_a_first_opening_is_waited_for_by_its_own_requests_alone(shelf: Shelf) -> None:
    """Others are answered meanwhile; of its own only so many wait that threads are left."""
    gate = shelf.gates["2"] = threading.Event()
    answers: list[str] = []

    def ask() -> None:
        try:
            answers.append(shelf.name("digits@2"))
        except BusyError as exc:
            answers.append(exc.code)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    while len(answers) < 4:
        assert shelf.name() == "digits@1"
    gate.set()
    for thread in threads:
        thread.join(20)
    assert (sorted(set(answers)), answers.count("opening"), shelf.opened.count("digits@2")) == (
        ["digits@2", "opening"], 4, 1)


def test_a_version_is_opened_once_though_two_ask(shelf: Shelf) -> None:
    """Also when the second one begins just after the first opening has ended."""
    model = shelf.models.get("digits@2")
    asked = shelf.models.resolve("digits@2")
    assert shelf.models.begin(asked, 4)(20) is model
    assert (shelf.opened.count("digits@2"), len(shelf.models.meanings)) == (1, 2)


def test_a_closed_pin_is_not_opened_again_by_the_watch(make_shelf: Callable[..., Shelf]) -> None:
    """Only by who asks for it."""
    shelf = make_shelf(max_models=2)
    shelf.write("3")
    for reference in ("digits@2", "digits@3"):
        shelf.models.get(reference)
    shelf.look(3)
    assert [shelf.state(version)["state"] for version in "123"] == ["serving", "idle", "serving"]


def test_a_pin_to_a_damaged_version_is_refused_without_reading_it_again(shelf: Shelf) -> None:
    """Until its files change."""
    before = spoil(shelf.root / "digits" / "2")
    for _ in range(3):
        with pytest.raises(BusyError, match=r"model\.onnx has SHA-256") as caught:
            shelf.name("digits@2")
    (shelf.root / "digits" / "2" / "model.onnx").write_bytes(before)
    assert (caught.value.code, shelf.name("digits@2")) == ("model_unusable", "digits@2")


def test_a_default_that_comes_later_is_taken(make_shelf: Callable[..., Shelf], tmp_path: Path) -> None:
    """A server that started without a usable model serves it as soon as it is there."""
    shelf = make_shelf()
    shelf.models.meanings.drop(None)
    shutil.move(shelf.root / "digits", tmp_path / "digits")
    shelf.look()
    assert (shelf.models.meanings.find(None), "There is no model" in (shelf.watch.problem or "")) == (None, True)
    shutil.move(tmp_path / "digits", shelf.root / "digits")
    shelf.look()
    assert (shelf.models.meanings.find(None) is not None, shelf.watch.problem) == (True, None)


def test_nothing_is_left_when_it_is_closed_while_opening(shelf: Shelf) -> None:
    """The version being opened is closed, too, and whoever waits is told."""
    shelf.gates["2"] = threading.Event()
    promote(shelf.registry, "digits@2")
    shelf.watch.look()
    closing = threading.Thread(target=shelf.models.close)
    closing.start()
    shelf.gates["2"].set()
    closing.join(20)
    assert [thread.name for thread in threading.enumerate() if "digits" in thread.name] == []
    with pytest.raises(BusyError, match="the server is stopping"):
        shelf.models.get("digits@2")
