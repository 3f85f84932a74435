"""The threads between a ticket and the batcher: every ticket goes on or ends, whatever happens to it."""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from test_ordinary import encode, with_scans

from models.picture import PictureLimits, read_picture
from models.registry import ModelVersion
from server.answers import Answers
from server.batching import Batcher, Prepared
from server.decode import MAX_GIVEN_UP, DecodeLimits, Decoders, digest_of
from server.found_url import Found
from server.in_flight import InFlight, Result, Ticket
from server.lanes import Lanes
from server.metrics import Metrics
from server.paths import FoundFile, Roots
from server.sources import Sources
from server.store import Store

if TYPE_CHECKING:
    from server_fixtures import Pictures

pytest_plugins = ("server_fixtures",)

WAIT_S = 10.0


class Line:
    """The way from lanes to batcher, without an engine behind it."""

    def __init__(self, version: ModelVersion, sources: Sources, store: Store, limits: DecodeLimits) -> None:
        self.sources = sources
        self.answers = Answers(model="m", classes=10, limit_bytes=0, store=store)
        self.in_flight = InFlight(100)
        self.lanes = Lanes()
        self.batcher = Batcher(batch_size=8, capacity=100, has_upstream=lambda: False)
        self.decoders = Decoders(count=2, spec=version.spec, limits=limits, sources=sources, answers=self.answers,
                                 in_flight=self.in_flight, lanes=self.lanes, batcher=self.batcher, metrics=Metrics())

    def send(self, *tickets: Ticket) -> None:
        """Put tickets on their way."""
        self.lanes.add(self.in_flight.join(tickets))

    def take(self) -> list[Prepared]:
        """The next pictures for the engine."""
        until = time.monotonic() + WAIT_S
        while not len(self.batcher):
            assert time.monotonic() < until, "no picture leaves to the batcher"
            time.sleep(0.001)
        return self.batcher.take()

    def result(self, ticket: Ticket) -> Result:
        """What a ticket ends with."""
        assert self.in_flight.watch([ticket]).wait(WAIT_S), "the ticket is left hanging"
        assert ticket.result is not None
        return ticket.result

    def close(self) -> None:
        """Stop the threads."""
        self.lanes.close()
        self.batcher.close()
        self.decoders.close()


Open = Callable[..., Line]


@pytest.fixture
def open_line(version: ModelVersion, pictures: Pictures, store: Store) -> Iterator[Open]:
    """Makes lines; `sources` other than the real ones may be given."""
    opened: list[Line] = []

    def make(chosen: type[Sources] = Sources, *, max_bytes: int = 1_000_000, max_megapixels: float = 50,
             max_s: float = 10) -> Line:
        sources = chosen(roots=Roots.of([pictures.folder]), max_bytes=1_000_000, recheck_s=1000, limit_bytes=0,
                         store=store, clock=time.monotonic)
        limits = DecodeLimits(max_bytes, PictureLimits(max_megapixels), max_s)
        opened.append(Line(version, sources, store, limits))
        return opened[-1]

    yield make
    for line in opened:
        line.close()


def found(line: Line, name: str) -> FoundFile:
    """The file of that name."""
    file = line.sources.find(name)
    assert isinstance(file, FoundFile)
    return file


def test_the_digest_is_blake2b_of_the_bytes() -> None:
    """128 bits, in hexadecimal: stored answers hang on it."""
    data = b"the bytes of a picture"
    assert digest_of(data) == hashlib.blake2b(data, digest_size=16).hexdigest()


def test_a_picture_leaves_to_the_batcher(open_line: Open, pictures: Pictures, version: ModelVersion) -> None:
    """With the pixels of the one way to read pictures, and its digest."""
    spec, line = version.spec, open_line()
    pictures.write("a.png", 0)
    line.send(Ticket("a.png", found=found(line, "a.png")))
    (prepared,) = line.take()
    expected = read_picture(pictures.draw(0), size=spec.input_size, channels=spec.channels, resize=spec.resize)
    assert (prepared.digest, prepared.pixels.tolist(), prepared.note) == (
        digest_of(pictures.draw(0)), expected.pixels.tolist(), None)


def test_the_path_is_learned_when_it_is_read(open_line: Open, pictures: Pictures) -> None:
    """Before the model has answered."""
    line = open_line()
    pictures.write("a.png", 0)
    line.send(Ticket("a.png", found=found(line, "a.png")))
    line.take()
    assert line.sources.resolve(["a.png"]).digests == [digest_of(pictures.draw(0))]


