"""The attacks by path and by URL that are known, each refused with a reason before anything is opened or asked."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from web_server import Page, Web

from server.found_url import FoundUrl
from server.path_error import PathError
from server.path_text import PathTexts
from server.paths import PathResolver, Roots
from server.storage_url import StoragePrefix
from server.url_address import checked_addresses
from server.url_fetch import UrlFetcher
from server.url_prefix import UrlPrefix, parse_url

pytest_plugins = ("server_fixtures",)

ROOT = Path(__file__).resolve().parents[2]
POSIX = pytest.mark.skipif(os.name != "posix", reason="paths as Linux and macOS have them")
OUTSIDE = "outside the allowed folders (--images)"
OUTSIDE_URLS = "outside the allowed URLs (--allow-url)"
UNMAPPED = "this is a Windows or network path that no --map names"
DEVICE_PATH = "this is a Windows device path: write a drive or a server"
DEVICE = "this is the name of a Windows device"
STREAM = "the path names a stream inside a file, or a drive where there is none"
NUL = "the path has a character no file name can have"
TWO_WAYS = "the file URL has an encoded slash"

PATH_ATTACKS = {
    "../secret.png": OUTSIDE,
    "../../../../../../etc/passwd": OUTSIDE,
    "sub/../../secret.png": OUTSIDE,
    "./.././secret.png": OUTSIDE,
    "/etc/passwd": OUTSIDE,
    "//etc/passwd": UNMAPPED,
    "///etc/passwd": OUTSIDE,
    "/etc/./passwd": OUTSIDE,
    "{root}/../secret.png": OUTSIDE,
    "{root}2/secret.png": OUTSIDE,
    "{root}/out/secret.png": OUTSIDE,
    "{root}/out.png": OUTSIDE,
    "out.png": OUTSIDE,
    "out/../out/secret.png": OUTSIDE,
    "pipe.png": "not a regular file",
    "sub": "this is a folder, not a picture",
    "~/secret.png": "file not found",
    "$HOME/secret.png": "file not found",
    "%2e%2e/secret.png": "file not found",
    "..%2fsecret.png": "file not found",
    "a.png\0.txt": NUL,
    "/etc/passwd\0.png": NUL,
    "/proc/self/environ": OUTSIDE,
    "/proc/self/fd/0": OUTSIDE,
    "/dev/zero": OUTSIDE,
    "/dev/stdin": OUTSIDE,
    r"..\secret.png": "file not found",  # a name with a backslash may be a file here; with slashes it is outside
    r"sub\..\..\secret.png": "file not found",
    r"\etc\passwd": "file not found",
    r"C:\Windows\win.ini": UNMAPPED,
    r"\\evil\share\a.png": UNMAPPED,
    "//evil/share/a.png": UNMAPPED,
    r"\\nas\photos2\a.png": UNMAPPED,
    r"\\nas.evil.org\photos\a.png": UNMAPPED,
    r"\\nas@evil\photos\a.png": UNMAPPED,
    r"\\?\C:\Windows\win.ini": DEVICE_PATH,
    r"\\.\PhysicalDrive0": DEVICE_PATH,
    r"\\?\UNC\nas\photos\a.png": DEVICE_PATH,
    r"\\nas\photos\..\..\..\secret.png": "file not found",  # nothing is above a share: it is looked for below it
    r"P:\..\..\secret.png": "file not found",
    r"P:\out\secret.png": OUTSIDE,
    r"\\nas\photos\out.png": OUTSIDE,
    r"X:\secret.png": OUTSIDE,  # mapped to a folder that is not allowed
    r"P:\NUL": DEVICE,
    r"P:\con.png": DEVICE,
    r"\\nas\photos\COM1.jpg": DEVICE,
    r"P:\a.png:stream": STREAM,
    r"P:\a.png::$DATA": STREAM,
    "file:///etc/passwd": OUTSIDE,
    "FILE:/etc/passwd": OUTSIDE,
    "file://localhost/etc/passwd": OUTSIDE,
    "file:///%65tc/passwd": OUTSIDE,
    "file:///etc/%70asswd": OUTSIDE,
    "file://{root}/../secret.png": OUTSIDE,
    "file://{root}/%2e%2e/secret.png": OUTSIDE,
    "file:{root}/%2e%2e/secret.png": OUTSIDE,
    "file:{root}/..%2fsecret.png": TWO_WAYS,
    "file:{root}/..%5csecret.png": TWO_WAYS,
    "file:{root}/a.png%00.txt": TWO_WAYS,
    "file:{root}/%252e%252e/secret.png": "file not found",
    "file://evil.org/share/a.png": UNMAPPED,
    "file:////evil.org/share/a.png": UNMAPPED,
    "file://%2e/c/a.png": DEVICE_PATH,
    "file:///proc/self/environ": OUTSIDE,
    "file:file:///etc/passwd": "file not found",
    "https://img.corp/pictures/../../../secret.png": "this is a URL that no --map names",
    "https://img.corp/pictures/out/secret.png": OUTSIDE,
    "https://img.corp/pictures/..%2fsecret.png": "the URL has an encoded slash or control character",
    "https://img.corp.evil.org/pictures/a.png": "this is a URL that no --map names",
    "ftp://img.corp/pictures/a.png": "this is a URL that no --map names",
}

FTP = "ftp URLs are not read, only http, https, s3, az, abfs, gs"
NO_HOST = "the URL has no host that can be read"
DISGUISED = "the URL's host is a number in disguise: write it as 192.0.2.1"
USER = "the URL has a user name: URLs with one are not read"
BACKSLASH = "the URL has a backslash or a control character"
ENCODED = "the URL has an encoded slash or control character"
TWICE = "the URL is percent-encoded twice"

URL_ATTACKS = {  # with --allow-url https://img.corp/photos
    "https://img.corp.evil.org/photos/a.png": OUTSIDE_URLS,
    "https://evilimg.corp/photos/a.png": OUTSIDE_URLS,
    "https://img.corp@evil.org/photos/a.png": USER,
    "https://img.corp:x@evil.org/photos/a.png": USER,
    "https://evil.org#@img.corp/photos/a.png": OUTSIDE_URLS,
    "https://evil.org?@img.corp/photos/a.png": OUTSIDE_URLS,
    "https://user@img.corp/photos/a.png": USER,
    "https://@img.corp/photos/a.png": USER,
    "https://img.corp%40evil.org/photos/a.png": NO_HOST,
    "https://img.corp\\@evil.org/photos/a.png": BACKSLASH,
    "https://img.corp\\.evil.org/photos/a.png": BACKSLASH,
    "https:\\\\img.corp\\photos\\a.png": BACKSLASH,
    "https://img.corp\t.evil.org/photos/a.png": BACKSLASH,
    "https://img.corp/photos/a.png\r\nHost: evil.org": BACKSLASH,
    "https://img.corp /photos/a.png": NO_HOST,
    "https://img.corp:443:80/photos/a.png": NO_HOST,
    "https://img.corp:8443/photos/a.png": OUTSIDE_URLS,
    "https://img.corp:0/photos/a.png": "the URL's port is 0; expected 1 to 65535",
    "https://img.corp:65979/photos/a.png": "the URL's port is 65979; expected 1 to 65535",
    "http://img.corp/photos/a.png": OUTSIDE_URLS,
    "ftp://img.corp/photos/a.png": FTP,
    "gopher://img.corp/photos/a.png": FTP.replace("ftp", "gopher"),
    "javascript://img.corp/photos/%0aalert(1)": ENCODED,
    "https:///img.corp/photos/a.png": NO_HOST,
    "https://img.corp/photos2/a.png": OUTSIDE_URLS,
    "https://img.corp/photo/a.png": OUTSIDE_URLS,
    "https://img.corp/Photos/a.png": OUTSIDE_URLS,
    "https://img.corp/photos/../private/a.png": OUTSIDE_URLS,
    "https://img.corp/photos/%2e%2e/private/a.png": OUTSIDE_URLS,
    "https://img.corp/photos/.%2E/private/a.png": OUTSIDE_URLS,
    "https://img.corp/photos/..%2fprivate/a.png": ENCODED,
    "https://img.corp/photos/..%5cprivate/a.png": ENCODED,
    "https://img.corp/photos/a.png%00.html": ENCODED,
    "https://img.corp/photos/%252e%252e/private/a.png": TWICE,
    "https://img.corp/photos/..%252fprivate": TWICE,
    "https://img.corp/photos/..;/private/a.png": "the URL has dots before a semicolon",
    "https://img.corp/photos/%zz": "the URL has a % that is followed by no code",
    "https://img.corp//photos/a.png": OUTSIDE_URLS,
    "https://img.corp/./photos/../a.png": OUTSIDE_URLS,
    "https://img.corp?/photos/a.png": OUTSIDE_URLS,
    "https://img.corp#/photos/a.png": OUTSIDE_URLS,
    "https://127.0.0.1/photos/a.png": OUTSIDE_URLS,
    "https://localhost/photos/a.png": OUTSIDE_URLS,
    "https://[::1]/photos/a.png": OUTSIDE_URLS,
    "https://[::ffff:127.0.0.1]/photos/a.png": OUTSIDE_URLS,
    "https://169.254.169.254/latest/meta-data/": OUTSIDE_URLS,
    "https://[fd00:ec2::254]/latest/meta-data/": OUTSIDE_URLS,
    "https://2130706433/photos/a.png": DISGUISED,
    "https://0177.0.0.1/photos/a.png": DISGUISED,
    "https://0x7f000001/photos/a.png": DISGUISED,
    "https://0x7f.0.0.1/photos/a.png": DISGUISED,
    "https://127.1/photos/a.png": DISGUISED,
    "https://127.0.0.1.evil.0x1/photos/a.png": DISGUISED,
    "https://１２７.0.0.1/photos/a.png": OUTSIDE_URLS,  # full-width digits
    "https://img。corp.evil.org/photos/a.png": OUTSIDE_URLS,  # an ideographic full stop
    "https://ımg.corp/photos/a.png": OUTSIDE_URLS,  # a dotless i
    "https://img.corp\u200b.evil.org/photos/a.png": OUTSIDE_URLS,  # a zero-width space, which IDNA drops
    "https://[fe80::1%25eth0]/photos/a.png": NO_HOST,
    "https://[::1/photos/a.png": NO_HOST,
    "https://img..corp/photos/a.png": NO_HOST,
    "https://\ud800/photos/a.png": "this is no URL",
    "https://img.corp/photos/" + "a" * 9000: "the URL has 9,024 letters; the limit is 8,000",
}

NO_BUCKET = "the URL has no bucket that can be read"
ACCOUNT = "the URL has a user name or an account: those come from the server's environment alone"
DOTS = "the object's name has dots between slashes"
HIDDEN_DOTS = "the object's name has encoded dots between slashes"
EMPTY = "the object's name has an empty part: a slash at an end or two together"
LETTER = "the object's name has a backslash or control character"
HIDDEN_LETTER = "the object's name has an encoded backslash or control character"
SLASH = "the object's name has an encoded slash"

STORAGE_ATTACKS = {  # with --allow-url s3://bucket/photos, az://bucket/photos and gs://other
    "s3://bucket-evil/photos/a.png": OUTSIDE_URLS,
    "s3://evil-bucket/photos/a.png": OUTSIDE_URLS,
    "s3://bucket.evil/photos/a.png": OUTSIDE_URLS,
    "s3://bucket/photos2/a.png": OUTSIDE_URLS,
    "s3://bucket/photo/a.png": OUTSIDE_URLS,
    "s3://bucket/Photos/a.png": OUTSIDE_URLS,
    "s3://bucket/private/photos/a.png": OUTSIDE_URLS,
    "s3://bucket/a.png": OUTSIDE_URLS,
    "s3://bucket/%70hotos/a.png": OUTSIDE_URLS,  # never decoded
    "s3://bucket/photos*/a.png": OUTSIDE_URLS,
    "s3://bucket/*/a.png": OUTSIDE_URLS,
    "s3://bucket/photo?/a.png": OUTSIDE_URLS,
    "s3://bucket/[p]hotos/a.png": OUTSIDE_URLS,
    "s3://bucket/{photos,private}/a.png": OUTSIDE_URLS,
    "s3://bucket/ｐhotos/a.png": OUTSIDE_URLS,  # a full-width letter
    "s3://bucket/photos\u200b/a.png": OUTSIDE_URLS,  # a zero-width space
    "s3://bucket/photos?versionId=1": OUTSIDE_URLS,
    "s3://bucket/photos#/a.png": OUTSIDE_URLS,
    "s3://bucket?endpoint_url=http://evil.example/photos/a.png": NO_BUCKET,
    "s3://bucket#/photos/a.png": NO_BUCKET,
    "s3://*/photos/a.png": NO_BUCKET,
    "s3://buck?t/photos/a.png": NO_BUCKET,
    "s3://Bucket/photos/a.png": NO_BUCKET,
    "s3://bucket /photos/a.png": NO_BUCKET,
    "s3://bucket:9000/photos/a.png": NO_BUCKET,
    "s3://b..t/photos/a.png": NO_BUCKET,
    "s3:///bucket/photos/a.png": NO_BUCKET,
    "s3://../photos/a.png": NO_BUCKET,
    "s3://%62ucket/photos/a.png": NO_BUCKET,
    "s3://bück/photos/a.png": NO_BUCKET,
    "s3://bucket\n/photos/a.png": NO_BUCKET,
    "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/photos/a.png": NO_BUCKET,
    "s3://key:secret@bucket/photos/a.png": ACCOUNT,
    "s3://profile@bucket/photos/a.png": ACCOUNT,
    "az://bucket@evil.dfs.core.windows.net/photos/a.png": ACCOUNT,
    "abfs://bucket@evil.blob.core.windows.net/photos/a.png": ACCOUNT,
    "abfss://bucket/photos/a.png": FTP.replace("ftp", "abfss"),
    "s3a://bucket/photos/a.png": FTP.replace("ftp", "s3a"),
    "gcs://other/photos/a.png": FTP.replace("ftp", "gcs"),
    "memory://bucket/photos/a.png": FTP.replace("ftp", "memory"),
    "filecache://bucket/photos/a.png": FTP.replace("ftp", "filecache"),
    "az://other/photos/a.png": OUTSIDE_URLS,
    "gs://bucket/photos/a.png": OUTSIDE_URLS,
    "s3://other/a.png": OUTSIDE_URLS,
    "https://bucket.s3.amazonaws.com/photos/a.png": OUTSIDE_URLS,
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/": OUTSIDE_URLS,
    "s3://169.254.169.254/latest/meta-data": OUTSIDE_URLS,
    "s3://bucket/photos/../private/a.png": DOTS,
    "s3://bucket/photos/./a.png": DOTS,
    "s3://bucket/x/../photos/a.png": DOTS,
    "s3://bucket/photos/..": DOTS,
    "s3://bucket/photos/%2e%2e/private/a.png": HIDDEN_DOTS,
    "s3://bucket/photos/.%2E/private/a.png": HIDDEN_DOTS,
    "s3://bucket/photos/%252e%252e/private/a.png": HIDDEN_DOTS,
    "s3://bucket/photos/%25252e./private/a.png": HIDDEN_DOTS,
    "s3://bucket/photos/..%2fprivate/a.png": SLASH,
    "s3://bucket/photos/..%252fprivate/a.png": SLASH,
    "s3://bucket/photos/a.png%00.txt": HIDDEN_LETTER,
    "s3://bucket/photos/..%5cprivate": HIDDEN_LETTER,
    "s3://bucket/photos/a.png%0d%0aHost:evil": HIDDEN_LETTER,
    "s3://bucket/photos/..\\private\\a.png": LETTER,
    "s3://bucket/photos/a.png\r\nHost: evil.example": LETTER,
    "s3://bucket/photos/a.png\0.txt": LETTER,
    "s3://bucket/photos/\ud800.png": LETTER,
    "s3://bucket/photos\\..\\a.png": LETTER,
    "s3://bucket//photos/a.png": EMPTY,
    "s3://bucket/photos//a.png": EMPTY,
    "s3://bucket/photos/": EMPTY,
    "s3://bucket/": "the URL names a bucket, not an object in it",
    "s3://bucket": "the URL names a bucket, not an object in it",
    "s3://bucket/photos/" + "画" * 400: "the object's name has 1,207 bytes; the limit is 1,024",
}

ADDRESSES = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.1.1", "224.0.0.1", "255.255.255.255",  # noqa: S104
    "240.0.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "fe80::1", "fe80::1%eth0", "ff02::1", "fd00:ec2::254", "64:ff9b::7f00:1",
    "64:ff9b:1::a9fe:a9fe", "2002:7f00:1::1", "2001:0:7f00:1::1"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An allowed folder with links that lead out, beside folders that are not allowed."""
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "root2").mkdir()
    for path in (folder / "a.png", folder / "sub" / "a.png", tmp_path / "secret.png", tmp_path / "root2/secret.png"):
        path.write_bytes(b"content")
    if os.name == "posix":
        (folder / "out").symlink_to(tmp_path)
        (folder / "out.png").symlink_to(tmp_path / "secret.png")
        os.mkfifo(folder / "pipe.png")
    return folder


