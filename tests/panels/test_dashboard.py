"""The dashboard against a real server: tabs by role, one selection, rest for what is hidden, actions."""

from __future__ import annotations

import ast
import io
import secrets

import numpy as np
import pandas as pd
import pytest

from hanami_jupyter.panels import lists
from hanami_jupyter.panels.accuracy import Accuracy
from hanami_jupyter.panels.dashboard import Dashboard
from hanami_jupyter.panels.login import Login
from hanami_jupyter.panels.machine import Machine
from hanami_jupyter.panels.task_progress import TaskProgress
from hanami_jupyter.panels.template_editor import PRESETS, TemplateEditor
from hanami_jupyter.session import connect

from .conftest import flush, until

MEMBER = ["Clusters", "Datasets", "Tasks", "Checkpoints", "Results", "Hosts", "Logs", "Machine"]
ADMIN = [*MEMBER[:6], "Users and projects", *MEMBER[6:]]
PASSWORD = secrets.token_urlsafe(12)


@pytest.fixture
def clusters(session):
    made = [
        session.cluster.create_cluster(name, PRESETS["three in a row"])["uuid"]
        for name in ("left one", "right one")
    ]
    yield made
    for uuid in session.cluster.list_clusters()["uuid"]:
        session.cluster.delete_cluster(uuid)


@pytest.fixture
def member(session, server):
    session.project.create_project("garden", "Garden")
    session.user.create_user("fern", "Fern", PASSWORD, False)
    session.user.add_project_to_user("fern", "garden", "member", False)
    with connect(server.address, "fern", PASSWORD) as opened:
        yield opened
    session.user.delete_user("fern")
    session.project.delete_project("garden")


def panel_of(board, kind):
    """Return the panel of a class under the tab that is shown."""
    return next(panel for panel in board._panels[board.shown] if isinstance(panel, kind))


def show(board, title):
    board.shown = title
    until(lambda: title in board._panels and not board._panels[title][0]._resting)
    for panel in board._panels[title]:
        flush(panel)
        until(lambda panel=panel: getattr(panel, "listing", {"total": 0})["total"] is not None, panel)
    return board._panels[title]


def act(front_end, action, key="", attached=None, **values):
    answer = front_end.ask("act", attached, action=action, key=key, values=values)
    assert answer["ok"], answer
    return answer["result"]


def test_the_tabs_are_those_of_the_role(session, member):
    assert list(Dashboard(session)._tabs.titles) == ADMIN
    board = Dashboard(member)
    assert list(board._tabs.titles) == MEMBER
    assert [panel.title for panel in show(board, "Logs")] == ["What was changed"]
    with pytest.raises(ValueError, match=r"no tab 'Users'.*There are Clusters"):
        board.shown = "Users"


def test_a_tab_is_made_when_it_is_looked_at_and_rests_when_it_is_not(session, clusters, front, monkeypatch):
    looks = []
    read = Machine.update
    monkeypatch.setattr(Machine, "update", lambda panel: (looks.append(1), read(panel))[1])
    board = Dashboard(session)
    assert list(board._panels) == ["Clusters"]
    hidden = front(panel_of(board, lists.Clusters))
    (machine,) = show(board, "Machine")
    until(lambda: machine.processors, machine)
    seen = front(machine)
    until(lambda: len(looks) >= 2, machine)
    show(board, "Hosts")
    flush(machine)
    counts = len(looks), len(seen.messages), len(hidden.messages)
    session.cluster.create_cluster("a third", PRESETS["wide"])
    board.refresh()
    for panel in (machine, hidden.panel):
        panel.refresh()  # as every cell's end does
    until(lambda: machine._feed._thread is None, machine)  # nobody wants a turn any more
    assert (len(looks), len(seen.messages), len(hidden.messages)) == counts
    show(board, "Clusters")
    until(lambda: panel_of(board, lists.Clusters).listing["total"] == 3)


