"""waitress, bounded: what a connection may send, how long it may take, and how many may wait.

A request whose headers `Doors` refuses, or whose page takes no body, has its body thrown away as it comes, so it costs
no memory; one that is too large, malformed or too slow is answered or dropped before its body is read. Every refusal
has the server's error form.
"""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import MultiSocketServer, TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher
from waitress.utilities import BadRequest

from server.doors import Doors
from server.kept_poll import AskingPoll, KeptPoll, poll_of
from server.tasks import JsonErrorTask, OneSendTask, Shortcut

MAX_HEADERS = 100
MAX_HEADER_BYTES = 65_536
RECEIVE_S = 20.0
"""How long headers may take, and a body beyond what the slowest rate explains."""
SLOWEST_BYTES_A_S = 50_000
IDLE_S = 120
CONNECTIONS = 700
"""More than there are threads (`app`), and a third of the descriptors that a server allows itself."""
_LOOK_EVERY_S = 2
_FIRST_BYTES = 16_384  # read at first of a request; most are smaller, and a column's body is then read in large pieces
_THIN_BYTES = 262_144
_CONTROL_LINE_BYTES = 1024  # waitress has no bound of its own, and looks through all of it at each read

_SENT_AS = {"CONTENT_TYPE", "CONTENT_LENGTH"}  # the two that WSGI names without HTTP_


class BoundedParser(HTTPRequestParser):  # type: ignore[misc]  # waitress publishes no types
    """One request as it comes in; `doors` is set by `bound`."""

    doors: ClassVar[Doors]
    body_rcv: Any
    error: Any
    chunked: bool
    body_bytes_received: int

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self.began_at = time.monotonic()

    def received(self, data: bytes) -> int:
        """Bytes consumed; a request that is in error asks for no body."""
        consumed: int = super().received(data)
        if self.error is None and self.chunked and self._has_odd_chunks():
            self.error, self.completed = BadRequest("chunks without end, or too small"), True
        if self.error is not None:
            self.expect_continue = False
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """As waitress; too many headers are an error, and a body that is of no use is not kept."""
        if header_plus.count(b"\r\n") > MAX_HEADERS + 1:
            raise ParsingError(f"more than {MAX_HEADERS} headers")
        try:
            super().parse_header(header_plus)
        except ValueError as exc:  # an address such as http://[, a length of thousands of digits
            raise ParsingError("the request line or a header has no meaning") from exc
        if self.body_rcv is not None and not self._keeps_body():
            self._throw_body_away()

    def _has_odd_chunks(self) -> bool:
        """Whether a chunk's size does not end, or most of the body is sizes: both cost more to read than to send."""
        if self.body_rcv is None:
            return False
        is_thin = self.body_bytes_received > _THIN_BYTES and 2 * len(self.body_rcv) < self.body_bytes_received
        return is_thin or len(self.body_rcv.control_line) > _CONTROL_LINE_BYTES

    @property
    def is_late(self) -> bool:
        """Whether it comes in so slowly that it only holds a connection."""
        return time.monotonic() - self.began_at > RECEIVE_S + self.body_bytes_received / SLOWEST_BYTES_A_S

    def _keeps_body(self) -> bool:
        named = {key if key in _SENT_AS else f"HTTP_{key}": value for key, value in self.headers.items()}
        return self.doors.keeps_body(self.path, named | {"SERVER_PROTOCOL": f"HTTP/{self.version}"})

    def _throw_body_away(self) -> None:
        if self.expect_continue or self.chunked:  # it need not send at all; chunks cost more to read than to send
            self.expect_continue, self.body_rcv, self.content_length = False, None, 0
            self.headers["CONNECTION"] = "close"
        else:
            self.body_rcv.buf = _Nothing()


class _Nothing:
    """A buffer that keeps nothing."""

    def append(self, data: bytes) -> None:
        """Forget `data`."""

    def getfile(self) -> io.BytesIO:
        """Empty."""
        return io.BytesIO()

    def close(self) -> None:
        """Nothing to close."""

    def __len__(self) -> int:
        return 0