@functools.cache
def corp_photos() -> UrlFetcher:
    """Allows https://img.corp/photos."""
    return UrlFetcher([UrlPrefix.of("https://img.corp/photos")])


@functools.cache
def stored_photos() -> UrlFetcher:
    """Allows a folder of two storages and the whole of a third; what speaks to them is never loaded."""
    return UrlFetcher([StoragePrefix.of(text) for text in ("s3://bucket/photos", "abfs://bucket/photos/", "gs://other")])


def maps_of(root: Path) -> tuple[str, ...]:
    """Mappings into the folder, and one beside it."""
    return (rf"\\nas\photos={root}", f"P:={root}", f"https://img.corp/pictures={root}", f"X:={root.parent}")


def test_there_are_more_than_sixty_attacks_of_each_kind() -> None:
    """The lists may only grow."""
    assert all(len(attacks) > 60 for attacks in (PATH_ATTACKS, URL_ATTACKS, STORAGE_ATTACKS))


@POSIX
@pytest.mark.parametrize(("text", "reason"), PATH_ATTACKS.items(), ids=map(ascii, PATH_ATTACKS))
def test_an_attack_by_path_is_refused(root: Path, text: str, reason: str) -> None:
    """With the reason an analyst who meant no harm can use."""
    resolver = PathResolver(Roots.of([root]), 1000, PathTexts.of(maps_of(root), is_windows=False))
    with pytest.raises(PathError) as caught:
        resolver.resolve(text.replace("{root}", str(root)))
    assert str(caught.value) == reason


