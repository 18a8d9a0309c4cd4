"""Kills a backend at random moments, again and again, and compares what comes back with what it promised.

``python -m tests.hostile.kills 50`` kills it fifty times.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import random
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import websocket

from hanami_jupyter.engine import Cluster
from tests.backend.conftest import ADMIN, CHEAP, PASSWORD, TEMPLATE, Backend, Client, column, digits, idx

ROWS = 100
SEED = 5
MOST = 40  # trainings of one cluster
GONE = (OSError, http.client.HTTPException, websocket.WebSocketException, AssertionError)


class Expected:
    """What a cluster answers after each number of trainings: the engine repeats itself exactly."""

    def __init__(self) -> None:
        pictures, labels = digits(ROWS)
        self._inputs = {"picture_hex": pictures.reshape(ROWS, -1)}
        self._outputs = {"label_hex": np.eye(10, dtype=np.uint8)[labels]}
        self._cluster = Cluster.from_template(TEMPLATE, seed=SEED)
        self._answers = [self._answer()]

    def _answer(self) -> np.ndarray:
        return np.array(dict(self._cluster.request(self._inputs))["label_hex"])

    def after(self, trainings: int) -> np.ndarray:
        """Return the answers after some trainings."""
        while len(self._answers) <= trainings:
            self._cluster.train(self._inputs, self._outputs)
            self._answers.append(self._answer())
        return self._answers[trainings]


class Promises:
    """What the backend has acknowledged, and what it was doing when it was killed."""

    def __init__(self) -> None:
        self.datasets: dict[str, str] = {}  # uuid: hash of the file
        self.checkpoints: dict[str, str] = {}
        self.trained: dict[str, int] = {}  # cluster: trainings acknowledged
        self.users: set[str] = set()
        self.gone: set[str] = set()
        self.doubtful: set[str] = set()  # asked to be deleted, without an answer
        self.doing: Counter[str] = Counter()
        self.lock = threading.Lock()


class Work:
    """One thread that uploads, trains, saves and deletes until the backend dies."""

    def __init__(self, client: Client, promises: Promises, seed: int, number: int) -> None:
        self.client, self.promises, self.rng, self.number = client, promises, random.Random(seed), number
        self.now = ""
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self) -> None:
        kinds: dict[str, Callable[[], None]] = {
            "upload": self.upload,
            "train": self.train,
            "save": self.save,
            "delete": self.delete,
            "user": self.user,
        }
        try:
            while True:
                self.now = self.rng.choices(list(kinds), (3, 4, 3, 2, 1))[0]
                kinds[self.now]()
        except GONE:
            return

    def _mine(self, of: dict[str, Any]) -> list[str]:
        """Return the objects that no other thread works on."""
        with self.promises.lock:
            return [uuid for uuid in of if int(uuid[:8], 16) % 3 == self.number]

    def upload(self) -> None:
        """Upload a dataset."""
        rows = self.rng.randint(1, 3000)
        answer = self.client.upload("mnist", "upload", *idx(*digits(rows)))
        assert answer.status == 200
        self.promises.datasets[answer.json["uuid"]] = ""

    def train(self) -> None:
        """Train a cluster once more, on what all clusters are trained with."""
        clusters = self._mine(self.promises.trained)
        if not clusters or self.rng.random() < 0.2:
            self.promises.trained[self.client.cluster("cluster" + str(time.time_ns()), seed=SEED)] = 0
            return
        cluster = self.rng.choice(clusters)
        if self.promises.trained[cluster] < MOST:
            data = next(iter(self.promises.datasets))
            self.client.wait(cluster, self.client.train(cluster, data))
            self.promises.trained[cluster] += 1

    def save(self) -> None:
        """Save a checkpoint."""
        clusters = self._mine(self.promises.trained)
        if clusters:
            cluster = self.rng.choice(clusters)
            uuid = self.client.post("/cluster/save", name="saved", cluster_uuid=cluster)["uuid"]
            self.client.wait(cluster, uuid)
            self.promises.checkpoints[uuid] = ""

    def delete(self) -> None:
        """Delete something; not the first dataset, which everything is trained with."""
        kind, of = self.rng.choice(
            [
                ("dataset", dict(list(self.promises.datasets.items())[1:])),
                ("checkpoint", self.promises.checkpoints),
                ("cluster", self.promises.trained),
            ]
        )
        mine = self._mine(of)
        if mine:
            uuid = self.rng.choice(mine)
            self.promises.doubtful.add(uuid)
            for known in (self.promises.datasets, self.promises.checkpoints, self.promises.trained):
                known.pop(uuid, None)
            self.client.delete(f"/{kind}", uuid=uuid)
            self.promises.doubtful.discard(uuid)
            self.promises.gone.add(uuid)

    def user(self) -> None:
        """Make an account."""
        name = f"user_{self.rng.randrange(10**9)}"
        self.client.post("/user", id=name, name="User", password=PASSWORD, is_admin=False)
        self.promises.users.add(name)


def verify(backend: Backend, promises: Promises, expected: Expected) -> None:
    """Check that every promise holds and nothing half-written is left."""
    admin = backend.admin()
    listed = {
        kind: {row[1] for row in admin.get(f"/{kind}/all")["body"]}
        for kind in ("dataset", "cluster", "checkpoint")
    }
    _hashes(admin, "dataset", promises.datasets, listed["dataset"])
    _hashes(admin, "checkpoint", promises.checkpoints, listed["checkpoint"])
    assert set(promises.trained) <= listed["cluster"]
    data = next(iter(promises.datasets))
    for cluster, trainings in promises.trained.items():
        answers = _answers(admin, cluster, data)
        reached = [n for n in (trainings, trainings + 1) if np.array_equal(expected.after(n), answers)]
        assert reached, f"cluster {cluster} is not as it was after {trainings} trainings"
        promises.trained[cluster] = reached[0]
    assert promises.users <= {row[1] for row in admin.get("/user/all")["body"]}
    everything = set.union(*listed.values())
    assert not promises.gone & everything
    promises.doubtful.clear()
    _clean(backend.folder, listed)


def _answers(admin: Client, cluster: str, data: str) -> np.ndarray:
    uuid = admin.post(
        "/task/request",
        name="answers",
        cluster_uuid=cluster,
        inputs=[column(data, "picture", "picture_hex")],
        results=[{"dataset_column": "guess", "hexagon_name": "label_hex"}],
    )["uuid"]
    admin.wait(cluster, uuid)
    body = admin.call("GET", "/dataset/file", {"uuid": uuid}).body
    admin.delete("/dataset", uuid=uuid)
    admin.delete("/task", cluster_uuid=cluster, uuid=uuid)
    return np.load(io.BytesIO(body))


def _hashes(admin: Client, kind: str, promised: dict[str, str], listed: set[str]) -> None:
    for uuid, known in promised.items():
        assert uuid in listed, f"{kind} {uuid} is gone"
        answer = admin.call("GET", f"/{kind}/file", {"uuid": uuid})
        assert answer.status == 200, answer.text
        found = hashlib.sha256(answer.body).hexdigest()
        assert found == (known or found), f"{kind} {uuid} has changed"
        promised[uuid] = found


def _clean(folder: Path, listed: dict[str, set[str]]) -> None:
    """Check that every file belongs to something."""
    with closing(sqlite3.connect(f"file:{folder / 'hanami.db'}?mode=ro", uri=True)) as database:
        uploads = {row[0] for row in database.execute("SELECT uuid FROM uploads")}
    endings = {"dataset": (".npy", ".idx"), "cluster": (".cluster",), "checkpoint": (".cluster",)}
    for kind, ends in endings.items():
        names = {path.name for path in (folder / f"{kind}s").iterdir()}
        assert names <= {uuid + end for uuid in listed[kind] for end in ends}, (kind, names)
    assert {path.name for path in (folder / "uploads").iterdir()} <= uploads


def kill_at_start(folder: Path, seconds: float) -> None:
    """Start a backend and kill it before it has come far."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hanami_jupyter.backend", "--port", "0", "--data-dir", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"HANAMI_ADMIN_USER_ID": ADMIN, "HANAMI_ADMIN_PASSWORD": PASSWORD, **CHEAP, "HOME": str(folder)},
    )
    time.sleep(seconds)
    process.kill()
    process.wait()


