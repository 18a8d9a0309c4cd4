"""A Dask worker beside a local host: training MNIST, a move, direct messages, a dataset on its way."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from distributed import LocalCluster

import hanami_jupyter as hanami
from hanami_jupyter import data
from hanami_jupyter.session import Session

PAIRS = 7
PASSWORD = "only-for-this-bench"  # noqa: S105
TEMPLATE = """version: 1
settings:
    max_connection_distance: 1
hexagons:
    1,1,1
    2,1,1
    3,1,1
inputs:
    picture: 1,1,1
outputs:
    label: 3,1,1
"""


@contextmanager
def backend(place: Path, scheduler: str) -> Iterator[Session]:
    """Serve from a folder that the worker does not see, so that datasets have to travel."""
    log = place / "log"
    command = [
        sys.executable, "-m", "hanami_jupyter.backend", "--port", "0", "--hosts", "1",
        "--data-dir", "/proc/self/cwd/data", "--dask", scheduler,
    ]  # fmt: skip
    with log.open("wb") as file:
        environment = os.environ | {"HANAMI_ADMIN_USER_ID": "bench", "HANAMI_ADMIN_PASSWORD": PASSWORD}
        process = subprocess.Popen(command, stderr=file, cwd=place, env=environment)
        try:
            while not (found := re.search(r'"address": "(http[^"]+)"', log.read_text())):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            yield hanami.connect(found[1], "bench", PASSWORD)
        finally:
            process.terminate()
            process.wait()


def train(session: Session, name: str, host: str, dataset: str) -> float:
    """Return the seconds of one pass on a new cluster, its snapshot included, as the backend counts them."""
    cluster = session.cluster.create_cluster(name, TEMPLATE, seed=1, host=host, replace=True)["uuid"]
    columns = [
        [{"dataset_uuid": dataset, "dataset_column": column, "hexagon_name": column}]
        for column in ("picture", "label")
    ]
    task = session.task.create_train_task("pass", cluster, *columns)
    done = session.task.wait(task["uuid"], cluster)
    return float(done["total_number_of_cycles"] / done["cycles_per_second"])


def rounds(session: Session, cluster: str, number: int = 200) -> float:
    """Return the milliseconds of one direct training cycle and answer."""
    picture, label = np.zeros(784, np.float32), np.zeros(10, np.float32)
    with session.direct(cluster) as link:
        link.train(picture, label)
        began = time.perf_counter()
        for _ in range(number):
            link.train(picture, label)
        return (time.perf_counter() - began) / number * 1e3


def main() -> None:
    """Print the figures; each ratio is the median of pairs that follow each other."""
    digits = data.digits()
    with (
        tempfile.TemporaryDirectory() as place,
        LocalCluster(
            n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as workers,
        backend(Path(place), workers.scheduler_address) as session,
    ):
        hosts = session.hosts.list_hosts().set_index("type")["uuid"]
        here, there = hosts["cpu"], hosts["dask"]
        labels = data.read_idx(digits.train_labels)
        pictures = data.read_idx(digits.train_images).reshape(len(labels), -1)
        dataset = session.dataset.upload_data(
            "digits", {"picture": pictures, "label": np.eye(10, dtype=np.uint8)[labels]}
        )
        first = train(session, "there", there, dataset)
        train(session, "here", here, dataset)
        pairs = [
            (train(session, "here", here, dataset), train(session, "there", there, dataset))
            for _ in range(PAIRS)
        ]
        near, far = (statistics.median(times) for times in zip(*pairs, strict=True))
        ratio = statistics.median(away / home for home, away in pairs)
        size = pictures.nbytes + 10 * len(labels)
        print(f"{len(labels):,} digits, one pass: here {near:.3f} s, on a worker {far:.3f} s")
        print(f"worker/here: {ratio:.3f} (limit 1.15)")
        print(f"the first pass there, with {size / 1e6:.0f} MB on their way: {first:.3f} s")
        cluster = session.cluster.create_cluster("moving", TEMPLATE, host=here)["uuid"]
        session.fit(cluster, dataset, epochs=1)
        began = time.perf_counter()
        moves = (there, here) * 5
        for host in moves:
            session.cluster.switch_host(cluster, host)
            session.predict(cluster, pictures[:1])
        moved = (time.perf_counter() - began) / len(moves)
        memory = session.cluster.get_cluster(cluster)["memory_bytes"]
        print(f"a move of {memory / 1e6:.1f} MB and one answer: {moved * 1e3:.0f} ms")
        home = rounds(session, cluster)
        session.cluster.switch_host(cluster, there)
        away = rounds(session, cluster)
        print(f"a direct training cycle: here {home:.2f} ms, on a worker {away:.2f} ms")
    assert ratio <= 1.15


if __name__ == "__main__":
    main()
