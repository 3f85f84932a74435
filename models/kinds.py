"""What a file is by its first bytes, and whether it ends before its picture does: asked only of what cannot be read.

Bytes enter, words for the analyst leave. Nothing here decodes anything; a wrong guess costs a less helpful text.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

_ANY = ord("?")
_START = 1024  # an SVG's element may come after comments and a document type

_UNSUPPORTED: tuple[tuple[str, re.Pattern[bytes]], ...] = (
    ("a PDF document", re.compile(rb"%PDF-")),
    ("an EPS or PostScript file", re.compile(rb"%!PS|\xc5\xd0\xd3\xc6")),
    ("a Photoshop file (PSD)", re.compile(rb"8BPS")),
    ("a HEIC image", re.compile(rb"....ftyp(?:hei[cmsx]|hev[cmsx]|mif1|msf1)", re.DOTALL)),
    ("a JPEG 2000 image", re.compile(rb"\x00\x00\x00\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51")),
    ("a JPEG XL image", re.compile(rb"\xff\x0a|\x00\x00\x00\x0cJXL \r\n\x87\n")),
    ("an SVG drawing", re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?|<!--.*?|<!DOCTYPE svg.*?)*<svg[\s>]",
                                  re.DOTALL | re.IGNORECASE)),
    ("a web page", re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<!doctype html|<html[\s>])", re.IGNORECASE)),
    ("a Git LFS pointer instead of the picture", re.compile(rb"version https://git-lfs")),
    ("a camera raw file", re.compile(rb"FUJIFILMCCD-RAW|II\x1a\x00\x00\x00HEAPCCDR|....ftypcrx |IIU\x00|IIRO",
                                     re.DOTALL)),
    ("an OpenEXR image", re.compile(rb"\x76\x2f\x31\x01")),
    ("a Radiance HDR image", re.compile(rb"#\?RADIANCE")),
    ("a FITS file", re.compile(rb"SIMPLE  =")),
    ("a DICOM file", re.compile(rb".{128}DICM", re.DOTALL)),
    ("a DDS texture", re.compile(rb"DDS \x7c")),
    ("a GIMP file (XCF)", re.compile(rb"gimp xcf ")),
    ("a Windows metafile", re.compile(rb"\xd7\xcd\xc6\x9a|\x01\x00\x00\x00.{36} EMF", re.DOTALL)),
    ("a video", re.compile(rb"....ftyp(?:isom|mp4[12]|qt  |M4V )|\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL)),
    ("a ZIP archive or Office document", re.compile(rb"PK\x03\x04")),
)
"""Name -> what such a file begins with."""


def unsupported_kind(data: bytes) -> str | None:
    """The name, with its article, of a kind that is known but not opened; None for anything else."""
    start = data[:_START]
    return next((name for name, pattern in _UNSUPPORTED if pattern.match(start)), None)


def supported_kind(data: bytes) -> str | None:
    """The format that the first bytes promise, of those that are opened; a few bytes of a mark are enough."""
    return next((kind for kind, marks, _ in _SUPPORTED if any(_agrees(data, mark) for mark in marks)), None)


def is_truncated(data: bytes) -> bool:
    """Whether the file says itself that there should be more of it; False also means that it cannot be told."""
    kind = supported_kind(data)
    check = next((check for name, _, check in _SUPPORTED if name == kind), None)
    if check is None:
        return False
    try:
        return check(data)
    except (struct.error, IndexError):  # a field of the header itself is missing
        return True


def _agrees(data: bytes, mark: bytes) -> bool:
    """Whether `data` begins like `mark`, whose question marks may be anything; at least 2 bytes must speak for it."""
    seen = [found == wanted for wanted, found in zip(mark, data, strict=False) if wanted != _ANY]
    return len(seen) >= 2 and all(seen)


def _jpeg_ends_early(data: bytes) -> bool:
    end = data.rfind(b"\xff\xd9")  # there must be an end of image, and no scan may begin after it
    return end < 0 or end < data.rfind(b"\xff\xda")


def _png_ends_early(data: bytes) -> bool:
    at = 8
    while True:
        (size,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4:at + 8]
        at += 12 + size
        if at > len(data) or (at == len(data) and kind != b"IEND"):
            return True
        if kind == b"IEND" or not kind.isalpha():
            return False


def _gif_ends_early(data: bytes) -> bool:
    return not data.rstrip(b"\0").endswith(b";")


def _riff_ends_early(data: bytes) -> bool:
    return 8 + int(struct.unpack_from("<I", data, 4)[0]) > len(data)


def _bmp_ends_early(data: bytes) -> bool:
    size, _, start = struct.unpack_from("<III", data, 2)
    return max(int(size), int(start)) > len(data)


def _tiff_ends_early(data: bytes) -> bool:
    """Whether the first directory or a strip or tile it names lies beyond the end."""
    order = "<" if data[:1] == b"I" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    values: dict[int, list[int]] = {}
    for number in range(count):
        tag, kind, many, value = struct.unpack_from(order + "HHII", data, at + 2 + 12 * number)
        width = {3: 2, 4: 4}.get(kind, 0)
        if tag in (273, 279, 324, 325) and width and many * width <= len(data):
            place = value if many * width > 4 else at + 2 + 12 * number + 8
            values[tag] = list(struct.unpack_from(f"{order}{many}{'H' if kind == 3 else 'I'}", data, place))
    pairs = [(values.get(start, []), values.get(size, [])) for start, size in ((273, 279), (324, 325))]
    return any(start + size > len(data) for starts, sizes in pairs for start, size in zip(starts, sizes, strict=False))


def _boxes_end_early(data: bytes) -> bool:
    at = 0
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if size < 8:  # 0: to the end of the file; 1: a 64-bit size, which no picture within the limit needs
            return False
        at += size
    return at > len(data) or b"mdat" not in data


def _ico_ends_early(data: bytes) -> bool:
    (count,) = struct.unpack_from("<H", data, 4)
    entries = (struct.unpack_from("<II", data, 6 + 16 * number + 8) for number in range(min(count, 256)))
    return any(size + start > len(data) for size, start in entries)


def _ppm_ends_early(data: bytes) -> bool:
    header = re.match(rb"P([456])\s+(\d{1,6})\s+(\d{1,6})\s(?:(\d{1,5})\s)?", data)
    if header is None:
        return len(data) < 20 and re.match(rb"P[1-6][\s\d]*$", data) is not None
    width, height = int(header[2]), int(header[3])
    bytes_a_value = 2 if int(header[4] or 0) > 255 else 1
    row = {b"4": (width + 7) // 8, b"5": width * bytes_a_value, b"6": 3 * width * bytes_a_value}[header[1]]
    return header.end() + row * height > len(data)


_SUPPORTED: tuple[tuple[str, tuple[bytes, ...], Callable[[bytes], bool]], ...] = (
    ("JPEG", (b"\xff\xd8\xff",), _jpeg_ends_early),
    ("PNG", (b"\x89PNG\r\n\x1a\n",), _png_ends_early),
    ("GIF", (b"GIF87a", b"GIF89a"), _gif_ends_early),
    ("WEBP", (b"RIFF????WEBP",), _riff_ends_early),
    ("BMP", (b"BM",), _bmp_ends_early),
    ("TIFF", (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"), _tiff_ends_early),
    ("AVIF", (b"????ftypavi",), _boxes_end_early),
    ("ICO", (b"\x00\x00\x01\x00",), _ico_ends_early),
    ("PPM", (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"), _ppm_ends_early),
)
"""Format, what it begins with (question mark: anything), whether it ends early."""
