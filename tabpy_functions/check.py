"""What stands between an analyst's field and the server: one TabPy, looked at from outside.

Enter: the addresses of a TabPy and of a Pixfield server. Leave: findings as JSON on standard output, one object each,
{"check", "ok", "text", "remedy"}; `run.py doctor` shows them. `ok` is null for what could not be looked at.
"""

import argparse
import http.client
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tabpy_functions import function_table
from tabpy_functions.endpoints import digest_in, endpoint_of
from tabpy_functions.errors import TabPySideError
from tabpy_functions.http_json import Answer, Site, basic, bearer
from tabpy_functions.tabpy_hooks import TABPY_VERSION

TIMEOUT_S = 10.0
_ROUNDS = 3
_DEPLOY = "run `python run.py deploy`, or restart `python run.py serve` where it started this TabPy"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `remedy` is what to do where it is not well."""

    check: str
    ok: bool | None
    text: str
    remedy: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; always 0: what is wrong is in the findings."""
    options = _parser().parse_args(argv)
    paths = json.loads(options.paths)
    for finding in findings(options, paths):
        print(json.dumps(asdict(finding)), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="check", description=__doc__, allow_abbrev=False)
    parser.add_argument("--tabpy", required=True, metavar="URL")
    parser.add_argument("--server", required=True, metavar="URL")
    parser.add_argument("--token-file", type=Path, metavar="FILE")
    parser.add_argument("--tabpy-user", metavar="NAME")
    parser.add_argument("--tabpy-password-file", type=Path, metavar="FILE")
    parser.add_argument("--paths", default="[]", metavar="JSON", help="a column of pictures to time")
    return parser


def findings(options: argparse.Namespace, paths: list[str]) -> Iterator[Finding]:
    """Every check in order; one that fails leaves those out that need it."""
    try:
        login = basic(options.tabpy_user, options.tabpy_password_file) if options.tabpy_user else ""
        tabpy, server = Site(options.tabpy, login), Site(options.server, bearer(options.token_file))
    except (OSError, ValueError) as exc:
        yield Finding("TabPy", False, f"{exc}.", "give an address and files that can be read")
        return
    info, finding = _reached(tabpy)
    yield finding
    if info is None:
        return
    yield _version(info)
    endpoints, finding = _credentials(tabpy)
    yield finding
    if endpoints is None:
        return
    is_evaluating, finding = _evaluate(tabpy)
    yield finding
    finding = _functions(tabpy, server, endpoints)
    yield finding
    if finding.ok:
        yield from _hops(tabpy, paths, is_evaluating)


def _reached(tabpy: Site) -> tuple[dict[str, Any] | None, Finding]:
    answer = _asked(tabpy, "GET", "/info")
    if answer is None:
        remedy = "start it (`python run.py serve` starts one), or name the right address with --tabpy"
        return None, Finding("TabPy", False, f"nothing answers at {tabpy.url}", remedy)
    if answer.status == 200 and isinstance(answer.value, dict) and answer.value.get("name") == "Pixfield":
        return None, Finding("TabPy", False, f"what answers at {tabpy.url} is the Pixfield server itself",
                             "connect Tableau to it as it is, or name the address of a TabPy with --tabpy")
    if answer.status == 200 and isinstance(answer.value, dict) and "server_version" in answer.value:
        return answer.value, Finding("TabPy", True, f"answers at {tabpy.url}")
    if answer.status == 401:
        return None, _refused(tabpy)
    return None, Finding("TabPy", False, f"what answers at {tabpy.url} is no TabPy (HTTP {answer.status} to /info)",
                         "name the right address with --tabpy, or stop what uses that port")


def _version(info: dict[str, Any]) -> Finding:
    version = str(info["server_version"])
    if _key(version) >= (2,):
        remark = "" if version == TABPY_VERSION else f" (tested with {TABPY_VERSION})"
        return Finding("TabPy version", True, version + remark)
    return Finding("TabPy version", False, f"{version} is too old for the functions",
                   f"install TabPy {TABPY_VERSION} there, or use the one that `python run.py serve` starts")


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


def _credentials(tabpy: Site) -> tuple[dict[str, Any] | None, Finding]:
    answer = _asked(tabpy, "GET", "/endpoints")
    if answer is not None and answer.status == 200 and isinstance(answer.value, dict):
        return answer.value, Finding("TabPy password", True, "accepted" if tabpy.authorization else "none is asked for")
    if answer is not None and answer.status == 401:
        return None, _refused(tabpy)
    if answer is not None and answer.status == 406:
        return None, Finding("TabPy password", False, "is given and none is asked for", "leave out --tabpy-user")
    status = "does not answer" if answer is None else f"answers HTTP {answer.status}"
    return None, Finding("TabPy password", False, f"TabPy {status} to /endpoints", "look at TabPy's log")


