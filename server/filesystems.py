"""What kind of file system a folder is on: a share is where SQLite's log cannot be, and where a look may hang."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MOUNTS = Path("/proc/mounts")
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "glusterfs",
                      "lustre", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "davfs", "fuse.davfs2"})
_LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "bcachefs", "jfs", "reiserfs", "tmpfs",
                    "ramfs", "rootfs", "overlay", "squashfs", "erofs", "iso9660", "udf", "vfat", "exfat", "ntfs3",
                    "ntfs", "fuseblk"})
"""Kinds that ask nobody else; of any other a look may hang for ever."""


def network_kind(folder: Path, *, mounts: Path = MOUNTS) -> str | None:
    """The network file system that `folder` is on, such as "nfs4"; None for a local one, or where it cannot be told."""
    real = folder.resolve()
    if sys.platform == "win32":
        return "a network share" if str(real).startswith("\\\\") else None
    kinds = _kinds(mounts)
    kind = kinds.get(_point_of(str(real), kinds), "")
    return kind if kind in _NETWORK else None


@dataclass(frozen=True, slots=True)
class Places:
    """Which file system a path is on, by its text alone: no disk is asked, so nothing can hang here.

    `points` are folder -> name of its file system (a mount point, a drive, a share), those inside others first.
    """

    points: tuple[tuple[str, str], ...]
    are_local: bool

    @classmethod
    def of(cls, folders: Sequence[tuple[str, str]], *, mounts: Path = MOUNTS) -> Self:
        """The file systems of `folders`, each as written and as it really is, and those that are mounted below them."""
        kinds = _kinds(mounts)
        points: dict[str, str] = {}
        is_local: list[bool] = []
        for written, real in folders:
            point = _point_of(real, kinds)
            points[written] = points[real] = point or os.path.splitdrive(real)[0] or real
            is_local.append(kinds[point] in _LOCAL if point else _is_local_drive(real))
            for inner in kinds:
                if _is_below(inner, real):
                    points[inner] = points[written.rstrip(os.sep) + inner[len(real.rstrip(os.sep)):]] = inner
                    is_local.append(kinds[inner] in _LOCAL)
        plain = {os.path.normcase(folder): name for folder, name in points.items()}
        return cls(tuple(sorted(plain.items(), key=lambda point: -len(point[0]))), all(is_local))

    def of_paths(self, paths: Sequence[str]) -> str:
        """The name of the file systems that paths inside the folders are on; nothing for no path."""
        if len(self.points) == 1 or not paths:
            return self.points[0][1] if paths else ""
        return " and ".join(sorted(set(map(self._of_path, paths))))

    def _of_path(self, path: str) -> str:
        plain = os.path.normcase(path)
        return next((name for folder, name in self.points if plain == folder or _is_below(plain, folder)), plain[:1])


def _kinds(mounts: Path) -> dict[str, str]:
    """Mount point -> kind of what is mounted there last; empty where the system has no such table."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # no Linux
        return {}
    return {_unescaped(point): kind for _, point, kind, *_ in (line.split(" ") for line in lines
                                                               if line.count(" ") >= 2)}


def _point_of(path: str, kinds: dict[str, str]) -> str:
    """The mount point that a real path is below; nothing where there is no table."""
    return max((point for point in kinds if path == point or _is_below(path, point)), key=len, default="")


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder if folder.endswith(os.sep) else folder + os.sep) and path != folder


def _is_local_drive(path: str) -> bool:
    """Whether a Windows path is on a disk of this machine; elsewhere, without a table of mounts, nobody can tell."""
    if sys.platform == "win32":
        import ctypes
        drive = os.path.splitdrive(path)[0]
        fixed, ram = 3, 6  # DRIVE_FIXED and DRIVE_RAMDISK of GetDriveTypeW
        return not drive.startswith("\\\\") and ctypes.windll.kernel32.GetDriveTypeW(drive + "\\") in (fixed, ram)
    return False


def _unescaped(point: str) -> str:
    """The mount point: blanks and backslashes in it are written in octal."""
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, letter)
    return point
