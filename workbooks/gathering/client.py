"""The server's REST interface as the workbooks use it: JSON in, JSON out, no proxy between.

The standard library's client, because the workbooks know nothing of the server's code.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbooks.authoring.errors import AuthoringError

_TIMEOUT_S = 120.0
_PENDING_TIMEOUT_S = 900.0  # a cold column of photos on a slow machine


@dataclass(frozen=True, slots=True)
class Client:
    """A server's address and the bearer token it wants, if any."""

    url: str
    token: str = ""

    def get(self, path: str) -> Any:
        """The JSON at a path; raises `AuthoringError` with what the server says."""
        return self._ask(urllib.request.Request(self.url + path))  # noqa: S310 - the address the user named

    def models(self) -> list[str]:
        """The names of the models the server can open, the version each name means aside."""
        return [str(one["name"]) for one in self.get("/v1/models")["models"]
                if any(state["state"] != "unusable" for state in one["states"].values())]

    def classify(self, paths: Sequence[str], model: str, fields: Sequence[str],
                 arguments: Mapping[str, Any] | None = None) -> dict[str, list[Any]]:
        """The columns of `fields`, and `status`, when no row is pending any more; raises `AuthoringError`."""
        body = json.dumps({"paths": list(paths), "model": model, "fields": list(fields),
                           "arguments": dict(arguments or {})}).encode()
        until = time.monotonic() + _PENDING_TIMEOUT_S
        while True:
            request = urllib.request.Request(self.url + "/v1/classify", body,  # noqa: S310 - the same
                                             {"Content-Type": "application/json"})
            answer = self._ask(request)
            if not answer["pending"]:
                columns: dict[str, list[Any]] = answer["columns"]
                return columns
            if time.monotonic() > until:
                raise AuthoringError(f"{answer['pending']:,} pictures are still pending after"
                                     f" {_PENDING_TIMEOUT_S / 60:.0f} minutes: look at the server's log.")
            time.sleep(0.5)

    def _ask(self, request: urllib.request.Request) -> Any:
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=_TIMEOUT_S) as response:
                return json.load(response)
        except urllib.error.HTTPError as exc:
            raise AuthoringError(f"The server at {self.url} says {_reason(exc)}") from exc
        except (OSError, ValueError) as exc:
            raise AuthoringError(f"The server at {self.url} does not answer ({exc}): is it running?") from exc


def _reason(exc: urllib.error.HTTPError) -> str:
    try:
        error = json.load(exc)["error"]
        return f"{exc.code}: {error['message']}; {error['hint']}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"{exc.code} {exc.reason}: look at its log."
