"""Which file system a path is on, from the table of mounts alone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server.filesystems import Places

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has drives and shares, no such table")

ROOT = "/dev/vda / ext4 rw 0 0"
Table = Callable[..., Path]


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Writes a table of mounts."""

    def write(*lines: str) -> Path:
        path = tmp_path / "mounts"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize(("mounts", "are_local"), [
    ([ROOT], True),
    ([ROOT, "tmpfs /srv/photos tmpfs rw 0 0"], True),
    ([ROOT, "nas:/p /srv/photos nfs4 rw 0 0"], False),
    ([ROOT, "nas:/p /srv/photos/2024 nfs4 rw 0 0"], False),
    ([ROOT, "nas:/p /srv/photos-old nfs4 rw 0 0"], True),
    ([ROOT, "nas:/p /srv nfs4 rw 0 0", "/dev/vdb /srv ext4 rw 0 0"], True),
    ([ROOT, "auto /srv/photos autofs rw 0 0"], False),
    ([ROOT, "x /srv/photos a-kind-of-tomorrow rw 0 0"], False),
    ([], False),
])
def test_only_known_kinds_of_disks_are_local(table: Table, mounts: list[str], are_local: bool) -> None:
    """At the folder, above it and below it; what cannot be told may hang."""
    places = Places.of([("/srv/photos", "/srv/photos")], mounts=table(*mounts))
    assert places.are_local is are_local


def test_without_a_table_a_folder_may_hang(tmp_path: Path) -> None:
    """As on macOS: its files are looked at by threads."""
    places = Places.of([("/srv/a", "/srv/a"), ("/srv/b", "/srv/b")], mounts=tmp_path / "none")
    assert (places.are_local, places.of_paths(["/srv/b/c.png"])) == (False, "/srv/b")


@pytest.mark.parametrize(("path", "name"), [
    ("/srv/photos/a.png", "/"),
    ("/srv/photos/nas/a.png", "/srv/photos/nas"),
    ("/srv/photos/nas/old disk/a.png", "/srv/photos/nas/old disk"),
    ("/srv/photos/nas2/a.png", "/"),
    ("/home/link/nas/a.png", "/srv/photos/nas"),
    ("/home/link/a.png", "/"),
])
def test_a_path_is_on_the_innermost_mount(table: Table, path: str, name: str) -> None:
    """Also where the folder is written by way of a link, and where a name has a blank."""
    mounts = table(ROOT, "nas:/p /srv/photos/nas nfs4 rw 0 0", "nas:/o /srv/photos/nas/old\\040disk nfs4 rw 0 0")
    places = Places.of([("/srv/photos", "/srv/photos"), ("/home/link", "/srv/photos")], mounts=mounts)
    assert places.of_paths([path]) == name


def test_a_name_under_two_roots_is_on_both(table: Table) -> None:
    """A text that means files on two file systems waits for both, and holds up neither."""
    mounts = table(ROOT, "nas:/p /mnt/nas nfs4 rw 0 0")
    places = Places.of([("/srv", "/srv"), ("/mnt/nas", "/mnt/nas")], mounts=mounts)
    assert places.of_paths(["/srv/a.png", "/mnt/nas/a.png"]) == "/ and /mnt/nas"
