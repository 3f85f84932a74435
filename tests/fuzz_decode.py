"""A seeded random fuzzer of the one way from bytes to pixels: `python tests/fuzz_decode.py --minutes 10`.

Small valid files of every allowed format and mode are broken at random and read in a child process under a memory
limit. Whatever leaves `read_picture` other than a picture or a `PictureError`, a child that dies, and an input that
takes too long are counted and their bytes are kept. Input `n` of a seed is always the same, in any process.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import io
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from PIL import Image

from models.picture import RESIZE_POLICIES, PictureError, PictureLimits, read_picture

_MODES = ("1", "L", "P", "PA", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "F",
          "I;16", "I;16B", "I;16L")
_OPTIONS: dict[str, tuple[dict[str, Any], ...]] = {
    "JPEG": ({}, {"progressive": True}, {"quality": 20, "optimize": True, "restart_marker_blocks": 1}),
    "MPO": ({"save_all": True},),
    "PNG": ({}, {"save_all": True}, {"compress_level": 0}),
    "GIF": ({}, {"save_all": True}, {"interlace": 0}),
    "BMP": ({},),
    "DIB": ({},),
    "TIFF": tuple({"compression": name} for name in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg",
                                                     "group3", "group4", "zstd", "lzma", "webp")),
    "WEBP": ({}, {"lossless": True}, {"save_all": True}),
    "AVIF": ({}, {"quality": 30}),
    "PPM": ({},),
    "ICO": ({}, {"bitmap_format": "bmp"}),
}
"""Format -> the ways to write it. No animated AVIF: the writer of Pillow 13.0 crashes on some (seen here)."""

_MARKS = (b"\x00", b"\xff", b"\x7f", b"\x80", b"\x01", b"\xff\xd9", b"\xff\xda", b"IDAT", b"IEND", b"\x00\x00\x00\x00",
          b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff\xff\xff\x7f")
_LIMITS = (PictureLimits(1.0), PictureLimits(1.0), PictureLimits(4.0), PictureLimits())


def seeds() -> list[tuple[str, bytes]]:
    """Small valid files, each with a name: every format in every mode and way that Pillow can write."""
    found: list[tuple[str, bytes]] = []
    for kind, ways in _OPTIONS.items():
        for mode in _MODES:
            for number, way in enumerate(ways):
                data = _encoded(mode, kind, way)
                if data is not None:
                    found.append((f"{kind} {mode} {number}", data))
    return found


def _encoded(mode: str, kind: str, way: dict[str, Any]) -> bytes | None:
    """The bytes of a small picture with exif and several frames where asked; None where Pillow cannot write that."""
    if kind == "AVIF" and mode not in ("L", "RGB", "RGBA"):
        return None  # the others are converted before they are written
    file = io.BytesIO()
    gradient = Image.linear_gradient("L").resize((24, 17))
    rgb = Image.merge("RGB", (gradient, gradient.rotate(90), gradient.transpose(Image.Transpose.FLIP_TOP_BOTTOM)))
    exif = Image.Exif()
    exif[0x0112] = 6
    try:
        image = (rgb if mode in ("RGB", "CMYK", "YCbCr", "RGBA", "RGBX", "P", "LAB", "HSV") else gradient)
        image = Image.new(mode, (24, 17)) if mode.startswith("I;") or mode in ("La", "RGBa") else image.convert(mode)
        more = {"append_images": [image.rotate(180)] * 2} if "save_all" in way else {}
        image.save(file, kind, exif=exif, **way, **more)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return file.getvalue()


def broken(number: int, seed: int, files: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Input `number` of `seed`: what it was made from, and its bytes."""
    dice = random.Random(f"{seed}/{number}")
    name, data = files[dice.randrange(len(files))]
    changed = bytearray(data)
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        _CHANGES[dice.randrange(len(_CHANGES))](changed, dice, files)
    return name, bytes(changed)


Files = list[tuple[str, bytes]]


def _flip(data: bytearray, dice: random.Random, _: Files) -> None:
    for _time in range(dice.choice((1, 1, 2, 5, 20))):
        if data:
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)


