"""A real JupyterLab, which serves Notebook 7 too, in a real Chromium: one of each for all tests here."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
TOKEN = "browser-tests"
CHROMIUM = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SETTINGS = {
    "@jupyter-widgets/jupyterlab-manager/plugin": {"saveState": True},
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/docmanager-extension/plugin": {"autosave": False},
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}
CARD = "section.hanami"
STICKING_OUT = """card => [...card.querySelectorAll("*")].filter(item => {
    const scrolls = item.closest(".hanami-scroll, .cm-editor, svg");
    const [inner, outer] = [item.getBoundingClientRect(), card.getBoundingClientRect()];
    return !scrolls && inner.width > 0 && (inner.right > outer.right + 1 || inner.left < outer.left - 1);
}).map(item => item.outerHTML.slice(0, 100))"""
CUT_OFF = """card => [...card.querySelectorAll("button, label, h3, span, select, figcaption")]
    .filter(item => !item.closest(".cm-editor") && item.clientWidth > 0)
    .filter(item => item.scrollWidth > item.clientWidth + 1)
    .map(item => item.outerHTML.slice(0, 100))"""
FAILED = pytest.StashKey[bool]()
PATHS = {"lab": "lab/tree", "notebook": "notebooks"}
THEMES = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the system's Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        message = "there is no Chromium; install it, for example with `apt-get install chromium`"
        if os.environ.get("HANAMI_REQUIRE_BROWSER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


def faults(page: Any, context: str = CARD) -> list[tuple[str, list[str]]]:
    """Return what axe finds serious in a part of the page, with the places."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        (fault["id"], [node["html"][:200] for node in fault["nodes"]])
        for fault in Axe().run(page, context=context).response["violations"]
        if fault["impact"] in {"serious", "critical"}
    ]


@dataclass
class Lab:
    """A running JupyterLab: its address and the folder it shows."""

    url: str
    folder: Path

    def set_theme(self, theme: str) -> None:
        """Choose light or dark for pages that are opened from now on."""
        answer = requests.put(
            f"{self.url}lab/api/settings/@jupyterlab/apputils-extension:themes",
            json={"raw": json.dumps({"theme": THEMES[theme]})},
            headers={"Authorization": f"token {TOKEN}"},
            timeout=30,
        )
        answer.raise_for_status()

    def shutdown_kernels(self) -> None:
        """Stop every kernel, so that a test leaves nothing behind."""
        headers = {"Authorization": f"token {TOKEN}"}
        for session in requests.get(f"{self.url}api/sessions", headers=headers, timeout=30).json():
            requests.delete(f"{self.url}api/sessions/{session['id']}", headers=headers, timeout=30)


def _environment(home: Path) -> dict[str, str]:
    """Return a fresh home for everything that Jupyter, IPython, matplotlib and our backend keep."""
    jupyter = [
        name for name in os.environ if name.startswith(("JUPYTER", "IPYTHON", "HANAMI", "XDG_", "MPL"))
    ]
    environment = {name: value for name, value in os.environ.items() if name not in jupyter}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    home.mkdir()
    kernels = ROOT / "build" / "numba"  # compiled once, for all runs of these tests
    fresh = {"HOME": str(home), "USERPROFILE": str(home), "NUMBA_CACHE_DIR": str(kernels)}
    return environment | fresh | {"PATH": path, "PYTHONUTF8": "1"}


def _wait(what: str, found: Callable[[], Any], process: subprocess.Popen[bytes], log: Path) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        if result := found():
            return result
        time.sleep(0.05)
    pytest.fail(f"{what} did not come:\n{log.read_text('utf-8', 'replace')[-3000:]}")


@contextmanager
def started(folder: Path) -> Iterator[Lab]:
    """Start JupyterLab on a free port, with a fresh home; it serves Notebook 7 too."""
    environment = _environment(folder / "home")
    settings = folder / "home" / ".jupyter" / "lab" / "user-settings"
    for name, values in SETTINGS.items():
        path = settings / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
    notebooks = folder / "notebooks"
    notebooks.mkdir()
    log = folder / "lab.log"
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.port=0"),
        *(f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={notebooks}"),
        *("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"),
    ]
    runtime = folder / "home" / ".local" / "share" / "jupyter" / "runtime"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, cwd=notebooks, stdout=output, stderr=output, start_new_session=True
        )
    try:
        info = _wait("JupyterLab", lambda: next(iter(runtime.glob("jpserver-*.json")), None), process, log)
        url = _wait("its address", lambda: json.loads(info.read_text() or "{}").get("url"), process, log)
        url = url.replace("localhost", "127.0.0.1")

        def answers() -> bool:
            try:
                return requests.get(f"{url}api/status?token={TOKEN}", timeout=5).ok
            except requests.ConnectionError:
                return False

        _wait("an answer", answers, process, log)
        running = Lab(url, notebooks)
        yield running
        running.shutdown_kernels()
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="session")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """One JupyterLab for all tests."""
    with started(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=list(CHROMIUM), headless=True)
        yield running
        running.close()


