"""Which models are open, who uses them, and which of them each reference means: one table behind one lock.

The lock is held for look-ups, never while anything is read, opened or closed. Models enter when they are ready, and
leave when no reference means them, no request uses them and none of their pictures is on its way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from models.registry import ModelVersion
from server.errors import BusyError
from server.served_model import ServedModel

Key = str | None
"""A reference in one spelling; None is the default model."""


@dataclass(slots=True, eq=False)
class AtWork:
    """An open model, when it was last used, and how many requests use it now."""

    version: ModelVersion
    model: ServedModel
    used_at: float
    users: int = 0

    @property
    def is_idle(self) -> bool:
        """Whether no request uses it and no picture is on its way through it."""
        return self.users == 0 and len(self.model.in_flight) == 0


@dataclass(slots=True, eq=False)
class _Meaning:
    """What a reference means, when it was last asked for, and why it does not mean what it should."""

    at_work: AtWork
    asked_at: float
    problem: str | None = None


class Meanings:
    """The table; safe for many threads. What it hands out of itself is the caller's to close."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._by_digest: dict[str, AtWork] = {}
        self._meant: dict[Key, _Meaning] = {}
        self._is_closed = False

    def __contains__(self, digest: str) -> bool:
        return digest in self._by_digest

    def __len__(self) -> int:
        return len(self._by_digest)

    def models(self) -> list[ServedModel]:
        """Every open model."""
        with self._lock:
            return [at_work.model for at_work in self._by_digest.values()]

    def references(self) -> set[Key]:
        """The references that mean something, and the default one."""
        with self._lock:
            return {None, *self._meant}

    def model(self, digest: str) -> ServedModel | None:
        """The open model with that digest."""
        at_work = self._by_digest.get(digest)
        return None if at_work is None else at_work.model

    def find(self, key: Key) -> AtWork | None:
        """What `key` means."""
        meaning = self._meant.get(key)
        return None if meaning is None else meaning.at_work

    # ---- requests ----------------------------------------------------------------------------------------------------

    def take(self, key: Key, digest: str | None = None) -> AtWork | None:
        """What `key` means, held until `give_back`; where it means nothing yet, from now on the model `digest`."""
        with self._lock:
            at_work = self._by_digest.get(digest) if digest else None
            meaning = self._meant.get(key)
            if meaning is None and at_work is not None:
                meaning = self._meant[key] = _Meaning(at_work, self._clock())
            if meaning is None:
                return None
            meaning.asked_at = self._clock()
            meaning.at_work.users += 1
            return meaning.at_work

    def give_back(self, at_work: AtWork) -> None:
        """A request that held it is over."""
        with self._lock:
            at_work.users -= 1
            at_work.used_at = self._clock()

    # ---- coming and changing -----------------------------------------------------------------------------------------

    def add(self, version: ModelVersion, model: ServedModel) -> bool:
        """Take in a model that is ready; False when the table is closed."""
        with self._lock:
            if not self._is_closed:
                self._by_digest[version.spec.digest] = AtWork(version, model, self._clock())
            return not self._is_closed

    def switch(self, key: Key, digest: str) -> tuple[AtWork | None, AtWork] | None:
        """Let `key` mean the model `digest` from now on: what it meant and what it means; None where that is not open,
        or nobody asks for `key` any more.

        The model that was replaced counts as used until now.
        """
        with self._lock:
            at_work, meaning = self._by_digest.get(digest), self._meant.get(key)
            if at_work is None or (meaning is None and key is not None):
                return None
            before = None if meaning is None else meaning.at_work
            if before is not None and before is not at_work:
                before.used_at = self._clock()
            self._meant[key] = _Meaning(at_work, self._clock() if meaning is None else meaning.asked_at)
            return before, at_work

    def go_on(self, key: Key, reason: str) -> AtWork | None:
        """Note why `key` goes on with what it means; that model, where the reason is a new one."""
        with self._lock:
            meaning = self._meant.get(key)
            if meaning is None or meaning.problem == reason:
                return None
            meaning.problem = reason
            return meaning.at_work

    def problems(self, name: str) -> dict[str, str]:
        """Reference -> why it goes on with the version of `name` that it meant before."""
        with self._lock:
            return {key or name: meaning.problem for key, meaning in self._meant.items()
                    if meaning.problem and meaning.at_work.model.spec.name == name}

    def is_meant(self) -> dict[str, bool]:
        """Digest of each open model -> whether any reference means it."""
        with self._lock:
            meant = {meaning.at_work for meaning in self._meant.values()}
            return {digest: at_work in meant for digest, at_work in self._by_digest.items()}

    # ---- leaving -----------------------------------------------------------------------------------------------------

    def drop(self, key: Key) -> AtWork | None:
        """Let `key` mean nothing; what it meant."""
        with self._lock:
            meaning = self._meant.pop(key, None)
        return None if meaning is None else meaning.at_work

    def forget(self, *, asked_before: float) -> None:
        """References that nobody has asked for since mean nothing any more; the default one always does."""
        with self._lock:
            for key in [key for key, meaning in self._meant.items()
                        if key is not None and meaning.asked_at < asked_before and meaning.at_work.is_idle]:
                del self._meant[key]

    def replaced(self, *, used_before: float) -> list[AtWork]:
        """Take out the models that nothing means and nobody has used since."""
        with self._lock:
            meant = {meaning.at_work for meaning in self._meant.values()}
            return [self._by_digest.pop(digest) for digest, at_work in list(self._by_digest.items())
                    if at_work not in meant and at_work.is_idle and at_work.used_at < used_before]

    def longest_unused(self, *, keeping: Key) -> AtWork:
        """Take out the idle model that is needed least: replaced ones first, never the default or `keeping`'s.

        Raises:
            BusyError: all are in use.
        """
        with self._lock:
            kept = {meaning.at_work for key, meaning in self._meant.items() if key in (None, keeping)}
            meant = {meaning.at_work for meaning in self._meant.values()}
            idle = [at_work for at_work in self._by_digest.values() if at_work not in kept and at_work.is_idle]
            if not idle:
                raise BusyError("too_many_models", f"{len(self._by_digest)} versions are open and in use"
                                " (--max-models)", "ask again in a moment", retry_after_s=5)
            chosen = min(idle, key=lambda at_work: (at_work in meant, at_work.used_at))
            del self._by_digest[chosen.version.spec.digest]
            self._meant = {key: meaning for key, meaning in self._meant.items() if meaning.at_work is not chosen}
            return chosen

    def close(self) -> list[AtWork]:
        """Take in nothing more and hand out everything."""
        with self._lock:
            self._is_closed = True
            left = list(self._by_digest.values())
            self._by_digest.clear()
            self._meant.clear()
        return left