def run(folder: Path, rounds: int, seed: int) -> Counter[str]:
    """Kill a backend so many times; return what it was doing each time."""
    rng, promises, expected = random.Random(seed), Promises(), Expected()
    for number in range(rounds):
        if number % 5 == 4 or number == 0:
            kill_at_start(folder, rng.uniform(0.0, 1.5))
            promises.doing["start"] += 1
            continue
        backend = Backend(folder)
        try:
            if not promises.datasets:
                promises.datasets[backend.admin().mnist(ROWS)] = ""
            verify(backend, promises, expected)
            admin = backend.admin()
            works = [Work(admin, promises, rng.randrange(2**32), n) for n in range(3)]
            time.sleep(rng.uniform(0.05, 2.5))
            promises.doing.update({work.now for work in works})
        finally:
            backend.kill()
        for work in works:
            work.thread.join()
    backend = Backend(folder)
    try:
        verify(backend, promises, expected)
    finally:
        assert backend.stop() == 0
    wrong = [line for line in backend.log.read_text().splitlines() if "Traceback" in line]
    assert not wrong, wrong[0]
    return promises.doing


def main() -> int:
    """Kill as many times as the command line says."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    with tempfile.TemporaryDirectory() as folder:
        doing = run(Path(folder) / "data", rounds, seed=int(time.time()))
    told = ", ".join(f"{number} in {what}" for what, number in doing.most_common())
    sys.stdout.write(f"killed {rounds} times, {told}: everything promised is there, bit for bit\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
