"""S3, Azure and Google storage as `ObjectStore`s: each one request for one object, in its own library's plain words.

fsspec's libraries open the connection: endpoint, account and credentials come from the server's environment, as they
document it, or from fsspec's own configuration; nothing here or in a row's text adds to that. Their way from a path to
an object is not used, because it lists, matches patterns and reads versions out of names.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from server.path_error import PathError
from server.storage_fetch import CUT_OFF, ObjectStore, SilentError, StoredObject, StrangerError

log = logging.getLogger(__name__)

NOT_FOUND = "there is no such object in the bucket (names count letter by letter, a % too)"
NO_BUCKET = "there is no such bucket"
DENIED = "the storage refuses access"
NO_CREDENTIALS = "the storage cannot be asked: the server's environment has no valid credentials for it"
UNREACHABLE = "the storage does not answer"
_REGION = "the bucket is in another region: start the server with AWS_DEFAULT_REGION set to it"
_ARCHIVED = "the object is archived: restore it first"
_CONNECT_S = 4.0
_OPEN_S = 20.0
_CHUNK = 1 << 16
_CODE = re.compile(r"[A-Za-z0-9]{1,60}", re.ASCII)

_S3_CODES = {
    "NoSuchKey": NOT_FOUND, "404": NOT_FOUND, "NoSuchBucket": NO_BUCKET, "AccessDenied": DENIED, "403": DENIED,
    "InvalidAccessKeyId": DENIED, "SignatureDoesNotMatch": DENIED, "AllAccessDisabled": DENIED,
    "PermanentRedirect": _REGION, "AuthorizationHeaderMalformed": _REGION,
    "InvalidObjectState": _ARCHIVED}
_S3_EXPIRED = ("ExpiredToken", "InvalidToken")  # files of credentials may have new ones: they are read anew
_AZURE_CODES = {"BlobNotFound": NOT_FOUND, "ContainerNotFound": NO_BUCKET, "ContainerBeingDeleted": NO_BUCKET,
                "BlobArchived": _ARCHIVED}
_STATUSES = {401: DENIED, 403: DENIED, 404: NOT_FOUND}


def _opened(kind: type, **options: Any) -> Any:
    """An fsspec file system of our own; raises StrangerError where its environment is no good."""
    try:
        return kind(skip_instance_cache=True, use_listings_cache=False, **options)
    except (ValueError, OSError) as exc:
        log.warning("a storage cannot be opened: %s", exc)
        raise StrangerError(NO_CREDENTIALS) from exc


def _staying_session() -> type:
    """aiobotocore's HTTP session, but without following redirects: it would to anywhere, and S3's REST has none."""
    from aiobotocore.httpsession import AIOHTTPSession

    class Requests:
        """The part of aiohttp's session that aiobotocore uses."""

        def __init__(self, session: Any) -> None:
            self._session = session

        def request(self, *arguments: Any, **options: Any) -> Any:
            return self._session.request(*arguments, **(options | {"allow_redirects": False}))

    class StayingSession(AIOHTTPSession):  # type: ignore[misc]  # it publishes no types
        async def _get_session(self, proxy_url: Any) -> Requests:
            return Requests(await super()._get_session(proxy_url))

    return StayingSession


def _answered(what: object) -> PathError:
    return PathError(f"the storage answered {what if _CODE.fullmatch(str(what)) else 'with an error'}")


class S3Store:
    """S3 and what speaks as it does, by s3fs."""

    def __init__(self, timeout_s: float) -> None:
        import aiohttp
        from botocore import exceptions
        from fsspec.config import conf
        from s3fs import S3FileSystem

        self._refused = exceptions.ClientError
        self._silent = (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError, exceptions.SSLError,
                        exceptions.ProxyConnectionError)
        self._nobody = (exceptions.NoCredentialsError, exceptions.PartialCredentialsError,
                        exceptions.CredentialRetrievalError, exceptions.ProfileNotFound, exceptions.TokenRetrievalError)
        self.errors: tuple[type[Exception], ...] = (exceptions.BotoCoreError, exceptions.ClientError,
                                                    aiohttp.ClientError, OSError, ValueError)
        ours = {"connect_timeout": _CONNECT_S, "read_timeout": timeout_s, "max_pool_connections": 64,
                "http_session_cls": _staying_session(), "retries": {"mode": "standard", "total_max_attempts": 2}}
        self._fs = _opened(S3FileSystem, config_kwargs=ours | conf.get("s3", {}).get("config_kwargs", {}))
        self.loop: asyncio.AbstractEventLoop = self._fs.loop
        try:
            self._fs.connect(timeout=_OPEN_S)  # a second of work, and it may ask the instance who we are
        except self.errors as exc:
            log.warning("S3 cannot be opened: %s", exc)
            raise StrangerError(NO_CREDENTIALS) from exc

    @asynccontextmanager
    async def get(self, bucket: str, key: str, version: str) -> AsyncIterator[StoredObject | None]:
        """GetObject, with If-None-Match."""
        await self._fs.set_session()
        client = await self._fs.get_s3(bucket)
        condition = {"IfNoneMatch": version} if version else {}
        try:
            answer = await client.get_object(Bucket=bucket, Key=key, **self._fs.req_kw, **condition)
        except self._refused as exc:
            if not (version and exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 304):
                raise
            answer = None
        if answer is None:
            yield None
            return
        async with answer["Body"] as body:
            if body.raw_stream.history:  # a later aiobotocore that _staying_session() does not hold
                raise PathError("the storage redirects elsewhere, where it is not followed")
            yield StoredObject(answer.get("ContentLength"), answer.get("ETag", ""), answer.get("CacheControl"),
                               answer.get("ContentEncoding"), body.iter_chunks(_CHUNK))

    def reason(self, exc: Exception) -> PathError:
        """By S3's error code."""
        if isinstance(exc, self._silent):
            return SilentError(UNREACHABLE)
        if isinstance(exc, self._nobody):
            return StrangerError(NO_CREDENTIALS)
        if isinstance(exc, self._refused):
            code = str(exc.response.get("Error", {}).get("Code", ""))
            if code in _S3_EXPIRED:
                return StrangerError(NO_CREDENTIALS)
            return PathError(_S3_CODES[code]) if code in _S3_CODES else _answered(code)
        return PathError(CUT_OFF)


