"""A proxy between a client and a server that does harm when told: resets, delays, silence, no connection."""

from __future__ import annotations

import contextlib
import re
import socket
import struct
import threading
import time

REQUEST = re.compile(rb"^(?:GET|POST|PUT|DELETE) \S+ HTTP/1\.1\r$", re.M)


class Proxy:
    """Hands bytes between a client and a server, until it is told to do harm.

    ``reset_after`` resets a connection once that many bytes went to the server, ``harm`` times; ``stall``
    swallows what the server says, ``delay`` holds each piece of it back for so many seconds. ``requests``
    are the lines that requests began with.
    """

    def __init__(self, address: str) -> None:
        self.target(address)
        self.reset_after: int | None = None
        self.harm = 1_000_000
        self.stall = False
        self.delay = 0.0
        self.requests: list[str] = []
        self._open: list[socket.socket] = []
        self._listen(0)
        self.port = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    def target(self, address: str) -> None:
        """Hand new connections to this server."""
        host, _, port = address.rpartition("/")[2].partition(":")
        self._target = (host, int(port))

    def mend(self) -> None:
        """Take connections again after :meth:`close`, at the same address."""
        self._listen(self.port)

    def _listen(self, port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    far = socket.create_connection(self._target)
                except OSError:
                    near.close()
                    continue
                self._open += [near, far]
                threading.Thread(target=self._up, args=(near, far), daemon=True).start()
                threading.Thread(target=self._down, args=(far, near), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        sent = 0
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                sent += len(data)
                self.requests += [line.decode().strip() for line in REQUEST.findall(data)]
                if self.reset_after is not None and sent > self.reset_after and self.harm > 0:
                    self.harm -= 1
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    near.close()
                    break
                far.sendall(data)
        far.close()

    def _down(self, far: socket.socket, near: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                time.sleep(self.delay)
                while self.stall:
                    time.sleep(0.02)
                near.sendall(data)
        near.close()

    def close(self) -> None:
        """Break every connection and take no further one."""
        self.stall = False
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open.clear()