def _refused(tabpy: Site) -> Finding:
    text = "is refused" if tabpy.authorization else "is asked for and none was given"
    return Finding("TabPy password", False, text, "give the right --tabpy-user and --tabpy-login-file")


def _evaluate(tabpy: Site) -> tuple[bool, Finding]:
    answer = _asked(tabpy, "POST", "/evaluate", {"script": "return len(_arg1)", "data": {"_arg1": ["a", "b"]}})
    if answer is not None and (answer.status, answer.value) == (200, 2):
        return True, Finding("TabPy scripts", True, "SCRIPT_ fields work")
    if answer is not None and answer.status == 404:
        return False, Finding("TabPy scripts", False, "are switched off: only MODEL_EXTENSION_ fields work",
                              "start TabPy with TABPY_EVALUATE_ENABLE=true if SCRIPT_ fields are wanted")
    reason = "no answer in time" if answer is None else answer.reason() or f"HTTP {answer.status}"
    return False, Finding("TabPy scripts", False, f"fail: {reason}", "look at TabPy's log, then restart it")


def _functions(tabpy: Site, server: Site, there: dict[str, Any]) -> Finding:
    """Deployed, current by digest, and loaded."""
    try:
        wanted = {function.name: endpoint_of(function).digest for function in function_table.fetch(server)}
    except TabPySideError:
        return Finding("functions", None, "not compared: the server's table cannot be had")
    missing = sorted(name for name in wanted if name not in there)
    foreign = sorted(name for name in wanted if name in there and not digest_in(there[name]))
    old = sorted(name for name in wanted if name in there and digest_in(there[name]) not in ("", wanted[name]))
    of = f"of {len(wanted)}"
    if missing:
        return Finding("functions", False, f"{len(missing)} {of} are not deployed: {_few(missing)}", _DEPLOY)
    if foreign:
        return Finding("functions", False, f"somebody else's are under the names {_few(foreign)}",
                       "remove them there, or run `python run.py deploy --replace`")
    if old:
        return Finding("functions", False, f"{len(old)} {of} are not the server's own: {_few(old)}", _DEPLOY)
    loaded = _asked(tabpy, "GET", "/status")
    states = loaded.value if loaded is not None and isinstance(loaded.value, dict) else {}
    broken = sorted(name for name in wanted if states.get(name, {}).get("status") != "LoadSuccessful")
    if broken:
        return Finding("functions", False, f"TabPy could not load {_few(broken)}", _DEPLOY)
    return Finding("functions", True, f"{len(wanted)} deployed and current")


def _hops(tabpy: Site, paths: list[str], is_evaluating: bool) -> Iterator[Finding]:
    """One column by MODEL_EXTENSION_ and by SCRIPT_, the fastest of a few."""
    if not paths:
        return
    column = {"data": {"paths": paths}}
    yield _timed("TabPy /query", tabpy, "/query/image_status", column, len(paths))
    if is_evaluating:
        script = "return tabpy.query('image_status', _arg1)['response']"
        yield _timed("TabPy /evaluate", tabpy, "/evaluate", {"script": script, "data": {"_arg1": paths}}, len(paths))


def _timed(check: str, tabpy: Site, path: str, value: object, rows: int) -> Finding:
    fastest = float("inf")
    answer = None
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        answer = _asked(tabpy, "POST", path, value, timeout_s=40)
        fastest = min(fastest, time.perf_counter() - started)
    column = answer.value.get("response") if answer is not None and isinstance(answer.value, dict) else None
    column = answer.value if answer is not None and isinstance(answer.value, list) else column
    if not isinstance(column, list) or len(column) != rows:
        reason = "no answer" if answer is None else answer.reason() or f"HTTP {answer.status}"
        return Finding(check, False, f"{rows} rows fail: {reason}", "look at TabPy's log, then restart it")
    wrong = next((status for status in column if status not in ("ok", "pending")), None)
    if wrong is not None and column.count(wrong) == rows:
        return Finding(check, False, f"no row has an answer: {wrong}",
                       "set PIXFIELD_URL (and PIXFIELD_TOKEN_FILE) where that TabPy runs and restart it")
    return Finding(check, True, f"{rows} rows in {1000 * fastest:.0f} ms, {column.count('ok')} answered")


def _asked(tabpy: Site, method: str, path: str, value: object = None, *, timeout_s: float = TIMEOUT_S) -> Answer | None:
    try:
        return tabpy.ask(method, path, value, timeout_s=timeout_s)
    except (OSError, http.client.HTTPException):
        return None


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


if __name__ == "__main__":
    sys.exit(main())
