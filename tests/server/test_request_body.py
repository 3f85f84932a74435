"""Bodies that are packed: unpacked up to a limit, for each request and for all of them together."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import BadRequestError, BusyError, TooLargeError
from server.request_body import Unpacked, unpack

LIMIT = 2_000_000


@given(st.lists(st.binary(max_size=200), min_size=1, max_size=3))
def test_what_was_packed_comes_back(parts: list[bytes]) -> None:
    """Of one member or several."""
    assert unpack(b"".join(map(gzip.compress, parts)), Unpacked(body_bytes=LIMIT)) == b"".join(parts)


def test_the_limit_itself_is_let_in() -> None:
    """One byte more is not."""
    assert len(unpack(gzip.compress(bytes(LIMIT)), Unpacked(body_bytes=LIMIT))) == LIMIT
    with pytest.raises(TooLargeError, match="unpacks to more than 2,000,000 bytes"):
        unpack(gzip.compress(bytes(LIMIT + 1)), Unpacked(body_bytes=LIMIT))


@pytest.mark.parametrize("bomb", [gzip.compress(bytes(500_000_000), 9), gzip.compress(bytes(1_000_000), 9) * 500],
                         ids=["one member", "many members"])
def test_a_bomb_is_refused_before_it_is_unpacked(bomb: bytes) -> None:
    """Half a gigabyte of zeros in half a megabyte: not many megabytes of memory are taken."""
    tracemalloc.start()
    try:
        with pytest.raises(TooLargeError):
            unpack(bomb, Unpacked(body_bytes=LIMIT))
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


PACKED = gzip.compress(b"{}", mtime=0)  # without the time, which would be in the tests' names


@pytest.mark.parametrize("data", [b"{}", b"\x1f\x8b", PACKED[:-1], PACKED + b"more",
                                  zlib.compress(b"{}"), PACKED[:-5] + b"\0\0\0\0\0"])
def test_what_is_no_gzip_is_refused(data: bytes) -> None:
    """Cut off, of another kind, with something behind it, with a wrong sum."""
    with pytest.raises(BadRequestError):
        unpack(data, Unpacked(body_bytes=LIMIT))


def test_all_requests_together_hold_no_more_than_four_bodies() -> None:
    """The fifth waits; what was refused is not counted; what was given back is free again."""
    limits = Unpacked(body_bytes=LIMIT)
    body = gzip.compress(bytes(LIMIT))
    for _ in range(3):
        unpack(body, limits)
    for bad in (gzip.compress(bytes(LIMIT + 1)), body[:-1], body + b"more"):
        with pytest.raises((TooLargeError, BadRequestError)):
            unpack(bad, limits)
    unpack(body, limits)
    with pytest.raises(BusyError):
        unpack(body, limits)
    limits.give_back(LIMIT)
    assert len(unpack(body, limits)) == LIMIT


def test_nothing_is_nothing() -> None:
    """An empty body unpacks to one."""
    assert unpack(b"", Unpacked(body_bytes=LIMIT)) == b""
