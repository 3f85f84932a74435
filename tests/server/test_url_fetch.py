"""Pictures behind URLs: when they are asked for again, and their way through a column."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from web_server import Page, Web

from server.classify import Outcome, classify
from server.errors import SettingsError
from server.found_url import FoundUrl, lifetime_s, validator
from server.path_error import PathError
from server.path_text import PathTexts
from server.paths import Roots
from server.served_model import ServedModel
from server.settings import Settings
from server.sources import Sources
from server.store import Store, StoredSource
from server.url_fetch import UrlFetcher
from server.url_prefix import UrlPrefix

pytest_plugins = ("server_fixtures",)

if TYPE_CHECKING:
    from server_fixtures import Clock, Pictures, WatchedEngine

PNG = {"Content-Type": "image/png"}
Open = Callable[..., Sources]


def fetcher_of(web: Web, clock: Clock | None = None) -> UrlFetcher:
    """Allows everything on the web server."""
    return UrlFetcher([UrlPrefix.of(web.url)], now=clock or time.time)


# ---- prefixes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "img.corp", "/photos", "ftp://img.corp", "https://", "https://a@img.corp",
                                  "https://img.corp/?x", "https://img.corp/#x", "http://2130706433", "https://img.corp\\"])
def test_a_prefix_that_is_no_url_stops_the_start(text: str) -> None:
    """With an example."""
    with pytest.raises(SettingsError, match="expected"):
        Settings(allow_url=(text,)).with_checked_folders()


@pytest.mark.parametrize("text", ["https://img.corp", "http://img.corp:8080/photos/", "http://10.1.2.3/", "https://[::1]/a",
                                  "https://bücher.example/ä"])
def test_a_prefix_that_is_a_url_passes(text: str) -> None:
    """A whole host, a folder, an address."""
    settings = Settings(allow_url=(text,))
    assert settings.with_checked_folders() is settings


# ---- freshness ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "seconds"), [
    (None, 300), ("", 300), ("no-store", 300), ("max-age=0", 300), ("max-age=301", 301), ("max-age=-1", 300),
    ("public, MAX-AGE = 400", 400), ('max-age="900", public', 900), ("max-age=99999999", 86_400), ("max-age=x", 300),
    ("s-maxage=9000", 300), ("x-max-age=9000", 300), ("max-age=9999999999999999", 300)])
def test_an_answer_holds_by_its_max_age_between_five_minutes_and_a_day(header: str | None, seconds: float) -> None:
    """A column is asked again with every click."""
    assert lifetime_s(header) == seconds


@pytest.mark.parametrize(("header", "kept"), [
    ('"abc"', '"abc"'), ('W/"1"', 'W/"1"'), (None, ""), ("", ""), ("a\nb", ""), ("x" * 300, ""), ("\xe9", "")])
def test_a_validator_is_kept_if_it_can_be_sent_back(header: str | None, kept: str) -> None:
    """Short, printable, one line."""
    assert validator(header) == kept


@pytest.mark.parametrize(("now", "is_fresh"), [(1000.0, True), (1299.0, True), (1300.0, False), (-90_000.0, False)])
def test_a_url_is_fresh_until_it_expires(now: float, is_fresh: bool) -> None:
    """And a clock that was set back does not make it so for ever."""
    assert FoundUrl("https://a/", expires_at=1300.0).is_fresh(now) == is_fresh


def test_an_unchanged_picture_is_not_sent_again(web: Web, clock: Clock) -> None:
    """The validators go back; 304 renews the expiry."""
    web.pages["/a.png"] = Page(b"picture", headers=PNG | {"ETag": '"1"', "Last-Modified": "yesterday"})
    fetcher = fetcher_of(web, clock)
    first = fetcher.fetch(fetcher.admit(web.url + "/a.png"), max_bytes=100)
    clock.now += 400
    second = fetcher.fetch(first.found, max_bytes=100)
    sent = [web.asked[1][1].get(name) for name in ("If-None-Match", "If-Modified-Since")]
    assert (first.data, second.data, second.found.expires_at) == (b"picture", None, clock.now + 300)
    assert (first.found.etag, sent) == ('"1"', ['"1"', "yesterday"])


def test_validators_of_a_redirect_s_target_are_not_kept(web: Web) -> None:
    """Tomorrow it may lead to another picture with the same number."""
    web.redirect("/a.png", "/b.png")
    web.pages["/b.png"] = Page(b"picture", headers=PNG | {"ETag": '"1"'})
    fetcher = fetcher_of(web)
    found = fetcher.fetch(fetcher.admit(web.url + "/a.png"), max_bytes=100).found
    assert (found.url, found.etag) == (web.url + "/a.png", "")


def test_a_host_that_does_not_answer_is_left_alone_for_a_while() -> None:
    """A column has it in every row."""
    asked: list[str] = []

    def connect(address: str, _port: int, _timeout_s: float) -> socket.socket:
        asked.append(address)
        raise ConnectionRefusedError

    fetcher = UrlFetcher([UrlPrefix.of("http://img.corp")], connect_to=connect,
                         lookup=lambda *_: ["10.0.0.1", "10.0.0.2"])
    for name in "abc":
        with pytest.raises(PathError, match="the URL's host does not answer"):
            fetcher.fetch(fetcher.admit(f"http://img.corp/{name}.png"), max_bytes=100)
    assert asked == ["10.0.0.1", "10.0.0.2"]


def test_a_name_that_nobody_knows_has_a_reason() -> None:
    """The name server's error is a row's status."""

    def lookup(*_: object) -> list[str]:
        raise socket.gaierror

    fetcher = UrlFetcher([UrlPrefix.of("http://img.corp")], lookup=lookup)
    with pytest.raises(PathError, match="the URL's host is not known"):
        fetcher.fetch(fetcher.admit("http://img.corp/a.png"), max_bytes=100)


# ---- TLS ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
@pytest.mark.parametrize(("name", "is_trusted"), [("img.corp", True), ("evil.org", False), (None, False)])
def test_the_certificate_must_be_the_host_s(tmp_path: Path, name: str | None, is_trusted: bool) -> None:
    """The connection goes to an address; the name is what the certificate is checked for, and what the server hears."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-keyout", key, "-out", certificate, "-subj", "/CN=test", "-addext",
                    f"subjectAltName=DNS:{name or 'img.corp'}", "-days", "2"], check=True, capture_output=True)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate, key)
    heard: list[str | None] = []
    server_side.sni_callback = lambda _socket, server_name, _context: heard.append(server_name)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        try:
            with server_side.wrap_socket(connection, server_side=True) as secure:
                secure.recv(10_000)
                secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\npicture")
        except OSError:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    fetcher = UrlFetcher([UrlPrefix.of("https://img.corp")], lookup=lambda *_: ["10.0.0.1"],
                         tls=lambda: ssl.create_default_context(cafile=certificate if name else None),
                         connect_to=lambda _a, _p, wait_s: socket.create_connection(listener.getsockname(), wait_s))
    try:
        answer = fetcher.fetch(fetcher.admit("https://img.corp/a.png"), max_bytes=100).data
    except PathError as exc:
        answer = str(exc).encode()
    thread.join()
    listener.close()
    assert (heard, answer == b"picture") == (["img.corp"], is_trusted)
    assert is_trusted or b"cannot be trusted" in (answer or b"")


