"""uvicorn's protocols with the limits they lack: of a request's head, of what a peer may make us keep."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame, apply_mask  # type: ignore[attr-defined]

MAX_HEAD = 65_536  # bytes kept of a request line and headers; the application refuses beyond 8 KiB
MAX_PIECES = 65_536  # frames of one websocket message
MAX_HELD = 2 << 20  # bytes of messages that wait for the application
HEAD_SECONDS = 30.0  # time for a request's head to arrive
TEXT, BINARY = 0x81, 0x82  # first bytes of whole messages
_OLD = (
    b"HTTP/1.1 426 Upgrade Required\r\nsec-websocket-version: 13\r\n"
    b"connection: close\r\ncontent-length: 0\r\n\r\n"
)


def framed(content: bytes, kind: int = BINARY) -> bytes:
    """Return a server's frame."""
    size = len(content)
    if size < 126:
        return struct.pack(">BB", kind, size) + content
    if size < 1 << 16:
        return struct.pack(">BBH", kind, 126, size) + content
    return struct.pack(">BBQ", kind, 127, size) + content


def masked_frame(data: bytes, at: int) -> tuple[int, int, int]:
    """Return the first byte of a client's frame, where its content begins, and where it ends.

    While too little of it is there, it ends where more is known; the first byte of a frame that is not
    masked counts as negative.
    """
    if len(data) < at + 2:
        return 0, at, at + 2
    kind, size = data[at], data[at + 1]
    if size < 0x80:
        return -kind - 1, at, at
    size -= 0x80
    start = at + (6 if size < 126 else 8 if size == 126 else 14)
    if len(data) < start:
        return kind, at, start
    if size >= 126:
        size = int.from_bytes(data[at + 2 : start - 4], "big")
    return kind, start, start + size


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
    """One websocket. Whole binary messages take a short way, all that are there in one event.

    Everything else (text, fragments, pings, closing, whatever is wrong) goes to the library's own parser.
    """

    _pieces = 0
    _fragments = False  # whether the library is in the middle of a message
    _have = _need = _held = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._parts: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        """Take the head of the handshake, then frames."""
        if not self.handshake_initiated or self.close_sent:
            super().data_received(data)
            return
        self._parts.append(data)
        self._have += len(data)
        if self._have >= self._need:
            rest = self._frames(data if len(self._parts) == 1 else b"".join(self._parts))
            self._parts, self._have = [rest] if rest else [], len(rest)

    def _frames(self, data: bytes) -> bytes:
        """Take the whole frames of some data; return the rest, and note how much it needs to be one."""
        at, self._need, messages, view = 0, 0, list[bytes](), memoryview(data)
        while not self.close_sent:
            kind, start, end = masked_frame(data, at)
            wrong = end - start > self.config.ws_max_size or kind < 0
            if end > len(data) and not wrong:
                self._need = end - at
                break
            if kind == BINARY and not self._fragments and not wrong:
                messages.append(apply_mask(view[start:end], data[start - 4 : start]))
                at = end
                continue
            if messages:
                self._hand_on(messages)
                messages = []
            if kind & 0x08 == 0:
                self._fragments = kind & 0x80 == 0
            super().data_received(data[at:] if wrong else data[at:end])
            if wrong:
                return b""
            at = end
        if messages:
            self._hand_on(messages)
        return data[at:]

    def _hand_on(self, messages: list[bytes]) -> None:
        self._held += sum(map(len, messages))
        event: Any = {"type": "websocket.receive", "messages": messages}
        self.queue.put_nowait(event)
        if self._held > MAX_HELD and not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    async def receive(self) -> Any:
        """Return the next event."""
        event: Any = await super().receive()
        self._held -= sum(map(len, event.get("messages", ())))
        return event

    async def send(self, message: Any) -> None:
        """Send an event; frames that are ready go as they are."""
        frames = message.get("frames")
        if frames is None:
            await super().send(message)
            return
        await self.writable.wait()
        if self.disconnected or self.close_sent or self.transport.is_closing():
            raise ClientDisconnected
        self.transport.write(frames)

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
