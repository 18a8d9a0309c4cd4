"""The panels as a person uses them: typing, clicking, dragging, keys; both themes, two widths, axe."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.panels import cases
from tests.proxy import Proxy

from .conftest import CARD, STICKING_OUT, faults

SETUP = f"import hanami\nowner = session = hanami.local()\n{cases.SETUP}"
MANY = """
dataset = session.dataset.upload_data("many rows", np.tile(pictures, (200, 1)), np.tile(labels, 200))
[train(f"pass epoch {number} of 50", dataset) for number in range(1, 51)]
tasks = hanami.TaskProgress(session, cluster)
tasks
"""
SINGLE = """
[train(f"task {number}") for number in range(74)]
tasks = hanami.TaskProgress(session, cluster)
tasks
"""
COMPILING = 150_000  # ms: the first training of a machine compiles the kernels


def test_signing_in_by_keyboard_leaves_no_secret_in_the_saved_notebook(open_notebook, server):
    notebook = open_notebook(["import hanami\nlogin = hanami.Login()\nlogin"])
    notebook.run_all()
    page = notebook.page
    card = page.locator(CARD)
    card.get_by_label("Server").fill(server.address)
    card.get_by_label("User").fill(server.user)
    card.get_by_label("Password").fill("not-the-password")
    card.get_by_label("Password").press("Enter")
    card.get_by_text("The user or the password is wrong").wait_for()
    card.get_by_label("Password").fill(server.password)
    card.get_by_label("Password").press("Enter")
    card.get_by_text(f"{server.user} (admin)").wait_for()
    notebook.screenshot("login-signed-in", card)
    notebook.add("print(login.session.hosts.list_hosts().columns[0], 1 + 1)\nlogin.session.token")
    page.get_by_text("uuid 2").wait_for()
    saved = notebook.save()
    assert "http" in saved
    assert '"application/vnd.jupyter.widget-state+json"' in saved
    html = subprocess.run(
        [sys.executable, "-m", "nbconvert", "--to", "html", "--stdout", str(notebook.path)],
        capture_output=True, check=True, timeout=120,
    ).stdout.decode()  # fmt: skip
    token = notebook.ask("str(login.session.token)")
    for secret in (server.password, "not-the-password", token, token.split(".")[1]):
        assert secret not in saved
        assert secret not in html
        assert secret not in page.content().replace(token, "", 1)
    card.get_by_role("button", name="Sign out").click()
    card.get_by_label("Password").wait_for()


def test_the_editor_is_one_document_for_keys_mouse_and_text(open_notebook):
    notebook = open_notebook([SETUP, "editor = hanami.TemplateEditor(session=session)\neditor"])
    notebook.run_all()
    page = notebook.page
    card = page.locator(CARD)
    text = card.locator(".cm-content")
    card.get_by_role("button", name="Add hexagon 2,2,1").click()
    assert "2,2,1" in text.inner_text()
    card.get_by_role("button", name="Hexagon 2,2,1").press("Shift+ArrowRight")
    assert "3,2,1" in text.inner_text()
    assert "2,2,1" not in text.inner_text()
    card.get_by_label("is", exact=True).select_option("output")
    card.get_by_label("named").fill("parity")
    card.get_by_label("named").press("Tab")
    assert "parity: 3,2,1" in text.inner_text()
    start = card.get_by_role("button", name="Hexagon 3,2,1").bounding_box()
    end = card.get_by_role("button", name="Add hexagon 4,1,1").bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(end["x"] + end["width"] / 2, end["y"] + end["height"] / 2, steps=5)
    page.mouse.up()
    assert "parity: 4,1,1" in text.inner_text()
    notebook.screenshot("editor-changed", card)
    for _ in range(6):
        if card.get_by_role("button", name="Undo").is_enabled():
            card.get_by_role("button", name="Undo").click()
    assert "parity" not in text.inner_text()
    card.get_by_role("button", name="Redo").click()
    card.get_by_label("Distance").fill("2")
    card.get_by_label("Distance").press("Tab")
    assert "max_connection_distance: 2" in text.inner_text()
    card.get_by_label("Name").fill("drawn")
    card.get_by_role("button", name="Create cluster").click()
    card.get_by_text("Cluster 'drawn' was created.").wait_for()
    assert notebook.ask("editor.template.settings.max_connection_distance") == "2"
    assert notebook.ask("editor.cluster['name']") == "'drawn'"


def test_the_editor_marks_mistakes_and_completes_keys_while_one_types(open_notebook):
    notebook = open_notebook([SETUP, "editor = hanami.TemplateEditor(session=session)\neditor"])
    notebook.run_all()
    page = notebook.page
    card = page.locator(CARD)
    text = card.locator(".cm-content")
    text.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("nonsense dd")
    card.get_by_text("problem").first.wait_for()
    assert card.get_by_role("button", name="Create cluster").is_disabled()
    card.locator(".cm-lintRange-error").first.wait_for()
    assert card.locator(".cm-lintRange-error").first.inner_text() in "nonsense dd"
    assert page.locator(".jp-Cell").count() == 2  # typing dd deletes no cell
    for _ in "nonsense dd":
        page.keyboard.press("Backspace")
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("neu")
    offered = page.get_by_role("option", name="neuron_cooldown")
    page.wait_for_function(
        """([name, typed]) => [...document.querySelectorAll(".cm-completionMatchedText")]
            .some(part => part.textContent === typed && part.closest("li").textContent.includes(name))""",
        arg=["neuron_cooldown", "neu"],
    )  # the list shows what was typed to the end, and moves no more
    offered.click()
    text.get_by_text("neuron_cooldown: 10000000.0").wait_for()


def test_tasks_are_aborted_from_the_panel_and_a_gone_kernel_is_said(open_notebook):
    notebook = open_notebook([SETUP, MANY])
    notebook.run_all()
    page = notebook.page
    card = page.locator(CARD)
    abort = card.get_by_role("button", name=re.compile(r"^Abort pass, epoch \d+ of 50"))
    abort.wait_for(timeout=COMPILING)
    abort.click()
    card.get_by_role("button", name="Go on").click()
    notebook.screenshot("tasks-running", card)
    abort.click()
    card.get_by_role("button", name="Abort", exact=True).click()
    card.get_by_text("aborted after").wait_for()
    notebook.restart_kernel()
    card.get_by_text("The kernel is gone. Run the cell again.").wait_for()


def test_many_tasks_are_all_counted_and_scroll_inside_the_panel(open_notebook):
    notebook = open_notebook([SETUP, SINGLE])
    notebook.run_all()
    page = notebook.page
    card = page.locator(CARD)
    card.get_by_text("75 finished").wait_for(timeout=COMPILING)
    card.get_by_text("15 more are not shown.").wait_for()
    tasks = card.get_by_role("list", name="tasks")
    assert tasks.evaluate("list => list.clientHeight <= 360 && list.scrollHeight > 600")
    tasks.focus()
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.hanami-tasks').scrollTop > 200")
    assert page.locator(".jp-Cell").count() == 2
    assert card.evaluate(STICKING_OUT) == []
    notebook.screenshot("tasks-many", card)
    assert faults(page) == []


def test_a_stopped_backend_is_said(open_notebook):
    cells = [
        SETUP,
        "tasks = hanami.TaskProgress(session, cluster)\ntasks",
        "import time\nfrom hanami_jupyter import launcher\nlauncher.stop()\ntime.sleep(2)",
    ]
    notebook = open_notebook(cells)
    notebook.run_all()
    notebook.page.locator(CARD).get_by_text("The panel keeps trying.").wait_for()


def test_the_matrix_filters_the_rows_and_views_of_one_panel_agree(open_notebook):
    notebook = open_notebook(
        [SETUP, "panel = hanami.Accuracy(labels, pictures)\npanel.add(outputs)\npanel", "panel"]
    )
    notebook.run_all()
    cards = notebook.page.locator(CARD)
    cards.nth(1).locator(".hanami-digit img").first.wait_for()
    first = cards.first
    right = first.locator('[data-cell="0,0"]')
    right.click()
    first.get_by_text("0 read right").wait_for()
    right.press("ArrowRight")
    assert first.locator('[data-cell="0,1"]').evaluate("cell => cell === document.activeElement")
    first.get_by_role("button", name="Least certain").click()
    first.get_by_text("least certain first").wait_for()
    notebook.add("panel.add(np.eye(10)[labels], run='perfect')")
    for card in cards.all():
        card.get_by_text("100.0 % of 300, 0 wrong").wait_for()


def test_a_slow_network_is_shown_while_a_click_is_under_way(open_notebook, server):
    proxy = Proxy(server.address)
    sign_in = f"session = hanami.connect({proxy.address!r}, {server.user!r}, {server.password!r})"
    setup = f"import hanami\nowner = {sign_in}\n{cases.SETUP}"
    code = "login = hanami.Login(session.address, session.user_id)\nlogin"
    notebook = open_notebook(
        [setup, code, "hanami.TemplateEditor(session=session)", "hanami.TaskProgress(session)"]
    )
    notebook.run_all()
    login, editor, tasks = (notebook.output(number).locator(CARD) for number in (1, 2, 3))
    tasks.get_by_text("1 finished").wait_for(timeout=COMPILING)
    proxy.delay = 1.0
    login.get_by_label("Password").fill(server.password)
    login.get_by_label("Password").press("Enter")
    editor.get_by_label("Name").fill("slowly made")
    editor.get_by_role("button", name="Create cluster").click()
    tasks.get_by_role("button", name="Start a task").click()
    for card in (login, editor, tasks):
        card.get_by_text("working…").wait_for()
    notebook.screenshot("tasks-working", tasks)
    proxy.delay = 0.0
    login.get_by_text("(admin)").wait_for()
    editor.get_by_text("Cluster 'slowly made' was created.").wait_for()
    for card in (login, editor, tasks):
        card.get_by_text("working…").wait_for(state="detached")
    proxy.close()
