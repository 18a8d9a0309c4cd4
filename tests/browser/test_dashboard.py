"""The dashboard as a person uses it: every tab, as admin and as member, by mouse and by keyboard alone."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import CARD, CUT_OFF, STICKING_OUT, faults

COMPILING = 150_000  # ms: the first training of a machine compiles the kernels


SETUP = """
import numpy as np
import hanami
session = hanami.local()
rng = np.random.default_rng(0)
labels = rng.integers(0, 10, 300)
pictures = rng.integers(0, 60, (300, 64))
pictures[np.arange(300), labels * 6] = 255
columns = {"picture": pictures.astype("float32"), "label": np.eye(10)[labels]}
template = hanami.TemplateEditor("wide").text

def furnish(session):
    dataset = session.dataset.upload_data("digits to learn", columns)
    cluster = session.cluster.create_cluster(f"digits of {session.user_id}", template)["uuid"]
    session.fit(cluster, dataset, epochs=3, inputs={"picture": "picture"}, outputs={"label": "label"})
    link = {"dataset_uuid": dataset, "dataset_column": "picture", "hexagon_name": "picture"}
    result = {"dataset_column": "label", "hexagon_name": "label"}
    asked = session.task.create_request_task("answers", cluster, [link], [result])
    session.task.wait(asked["uuid"], cluster)

session.project.create_project("garden", "Garden")
session.user.add_project_to_user("admin", "garden", "admin", False)
session.user.create_user("fern", "Fern", "fern likes moss", False)
session.user.add_project_to_user("fern", "garden", "member", False)
member = hanami.connect(session.address, "fern", "fern likes moss")
"""
SHOWN = {
    "admin": """
furnish(session)
for _ in range(60):  # more than a page of the log
    session.project.create_project("passing", "Passing")
    session.project.delete_project("passing")
