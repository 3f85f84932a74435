"""The inside of every deployed function: a column goes to the Pixfield server, its answer comes back; it never raises.

forwarder.py puts this file's text into each function it writes, so rules of their own hold here: standard library only,
syntax of Python 3.8, annotations in quotes, ASCII without per cent signs, no state. What a function means stands in the
server; here is only the way there: chunks, one deadline, one connection a thread, and what stands for an answer.
"""

import http.client
import json
import os
import pathlib
import socket
import threading
import time
import urllib.parse

CHUNK_ROWS = 10000
DEADLINE_S = 25.0  # TabPy gives a script 30 s
GRACE_S = 2.0  # the server answers at its deadline, not before
RESERVE_S = 1.0  # kept for each later chunk, so that a cold one does not starve warm ones
CONNECT_S = 5.0


def forward(function: str, on_failure: str, paths: object, arguments: "dict[str, object]") -> object:
    """The server's answer for `paths`; `on_failure` (null, message or table) names what stands for a missing one."""
    rows = as_list(paths)
    parts: list[object] = []
    problem = ""
    try:
        given = {name: as_list(value) for name, value in arguments.items()}
        problem = length_problem(given, rows)
        bodies = [] if problem else chunked(rows, given)
        end = time.monotonic() + DEADLINE_S
        for i, body in enumerate(bodies):
            left = end - time.monotonic()
            later = len(bodies) - 1 - i
            part, problem = ask(function, body, max(left - RESERVE_S * later, left / (later + 1)))
            if problem:
                break
            parts.append(part)
    except Exception as exc:  # noqa: BLE001 - the edge: TabPy shows any exception as "endpoint did not respond"
        problem = f"Pixfield could not ask its server: {type(exc).__name__}: {exc}"
    return merged(parts, rows, on_failure, problem)


def as_list(value: object) -> object:
    """Lists of every kind as a list; a scalar as it is."""
    if isinstance(value, tuple):
        return list(value)
    to_list = getattr(value, "tolist", None)  # numpy and pandas
    return to_list() if callable(to_list) else value


def length_problem(given: "dict[str, object]", rows: object) -> str:
    """Why the arguments do not fit the column, or nothing."""
    count = len(rows) if isinstance(rows, list) else 1
    for name, value in given.items():
        if isinstance(value, list) and len(value) not in (1, count):
            return f"{name} has {len(value)} values for {count} rows: give one value, or one a row"
    return ""


def chunked(rows: object, given: "dict[str, object]") -> "list[dict[str, object]]":
    """One request body a chunk; lists of column length are cut with it, equal values are sent once."""
    count = len(rows) if isinstance(rows, list) else 1
    given = {name: once(value) for name, value in given.items()}
    given = {name: value for name, value in given.items() if value is not None}
    if not isinstance(rows, list) or count <= CHUNK_ROWS:
        return [dict(given, paths=rows)]
    return [
        dict(
            {name: value[i : i + CHUNK_ROWS] if isinstance(value, list) else value for name, value in given.items()},
            paths=rows[i : i + CHUNK_ROWS],
        )
        for i in range(0, count, CHUNK_ROWS)
    ]


def once(value: object) -> object:
    """A list of one repeated value (Tableau repeats parameters for every row) as that value."""
    if not isinstance(value, list):
        return value
    if not value:
        return None
    same = value.count(value[0]) == len(value) and len(set(map(type, value))) == 1
    return value[0] if same else value


def ask(function: str, body: "dict[str, object]", seconds: float) -> "tuple[object, str]":
    """One chunk's answer, or None and the reason; a busy server is asked again when it says so, within `seconds`."""
    url = os.environ.get("PIXFIELD_URL", "").strip().rstrip("/") or "http://127.0.0.1:9005"
    text = encoded(body)
    end = time.monotonic() + seconds
    while True:
        left = end - time.monotonic()
        if left <= 0:
            return None, late(url)
        try:
            status, retry_after, data = exchange(url, "/query/" + function, text, left)
        except (OSError, ValueError, http.client.HTTPException) as exc:
            return None, unreached(url, exc)
        if status == 200:
            return checked(data, body["paths"], url)
        if status != 503 or not retry_after.isdigit() or time.monotonic() + int(retry_after) + 1 > end:
            return None, reason(status, data, url)
        time.sleep(max(int(retry_after), 0.1))


