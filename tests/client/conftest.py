"""What the client's tests share: a peer that answers what it is told, a proxy that does harm, small data."""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.proxy import Proxy

if TYPE_CHECKING:
    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session

TEMPLATE = """\
version: 1
settings:
    neuron_cooldown: 10000000.0
hexagons:
    1,1,1
    2,1,1
    3,1,1
inputs:
    picture: 1,1,1
outputs:
    label: 3,1,1
"""
ROWS = 20


@dataclass
class Request:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        query = self.target.partition("?")[2]
        return dict(pair.split("=", 1) for pair in query.split("&")) if query else {}


@dataclass
class Canned:
    """An answer: status, content type, body; or raw bytes, or None for silence."""

    status: int = 200
    kind: str = "text/json"
    body: bytes = b"{}"
    raw: bytes | None = None
    silent: bool = False

    def wire(self) -> bytes:
        if self.raw is not None:
            return self.raw
        head = f"HTTP/1.1 {self.status:03d} Said\r\nContent-Type: {self.kind}\r\n"
        head += f"Content-Length: {len(self.body)}\r\nConnection: close\r\n\r\n"
        return head.encode() + self.body


@dataclass
class FakePeer:
    """A server of one connection a request that answers what ``answer`` says and notes what it was asked."""

    answer: Callable[[Request], Canned]
    requests: list[Request] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    address: str = ""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._released = threading.Event()
        peer = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with peer._lock:
                    peer.open += 1
                    peer.most_open = max(peer.most_open, peer.open)
                wire = b""
                try:
                    with contextlib.suppress(OSError):
                        wire = peer._serve(self.rfile)
                finally:
                    with peer._lock:
                        peer.open -= 1  # before its last byte, with which the client may open the next
                with contextlib.suppress(OSError):
                    self.wfile.write(wire)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _serve(self, reader: Any) -> bytes:
        line = reader.readline().decode("latin-1").split(" ")
        if len(line) != 3:
            return b""
        headers = {}
        while (text := reader.readline().decode("latin-1").strip()) != "":
            name, _, value = text.partition(": ")
            headers[name] = value
        body = reader.read(int(headers.get("Content-Length", 0)))
        request = Request(line[0], line[1], headers, body)
        with self._lock:
            self.requests.append(request)
        answer = self.answer(request)
        if answer.silent:
            self._released.wait(10)
            return b""
        return answer.wire()

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture(scope="module")
def make_peer() -> Iterator[Callable[[Callable[[Request], Canned] | Canned], FakePeer]]:
    """Make peers that answer what they are told."""
    peers: list[FakePeer] = []

    def make(answer: Callable[[Request], Canned] | Canned) -> FakePeer:
        peers.append(FakePeer((lambda _request: answer) if isinstance(answer, Canned) else answer))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture
def fake_peer(make_peer: Any) -> Any:
    return make_peer


@pytest.fixture(scope="session")
def canned() -> type[Canned]:
    return Canned


@pytest.fixture
def proxy(server: Running) -> Iterator[Proxy]:
    """A proxy in front of the embedded backend."""
    proxy = Proxy(server.address)
    yield proxy
    proxy.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short time limits, so that hanging is found out soon."""
    from hanami_jupyter.client import transport

    for name in ("connect", "answer", "slot"):
        monkeypatch.setattr(transport.limits, name, 0.4)


# -- data


def _idx(rows: int) -> tuple[bytes, bytes]:
    """A set of images, each a bright bar that depends on its digit, and their labels."""
    import numpy as np

    digits = np.arange(rows, dtype=np.uint8) % 10
    images = np.zeros((rows, 28, 28), np.uint8)
    for row, digit in enumerate(digits):
        images[row, 2 * digit + 3 : 2 * digit + 6] = 255
    head = struct.pack(">IIII", 0x803, rows, 28, 28)
    return head + images.tobytes(), struct.pack(">II", 0x801, rows) + digits.tobytes()


@pytest.fixture(scope="session")
def idx() -> tuple[bytes, bytes]:
    return _idx(ROWS)


@pytest.fixture(scope="session")
def make_idx() -> Callable[[int], tuple[bytes, bytes]]:
    return _idx


@pytest.fixture(scope="session")
def files(idx: tuple[bytes, bytes], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("mnist")
    paths = folder / "train-images.idx3-ubyte", folder / "train-labels.idx1-ubyte"
    for path, data in zip(paths, idx, strict=True):
        path.write_bytes(data)
    return paths


@pytest.fixture(scope="session")
def template() -> str:
    return TEMPLATE


@pytest.fixture
def dataset_uuid(session: Session, idx: tuple[bytes, bytes]) -> Iterator[str]:
    """A dataset of twenty digits."""
    uuid = session.dataset.upload_mnist_files("digits", *idx)
    yield uuid
    session.dataset.delete_dataset(uuid)


@pytest.fixture
def cluster_uuid(session: Session, request: pytest.FixtureRequest) -> Iterator[str]:
    """A fresh cluster with the input ``picture`` and the output ``label``."""
    name = "".join(c if c.isalnum() else "_" for c in f"c_{request.node.name}")[:200]
    uuid = session.cluster.create_cluster(name, TEMPLATE)["uuid"]
    yield uuid
    from hanami_jupyter import hanami_exceptions

    with contextlib.suppress(hanami_exceptions.NotFoundException):
        session.cluster.delete_cluster(uuid)
