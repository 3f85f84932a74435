"""What kind of file system a folder is on: SQLite's write-ahead log needs shared memory, which no network has."""

from __future__ import annotations

import sys
from pathlib import Path

MOUNTS = Path("/proc/mounts")
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "ncpfs", "afs", "9p", "ceph", "glusterfs",
                      "lustre", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "davfs", "fuse.davfs2"})


def network_kind(folder: Path, *, mounts: Path = MOUNTS) -> str | None:
    """The network file system that `folder` is on, such as "nfs4"; None for a local one, or where it cannot be told."""
    real = folder.resolve()
    if sys.platform == "win32":
        return "a network share" if str(real).startswith("\\\\") else None
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:  # no Linux
        return None
    kinds = {}
    for _, point, kind, *_ in (line.split(" ") for line in lines if line.count(" ") >= 2):
        if real.is_relative_to(_unescaped(point)):
            kinds[len(_unescaped(point))] = kind  # of two mounts on one point the later is on top
    kind = kinds[max(kinds)] if kinds else ""
    return kind if kind in _NETWORK else None


def _unescaped(point: str) -> str:
    """The mount point: blanks and backslashes in it are written in octal."""
    for code, letter in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, letter)
    return point
