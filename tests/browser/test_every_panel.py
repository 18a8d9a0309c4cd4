"""What holds for every panel in a browser: room, themes, contrast, secrets, restarts, views, pictures."""

from __future__ import annotations

import pytest
from nbconvert import HTMLExporter

from tests.panels.cases import PANELS, SETUP

from .conftest import CARD, CUT_OFF, STICKING_OUT, faults

LOCAL = f"import hanami\nowner = session = hanami.local()\n{SETUP}"
CELLS = [LOCAL, *(f"{case.code}\npanel" for case in PANELS)]
COMPILING = 150_000  # ms: the first training of a machine compiles the kernels


def shown(notebook):
    """Run the notebook with every panel; return the bundle and the cards of each, once they show all."""
    notebook.run_all()
    return [(case.bundle, ready(notebook, number, case)) for number, case in enumerate(PANELS, 1)]


def ready(notebook, number, case):
    """Return the cards that a panel shows in the output of a cell."""
    cards = notebook.output(number).locator(CARD).filter(visible=True)
    cards.get_by_text(case.ready).first.wait_for(timeout=COMPILING)
    return cards


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_every_panel_fits_at_every_width_in_both_themes(open_notebook, theme, app):
    notebook = open_notebook(CELLS, theme=theme, app=app)
    panels = shown(notebook)
    for width in (1400, 480):
        notebook.page.set_viewport_size({"width": width, "height": 1000})
        for bundle, cards in panels:
            cards.first.scroll_into_view_if_needed()
            for card in cards.all():
                assert card.evaluate(STICKING_OUT) == []
                assert card.evaluate(CUT_OFF) == []
            notebook.screenshot(f"{bundle}-{app}-{theme}-{width}", cards.first)
    assert faults(notebook.page) == []


def test_a_saved_notebook_and_its_page_hold_no_secret(open_notebook):
    notebook = open_notebook(CELLS)
    shown(notebook)
    token, password = (
        notebook.ask(f"str({secret})").strip("'")
        for secret in ("session.token", "session._login['password']")
    )
    saved = notebook.save()
    page, _ = HTMLExporter().from_filename(notebook.path)
    assert '"application/vnd.jupyter.widget-state+json"' in saved
    for secret in (token, token.split(".")[2], password):
        assert len(secret) > 20
        assert secret not in saved
        assert secret not in notebook.page.content()
        assert secret not in page


def test_every_panel_says_that_its_kernel_is_gone_and_a_new_run_brings_it_back(open_notebook):
    notebook = open_notebook(CELLS)
    panels = shown(notebook)
    notebook.restart_kernel()
    for _, cards in panels:
        cards.first.get_by_text("The kernel is gone. Run the cell again.").wait_for()
    for _, cards in shown(notebook):
        assert cards.get_by_text("The kernel is gone").count() == 0


def test_two_views_of_a_panel_show_the_same(open_notebook):
    first = [f"{case.code}\npanels.append(panel)\npanel" for case in PANELS]
    second = [f"panels[{number}]" for number in range(len(PANELS))]
    notebook = open_notebook([f"{LOCAL}\npanels = []", *first, *second])
    notebook.run_all()
    for number, case in enumerate([*PANELS, *PANELS], 1):
        ready(notebook, number, case)
    # a notice would go with the panel's next look at the server
    notebook.add("\n".join(f"panel = panels[{i}]\n{case.rename}" for i, case in enumerate(PANELS)))
    for number in range(1, 2 * len(PANELS) + 1):
        notebook.output(number).get_by_role("heading", name="Renamed").first.wait_for()


def test_a_page_of_the_saved_notebook_shows_every_picture(open_notebook, browser, tmp_path):
    snapshots = [f"{cell}.snapshot()" for cell in CELLS[1:]]
    notebook = open_notebook([LOCAL, *snapshots])
    notebook.run_all()
    notebook.save()
    for theme in ("light", "dark"):
        file = tmp_path / f"{theme}.html"
        file.write_text(HTMLExporter(theme=theme).from_filename(notebook.path)[0], "utf-8")
        with browser.new_context(offline=True, viewport={"width": 900, "height": 1000}) as context:
            page = context.new_page()
            page.goto(file.as_uri())
            cards = page.locator(CARD)
            for number, case in enumerate(PANELS):
                assert cards.nth(number).is_visible()
                assert cards.nth(number).evaluate(STICKING_OUT) == []
                notebook.screenshot(f"{case.bundle}-page-{theme}", cards.nth(number))
            assert faults(page) == []