class BoundedChannel(HTTPChannel):  # type: ignore[misc]  # waitress publishes no types
    """A connection whose answer is sent by one thread at a time."""

    task_class = OneSendTask
    error_task_class = JsonErrorTask
    total_outbufs_len: int
    _is_writing = False

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.server.poll.welcome(self)

    def del_channel(self, map: dict[int, Any] | None = None) -> None:  # noqa: A002 - waitress names it
        """As waitress, before the connection is closed."""
        self.server.poll.forget(self._fileno)
        super().del_channel(map)

    def recv(self, buffer_size: int) -> bytes:
        """As waitress; little memory for a request of which nothing is there yet, for most are small."""
        return bytes(super().recv(buffer_size if self.request is not None else _FIRST_BYTES))

    def service(self) -> None:
        """As waitress: answer the next request; what wakes the listening thread up meanwhile means this connection."""
        self.server.at_work.channel = self
        super().service()

    def write_soon(self, data: bytes) -> int:
        """As waitress; called by the thread that has the answer."""
        self._is_writing = True
        try:
            return int(super().write_soon(data))
        finally:
            self._is_writing = False
            if self.total_outbufs_len:
                self.server.poll.look(self)

    def writable(self) -> bool:
        """Whether the listening thread has something to send: not while the answering thread is about to.

        waitress says yes then, too: its loop goes round, finds the buffer locked, and goes round again, and as it
        hardly lets go of the interpreter lock it keeps the answering thread from finishing: ten rounds a request were
        counted. Beyond the high-water mark the answering thread waits for this one.
        """
        if self._is_writing and self.total_outbufs_len <= self.adj.outbuf_high_watermark:
            return False
        return bool(super().writable())


class BoundedServer(TcpWSGIServer):  # type: ignore[misc]  # waitress publishes no types
    """A listening socket that drops the slow, and the idle when all places are taken; `poll` is set by `bound`."""

    poll: ClassVar[KeptPoll | AskingPoll]
    at_work: ClassVar[threading.local]

    def run(self) -> None:
        """Serve until `close`."""
        self.poll.run(self.adj.asyncore_loop_timeout)

    def pull_trigger(self) -> None:
        """Called by the thread that serves a connection, when the listening thread has something to do with it."""
        if self.poll.is_kept:
            self.poll.look(self.at_work.channel)
        else:
            super().pull_trigger()

    def maintenance(self, now: float) -> None:
        """Every few seconds: drop what has been idle, or coming in, for too long."""
        super().maintenance(now)
        for channel in list(self.active_channels.values()):
            request = channel.request
            if request is not None and not channel.requests and request.is_late:
                channel.will_close = True
            if channel.will_close:
                self.poll.look(channel)

    def readable(self) -> bool:
        """Whether a connection may be accepted; makes places where there are none."""
        if len(self._map) >= self.adj.connection_limit:
            self._make_places()
        return bool(super().readable())

    def _make_places(self) -> None:
        """Close the tenth that has sent nothing for longest, among those that wait for no answer."""
        waiting = [channel for channel in list(self.active_channels.values())
                   if not (channel.requests or channel.total_outbufs_len)]
        waiting.sort(key=_waited_s, reverse=True)
        for channel in waiting[:max(1, self.adj.connection_limit // 10)]:
            channel.will_close = True
            self.poll.look(channel)


class _Together(MultiSocketServer):  # type: ignore[misc]  # waitress publishes no types
    """Several listening sockets, localhost's two for one; they share `poll`."""

    poll: ClassVar[KeptPoll | AskingPoll]

    def run(self) -> None:
        """Serve until `close`."""
        self.poll.run(self.adj.asyncore_loop_timeout)


def _waited_s(channel: Any) -> float:
    """How long its request has been coming in, or how long it has sent nothing."""
    request = channel.request
    return float(time.time() - channel.last_activity if request is None else time.monotonic() - request.began_at)


def bound(app: Callable[..., Any], doors: Doors, *, count: Callable[[int], None], shortcut: Shortcut,
          sockets: dict[int, Any] | None = None, **options: Any) -> Any:
    """A bound server for a WSGI application; `run` serves until `close`, and keeps its sockets in `sockets`.

    `count` is told the status of each request that is refused before `app` sees it; `shortcut` is asked before `app`
    about each whose headers `doors` has let in with a body.
    """
    parser = type("Parser", (BoundedParser,), {"doors": doors})
    refusing = type("Refusing", (JsonErrorTask,), {"count": staticmethod(count)})
    task = type("AnswerTask", (OneSendTask,), {"shortcut": staticmethod(shortcut)})
    channel = type("Channel", (BoundedChannel,), {"parser_class": parser, "task_class": task,
                                                  "error_task_class": refusing})
    sockets = {} if sockets is None else sockets
    poll = poll_of(sockets)
    kind = type("Server", (BoundedServer,), {"channel_class": channel, "poll": poll, "at_work": threading.local()})
    adjustments = Adjustments(max_request_header_size=MAX_HEADER_BYTES, channel_timeout=IDLE_S,
                              cleanup_interval=_LOOK_EVERY_S, connection_limit=CONNECTIONS, **options)
    dispatcher = ThreadedTaskDispatcher()
    servers = [kind(app, sockets, dispatcher=dispatcher, adj=adjustments, sockinfo=place)
               for place in adjustments.listen]
    dispatcher.set_thread_count(adjustments.threads)
    if len(servers) == 1:
        return servers[0]
    listening = [(server.effective_host, server.effective_port) for server in servers]
    return type("Together", (_Together,), {"poll": poll})(sockets, adjustments, listening, dispatcher)