@pytest.mark.parametrize(("text", "reason"), URL_ATTACKS.items(), ids=[ascii(text)[:60] for text in URL_ATTACKS])
def test_an_attack_by_url_is_refused(text: str, reason: str) -> None:
    """Before any name is looked up."""
    with pytest.raises(PathError) as caught:
        corp_photos().admit(text)
    assert str(caught.value) == reason


@pytest.mark.parametrize(("text", "reason"), STORAGE_ATTACKS.items(),
                         ids=[ascii(text)[:60] for text in STORAGE_ATTACKS])
def test_an_attack_by_storage_url_is_refused(text: str, reason: str) -> None:
    """Before anything is asked, with what was known of the URL or without."""
    for ask in (stored_photos().admit, lambda text: stored_photos().fetch(FoundUrl(text, '"1"'), max_bytes=1000)):
        with pytest.raises(PathError) as caught:
            ask(text)
        assert str(caught.value) == reason


@pytest.mark.parametrize("name", [
    "a.png", "画像 1.png", "a*.png", "[a].png", "a?versionId=1.png", "a#b.png", "50%.png", "a%20b.png", "a+b&c=d.png",
    "...", "a..b", "simplecache::s3:", "~", "é.png", "e\u0301.png", "a" * 1000])
def test_a_name_in_a_storage_is_taken_letter_by_letter(name: str) -> None:
    """Nothing is decoded, matched, cut off or brought into another form."""
    found = [stored_photos().admit(f"{scheme}://bucket/photos/{name}").url for scheme in ("S3", "abfs")]
    assert found == [f"{scheme}://bucket/photos/{name}" for scheme in ("s3", "az")]