def _flip_header(data: bytearray, dice: random.Random, _: Files) -> None:
    for _time in range(dice.choice((1, 2, 4))):
        if data:
            data[dice.randrange(min(len(data), 64))] = dice.randrange(256)


def _truncate(data: bytearray, dice: random.Random, _: Files) -> None:
    del data[dice.randrange(len(data) + 1):]


def _cut(data: bytearray, dice: random.Random, _: Files) -> None:
    start = dice.randrange(len(data) + 1)
    del data[start:start + dice.choice((1, 2, 4, 16, 64))]


def _repeat(data: bytearray, dice: random.Random, _: Files) -> None:
    start = dice.randrange(len(data) + 1)
    part = bytes(data[start:start + dice.choice((1, 8, 64, 512))])
    data[start:start] = part * dice.choice((1, 2, 16, 64))


def _splice(data: bytearray, dice: random.Random, files: Files) -> None:
    other = files[dice.randrange(len(files))][1]
    start = dice.randrange(len(other))
    where = dice.randrange(len(data) + 1)
    data[where:where + dice.randrange(64)] = other[start:start + dice.randrange(1, 512)]


def _mark(data: bytearray, dice: random.Random, _: Files) -> None:
    mark, where = dice.choice(_MARKS), dice.randrange(len(data) + 1)
    data[where:where + len(mark)] = mark


def _number(data: bytearray, dice: random.Random, _: Files) -> None:
    """A 16 or 32 bit field in the header becomes an edge value, in either byte order."""
    width = dice.choice((2, 4))
    value = dice.choice((0, 1, 2, 255, 256, 32767, 32768, 65535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1))
    where = dice.randrange(min(len(data), 200) + 1)
    data[where:where + width] = (value % (1 << 8 * width)).to_bytes(width, dice.choice(("little", "big")))


def _shuffle(data: bytearray, dice: random.Random, _: Files) -> None:
    """Chunks change places: at the marks of the formats where there are some, else anywhere."""
    cuts = sorted(dice.randrange(len(data) + 1) for _time in range(4))
    marks = [at for at in range(len(data)) if data[at:at + 1] == b"\xff" or data[at:at + 4].isalpha()]
    if len(marks) >= 4 and dice.random() < 0.7:
        cuts = sorted(dice.sample(marks, 4))
    one, two, three, four = cuts
    data[:] = data[:one] + data[three:four] + data[two:three] + data[one:two] + data[four:]


_CHANGES = (_flip, _flip, _flip_header, _truncate, _cut, _repeat, _splice, _mark, _number, _number, _shuffle)


@dataclass(slots=True)
class Count:
    """What was seen."""

    inputs: int = 0
    deaths: int = 0
    hangs: int = 0
    leaks: int = 0
    slowest_s: float = 0.0
    slowest: str = ""
    statuses: collections.Counter[str] = field(default_factory=collections.Counter)