def encoded(body: "dict[str, object]") -> bytes:
    """The body as JSON; NaN, which JSON does not know, becomes null, and what is no JSON value its text."""
    try:
        text = json.dumps({"data": body}, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps({"data": json.loads(json.dumps(body, default=str), parse_constant=nothing)})
    return text.encode("ascii")


def nothing(_constant: str) -> None:
    """What NaN and the infinities become."""


def exchange(url: str, path: str, body: bytes, seconds: float) -> "tuple[int, str, bytes]":
    """Status, Retry-After and body; a kept connection that went stale is opened anew, once."""
    headers = {"Content-Type": "application/json", "X-Pixfield-Deadline": f"{seconds:.3f}"}
    headers.update(authorization())
    while True:
        connection = connection_to(url)
        is_kept = connection.sock is not None
        try:
            if not is_kept:
                connect(connection)
            connection.sock.settimeout(seconds + GRACE_S)
            connection.request("POST", urllib.parse.urlsplit(url).path + path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers.get("Retry-After", ""), response.read()
        except (OSError, http.client.HTTPException) as exc:
            connection.close()
            if isinstance(exc, socket.timeout) or not is_kept:
                raise


def connect(connection: http.client.HTTPConnection) -> None:
    """A connection that hangs is one that failed: no answer is on its way."""
    try:
        connection.connect()
    except socket.timeout as exc:  # noqa: UP041 - before Python 3.10 it is no TimeoutError
        raise ConnectionError(str(exc)) from exc


def connection_to(url: str) -> http.client.HTTPConnection:
    """This thread's connection to the server, kept on the thread so that it lives as long as the thread does."""
    kept = vars(threading.current_thread())
    if kept.get("pixfield_url") != url:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("PIXFIELD_URL must look like http://127.0.0.1:9005")
        if "pixfield_connection" in kept:
            kept["pixfield_connection"].close()
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        kept["pixfield_connection"] = kind(parts.hostname, parts.port, timeout=CONNECT_S)
        kept["pixfield_url"] = url
    connection: http.client.HTTPConnection = kept["pixfield_connection"]
    return connection


def authorization() -> "dict[str, str]":
    """The Authorization header, from PIXFIELD_TOKEN or the file that PIXFIELD_TOKEN_FILE names."""
    token = os.environ.get("PIXFIELD_TOKEN", "").strip()
    token_file = os.environ.get("PIXFIELD_TOKEN_FILE", "").strip()
    if not token and token_file:
        try:
            token = first_line(pathlib.Path(token_file).read_text(encoding="ascii"))
        except (OSError, UnicodeError) as exc:
            raise ValueError(f"the token file {token_file} cannot be read") from exc
    return {"Authorization": "Bearer " + token} if token else {}


def first_line(text: str) -> str:
    """The first token of a file; while tokens are exchanged it has two."""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def checked(data: bytes, paths: object, url: str) -> "tuple[object, str]":
    """The answer in the server's JSON, its length compared with the request's."""
    try:
        answer = json.loads(data, parse_constant=nothing)["response"]
    except (ValueError, KeyError, TypeError):
        return None, f"What answers at {url} is not a Pixfield server: set PIXFIELD_URL to its address"
    columns = list(answer.values()) if isinstance(answer, dict) else [answer]
    rows = len(paths) if isinstance(paths, list) else -1
    for column in columns if rows >= 0 else []:
        if not isinstance(column, list) or len(column) != rows:
            return None, f"The Pixfield server at {url} did not answer row by row: update it"
    return answer, ""


def reason(status: int, data: bytes, url: str) -> str:
    """The server's own message and hint."""
    try:
        error = json.loads(data)["error"]
        said = [str(error[key]).strip() for key in ("message", "hint") if error.get(key)]
        return (". ".join(part.rstrip(".") for part in said)) or str(error["code"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"The server at {url} answered HTTP {status}: set PIXFIELD_URL to a Pixfield server"


def late(url: str) -> str:
    """The reason when time ran out."""
    return f"The Pixfield server at {url} did not answer in time: ask again in a moment"


def unreached(url: str, exc: Exception) -> str:
    """The reason when no answer came."""
    if isinstance(exc, socket.timeout):
        return late(url)
    if isinstance(exc, ValueError):  # a setting
        return f"Pixfield server not asked at {url}: {exc}"
    return f"Pixfield server not reached at {url}: start it with `python run.py serve`"


def merged(parts: "list[object]", rows: object, on_failure: str, problem: str) -> object:
    """The chunks as one answer; rows without one get what `on_failure` names."""
    if not isinstance(rows, list):
        stand_in = {"null": None, "message": problem, "table": {"status": [problem]}}[on_failure]
        return stand_in if problem else parts[0]
    if on_failure == "table":
        return merged_table(parts, len(rows), problem)
    column: list[object] = []
    for part in parts:
        column.extend(part if isinstance(part, list) else [])
    missing = problem if on_failure == "message" else None
    return column + [missing] * (len(rows) - len(column))


def merged_table(parts: "list[object]", count: int, problem: str) -> "dict[str, list[object]]":
    """Tables one below the other; rows without an answer are null and say why in `status`."""
    table: dict[str, list[object]] = {"status": []} if problem else {}
    for part in parts:
        for name, column in part.items() if isinstance(part, dict) else ():
            table.setdefault(name, []).extend(column)
    for name, column in table.items():
        column.extend([problem if name == "status" else None] * (count - len(column)))
    return table
