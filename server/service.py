"""Everything that one running server owns, opened together and closed in reverse order."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import math
import os
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from models.errors import ModelError
from models.registry import ModelVersion, Registry
from server.doors import Doors
from server.engine import open_engine
from server.errors import BusyError, RequestError, SettingsError, UnknownError
from server.filesystems import MOUNTS, network_kind
from server.fingerprints import Fingerprints
from server.key_file import KeyFile, read_key
from server.metrics import Metrics
from server.model_watch import ModelWatch
from server.path_text import PathTexts
from server.paths import Roots
from server.picture_address import KEY_FILE, LOSS, VERSION_LETTERS, AddressKey, PictureAddress
from server.picture_cache import FILE as PICTURES
from server.picture_kinds import PictureKind
from server.pictures import Pictures
from server.served_model import ServedModel
from server.served_models import OpenEngine, ServedModels
from server.settings import Settings
from server.sources import Sources
from server.store import Store
from server.url_fetch import UrlFetcher
from server.url_scheme import prefix_of

log = logging.getLogger(__name__)

_OURS = frozenset({"answers.sqlite", "answers.sqlite-wal", "answers.sqlite-shm", "image-id.key",
                   KEY_FILE, PICTURES, f"{PICTURES}-wal", f"{PICTURES}-shm", "lock", "demo",
                   "logs", "server.log", "tabpy.log"})
"""What Pixfield itself puts into a state folder."""


class Service:
    """The parts behind the routes. `start` opens the default model in the background; until then `model` says busy."""

    def __init__(self, settings: Settings, *, open_engine: OpenEngine = open_engine) -> None:
        self.settings = settings
        self.metrics = Metrics()
        key = read_key(settings.state / "image-id.key", loss="image addresses change")
        self._started = hmac.new(key, digestmod=hashlib.sha256)
        addresses = AddressKey(KeyFile(settings.state / KEY_FILE, loss=LOSS))
        self.doors = Doors.of(settings, addresses)
        self.store = Store(settings.state / "answers.sqlite")
        fetcher = UrlFetcher([prefix_of(text) for text in settings.allow_url], timeout_s=settings.url_timeout_s)
        self.sources = Sources(roots=Roots.of(settings.images), max_bytes=int(settings.max_image_mb * 1_000_000),
                               recheck_s=settings.recheck_s, limit_bytes=settings.cache_mb * 500_000,
                               store=self.store, clock=time.monotonic, texts=PathTexts.of(settings.map), urls=fetcher)
        self.models = ServedModels(settings=settings, sources=self.sources, store=self.store, metrics=self.metrics,
                                   open_engine=open_engine)
        self._fingerprints: Fingerprints | None = None
        self._making = threading.Lock()
        self.pictures = Pictures(settings=settings, sources=self.sources, store=self.store, metrics=self.metrics,
                                 key=addresses, sign=self.sign)
        self._watch = ModelWatch(self.models, settings)
        self.is_filled = False
        self._fault: str | None = None
        self._is_stopping = self._is_closed = False
        self._starter = threading.Thread(target=self._start, name="start", daemon=True)

    def start(self) -> None:
        """Open the default model, then fill the memory, in the background."""
        self._starter.start()

    def close(self) -> None:
        """Stop the models and write what is queued."""
        self._watch.close()
        self.models.close()
        with self._making:
            self._is_closed = True
            if self._fingerprints is not None:
                self._fingerprints.close()
        self.pictures.close()
        self.sources.close()
        self.store.close()
        if self._starter.ident is not None:
            self._starter.join()
            self._watch.close()  # which the starter may have started meanwhile

    @property
    def is_ready(self) -> bool:
        """Whether the default model is warm and checked, and the server is not about to stop."""
        return self.models.meanings.find(None) is not None and not self._is_stopping

    @property
    def fault(self) -> str | None:
        """Why there is no default model; None where there is one, or not yet."""
        return None if self.models.meanings.find(None) is not None else self._watch.problem or self._fault

    def refuse_new(self) -> None:
        """Answer no column any more: the server is about to stop."""
        self._is_stopping = True

    def model(self, reference: str | None) -> ServedModel:
        """The model a request means; BusyError until the start is over, UnknownError for one that is not there."""
        with self.using(reference) as model:
            return model

    @contextlib.contextmanager
    def using(self, reference: str | None, *, until: float | None = None) -> Iterator[ServedModel]:
        """The same, open until the end of the block; a version not yet open is waited for until `until`."""
        self._check_running()
        if self._starter.is_alive() and not self.is_ready and self._fault is None:
            raise BusyError("starting", "the model is being loaded", "ask again in a moment")
        with self.models.use(reference, until=until) as model:
            yield model

    @contextlib.contextmanager
    def using_any(self, *, until: float | None = None) -> Iterator[ServedModel]:
        """The default model, or where there is none the first that can be used: for what does not depend on a model."""
        with contextlib.ExitStack() as held:
            yield self._enter_any(held, until)

    def _enter_any(self, held: contextlib.ExitStack, until: float | None) -> ServedModel:
        try:
            return held.enter_context(self.using(None, until=until))
        except UnknownError:
            for name in self.models.registry.names():
                with contextlib.suppress(UnknownError, BusyError):
                    return held.enter_context(self.using(name, until=until))
            raise

    @contextlib.contextmanager
    def using_version(self, version: ModelVersion) -> Iterator[ServedModel]:
        """That very version, open until the end of the block; BusyError while its name still means another."""
        with self.using(version.reference) as model:
            if model.spec.digest != version.spec.digest:  # its folder was exchanged a moment ago
                raise BusyError("opening", f"{version.reference} is being opened", "ask again in a moment")
            yield model

    def pinned(self, address: PictureAddress, kind: PictureKind) -> PictureAddress:
        """The address with the version that a picture depends on: the default model's where it names none."""
        if not kind.needs_model or address.version:
            return address
        with self.using(None) as model:
            return replace(address, version=model.spec.digest[:VERSION_LETTERS])

    def picture(self, address: PictureAddress, kind: PictureKind, layer: str = "") -> bytes:
        """The PNG or JSON behind a pinned address; raises UnknownError or BusyError."""
        self._check_running()
        if not kind.needs_model:
            return self.pictures.get(address, kind)
        version = self.models.version(address.version)
        return self.pictures.get(address, kind, open_model=partial(self.using_version, version), layer=layer)

    def fingerprints(self, *, is_under_way: bool = False) -> Fingerprints:
        """What makes keys for duplicates; its threads are started when the first key is asked for.

        BusyError when the server is about to stop, but not for a request that was under way before.
        """
        with self._making:
            if self._is_closed or (self._is_stopping and not is_under_way):
                raise BusyError("stopping", "the server is stopping", "ask again in a moment", retry_after_s=2)
            if self._fingerprints is None:
                self._fingerprints = Fingerprints(self.settings, sources=self.sources, store=self.store,
                                                  metrics=self.metrics)
            return self._fingerprints

    def stop_waiting_for_keys(self) -> None:
        """Let every request go on with the keys that are done."""
        with self._making:
            if self._fingerprints is not None:
                self._fingerprints.in_flight.stop_waiting()

    def sign(self, digest: str) -> str:
        """The public id of a content: an HMAC, so that it cannot be guessed from the picture."""
        code = self._started.copy()  # half the price of a new one
        code.update(digest.encode())
        return code.hexdigest()[:32]

    def _check_running(self) -> None:
        if self._is_stopping:
            raise BusyError("stopping", "the server is stopping", "ask again in a moment", retry_after_s=2)

    def _start(self) -> None:
        try:
            with self.models.use(None, until=math.inf):  # Keras may take a minute
                pass
        except RequestError as exc:
            self._fault = exc.message
            log.error("no model is served by default: %s", exc.message)
        except Exception as exc:
            self._fault = f"{type(exc).__name__}: {exc}"  # else everybody would wait for a thread that is gone
            log.exception("no model is served by default")
        self._watch.start()
        started = time.monotonic()
        sources, answers = self.sources.fill(), self.models.fill()
        self.is_filled = True
        if sources or answers:
            log.info("%s paths and %s answers are in memory after %.1f s", f"{sources:,}", f"{answers:,}",
                     time.monotonic() - started)