class AzureStore:
    """Azure Blob Storage, by adlfs."""

    def __init__(self, timeout_s: float) -> None:
        import aiohttp
        from adlfs import AzureBlobFileSystem
        from azure.core import MatchConditions, exceptions

        self._refused, self._silent = exceptions.HttpResponseError, exceptions.ServiceRequestError
        self._nobody = exceptions.ClientAuthenticationError
        self._changed = MatchConditions.IfModified
        self._bounds = {"retry_total": 0, "permit_redirects": False, "connection_timeout": _CONNECT_S,
                        "read_timeout": timeout_s}
        self.errors: tuple[type[Exception], ...] = (exceptions.AzureError, aiohttp.ClientError, OSError, ValueError)
        self._fs = _opened(AzureBlobFileSystem)
        self.loop: asyncio.AbstractEventLoop = self._fs.loop

    @asynccontextmanager
    async def get(self, bucket: str, key: str, version: str) -> AsyncIterator[StoredObject | None]:
        """Get Blob, with If-None-Match; the library asks again for what is beyond its first 32 MB."""
        client = self._fs.service_client.get_blob_client(bucket, key)
        condition: Mapping[str, Any] = {"etag": version, "match_condition": self._changed} if version else {}
        try:
            answer = await client.download_blob(max_concurrency=1, **self._bounds, **condition)
        except self._refused as exc:
            if not (version and exc.status_code == 304):
                raise
            answer = None
        if answer is None:
            yield None
            return
        settings = answer.properties.content_settings
        yield StoredObject(answer.size, answer.properties.etag or "", settings.cache_control,
                           settings.content_encoding, answer.chunks())

    def reason(self, exc: Exception) -> PathError:
        """By Azure's error code, else by the status."""
        if isinstance(exc, self._silent):
            return SilentError(UNREACHABLE)
        if isinstance(exc, self._refused):
            code = str(getattr(exc, "error_code", None) or exc.status_code)
            known = _AZURE_CODES.get(code) or _STATUSES.get(exc.status_code or 0)
            if known is not None:
                return PathError(known)
            return StrangerError(NO_CREDENTIALS) if isinstance(exc, self._nobody) else _answered(code)
        return PathError(CUT_OFF)


class GoogleStore:
    """Google Cloud Storage, by gcsfs."""

    def __init__(self, timeout_s: float) -> None:
        import aiohttp
        from gcsfs.core import GCSFileSystem
        from google.auth.exceptions import GoogleAuthError

        self._silent, self._nobody = (aiohttp.ClientConnectorError, aiohttp.ClientSSLError), GoogleAuthError
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=_CONNECT_S)
        self.errors: tuple[type[Exception], ...] = (aiohttp.ClientError, GoogleAuthError, OSError, ValueError)
        self._fs = _opened(GCSFileSystem, access="read_only")
        self.loop: asyncio.AbstractEventLoop = self._fs.loop

    @asynccontextmanager
    async def get(self, bucket: str, key: str, version: str) -> AsyncIterator[StoredObject | None]:
        """The object's media, if its generation is another."""
        import yarl

        session = await self._fs._set_session()  # noqa: SLF001 - its public calls read the whole body at once
        headers = await asyncio.to_thread(self._fs._get_headers, {"Accept-Encoding": "identity"})  # noqa: SLF001
        query = self._fs._get_params({"alt": "media", "ifGenerationNotMatch": version or None})  # noqa: SLF001
        path = f"/download/storage/v1/b/{quote(bucket, safe='')}/o/{quote(key, safe='')}"
        url = yarl.URL(self._fs._location + path, encoded=True).with_query(query)  # noqa: SLF001
        async with session.get(url, headers=headers, timeout=self._timeout, allow_redirects=False) as answer:
            if answer.status == 304 and version:
                yield None
                return
            if answer.status != 200:
                reason = _STATUSES.get(answer.status)
                raise PathError(reason) if reason else _answered(answer.status)
            yield StoredObject(answer.content_length, answer.headers.get("X-Goog-Generation", ""),
                               answer.headers.get("Cache-Control"), answer.headers.get("Content-Encoding"),
                               answer.content.iter_chunked(_CHUNK))

    def reason(self, exc: Exception) -> PathError:
        """What went wrong below HTTP."""
        if isinstance(exc, self._silent):
            return SilentError(UNREACHABLE)
        return StrangerError(NO_CREDENTIALS) if isinstance(exc, self._nobody) else PathError(CUT_OFF)


STORES: dict[str, Callable[[float], ObjectStore]] = {"s3": S3Store, "az": AzureStore, "gs": GoogleStore}
"""Scheme -> what opens its storage, given the seconds one object may take."""
