"""A small real HTTP server that speaks the Pixfield server's contract, so that the TabPy side is tested without it."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

TOKEN = "a-token-of-the-tests"  # noqa: S105 - of the tests
COLUMNS = {"image_label": "string", "image_confidence": "number", "image_needs_review": "boolean"}
PARAMETERS = {"image_label_at": ["paths", "rank", "model", "refresh"], "image_note": ["paths", "refresh"]}
FUNCTIONS = [
    {
        "name": name,
        "parameters": PARAMETERS.get(name, ["paths", "model", "refresh"]),
        "required": ["paths", "rank"] if name == "image_label_at" else ["paths"],
        "description": f"The {name[6:]} of each picture.",
        "returns": returns,
        "example": "7",
    }
    for name, returns in (
        COLUMNS
        | {"image_label_at": "string", "image_status": "string", "image_note": "string"}
        | {"image_embedding": "string", "image_table": "object"}
    ).items()
]


def cell(function: str, path: str | None) -> object:
    """What the stand-in answers for one picture."""
    if function == "image_status":
        return "no path" if path is None else "ok"
    if path is None:
        return None
    return {"image_label": f"label of {path}", "image_confidence": 0.5}.get(function, function)


def answer(function: str, paths: Any, data: dict[str, Any]) -> Any:
    """One function's answer, for a column or a scalar."""
    rows = paths if isinstance(paths, list) else [paths]
    if function == "image_table":
        return {"label": [cell("image_label", path) for path in rows], "status": ["ok"] * len(rows)}
    if function == "image_label_at":  # shows which rank reached which row
        ranks = data["rank"] if isinstance(data["rank"], list) else [data["rank"]]
        column: list[object] = [f"{path} {ranks[i % len(ranks)]}" for i, path in enumerate(rows)]
    else:
        column = [cell(function, path) for path in rows]
    return column if isinstance(paths, list) else column[0]


class StandIn(ThreadingHTTPServer):
    """The server; what it was asked stands in `requests`, as (path, headers, body)."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.functions = list(FUNCTIONS)
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Counts the connections."""
        self.connections += 1
        super().process_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StandIn
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"error": {"code": "unauthorized", "message": "No token", "hint": "Give one"}})
        else:
            self._send(200, {"functions": self.server.functions})

    def do_POST(self) -> None:
        data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["data"]
        self.server.requests.append((self.path, dict(self.headers), data))
        model = data.get("model")
        model = model[0] if isinstance(model, list) else model
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._send(401, {"error": {"code": "unauthorized", "message": "No token", "hint": "Give one"}})
        elif model == "missing":
            self._send(404, {"error": {"code": "no_model", "message": "No model missing.", "hint": "Add it"}})
        elif model == "busy":
            self._send(503, {"error": {"code": "busy", "message": "Full", "hint": "Ask later"}}, {"Retry-After": "60"})
        elif model == "busy once" and [body for _, _, body in self.server.requests].count(data) == 1:
            self._send(503, {"error": {"code": "busy", "message": "Full", "hint": "Ask later"}}, {"Retry-After": "0"})
        elif model == "nan":
            self._send(200, {"response": [float("nan")] * len(data["paths"])})
        elif model == "garbage":
            self._send(200, ["what"])
        else:
            time.sleep(float(model.removeprefix("slow ")) if str(model).startswith("slow ") else 0)
            self._send(200, {"response": answer(urlsplit(self.path).path.rpartition("/")[2], data["paths"], data)})

    def _send(self, status: int, value: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        """Says nothing."""


@contextmanager
def running(port: int = 0) -> Iterator[StandIn]:
    """A stand-in in a thread of this process."""
    server = StandIn(port)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="stand-in")
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    with StandIn(int(sys.argv[1])) as alone:
        alone.serve_forever()
