"""Stopping waits for requests under way, and for no other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

from tabpy_functions.under_way import UnderWay

PATIENT_S = 20.0
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\n"


class Slow(RequestHandler):  # type: ignore[misc]  # tornado is not followed
    """Answers when it may."""

    may_answer: asyncio.Event
    has_begun: asyncio.Event

    async def post(self) -> None:
        """Wait, then answer."""
        self.has_begun.set()
        await self.may_answer.wait()
        self.write("done")


class Site(Application):  # type: ignore[misc]  # tornado is not followed
    """Says when the head of a request is here."""

    has_arrived: asyncio.Event

    def find_handler(self, request: Any, **more: Any) -> Any:
        """As ever."""
        self.has_arrived.set()
        return super().find_handler(request, **more)


def run(test: Callable[[UnderWay, int], Awaitable[None]]) -> None:
    """Give `test` what counts the requests of a real server, and its port."""

    async def serve() -> None:
        Slow.may_answer, Slow.has_begun = asyncio.Event(), asyncio.Event()
        Site.has_arrived = asyncio.Event()
        application = Site([("/", Slow)])
        under_way = UnderWay(application)
        sock, port = bind_unused_port()
        server = HTTPServer(application)
        server.add_socket(sock)
        try:
            await test(under_way, port)
        finally:
            server.stop()
            await server.close_all_connections()

    asyncio.run(asyncio.wait_for(serve(), PATIENT_S))


def test_a_request_under_way_is_waited_for() -> None:
    """Until its answer is out."""

    async def test(under_way: UnderWay, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"abc")
        await Slow.has_begun.wait()
        waiting = asyncio.ensure_future(under_way.none_left(PATIENT_S))
        await asyncio.sleep(0)
        was_done = waiting.done()
        Slow.may_answer.set()
        await waiting
        answer = await reader.readuntil(b"done")
        writer.close()
        assert (was_done, answer.startswith(b"HTTP/1.1 200")) == (False, True)

    run(test)


def test_a_caller_that_breaks_off_its_body_is_not_waited_for() -> None:
    """One such caller, long ago, would let every stop take all of --drain-s."""

    async def test(under_way: UnderWay, port: int) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"a")
        await Site.has_arrived.wait()
        writer.close()
        await under_way.none_left(2 * PATIENT_S)  # `run` gives up before
        assert under_way.count == 0

    run(test)