def test_an_upload_is_not_learned(open_line: Open, pictures: Pictures) -> None:
    """It has no path."""
    line = open_line()
    line.send(Ticket("\0upload", data=pictures.draw(0)))
    line.take()
    assert line.sources.files(["\0upload"]) == {}


def test_equal_contents_leave_once(open_line: Open, pictures: Pictures) -> None:
    """The others wait for the first."""
    line = open_line()
    tickets = [Ticket(f"{number}", data=pictures.draw(0)) for number in range(5)]
    line.send(*tickets, Ticket("other", data=pictures.draw(1)))
    digests: list[str] = []
    while len(digests) < 2:
        digests += [prepared.digest for prepared in line.take()]
    assert (sorted(digests), len(line.batcher)) == (sorted(digest_of(pictures.draw(n)) for n in range(2)), 0)


@pytest.mark.parametrize(("content", "reason"), [
    (b"no picture", "not an image, or of a kind that is not supported"), (b"", "the file is empty")])
def test_a_broken_picture_ends_with_its_reason(open_line: Open, content: bytes, reason: str) -> None:
    """Remembered by content."""
    line = open_line()
    ticket = Ticket("upload", data=content)
    line.send(ticket)
    assert (line.result(ticket).error, line.answers.failure(digest_of(content))) == (reason, reason)


def test_a_picture_above_the_pixel_limit_ends_with_it(open_line: Open, pictures: Pictures) -> None:
    """Before it is decoded."""
    line = open_line(max_megapixels=0.001)
    ticket = Ticket("upload", data=pictures.draw(0))
    line.send(ticket)
    reason = "too many pixels: 1,024, the limit is 1,000 (--max-image-megapixels)"
    assert line.result(ticket).error == reason


def test_a_file_that_is_gone_ends_with_its_reason(open_line: Open, pictures: Pictures) -> None:
    """It is read some time after it was found."""
    line = open_line()
    path = pictures.write("a.png", 0)
    ticket = Ticket("a.png", found=found(line, "a.png"))
    path.unlink()
    line.send(ticket)
    assert line.result(ticket) == Result(error="file not found")


def test_a_file_that_was_replaced_is_found_anew(open_line: Open, pictures: Pictures) -> None:
    """The picture that stands there now is prepared."""
    line = open_line()
    pictures.write("a.png", 0)
    ticket = Ticket("a.png", found=found(line, "a.png"))
    pictures.write("new.png", 1).replace(pictures.folder / "a.png")
    line.send(ticket)
    assert [prepared.digest for prepared in line.take()] == [digest_of(pictures.draw(1))]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_a_link_put_there_instead_is_not_followed_outside(open_line: Open, pictures: Pictures, tmp_path: Path) -> None:
    """Found anew it is refused."""
    line = open_line()
    path = pictures.write("a.png", 0)
    (tmp_path / "secret.png").write_bytes(pictures.draw(1))
    ticket = Ticket("a.png", found=found(line, "a.png"))
    path.unlink()
    path.symlink_to(tmp_path / "secret.png")
    line.send(ticket)
    assert line.result(ticket).error == "outside the allowed folders (--images)"


def test_a_ticket_without_a_file_is_looked_up(open_line: Open, pictures: Pictures) -> None:
    """Memory may have dropped it since the request asked; absent ones end with their reason."""
    line = open_line()
    pictures.write("a.png", 0)
    absent = Ticket("absent.png")
    line.send(Ticket("a.png"), absent)
    assert (len(line.take()), line.result(absent).error) == (1, "file not found")


class ForgetfulSources(Sources):
    """A memory that breaks whenever it is to learn."""

    def learn(self, text: str, found: Found, digest: str) -> None:
        """It cannot."""
        raise RuntimeError(f"{text}, {found}, {digest}")


def test_a_fault_of_ours_ends_the_ticket_and_not_the_thread(open_line: Open, pictures: Pictures) -> None:
    """The traceback is in the log; more such tickets than threads all end, and what comes after them goes on."""
    line = open_line(ForgetfulSources)
    names = [pictures.write(f"{number}.png", number).name for number in range(5)]
    tickets = [Ticket(name, found=found(line, name)) for name in names]
    line.send(*tickets)
    errors = {line.result(ticket).error for ticket in tickets}
    line.send(Ticket("upload", data=pictures.draw(9)))
    assert (errors, len(line.take())) == ({"this picture could not be prepared: see the server's log"}, 1)


def test_closing_ends_the_threads(open_line: Open) -> None:
    """All of them."""
    open_line().close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("decode-")] == []