# ---- memory and store --------------------------------------------------------------------------------------------


@pytest.fixture
def reopen(web: Web, store: Store, clock: Clock) -> Open:
    """Makes a memory as after a restart, with the web server allowed; both clocks are the test's."""

    def make(*prefixes: str, on: Store = store) -> Sources:
        urls = UrlFetcher([UrlPrefix.of(text) for text in prefixes or (web.url,)], now=clock)
        return Sources(roots=Roots.of([]), max_bytes=1000, recheck_s=30, limit_bytes=10_000_000, store=on, clock=clock,
                       urls=urls)

    return make


def learn(sources: Sources, text: str) -> str:
    """Do what the decoders do: fetch, and let the content be its own digest."""
    (found,) = sources.resolve([text]).to_read.values()
    assert isinstance(found, FoundUrl)
    data, read = sources.read(text, found, is_known=bool(found.digest))
    digest = found.digest if data is None else data.decode()
    sources.learn(text, read, digest)
    return digest


def test_a_url_is_asked_for_once_until_it_expires(reopen: Open, web: Web, clock: Clock) -> None:
    """Its own expiry counts, looked at once a window; then only a change is sent."""
    web.pages["/a.png"] = Page(b"A", headers=PNG | {"ETag": '"1"', "Cache-Control": "max-age=1000"})
    sources, text = reopen(), web.url + "/a.png"
    learn(sources, text)
    clock.now += 999
    column = sources.resolve([text])
    clock.now += 30
    stale = sources.resolve([text])
    assert (column.digests, column.to_read, stale.digests, list(stale.to_read)) == (["A"], {}, [None], [text])
    assert (learn(sources, text), sources.resolve([text]).digests) == ("A", ["A"])
    web.pages["/a.png"] = Page(b"B", headers=PNG | {"ETag": '"2"'})
    clock.now += 1030
    assert (learn(sources, text), sources.resolve([text]).digests) == ("B", ["B"])


