"""Pictures in object storage: the bounds on any storage, and S3 spoken to a real peer (moto) by the real library."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from web_server import Page, Web

from server.classify import Outcome, classify
from server.found_url import FoundUrl
from server.path_error import PathError
from server.served_model import ServedModel
from server.storage_fetch import CUT_OFF, SilentError, StorageFetcher, StoredObject, StrangerError
from server.storage_url import StoragePrefix, parse_storage_url
from server.stores import DENIED, NO_BUCKET, NO_CREDENTIALS, NOT_FOUND, UNREACHABLE
from server.url_fetch import UrlFetcher

pytest_plugins = ("server_fixtures",)

if TYPE_CHECKING:
    from server_fixtures import Clock, Pictures, WatchedEngine

ROOT = Path(__file__).resolve().parents[2]
A = "s3://bucket/photos/a.png"
SLOW = "the URL took longer than"


# ---- bounds that hold for every storage --------------------------------------------------------------------------


@dataclass
class Shelf:
    """A storage whose objects are made by hand; runs in a loop of its own."""

    objects: dict[str, Callable[[], StoredObject]] = field(default_factory=dict)
    why: PathError = field(default_factory=lambda: SilentError(UNREACHABLE))
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    errors: tuple[type[Exception], ...] = (OSError,)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    @asynccontextmanager
    async def get(self, bucket: str, key: str, version: str) -> AsyncIterator[StoredObject | None]:
        """What lies under the key."""
        self.asked.append((bucket, key, version))
        if key not in self.objects:
            raise OSError
        stored = self.objects[key]()
        yield None if version and stored.version == version else stored

    def reason(self, _exc: Exception) -> PathError:
        """Always the same."""
        return self.why


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    """An empty storage."""
    made = Shelf()
    thread = threading.Thread(target=made.loop.run_forever)
    thread.start()
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    thread.join()
    made.loop.close()


async def pieces(*parts: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    """A body that comes in parts."""
    for part in parts:
        await asyncio.sleep(pause_s)
        yield part


def fetcher_of(shelf: Shelf, timeout_s: float = 5.0, now: Callable[[], float] = time.time) -> StorageFetcher:
    """Fetches from the shelf."""
    return StorageFetcher(parse_storage_url, lambda _timeout_s: shelf, timeout_s=timeout_s, now=now)


BODIES: dict[str, tuple[Callable[[], StoredObject], str]] = {
    "too long, announced": (lambda: StoredObject(5000, "", None, None, pieces(b"x")), "too many bytes"),
    "too long, unannounced": (lambda: StoredObject(None, "", None, None, pieces(b"x" * 99, b"xx")), "too many bytes"),
    "longer than announced": (lambda: StoredObject(50, "", None, None, pieces(b"x" * 60, b"x" * 60)), "too many bytes"),
    "shorter than announced": (lambda: StoredObject(50, "", None, None, pieces(b"x")), CUT_OFF),
    "empty": (lambda: StoredObject(0, "", None, None, pieces()), "the object is empty"),
    "compressed": (lambda: StoredObject(1, "", None, "gzip", pieces(b"x")), "stored compressed"),
    "a letter a while": (lambda: StoredObject(99, "", None, None, pieces(*[b"x"] * 99, pause_s=0.05)), SLOW),
}


@pytest.mark.parametrize(("stored", "reason"), BODIES.values(), ids=BODIES)
def test_an_object_that_cannot_be_taken_has_a_reason(shelf: Shelf, stored: Callable[[], StoredObject], reason: str
                                                     ) -> None:
    """Bounded before it is read, and while it is."""
    shelf.objects["photos/a.png"] = stored
    with pytest.raises(PathError) as caught:
        fetcher_of(shelf, timeout_s=0.5).fetch(FoundUrl(A), max_bytes=100)
    assert reason in str(caught.value)


def test_a_storage_that_does_not_answer_is_left_alone_for_a_while(shelf: Shelf) -> None:
    """A column has it in every row."""
    fetcher = fetcher_of(shelf)
    for name in "abc":
        with pytest.raises(PathError, match=UNREACHABLE):
            fetcher.fetch(FoundUrl(f"s3://bucket/{name}"), max_bytes=100)
    assert shelf.asked == [("bucket", "a", "")]


def test_credentials_that_do_not_hold_are_looked_for_again(shelf: Shelf) -> None:
    """After a while, not by every row: until then nothing is opened or asked."""
    opened: list[float] = []

    def open_shelf(timeout_s: float) -> Shelf:
        opened.append(timeout_s)
        return shelf

    shelf.why = StrangerError(NO_CREDENTIALS)
    fetcher = StorageFetcher(parse_storage_url, open_shelf, timeout_s=5.0)
    for is_over in (False, False, True):
        if is_over:
            fetcher._silent = (0.0, "")
            shelf.objects["a"] = lambda: StoredObject(1, "", None, None, pieces(b"x"))
        else:
            with pytest.raises(PathError, match=NO_CREDENTIALS):
                fetcher.fetch(FoundUrl("s3://bucket/a"), max_bytes=100)
    assert (fetcher.fetch(FoundUrl("s3://bucket/a"), max_bytes=100).data, opened) == (b"x", [5.0, 5.0])


def test_an_object_holds_by_its_max_age_and_five_minutes_at_least(shelf: Shelf, clock: Clock) -> None:
    """And its version is sent along when it is asked for again."""
    shelf.objects = {"a": lambda: StoredObject(1, '"1"', "max-age=1000", None, pieces(b"x")),
                     "b": lambda: StoredObject(1, '"2"', "no-store", None, pieces(b"x"))}
    fetcher = fetcher_of(shelf, now=clock)
    first, second = (fetcher.fetch(FoundUrl(f"s3://bucket/{key}"), max_bytes=9) for key in "ab")
    again = fetcher.fetch(second.found, max_bytes=9)
    assert (first.found.expires_at, second.found.expires_at, again) == (2000.0, 1300.0, (None, second.found))
    assert shelf.asked[-1] == ("bucket", "b", '"2"')


# ---- S3: a real peer, the real library ---------------------------------------------------------------------------

S3 = pytest.mark.skipif(
    not all(map(find_spec, ("s3fs", "moto", "flask_cors"))),
    reason="S3 needs: pip install -r requirements-storage.txt 'moto[s3]' flask-cors")

ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1",
               "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
               "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials and region as an administrator sets them; nothing of this machine's own."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture(scope="module")
def s3_peer() -> Iterator[tuple[str, Any]]:
    """A server that speaks S3, and a client that fills it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    client = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key",
                          aws_secret_access_key="secret")  # noqa: S106 - any will do
    client.create_bucket(Bucket="bucket")
    client.create_bucket(Bucket="bucket-evil")
    yield url, client
    client.close()
    server.stop()