class HangingSources(Sources):
    """A memory that does not come back until the release: what a share that does not answer looks like."""

    release = threading.Event()

    def learn(self, text: str, found: Found, digest: str) -> None:
        """Wait for the release; nothing is learned."""
        if "hang" in text:
            assert self.release.wait(WAIT_S), f"{text}, {found}, {digest}"


def test_threads_that_hang_are_replaced_and_their_tickets_end(open_line: Open, pictures: Pictures) -> None:
    """Three times as many as there are threads; what comes after them goes on, and when released they are gone."""
    line = open_line(HangingSources, max_s=0.3)
    HangingSources.release.clear()
    names = [pictures.write(f"hang {number}.png", number).name for number in range(6)]
    tickets = [Ticket(name, found=found(line, name)) for name in names]
    line.send(*tickets)
    errors = {line.result(ticket).error for ticket in tickets}
    line.send(Ticket("upload", data=pictures.draw(9)))
    prepared = line.batcher.take()
    HangingSources.release.set()
    assert (errors, len(prepared)) == ({"reading the file takes too long: more than 0.3 s (--max-decode-s)"}, 1)
    assert until(lambda: decode_threads() == 2), "the threads that hung are still there"
    assert (len(line.batcher), line.decoders.busy) == (6, 0), "what they brought at last was not lost"


def test_a_hang_is_not_remembered(open_line: Open, pictures: Pictures) -> None:
    """The share may answer next time."""
    line = open_line(HangingSources, max_s=0.3)
    HangingSources.release.clear()
    pictures.write("hang.png", 0)
    ticket = Ticket("hang.png", found=found(line, "hang.png"))
    line.send(ticket)
    assert "takes too long" in (line.result(ticket).error or "")
    HangingSources.release.set()
    line.send(Ticket("hang.png", found=found(line, "hang.png")))
    assert {prepared.digest for prepared in line.batcher.take()} == {digest_of(pictures.draw(0))}


def test_more_hanging_threads_than_may_be_are_waited_for(open_line: Open, pictures: Pictures) -> None:
    """Their tickets end all the same, the number of threads is bounded, and all is well when they come back."""
    line = open_line(HangingSources, max_s=0.05)
    HangingSources.release.clear()
    names = [pictures.write(f"hang {number}.png", number).name for number in range(MAX_GIVEN_UP + 2)]
    tickets = [Ticket(name, found=found(line, name)) for name in names]
    line.send(*tickets)
    for ticket in tickets:
        assert "takes too long" in (line.result(ticket).error or "")
    threads = decode_threads()
    line.send(Ticket("upload", data=pictures.draw(99)))
    HangingSources.release.set()
    assert until(lambda: len(line.batcher) == MAX_GIVEN_UP + 3)
    assert (threads, len(line.batcher.take())) == (MAX_GIVEN_UP + 2, 8)
    assert until(lambda: decode_threads() == 2)


def test_what_is_not_ordinary_comes_back_from_quarantine(open_line: Open, version: ModelVersion) -> None:
    """With the pixels of the one way to read pictures."""
    spec, line = version.spec, open_line()
    data = encode("TIFF")
    line.send(Ticket("upload", data=data))
    (prepared,) = line.batcher.take()
    expected = read_picture(data, size=spec.input_size, channels=spec.channels, resize=spec.resize)
    assert prepared.pixels.tolist() == expected.pixels.tolist()


def test_a_picture_that_decodes_for_ever_ends_while_others_go_on(open_line: Open, pictures: Pictures) -> None:
    """More of them than threads; remembered by content."""
    line = open_line(max_s=1.0)
    hostile = [with_scans(encode("JPEG", (4000, 3000), progressive=True), 3000 + number) for number in range(3)]
    tickets = [Ticket(f"hostile {number}", data=data) for number, data in enumerate(hostile)]
    line.send(*tickets)
    line.send(Ticket("upload", data=pictures.draw(9)))
    assert len(line.batcher.take()) == 1
    reason = "decoding takes too long: more than 1 s (--max-decode-s)"
    assert {line.result(ticket).error for ticket in tickets} == {reason}
    assert {line.answers.failure(digest_of(data)) for data in hostile} == {reason}


def decode_threads() -> int:
    """How many there are, without their watchers."""
    names = [thread.name for thread in threading.enumerate()]
    return sum(name.startswith("decode-") and "watch" not in name for name in names)


def until(claim: Callable[[], bool]) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + WAIT_S
    while not claim() and time.monotonic() < end:
        time.sleep(0.01)
    return claim()
