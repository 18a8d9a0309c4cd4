"""Load: what others notice of trainings, uploads, idle and slow connections; ratios measured in one run."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil

from hanami_jupyter.protocol.endpoints import UPLOAD_PIECE
from hanami_jupyter.protocol.hanami_messages_pb2 import FileUpload_Message
from tests.backend.conftest import Answer, Backend, Client, digits, idx, running, until

CLIENTS, CLUSTERS, UPLOADS = 16, 4, 4
QUEUED = 200  # trainings of each cluster
PAUSE = 0.05  # seconds between two looks of a client at its task
SHARE = 0.99  # percentile
GIGABYTE = 1 << 30


class Watchers:
    """Clients that look at a task again and again, as panels do."""

    def __init__(self, admin: Client, places: list[tuple[str, str]], number: int) -> None:
        self.waits: list[float] = []
        self.failed: list[str] = []
        self._end = threading.Event()
        self._threads = [
            threading.Thread(target=self._look, args=(admin, *places[n % len(places)])) for n in range(number)
        ]

    def _look(self, admin: Client, cluster: str, task: str) -> None:
        client = Client(admin.address, admin.token)
        while not self._end.wait(PAUSE):
            began = time.perf_counter()
            answer = client.call("GET", "/task", {"cluster_uuid": cluster, "uuid": task})
            self.waits.append(time.perf_counter() - began)
            if answer.status != 200:
                self.failed.append(answer.text)

    def __enter__(self) -> Watchers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    @property
    def slow(self) -> float:
        """The 99th percentile."""
        return sorted(self.waits)[int(len(self.waits) * SHARE)]


def abort(admin: Client, cluster: str) -> int:
    """Abort what a cluster is at once it has a worker, and drop its queue; fail if that has no effect."""

    def places() -> list[tuple[dict[str, str], str]]:
        rows = admin.get("/task/all", cluster_uuid=cluster)["body"]
        return [({"cluster_uuid": cluster, "uuid": uuid}, state) for uuid, state, *_ in rows]

    def ended(place: dict[str, str]) -> Answer | None:
        answer = admin.call("GET", "/task", place)
        return None if answer.status == 200 and answer.json["state"] == "active" else answer

    def aborted() -> bool:
        for place in (place for place, state in places() if state == "active"):
            admin.call("DELETE", "/task", place)
            answer = until(lambda place=place: ended(place))
            # a training may end between the look and the abort, which then removes it
            return bool(answer.status == 200 and answer.json["state"] == "aborted")
        return False

    until(aborted)
    for place, _ in places():
        admin.call("DELETE", "/task", place)
    return 1


def crowd(
    admin: Client,
    seconds: float,
    *,
    clients: int = CLIENTS,
    clusters: int = CLUSTERS,
    uploads: int = UPLOADS,
    rows: int = 60_000,
) -> dict[str, float]:
    """Return how much slower a task is looked at while clusters train and files come in."""
    data = admin.mnist(rows, "crowd")
    crowded = [admin.cluster(f"crowd_{n}") for n in range(clusters)]
    idle = [(cluster, admin.train(cluster, admin.mnist(10, "a few"))) for cluster in crowded]
    for cluster, task in idle:
        admin.wait(cluster, task)
    with Watchers(admin, idle, clients) as quiet:
        time.sleep(seconds)
    tasks = [(cluster, admin.train(cluster, data)) for cluster in crowded for _ in range(QUEUED)]
    end, uploaded = threading.Event(), []

    def upload(files: tuple[bytes, bytes]) -> None:
        client = Client(admin.address, admin.token)
        while not end.is_set():
            answer = client.upload("mnist", "load", *files)
            uploaded.append(answer.status)
            client.delete("/dataset", uuid=answer.json["uuid"])

    files = idx(*digits(rows // 3))
    threads = [threading.Thread(target=upload, args=(files,)) for _ in range(uploads)]
    for thread in threads:
        thread.start()
    with Watchers(admin, tasks[::QUEUED], clients) as busy:
        time.sleep(seconds)
    end.set()
    for thread in threads:
        thread.join()
    aborted = sum(abort(admin, cluster) for cluster in crowded)
    assert not quiet.failed + busy.failed, (quiet.failed + busy.failed)[0]
    assert set(uploaded) == {200}, uploaded
    return {
        "idle": quiet.slow,
        "loaded": busy.slow,
        "ratio": busy.slow / quiet.slow,
        "of medians": statistics.median(busy.waits) / statistics.median(quiet.waits),
        "looks": len(busy.waits),
        "uploads": len(uploaded),
        "aborted": aborted,
    }


@contextmanager
def watched(pid: int) -> Iterator[Callable[[], float]]:
    """Give a function that returns the most memory in MB a process has had so far."""
    most, end, process = [0.0], threading.Event(), psutil.Process(pid)

    def look() -> None:
        while not end.wait(0.02):
            most[0] = max(most[0], process.memory_info().rss / 2**20)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        end.set()
        thread.join()


def send(client: Client, uuid: str, piece: Callable[[int, int], bytes], size: int) -> None:
    """Send a file that is made piece by piece, sixteen pieces ahead of the acknowledgements."""
    link = client.websocket("file_upload", uuid)
    waiting = 0
    for start in range(0, size, UPLOAD_PIECE):
        data = piece(start, min(UPLOAD_PIECE, size - start))
        link.send_binary(FileUpload_Message(position=start, data=data).SerializeToString())
        waiting += 1
        if waiting > 16:
            link.recv()
            waiting -= 1
    for _ in range(waiting):
        link.recv()
    link.close()


def gigabyte(backend: Backend, admin: Client, kind: str, size: int) -> float:
    """Upload that many bytes; return the most memory in MB the server had."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, UPLOAD_PIECE * 2, np.uint8).tobytes()
    if kind == "mnist":
        rows = size // 784
        head, body = b"\0\0\x08\x03" + rows.to_bytes(4, "big") + b"\0\0\0\x1c\0\0\0\x1c", rows * 784
    elif kind == "array":
        shape = (size // 400, 100)
        text = str({"descr": "<u1", "fortran_order": False, "shape": (shape[0] * 4, 100)}).encode()
        text += b" " * (-(11 + len(text)) % 64) + b"\n"
        head, body = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text, shape[0] * 400
    else:
        line = b"0.25,17,3.5,1,0.125,8,99,1.75\n"
        head, body = b"a,b,c,d,e,f,g,h\n", size // len(line) * len(line)
        noise = line * (UPLOAD_PIECE * 2 // len(line) + 1)
    total, period = len(head) + body, len(noise) // 30 * 30 if kind == "csv" else UPLOAD_PIECE

    def piece(start: int, count: int) -> bytes:
        at = start - len(head)
        if at < 0:
            return (head + noise)[start : start + count]
        at %= period
        return (noise + noise)[at : at + count]

    path = f"/dataset/upload/{kind}"
    more = {"columns": [{"name": "a", "width": 100}]} if kind == "array" else {}
    if kind == "mnist":
        labels = b"\0\0\x08\x01" + rows.to_bytes(4, "big") + bytes(rows)
        more = {"label_data_size": len(labels)}
    begun = admin.post(path, name="gigabyte", input_data_size=total, **more)
    finish = {"uuid": begun["uuid"], "uuid_input_file": begun["uuid_input_file"]}
    with watched(backend.process.pid) as most:
        send(admin, begun["uuid_input_file"], piece, total)
        if kind == "mnist":
            admin.send_file(begun["uuid_label_file"], labels)
            finish["uuid_label_file"] = begun["uuid_label_file"]
        until(lambda: admin.get("/dataset/progress", uuid=begun["uuid"])["complete"])
        connection = http.client.HTTPConnection(urlsplit(admin.address).netloc, timeout=600)
        connection.request("PUT", f"/v1.0alpha{path}", json.dumps(finish), {"X-Auth-Token": admin.token})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        connection.close()
        found = most()
    admin.delete("/dataset", uuid=begun["uuid"])
    return found


def connections(admin: Client, idle: int, slow: int) -> float:
    """Return how much slower a request is beside idle and slow connections, at its median."""
    place = urlsplit(admin.address)

    def usual() -> float:
        waits = []
        for _ in range(300):
            began = time.perf_counter()
            admin.get("/cluster/all")
            waits.append(time.perf_counter() - began)
        return statistics.median(waits)

    before, end = usual(), threading.Event()
    lines = [socket.create_connection((place.hostname, place.port)) for _ in range(idle + slow)]

    def trickle() -> None:
        text = b"POST /v1.0alpha/project HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: " + b"a" * 2000
        for byte in text:
            if end.wait(0.05):
                return
            for line in lines[idle:]:
                with suppress(OSError):
                    line.send(bytes([byte]))

    thread = threading.Thread(target=trickle)
    thread.start()
    ratio = usual() / before
    end.set()
    thread.join()
    for line in lines:
        line.close()
    return ratio


def main() -> None:
    """Print the figures."""
    size = int(float(sys.argv[1]) * GIGABYTE) if len(sys.argv) > 1 else GIGABYTE  # 0 leaves these uploads out
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data") as backend:
        admin = backend.admin()
        until(lambda: admin.get("/health")["status"] == "ok")
        for kind in ("csv", "mnist", "array") if size else ():
            most = gigabyte(backend, admin, kind, size)
            print(
                f"{size / GIGABYTE:.2f} GB of {kind}: the server had {most:.0f} MB at most (bar: 300)",
                flush=True,
            )
            assert most < 300
        ratio = connections(admin, 1000, 100)
        print(
            f"beside 1,000 idle and 100 slow connections a request takes {ratio:.2f} times as long",
            flush=True,
        )
        found = crowd(admin, 15.0)
        print(
            f"{CLIENTS} clients, {CLUSTERS} clusters training, {UPLOADS} uploads at once: GET task takes"
            f" {found['ratio']:.1f} times as long as on the idle server at the 99th percentile (bar: 10),"
            f" {found['of medians']:.1f} times at the median; {found['looks']:.0f} looks,"
            f" {found['uploads']:.0f} uploads, none failed; {found['aborted']:.0f} active trainings aborted",
            flush=True,
        )
        assert found["ratio"] <= 10


if __name__ == "__main__":
    main()
