"""The quick-start notebook as a new user runs it: every cell, the panel, the figures, in both themes."""

from __future__ import annotations

from pathlib import Path

QUICKSTART = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"


def test_quickstart_trains_and_shows_its_accuracy(open_notebook, theme):
    notebook = open_notebook(QUICKSTART, theme=theme)
    notebook.run_all()
    panel = notebook.page.locator("section.hanami").first
    bar = panel.get_by_role("progressbar")
    bar.scroll_into_view_if_needed()
    notebook.page.wait_for_function("bar => bar.ariaValueNow === '100'", arg=bar.element_handle())
    assert "100 %" in panel.inner_text()
    figures = notebook.page.locator(".jp-RenderedImage img")
    figures.nth(3).wait_for()  # template, accuracy, confusion, mistakes
    assert figures.first.bounding_box()["width"] > 100
    notebook.screenshot(f"quickstart-panel-{theme}")
    figures.nth(1).scroll_into_view_if_needed()
    notebook.screenshot(f"quickstart-accuracy-{theme}")
    figures.nth(3).scroll_into_view_if_needed()
    notebook.screenshot(f"quickstart-mistakes-{theme}")
    for figure in figures.all():  # although they were drawn before a panel told how the notebook looks
        assert ground(figure) == theme


def ground(figure):
    """Tell whether a figure's corner is light or dark."""
    corner = """image => {
        const canvas = document.createElement("canvas");
        canvas.getContext("2d").drawImage(image, 0, 0);
        return canvas.getContext("2d").getImageData(2, 2, 1, 1).data[0];
    }"""
    return "dark" if figure.evaluate(corner) < 128 else "light"
