"""Hostile and odd pictures as one column through the real server: every row has an answer or a reason, nothing falls.

Made here: small files of every format cut at every byte, every mode that Pillow writes, random damage, bombs, and what
is no file at all. Only the random damage is a sample (`DAMAGED`); the fuzzer beside this file goes on from there.
"""

from __future__ import annotations

import collections
import json
import struct
import sys
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from fuzz_decode import broken, seeds
from PIL import Image
from stack import Running, started

from models import digits

sys.path.insert(0, str(Path(__file__).resolve().parent / "server"))

from test_ordinary import chunk, encode, with_chunks, with_scans

DAMAGED = 1500
MAX_DECODE_S, MAX_DECODE_MB, MAX_IMAGE_MB, DECODE_THREADS = 4, 900, 40, 2
SERVER_MAY_GROW_MB = 500  # two ordinary pictures at their limits, the files read for the others, and their answers

TRUNCATED = "the image is truncated: the file ends too early"
SLOW = "decoding takes too long: more than 4 s (--max-decode-s)"
PIXEL_LIMIT = "the limit is 50,000,000 (--max-image-megapixels)"
TOO_MANY_BYTES = "too many bytes: 40.0 MB, the limit is 40.0 (--max-image-mb)"
HUNGRY = "decoding takes too much memory: more than 900 MB (--max-decode-mb)"


def cut_files() -> Iterator[tuple[str, bytes]]:
    """One small file of every format, cut at every byte."""
    options: dict[str, dict[str, Any]] = {"MPO": {"save_all": True, "append_images": [Image.new("RGB", (9, 7))]}}
    for kind in ("JPEG", "MPO", "PNG", "GIF", "BMP", "DIB", "TIFF", "WEBP", "AVIF", "PPM", "ICO"):
        data = encode(kind, (9, 7), **options.get(kind, {}))
        yield from ((f"cut {kind} {end:05}", data[:end]) for end in range(len(data)))


def bomb_png(side: int) -> bytes:
    """A PNG of black squares: kilobytes that become 150 MB."""
    packer = zlib.compressobj(9)
    row = bytes(1 + 3 * side)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bomb_tiff(tags: int) -> bytes:
    """A TIFF of tags that all claim the same megabytes."""
    entries = b"".join(struct.pack("<HHII", 300 + tag, 2, 1_000_000, 8) for tag in range(tags))
    return b"II*\0" + struct.pack("<IH", 8, tags) + entries + bytes(4) + bytes(2_000_000)


def bomb_gif(frames: int) -> bytes:
    """A GIF of so many frames."""
    one = encode("GIF", (16, 16), "P")
    return one[:-1] + one[one.index(b","):-1] * frames + b";"


def bombs() -> dict[str, tuple[bytes, str]]:
    """Name -> the file, and the status it must have."""
    progressive = encode("JPEG", (4000, 3000), progressive=True)
    return {
        **{f"scans {number}": (with_scans(progressive, 3000 + number), SLOW) for number in range(3)},
        "49 megapixels.png": (bomb_png(7000), "ok"),
        "51 megapixels.png": (bomb_png(7150), f"too many pixels: 51,122,500, {PIXEL_LIMIT}"),
        "4 gigapixels by its header.gif": (b"GIF89a\xff\xff\xff\xff" + encode("GIF")[10:],
                                           f"too many pixels: {PIXEL_LIMIT}"),
        "floats.tif": (encode("TIFF", (7000, 7000), "F", compression="tiff_adobe_deflate"), HUNGRY),
        "frames.gif": (bomb_gif(500_000), "ok"),
        "tags.tif": (bomb_tiff(60_000), "the image is damaged"),
        "bytes.png": (encode("PNG") + bytes(MAX_IMAGE_MB * 1_000_000), TOO_MANY_BYTES),
        "chunks.png": (with_chunks(encode("PNG"), *[chunk(b"tEXt", b"a\0b")] * 100_000), "ok"),
        "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a supported image: this is an SVG drawing"),
        "paper.pdf": (b"%PDF-1.7\n", "not a supported image: this is a PDF document"),
        "text.jpg": (b"no picture", "not an image, or of a kind that is not supported"),
        "empty.png": (b"", "the file is empty"),
    }


@dataclass(slots=True)
class Corpus:
    """A folder of files, the column that names them, and the status that some rows must have."""

    folder: Path
    column: list[str] = field(default_factory=list)
    expected: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, data: bytes, expected: str | None = None) -> None:
        """One file and its row."""
        (self.folder / name).write_bytes(data)
        self.column.append(name)
        if expected is not None:
            self.expected[name] = expected


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Bombs first, so that everything else has to pass them."""
    made = Corpus(tmp_path_factory.mktemp("hostile"))
    for name, (data, expected) in bombs().items():
        made.add(name, data, expected)
    for name, data in cut_files():
        made.add(name, data)
    files = seeds()
    for number, (name, data) in enumerate(files):
        made.add(f"mode {number} {name}", data, "ok")
    for number in range(DAMAGED):
        made.add(f"damaged {number}", broken(number, 1, files)[1])
    for name, data, _ in digits.held_out()[:20]:
        made.add(f"good {name}", data, "ok")
    (made.folder / "folder").mkdir()
    made.expected |= {"folder": "this is a folder, not a picture", "missing.png": "file not found",
                      "/etc/passwd": "outside the allowed folders (--images)"}
    made.column += ["folder", "missing.png", "/etc/passwd"]
    return made


@pytest.fixture(scope="module")
def running(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The server alone, with small limits."""
    with started(tmp_path_factory.mktemp("state"), images=(corpus.folder,), no_tabpy=True, max_decode_s=MAX_DECODE_S,
                 max_decode_mb=MAX_DECODE_MB, max_image_mb=MAX_IMAGE_MB, decode_threads=DECODE_THREADS) as stack:
        yield stack


