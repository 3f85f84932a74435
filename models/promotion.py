"""Which version an alias means is changed here: promote, roll back, take away.

Only what can be served is promoted: its files are compared with their hashes first. What an alias meant before is
remembered, so that `roll_back` leads to it, step by step.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.aliases import Aliases
from models.errors import ModelError, UnknownModelError
from models.names import name_fault, normal
from models.registry import CHAMPION, Registry


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an alias: `version` is what it means now and `before` what it meant, None for nothing.

    `passed_over` are versions that `roll_back` found in the history but no longer in the store, the latest first.
    """

    name: str
    alias: str
    version: str | None
    before: str | None
    passed_over: tuple[str, ...] = ()


def alias_fault(text: str) -> str | None:
    """Why `text` cannot be an alias; None when it can."""
    if text.isdecimal():
        return "is all digits, as a version is"
    return name_fault(text)


def promote(registry: Registry, reference: str, alias: str = CHAMPION) -> Change:
    """Let `alias` mean the version that `reference`, name@version or name@alias, means now.

    Raises:
        ModelError: the version is not there or not intact, or the alias has the name of a version.
    """
    version = registry.resolve(reference)
    name, target = normal(version.spec.name), normal(version.spec.version)
    alias = _checked(registry, name, alias)
    version.verify()
    aliases = Aliases(registry.folder(name))
    with aliases.writing():
        before = _meaning(registry, aliases, name, alias)
        if target != aliases.read().get(alias):
            aliases.move_on(alias, target, before=before if before != target else None)
    return Change(name, alias, target, before)


def roll_back(registry: Registry, name: str, alias: str = CHAMPION) -> Change:
    """Let `alias` mean what it meant before its last change; again and again as far as the history goes.

    Raises:
        ModelError: it meant nothing before, or that version is damaged.
    """
    name, alias = normal(name), normal(alias)
    aliases = Aliases(registry.folder(name))
    with aliases.writing():
        now, left = aliases.read().get(alias), aliases.before(alias)
        passed_over: list[str] = []
        while left:
            target = left.pop()
            if target == now:
                continue
            if registry.has(name, target):
                registry.resolve(f"{name}@{target}").verify()
                aliases.move_back(alias, target, left=left)
                return Change(name, alias, target, now, tuple(passed_over))
            passed_over.append(target)
    gone = f" ({', '.join(passed_over)} {'is' if len(passed_over) == 1 else 'are'} gone)" if passed_over else ""
    raise ModelError(f"{name}@{alias} meant nothing before{gone}; `run.py models promote {name}@VERSION` names one.")


def take_away(registry: Registry, name: str, alias: str) -> Change:
    """Let `alias` mean nothing; without a champion a bare name means the highest version.

    Raises:
        ModelError: there is no such alias.
    """
    name, alias = normal(name), normal(alias)
    aliases = Aliases(registry.folder(name))
    with aliases.writing():
        known = aliases.read()
        if alias not in known:
            raise UnknownModelError(f"{name} has no alias {alias!r}; it has: {', '.join(sorted(known)) or 'none'}.")
        aliases.move_on(alias, None, before=known[alias])
    return Change(name, alias, None, known[alias])


def _checked(registry: Registry, name: str, alias: str) -> str:
    fault = alias_fault(alias)
    if fault:
        raise ModelError(f"The alias {alias!r} {fault}.")
    if registry.has(name, alias):
        raise ModelError(f"{name}@{alias} is a version: choose another alias.")
    return normal(alias)


def _meaning(registry: Registry, aliases: Aliases, name: str, alias: str) -> str | None:
    """What `alias` means before it changes: without a champion, what the bare name meant."""
    target = aliases.read().get(alias)
    if target is None and alias == CHAMPION:
        return registry.versions(name)[-1]
    return target