@contextlib.contextmanager
def state_folder(path: Path, *, mounts: Path = MOUNTS) -> Iterator[Path]:
    """The state folder, made and locked for this process.

    Raises:
        SettingsError: it cannot be written, another server uses it, or it is on a network file system.
    """
    kind = network_kind(path, mounts=mounts)
    if kind is not None:
        raise SettingsError(f"--state {path} is on a network file system ({kind}), where stored answers could be"
                            " damaged: name a folder on a local disk.")
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _tighten(path)
        lock = FileLock(path / "lock", mode=0o600)
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise SettingsError(f"--state {path} is used by another Pixfield: stop it, or name another folder.") from exc
    except (OSError, NotImplementedError) as exc:
        raise SettingsError(f"--state {path} cannot be written ({exc}): name a folder you may write to.") from exc
    try:
        yield path
    finally:
        lock.release()


def is_in_use(path: Path) -> bool:
    """Whether a server has the state folder; nothing in it is made or changed.

    Raises:
        OSError: its lock is not ours to open.
    """
    if not (path / "lock").exists():
        return False
    try:
        with FileLock(path / "lock", timeout=0, mode=0o600):
            return False
    except Timeout:
        return True


def check_model(settings: Settings) -> None:
    """Raise SettingsError when the model that is asked for by name is not there."""
    if settings.model is None:
        return
    try:
        Registry((settings.store,)).resolve(settings.model)
    except ModelError as exc:
        raise SettingsError(f"--model {settings.model}: {exc}") from exc


def _tighten(folder: Path) -> None:
    """Take the folder and our files in it from everybody but their owner; say what stays open.

    A folder that holds other things, too, or that everybody may use (/tmp), is left as it is. Windows has no such
    rights: there a folder inherits who may read it.
    """
    if os.name == "nt":
        return
    inside = list(folder.iterdir())
    ours = [path for path in inside if path.name in _OURS and not path.is_symlink()]
    is_shared = len(ours) < len(inside) or bool(folder.stat().st_mode & stat.S_ISVTX)
    for path in ours if is_shared else [folder, *ours]:
        if path.stat().st_mode & 0o077:
            with contextlib.suppress(PermissionError):  # somebody else's: said below
                path.chmod(path.stat().st_mode & 0o700)
    wide = [str(path) for path in (folder, *ours) if path.stat().st_mode & 0o077]
    if wide:
        log.warning("other users may look into %s: name a --state folder of its own, with mode 700", ", ".join(wide))