@pytest.mark.parametrize("text", [
    "https://img.corp/photos/a.png", "HTTPS://IMG.CORP/photos/a.png", "https://img.corp./photos/a.png",
    "https://img.corp:443/photos/a.png", "https://img.corp/x/../photos/./a.png", "https://img.corp/%70hotos/a.png"])
def test_what_is_allowed_is_taken_in_one_form(text: str) -> None:
    """Which is the form that is sent."""
    assert UrlFetcher([UrlPrefix.of("https://img.corp/photos/")]).admit(text).url == "https://img.corp/photos/a.png"


def test_without_a_prefix_no_url_is_read() -> None:
    """Off until asked for."""
    with pytest.raises(PathError, match="start the server with --allow-url PREFIX"):
        UrlFetcher().admit("https://img.corp/a.png")


# ---- addresses ---------------------------------------------------------------------------------------------------


def no_connection(address: str, _port: int, _timeout_s: float) -> socket.socket:
    """Fails the test that gets here."""
    raise AssertionError(address)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_allowed_name_does_not_lead_to_this_machine_or_its_neighbourhood(address: str) -> None:
    """Nothing is connected to, whatever the name server says."""
    fetcher = UrlFetcher([UrlPrefix.of("http://img.corp")], lookup=lambda *_: [address], connect_to=no_connection)
    with pytest.raises(PathError, match="it is never asked unless --allow-url names that address"):
        fetcher.fetch(fetcher.admit("http://img.corp/a.png"), max_bytes=1000)


