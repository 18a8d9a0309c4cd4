"""A server that dies at any byte: the client raises its own exception each time, and never hangs."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hanami_jupyter.client import dataset, transport
from hanami_jupyter.client.direct_io import DirectIO
from hanami_jupyter.client.hanami_exceptions import HanamiException, TimeoutException

if TYPE_CHECKING:
    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session

CLOSING = 16  # bytes that end an exchange without being part of an answer
TEMPLATE = """version: 1
settings:
    refractory_time: 1
hexagons:
    1,1,1
    2,1,1
inputs:
    picture: 1,1,1
outputs:
    label: 2,1,1
"""


class Dying:
    """Hands bytes between a client and a server, and dies after so many of the server's, or of the client's.

    ``left`` and ``room`` count down the bytes until then, the client's without its first ones; ``only`` says
    which connections count, by how they begin.
    """

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition("/")[2].partition(":")
        self._target = (host, int(port))
        self.left, self.passed, self.only, self.reset = 1 << 60, 0, b"", False
        self.room = 1 << 60
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with contextlib.suppress(OSError), near, socket.create_connection(self._target) as far:
            first = near.recv(65536)
            counted = self.only in first
            if counted and self.left <= 0:
                return
            far.sendall(first)
            threading.Thread(target=self._up, args=(near, far, counted), daemon=True).start()
            while data := far.recv(65536):
                if counted:
                    data = data[: max(self.left, 0)]
                    self.left -= len(data)
                    self.passed += len(data)
                near.sendall(data)
                if counted and self.left <= 0:
                    if self.reset:
                        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    near.shutdown(socket.SHUT_RD)
                    return

    def _up(self, near: socket.socket, far: socket.socket, counted: bool) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                if counted:
                    data = data[: max(self.room, 0)]
                    self.room -= len(data)
                far.sendall(data)
                if counted and self.room <= 0:
                    near.shutdown(socket.SHUT_RDWR)
                    break
            far.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def dying(server: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dying]:
    monkeypatch.setattr(transport, "ATTEMPTS", 1)  # trying again only takes time here
    monkeypatch.setattr(transport.limits, "answer", 20.0)
    dying = Dying(server.address)
    yield dying
    dying.close()
    transport.forget(dying.address)


def survived(dying: Dying, place: int, act: Callable[[], Any], right: Callable[[Any], bool]) -> bool:
    """Tell whether all was there when the server died; if not, the client must have said so."""
    transport.forget(dying.address)
    dying.left = place
    try:
        answer = act()
    except TimeoutException:
        raise
    except HanamiException:
        return False
    assert right(answer)
    return True


def cut_everywhere(
    dying: Dying, act: Callable[[], Any], right: Callable[[Any], bool], only: bytes = b""
) -> int:
    """Let the server die at every byte of an exchange; return how many bytes it has."""
    dying.only = only
    transport.forget(dying.address)
    assert right(act())
    total = dying.passed
    assert total > 100
    for reset, step in ((False, 1), (True, 31)):
        dying.reset = reset
        done = [place for place in range(0, total, step) if survived(dying, place, act, right)]
        assert all(place > total - CLOSING for place in done), (total, done)
    dying.left = 1 << 60
    transport.forget(dying.address)
    assert right(act())
    return total


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_requests(session: Session, dying: Dying, method: str) -> None:
    """The answer to a login holds what must not appear in a message."""
    token = str(session.token)
    if method == "GET":
        cut_everywhere(
            dying,
            lambda: transport.call("GET", "/host/all", token, dying.address),
            lambda answer: answer["header"][0] == "uuid",
        )
    else:
        cut_everywhere(
            dying,
            lambda: transport.call("PUT", "/token", token, dying.address, project_id="admin"),
            lambda answer: len(answer["token"]) > 20,
        )


def test_a_long_answer(session: Session, dying: Dying) -> None:
    """One that leaves in pieces and tells no length."""
    uuid = session.dataset.upload_data("long answer", {"features": np.zeros((1100, 1000), np.float32)})

    def act() -> Any:
        return transport.call(
            "GET", "/dataset/content", str(session.token), dying.address,
            uuid=uuid, column_name="features", row_offset=0, number_of_rows=1100,
        )  # fmt: skip

    assert len(act()["data"]) == 1100
    total, dying.passed = dying.passed, 0
    for place in [*range(0, 300, 50), total // 2, *range(total - 12, total - 5)]:
        assert not survived(dying, place, act, lambda answer: len(answer["data"]) == 1100), place
    session.dataset.delete_dataset(uuid)


def test_direct_messages(session: Session, dying: Dying) -> None:
    cluster = session.cluster.create_cluster("dying", TEMPLATE)["uuid"]
    session.direct(cluster).train(np.zeros(20), np.eye(4)[1])
    token = str(session.token)

    def act() -> Any:
        io = DirectIO(token, dying.address, cluster)
        try:
            io.train(np.zeros(20), np.eye(4)[1])
            return io.request(np.zeros(20))
        finally:
            io.close()

    cut_everywhere(dying, act, lambda answer: answer.shape == (4,), b"Upgrade: websocket")
    session.cluster.delete_cluster(cluster)


def test_uploads(session: Session, dying: Dying) -> None:
    """What fails is taken back."""
    before, made = len(session.dataset.list_datasets()), []

    def act() -> Any:
        made.append(dataset.upload_csv_files(str(session.token), dying.address, "dying", b"a,b\n1,2\n"))
        return made[-1]

    cut_everywhere(dying, act, lambda uuid: len(uuid) == 36, b"Upgrade: websocket")
    for uuid in made:
        session.dataset.delete_dataset(uuid)
    assert len(session.dataset.list_datasets()) == before


def test_uploads_that_are_not_taken_whole(session: Session, dying: Dying) -> None:
    """The server dies while the client still sends."""
    before, data = len(session.dataset.list_datasets()), b"a,b\n" + b"1,2\n" * 100_000

    def act() -> Any:
        return dataset.upload_csv_files(str(session.token), dying.address, "dying", data)

    dying.only = b"Upgrade: websocket"
    for place in [1, 2, 7, 100, 65_535, 65_536, *range(9, len(data), len(data) // 12)]:
        dying.room = place
        assert not survived(dying, 1 << 60, act, bool), place
    dying.room = 1 << 60
    transport.forget(dying.address)
    session.dataset.delete_dataset(act())
    assert len(session.dataset.list_datasets()) == before
