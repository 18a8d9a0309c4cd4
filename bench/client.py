"""The client as ratios: imports, tables, uploads (full MNIST, see HANAMI_DATA_DIR), direct messages."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from websockets.asyncio.server import serve

from hanami_jupyter import data, launcher
from hanami_jupyter.client import tables
from hanami_jupyter.client.direct_io import DirectIO
from hanami_jupyter.client.transport import call
from hanami_jupyter.client.uploads import _send_file, opened
from hanami_jupyter.protocol.hanami_messages_pb2 import (
    TRAIN,
    ClusterIO_Message,
    FileUpload_Message,
    FileUploadResponse_Message,
)

try:
    import uvloop
except ImportError:
    uvloop = None

PAIRS = 5
ROWS = 2_000
UUID = "6f2bbcd2-7081-4b08-ae1d-16e6cd6f54c4"
TEMPLATE = """version: 1
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


# -- the peer: a bare websocket and protobuf, no engine, no checks, in a process of its own


def _taken(*, last: bool) -> bytes:
    return ClusterIO_Message(
        isLast=last, processType=TRAIN, numberOfValues=1, values=[0.0]
    ).SerializeToString()


async def _talk(socket: object) -> None:
    hello = json.loads(await socket.recv())  # type: ignore[attr-defined]
    await socket.send(json.dumps({"success": True, "uuid": UUID}).encode())  # type: ignore[attr-defined]
    acknowledged = FileUploadResponse_Message(success=True).SerializeToString()
    answer = ClusterIO_Message(bufferName="label", numberOfValues=10, values=[0.5] * 10).SerializeToString()
    taken = (_taken(last=False), _taken(last=True))
    with tempfile.TemporaryFile() as file:
        async for frame in socket:  # type: ignore[attr-defined]
            if hello["target"] == "file_upload":
                piece = FileUpload_Message.FromString(frame)
                file.seek(piece.position)
                file.write(piece.data)
                await socket.send(acknowledged)  # type: ignore[attr-defined]
            else:
                message = ClusterIO_Message.FromString(frame)
                trains = message.processType == TRAIN or not message.isLast
                await socket.send(taken[message.isLast] if trains else answer)  # type: ignore[attr-defined]