@pytest.mark.parametrize("address", ["10.1.2.3", "192.168.1.5", "172.16.0.1", "fd12:3456::1", "93.184.216.34",
                                     "2606:2800:220:1::1", "100.64.0.1"])
def test_an_allowed_name_may_lead_to_the_intranet(address: str) -> None:
    """That is what the prefix is for."""
    assert checked_addresses("img.corp", [address]) == [address]


@pytest.mark.parametrize(("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1"),
                                               ("169.254.169.254", "169.254.169.254"), ("localhost", "::1")])
def test_an_address_that_is_written_as_such_is_allowed(host: str, address: str) -> None:
    """The administrator's choice."""
    assert checked_addresses(host, [address]) == [address]


def test_localhost_is_no_pass_for_other_addresses() -> None:
    """Whatever a hosts file says."""
    with pytest.raises(PathError, match="a metadata address"):
        checked_addresses("localhost", ["169.254.169.254"])


def test_of_mixed_addresses_only_the_allowed_are_asked() -> None:
    """A name server that mixes them gains nothing."""
    assert checked_addresses("img.corp", ["127.0.0.1", "10.0.0.1", "::1", "10.0.0.1"]) == ["10.0.0.1"]


def test_a_name_that_changes_between_check_and_use_gains_nothing(web: Web) -> None:
    """It is looked up once, and the connection goes to the address that was checked, under the name's own Host."""
    web.pages["/a.png"] = Page(b"picture")
    answers = [["10.0.0.1"], ["127.0.0.1"]]
    connected: list[str] = []

    def connect(address: str, _port: int, timeout_s: float) -> socket.socket:
        connected.append(address)
        return socket.create_connection(("127.0.0.1", web.port), timeout_s)

    fetcher = UrlFetcher([UrlPrefix.of("http://img.corp")], lookup=lambda *_: answers.pop(0), connect_to=connect)
    fetched = fetcher.fetch(fetcher.admit("http://img.corp/a.png"), max_bytes=1000)
    assert (fetched.data, connected, web.asked[0][1]["Host"]) == (b"picture", ["10.0.0.1"], "img.corp")


