"""URLs of object storage as they are compared: scheme, bucket and whole key segments, never as text.

A text enters, a `StorageUrl` leaves in its one canonical form. After the bucket everything is the key, letter by
letter, as the storage has it: nothing is percent-decoded, `?` and `#` begin nothing, `*` matches nothing, no dots are
followed. So nothing in a text can choose a version, an endpoint, an account or any option. What gateways and file
systems behind a storage may read in another way (dots, empty segments, backslashes, and the same percent-encoded) is
refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Self
from urllib.parse import unquote

from server.errors import SettingsError
from server.path_error import PathError

NAMES = {"s3": "s3", "az": "az", "abfs": "az", "gs": "gs"}
"""Scheme as written -> its one name: Azure's has two spellings."""

_PARTS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://([^/]*)(?:/(.*))?", re.DOTALL)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)  # the longest are Google's
_MAX_KEY_BYTES = 1024  # the same at all three
EMPTY = "the object's name has an empty part: a slash at an end or two together"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


class StorageUrl(NamedTuple):
    """An object in canonical form; the key's segments are neither empty nor dots."""

    scheme: str
    bucket: str
    segments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.key}"

    @property
    def key(self) -> str:
        """The object's whole name in its bucket."""
        return "/".join(self.segments)

    @property
    def place(self) -> str:
        """Where the key begins, as a mapping compares it."""
        return f"{self.scheme}://{self.bucket}"


def parse_storage_url(text: str) -> StorageUrl:
    """The object that `text` names, in canonical form.

    Raises:
        PathError: it names none, or one that two programs may read differently.
    """
    url = parse_storage_folder(text)
    if not url.segments:
        raise PathError("the URL names a bucket, not an object in it")
    if text.endswith("/"):
        raise PathError(EMPTY)
    return url


def parse_storage_folder(text: str) -> StorageUrl:
    """A bucket or a folder of it, with or without a slash at its end; raises PathError as for an object."""
    match = _PARTS.fullmatch(text)
    if match is None:
        raise PathError("this is no URL")
    scheme, bucket, key = match.groups()
    if "@" in bucket:
        raise PathError("the URL has a user name or an account: those come from the server's environment alone")
    if not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise PathError("the URL has no bucket that can be read")
    key = (key or "").removesuffix("/")
    size = len(key.encode(errors="surrogatepass"))
    if size > _MAX_KEY_BYTES:
        raise PathError(f"the object's name has {size:,} bytes; the limit is {_MAX_KEY_BYTES:,}")
    if key or text.endswith("//"):
        _check(key)
    return StorageUrl(NAMES.get(scheme.lower(), scheme.lower()), bucket, tuple(key.split("/")) if key else ())


def _check(key: str) -> None:
    """Raise PathError for a key that is read in different ways, as it is or after any number of decodings."""
    reading, is_decoded = key, False
    while True:
        if "\\" in reading or _CONTROL.search(reading):
            article = "an encoded" if is_decoded else "a"
            raise PathError(f"the object's name has {article} backslash or control character")
        segments = reading.split("/")
        if any(segment in (".", "..") for segment in segments):
            raise PathError(f"the object's name has {'encoded ' if is_decoded else ''}dots between slashes")
        if "" in segments:
            raise PathError(EMPTY)
        decoded = unquote(reading, errors="surrogateescape")
        if decoded == reading:
            return
        if len(segments) != len(decoded.split("/")):
            raise PathError("the object's name has an encoded slash")
        reading, is_decoded = decoded, True


class StoragePrefix(NamedTuple):
    """What `--allow-url` allows of a storage: one bucket, and the keys below whole segments."""

    scheme: str
    bucket: str
    segments: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Self:
        """The prefix that an administrator wrote; raises SettingsError where it cannot be one."""
        try:
            return cls(*parse_storage_folder(text.strip()))
        except PathError as exc:
            raise SettingsError(f"--allow-url {text}: {exc}; expected for example s3://bucket/photos.") from exc

    def allows(self, url: object) -> bool:
        """Whether `url` is the prefix or lies below it."""
        return (isinstance(url, StorageUrl) and url[:2] == self[:2]
                and url.segments[:len(self.segments)] == self.segments)
