"""Prefixes of object storage, and what stops the start."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from server.errors import SettingsError
from server.path_error import PathError
from server.path_text import PathTexts
from server.settings import Settings
from server.storage_url import StoragePrefix, parse_storage_url

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("text", "prefix"), [
    ("s3://bucket", ("s3", "bucket", ())), ("s3://bucket/", ("s3", "bucket", ())),
    ("S3://bucket/photos/", ("s3", "bucket", ("photos",))), ("az://bucket/a/b", ("az", "bucket", ("a", "b"))),
    ("abfs://bucket/a b", ("az", "bucket", ("a b",))), (" gs://my.bucket_1/画像 ", ("gs", "my.bucket_1", ("画像",))),
    ("s3://bucket/a*?[b]#%41", ("s3", "bucket", ("a*?[b]#%41",)))])
def test_a_prefix_is_a_bucket_and_whole_segments(text: str, prefix: tuple[object, ...]) -> None:
    """As written, whatever the slash at its end."""
    assert StoragePrefix.of(text) == prefix


@pytest.mark.parametrize("text", [
    "s3://", "s3:///photos", "s3://bucket//", "s3://bucket/a//b", "s3://bucket/../b", "s3://bucket/a/.", "s3://bucket/%2e%2e",
    "s3://bucket/a\\b", "s3://Bucket", "s3://b", "s3://user@bucket", "s3://bucket:80/a", "s3://*", "s3://bucket?x=y",
    "az://bucket@account.dfs.core.windows.net/a", "s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/a"])
def test_a_prefix_that_is_none_stops_the_start(text: str) -> None:
    """With an example."""
    with pytest.raises(SettingsError, match=r"expected for example s3://bucket/photos"):
        Settings(allow_url=(text,)).with_checked_folders()


@pytest.mark.parametrize(("text", "package"), [("s3://bucket", "s3fs"), ("abfs://bucket", "adlfs"),
                                               ("gs://bucket", "gcsfs")])
def test_a_missing_package_stops_the_start_in_one_sentence(text: str, package: str) -> None:
    """That says what installs it."""
    settings = Settings(allow_url=(text,))
    if importlib.util.find_spec(package) is not None:
        assert settings.with_checked_folders() is settings
        return
    with pytest.raises(SettingsError) as caught:
        settings.with_checked_folders()
    assert str(caught.value) == (f"--allow-url {text}: the package {package} is missing; install it with"
                                 " `python run.py storage`.")


def test_without_such_a_prefix_no_storage_library_is_loaded() -> None:
    """Nor with one, until a picture is asked for."""
    code = ("import sys, server.app, server.service, server.supervisor\n"
            "from server.url_fetch import UrlFetcher\nfrom server.storage_url import StoragePrefix\n"
            "UrlFetcher([StoragePrefix.of('s3://bucket')]).admit('s3://bucket/a.png')\n"
            "print([name for name in ('fsspec', 's3fs', 'adlfs', 'gcsfs', 'aiohttp') if name in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@examples(max_examples=300, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=20) | st.text("./%2eEfF5cC\\*?#p", max_size=20))
def test_what_is_admitted_is_below_the_prefix_in_every_reading(name: str) -> None:
    """A key's canonical text is the text itself, and no decoding of it climbs."""
    try:
        url = parse_storage_url(f"s3://bucket/photos/{name}")
    except PathError:
        return
    assert (str(url), url.segments[0]) == (f"s3://bucket/photos/{name}", "photos")
    assert not {"", ".", ".."} & set(url.segments)
    assert StoragePrefix.of("s3://bucket/photos").allows(url)
    assert not StoragePrefix.of("s3://bucket/photo").allows(url)


def test_a_mapping_may_begin_in_a_storage(tmp_path: Path) -> None:
    """A bucket that is mounted as a folder is read there, under the names it has in the storage."""
    texts = PathTexts.of([f"s3://bucket={tmp_path}", f"s3://other/photos/={tmp_path / 'other'}"], is_windows=False)
    assert [texts.meanings(text) for text in ("s3://bucket/a/50% #1.png", "S3://other/photos/画像.png")] == [
        (str(tmp_path / "a" / "50% #1.png"),), (str(tmp_path / "other" / "画像.png"),)]
    with pytest.raises(PathError, match="dots between slashes"):
        texts.meanings("s3://bucket/../a.png")