def test_some_tab_is_always_shown(session, server):
    login = Login(server.address, server.user)
    login.do_sign_in(server.address, server.user, True, server.password.encode())
    board = Dashboard(login)
    show(board, "Machine")
    board._tabs.selected_index = None  # as a front end says that is slow to draw other tabs
    until(lambda: board.shown == "Machine")
    (before,), boxes = board._panels["Machine"], board._tabs.children
    session.project.create_project("garden", "Garden")
    session.user.add_project_to_user(server.user, "garden", "member", False)
    login.do_switch_project("garden")
    until(lambda: board._panels.get("Machine", [before]) != [before])
    assert board.shown == "Machine"
    assert board._tabs.children == boxes  # a front end that is given others may forget which it showed
    assert before.closed
    session.user.remove_project_from_user(server.user, "garden")
    session.project.delete_project("garden")


def test_what_is_selected_in_one_place_is_selected_in_the_others(session, clusters, server):
    board = Dashboard(session)
    show(board, "Clusters")[0].selected = clusters[0]
    until(lambda: board.selection.cluster == clusters[0])
    (tasks,) = show(board, "Tasks")
    assert tasks.cluster_uuid == clusters[0]
    (hosts,) = show(board, "Hosts")
    home = session.cluster.get_cluster(clusters[0])["host_uuid"]
    until(lambda: hosts.selected == home, hosts)
    board.selection.cluster = clusters[1]
    show(board, "Clusters")
    assert panel_of(board, lists.Clusters).selected == clusters[1]
    show(board, "Tasks")
    until(lambda: panel_of(board, TaskProgress).cluster_uuid == clusters[1])
    users, _ = show(board, "Users and projects")
    users.selected = session.user_id
    audit, _ = show(board, "Logs")
    until(lambda: audit.user == session.user_id, audit)


def test_a_task_selects_its_cluster_and_its_result_and_a_result_its_task(session, result):
    task, _, _ = result
    cluster, other = session.cluster.list_clusters()["uuid"]
    board = Dashboard(session)
    (tasks,) = show(board, "Tasks")
    until(lambda: len(tasks.tasks) == 2, tasks)
    assert tasks.selectable
    tasks.selected = task
    until(lambda: (board.selection.task, board.selection.cluster) == (task, cluster))
    (results,) = show(board, "Results")
    until(lambda: results.selected == board.selection.dataset == task, results)
    show(board, "Clusters")
    assert panel_of(board, lists.Clusters).selected == cluster
    assert show(board, "Tasks") == [tasks]  # all of them, among which it was selected
    panel_of(board, TaskProgress).selected = ""
    until(lambda: (board.selection.task, board.selection.cluster) == ("", ""))
    (results,) = show(board, "Results")
    results.selected = ""
    results.selected = task
    until(lambda: (board.selection.task, board.selection.cluster) == (task, cluster))
    show(board, "Clusters")[0].selected = other
    until(lambda: (board.selection.task, board.selection.cluster) == ("", other))
    until(lambda: show(board, "Tasks")[0].cluster_uuid == other)
    board.selection.task = task  # which is not of that cluster
    until(lambda: board.selection.task == "")


def test_the_dataset_under_the_tab_of_datasets_is_the_one_of_results_and_the_first_of_the_form(
    session, clusters, front
):
    early = session.dataset.upload_data("early", np.zeros((4, 2)))
    session.dataset.upload_data("late", np.zeros((4, 2)))
    board = Dashboard(session)
    show(board, "Datasets")[0].selected = early
    (results,) = show(board, "Results")
    assert results.selected == early
    (tasks,) = show(board, "Tasks")
    offered = front(tasks).ask("options")["result"]["datasets"]
    assert offered[0]["uuid"] == early


