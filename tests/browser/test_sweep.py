"""The panel of a sweep in a notebook: while it trains, when done, and when the kernel is interrupted."""

from __future__ import annotations

from .conftest import CARD, STICKING_OUT, faults

SETUP = """
%load_ext hanami
import numpy as np
import hanami
session = hanami.local()
rng = np.random.default_rng(0)
X = rng.random((20_000, 60), dtype=np.float32)
y = (X[:, :30].sum(axis=1) > X[:, 30:].sum(axis=1)).astype(int)
train = session.dataset.upload_data("to learn", {"picture": X, "label": np.eye(2)[y]})
test = session.dataset.upload_data("to test", {"picture": X[:2000], "label": np.eye(2)[y[:2000]]})
grid = hanami.template_grid(width=[1, 2, 3], depth=[3, 4, 5])
broken = grid | {"broken": grid["1 wide 3 deep reach 1"].replace("1,1,1\\n    2", "1,1,9\\n    2")}
"""
SWEEP = "found = session.sweep(broken, train, test, epochs=2)"
LONG = "found = session.sweep(grid, train, test, epochs=200)"
COMPILING = 150_000  # ms: the first training of a machine compiles the kernels
ORDER = """rows => {
    const right = rows.map(row => Number.parseFloat(row.cells[2].textContent));
    return right.every((value, i) => i === 0 || value <= right[i - 1]);
}"""


def test_the_panel_shows_what_runs_and_then_the_best(open_notebook, theme):
    notebook = open_notebook([SETUP, SWEEP], theme=theme)
    notebook.start_all()
    page = notebook.page
    card = page.locator(CARD)
    card.get_by_role("progressbar").first.wait_for(timeout=COMPILING)
    notebook.screenshot(f"sweep-running-{theme}", card)
    card.get_by_role("status").get_by_text("9 of 10 finished").wait_for(timeout=COMPILING)
    assert card.locator("svg.hanami-mini").count() == 9
    assert card.locator("tr[data-state=finished]").evaluate_all(ORDER)
    assert "is not in the list of hexagons" in card.locator("tr[data-state=failed]").inner_text()
    for width in (1400, 480):
        page.set_viewport_size({"width": width, "height": 1000})
        assert card.evaluate(STICKING_OUT) == []
        notebook.screenshot(f"sweep-{theme}-{width}", card)
    assert faults(page) == []
    assert notebook.ask("found['state'].value_counts().to_dict()") == "{'finished': 9, 'failed': 1}"


def test_an_interrupted_kernel_stops_the_sweep(open_notebook):
    notebook = open_notebook([SETUP, LONG])
    notebook.start_all()
    page = notebook.page
    card = page.locator(CARD)
    card.get_by_role("progressbar").first.wait_for(timeout=COMPILING)
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.interrupt()")
    card.get_by_role("status").get_by_text("9 stopped").wait_for()
    page.get_by_text("KeyboardInterrupt").first.wait_for()
    notebook.screenshot("sweep-stopped", card)
