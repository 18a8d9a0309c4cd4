"""How quickly panels answer with 10,000 datasets and 1,000 tasks: the kernel's part of a click."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import numpy as np

from hanami_jupyter import launcher
from hanami_jupyter.backend.store import Store
from hanami_jupyter.panels.datasets import Datasets
from hanami_jupyter.panels.task_progress import TaskProgress
from hanami_jupyter.session import Session, connect

DATASETS, TASKS, REPEATS = 10_000, 1_000, 15
TEMPLATE = "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1 inputs: a: 1,1,1 outputs: b: 2,1,1"
CLICKS = {
    "next page": {"offset": 5_000},
    "sort by name": {"sort": "name", "descending": True},
    "filter": {"search": "set 99"},
}


def fill(folder: Path) -> None:
    """Write the rows of the datasets into a stopped backend's store."""
    store = Store(folder / "hanami.db")
    with store.transaction():
        for number in range(DATASETS):
            about = {"description": {}, "number_of_columns": 0, "number_of_rows": 0}
            owner = ("admin", "admin")
            store.add_dataset(str(uuid4()), f"set {number}", owner, kind="csv", info=about, complete=True)
    store.close()


def milliseconds(function: Callable[[], object]) -> tuple[float, float]:
    """Return median and worst of some calls."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times), max(times)


def queue(session: Session) -> str:
    """Start the tasks; return their cluster."""
    cluster = str(session.cluster.create_cluster("many tasks", TEMPLATE)["uuid"])
    rows = session.dataset.upload_data("two rows", np.zeros((2, 4)), np.arange(2))
    source = {"dataset_uuid": rows}
    inputs = [source | {"dataset_column": "picture", "hexagon_name": "a"}]
    outputs = [source | {"dataset_column": "label", "hexagon_name": "b"}]
    for number in range(TASKS):
        session.task.create_train_task(f"task {number}", cluster, inputs, outputs)
    return cluster


def main() -> None:
    """Print median and worst of each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        launcher.started(launcher.start(folder))
        launcher.stop(folder)
        fill(folder)
        running = launcher.started(launcher.start(folder))
        try:
            with connect(running.address, running.user, running.password) as session:
                measure(session)
        finally:
            launcher.stop(folder)


def measure(session: Session) -> None:
    """Print what clicks and looks take."""
    panel = Datasets(session)
    answered: list[object] = []
    panel.send = lambda content, *_: answered.append(content)

    def look() -> None:
        panel._stale = True
        panel.update()

    def report(what: str, function: Callable[[], object], bar: int | None = 200) -> None:
        median, worst = milliseconds(function)
        told = f" (bar: {bar} ms)" if bar else ""
        print(f"{what:36} {median:7.1f} ms, at most {worst:7.1f} ms{told}")

    look()
    print(f"{panel.listing['total']:,} datasets")
    for what, view in CLICKS.items():
        message = {"id": "1", "command": "rows", "limit": 10, **view}
        report(f"  click: {what}", lambda message=message: panel._receive(None, message, None))
    assert all(answer["ok"] for answer in answered)
    report("  list read anew", look, None)
    panel.close()
    tasks = TaskProgress(session, queue(session))
    print(f"{TASKS:,} tasks")
    tasks.update()
    report("  look at all", tasks.update, None)
    tasks.close()


if __name__ == "__main__":
    main()
