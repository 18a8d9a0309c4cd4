"""How soon a click is answered among 10,000 datasets and 1,000 tasks: in the kernel, and in a browser."""

from __future__ import annotations

import shutil
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
from tests.browser.conftest import CHROMIUM, Notebook, started, write

DATASETS, TASKS, REPEATS, BAR = 10_000, 1_000, 30, 200
TEMPLATE = "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1 inputs: a: 1,1,1 outputs: b: 2,1,1"
CLICKS = {
    "next page": {"offset": 5_000},
    "sort by name": {"sort": "name", "descending": True},
    "filter": {"search": "set 99"},
}

# from the click to the frame that shows what it asks for, in milliseconds
CLICK = """
async (board, [what, number]) => {
    const card = () => [...board.querySelectorAll("section.hanami")].find(one => one.offsetParent);
    const find = selector => card().querySelector(selector);
    const rows = () => [...card().querySelectorAll("tr[aria-selected]")];
    const named = row => row.querySelector(".hanami-text").textContent;
    const turned = (click) => {
        const before = rows()[0].dataset.key;
        click();
        return () => rows()[0]?.dataset.key !== before;
    };
    const clicks = {
        "show the next page": () => turned(() => find("[aria-label='Next datasets']").click()),
        "sort by name": () => turned(() => find("th button").click()),
        "filter": () => turned(() => {
            find("input[type=search]").value = `set ${5000 + number}`;
            find("input[type=search]").dispatchEvent(new Event("input", { bubbles: true }));
        }),
        "select a dataset": () => {
            const row = rows().find(row => row.ariaSelected !== "true");
            row.click();
            return () => row.ariaSelected === "true" && find(`section[aria-label='dataset ${named(row)}']`);
        },
        "select a task": () => {
            const row = rows()[number % rows().length];
            row.click();
            return () => row.ariaSelected === "true";
        },
        "open the form of a task": () => {
            find(".hanami-start button").click();
            return () => find(".hanami-task-form");
        },
        "change the tab": () => {
            const [tab, before] = [board.querySelectorAll("[role=tab]")[1 + number % 2], card()];
            const { x, y } = tab.getBoundingClientRect();
            for (const type of ["pointerdown", "pointerup"])
                tab.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: x + 9, clientY: y + 9 }));
            return () => card() && card() !== before;
        },
    };
    const begin = performance.now();
    const seen = clicks[what]();
    do await new Promise(requestAnimationFrame); while (!seen() && performance.now() < begin + 30000);
    const took = performance.now() - begin;
    for (const close of card().querySelectorAll(".hanami-task-buttons button:last-child")) close.click();
    return took;
}
"""
TABS = {  # what is clicked under which tab
    "Datasets": ("show the next page", "sort by name", "filter", "select a dataset"),
    "Tasks": ("select a task", "open the form of a task", "change the tab"),
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


def report(what: str, times: list[float], bar: str = f"bar: {BAR} ms") -> None:
    """Print median and worst."""
    told = f" ({bar})" if bar else ""
    print(f"{what:36} {statistics.median(times):7.1f} ms, at most {max(times):7.1f} ms{told}")


def milliseconds(function: Callable[[], object]) -> list[float]:
    """Return what some calls take."""
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        function()
        times.append(1000 * (time.perf_counter() - begin))
    return times


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
            browse(folder)
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

    look()
    print(f"in the kernel: {panel.listing['total']:,} datasets")
    for what, view in CLICKS.items():
        message = {"id": "1", "command": "rows", "limit": 10, **view}
        report(f"  {what}", milliseconds(lambda message=message: panel._receive(None, message, None)))
    assert [answer["ok"] for answer in answered if "taken" not in answer] == [True] * len(CLICKS) * REPEATS
    report("  list read anew", milliseconds(look), "")
    panel.close()
    tasks = TaskProgress(session, queue(session))
    print(f"in the kernel: {TASKS:,} tasks")
    tasks.update()
    report("  look at all", milliseconds(tasks.update), "")
    tasks.close()


def browse(folder: Path) -> None:
    """Print what clicks take in a browser, from the mouse to the picture."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the tests' browser

    cells = [f"import hanami\nboard = hanami.Dashboard(hanami.local({str(folder)!r}))\nboard"]
    with tempfile.TemporaryDirectory() as home, started(Path(home)) as lab, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM))
        write(lab.folder / "bench.ipynb", cells)
        notebook = Notebook(chromium.new_page(), lab, "bench.ipynb", "lab")
        notebook.run_all()
        board = notebook.page.locator(".hanami-dashboard")
        for tab, clicks in TABS.items():
            board.get_by_role("tab", name=tab, exact=True).click()
            board.get_by_role("region", name=tab).get_by_role("row").nth(1).wait_for()
            print(f"in a browser: {tab.lower()}")
            for what in clicks:
                report(f"  {what}", [board.evaluate(CLICK, [what, number]) for number in range(REPEATS)])
        chromium.close()


if __name__ == "__main__":
    main()