def write(path: Path, sources: list[str]) -> None:
    """Write a notebook with these cells."""
    cells = [nbformat.v4.new_code_cell(text) for text in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


class Notebook:
    """A notebook open in JupyterLab or Notebook 7, as a person sees it."""

    def __init__(self, page: Any, lab: Lab, name: str, app: str) -> None:
        self.page = page
        self.lab = lab
        self.path = lab.folder / name
        page.goto(f"{lab.url}{PATHS[app]}/{name}?reset&token={TOKEN}")
        page.locator(".jp-Notebook .jp-Cell").first.wait_for(timeout=60_000)
        page.wait_for_function(
            "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel", timeout=60_000
        )
        page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.ready")
        page.evaluate("window.jupyterapp.shell.collapseLeft?.()")

    def command(self, name: str) -> None:
        """Run one of JupyterLab's commands and wait for its end."""
        self.page.evaluate("name => window.jupyterapp.commands.execute(name)", name)

    def run_all(self) -> None:
        """Run every cell; return when the last one has ended, and fail on the first error."""
        self.command("notebook:run-all-cells")
        errors = self.page.locator(
            ".jp-RenderedText[data-mime-type='application/vnd.jupyter.error'], "
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']"
        )
        assert errors.all_inner_texts() == []

    def start_all(self) -> None:
        """Start every cell without waiting for any."""
        self.page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")

    def add(self, source: str) -> None:
        """Write a cell at the end and run it."""
        self.page.evaluate(
            """async source => {
                const notebook = window.jupyterapp.shell.currentWidget.content;
                notebook.activeCellIndex = notebook.widgets.length - 1;
                await window.jupyterapp.commands.execute("notebook:insert-cell-below");
                notebook.activeCell.model.sharedModel.setSource(source);
                await window.jupyterapp.commands.execute("notebook:run-cell");
            }""",
            source,
        )

    def ask(self, expression: str) -> str:
        """Return an expression's value from the kernel, as Python writes it."""
        return self.page.evaluate(
            """async expression => {
                const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
                const request = kernel.requestExecute({
                    code: "", silent: true, user_expressions: { answer: expression },
                });
                const answer = (await request.done).content.user_expressions.answer;
                return answer.data ? answer.data["text/plain"] : answer.evalue;
            }""",
            expression,
        )

    def save(self) -> str:
        """Save with the state of all widgets, as the settings menu offers; return the file's text."""
        self.command("docmanager:save")
        return self.path.read_text("utf-8")

    def restart_kernel(self) -> None:
        """Restart without asking."""
        self.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")

    def output(self, cell: int) -> Any:
        """Return the output of a cell, counted from 0."""
        return self.page.locator(".jp-Cell").nth(cell).locator(".jp-Cell-outputArea")

    def screenshot(self, name: str, what: Any = None) -> Path:
        """Save what is to be looked at under build/screenshots."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        (what or self.page).screenshot(path=str(path), animations="disabled")
        return path


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest) -> str:
    """The two themes of JupyterLab."""
    return request.param


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember whether a test failed, for its fixtures."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def open_notebook(
    request: pytest.FixtureRequest, lab: Lab, browser: Any
) -> Iterator[Callable[..., Notebook]]:
    """Open a notebook, given as a file or as the sources of its cells."""
    contexts = []

    def open_one(
        source: Path | list[str],
        *,
        theme: str = "light",
        width: int = 1400,
        height: int = 1000,
        app: str = "lab",
    ) -> Notebook:
        lab.set_theme(theme)
        name = f"notebook-{time.monotonic_ns()}.ipynb"
        if isinstance(source, Path):
            shutil.copy(source, lab.folder / name)
        else:
            write(lab.folder / name, source)
        context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce")
        contexts.append(context)
        return Notebook(context.new_page(), lab, name, app)

    yield open_one
    for context in contexts:
        if request.node.stash.get(FAILED, False):
            SCREENSHOTS.mkdir(parents=True, exist_ok=True)
            context.pages[0].screenshot(path=str(SCREENSHOTS / f"failed-{request.node.name}.png"))
        context.close()
    lab.shutdown_kernels()