# ---- servers that mean harm --------------------------------------------------------------------------------------

Fetch = Callable[..., bytes | None]


def only_here(address: str, port: int, timeout_s: float) -> socket.socket:
    """A connection to this machine: a broken check must not make the test ask another one."""
    assert address == "127.0.0.1"
    return socket.create_connection((address, port), timeout_s)


@pytest.fixture
def fetch(web: Web) -> Fetch:
    """Fetches a page of the web server, which is allowed below /photos."""

    def ask(path: str = "/photos/a.png", *, timeout_s: float = 5.0, max_bytes: int = 1000) -> bytes | None:
        fetcher = UrlFetcher([UrlPrefix.of(f"{web.url}/photos")], timeout_s=timeout_s, connect_to=only_here,
                             lookup=lambda host, _port: [host])
        return fetcher.fetch(fetcher.admit(web.url + path), max_bytes=max_bytes).data

    return ask


REDIRECTS = {
    "http://evil.example/photos/a.png": OUTSIDE_URLS,
    "//evil.example/photos/a.png": OUTSIDE_URLS,
    "/private/a.png": OUTSIDE_URLS,
    "../private/a.png": OUTSIDE_URLS,
    "/photos/%2e%2e/private/a.png": OUTSIDE_URLS,
    "http://localhost:{port}/photos/a.png": OUTSIDE_URLS,
    "http://127.0.0.1/photos/a.png": OUTSIDE_URLS,
    "http://[::ffff:127.0.0.1]:{port}/photos/a.png": OUTSIDE_URLS,
    "http://2130706433:{port}/photos/a.png": DISGUISED,
    "http://169.254.169.254/latest/meta-data/": OUTSIDE_URLS,
    "https://127.0.0.1:{port}/photos/a.png": OUTSIDE_URLS,
    "file:///etc/passwd": NO_HOST,
    "s3://bucket/photos/a.png": OUTSIDE_URLS,
    "ftp://127.0.0.1:{port}/photos/a.png": FTP,
    "http://127.0.0.1:{port}@evil.example/photos/a.png": USER,
    "http://127.0.0.1:{port}\\@evil.example/photos/a.png": BACKSLASH,
    "http://[::1/photos/a.png": "Invalid IPv6 URL",
}


