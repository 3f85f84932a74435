"""The running server and, through a process of the TabPy side, TabPy: reached, let in, ready, a column timed."""

from __future__ import annotations

import email.utils
import json
import subprocess
import sys
import time
from collections.abc import Iterator

from server.doctor.finding import Case, Finding, ask, fault, unknown, well
from server.doctor.machine import sample

_START = "start it: `python run.py serve`"
_CLOCK_S = 60.0
_ROUNDS = 3


def server(case: Case) -> Iterator[Finding]:
    """The server: reached, its clock, the token, the model ready, and a column asked directly."""
    reply = ask(case.server_url + "/healthz")
    if reply is None:
        yield fault("server", f"nothing answers at {case.server_url}", _START)
        return
    if not isinstance(reply.value, dict) or reply.value.get("status") != "ok":
        yield fault("server", f"what answers at {case.server_url} is no Pixfield server",
                    "correct --port or --server, or stop what uses that port")
        return
    yield well("server", f"answers at {case.server_url}")
    yield from _server_clock(case, reply.date)
    ready = ask(case.server_url + "/readyz", token=case.token)
    if ready is not None and ready.status == 401:
        text = "refuses the token" if case.token else "wants a token and none was given"
        yield fault("token", f"the server {text}", "give the doctor (and TabPy) the server's own --token-file")
        return
    yield well("token", "accepted" if case.token else "none is asked for")
    if ready is None or ready.status != 200:
        reason = (ready.value or {}).get("fault") if ready is not None else None
        remedy = "mend the model folder, or choose another --model, and restart" if reason else "ask again in a minute"
        yield fault("ready", reason or "the model is still being loaded", remedy)
        return
    yield well("ready", "the model is warm and checked")
    yield _column(case)


def _server_clock(case: Case, date: str) -> Iterator[Finding]:
    try:
        skew = email.utils.parsedate_to_datetime(date).timestamp() - case.now()
    except ValueError:
        return
    if abs(skew) > _CLOCK_S:
        yield fault("server clock", f"is {skew:+,.0f} s from this machine's",
                    "let both machines take the time from one source (NTP)")


def _column(case: Case) -> Finding:
    paths = sample(case)
    if not paths:
        return unknown("server column", "no picture to ask for")
    body = {"data": {"paths": paths}}
    fastest, column = float("inf"), None
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        reply = ask(case.server_url + "/query/image_status", token=case.token, body=body, timeout_s=40)
        fastest = min(fastest, time.perf_counter() - started)
        column = reply.value.get("response") if reply is not None and isinstance(reply.value, dict) else None
    if not isinstance(column, list) or len(column) != len(paths):
        return fault("server column", "the server did not answer a column", "look at the server's log")
    failed = [status for status in column if status not in ("ok", "pending")]
    if len(failed) == len(column):
        return fault("server column", f"no picture has an answer: {failed[0]}",
                     "start the server with the --images that the doctor was given, or mend the pictures")
    return well("server column", f"{len(paths)} rows in {1000 * fastest:.0f} ms, {column.count('ok')} answered")


def tabpy(case: Case) -> Iterator[Finding]:
    """TabPy: reached, its version, its password, scripts, the functions current, and a column on both of its ways.

    The TabPy side is asked in a process of its own, as it is started in one.
    """
    if case.tabpy_url is None:
        yield unknown("TabPy", "not asked: --no-tabpy, and no --tabpy URL")
        return
    command = [sys.executable, "-m", "tabpy_functions.check", "--tabpy", case.tabpy_url, "--server", case.server_url,
               "--paths", json.dumps(sample(case))]
    if case.settings.token_file is not None:
        command += ["--token-file", str(case.settings.token_file)]
    if case.tabpy_login is not None:
        command += ["--tabpy-user", case.tabpy_login[0], "--tabpy-password-file", str(case.tabpy_login[1])]
    done = subprocess.run(command, cwd=case.root, capture_output=True, text=True, encoding="utf-8", check=False)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        yield Finding(found["check"], found["ok"], found["text"], found["remedy"])
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason"])[-1]
        yield fault("TabPy", f"the check itself failed: {reason}", "tell us")