def test_a_cluster_opens_as_picture_and_as_tasks_below_the_list_and_follows_the_selection(
    session, clusters, front
):
    board = Dashboard(session)
    (panel,) = show(board, "Clusters")
    ask = front(panel)
    panel.selected = clusters[0]
    act(ask, "picture", clusters[0])
    editor = panel_of(board, TemplateEditor)
    assert editor.template.hexagons == TemplateEditor.of_cluster(session, clusters[0]).template.hexagons
    act(ask, "tasks", clusters[0])
    assert editor.closed
    first = panel_of(board, TaskProgress)
    panel.selected = clusters[1]
    until(lambda: panel_of(board, TaskProgress).cluster_uuid == clusters[1])
    assert first.closed
    panel.selected = ""
    until(lambda: board._panels["Clusters"] == [panel])
    act(ask, "new")
    editor = panel_of(board, TemplateEditor)
    assert front(editor).ask("create", name="drawn here", text=PRESETS["wide"])["ok"]
    until(lambda: panel.selected == str(editor.cluster["uuid"]), panel)
    assert panel_of(board, TemplateEditor) is editor


def test_clusters_are_saved_restored_and_deleted(session, clusters, front):
    panel = lists.Clusters(session)
    assert [action["name"] for action in panel.offered] == ["save", "restore", "move", "delete"]
    ask = front(panel)
    flush(panel)
    assert "There is no checkpoint yet" in ask.ask("form", action="restore", key=clusters[0])["error"]
    act(ask, "save", clusters[0], name="kept state")
    (saved,) = session.checkpoint.list_checkpoints()["uuid"]
    assert panel.said == "Checkpoint 'kept state' is saved."
    assert f"session.cluster.save_cluster('kept state', '{clusters[0]}')" == panel.recipe["python"]
    (field,) = ask.ask("form", action="restore", key=clusters[0])["result"]
    assert field["choices"] == [(saved, "kept state")]
    act(ask, "restore", clusters[0], checkpoint=saved)
    assert set(session.task.list_tasks(clusters[0])["state"]) == {"finished"}
    about = dict(ask.ask("about", key=clusters[0])["result"])
    assert about["Inputs"]
    assert int(about["Neurons"].replace(",", "")) >= 0
    act(ask, "delete", clusters[0])
    assert clusters[0] not in set(session.cluster.list_clusters()["uuid"])
    assert panel.listing["total"] == 1
    session.checkpoint.delete_checkpoint(saved)


def test_a_cluster_is_moved_between_hosts(session, clusters, front):
    listed = session.hosts.list_hosts()
    ask = front(lists.Hosts(session))
    flush(ask.panel)
    (field,) = ask.ask("form", action="move", key=listed["uuid"][0])["result"]
    assert {uuid for uuid, _ in field["choices"]} == set(clusters)
    home = session.cluster.get_cluster(clusters[0])["host_uuid"]
    act(ask, "move", home, cluster=clusters[0])
    assert "is on" in ask.panel.said
    assert dict(ask.ask("about", key=home)["result"])["Clusters"].count("left one") == 1
    answer = front(lists.Clusters(session)).ask("form", action="move", key=clusters[0])
    others = set(listed["uuid"]) - {home}
    assert answer["ok"] == bool(others)
    if not others:
        assert "no other host" in answer["error"]


def test_a_checkpoint_goes_out_and_back_as_a_file_and_becomes_a_cluster(session, clusters, front):
    session.task.wait(session.cluster.save_cluster("taken along", clusters[0])["uuid"], clusters[0])
    (saved,) = session.checkpoint.list_checkpoints()["uuid"]
    ask = front(lists.Checkpoints(session))
    flush(ask.panel)
    file = act(ask, "download", saved)["file"]
    pieces = [
        ask.ask("fetch", number=file["number"], offset=at) for at in range(0, file["size"], file["piece"])
    ]
    assert all(piece["ok"] for piece in pieces)
    data = b"".join(ask.buffers)
    assert len(data) == file["size"]
    assert "not kept any more" in ask.ask("fetch", number=file["number"], offset=0)["error"]
    number = ask.ask("receive", name="taken along.checkpoint", size=len(data))["result"]
    import zlib

    for at in range(0, len(data), 500_000):
        piece = data[at : at + 500_000]
        assert ask.ask("part", piece, number=number, offset=at, checksum=zlib.crc32(piece))["ok"]
    act(ask, "upload", name="brought back", file=number)
    back = session.checkpoint.list_checkpoints().set_index("name")["uuid"]["brought back"]
    act(ask, "cluster", back, name="grown again")
    assert "grown again" in set(session.cluster.list_clusters()["name"])
    act(ask, "delete", back)
    act(ask, "delete", saved)
    assert not len(session.checkpoint.list_checkpoints())