@pytest.mark.parametrize(("to", "reason"), REDIRECTS.items())
@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_out_of_the_prefix_is_refused(web: Web, fetch: Fetch, to: str, reason: str, status: int) -> None:
    """Every hop is compared as the first one is; nothing is asked behind it."""
    web.redirect("/photos/a.png", to.replace("{port}", str(web.port)), status)
    with pytest.raises(PathError) as caught:
        fetch()
    assert (str(caught.value), web.paths) == (f"the URL is redirected, and there: {reason}", ["/photos/a.png"])


def test_redirects_inside_the_prefix_are_followed(web: Web, fetch: Fetch) -> None:
    """Absolute and relative, five at most."""
    for number in range(5):
        web.redirect(f"/photos/{number}", f"{number + 1}" if number % 2 else f"{web.url}/photos/{number + 1}")
    web.pages["/photos/5"] = Page(b"picture")
    assert fetch("/photos/0") == b"picture"


@pytest.mark.parametrize("to", ["/photos/a.png", "b.png"])
def test_redirects_in_a_circle_end(web: Web, fetch: Fetch, to: str) -> None:
    """After the sixth request."""
    web.redirect("/photos/a.png", to)
    web.redirect("/photos/b.png", "a.png")
    with pytest.raises(PathError, match="redirected more than 5 times"):
        fetch()
    assert len(web.paths) == 6


PAGES = {
    "too long, announced": ({"Content-Type": "image/png", "Content-Length": "5000"}, b"x" * 5000, "too many bytes"),
    "too long, unannounced": ({"Content-Type": "image/png"}, b"x" * 5000, "too many bytes"),
    "far too long, announced only": ({"Content-Type": "image/png", "Content-Length": "9" * 30}, b"x", "too many bytes"),
    "shorter than announced": ({"Content-Type": "image/png", "Content-Length": "500"}, b"x", "cut off"),
    "a page": ({"Content-Type": "text/html"}, b"<html>", "no image but 'text/html'"),
    "two kinds": ({"Content-Type": "image/png, text/html"}, b"x", "no image but"),
    "a kind that is none": ({"Content-Type": "image/\xe9"}, b"x", "no image but"),
    "compressed": ({"Content-Type": "image/png", "Content-Encoding": "gzip"}, b"x", "compressed"),
    "nothing": ({"Content-Type": "image/png", "Content-Length": "0"}, b"", "empty"),
    "bad chunks": ({"Content-Type": "image/png", "Transfer-Encoding": "chunked"}, b"zz\r\n", "broke off"),
    "a huge chunk": ({"Content-Type": "image/png", "Transfer-Encoding": "chunked"}, b"ffffffffff\r\nxx", "broke off"),
}


@pytest.mark.parametrize(("headers", "body", "reason"), PAGES.values(), ids=PAGES)
def test_an_answer_that_is_no_picture_is_refused(web: Web, fetch: Fetch, headers: dict[str, str], body: bytes,
                                                 reason: str) -> None:
    """By its headers where they tell."""
    web.pages["/photos/a.png"] = Page(body, 200, headers)
    with pytest.raises(PathError, match=reason):
        fetch()


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 401, 403, 404, 407, 500, 503])
def test_other_statuses_are_reasons(web: Web, fetch: Fetch, status: int) -> None:
    """304 too, where nothing was known."""
    web.pages["/photos/a.png"] = Page(b"", status)
    with pytest.raises(PathError, match=f"the URL's server answered {status}"):
        fetch()


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
                                 b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, b"HTTP/1.1 9999 Odd\r\n\r\n", b"\0" * 500])
def test_what_is_no_http_is_refused(web: Web, fetch: Fetch, raw: bytes) -> None:
    """Nothing, another protocol, endless headers."""
    web.pages["/photos/a.png"] = Page(raw=raw)
    with pytest.raises(PathError, match="broke off or does not speak HTTP"):
        fetch()


