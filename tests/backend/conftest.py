"""A real backend process on a loopback port, and a plain client for it."""

from __future__ import annotations

import base64
import http.client
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
import websocket

from hanami_jupyter.protocol.endpoints import BASE, UPLOAD_PIECE
from hanami_jupyter.protocol.hanami_messages_pb2 import FileUpload_Message, FileUploadResponse_Message

ADMIN, PASSWORD = "asdf", "asdfasdf"
CHEAP = {"HANAMI_BACKEND_PASSWORD_COST": "1", "HANAMI_BACKEND_PASSWORD_MEMORY": "8"}
DEADLINE = 60.0
TEMPLATE = """version: 1
settings:
    refractory_time: 1
    max_connection_distance: 1
hexagons:
    1,1,1
    2,1,1
    3,1,1
inputs:
    picture_hex: 1,1,1
outputs:
    label_hex: 3,1,1
"""


def until(what: Callable[[], Any], deadline: float = DEADLINE) -> Any:
    """Return the first true value; fail after the deadline."""
    end = time.monotonic() + deadline
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One user's view of a backend; a connection a thread, kept alive."""

    def __init__(self, address: str, token: str = "", context: ssl.SSLContext | None = None) -> None:
        self.address, self.token, self.context = address, token, context
        self._local = threading.local()

    def _connection(self) -> http.client.HTTPConnection:
        found = getattr(self._local, "connection", None)
        if found is None:
            parts = urlsplit(self.address)
            if parts.scheme == "https":
                found = http.client.HTTPSConnection(parts.netloc, context=self.context, timeout=DEADLINE)
            else:
                found = http.client.HTTPConnection(parts.netloc, timeout=DEADLINE)
            self._local.connection = found
        return found

    def close(self) -> None:
        """Close the connection of this thread; the next call opens another one."""
        self._connection().close()

    def call(
        self, method: str, path: str, values: dict[str, Any] | bytes | None = None, **headers: str
    ) -> Answer:
        target, body = BASE + path, None
        if isinstance(values, bytes):
            body = values
        elif method in ("POST", "PUT"):
            body = json.dumps(values or {}).encode()
        elif values:
            target += "?" + "&".join(f"{k}={quote(str(v), safe='@')}" for k, v in values.items())
        connection = self._connection()
        kept = connection.sock is not None
        try:
            connection.request(method, target, body, {"X-Auth-Token": self.token, **headers})
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        except (http.client.HTTPException, OSError):
            connection.close()
            if not kept:  # one that was idle for too long has been closed by the server: try a new one
                raise
        return self.call(method, path, values, **headers)

    def ok(self, method: str, path: str, **values: Any) -> Any:
        answer = self.call(method, path, values)
        assert answer.status == 200, (method, path, answer.status, answer.text)
        return answer.json

    def get(self, path: str, **values: Any) -> Any:
        return self.ok("GET", path, **values)

    def post(self, path: str, **values: Any) -> Any:
        return self.ok("POST", path, **values)

    def put(self, path: str, **values: Any) -> Any:
        return self.ok("PUT", path, **values)

    def delete(self, path: str, **values: Any) -> Any:
        return self.ok("DELETE", path, **values)

    def refused(self, status: int, method: str, path: str, **values: Any) -> str:
        answer = self.call(method, path, values)
        assert answer.status == status, (method, path, answer.status, answer.text)
        return answer.text

    def login(self, user: str, password: str = PASSWORD) -> Client:
        answer = Client(self.address, context=self.context).post("/token", id=user, password=password)
        return Client(self.address, answer["token"], self.context)

    def in_project(self, project: str) -> Client:
        return Client(self.address, self.put("/token", project_id=project)["token"], self.context)

    # -- websockets

    def websocket(self, target: str, uuid: str, *, token: str | None = None) -> websocket.WebSocket:
        link = websocket.create_connection(
            self.address.replace("http", "ws", 1) + "/",
            timeout=DEADLINE,
            sslopt={"context": self.context} if self.context else None,
            sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        link.send(json.dumps({"token": token or self.token, "target": target, "uuid": uuid}))
        first = json.loads(link.recv())
        if not first["success"]:
            link.close()
            raise ConnectionRefusedError(first["error"])
        return link

    def send_file(self, uuid: str, data: bytes, piece: int = UPLOAD_PIECE) -> None:
        link = self.websocket("file_upload", uuid)
        try:
            starts = range(0, len(data), piece)
            for start in starts:
                message = FileUpload_Message(position=start, data=data[start : start + piece])
                link.send_binary(message.SerializeToString())
            for _ in starts:
                answer = FileUploadResponse_Message.FromString(link.recv())
                assert answer.success, answer.errorMessage
        finally:
            link.close()

    # -- data

    def upload(self, kind: str, name: str, data: bytes, labels: bytes | None = None, **more: Any) -> Answer:
        """Upload a file and finish it; return the answer of the last step, whatever it is."""
        sizes = {"input_data_size": len(data)} | ({"label_data_size": len(labels)} if labels else {})
        path = "/checkpoint/upload" if kind == "checkpoint" else f"/dataset/upload/{kind}"
        begun = self.post(path, name=name, **sizes, **more)
        self.send_file(begun["uuid_input_file"], data)
        files = {"uuid_input_file": begun["uuid_input_file"]}
        if labels is not None:
            self.send_file(begun["uuid_label_file"], labels)
            files["uuid_label_file"] = begun["uuid_label_file"]
        if kind != "checkpoint":
            until(lambda: self.get("/dataset/progress", uuid=begun["uuid"])["complete"])
        return self.call("PUT", path, {"uuid": begun["uuid"], **files})

    def mnist(self, rows: int = 40, name: str = "digits") -> str:
        answer = self.upload("mnist", name, *idx(*digits(rows)))
        assert answer.status == 200, answer.text
        return answer.json["uuid"]

    def csv(self, text: str, name: str = "table") -> str:
        answer = self.upload("csv", name, text.encode())
        assert answer.status == 200, answer.text
        return answer.json["uuid"]

    # -- clusters

    def cluster(self, name: str, template: str = TEMPLATE, **more: Any) -> str:
        return self.post(
            "/cluster", name=name, template=base64.b64encode(template.encode()).decode(), **more
        )["uuid"]

    def train(self, cluster: str, dataset: str, **more: Any) -> str:
        return self.post(
            "/task/train",
            name="train",
            cluster_uuid=cluster,
            inputs=[column(dataset, "picture", "picture_hex")],
            outputs=[column(dataset, "label", "label_hex")],
            **more,
        )["uuid"]

    def request(self, cluster: str, dataset: str, name: str = "answers", **more: Any) -> str:
        return self.post(
            "/task/request",
            name=name,
            cluster_uuid=cluster,
            inputs=[column(dataset, "picture", "picture_hex")],
            results=[{"dataset_column": "guess", "hexagon_name": "label_hex"}],
            **more,
        )["uuid"]

    def task(self, cluster: str, uuid: str) -> Any:
        return self.get("/task", cluster_uuid=cluster, uuid=uuid)

    def wait(self, cluster: str, uuid: str, state: str = "finished") -> Any:
        def done() -> Any:
            task = self.task(cluster, uuid)
            return task if task["state"] in ("finished", "aborted") else None

        task = until(done)
        assert task["state"] == state, task
        return task

    def answers(self, cluster: str, dataset: str) -> np.ndarray:
        """Return what a cluster says to a dataset."""
        uuid = self.request(cluster, dataset)
        self.wait(cluster, uuid)
        rows = self.get("/dataset", uuid=uuid)["number_of_rows"]
        content = self.get(
            "/dataset/content", uuid=uuid, column_name="guess", row_offset=0, number_of_rows=rows
        )
        self.delete("/dataset", uuid=uuid)
        return np.array(content["data"])


def column(dataset: str, name: str, hexagon: str) -> dict[str, str]:
    return {"dataset_uuid": dataset, "dataset_column": name, "hexagon_name": hexagon}


def digits(rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures that can be told apart, and their labels."""
    labels = (np.arange(rows) % 10).astype(np.uint8)
    pictures = np.zeros((rows, 28, 28), np.uint8)
    for row, label in enumerate(labels):
        pictures[row, 2 * label : 2 * label + 4, 4:24] = 200 + row % 50
    return pictures, labels


def idx(pictures: np.ndarray, labels: np.ndarray) -> tuple[bytes, bytes]:
    rows, height, width = pictures.shape
    return (
        struct.pack(">4I", 0x803, rows, height, width) + pictures.tobytes(),
        struct.pack(">2I", 0x801, rows) + labels.tobytes(),
    )


class Backend:
    """A backend process and its folder."""

    def __init__(self, folder: Path, *options: str, cwd: Path | None = None, **environment: str) -> None:
        self.folder = folder
        self.log = folder.parent / f"{folder.name}.log"
        command = [sys.executable, "-m", "hanami_jupyter.backend", "--port", "0", "--data-dir", str(folder)]
        values = {"HANAMI_ADMIN_USER_ID": ADMIN, "HANAMI_ADMIN_PASSWORD": PASSWORD, **CHEAP, **environment}
        with self.log.open("ab") as log:
            start = self.log.stat().st_size
            self.process = subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **{k: v for k, v in values.items() if v}},
                cwd=cwd,
            )
        self.address = until(lambda: self._address(start))

    def _address(self, start: int) -> str | None:
        assert self.process.poll() is None, self.log.read_text()
        for line in self.log.read_bytes()[start:].splitlines():
            with suppress(ValueError):
                found = json.loads(line)
                if found.get("message") == "answering":
                    return found["address"]
        return None

    def admin(self, context: ssl.SSLContext | None = None) -> Client:
        return Client(self.address, context=context).login(ADMIN)

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(DEADLINE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(DEADLINE)


@contextmanager
def running(folder: Path, *options: str, cwd: Path | None = None, **environment: str) -> Iterator[Backend]:
    backend = Backend(folder, *options, cwd=cwd, **environment)
    try:
        yield backend
    finally:
        if backend.process.poll() is None:
            backend.stop()


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    with running(tmp_path_factory.mktemp("backend") / "data", HANAMI_BACKEND_LOGIN_DELAY="0.2") as found:
        yield found
        # what goes wrong in a test is the user's mistake each time, never the server's
        assert [line for line in found.log.read_text().splitlines() if "raceback" in line] == []


@pytest.fixture(scope="session")
def admin(backend: Backend) -> Client:
    return backend.admin()


@pytest.fixture
def folder() -> Iterator[Path]:
    """An empty place for a backend of the test's own."""
    with tempfile.TemporaryDirectory() as found:
        yield Path(found) / "data"
