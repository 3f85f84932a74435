"""The model folder: half copied versions, files that differ from their hash, aliases that lead nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from models.errors import ModelError
from models.registry import Registry
from server.doctor.finding import Case, Finding, fault, well

_COPY = "copy that folder again from where it was made, or remove it"


def models(case: Case) -> Iterator[Finding]:
    """The model folder: versions that are half copied, aliases, and the default model's files against their hashes."""
    store = case.settings.store
    if not store.is_dir():
        yield fault("model folder", f"{store} is not there", "correct --store")
        return
    registry = Registry((store,))
    problems = registry.problems()
    yield from (fault("model folder", problem.rstrip("."), _COPY) for problem in problems)
    if not problems:
        yield well("model folder", f"{sum(len(registry.versions(name)) for name in registry.names())} usable versions")
    yield from _aliases(registry)
    yield _default(registry, case.settings.model)


def _aliases(registry: Registry) -> Iterator[Finding]:
    for name in registry.names():
        try:
            aliases = registry.aliases(name)
        except ModelError as exc:
            yield fault("alias", str(exc).rstrip("."), f"correct {name}/aliases.json, or remove it")
            continue
        for alias, version in aliases.items():
            if version not in registry.versions(name):
                yield fault("alias", f"{name}@{alias} means version {version}, which is not usable",
                            f"name one of {', '.join(registry.versions(name))} in {name}/aliases.json")


def _default(registry: Registry, reference: str | None) -> Finding:
    try:
        version = registry.resolve(reference)
    except ModelError as exc:
        return fault("model", str(exc).rstrip("."), "name one with --model NAME, or add one with `run.py models add`")
    try:
        version.verify()
    except ModelError as exc:
        return fault("model", str(exc).rstrip("."), _COPY)
    return well("model", f"{version.reference}, its files as they were written")
