"""A real file system on which each look takes 5 ms, or hangs: FUSE, where it is available."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.errors import BusyError
from server.paths import Roots
from server.picture_address import PictureAddress
from server.picture_kinds import KINDS
from server.service import Service
from server.settings import Settings
from server.sources import Sources
from server.store import Store

pytestmark = pytest.mark.skipif(not os.access("/dev/fuse", os.W_OK), reason="/dev/fuse is not here, or not for us")

LOOK_S = 0.005
FOLDERS, FILES = 20, 25
WINDOW_S = 0.5


@dataclass(frozen=True, slots=True)
class Share:
    """A mounted slow share with pictures, and the file whose presence lets every look hang."""

    folder: Path
    gate: Path

    @property
    def pictures(self) -> list[str]:
        """All of them."""
        return [str(self.folder / str(folder) / f"{number}.png")
                for folder in range(FOLDERS) for number in range(FILES)]


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Share]:
    """The share; it is unmounted in the end."""
    base = tmp_path_factory.mktemp("share")
    mounted = Share(base / "mnt", base / "gate")
    mounted.folder.mkdir()
    for picture in mounted.pictures:
        path = base / "there" / Path(picture).relative_to(mounted.folder)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"picture")
        os.utime(path, (1e9, 1e9))
    command = [sys.executable, str(Path(__file__).with_name("slow_share.py")), str(base / "there"),
               str(mounted.folder), str(LOOK_S), str(mounted.gate)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        while not mounted.folder.is_mount():
            if process.poll() is not None:
                assert process.stderr is not None
                pytest.skip(f"nothing can be mounted here: {process.stderr.read().strip().rpartition(chr(10))[2]}")
            time.sleep(0.02)
        yield mounted
        mounted.gate.unlink(missing_ok=True)
        subprocess.run(["umount", str(mounted.folder)], check=True)


@pytest.fixture
def sources(share: Share, tmp_path: Path) -> Iterator[Sources]:
    """A memory for the share and a local folder `local` with one picture; what is on the share was read once."""
    local = tmp_path / "local"
    local.mkdir()
    (local / "a.png").write_bytes(b"picture")
    os.utime(local / "a.png", (1e9, 1e9))
    with closing(Store(tmp_path / "answers.sqlite")) as store:
        opened = Sources(roots=Roots.of([share.folder, local]), max_bytes=1000, recheck_s=WINDOW_S,
                         limit_bytes=10_000_000, store=store, clock=time.monotonic)
        with closing(opened):
            for text, found in opened.resolve([*share.pictures, str(local / "a.png")]).to_read.items():
                opened.learn(text, found, "digest")
            time.sleep(WINDOW_S)  # the window is over
            yield opened
        share.gate.unlink(missing_ok=True)


def test_a_column_on_a_slow_share_is_looked_at_by_many(sources: Sources, share: Share) -> None:
    """In less than a third of what one look after the other takes."""
    began = time.monotonic()
    digests = sources.resolve(share.pictures).digests
    took_s = time.monotonic() - began
    assert (set(digests), took_s < LOOK_S * len(digests) / 3) == ({"digest"}, True)


def test_a_hanging_share_holds_a_column_no_longer_than_its_deadline(sources: Sources, share: Share,
                                                                    tmp_path: Path) -> None:
    """Its rows are pending; a row on a local disk is answered; when the share is back, so are its rows."""
    column = [*share.pictures, str(tmp_path / "local" / "a.png")]
    share.gate.touch()
    began = time.monotonic()
    hanging = sources.resolve(column, give_up_at=began + 0.5)
    took_s = time.monotonic() - began
    share.gate.unlink()
    back = sources.resolve(column)
    assert (set(hanging.digests[:-1]), hanging.digests[-1], hanging.errors, took_s < 2.5, set(back.digests)) == (
        {None}, "digest", {}, True, {"digest"})


def test_a_picture_on_a_hanging_share_holds_no_request_for_ever(share: Share, tmp_path: Path) -> None:
    """Who asks for it is told to come back, within the time that reading a picture may take."""
    kind = KINDS["thumbnail.png"]
    with closing(Service(Settings(images=(share.folder,), state=tmp_path, max_decode_s=0.5))) as service:
        service.pictures.addresses(kind, share.pictures[:1], ["digest"])
        address = PictureAddress(service.sign("digest"), kind.path)
        share.gate.touch()
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(service.picture, address, kind)
            try:
                with pytest.raises(BusyError, match="the disk of this picture does not answer"):
                    answer.result(10)
            finally:
                share.gate.unlink()
