"""A web server of the tests: real, on this machine, and as badly behaved as a test wants it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(slots=True)
class Page:
    """What a web server answers: status, headers and body, or `raw` instead; pauses between bytes; a closed gate."""

    body: bytes = b"picture"
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "image/png"})
    raw: bytes | None = None
    pause_s: float = 0.0
    gate: threading.Event | None = None


class Web:
    """A real web server on this machine; `pages` by path, `asked` has every request's path and headers."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.port = int(self.http.server_address[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), name="web")
        self._thread.start()

    @property
    def paths(self) -> list[str]:
        """The paths asked for."""
        return [path for path, _ in self.asked]

    def redirect(self, path: str, to: str, status: int = 302) -> None:
        """Let `path` lead to `to`."""
        self.pages[path] = Page(b"", status, {"Location": to})

    def close(self) -> None:
        """Stop it."""
        self.http.shutdown()
        self._thread.join()
        self.http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        web = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked.append((self.path, dict(self.headers)))
                with suppress(OSError):
                    self._send(web.pages.get(self.path, Page(b"", 404)))

            def _send(self, page: Page) -> None:
                if page.gate is not None:
                    page.gate.wait(20)
                etag = page.headers.get("ETag")
                if page.status == 200 and etag and self.headers.get("If-None-Match") == etag:
                    page = Page(b"", 304, page.headers)
                if page.raw is None:
                    self.send_response(page.status)
                    for name, value in page.headers.items():
                        self.send_header(name, value)
                    self.end_headers()
                data = page.body if page.raw is None else page.raw
                for start in range(0, len(data), 1 if page.pause_s else max(1, len(data))):
                    time.sleep(page.pause_s)
                    self.wfile.write(data[start:start + 1] if page.pause_s else data)

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler
