"""uvicorn's protocols with the limits they lack: of a request's head, of what a peer may make us keep."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

MAX_HEAD = 65_536  # bytes kept of a request line and headers; the application refuses beyond 8 KiB
MAX_PIECES = 65_536  # frames of one websocket message
HEAD_SECONDS = 30.0  # time for a request's head to arrive
_OLD = (
    b"HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


class Protocol(HttpToolsProtocol):
    """One connection."""

    _head = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection; it has to say something soon."""
        super().connection_made(transport)
        self._begin_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """End a connection."""
        self._end_timer()
        super().connection_lost(exc)

    def _begin_timer(self) -> None:
        self._end_timer()
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.close)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def on_message_begin(self) -> None:
        """Begin the head of a request."""
        self._head = 0
        self._begin_timer()
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a part of the target."""
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def _grow(self, size: int) -> None:
        self._head += size
        if self._head > MAX_HEAD:
            self.transport.abort()
            raise ValueError

    def on_headers_complete(self) -> None:
        """Hand the request on, with its target as it came."""
        self._end_timer()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope["extensions"] = {"target": self.url}
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Become a websocket, of the one version there is."""
        if dict(self.headers).get(b"sec-websocket-version", b"13") != b"13":
            self.transport.write(_OLD)
            self.transport.close()
            return
        super().handle_websocket_upgrade()


class SocketProtocol(WebSocketsSansIOProtocol):
    """One websocket."""

    _pieces = 0

    def pause_writing(self) -> None:
        """Read no more from a peer that does not read: every ping of his would be answered into memory."""
        super().pause_writing()
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        """Go on reading."""
        super().resume_writing()
        if not self.read_paused:
            self.transport.resume_reading()

    def handle_text(self, event: Frame) -> None:
        """Begin a text message."""
        self._pieces = 0
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Begin a binary message."""
        self._pieces = 0
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Go on with a message, which may come in many pieces but not in endless ones."""
        self._pieces += 1
        if self._pieces > MAX_PIECES:
            self.transport.abort()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand a message on; text that is none ends the connection, without a word in the log."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.conn.send_close(1007)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()
