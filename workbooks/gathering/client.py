"""The server's REST interface as a workbook's tables are gathered by it: JSON in, JSON out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbooks.authoring.errors import AuthoringError
from workbooks.site import Answer, AwayError, Site

_TIMEOUT_S = 120.0
_PENDING_TIMEOUT_S = 900.0  # a cold column of photos on a slow machine


@dataclass(frozen=True, slots=True)
class Client:
    """A server's address and the bearer token it wants, if any."""

    url: str
    token: str = ""

    def get(self, *path: str) -> Any:
        """The JSON at a path; raises `AuthoringError` with what the server says."""
        return self._ask(*path)

    def listed(self, name: str) -> list[Any]:
        """The list `name` at `/v1/name`; raises `AuthoringError` also where what answers has none."""
        value = self._ask("v1", name)
        found = value.get(name) if isinstance(value, dict) else None
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise AuthoringError(f"What answers at {self.url} is no Pixfield server: name one with --server.")
        return found

    def models(self) -> list[str]:
        """The names of the models the server can open, the version each name means aside."""
        return [str(one["name"]) for one in self.listed("models")
                if any(state["state"] != "unusable" for state in one["states"].values())]

    def classify(self, paths: Sequence[str], model: str, fields: Sequence[str],
                 arguments: Mapping[str, Any] | None = None) -> dict[str, list[Any]]:
        """The columns of `fields`, and `status`, when no row is pending any more; raises `AuthoringError`."""
        body = {"paths": list(paths), "model": model, "fields": list(fields), "arguments": dict(arguments or {})}
        until = time.monotonic() + _PENDING_TIMEOUT_S
        while True:
            answer = self._ask("v1", "classify", value=body)
            if not answer["pending"]:
                columns: dict[str, list[Any]] = answer["columns"]
                return columns
            if time.monotonic() > until:
                raise AuthoringError(f"{answer['pending']:,} pictures are still pending after"
                                     f" {_PENDING_TIMEOUT_S / 60:.0f} minutes: look at the server's log.")
            time.sleep(0.5)

    def _ask(self, *path: str, value: object = None) -> Any:
        site = Site(self.url, f"Bearer {self.token}" if self.token else "")
        try:
            answer = site.ask(*path, value=value, timeout_s=_TIMEOUT_S)
        except AwayError as exc:
            raise AuthoringError(f"The server at {self.url} does not answer ({exc}): is it running?") from exc
        if answer.status == 401:
            raise AuthoringError(f"The server at {self.url} " + (
                "refuses the token: name the file of another with --token-file." if self.token else
                "wants a token: name the file that has it with --token-file."))
        if answer.status != 200:
            raise AuthoringError(f"The server at {self.url} says {_reason(answer)}")
        return answer.value


def _reason(answer: Answer) -> str:
    error = answer.value.get("error") if isinstance(answer.value, dict) else None
    if not isinstance(error, dict) or not error.get("message"):
        return f"{answer.status}: look at its log."
    return f"{answer.status}: {error['message']}; {error.get('hint') or 'look at its log'}"
