"""Which URLs there are: each scheme with the way its texts and its prefixes are read."""

from __future__ import annotations

import importlib.util

from server.errors import SettingsError
from server.path_error import PathError
from server.storage_url import NAMES, StoragePrefix, StorageUrl, parse_storage_folder, parse_storage_url
from server.url_prefix import PORTS, Url, UrlPrefix, parse_url

AnyUrl = Url | StorageUrl
Prefix = UrlPrefix | StoragePrefix

PACKAGES = {"s3": "s3fs", "az": "adlfs", "gs": "gcsfs"}
"""Storage -> the package of requirements-storage.txt that speaks to it."""


def parse_place(text: str) -> AnyUrl:
    """The canonical form of a URL of any scheme, of a folder or of what is in it; raises PathError."""
    return parse_storage_folder(text) if _scheme_of(text) in NAMES else parse_url(text)


def parse_picture(text: str) -> AnyUrl:
    """The canonical form of a URL of a scheme that can be read; raises PathError."""
    url = parse_storage_url(text) if _scheme_of(text) in NAMES else parse_url(text)
    if url.scheme not in PORTS and url.scheme not in PACKAGES:
        raise PathError(f"{url.scheme} URLs are not read, only {', '.join((*PORTS, *NAMES))}")
    return url


def prefix_of(text: str) -> Prefix:
    """What an administrator allows by `text`; raises SettingsError where it is no prefix or its package is missing."""
    scheme = _scheme_of(text)
    if scheme not in NAMES:
        return UrlPrefix.of(text)
    prefix = StoragePrefix.of(text)
    package = PACKAGES[prefix.scheme]
    if importlib.util.find_spec(package) is None:
        raise SettingsError(f"--allow-url {text}: the package {package} is missing; install it with"
                            " `python run.py storage`.")
    return prefix


def _scheme_of(text: str) -> str:
    return text.strip().partition("://")[0].lower()
