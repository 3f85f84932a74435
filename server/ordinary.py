"""Which pictures are decoded in a thread of the server, and which in a child process: by the header alone.

Bytes enter, a bool leaves. Ordinary is a JPEG or PNG whose header bounds its decoder's time and memory to what a
camera's picture takes; it is what nearly every column has, and it must not pay for the others. Everything else, rare
formats, many scans, many chunks, huge pixels, may be slow, hungry or the end of its decoder, and is decoded apart.
"""

from __future__ import annotations

import struct

_MAX_PIXELS = 30_000_000  # a JPEG at full scale takes 90 MB, as much as all decode threads may have at once
_MAX_PNG_PIXELS = 16_000_000  # 16 bits and alpha: 128 MB to inflate, about a second
_MAX_SCAN_PIXELS = 200_000_000  # each further scan of a JPEG costs a pass over all of it; 12 megapixels have 10 scans
_MAX_SEGMENTS = 100  # a camera's JPEG has about 20; each costs the reader some Python
_MAX_EXTRA_BYTES = 2_000_000  # PNG chunks other than pixels: a colour profile, a preview, a prompt
_BYTES_A_CHUNK = 2048  # libpng writes chunks of 8 KB; each one costs the reader some Python

_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_FRAMES = frozenset((*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)))  # SOF markers
_SEQUENTIAL = (0xC0, 0xC1)
_SCAN = 0xDA


def is_ordinary(data: bytes) -> bool:
    """Whether the header bounds what decoding `data` can take; a broken header is not ordinary."""
    try:
        if data.startswith(_JPEG):
            return _is_ordinary_jpeg(data)
        return data.startswith(_PNG) and _is_ordinary_png(data)
    except (struct.error, IndexError):
        return False


def _is_ordinary_jpeg(data: bytes) -> bool:
    """By its frame: few pixels, and scans that are few for so many; ITU T.81, B.2."""
    at, pixels, components, is_sequential = 2, 0, 0, False
    for _ in range(_MAX_SEGMENTS):
        while data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker, length = data[at + 1], (data[at + 2] << 8) + data[at + 3]
        if data[at] != 0xFF or length < 2:
            return False
        if marker == _SCAN:
            is_one_scan = is_sequential and data[at + 4] == components
            return 0 < pixels <= _MAX_PIXELS and (is_one_scan or pixels * data.count(b"\xff\xda") <= _MAX_SCAN_PIXELS)
        if marker in _FRAMES:
            height, width, components = struct.unpack_from(">HHB", data, at + 5)
            pixels, is_sequential = width * height, marker in _SEQUENTIAL
        at += 2 + length
    return False


def _is_ordinary_png(data: bytes) -> bool:
    """By its first chunk and the number and size of the others."""
    width, height = struct.unpack_from(">II", data, 16)
    if not data.startswith(b"IHDR", 12) or not 0 < width * height <= _MAX_PNG_PIXELS:
        return False
    at, extra, end = 8, 0, len(data)
    for _ in range(_MAX_SEGMENTS + end // _BYTES_A_CHUNK):
        if at >= end:
            return True
        size = int.from_bytes(data[at:at + 4], "big")
        kind = data[at + 4:at + 8]
        if kind == b"IEND":
            return True
        if kind != b"IDAT":
            extra += size
            if extra > _MAX_EXTRA_BYTES or kind == b"acTL":
                return False
        at += 12 + size
    return False
