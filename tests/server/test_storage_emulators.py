"""Azure and Google storage, as far as their emulators go: Azurite (npm) and gcp-storage-emulator (PyPI).

Neither is installed with the project; where one is not there, its tests say what they need.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NamedTuple
from urllib.parse import quote

import pytest

from server.path_error import PathError
from server.storage_url import StoragePrefix
from server.stores import NO_BUCKET, NOT_FOUND, UNREACHABLE
from server.url_fetch import UrlFetcher

AZURITE = shutil.which("azurite-blob")
NO_AZURE = None if AZURITE and find_spec("adlfs") else (
    "Azure needs: pip install -r requirements-storage.txt, and azurite-blob on the path (npm install azurite)")
NO_GOOGLE = None if find_spec("gcsfs") and find_spec("gcp_storage_emulator") else (
    "Google needs: pip install -r requirements-storage.txt gcp-storage-emulator")
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # Azurite's, public
NAMES = ["a.png", "画像 1.png", "a*.png", "a#b.png", "50%.png", "a%20b.png", "a+b&c=d.png",
         "a?versionid=1&generation=1.png", "deep/er/a.png"]


class Emulated(NamedTuple):
    """An emulator with one bucket: how to fill it, and its end."""

    scheme: str
    put: Callable[[str, bytes], object]
    stop: Callable[[], object]


def free_port() -> int:
    """One that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def azure(environment: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """Azurite, in memory."""
    from azure.storage.blob import BlobServiceClient

    port = free_port()
    text = (f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
            f"BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;")
    environment.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    command = [str(AZURITE), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence",
               "--skipApiVersionCheck", "--disableTelemetry"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            next(line for line in process.stdout if "successfully listen" in line)
            with BlobServiceClient.from_connection_string(text) as client:
                client.create_container("bucket")
                yield Emulated("az", lambda key, body: client.get_blob_client("bucket", key).upload_blob(
                    body, overwrite=True), process.kill)
        finally:
            process.kill()


@contextmanager
def google(environment: pytest.MonkeyPatch) -> Iterator[Emulated]:
    """gcp-storage-emulator, in memory."""
    from gcp_storage_emulator.server import create_server

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment.setenv("STORAGE_EMULATOR_HOST", url)
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket="bucket")
    server.start()

    def put(key: str, body: bytes) -> None:
        target = f"{url}/upload/storage/v1/b/bucket/o?uploadType=media&name={quote(key, safe='')}"
        request = urllib.request.Request(target, body, {"Content-Type": "image/png"})
        urllib.request.urlopen(request, timeout=10).close()

    try:
        yield Emulated("gs", put, server.stop)
    finally:
        server.stop()


def parameter(name: str, reason: str | None) -> object:
    """An emulator, or why it is not there."""
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=reason or ""))


EMULATORS = {"azure": azure, "google": google}


@pytest.fixture(scope="module", params=[parameter("azure", NO_AZURE), parameter("google", NO_GOOGLE)])
def emulated(request: pytest.FixtureRequest) -> Iterator[Emulated]:
    """Each emulator that is there."""
    with pytest.MonkeyPatch.context() as environment, EMULATORS[request.param](environment) as made:
        yield made


@pytest.fixture(scope="module")
def fetcher(emulated: Emulated) -> UrlFetcher:
    """Allows a folder of the bucket, and a bucket that is not there."""
    return UrlFetcher([StoragePrefix.of(f"{emulated.scheme}://{rest}") for rest in ("bucket/photos", "absent")])


def answer(fetcher: UrlFetcher, text: str, max_bytes: int = 1000) -> bytes | str | None:
    """The bytes, or the reason."""
    try:
        return fetcher.fetch(fetcher.admit(text), max_bytes=max_bytes).data
    except PathError as exc:
        return str(exc)


def test_every_name_reaches_its_own_object(emulated: Emulated, fetcher: UrlFetcher) -> None:
    """No pattern matches another, nothing is decoded on the way."""
    for name in NAMES:
        emulated.put(f"photos/{name}", name.encode())
    below = f"{emulated.scheme}://bucket/photos"
    assert [answer(fetcher, f"{below}/{name}") for name in NAMES] == [name.encode() for name in NAMES]
    missing = ["*.png", "a b.png", "?.png", "deep", "A.png"]
    assert {answer(fetcher, f"{below}/{name}") for name in missing} == {NOT_FOUND}


def test_what_is_missing_or_too_large_has_its_reason(emulated: Emulated, fetcher: UrlFetcher) -> None:
    """Google's does not tell a missing bucket from a missing object."""
    emulated.put("photos/large.png", b"x" * 3_000_000)
    missing = NO_BUCKET if emulated.scheme == "az" else NOT_FOUND
    assert [answer(fetcher, f"{emulated.scheme}://{rest}") for rest in ("absent/a.png", "bucket/photos/large.png")] == [
        missing, "too many bytes: 3.0 MB, the limit is 0.0 (--max-image-mb)"]


def test_a_changed_object_is_sent_again(emulated: Emulated, fetcher: UrlFetcher) -> None:
    """An unchanged one is not by Azure; Google's emulator has no generations, so that it always is."""
    emulated.put("photos/changing.png", b"old")
    first = fetcher.fetch(fetcher.admit(f"{emulated.scheme}://bucket/photos/changing.png"), max_bytes=100)
    second = fetcher.fetch(first.found, max_bytes=100)
    emulated.put("photos/changing.png", b"new")
    third = fetcher.fetch(second.found, max_bytes=100)
    unchanged = None if emulated.scheme == "az" else b"old"
    assert (first.data, second.data, third.data) == (b"old", unchanged, b"new")


def test_when_it_is_gone_the_reason_says_so(emulated: Emulated, fetcher: UrlFetcher) -> None:
    """The last test of each emulator."""
    emulated.stop()
    assert answer(fetcher, f"{emulated.scheme}://bucket/photos/a.png") == UNREACHABLE