@pytest.fixture
def put(s3_peer: tuple[str, Any], environment: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stores an object where the next fetcher asks."""
    environment.setenv("AWS_ENDPOINT_URL_S3", s3_peer[0])

    def store(key: str, body: bytes, **options: str) -> None:
        s3_peer[1].put_object(Bucket="bucket", Key=key, Body=body, **options)

    return store


def s3(*prefixes: str, timeout_s: float = 5.0, now: Callable[[], float] = time.time) -> UrlFetcher:
    """Allows a folder of the bucket."""
    allowed = [StoragePrefix.of(text) for text in prefixes or ("s3://bucket/photos",)]
    return UrlFetcher(allowed, timeout_s=timeout_s, now=now)


def answer(fetcher: UrlFetcher, text: str, max_bytes: int = 1000) -> bytes | str | None:
    """The bytes, or the reason."""
    try:
        return fetcher.fetch(fetcher.admit(text), max_bytes=max_bytes).data
    except PathError as exc:
        return str(exc)


NAMES = ["a.png", "画像 1.png", "a*.png", "[a].png", "a?versionId=1.png", "a#b.png", "50%.png", "a%20b.png",
         "a+b&c=d.png", "~!$'(),;=@:.png", "é.png", "e\u0301.png", "deep/er/a.png", "a..b", "..."]


@S3
def test_every_name_reaches_its_own_object(put: Callable[..., None]) -> None:
    """No pattern matches another, nothing is decoded on the way."""
    for name in NAMES:
        put(f"photos/{name}", name.encode())
    fetcher = s3()
    assert [answer(fetcher, f"s3://bucket/photos/{name}") for name in NAMES] == [name.encode() for name in NAMES]
    missing = ["*.png", "?.png", "[ab].png", "a.pn*", "a b.png", "A.png", "deep", "deep/er"]
    assert {answer(fetcher, f"s3://bucket/photos/{name}") for name in missing} == {NOT_FOUND}


@S3
def test_only_a_changed_object_is_sent_again(put: Callable[..., None], clock: Clock) -> None:
    """By its ETag, when it has expired."""
    put("photos/changing.png", b"old")
    fetcher = s3(now=clock)
    first = fetcher.fetch(fetcher.admit("s3://bucket/photos/changing.png"), max_bytes=100)
    clock.now += 400
    second = fetcher.fetch(first.found, max_bytes=100)
    put("photos/changing.png", b"new")
    third = fetcher.fetch(second.found, max_bytes=100)
    assert (first.data, second.data, second.found.expires_at, third.data) == (b"old", None, clock.now + 300, b"new")
    assert len({first.found.etag, second.found.etag, third.found.etag}) == 2


@S3
def test_what_is_missing_or_too_large_has_its_reason(put: Callable[..., None]) -> None:
    """An object, a bucket, and one that is there but too large."""
    put("photos/large.png", b"x" * 3_000_000)
    fetcher = s3("s3://bucket/photos", "s3://absent")
    assert [answer(fetcher, text) for text in ("s3://bucket/photos/absent.png", "s3://absent/a.png",
                                               "s3://bucket/photos/large.png", "s3://bucket-evil/photos/a.png",
                                               "s3://bucket/photos2/a.png")] == [
        NOT_FOUND, NO_BUCKET, "too many bytes: 3.0 MB, the limit is 0.0 (--max-image-mb)",
        "outside the allowed URLs (--allow-url)", "outside the allowed URLs (--allow-url)"]


@S3
def test_without_credentials_the_reason_says_so(put: Callable[..., None], environment: pytest.MonkeyPatch) -> None:
    """Nobody is asked without."""
    put("photos/a.png", b"x")
    environment.delenv("AWS_ACCESS_KEY_ID")
    environment.delenv("AWS_SECRET_ACCESS_KEY")
    fetcher = s3()
    assert answer(fetcher, A) == NO_CREDENTIALS


def error(code: str) -> bytes:
    """An S3 error."""
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>No.</Message></Error>'.encode()


LENGTH = {"Content-Type": "image/png", "Content-Length": "500", "ETag": '"1"'}
PEERS: dict[str, tuple[Page, str]] = {
    "silent": (Page(b"x", pause_s=5.0), SLOW),
    "a letter a while": (Page(b"x" * 500, headers=LENGTH, pause_s=0.05), SLOW),
    "dies in the middle": (Page(b"x" * 100, headers=LENGTH), CUT_OFF),
    "dies at once": (Page(raw=b""), CUT_OFF),
    "no HTTP": (Page(raw=b"SSH-2.0-OpenSSH_9\r\n"), CUT_OFF),
    "endless": (Page(b"x" * 200_000, headers={"Content-Type": "image/png"}), "too many bytes"),
    "compressed": (Page(b"x", headers={"Content-Encoding": "gzip"}), "stored compressed"),
    "nothing": (Page(b"", headers={"Content-Length": "0"}), "the object is empty"),
    "no access": (Page(error("AccessDenied"), 403), DENIED),
    "wrong key": (Page(error("SignatureDoesNotMatch"), 403), DENIED),
    "no access, no words": (Page(b"", 403), DENIED),
    "archived": (Page(error("InvalidObjectState"), 403), "archived"),
    "another region": (Page(error("AuthorizationHeaderMalformed"), 400), "AWS_DEFAULT_REGION"),
    "unknown code": (Page(error("OddThing"), 400), "the storage answered OddThing"),
    "a code that is none": (Page(error("a&#10;b" * 30), 400), "the storage answered with an error"),
    "304 unasked": (Page(b"", 304), "the storage answered 304"),
    "redirected": (Page(b"", 302, {"Location": "http://127.0.0.1:1/secret"}), "the storage answered 302"),
}


@pytest.fixture(scope="module")
def peer() -> Iterator[tuple[Web, UrlFetcher]]:
    """A web server in S3's place, and one fetcher that asks it: opening one takes a second."""
    server = Web()
    fetcher = s3(timeout_s=1.0)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        patch.setenv("AWS_ENDPOINT_URL_S3", server.url)
        answer(fetcher, A)
    yield server, fetcher
    server.close()


@S3
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_that_does_not_do_its_part_has_a_reason(peer: tuple[Web, UrlFetcher], name: str) -> None:
    """In time, in bounds, in one line; and it is asked for that one object alone."""
    page, reason = PEERS[name]
    web, fetcher = peer
    web.pages = {"/bucket/photos/a.png": page}
    web.asked.clear()
    before = time.monotonic()
    said = str(answer(fetcher, A))
    assert (reason in said, "\n" in said, set(web.paths)) == (True, False, {"/bucket/photos/a.png"}), said
    assert time.monotonic() - before < 4.0


VERBOSE = """
import sys
from server import logs
from server.settings import Settings
from server.storage_url import StoragePrefix
from server.url_fetch import UrlFetcher
logs.set_up(Settings(verbose=True), process="server")
fetcher = UrlFetcher([StoragePrefix.of("s3://bucket")])
for name in ("personnel-4711.png", "missing-4711.png"):
    try:
        print(fetcher.fetch(fetcher.admit(f"s3://bucket/{name}"), max_bytes=100).data)
    except ValueError as exc:
        print(exc)
"""


@S3
def test_no_library_logs_what_was_asked_for(environment: pytest.MonkeyPatch, web: Web) -> None:
    """Not at --verbose either; and the process ends in silence."""
    environment.setenv("AWS_ENDPOINT_URL_S3", web.url)
    web.pages["/bucket/personnel-4711.png"] = Page(b"picture")
    done = subprocess.run([sys.executable, "-c", VERBOSE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout.splitlines(), done.stderr) == (["b'picture'", NOT_FOUND], "")


@S3
def test_nobody_at_the_endpoint_is_noticed_once(environment: pytest.MonkeyPatch) -> None:
    """Then it is left alone for a while."""
    environment.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    fetcher = s3()
    first = answer(fetcher, A)
    before = time.monotonic()
    rest = {answer(fetcher, f"s3://bucket/photos/{number}") for number in range(100)}
    assert (first, rest, time.monotonic() - before < 0.5) == (UNREACHABLE, {UNREACHABLE}, True)


@S3
def test_a_column_of_objects_and_files_is_answered(put: Callable[..., None], serve: Callable[..., ServedModel],
                                                   watched: WatchedEngine, pictures: Pictures) -> None:
    """The same picture by path and from the storage is computed once; each bad row has its reason."""
    pictures.write("0.png", 0)
    for number in range(2):
        put(f"photos/{number}.png", pictures.draw(number))
    put("photos/broken.png", b"no picture")
    model = serve(watched, urls=s3(), allow_url=("s3://bucket/photos",))
    texts: list[str | None] = ["0.png", "s3://bucket/photos/0.png", " s3://bucket/photos/1.png", "s3://bucket/photos/none.png",
                               "s3://bucket/photos/broken.png", "s3://bucket/photos/../a.png"]
    outcomes: list[Outcome] = [classify(texts, model, until=time.monotonic() + 30) for _ in range(2)]
    assert [(outcome.pending, sorted(outcome.errors)) for outcome in outcomes] == [(0, [3, 4, 5])] * 2
    assert watched.inferences == 2
    assert outcomes[0].errors[3] == NOT_FOUND