def test_after_a_restart_a_fresh_url_is_not_asked_for(reopen: Open, web: Web, store: Store, tmp_path: Path,
                                                      clock: Clock) -> None:
    """The store keeps expiry and validators."""
    web.pages["/a.png"] = Page(b"A", headers=PNG | {"ETag": '"1"'})
    text = web.url + "/a.png"
    learn(reopen(), text)
    store.flush()
    again = reopen()
    assert (again.fill(), again.resolve([text]).digests, len(web.asked)) == (1, ["A"], 1)
    clock.now += 301
    (found,) = reopen().resolve([text]).to_read.values()
    assert (tmp_path / "answers.sqlite").exists()
    assert isinstance(found, FoundUrl)
    assert (found.etag, found.digest) == ('"1"', "A")


def test_a_prefix_that_is_gone_answers_no_more(reopen: Open, web: Web, store: Store) -> None:
    """Not from the store either."""
    web.pages["/a.png"] = Page(b"A")
    text = web.url + "/a.png"
    learn(reopen(), text)
    store.flush()
    column = reopen("https://img.corp").resolve([text])
    assert (column.digests, column.errors) == ([None], {0: "outside the allowed URLs (--allow-url)"})


def test_a_failure_is_remembered_for_a_window(reopen: Open, web: Web, clock: Clock) -> None:
    """Then it is asked for again."""
    sources, text = reopen(), web.url + "/absent.png"
    sources.fail(text, "the URL's server answered 404 Not Found")
    errors = sources.resolve([text]).errors
    clock.now += 30
    assert (errors, list(sources.resolve([text]).to_read)) == ({0: "the URL's server answered 404 Not Found"}, [text])


def test_stored_urls_come_back_as_they_were(store: Store) -> None:
    """With and without validators, beside files."""
    sources = [StoredSource("a", FoundUrl("https://a/x", '"1"', "yesterday", 1234.5, "d1"), "d1"),
               StoredSource("b", FoundUrl("https://a/y", "", "", 99.0, "d2"), "d2")]
    for source in sources:
        store.put_source(1, source)
    queued = store.sources(1, ["a", "b"])
    store.flush()
    assert sorted(queued) == sorted(store.sources(1, ["a", "b"])) == sources