SLOW = {"body": b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + b"x" * 900,
        "header": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 900, "continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 40}


@pytest.mark.parametrize("raw", SLOW.values(), ids=SLOW)
def test_a_server_that_sends_a_letter_at_a_time_is_left(web: Web, fetch: Fetch, raw: bytes) -> None:
    """The limit holds for all of it, not for each read."""
    web.pages["/photos/a.png"] = Page(raw=raw, pause_s=0.02)
    started = time.monotonic()
    with pytest.raises(PathError, match=r"took longer than 0\.3 s"):
        fetch(timeout_s=0.3)
    assert time.monotonic() - started < 9


def test_the_environment_s_proxy_is_not_asked(web: Web, fetch: Fetch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever way it is spelled."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    web.pages["/photos/a.png"] = Page(b"picture")
    assert fetch() == b"picture"


# ---- whatever the text -------------------------------------------------------------------------------------------

HOSTS = st.sampled_from(["img.corp", "IMG.corp.", "img.corp.evil.org", "evil.org", "img.corp@evil.org", "127.0.0.1",
                         "img.corp\\", "img.corp:443", "img.corp:80", "[::1]", "", "ı", "%69mg.corp"])
SEGMENTS = st.lists(st.sampled_from(["photos", "a.png", "..", ".", "%2e%2e", "%2E.", "", "..;", "%2f", "%252e", "é",
                                     "ph%6ftos", "?", "#", "photos2", " "]), max_size=7).map("/".join)
URLS = st.one_of(st.text(max_size=30), st.text(st.characters(exclude_categories=()), max_size=20).map("https://".__add__),
                 st.builds("https://{}/{}".format, HOSTS, SEGMENTS))


@given(text=URLS)
@example("https://img.corp/photos/%C3%28")
@example("https://img.corp/photos/\ud800")
def test_whatever_the_text_a_url_is_in_the_prefix_or_has_a_reason(text: str) -> None:
    """No other exception; what is admitted begins with the prefix as text, has no dots, and means itself."""
    try:
        url = corp_photos().admit(text).url
    except PathError:
        return
    path = url.partition("?")[0]
    assert path == "https://img.corp/photos" or path.startswith("https://img.corp/photos/")
    assert not {".", "..", "%2e", "%2e%2e"} & set(path.lower().split("/"))
    assert str(parse_url(url)) == url


WATCH = r"""
import itertools, os, socket, sys
from pathlib import Path
from server.path_error import PathError
from server.path_text import PathTexts
from server.paths import PathResolver, Roots, read_file
from server.url_fetch import UrlFetcher
from server.url_prefix import UrlPrefix

root, outside = map(Path, sys.argv[1:])
texts = PathTexts.of([rf"\\nas\photos={root}", f"P:={root}", f"https://img.corp/pictures={root}", f"X:={outside}",
                      rf"\\nas\photos\deep={outside}", f"/Volumes/x={root}"])
starts = ["", f"{root}/", f"{outside}/", "/", "//", "file://", "file:///", f"file:{root}/", f"file://{root}/",
          f"file:{outside}/", "\\\\nas\\photos\\", "//NAS/photos/", "\\\\nas\\photos\\deep\\", "P:\\", "p:/", "X:/",
          "/Volumes/x/", "https://img.corp/pictures/", "https://img.corp/", "file://nas/photos/",
          "file:///P:/", "\\\\?\\", " "]
parts = ["a.png", "sub", "out", "out.png", "loop", "secret.png", "..", "%2e%2e", "pipe.png", "..%2f", "etc",
         "proc", "%61.png"]
opened, connected, read, count = [], [], 0, 0
roots = Roots.of([root])
fetcher = UrlFetcher([UrlPrefix.of("https://img.corp/photos")])

def watch(event, args):
    if event == "open":
        opened.append(args[0])
    elif event in ("socket.connect", "socket.getaddrinfo"):
        connected.append(args)

sys.addaudithook(watch)
for start in starts:
    for length in (1, 2, 3):
        for words in itertools.product(parts, repeat=length):
            for slash in ("/", "\\"):
                text = start + slash.join(words)
                count += 1
                try:
                    read += bool(read_file(PathResolver(roots, 1000, texts).resolve(text), max_bytes=1000))
                except PathError:
                    pass
                try:
                    fetcher.admit(text)
                except PathError:
                    pass
files = {os.path.realpath(path) for path in set(opened) if isinstance(path, str)}
print(count > 100_000, read > 1000, connected, sorted(path for path in files if not path.startswith(str(root) + "/")))
"""


@POSIX
def test_nothing_outside_the_roots_is_ever_opened(root: Path, tmp_path: Path) -> None:
    """Python's own audit of every open, over mappings (one to a forbidden folder), file URLs, encodings, slashes."""
    outside = tmp_path / "root2"
    (root / "loop").symlink_to(root)
    (outside / "a.png").write_bytes(b"content")
    done = subprocess.run([sys.executable, "-c", WATCH, root, outside], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout == "True True [] []\n"