board = hanami.Dashboard(hanami.Login())
board""",
    "member": "furnish(member)\nboard = hanami.Dashboard(member)\nboard",
}
NAMES = {"admin": "digits of admin", "member": "digits of fern"}
LOOKS = {  # the cards of each tab, and the row to be selected for the picture
    "Clusters": (("Clusters",), "digits"),
    "Datasets": (("Datasets",), "digits"),
    "Tasks": (("Tasks of digits of admin",), "answers"),
    "Checkpoints": (("Checkpoints",), ""),
    "Results": (("Results",), "answers"),
    "Hosts": (("Hosts",), "cpu"),
    "Users and projects": (("Users", "Projects"), "admin"),
    "Logs": (("What was changed", "What failed"), ""),
    "Machine": ((re.compile("^Machine "),), ""),
    "Account": (("Hanami",), ""),
}
PROJECT = ".hanami-signed select"
HANDS: dict[str, type[Mouse]] = {}


@dataclass
class Mouse:
    """A person with a mouse, at a dashboard."""

    page: Any
    board: Any

    def open(self, tab: str) -> None:
        """Go to a tab."""
        self.board.get_by_role("tab", name=tab, exact=True).click()

    def press(self, button: Any) -> None:
        """Press a button."""
        button.click()

    def fill(self, field: Any, text: str) -> None:
        """Write into a field."""
        field.fill(text)

    def choose(self, field: Any, option: str) -> None:
        """Choose from a list."""
        field.select_option(label=option)

    def pick(self, table: Any, words: str) -> None:
        """Select the row with these words."""
        table.get_by_role("row").filter(has_text=words).first.click()


class Keyboard(Mouse):
    """A person with a keyboard alone, who goes back to the tabs when the end is reached."""

    def _reach(self, found: Callable[[], bool], key: str = "Tab") -> None:
        for _ in range(150):
            if found():
                return
            self.page.keyboard.press(key)
        pytest.fail(f"{key} does not lead there")

    def _focused(self, item: Any) -> bool:
        return bool(item.evaluate("item => item === document.activeElement"))

    def open(self, tab: str) -> None:
        """Go back to the tabs, and along them."""
        item = self.board.get_by_role("tab", name=tab, exact=True)
        on = "document.activeElement?.matches('.hanami-dashboard [role=tab]')"
        if not self.page.evaluate("!!document.activeElement?.closest('.hanami-dashboard')"):
            self._reach(lambda: self.page.evaluate(on))
        self._reach(lambda: self.page.evaluate(on), "Shift+Tab")
        self._reach(lambda: self._focused(item), "ArrowRight")
        self.page.keyboard.press("Enter")

    def press(self, button: Any) -> None:
        """Walk to a button and press it."""
        button.wait_for()
        self._reach(lambda: self._focused(button))
        self.page.keyboard.press("Enter")

    def fill(self, field: Any, text: str) -> None:
        """Walk to a field and write over what it holds."""
        self._reach(lambda: self._focused(field))
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def choose(self, field: Any, option: str) -> None:
        """Walk to a list, and along it."""
        self._reach(lambda: self._focused(field))
        chosen = "list => list.selectedOptions[0].label"
        self.page.keyboard.press("Home")
        self._reach(lambda: field.evaluate(chosen) == option, "ArrowDown")

    def pick(self, table: Any, words: str) -> None:
        """Walk into a table, along its rows, and select one."""
        row = table.get_by_role("row").filter(has_text=words).first
        row.wait_for()
        inside = "table => document.activeElement.matches('tr') && table.contains(document.activeElement)"
        self._reach(lambda: table.evaluate(inside))
        self.page.keyboard.press("Home")
        self._reach(lambda: self._focused(row), "ArrowDown")
        self.page.keyboard.press("Enter")


HANDS.update(mouse=Mouse, keyboard=Keyboard)


class Desk:
    """A dashboard in a notebook, and a person at it."""

    def __init__(self, notebook: Any, hand: str = "mouse") -> None:
        self.notebook, self.page = notebook, notebook.page
        self.board = self.page.locator(".hanami-dashboard")
        self.board.locator("section.hanami").first.wait_for(timeout=COMPILING)
        self.hand = HANDS[hand](self.page, self.board)

    def card(self, title: str) -> Any:
        """Return a card by its title."""
        return self.board.get_by_role("region", name=title, exact=True)

    def open(self, tab: str, *titles: str) -> Any:
        """Go to a tab; return its first card as soon as it shows what it has."""
        self.hand.open(tab)
        cards = [self.card(title) for title in titles or (tab,)]
        for card in cards:
            card.wait_for()
            card.get_by_text("looking…").wait_for(state="detached")
        return cards[0]

    def act(self, card: Any, name: str, file: Path | None = None, **values: str) -> None:
        """Press a button, fill in its form and send it, or answer its question."""
        self.hand.press(card.get_by_role("button", name=name, exact=True))
        form = card.get_by_role("form", name=name)
        form.wait_for()
        if file:
            form.get_by_label("File").set_input_files(file)
        for label, value in values.items():
            field = form.get_by_label(label, exact=True)
            if field.evaluate("field => field.tagName") == "SELECT":
                self.hand.choose(field, value)
            else:
                self.hand.fill(field, value)
        self.hand.press(form.get_by_role("button", name=name, exact=True))


@pytest.fixture
def desk(open_notebook):
    def sit(role: str, theme: str, hand: str) -> Desk:
        notebook = open_notebook([SETUP, SHOWN[role]], theme=theme)
        notebook.run_all()
        at = Desk(notebook, hand)
        if role == "admin":
            at.hand.press(at.card("Hanami").get_by_role("button", name="Start a local backend"))
            at.board.get_by_role("tab", name="Clusters").wait_for()
        return at

    return sit


@pytest.mark.parametrize("hand", HANDS)
@pytest.mark.parametrize("role", SHOWN)
def test_a_person_walks_every_tab(desk, role, theme, hand):
    at = desk(role, theme, hand)
    work(at, NAMES[role])
    look(at, role)
    clusters = at.open("Clusters")
    at.hand.pick(clusters.get_by_role("grid"), "grown again")
    at.act(clusters, "Delete")
    clusters.get_by_text("Cluster 'grown again' was deleted.").wait_for()
    at.hand.press(clusters.locator("summary"))
    assert clusters.locator("pre").first.inner_text().startswith("session.cluster.delete_cluster(")
    assert at.board.get_by_role("tab", name="Users and projects").count() == (role == "admin")
    if role == "admin":
        administer(at)
        account = at.open("Account", "Hanami")
        at.hand.choose(account.get_by_label("project"), "garden")
        account.get_by_role("status").get_by_text("signed in").wait_for()
        at.page.wait_for_function("label => document.querySelector(label)?.value === 'garden'", arg=PROJECT)
        at.open("Clusters")
        assert at.notebook.ask("board.session.project_id") == "'garden'"


def work(at, name):
    """Save a cluster, look at it, train it, and make another of what was saved."""
    clusters = at.open("Clusters")
    at.hand.pick(clusters.get_by_role("grid"), name)
    clusters.get_by_text("Neurons").wait_for()
    at.act(clusters, "Save", Checkpoint="as it was")
    clusters.get_by_text("Checkpoint 'as it was' is saved.").wait_for()
    at.hand.press(clusters.get_by_role("button", name="Picture"))
    at.board.get_by_role("region", name="Template").wait_for()
    tasks = at.open("Tasks", f"Tasks of {name}")  # of the cluster selected elsewhere
    at.hand.press(tasks.get_by_role("button", name="Start a task"))
    at.hand.fill(tasks.get_by_label("Name"), "by hand")
    at.hand.press(tasks.get_by_role("button", name="Start", exact=True))
    rows = tasks.get_by_role("grid")
    rows.get_by_role("row").filter(has_text="by hand").wait_for()
    at.hand.pick(rows, "answers")
    rows.get_by_role("row", selected=True).filter(has_text="answers").wait_for()
    checkpoints = at.open("Checkpoints")
    at.hand.pick(checkpoints.get_by_role("grid"), "as it was")
    with at.page.expect_download() as download:
        at.hand.press(checkpoints.get_by_role("button", name="Download"))
    assert download.value.suggested_filename == "as it was.checkpoint"
    at.act(checkpoints, "Upload", Path(download.value.path()), Checkpoint="brought back")
    checkpoints.get_by_text("Checkpoint 'brought back' was uploaded.").wait_for()
    at.hand.pick(checkpoints.get_by_role("grid"), "brought back")
    at.act(checkpoints, "New cluster", Cluster="grown again")
    checkpoints.get_by_text("Cluster 'grown again' was created.").wait_for()
    at.act(checkpoints, "Delete")
    checkpoints.get_by_text("Checkpoint 'brought back' was deleted.").wait_for()


def look(at, role):
    """Compare a result and take it along; look at datasets, hosts, logs and the machine."""
    results = at.open("Results")
    results.get_by_role("row", selected=True).filter(
        has_text="answers"
    ).wait_for()  # as the task that left it
    results.get_by_role("img", name="label over 300 rows").wait_for()
    at.act(results, "Compare with labels")
    at.board.get_by_role("region", name="Accuracy of answers").get_by_text("of 300").first.wait_for()
    with at.page.expect_download() as download:
        at.hand.press(results.get_by_role("button", name="Download CSV"))
    rows = list(csv.reader(Path(download.value.path()).read_text("utf-8").splitlines()))
    assert (download.value.suggested_filename, len(rows), len(rows[0])) == ("answers.csv", 301, 10)
    datasets = at.open("Datasets")
    selected = datasets.get_by_role("row", selected=True)
    selected.filter(has_text="answers").wait_for()  # as in the results
    hosts = at.open("Hosts")
    hosts.get_by_role("row", selected=True).wait_for()  # the one of the cluster
    at.act(hosts, "Move a cluster here", Cluster="grown again")
    hosts.get_by_text("Cluster 'grown again' is on").wait_for()
    logs = at.open("Logs", "What was changed")
    logs.get_by_text("v1.0alpha/cluster/switch_host").first.wait_for()
    assert at.card("What failed").count() == (role == "admin")
    if role == "admin":
        at.hand.press(logs.get_by_role("button", name="Earlier page"))
        logs.get_by_text("Page 1, 100 entries a page").wait_for()
        logs.get_by_text(re.compile("of 100$")).wait_for()
        at.hand.press(logs.get_by_role("button", name="Later page"))
        logs.get_by_text("Page 2, 100 entries a page").wait_for()
    machine = at.open("Machine", re.compile("^Machine "))
    at.hand.press(machine.get_by_role("button", name="year"))
    machine.get_by_role("button", name="year", pressed=True).wait_for()


def administer(at):
    """Make a project and a user, bring them together, part them, and take both away."""
    users = at.open("Users and projects", "Users", "Projects")
    projects = at.card("Projects")
    at.act(projects, "New project", Id="orchard", Name="Orchard")
    projects.get_by_text("Project 'orchard' was created.").wait_for()
    at.act(users, "New user", Id="quince", Name="Quince", Password="a quince is sour")
    users.get_by_text("User 'quince' was created.").wait_for()
    at.hand.pick(users.get_by_role("grid"), "quince")
    at.act(users, "Assign project", Project="orchard")
    users.get_by_text("orchard (member)").wait_for()
    at.act(users, "Remove from project")
    users.get_by_text("orchard (member)").wait_for(state="detached")
    at.act(users, "Delete")
    users.get_by_text("User 'quince' was deleted.").wait_for()
    at.hand.pick(projects.get_by_role("grid"), "orchard")
    at.act(projects, "Delete")
    projects.get_by_text("Project 'orchard' was deleted.").wait_for()
    assert "a quince is sour" not in at.page.content()
    assert "a quince is sour" not in at.notebook.save()


def test_every_tab_fits_at_every_width_and_can_be_read_by_all(desk, theme):
    at = desk("admin", theme, "mouse")
    for width in (1400, 480):
        at.page.set_viewport_size({"width": width, "height": 1000})
        for tab, (titles, row) in LOOKS.items():
            card = at.open(tab, *titles)
            if row:
                at.hand.pick(card.get_by_role("grid").first, row)
            for words in ("looking…", "Fetching…"):
                at.board.get_by_text(words).first.wait_for(state="detached")
            for one in at.board.locator(CARD).filter(visible=True).all():
                assert one.evaluate(STICKING_OUT) == []
                assert one.evaluate(CUT_OFF) == []
            at.notebook.screenshot(f"dashboard-{tab.partition(' ')[0].lower()}-{theme}-{width}", at.board)
            assert faults(at.page, ".hanami-dashboard") == []