def test_a_mapped_url_is_a_file(store: Store, clock: Clock, pictures: Pictures) -> None:
    """A mapping comes before the network, and needs no --allow-url."""
    path = pictures.write("a b.png", b"A")
    sources = Sources(roots=Roots.of([pictures.folder]), max_bytes=1000, recheck_s=30, limit_bytes=10_000_000,
                      store=store, clock=clock, texts=PathTexts.of([f"https://img.corp/p={pictures.folder}"]))
    column = sources.resolve([" https://img.corp/p/a%20b.png ", "https://img.corp/q/a.png"])
    assert ([found[0] for found in column.to_read.values()], column.errors) == (
        [str(path)], {1: "URLs are not read: start the server with --allow-url PREFIX"})


# ---- a whole column ----------------------------------------------------------------------------------------------


def ask(model: ServedModel, texts: list[str | None], wait_s: float = 30.0) -> Outcome:
    """Classify a column."""
    return classify(texts, model, until=time.monotonic() + wait_s)


def test_a_column_of_urls_and_files_is_answered(serve: Callable[..., ServedModel], watched: WatchedEngine, web: Web,
                                                pictures: Pictures) -> None:
    """The same picture by path and by URL is computed once; each bad URL has its reason."""
    pictures.write("0.png", 0)
    for number in range(3):
        web.pages[f"/{number}.png"] = Page(pictures.draw(number))
    web.pages["/page.html"] = Page(b"<html>", headers={"Content-Type": "text/html"})
    web.pages["/broken.png"] = Page(b"no picture")
    model = serve(watched, urls=fetcher_of(web), allow_url=(web.url,))
    names = ["0.png", "1.png", "2.png", "1.png", "absent.png", "page.html", "broken.png"]
    texts: list[str | None] = ["0.png", *(f"{web.url}/{name}" for name in names), "http://evil.example/a.png"]
    outcome, again = ask(model, texts), ask(model, texts)
    assert (watched.inferences, outcome.pending, len(set(outcome.digests[:3]))) == (3, 0, 2)
    assert outcome.errors == again.errors
    assert [outcome.errors[row] for row in (5, 6, 8)] == [
        "the URL's server answered 404 Not Found", "the URL's answer is no image but 'text/html'",
        "outside the allowed URLs (--allow-url)"]
    assert (sorted(outcome.errors), len(web.asked)) == ([5, 6, 7, 8], 6)


def test_a_slow_url_keeps_nobody_waiting(serve: Callable[..., ServedModel], watched: WatchedEngine, web: Web,
                                         pictures: Pictures) -> None:
    """Its row is pending, the files beside it and other requests are answered; it comes later."""
    pictures.write("0.png", 0)
    gate = threading.Event()
    web.pages["/slow.png"] = Page(pictures.draw(1), gate=gate)
    model = serve(watched, urls=fetcher_of(web), allow_url=(web.url,), fetch_threads=1)
    texts: list[str | None] = [f"{web.url}/slow.png", "0.png"]
    outcome = ask(model, texts, wait_s=0.5)
    other = ask(model, ["0.png"])
    gate.set()
    later = ask(model, texts)
    assert (outcome.pending, outcome.rows[0], other.pending, later.pending) == (1, -1, 0, 0)


def test_an_unchanged_url_needs_no_inference_and_another_model_asks_in_full(
        serve: Callable[..., ServedModel], watched: WatchedEngine, web: Web, pictures: Pictures, clock: Clock) -> None:
    """304 is enough where the answer is known; where it is not, the bytes are needed."""
    web.pages["/a.png"] = Page(pictures.draw(1), headers=PNG | {"ETag": '"1"'})
    model = serve(watched, urls=fetcher_of(web, clock), allow_url=(web.url,), recheck_s=0.0)
    text = web.url + "/a.png"
    ask(model, [text])
    clock.now += 301
    again = ask(model, [text])
    clock.now += 301
    other = ask(serve(watched, beside=model, allow_url=(web.url,)), [text])
    conditional = ["If-None-Match" in headers for _, headers in web.asked]
    assert (again.pending, other.pending, watched.inferences, conditional) == (0, 0, 2, [False, True, False])
