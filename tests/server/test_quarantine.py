"""Decoding in a child process: whatever a picture does to it, there is an answer, and nothing is left behind."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from test_ordinary import encode, with_scans

from models.picture import PictureError, read_picture
from server.quarantine import Order, Quarantine

ROOT = Path(__file__).resolve().parents[2]
ORDER = Order(size=16, channels=3, resize="squash-bilinear-v1", max_megapixels=50)


@pytest.fixture
def quarantine() -> Iterator[Quarantine]:
    """With limits that a hostile picture reaches soon and a harmless one never."""
    made = Quarantine(max_s=1.5, max_mb=600)
    yield made
    made.close()


def reason(quarantine: Quarantine, data: bytes) -> str:
    """Why it is not answered."""
    with pytest.raises(PictureError) as caught:
        quarantine.read(data, ORDER)
    return str(caught.value)


def children() -> set[int]:
    """The processes whose parent we are."""
    return {child.pid for child in psutil.Process().children()}


def test_a_picture_is_as_it_would_be_here(quarantine: Quarantine) -> None:
    """The same pixels and the same remark."""
    file = io.BytesIO()
    frames = [Image.fromarray(np.random.default_rng(n).integers(0, 256, (40, 30, 3), np.uint8)) for n in range(2)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    expected = read_picture(file.getvalue(), size=16, channels=3, resize="squash-bilinear-v1")
    picture = quarantine.read(file.getvalue(), ORDER)
    assert (picture.note, picture.pixels.tolist()) == (expected.note, expected.pixels.tolist())


def test_a_broken_picture_has_its_own_reason(quarantine: Quarantine) -> None:
    """As `read_picture` says it; the child goes on."""
    data = encode("TIFF")
    assert reason(quarantine, data[:100]) == "the image is truncated: the file ends too early"
    assert (quarantine.read(data, ORDER).note, len(quarantine)) == (None, 1)


def test_thousands_of_scans_end_at_the_limit(quarantine: Quarantine) -> None:
    """A small file that would decode for minutes; the next picture has a new child."""
    data = with_scans(encode("JPEG", (4000, 3000), progressive=True), 3000)
    started = time.monotonic()
    assert reason(quarantine, data) == "decoding takes too long: more than 1.5 s (--max-decode-s)"
    assert time.monotonic() - started < 15
    assert quarantine.read(encode("GIF"), ORDER).pixels.shape == (16, 16, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="no memory limit there")
def test_what_needs_too_much_memory_is_told() -> None:
    """Within the pixel limit, but 49 million floats; the next picture is read."""
    data = encode("TIFF", (7000, 7000), "F", compression="tiff_adobe_deflate")
    quarantine = Quarantine(max_s=60, max_mb=600)  # on a busy machine its seconds must not be over first
    assert reason(quarantine, data) == "decoding takes too much memory: more than 600 MB (--max-decode-mb)"
    assert quarantine.read(encode("GIF"), ORDER).note is None
    quarantine.close()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_child_that_dies_is_a_reason_and_replaced(quarantine: Quarantine) -> None:
    """As by a fault in a decoder; nobody waits for it."""
    before = children()
    quarantine.read(encode("GIF"), ORDER)
    (child,) = children() - before
    killer = threading.Timer(0.5, os.kill, (child, signal.SIGSEGV))
    killer.start()
    assert reason(quarantine, with_scans(encode("JPEG", (4000, 3000), progressive=True), 3000)) == (
        "this image ends its decoder")
    killer.join()
    assert quarantine.read(encode("GIF"), ORDER).note is None


def test_a_child_has_no_credentials(quarantine: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a storage are the server's: what decodes strangers' pictures has no use for them."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", "secret")
    before = children()
    quarantine.read(encode("GIF"), ORDER)
    (child,) = children() - before
    names = set(psutil.Process(child).environ())
    assert ("PATH" in names, {name for name in names if name.startswith(("AWS_", "AZURE_"))}) == (True, set())


def test_closing_leaves_no_child_and_no_thread() -> None:
    """Neither an idle one nor one at work."""
    before = children()
    quarantine = Quarantine(max_s=60, max_mb=2000)
    failures: list[str] = []
    long = with_scans(encode("JPEG", (4000, 3000), progressive=True), 3000)
    thread = threading.Thread(target=lambda: failures.append(reason(quarantine, long)))
    quarantine.read(encode("GIF"), ORDER)
    thread.start()
    time.sleep(0.3)  # it is at work; if not yet, it is refused, which is as good
    quarantine.close()
    thread.join(10)
    for timer in [each for each in threading.enumerate() if each.name == "quarantine-limit"]:
        timer.join(10)  # cancelled, but its thread may take a moment to end; one that is not would take a minute
        assert not timer.is_alive()
    assert (children() - before, len(failures), len(quarantine)) == (set(), 1, 0)


def test_many_threads_have_a_child_each_at_most(quarantine: Quarantine) -> None:
    """And every one its own answer."""
    shades: dict[int, int] = {}

    def read(shade: int) -> None:
        file = io.BytesIO()
        Image.new("L", (20, 20), shade).save(file, "BMP")
        shades[shade] = int(quarantine.read(file.getvalue(), ORDER).pixels[0, 0, 0])

    threads = [threading.Thread(target=read, args=(shade,)) for shade in (10, 20, 30, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (shades, len(quarantine) <= 4) == ({shade: shade for shade in (10, 20, 30, 40)}, True)


def test_idle_children_are_ended() -> None:
    """Memory is not kept for pictures that may never come again; the next one has a new child."""
    quarantine = Quarantine(max_s=10, max_mb=600, idle_s=0)
    quarantine.read(encode("GIF"), ORDER)
    quarantine.trim()
    assert len(quarantine) == 0
    assert quarantine.read(encode("GIF"), ORDER).note is None
    quarantine.close()


@pytest.mark.parametrize("data", [b"", with_scans(encode("JPEG", (4000, 3000), progressive=True), 3000)])
def test_a_child_ends_without_its_server(data: bytes) -> None:
    """However the server goes: an idle child at once, one at work soon after its limit."""
    command = [sys.executable, "-m", "server.quarantine", "600", "1.0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert json.loads(child.stdout.readline()) == {"ready": True}
        if data:
            child.stdin.write(json.dumps({"bytes": len(data), **asdict(ORDER)}).encode() + b"\n" + data)
        child.stdin.close()
        child.wait(15)
