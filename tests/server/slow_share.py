"""A file system that shows a folder and takes its time: `python slow_share.py FOLDER MOUNT SECONDS GATE`.

While a file `GATE` is there, no look is answered at all. It ends when it is unmounted.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from pathlib import Path
from typing import Any

import mfusepy


class SlowShare(mfusepy.Operations):  # type: ignore[misc]  # mfusepy publishes no types
    """Reads only; the folder of it all is answered at once, so that it can be mounted and unmounted."""

    use_ns = True

    def __init__(self, folder: str, look_s: float, gate: Path) -> None:
        self._folder, self._look_s, self._gate = folder, look_s, gate

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:  # noqa: ARG002 - as FUSE calls it
        """A look: what `stat` asks for, and twice for a file, since nothing is remembered."""
        if path != "/":
            time.sleep(self._look_s / 2)
            while self._gate.exists():
                time.sleep(0.01)
        try:
            status = os.lstat(self._folder + path)
        except OSError as exc:
            raise mfusepy.FuseOSError(exc.errno or errno.EIO) from exc
        return {"st_mode": status.st_mode, "st_nlink": status.st_nlink, "st_size": status.st_size,
                "st_mtime": status.st_mtime_ns, "st_uid": status.st_uid, "st_gid": status.st_gid}

    def readdir(self, path: str, fh: int) -> list[str]:  # noqa: ARG002 - the same
        """The names in a folder."""
        return [".", "..", *os.listdir(self._folder + path)]  # noqa: PTH208 - a text, as FUSE has it


if __name__ == "__main__":
    mfusepy.FUSE(SlowShare(sys.argv[1], float(sys.argv[3]), Path(sys.argv[4])), sys.argv[2], foreground=True, ro=True,
                 attr_timeout=0, entry_timeout=0, negative_timeout=0)
