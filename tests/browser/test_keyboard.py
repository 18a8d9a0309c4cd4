"""Each panel with the keyboard alone, in JupyterLab and in Notebook 7."""

from __future__ import annotations

import pytest

from .conftest import CARD
from .test_every_panel import COMPILING, LOCAL


@pytest.fixture(params=["lab", "notebook"])
def panel(request, open_notebook):
    """Return a function that shows a panel and gives its notebook, its card, and a way to walk there."""

    def show(code):
        notebook = open_notebook([LOCAL, f"panel = {code}\npanel"], app=request.param)
        notebook.run_all()
        card = notebook.output(1).locator(CARD)
        card.wait_for(timeout=COMPILING)
        card.locator("button:enabled, input, select, [tabindex='0']").first.focus()
        return notebook, card, lambda target: walk(notebook.page, target)

    return show


def walk(page, target):
    """Press Tab until the target has the focus."""
    for _ in range(60):
        if target.evaluate("target => target === document.activeElement"):
            return
        page.keyboard.press("Tab")
    pytest.fail(f"Tab does not lead to {target}")


def test_signing_in_and_out(panel, server):
    notebook, card, walk_to = panel(f"hanami.Login({server.address!r}, 'nobody')")
    keyboard = notebook.page.keyboard
    walk_to(card.get_by_label("User"))
    keyboard.press("Control+a")
    keyboard.type(server.user)
    walk_to(card.get_by_label("Password"))
    keyboard.type(server.password)
    keyboard.press("Enter")
    card.get_by_text(f"{server.user} (admin)").wait_for()
    walk_to(card.get_by_role("button", name="Sign out"))
    keyboard.press("Enter")
    card.get_by_label("Password").wait_for()


def test_drawing_and_creating_a_cluster(panel):
    notebook, card, walk_to = panel("hanami.TemplateEditor(session=session)")
    keyboard, text = notebook.page.keyboard, card.locator(".cm-content")
    walk_to(card.get_by_role("button", name="Hexagon 1,1,1, input picture"))
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    assert "4,1,1" in text.inner_text()
    keyboard.press("Shift+ArrowDown")
    card.get_by_role("button", name="Hexagon 4,2,1", exact=True).wait_for()
    keyboard.press("Control+z")
    assert "4,1,1" in text.inner_text()
    walk_to(card.get_by_role("button", name="Hexagon 4,1,1", exact=True))
    keyboard.press("Delete")
    assert "4,1,1" not in text.inner_text()
    walk_to(card.get_by_label("Name"))
    keyboard.press("Control+a")
    keyboard.type("by keyboard")
    walk_to(card.get_by_role("button", name="Create cluster"))
    keyboard.press("Enter")
    card.get_by_text("Cluster 'by keyboard' was created.").wait_for()


def test_starting_a_task(panel):
    notebook, card, walk_to = panel("hanami.TaskProgress(session, cluster)")
    card.get_by_text("1 finished").wait_for()
    walk_to(card.get_by_role("button", name="Start a task"))
    notebook.page.keyboard.press("Enter")
    start = card.get_by_role("button", name="Start", exact=True)
    start.wait_for()
    walk_to(start)
    notebook.page.keyboard.press("Enter")
    card.get_by_text("2 finished").wait_for()


def test_looking_at_mistakes(panel):
    notebook, card, walk_to = panel("hanami.Accuracy(labels, pictures)\npanel.add(outputs)")
    keyboard = notebook.page.keyboard
    card.locator(".hanami-digit img").first.wait_for()
    walk_to(card.locator('[data-cell="0,0"]'))
    keyboard.press("Enter")
    card.get_by_text("0 read right").wait_for()
    keyboard.press("ArrowRight")
    keyboard.press("Enter")
    card.get_by_text("0 taken for 1").wait_for()
    walk_to(card.get_by_role("button", name="Least certain"))
    keyboard.press("Enter")
    card.get_by_text("least certain first").wait_for()
