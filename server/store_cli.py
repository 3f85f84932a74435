"""`run.py store stats | prune | check`: the stored answers, while no server uses them; `rotate-image-key` at any time.

Status 0 when all is well, 1 when `check` found a fault, 2 when nothing can be done: always one sentence.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from models.registry import Registry
from models.spec import SPEC_FILE
from models.version import file_digest
from server import settings_sources
from server.errors import SettingsError
from server.fingerprints import KEYS, WORDS
from server.key_file import replace_key
from server.picture_address import KEY_FILE
from server.picture_cache import FILE as PICTURES
from server.picture_cache import prune_drawn
from server.service import state_folder
from server.settings import Settings
from server.stored_file import Owner, StoredFile, opened

STORE_FILE = "answers.sqlite"


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        settings = settings_sources.read(arguments, environment=os.environ).settings
        if not settings.state.is_dir():
            raise SettingsError(f"--state {settings.state}: there is no such folder; nothing is stored yet.")
        if arguments.name == "rotate-image-key":  # no file is opened, and the server may run
            return _rotate(settings)
        with state_folder(settings.state) as state, opened(state / STORE_FILE) as file:
            return int(arguments.verb(file, settings, arguments))
    except SettingsError as exc:
        print(exc, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="run.py store", description="The stored answers; stop the server first,"
                                     " but for rotate-image-key.")
    verbs = parser.add_subparsers(metavar="stats | prune | check | rotate-image-key", required=True)
    for name, verb, what in (("stats", _stats, "sizes, rows and age, by model version and by image folders"),
                             ("prune", _prune, "remove answers of versions that are gone; --max-mb: the oldest too"),
                             ("check", _check, "whether the file is sound and every answer has a plausible length"),
                             ("rotate-image-key", _rotate, "end every picture address that was given out")):
        one = verbs.add_parser(name, help=what, description=what)
        one.set_defaults(verb=verb, name=name)
        settings_sources.add_arguments(one)
        if name == "prune":
            one.add_argument("--max-mb", type=_megabytes, metavar="MB", help="size the file may have afterwards")
    return parser


def _megabytes(text: str) -> float:
    size = float(text)
    if not 0 < size < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is no size above 0")
    return size


def _stats(file: StoredFile, settings: Settings, _: argparse.Namespace) -> int:
    print(f"{file.path}: {file.size_bytes / 1e6:,.1f} MB")
    references = {digest: f"model {reference}" for digest, (reference, _) in _versions(settings.store).items()}
    references[KEYS] = "keys for duplicates,"
    for owner in file.owners():
        print(f"  {_called(owner, references)}: {owner.rows:,} {'paths' if owner.is_roots else 'answers'},"
              f" {owner.payload_bytes / 1e6:,.1f} MB{_age(owner)}")
    for path in file.set_aside():
        print(f"  {path.name}: {path.stat().st_size / 1e6:,.1f} MB, damaged, read by nobody: delete it when you like")
    _stats_of_pictures(file, settings)
    return 0


def _stats_of_pictures(file: StoredFile, settings: Settings) -> None:
    count, size = file.images()
    kept = sum(path.stat().st_size for path in settings.state.glob(f"{PICTURES}*"))
    if count or kept:
        print(f"  picture addresses: {count:,} contents, {size / 1e6:,.1f} MB; drawn pictures: {kept / 1e6:,.1f} MB")


def _rotate(settings: Settings) -> int:
    try:
        replace_key(settings.state / KEY_FILE)
    except OSError as exc:
        raise SettingsError(f"{settings.state / KEY_FILE} cannot be written ({exc.strerror}): make room on its disk, or"
                            " run this as the server's user.") from exc
    print("Every picture address that was given out has ended; columns give out new ones when they are asked again.")
    return 0


def _called(owner: Owner, references: dict[str, str]) -> str:
    if owner.is_roots:
        return "folders " + (", ".join(owner.name.removeprefix("roots ").splitlines()) or "(none)")
    return f"{references.get(owner.name, 'model no longer in the model store,')} {owner.name[:12]}"


def _age(owner: Owner) -> str:
    if owner.is_roots or not owner.rows:
        return ""
    return f", written {owner.first_day} to {owner.last_day}" if owner.first_day else ", written at an unknown time"


def _prune(file: StoredFile, settings: Settings, arguments: argparse.Namespace) -> int:
    kept = frozenset(_versions(settings.store))
    if not kept:
        raise SettingsError(f"--store {settings.store} has no model version: nothing is pruned; name the right folder.")
    before = file.size_bytes
    gone = file.prune_versions(kept | {KEYS})
    oldest = file.prune_to(int(arguments.max_mb * 1e6)) if arguments.max_mb else 0
    prune_drawn(settings.state / PICTURES, file.digests_of_images(), kept)
    print(f"{gone:,} answers of removed versions and {oldest:,} of the oldest are gone:"
          f" {before / 1e6:,.1f} MB became {file.size_bytes / 1e6:,.1f} MB.")
    return 0


def _check(file: StoredFile, settings: Settings, _: argparse.Namespace) -> int:
    classes = {digest: count for digest, (_, count) in _versions(settings.store).items() if count} | {KEYS: WORDS}
    faults = list(file.faults(classes))
    for fault in faults:
        print(fault)
    rows = sum(owner.rows for owner in file.owners() if not owner.is_roots)
    print(f"Move {file.path} away: a new one is made, every picture is read again." if faults
          else f"{file.path} is sound: {rows:,} answers.")
    return 1 if faults else 0


def _versions(store: Path) -> dict[str, tuple[str, int]]:
    """Digest -> (reference, classes) of every version folder; a half copied one counts too, with 0 classes."""
    found: dict[str, tuple[str, int]] = {}
    for spec in store.glob(f"*/*/{SPEC_FILE}"):
        found[file_digest(spec)] = (f"{spec.parent.parent.name}@{spec.parent.name}", 0)
    registry = Registry((store,))
    for version in (version for name in registry.names() for version in registry.usable(name)):
        found[version.spec.digest] = (version.reference, len(version.spec.labels))
    return found


if __name__ == "__main__":
    sys.exit(main())
