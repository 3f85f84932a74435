"""The address of a picture: which picture of which content, and a signature that opens it without a token.

    /v1/images/<id>/thumbnail.png                 asks for the token, as everything else
    /v1/images/<id>.<signature>/thumbnail.png     is opened by its signature, whoever has it

A path enters, a `PictureAddress` or nothing leaves. The signature is an HMAC over the whole path without it, so over
the kind of picture, what the kind has in its name (a layer), and the version of the model (`<id>.v<digest>`) where a
picture depends on one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from dataclasses import dataclass
from typing import Self

from server.key_file import KeyFile

KEY_FILE = "image-url.key"
LOSS = "every picture address that was given out ends"
UNSIGNED = r"[0-9a-f]{32}(?:\.v[0-9a-f]{16})?"
SUBJECT = rf"{UNSIGNED}(?:\.[0-9a-f]{{32}})?"
"""The part between /v1/images/ and the picture: id, version of a model, signature."""

VERSION_LETTERS = 16
"""Of a version's digest: 64 bits tell the versions of one store apart."""

_PREFIX = "/v1/images/"
_ADDRESS = re.compile(rf"{_PREFIX}([0-9a-f]{{32}})(\.v[0-9a-f]{{16}})?(\.[0-9a-f]{{32}})?/([a-z0-9_./-]{{1,200}}\.png)",
                      re.ASCII)
_SIGNATURE_LETTERS = 32  # 128 of the 256 bits: RFC 2104, section 5


@dataclass(frozen=True, slots=True)
class PictureAddress:
    """Which picture: the public `id` of the content, its path below the id, a model's `version` or "", a signature."""

    id: str
    picture: str
    version: str = ""
    signature: str = ""

    @classmethod
    def of(cls, path: str) -> Self | None:
        """The address that a request's path is; None for any other path."""
        match = _ADDRESS.fullmatch(path)
        if match is None:
            return None
        return cls(match[1], match[4], (match[2] or "")[2:], (match[3] or "")[1:])

    @property
    def unsigned(self) -> str:
        """The path without its signature: what is signed."""
        version = f".v{self.version}" if self.version else ""
        return f"{_PREFIX}{self.id}{version}/{self.picture}"


class AddressKey:
    """Signs addresses and judges signatures with the key that holds at the time."""

    def __init__(self, file: KeyFile) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._key, self._started = b"", hmac.new(b"", digestmod=hashlib.sha256)

    def paths(self, ids: list[str], picture: str, version: str = "") -> list[str]:
        """The signed path of `picture` for each id, as the model of `version` sees it where one is named.

        The hot loop of a column of addresses, so it is written flat.
        """
        start, length, behind = self._current().copy, _SIGNATURE_LETTERS, f".v{version}" if version else ""
        paths = []
        for one in ids:
            code = start()
            code.update(f"{_PREFIX}{one}{behind}/{picture}".encode())
            paths.append(f"{_PREFIX}{one}{behind}.{code.hexdigest()[:length]}/{picture}")
        return paths

    def is_signed(self, address: PictureAddress) -> bool:
        """Whether the signature is the right one; takes equally long for each wrong one, and looks at nothing else."""
        code = self._current().copy()
        code.update(address.unsigned.encode())
        return hmac.compare_digest(code.hexdigest()[:_SIGNATURE_LETTERS], address.signature)

    def _current(self) -> hmac.HMAC:
        """An HMAC that has taken in the key and nothing else: copying it is half the price of a new one."""
        key = self._file.current()
        with self._lock:
            if key != self._key:
                self._key, self._started = key, hmac.new(key, digestmod=hashlib.sha256)
            return self._started
