"""A small stand-in of Tableau's REST API over real HTTP: as much as signing in, looking for a project and publishing
need, with the checks a real one makes. Written from the published reference of the API, not seen beside a real server.
"""

from __future__ import annotations

import contextlib
import re
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

API = "3.25"
TOKEN = {"personalAccessTokenName": "pixfield", "personalAccessTokenSecret": "secret-of-these-tests"}
SITE, SITE_ID, SESSION = "marketing", "5c1d", "session-token"
PROJECTS = [("p1", "default", None), ("p2", "写真", None), ("p3", "Archive", None), ("p4", "写真", "p3")]
_PAGE = 2


@dataclass(slots=True)
class Tableau:
    """What the stand-in has seen: data sources by (project, name), and what is uploaded in chunks."""

    url: str = ""
    published: dict[tuple[str, str], bytes] = field(default_factory=dict)
    uploads: dict[str, list[bytes]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    sessions: set[str] = field(default_factory=set)
    refuses_publishing: bool = False


@contextlib.contextmanager
def tableau() -> Iterator[Tableau]:
    """A running stand-in on a free port."""
    seen = Tableau()

    class Handler(_Handler):
        tableau = seen

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    tableau: Tableau
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Nothing on the tests' standard error."""

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def _answer(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        place = parts.path.partition("/api/")[2].partition("/")[2]
        self.tableau.requests.append(f"{method} {place}")
        if place == "serverInfo":
            return self._send(200, '<serverInfo><productVersion build="20251.25.0101.0101">2025.1.0</productVersion>'
                                   f"<restApiVersion>{API}</restApiVersion></serverInfo>")
        if place == "auth/signin":
            return self._sign_in(body.decode())
        if self.headers.get("X-Tableau-Auth") not in self.tableau.sessions:
            return self._fault(401, "401002", "Unauthorized Access", "Invalid authentication credentials.")
        if place == "auth/signout":
            self.tableau.sessions.clear()
            return self._send(204, None)
        return self._of_site(method, place.removeprefix(f"sites/{SITE_ID}/"), parse_qs(parts.query), body)

    def _sign_in(self, text: str) -> None:
        given = dict(re.findall(r'(\w+)="([^"]*)"', text))
        if any(given.get(name) != value for name, value in TOKEN.items()) or given.get("contentUrl") != SITE:
            return self._fault(401, "401001", "Signin Error",
                               "The personal access token you provided is invalid.")
        self.tableau.sessions.add(SESSION)
        return self._send(200, f'<credentials token="{SESSION}"><site id="{SITE_ID}" contentUrl="{SITE}"/>'
                               '<user id="u1"/></credentials>')

    def _of_site(self, method: str, place: str, query: dict[str, list[str]], body: bytes) -> None:
        if (method, place) == ("GET", "projects"):
            return self._projects(int(query.get("pageNumber", ["1"])[0]))
        if (method, place) == ("POST", "fileUploads"):
            self.tableau.uploads["upload-1"] = []
            return self._send(201, '<fileUpload uploadSessionId="upload-1"/>')
        if method == "PUT" and place.startswith("fileUploads/"):
            chunks = self.tableau.uploads[place.partition("/")[2]]
            chunks.append(_parts(self.headers["Content-Type"], body)["tableau_file"])
            size = sum(map(len, chunks)) // (1024 * 1024)
            return self._send(200, f'<fileUpload uploadSessionId="upload-1" fileSize="{size}"/>')
        if (method, place) == ("POST", "datasources"):
            return self._publish(query, _parts(self.headers["Content-Type"], body))
        return self._fault(404, "404000", "Resource Not Found", place)

    def _projects(self, page: int) -> None:
        shown = PROJECTS[(page - 1) * _PAGE:page * _PAGE]
        rows = "".join(f'<project id="{id_}" name={quoteattr(name)}'
                       + (f' parentProjectId="{parent}"/>' if parent else "/>") for id_, name, parent in shown)
        self._send(200, f'<pagination pageNumber="{page}" pageSize="{_PAGE}" totalAvailable="{len(PROJECTS)}"/>'
                        f"<projects>{rows}</projects>")

    def _publish(self, query: dict[str, list[str]], parts: dict[str, bytes]) -> None:
        if self.tableau.refuses_publishing:
            return self._fault(403, "403007", "Forbidden", "You do not have permission to publish here.")
        payload = ET.fromstring(parts["request_payload"])  # noqa: S314 - from our own client
        source, wanted = payload.find("datasource"), payload.find("datasource/project")
        assert source is not None
        assert wanted is not None
        name, project = source.attrib["name"], wanted.attrib["id"]
        key = (project, name)
        if query.get("overwrite") != ["true"] and key in self.tableau.published:
            return self._fault(409, "409004", "Resource Conflict", f"{name} exists already.")
        upload = query.get("uploadSessionId")
        data = b"".join(self.tableau.uploads.pop(upload[0])) if upload else parts["tableau_datasource"]
        self.tableau.published[key] = data
        return self._send(201, f'<datasource id="d1" name={quoteattr(name)} contentUrl="x" type="hyper">'
                               f'<project id="{project}"/><owner id="u1"/><tags/></datasource>')

    def _fault(self, status: int, code: str, summary: str, detail: str) -> None:
        self._send(status, f'<error code="{code}"><summary>{summary}</summary><detail>{detail}</detail></error>')

    def _send(self, status: int, content: str | None) -> None:
        data = b"" if content is None else (
            '<?xml version="1.0" encoding="UTF-8"?><tsResponse xmlns="http://tableau.com/api">'
            f"{content}</tsResponse>").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml;charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """Name -> content of the parts of a multipart/mixed body."""
    boundary = re.findall(r"boundary=\"?([^\";]+)", content_type)[0].encode()
    found = {}
    for part in body.split(b"--" + boundary)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = re.findall(rb'name="?([^";\r]+)', head)[0].decode()
        found[name] = content.removesuffix(b"\r\n")
    return found
