"""What one running server owns: its state folder, its tokens, its key, and the models it opens and closes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from web_server import Page, Web

from models.registry import ModelVersion
from server.doors import read_tokens
from server.engine import OnnxEngine
from server.errors import BusyError, SettingsError, UnknownError
from server.found_url import FoundUrl
from server.service import Service, state_folder
from server.settings import Settings

if TYPE_CHECKING:
    from server_fixtures import Pictures, WatchedEngine

pytest_plugins = ("server_fixtures",)

ROOT = Path(__file__).resolve().parents[2]
WaitUntil = Callable[[Callable[[], object]], None]


@pytest.fixture
def service(settings: Settings, engine: OnnxEngine) -> Iterator[Service]:
    """One that is not started."""
    with closing(Service(settings, open_engine=lambda *_: engine)) as opened:
        yield opened


@pytest.fixture
def models(settings: Settings, version: ModelVersion, tmp_path: Path) -> Settings:
    """Settings with a store of models of their own: a copy of the digit model."""
    store = tmp_path / "models"
    shutil.copytree(version.folder, store / "digits" / "1")
    return replace(settings, store=store)


# ---- where pictures come from ------------------------------------------------------------------------------------


def test_mappings_and_prefixes_reach_the_sources(settings: Settings, engine: OnnxEngine, pictures: Pictures,
                                                 web: Web) -> None:
    """What the command line says is what a column meets."""
    path = pictures.write("a.png", b"A")
    web.pages["/a.png"] = Page(b"B")
    wanted = replace(settings, map=(f"P:={pictures.folder}",), allow_url=(web.url,), url_timeout_s=5.0)
    texts = [r"p:\a.png", f"{web.url}/a.png", "https://img.corp/a.png"]
    with closing(Service(wanted, open_engine=lambda *_: engine)) as service:
        column = service.sources.resolve(texts)
        found = column.to_read[texts[1]]
        assert isinstance(found, FoundUrl)
        assert service.sources.read(texts[1], found, is_known=False)[0] == b"B"
    assert [found[0] for found in column.to_read.values()] == [str(path), f"{web.url}/a.png"]
    assert column.errors == {2: "outside the allowed URLs (--allow-url)"}


# ---- the state folder --------------------------------------------------------------------------------------------


def test_a_state_folder_is_made_for_its_owner_only(tmp_path: Path) -> None:
    """With the folders above it."""
    with state_folder(tmp_path / "new" / "state") as folder:
        assert (folder.is_dir(), os.name == "nt" or folder.stat().st_mode & 0o077 == 0) == (True, True)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_a_state_folder_open_to_others_is_closed(settings: Settings) -> None:
    """With every file in it, those that SQLite makes included."""
    state = settings.state
    for name in ("answers.sqlite", "image-id.key", "lock"):
        (state / name).touch()
        (state / name).chmod(0o644)
    (state / "image-id.key").write_bytes(b"k" * 32)
    (state / "logs").mkdir(mode=0o755)
    state.chmod(0o755)
    with state_folder(state), closing(Service(settings)) as service:
        service.store.answers(1, ["asked, so that its journal is there"])
        modes = {path.name: path.stat().st_mode & 0o777 for path in (state, *state.iterdir())}
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
    assert {"answers.sqlite-wal", "answers.sqlite", "image-id.key"} <= modes.keys()
    assert modes["logs"] == 0o700


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_a_folder_with_other_things_stays_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Only our own files are closed, and the log says that the folder is open."""
    for name in ("notes.txt", "answers.sqlite"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o644)
    tmp_path.chmod(0o755)
    with state_folder(tmp_path):
        modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path, *tmp_path.iterdir())}
    assert modes == {tmp_path.name: "0o755", "notes.txt": "0o644", "answers.sqlite": "0o600", "lock": "0o600"}
    assert f"other users may look into {tmp_path}: name a --state folder of its own" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such rights")
def test_new_files_are_made_for_their_owner(settings: Settings) -> None:
    """Not opened first and closed afterwards, whatever the umask is."""
    before = os.umask(0)
    try:
        with closing(Service(settings)) as service:
            service.store.answers(1, ["asked, so that its journal is there"])
            modes = {path.name: oct(path.stat().st_mode & 0o777) for path in settings.state.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(
        ("image-id.key", "image-url.key", "answers.sqlite", "answers.sqlite-wal", "answers.sqlite-shm",
         "pictures.sqlite", "pictures.sqlite-wal", "pictures.sqlite-shm"), "0o600")


def test_deleting_the_key_changes_every_id(settings: Settings) -> None:
    """That is how old addresses are revoked."""
    ids = []
    for _ in range(2):
        with closing(Service(settings)) as service:
            ids.append(service.sign("digest"))
        (settings.state / "image-id.key").unlink()
    assert ids[0] != ids[1]


def test_a_second_server_on_one_state_folder_is_refused(tmp_path: Path) -> None:
    """The sentence says what to do."""
    with state_folder(tmp_path), pytest.raises(SettingsError) as caught, state_folder(tmp_path):
        pass
    assert str(caught.value) == f"--state {tmp_path} is used by another Pixfield: stop it, or name another folder."


def test_a_state_folder_is_free_when_its_server_has_stopped(tmp_path: Path) -> None:
    """Again and again."""
    for _ in range(3):
        with state_folder(tmp_path) as folder:
            assert folder == tmp_path


HOLDS = """
import sys
from pathlib import Path
from server.service import state_folder
with state_folder(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_server_leaves_its_state_folder_free(tmp_path: Path) -> None:
    """The system gives the lock back."""
    process = subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], cwd=ROOT, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    with pytest.raises(SettingsError, match="is used by another Pixfield"), state_folder(tmp_path):
        pass
    process.kill()
    process.communicate()
    with state_folder(tmp_path) as folder:
        assert folder == tmp_path


def test_a_state_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """With the system's reason."""
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"file/state cannot be written \(.*\): name a folder you may write to\."), \
            state_folder(tmp_path / "file" / "state"):
        pass


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_state_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    """In one sentence."""
    tmp_path.chmod(0o500)
    with pytest.raises(SettingsError, match="cannot be written"), state_folder(tmp_path / "state"):
        pass


# ---- tokens and the key ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("content", "tokens"), [
    (b"one", ("one",)), (b"one\n", ("one",)), (b" one \r\n\r\n two\n", ("one", "two"))])
def test_tokens_are_the_lines_of_their_file(tmp_path: Path, content: bytes, tokens: tuple[str, ...]) -> None:
    """An old and a new one hold together."""
    (tmp_path / "token").write_bytes(content)
    assert read_tokens(tmp_path / "token") == tokens


