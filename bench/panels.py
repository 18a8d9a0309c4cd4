"""What a panel costs while a training runs at full speed: an answer to a click, cycles a second, a core."""

from __future__ import annotations

import os
import shutil
import statistics
import tempfile
import time
from ast import literal_eval
from pathlib import Path

from tests.browser.conftest import CHROMIUM, Notebook, started, write
from tests.panels.cases import SETUP
from tests.panels.kernel import Kernel, running

CLICKS = 50
PAIRS = 10
START = f"import hanami\nsession = hanami.local()\n{SETUP}"
LONG = """
from pathlib import Path
import psutil
many = session.dataset.upload_data("many rows", np.tile(pictures, (400, 1)), np.tile(labels, 400))
columns = list(session.dataset.get_dataset(many)["description"])
kernel = psutil.Process()

def measured():
    before, begin = sum(kernel.cpu_times()[:2]), time.monotonic()
    task = train("measured", many)
    if not panel.closed:
        panel.refresh()
    done = session.task.wait(task, cluster)
    share = (sum(kernel.cpu_times()[:2]) - before) / (time.monotonic() - begin)
    return float(done["cycles_per_second"]), share
"""
PANEL = "panel = hanami.TaskProgress(session, cluster)\npanel"


def clicks(kernel: Kernel, command: str, subshell: str | None) -> float:
    """Return the median time of an answer, in milliseconds."""
    times = []
    for _ in range(CLICKS):
        begin = time.perf_counter()
        assert kernel.reply(kernel.command(command, subshell=subshell))["ok"]
        times.append(1000 * (time.perf_counter() - begin))
    return statistics.median(times)


def answers(folder: Path) -> None:
    """Print how soon a click is answered in both models of message delivery."""
    with running(folder / "kernel.log") as kernel:
        kernel.run(f"{START}\n{LONG}")
        kernel.run(PANEL, "panel")
        kernel.run("tasks = [train(f'full speed {number}', many) for number in range(50)]")
        subshell = kernel.subshell()
        for command in ("refresh", "options"):
            on_subshell, on_main = (clicks(kernel, command, where) for where in (subshell, None))
            print(f"{command:8} {on_subshell:6.1f} ms on a subshell, {on_main:6.1f} ms on the main thread")
        left = kernel.run("print(sum(session.task.list_tasks(cluster)['state'] == 'queued'))")
        assert int(left) > 0, "the training ended before the clicks did"
        print("(median of 50 clicks beside a training; bar: at most 100 ms)")


def costs(folder: Path) -> None:
    """Print what a visible panel takes from a training, and from a core."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - the tests' browser

    pairs = []
    with started(folder) as lab, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM))
        write(lab.folder / "bench.ipynb", [f"{START}\n{LONG}", PANEL])
        notebook = Notebook(chromium.new_page(), lab, "bench.ipynb", "lab")
        notebook.run_all()
        notebook.ask("measured()")
        for number in range(PAIRS):
            notebook.add(PANEL)
            notebook.output(2 + number).get_by_text("finished").first.wait_for()
            shown = literal_eval(notebook.ask("measured()"))
            notebook.ask("panel.close()")
            pairs.append((shown, literal_eval(notebook.ask("measured()"))))
        chromium.close()
    lost = statistics.median(1 - with_panel[0] / without[0] for with_panel, without in pairs)
    core = statistics.median(with_panel[1] - without[1] for with_panel, without in pairs)
    rate = statistics.median(without[0] for _, without in pairs)
    print(f"a visible panel takes {100 * lost:5.1f} % of {rate:,.0f} cycles/s (bar: at most 10 %)")
    print(f"its Python side takes {100 * core:5.1f} % of a core (bar: at most 2 %)")


def main() -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HOME"] = folder
        answers(Path(folder))
        costs(Path(folder))


if __name__ == "__main__":
    main()
