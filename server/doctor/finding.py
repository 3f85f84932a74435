"""What the doctor looks at and what it finds: a `Case` enters every check, `Finding`s leave it."""

from __future__ import annotations

import http.client
import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: `is_well` is None where the check could not be made; `remedy` is the one thing to do."""

    check: str
    is_well: bool | None
    text: str
    remedy: str = ""

    def line(self) -> str:
        """As it is printed."""
        mark = {True: "ok      ", False: "PROBLEM ", None: "-       "}[self.is_well]
        return f"{mark}{self.check}: {self.text}" + (f" -> {self.remedy}" if self.remedy else "")


def well(check: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(check, True, text)


def fault(check: str, text: str, remedy: str) -> Finding:
    """What is wrong and what to do."""
    return Finding(check, False, text, remedy)


def unknown(check: str, text: str) -> Finding:
    """Not looked at, and why."""
    return Finding(check, None, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is examined; the last five are the machine's own unless a test says otherwise."""

    settings: Settings
    server_url: str
    tabpy_url: str | None
    is_server_here: bool = True
    is_tabpy_ours: bool = True
    tabpy_login: tuple[str, Path] | None = None
    token: str = ""
    environment: Mapping[str, str]
    root: Path = ROOT
    python: tuple[int, int] = sys.version_info[:2]
    now: Callable[[], float] = time.time
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer: its status, its JSON (None where it is none) and its Date header."""

    status: int
    value: Any
    date: str


def ask(url: str, *, token: str = "", body: object = None, timeout_s: float = _TIMEOUT_S) -> Reply | None:
    """The answer to GET, or with a body to POST; None where nobody answers. Proxies are not asked."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers)  # noqa: S310 - addresses the administrator names
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=timeout_s) as answer:
            return Reply(answer.status, _json(answer.read()), answer.headers.get("Date", ""))
    except urllib.error.HTTPError as exc:
        with exc:
            return Reply(exc.code, _json(exc.read()), exc.headers.get("Date", ""))
    except (OSError, http.client.HTTPException, ValueError):
        return None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