def test_users_and_projects_are_made_assigned_and_removed_and_no_password_is_kept(session, front):
    projects, users = front(lists.Projects(session)), front(lists.Users(session))
    act(projects, "create", project="orchard", name="Orchard")
    act(users, "create", user="quince", name="Quince", admin=False, attached=PASSWORD.encode())
    assert users.panel.recipe["python"].endswith(
        "session.user.create_user('quince', 'Quince', getpass.getpass(), False)"
    )
    assert PASSWORD not in repr(users.panel.get_state()) + repr(users.messages) + repr(users.replies)
    fields = users.ask("form", action="assign", key="quince")["result"]
    assert ("orchard", "orchard") in fields[0]["choices"]
    act(users, "assign", "quince", project="orchard", role="member", leads=True)
    assert users.panel.rows["quince"]["roles"] == "orchard (member, sees all)"
    act(users, "remove", "quince", project="orchard")
    assert users.panel.rows["quince"]["roles"] == ""
    act(users, "delete", "quince")
    act(projects, "delete", "orchard")
    assert "orchard" not in set(session.project.list_projects()["id"])
    refused = users.ask("act", action="delete", key=session.user_id, values={})
    assert not refused["ok"]


def test_the_log_begins_with_its_last_page_and_turns_pages(session, front, monkeypatch):
    audit = lists.Log(session, "audit")
    ask = front(audit)
    flush(audit)
    count = len(audit.rows)
    session.project.create_project("counted", "Counted")
    session.project.delete_project("counted")
    ask.ask("refresh")
    until(lambda: audit.said, audit)
    while audit.page < 1:  # more than one page of the server's log
        for _ in range(60):
            session.project.create_project("counted", "Counted")
            session.project.delete_project("counted")
        act(ask, "whose", user="")
    newest = audit.rows.page(limit=1)["rows"][0]
    assert newest["endpoint"].endswith("project")
    last = audit.page
    assert "This is the last page" in ask.ask("act", action="later", key="", values={})["error"]
    act(ask, "earlier")
    assert audit.page == last - 1
    assert len(audit.rows) == 100
    assert audit.said.startswith(f"Page {last}")
    act(ask, "later")
    assert audit.page == last
    assert count <= 100


def test_the_server_s_machine_is_shown_over_every_span(session):
    board = Dashboard(session)
    (machine,) = show(board, "Machine")
    until(lambda: machine.processors, machine)
    for span, length in {"hours": 24, "days": 365, "minutes": 60, "seconds": 60}.items():
        machine.span = span
        flush(machine)
        until(lambda length=length: all(len(one["values"]) in {0, length} for one in machine.curves), machine)
    assert [one["name"] for one in machine.curves] == ["Power", "Temperature", "Clock"]
    assert machine.threads
    assert machine.title.startswith("Machine ")


@pytest.fixture
def result(session, clusters):
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 10, 400)
    rows = session.dataset.upload_data(
        "asked", {"picture": rng.random((400, 64)), "label": np.eye(10)[classes]}
    )
    links = [{"dataset_uuid": rows, "dataset_column": "picture", "hexagon_name": "picture"}]
    cluster = clusters[0]
    template = session.cluster.get_cluster(cluster)
    fed = [links[0] | {"hexagon_name": next(iter(template["inputs"]))}]
    out = next(iter(template["outputs"]))
    expected = [{"dataset_uuid": rows, "dataset_column": "label", "hexagon_name": out}]
    task = session.task
    task.wait(task.create_train_task("learning", cluster, fed, expected)["uuid"], cluster)
    asked = task.create_request_task(
        "answers", cluster, fed, [{"dataset_column": "label", "hexagon_name": out}]
    )
    task.wait(asked["uuid"], cluster)
    yield asked["uuid"], rows, classes
    for uuid in session.dataset.list_datasets()["uuid"]:
        session.dataset.delete_dataset(uuid)