def statuses(running: Running, column: list[str]) -> list[str]:
    """The status of every row, asked for until none is pending."""
    body = json.dumps({"paths": column, "fields": ["status"], "deadline_s": 60}).encode()
    while True:
        request = urllib.request.Request(f"{running.server}/v1/classify", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=90) as answer:
            content = json.load(answer)
        if content["pending"] == 0:
            return list(content["columns"]["status"])


@dataclass(slots=True)
class Watch:
    """What the server was like meanwhile: its memory, its children and theirs, and how soon it said it is well."""

    server_mb: list[float] = field(default_factory=list)
    child_mb: list[float] = field(default_factory=list)
    children: list[int] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)

    def run(self, running: Running, stop: threading.Event) -> None:
        """Look ten times a second until told to stop."""
        process = psutil.Process(running.supervisor.child("server").pid)
        while not stop.wait(0.1):
            began = time.monotonic()
            with urllib.request.urlopen(f"{running.server}/healthz", timeout=30):
                self.health_s.append(time.monotonic() - began)
            self.server_mb.append(process.memory_info().rss / 1e6)
            sizes = []
            for child in process.children():
                try:
                    sizes.append(child.memory_info().rss / 1e6)
                except psutil.Error:  # it has just ended
                    continue
            self.children.append(len(sizes))
            self.child_mb.append(max(sizes, default=0.0))


@dataclass(frozen=True, slots=True)
class Seen:
    """The column's answer and what was watched."""

    status: dict[str, str]
    watch: Watch
    pid_before: int
    threads_before: int


@pytest.fixture(scope="module")
def seen(running: Running, corpus: Corpus) -> Seen:
    """The whole corpus, once."""
    assert statuses(running, [corpus.column[-5]]) == ["ok"]
    process = psutil.Process(running.supervisor.child("server").pid)
    threads_before = process.num_threads()
    watch, stop = Watch(), threading.Event()
    thread = threading.Thread(target=watch.run, args=(running, stop))
    thread.start()
    try:
        answered = statuses(running, corpus.column)
    finally:
        stop.set()
        thread.join()
    return Seen(dict(zip(corpus.column, answered, strict=True)), watch, process.pid, threads_before)


def test_every_row_is_answered(seen: Seen, corpus: Corpus) -> None:
    """As many statuses as rows, each a line of words, and few kinds of them."""
    kinds = collections.Counter(status.split(":")[0] for status in seen.status.values())
    assert (len(seen.status), len(corpus.column) > 5000) == (len(corpus.column), True)
    assert set(kinds) <= {"ok", "not an image, or of a kind that is not supported", "the image is truncated",
                          "the image is damaged", "the file is empty", "too many pixels", "too many bytes",
                          "not a supported image", "the image has pixels that are not numbers", "file not found",
                          "decoding takes too long", "decoding takes too much memory",
                          "this is a folder, not a picture", "outside the allowed folders (--images)"}, kinds


def test_each_fault_has_its_own_status(seen: Seen, corpus: Corpus) -> None:
    """And every sound file, whatever its format and mode, an answer."""
    assert {name: seen.status[name] for name in corpus.expected} == corpus.expected


def test_a_cut_file_is_called_so(seen: Seen) -> None:
    """Nearly always; a file cut before its kind shows is no image, one cut in its last bytes may still be whole."""
    cut = collections.Counter(status for name, status in seen.status.items() if name.startswith("cut "))
    assert cut[TRUNCATED] > 0.9 * (cut.total() - cut["ok"] - cut["the file is empty"]), cut
    assert set(cut) <= {TRUNCATED, "ok", "the file is empty", "the image is damaged",
                        "not an image, or of a kind that is not supported"}


def test_the_server_was_well_all_the_time(seen: Seen, running: Running) -> None:
    """It answered `/healthz` within two seconds, and is the same process as before."""
    assert (max(seen.watch.health_s) < 2.0, running.supervisor.child("server").pid) == (True, seen.pid_before)


def test_memory_was_bounded(seen: Seen) -> None:
    """The server's, and each child's."""
    grown = max(seen.watch.server_mb) - seen.watch.server_mb[0]
    assert (grown < SERVER_MAY_GROW_MB, max(seen.watch.child_mb) < MAX_DECODE_MB) == (True, True), grown


def test_nothing_is_left_behind(seen: Seen, running: Running) -> None:
    """No more children than decode threads, no thread more than before, but for the HTTP server's own."""
    process = psutil.Process(running.supervisor.child("server").pid)
    assert max(seen.watch.children) <= DECODE_THREADS
    assert process.num_threads() <= seen.threads_before + 2