def main() -> int:
    """Fuzz for so long; 1 when anything but a picture or a `PictureError` was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-input-s", type=float, default=30.0)
    parser.add_argument("--memory-mb", type=int, default=3000)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "pixfield-fuzz")
    parser.add_argument("--child-from", type=int, default=None, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child_from is not None:
        _child(chosen)
        return 0
    count = _watch(chosen)
    return 1 if count.deaths or count.hangs or count.leaks else 0


def _child(chosen: argparse.Namespace) -> None:
    """Read input after input until killed; one line of JSON before (its number) and after each."""
    _limit_memory(chosen.memory_mb)
    warnings.simplefilter("ignore")
    files, number = seeds(), chosen.child_from
    policies = sorted(RESIZE_POLICIES)
    while True:
        name, data = broken(number, chosen.seed, files)
        print(number, flush=True)
        started = time.perf_counter()
        status = _status(data, resize=policies[number % len(policies)], limits=_LIMITS[number % len(_LIMITS)],
                         channels=1 if number % 5 == 0 else 3)
        print(json.dumps([time.perf_counter() - started, name, status]), flush=True)
        number += 1


def _status(data: bytes, *, resize: str, limits: PictureLimits, channels: int) -> str:
    try:
        picture = read_picture(data, size=32, channels=channels, resize=resize, limits=limits)
    except PictureError as exc:
        return str(exc).split(":")[0]
    except BaseException as exc:  # noqa: BLE001 - what the fuzzer looks for
        return f"LEAK {type(exc).__name__}: {exc}"
    return "ok" if picture.pixels.shape == (32, 32, channels) else "LEAK wrong shape"


def _limit_memory(memory_mb: int) -> None:
    if sys.platform != "win32":  # Windows has no limit that a process can set for itself
        import resource
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _watch(chosen: argparse.Namespace) -> Count:
    """Run children until the time is over; a dead or hanging one is replaced after its input."""
    count, begun, said = Count(), time.monotonic(), time.monotonic()
    until, number = begun + chosen.minutes * 60, 0
    while time.monotonic() < until:
        with subprocess.Popen([sys.executable, __file__, "--child-from", str(number), "--seed", str(chosen.seed),
                               "--memory-mb", str(chosen.memory_mb)], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as child:
            assert child.stdout is not None
            guard = _Guard(child, chosen.max_input_s)
            threading.Thread(target=guard.run, daemon=True).start()
            for at, line in _results(child.stdout, guard):
                number = at + 1
                _note(count, chosen, at, line)
                if time.monotonic() - said > 60:
                    said = time.monotonic()
                    _say(count, said - begun)
                if time.monotonic() > until:
                    guard.stop()
            if not guard.has_begun:
                raise SystemExit("the child ended before its first input: run it with --child-from 0 to see why")
            if guard.under_way is not None and time.monotonic() < until:
                number = guard.under_way + 1
                _note_death(count, chosen, guard)
    _say(count, time.monotonic() - begun)
    return count


class _Guard:
    """Kills the child when one input takes too long."""

    def __init__(self, child: subprocess.Popen[bytes], max_input_s: float) -> None:
        self._child, self._max_input_s = child, max_input_s
        self.under_way: int | None = None
        self.since = time.monotonic()
        self.has_hung = self.has_begun = False

    def run(self) -> None:
        """Until the child is gone."""
        while self._child.poll() is None:
            time.sleep(0.5)
            if self.under_way is not None and time.monotonic() - self.since > self._max_input_s:
                self.has_hung = True
                self.stop()

    def stop(self) -> None:
        """Kill the child."""
        self._child.kill()


def _results(lines: IO[bytes], guard: _Guard) -> Any:
    """(number, result line) for each finished input; the guard knows which one is under way."""
    for line in lines:
        if line.startswith(b"["):
            at, guard.under_way = guard.under_way, None
            yield at, json.loads(line)
        else:
            guard.under_way, guard.since, guard.has_begun = int(line), time.monotonic(), True


def _note(count: Count, chosen: argparse.Namespace, at: int, result: list[Any]) -> None:
    took_s, name, status = result
    count.inputs += 1
    count.statuses[status] += 1
    if took_s > count.slowest_s:
        count.slowest_s, count.slowest = took_s, f"{name}, input {at}, {status}"
        if took_s > 1:
            _keep(chosen, at, "slow")
    if status.startswith("LEAK"):
        count.leaks += 1
        _keep(chosen, at, status)


def _note_death(count: Count, chosen: argparse.Namespace, guard: _Guard) -> None:
    assert guard.under_way is not None
    count.inputs += 1
    if guard.has_hung:
        count.hangs += 1
    else:
        count.deaths += 1
    _keep(chosen, guard.under_way, "hung" if guard.has_hung else "died")


def _keep(chosen: argparse.Namespace, at: int, why: str) -> None:
    name, data = broken(at, chosen.seed, seeds())
    chosen.keep.mkdir(parents=True, exist_ok=True)
    path = chosen.keep / f"{why.split(':', 1)[0].replace(' ', '-')}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"{why}: input {at} of seed {chosen.seed}, from {name}, {len(data)} bytes, kept as {path}", flush=True)


def _say(count: Count, seconds: float) -> None:
    print(f"{count.inputs:,} inputs in {seconds:.0f} s ({count.inputs / max(seconds, 1):.0f}/s), deaths "
          f"{count.deaths}, hangs {count.hangs}, other exceptions {count.leaks}, slowest "
          f"{count.slowest_s:.2f} s ({count.slowest})")
    for status, times in count.statuses.most_common(20):
        print(f"    {times:>9,}  {status}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