async def _serve() -> None:
    async with serve(_talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


def peer() -> None:
    """Serve until the process is ended."""
    if uvloop is not None:
        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(_serve())


# -- measuring


def seconds(act: Callable[[], object]) -> float:
    """Return how long a call takes."""
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


def pairs(
    ours: Callable[[], object], theirs: Callable[[], object], count: int = PAIRS
) -> tuple[float, float]:
    """Return the medians of interleaved runs, after one of each that does not count."""
    seconds(ours), seconds(theirs)
    found = [(seconds(ours), seconds(theirs)) for _ in range(count)]
    return statistics.median(one for one, _ in found), statistics.median(other for _, other in found)


def line(what: str, figure: str, ratio: float, bar: str) -> None:
    """Print one row of the table."""
    print(f"{what:<46} {figure:>32}   ratio {ratio:5.2f}   bar {bar}", flush=True)


def uploads(session: launcher.Session, address: str) -> None:
    """Upload the training images to the backend and to the peer."""
    full = data.mnist()
    with opened(full.train_images) as images, opened(full.train_labels) as labels:
        size = len(images) / 1e6

        files = {"input": memoryview(bytes(images)), "label": memoryview(bytes(labels))}
        uuids: list[str] = []

        def ours() -> None:
            uuids.append(session.dataset.upload_mnist_files("bench", files["input"], files["label"]))

        def pieces() -> None:
            sizes = {"input_data_size": len(images), "label_data_size": len(labels)}
            where = (session.token, session.address, True)
            begun = call("POST", "/dataset/upload/mnist", *where, name="bench", **sizes)
            for kind, file in files.items():
                _send_file(*where, begun[f"uuid_{kind}_file"], file, lambda _count: None)
            uuids.append(begun["uuid"])

        def theirs() -> None:
            for file in files.values():
                _send_file("token", address, True, UUID, file, lambda _count: None)

        for what, act in (("pieces alone", pieces), ("until it is a dataset", ours)):
            mine, other = pairs(act, theirs)
            figure = f"{size / mine:.0f} MB/s, peer {size / other:.0f}"
            line(f"upload of {size:.0f} MB, {what}", figure, other / mine, ">= 0.7")
            while uuids:
                session.dataset.delete_dataset(uuids.pop())


def direct(session: launcher.Session, address: str) -> None:
    """Train and request an MNIST cluster row by row and as arrays, and exchange the same with the peer."""
    small = data.sample()
    images = data.read_idx(small.train_images).reshape(-1, 784)[:ROWS].astype(np.float32)
    labels = np.eye(10, dtype=np.float32)[data.read_idx(small.train_labels)[:ROWS]]
    uuid = session.cluster.create_cluster("bench", TEMPLATE)["uuid"]
    other = DirectIO("token", address, UUID)
    other._names = (["picture"], ["label"])
    with session.direct(uuid) as io:
        io.train(images, labels)
        for what, act in (
            ("train", lambda end: [end.train(images[row], labels[row]) for row in range(ROWS // 4)]),
            ("request", lambda end: [end.request(images[row]) for row in range(ROWS // 4)]),
        ):
            mine, theirs = pairs(lambda act=act: act(io), lambda act=act: act(other))
            rate, peers = ROWS / 4 / mine, ROWS / 4 / theirs
            line(
                f"direct {what}, a row at a time",
                f"{rate:,.0f} rows/s, peer {peers:,.0f}",
                rate / peers,
                ">= 0.6",
            )
        for what, act in (
            ("train", lambda end: end.train(images, labels)),
            ("request", lambda end: end.request(images)),
        ):
            mine, theirs = pairs(lambda act=act: act(io), lambda act=act: act(other))
            rate, peers = ROWS / mine, ROWS / theirs
            line(
                f"direct {what}, whole array",
                f"{rate:,.0f} rows/s, peer {peers:,.0f}",
                rate / peers,
                ">= 0.6",
            )
    other.close()
    session.cluster.delete_cluster(uuid)


def lists() -> None:
    """Turn a long list into a table, beside parsing it."""
    header = ["created_at", "uuid", "project_id", "owner_id", "visibility", "name"]
    day = "2026-11-23"
    rows = [
        [
            f"{day} {n // 3600 % 24:02d}:{n // 60 % 60:02d}:{n % 60:02d}",
            f"{n:08d}-4b08-ae1d",
            "admin",
            "asdf",
            "private",
            f"dataset {n}",
        ]
        for n in range(100_000)
    ]
    body = json.dumps({"header": header, "body": rows}, separators=(",", ":")).encode()
    mine, theirs = pairs(lambda: tables.frame("/dataset/all", json.loads(body)), lambda: json.loads(body))
    line(
        "a list of 100,000 rows",
        f"{mine * 1000:.0f} ms, json.loads {theirs * 1000:.0f}",
        mine / theirs,
        "<= 3",
    )


def imports() -> None:
    """Import the package and load the extension, beside importing pandas."""

    def program(text: str) -> Callable[[], float]:
        timed = f"import time; b = time.perf_counter(); {text}; print(time.perf_counter() - b)"

        def run() -> float:
            return float(
                subprocess.run(
                    [sys.executable, "-c", timed], capture_output=True, text=True, check=True
                ).stdout
            )

        return run

    load = "from IPython.core.interactiveshell import InteractiveShell; s = InteractiveShell.instance(); "
    load += "b = time.perf_counter(); "
    programs = {
        "import hanami_jupyter": program("import hanami_jupyter"),
        "%load_ext hanami": program(load + "s.run_line_magic('load_ext', 'hanami')"),
    }
    theirs = program("import pandas")
    for what, ours in programs.items():
        ours(), theirs()
        found = [(ours(), theirs()) for _ in range(2 * PAIRS)]
        mine, other = (statistics.median(column) for column in zip(*found, strict=True))
        line(what, f"{mine * 1000:.0f} ms, pandas {other * 1000:.0f}", mine / other, "<= 0.3")


def main() -> None:
    """Print the table."""
    imports()
    lists()
    child = subprocess.Popen([sys.executable, __file__, "peer"], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        address = f"http://127.0.0.1:{int(child.stdout.readline())}"
        with tempfile.TemporaryDirectory() as folder:
            session = launcher.local(Path(folder) / "backend", log_level="warning")
            uploads(session, address)
            direct(session, address)
            launcher.stop(Path(folder) / "backend")
    finally:
        child.terminate()
        child.wait()


if __name__ == "__main__":
    peer() if sys.argv[1:] == ["peer"] else main()