def test_results_are_plotted_compared_and_downloaded(session, result, front):
    uuid, reference, classes = result
    board = Dashboard(session)
    (panel,) = show(board, "Results")
    ask = front(panel)
    until(lambda: uuid in panel.rows, panel)
    assert reference not in panel.rows
    plot = ask.ask("plot", key=uuid)["result"]
    assert (plot["columns"], plot["rows"], plot["more"]) == (["label"], 400, 3)
    assert [len(line["values"]) for line in plot["lines"]] == [300] * 7
    column, labels = ask.ask("form", action="compare", key=uuid)["result"]
    assert labels["choices"] == [(f"{reference} label", "asked: label")]
    act(ask, "compare", uuid, column=column["value"], labels=labels["value"])
    outputs = session.dataset.download_dataset(uuid)
    right = 100 * float((outputs.argmax(axis=1) == classes).mean())
    assert panel.said == f"'answers': {right:.1f} % of 400 are right."
    accuracy = panel_of(board, Accuracy)
    until(lambda: accuracy.headline.startswith(f"{right:.1f} %"), accuracy)
    act(ask, "csv", uuid)
    file = act(ask, "csv", uuid)["file"]
    assert ask.ask("fetch", number=file["number"], offset=0)["ok"]
    table = pd.read_csv(io.BytesIO(ask.buffers[-1]))
    np.testing.assert_allclose(table.to_numpy(), outputs, rtol=1e-5, atol=1e-6)
    file = act(ask, "npy", uuid)["file"]
    assert ask.ask("fetch", number=file["number"], offset=0)["ok"]
    np.testing.assert_array_equal(np.load(io.BytesIO(ask.buffers[-1])), outputs)
    ast.parse(panel.recipe["python"])
    act(ask, "all")
    assert reference in panel.rows
    act(ask, "results")
    assert reference not in panel.rows
    act(ask, "delete", uuid)
    assert uuid not in panel.rows


def test_it_follows_whoever_signs_in(session, member, server, front):
    login = Login(server.address)
    board = Dashboard(login)
    assert board._tabs.titles == ("Account",)
    ask = front(login)

    def sign_in(user, password):
        values = {"address": server.address, "user": user, "verify": True}
        answer = ask.ask("sign_in", attached=password.encode(), **values)
        assert answer["ok"], answer

    sign_in(server.user, server.password)
    until(lambda: list(board._tabs.titles) == [*ADMIN, "Account"])
    assert board.shown == "Account"
    show(board, "Users and projects")
    board.selection.user = server.user
    sign_in("fern", PASSWORD)
    until(lambda: list(board._tabs.titles) == [*MEMBER, "Account"])
    assert board.selection.user == ""
    show(board, "Clusters")
    assert ask.ask("sign_out")["ok"]
    until(lambda: board._tabs.titles == ("Account",))
    assert not login.closed
    board.close()
    assert not login.closed


def test_closing_leaves_no_widget_behind(session, clusters):
    from ipywidgets.widgets import widget

    before = set(widget._instances)
    board = Dashboard(session)
    for title in ADMIN:
        show(board, title)
    panels = [panel for panels in board._panels.values() for panel in panels]
    picture = board.snapshot()._repr_html_()
    for words in ("left one", "Users", "What failed", "Machine"):
        assert words in picture
    board.close()
    board.close()
    assert all(panel.closed for panel in panels)
    assert set(widget._instances) == before
    assert repr(board) == "<hanami.Dashboard>"
