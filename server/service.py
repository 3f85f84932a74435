"""Everything that one running server owns, opened together and closed in reverse order."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from server.engine import open_engine
from server.errors import BusyError, RequestError, SettingsError
from server.filesystems import MOUNTS, network_kind
from server.metrics import Metrics
from server.paths import Roots
from server.served_model import ServedModel
from server.served_models import OpenEngine, ServedModels
from server.settings import Settings
from server.sources import Sources
from server.store import Store

log = logging.getLogger(__name__)

_KEY_BYTES = 32


class Service:
    """The parts behind the routes. `start` opens the default model in the background; until then `model` says busy."""

    def __init__(self, settings: Settings, *, open_engine: OpenEngine = open_engine) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.tokens = read_tokens(settings.token_file)
        self._key = _read_key(settings.state / "image-id.key")
        self.store = Store(settings.state / "answers.sqlite")
        self.sources = Sources(roots=Roots.of(settings.images), max_bytes=int(settings.max_image_mb * 1_000_000),
                               recheck_s=settings.recheck_s, limit_bytes=settings.cache_mb * 500_000,
                               store=self.store, clock=time.monotonic)
        self.models = ServedModels(settings=settings, sources=self.sources, store=self.store, metrics=self.metrics,
                                   open_engine=open_engine)
        self.is_filled = False
        self.fault: str | None = None
        self._ready: ServedModel | None = None
        self._is_stopping = False
        self._starter = threading.Thread(target=self._start, name="start", daemon=True)

    def start(self) -> None:
        """Open the default model, then fill the memory, in the background."""
        self._starter.start()

    def close(self) -> None:
        """Stop the models and write what is queued."""
        self.models.close()
        self.store.close()
        if self._starter.ident is not None:
            self._starter.join()

    @property
    def is_ready(self) -> bool:
        """Whether the default model is warm and checked, and the server is not about to stop."""
        return self._ready is not None and not self._is_stopping

    def refuse_new(self) -> None:
        """Answer no column any more: the server is about to stop."""
        self._is_stopping = True

    def model(self, reference: str | None) -> ServedModel:
        """The model a request means; BusyError until the start is over, UnknownError for one that is not there."""
        if self._is_stopping:
            raise BusyError("stopping", "the server is stopping", "ask again in a moment", retry_after_s=2)
        if self._starter.is_alive() and not self.is_ready and self.fault is None:
            raise BusyError("starting", "the model is being loaded", "ask again in a moment")
        return self.models.get(reference)

    def sign(self, digest: str) -> str:
        """The public id of a content: an HMAC, so that it cannot be guessed from the picture."""
        return hmac.new(self._key, digest.encode(), hashlib.sha256).hexdigest()[:32]

    def _start(self) -> None:
        try:
            self._ready = self.models.get(None)
        except RequestError as exc:
            self.fault = exc.message
            log.error("no model is served by default: %s", exc.message)
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
        lock = FileLock(path / "lock")
        lock.acquire(timeout=0)
    except Timeout as exc:
        raise SettingsError(f"--state {path} is used by another Pixfield: stop it, or name another folder.") from exc
    except (OSError, NotImplementedError) as exc:
        raise SettingsError(f"--state {path} cannot be written ({exc}): name a folder you may write to.") from exc
    try:
        yield path
    finally:
        lock.release()


def read_tokens(path: Path | None) -> tuple[str, ...]:
    """The tokens in a file, one a line, so that an old and a new one hold while they are exchanged.

    ASCII only: an HTTP header carries nothing else for sure, and a byte order mark would become part of the token.
    """
    if path is None:
        return ()
    try:
        tokens = tuple(line.strip() for line in path.read_text(encoding="ascii").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"--token-file {path} cannot be read ({exc}).") from exc
    if not tokens:
        raise SettingsError(f"--token-file {path} is empty: put a long random text in it.")
    return tokens


def _read_key(path: Path) -> bytes:
    try:
        if not path.exists():
            new = path.with_suffix(".new")  # a full disk must not leave half a key
            new.write_bytes(secrets.token_bytes(_KEY_BYTES))
            new.chmod(0o600)
            new.replace(path)
        key = path.read_bytes()
    except OSError as exc:
        raise SettingsError(f"{path} cannot be written or read ({exc.strerror}): make room on its disk, or name"
                            " another --state folder.") from exc
    if len(key) != _KEY_BYTES:
        raise SettingsError(f"{path} is damaged: delete it, a new key is made (image addresses change).")
    return key