def test_without_a_file_there_are_no_tokens() -> None:
    """Only loopback may do that; the settings see to it."""
    assert read_tokens(None) == ()


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_token_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """It does not mean that nothing is needed."""
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError, match="is empty: put a long random text in it"):
        read_tokens(tmp_path / "token")


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfone", "one".encode("utf-16"), "schlüssel".encode(), None])
def test_a_token_file_that_no_header_can_carry_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A byte order mark would become part of the token, and nobody could get in; absent is no better."""
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(SettingsError, match="token cannot be read"):
        read_tokens(tmp_path / "token")


def test_ids_are_the_same_after_a_restart(settings: Settings) -> None:
    """The key lies in the state folder."""
    ids = []
    for _ in range(2):
        with closing(Service(settings)) as service:
            ids.append(service.sign("digest"))
    assert (ids[0] == ids[1], len(ids[0])) == (True, 32)


def test_ids_of_other_servers_are_others(settings: Settings, tmp_path: Path) -> None:
    """Nobody can guess them from a picture."""
    (tmp_path / "other").mkdir()
    with closing(Service(settings)) as one, closing(Service(replace(settings, state=tmp_path / "other"))) as two:
        assert one.sign("digest") != two.sign("digest")


def test_the_key_is_its_owner_s_only(settings: Settings, service: Service) -> None:
    """Where the system knows owners."""
    path = service.settings.state / "image-id.key"
    assert (settings.state, os.name == "nt" or path.stat().st_mode & 0o077 == 0) == (path.parent, True)


def test_a_damaged_key_is_refused(settings: Settings) -> None:
    """And no thread is left behind."""
    (settings.state / "image-id.key").write_bytes(b"short")
    before = threading.active_count()
    with pytest.raises(SettingsError, match=r"image-id\.key is damaged: delete it"):
        Service(settings)
    assert threading.active_count() == before


# ---- models ------------------------------------------------------------------------------------------------------


def test_the_default_model_is_opened_at_the_start(settings: Settings, wait_until: WaitUntil) -> None:
    """By the real engine, checked; then the service is ready and filled."""
    with closing(Service(settings)) as service:
        service.start()
        wait_until(lambda: service.is_ready and service.is_filled)
        assert (service.fault, service.model(None).name) == (None, "digits@1")


def test_until_the_model_is_open_requests_are_told_to_come_back(settings: Settings, engine: OnnxEngine,
                                                                wait_until: WaitUntil) -> None:
    """After a moment."""
    gate = threading.Event()

    def open_engine(*_: object) -> OnnxEngine:
        gate.wait()
        return engine

    with closing(Service(settings, open_engine=open_engine)) as service:
        service.start()
        with pytest.raises(BusyError) as caught:
            service.model(None)
        gate.set()
        wait_until(lambda: service.is_ready)
        assert (caught.value.code, caught.value.retry_after_s) == ("starting", 1)


@pytest.mark.parametrize("reference", ["digits", "digits@1", " digits ", None])
def test_references_to_one_version_share_one_model(service: Service, reference: str | None) -> None:
    """It is opened once."""
    assert service.model(reference) is service.model("digits@1")


@pytest.mark.parametrize("reference", ["cats", "digits@9", "digits@newest", "../digits", "a/b", "@", "digits@"])
def test_an_unknown_model_is_refused(service: Service, reference: str) -> None:
    """With where to look."""
    with pytest.raises(UnknownError) as caught:
        service.model(reference)
    assert (caught.value.code, caught.value.hint) == ("unknown_model", "see GET /v1/models")


def test_a_new_version_is_served_without_a_restart(models: Settings, wait_until: WaitUntil) -> None:
    """The highest one, as soon as the folder is there; the old one stays reachable."""
    with closing(Service(models)) as service:
        service.start()
        wait_until(lambda: service.is_filled)
        before = service.model("digits").name
        copy_version(models.store / "digits", "1", "2")
        wait_until(lambda: service.model("digits").name == "digits@2")
        assert (before, service.model("digits@1").name) == ("digits@1", "digits@1")


def copy_version(folder: Path, old: str, new: str) -> None:
    """A version under another number, arriving all at once."""
    shutil.copytree(folder / old, folder / f".{new}")
    path = folder / f".{new}" / "model.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"version": new}), encoding="utf-8")
    (folder / f".{new}").rename(folder / new)


def test_a_damaged_model_is_told_and_comes_back_when_mended(models: Settings) -> None:
    """The file is named; nothing is served from it."""
    path = models.store / "digits" / "1" / "model.onnx"
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"?")
    with closing(Service(models)) as service:
        with pytest.raises(BusyError, match=r"model\.onnx has SHA-256") as caught:
            service.model(None)
        path.write_bytes(data)
        assert (caught.value.code, service.model(None).name) == ("model_unusable", "digits@1")


def test_a_start_without_a_usable_model_says_why_and_goes_on(models: Settings, wait_until: WaitUntil) -> None:
    """Requests that name another model could still be served."""
    (models.store / "digits" / "1" / "golden" / "picture-03.png").write_bytes(b"damaged")
    with closing(Service(models)) as service:
        service.start()
        wait_until(lambda: service.is_filled)
        assert (service.is_ready, "golden/picture-03.png has SHA-256" in (service.fault or "")) == (False, True)


def test_a_start_that_fails_for_an_unknown_reason_says_so(settings: Settings, wait_until: WaitUntil,
                                                          caplog: pytest.LogCaptureFixture) -> None:
    """Nobody waits for a thread that is gone; the traceback is in the log."""

    def open_engine(*_: object) -> OnnxEngine:
        raise ImportError("a library of the system is missing")

    with closing(Service(settings, open_engine=open_engine)) as service:
        service.start()
        wait_until(lambda: service.is_filled)
        assert (service.fault, "Traceback" in caplog.text) == ("ImportError: a library of the system is missing", True)


def test_closing_leaves_no_thread(settings: Settings, wait_until: WaitUntil) -> None:
    """Also when it is closed before it is ready."""
    before = {thread.ident for thread in threading.enumerate()}
    for is_ready in (False, True):
        service = Service(settings)
        service.start()
        if is_ready:
            wait_until(lambda service=service: service.is_filled)  # type: ignore[misc]
        service.close()
    assert [thread.name for thread in threading.enumerate() if thread.ident not in before] == []


def test_a_restarted_service_knows_what_it_knew(settings: Settings, pictures: Pictures, watched: WatchedEngine,
                                                wait_until: WaitUntil) -> None:
    """Paths and answers are in memory when it is filled, and the model is not asked."""
    from server.classify import classify

    pictures.write("a.png", 0)
    outcomes = []
    for _ in range(2):
        with closing(Service(settings, open_engine=lambda *_: watched)) as service:
            service.start()
            wait_until(lambda service=service: service.is_filled)  # type: ignore[misc]
            filled = (len(service.sources) - 3, len(service.model(None).answers))
            outcome = classify(["a.png"], service.model(None), until=time.monotonic() + 30)
            outcomes.append((filled, outcome.pending, watched.inferences))
    assert outcomes == [((0, 0), 0, 1), ((1, 1), 0, 1)]
