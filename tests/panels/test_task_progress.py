"""The task panel against a real server: following, aborting, ending, failing, and leaving nothing behind."""

from __future__ import annotations

import json
import logging
import threading

import ipywidgets
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels import base
from hanami_jupyter.panels.task_progress import TaskProgress

from .conftest import flush, until

TEMPLATE = """
version: 1
settings:
    max_connection_distance: 1
hexagons:
    1,1,1
    2,1,1
inputs:
    data: 1,1,1
outputs:
    label: 2,1,1
"""
ROWS = 2000


@pytest.fixture(scope="module")
def dataset(session):
    rng = np.random.default_rng(0)
    return session.dataset.upload_data("rows", rng.random((ROWS, 16)), rng.integers(0, 2, ROWS))


@pytest.fixture
def cluster(session):
    uuid = session.cluster.create_cluster("digits", TEMPLATE)["uuid"]
    yield uuid
    session.cluster.delete_cluster(uuid)


@pytest.fixture
def train(session, dataset, cluster):
    columns = list(session.dataset.get_dataset(dataset)["description"])

    def start(name="pass 1"):
        source = {"dataset_uuid": dataset}
        return session.task.create_train_task(
            name,
            cluster,
            [source | {"dataset_column": columns[0], "hexagon_name": "data"}],
            [source | {"dataset_column": columns[1], "hexagon_name": "label"}],
        )["uuid"]

    return start


def states(panel):
    return [row["state"] for row in panel.tasks]


def test_it_follows_a_task_to_its_end_and_then_rests(session, cluster, train, front):
    panel = TaskProgress(session, cluster, train())
    front_end = front(panel)
    until(lambda: states(panel) == ["finished"], panel)
    flush(panel)
    row = panel.tasks[0]
    assert (panel.title, row["name"], row["done"], row["total"]) == ("Tasks of digits", "pass 1", ROWS, ROWS)
    assert panel.notice == ""
    until(lambda: panel._feed._thread is None, panel)
    sent = [message for message in front_end.messages if "tasks" in message]
    assert sent[-1]["tasks"][0]["state"] == "finished"
    count = len(front_end.messages)
    panel.refresh()
    flush(panel)
    assert front_end.messages[count:] == []  # nothing new, nothing sent


def test_a_cluster_without_tasks_is_followed_until_one_starts(session, cluster, train):
    panel = TaskProgress(session, cluster)
    flush(panel)
    assert panel.tasks == []
    train("first")
    train("second")
    panel.refresh()  # what the end of a cell does in a notebook
    until(lambda: states(panel) == ["finished", "finished"], panel)
    assert [row["name"] for row in panel.tasks] == ["second", "first"]


class Slow:
    """A session whose tasks the test moves on, for states that a fast server leaves too soon."""

    address, user_id, project_id, verify = "http://127.0.0.1:9", "fern", "garden", True

    def __init__(self, session, **task):
        self.real, self.row, self.deleted, self.fault = session, task, [], None
        self.cluster = self.task = self

    def get_cluster(self, _):
        return {"name": "slow"}

    def list_tasks(self, _):
        return {"uuid": ["t1"], "state": [self.row["state"]]}

    def get_task(self, *_):
        if self.fault:
            raise self.fault
        return self.task_row()

    def task_row(self):
        import pandas as pd

        row = {"name": "train", "start_timestamp": pd.Timestamp.now("UTC"), "end_timestamp": pd.NaT}
        return pd.Series(row | self.row)

    def delete_task(self, *_):
        if self.fault:
            raise self.fault
        self.deleted.append("t1")
        self.fault = exceptions.NotFoundException("gone")


ACTIVE = {"state": "active", "current_cycle": 25, "total_number_of_cycles": 100, "cycles_per_second": 50.4}


def test_a_running_task_shows_rate_and_time_left_and_a_queued_one_its_place():
    session = Slow(None, **ACTIVE)
    panel = TaskProgress(session, "c", "t1")
    until(lambda: panel.tasks, panel)
    assert panel.tasks[0]["rate"] == 50.4
    assert panel.tasks[0]["seconds_left"] == 1.5
    assert "25 of 100 cycles" in panel._html()
    session.row = ACTIVE | {"state": "queued", "current_cycle": 0, "queue_position": 2}
    until(lambda: states(panel) == ["queued"], panel)
    assert panel.tasks[0]["before"] == 2
    assert "queued, 2 before it" in panel._html()


def test_aborting_keeps_the_row_although_the_server_drops_the_task(front):
    session = Slow(None, **ACTIVE)
    panel = TaskProgress(session, "c")
    ask = front(panel).ask
    until(lambda: panel.tasks, panel)
    assert ask("abort", tasks=["t1"])["ok"]
    until(lambda: states(panel) == ["aborted"], panel)
    assert session.deleted == ["t1"]
    answer = ask("abort", tasks=["t1"])
    assert answer["error"] == "Task 'train' has ended already. There is nothing to abort."
    assert ask("abort", tasks=["none"])["ok"] is False


def test_a_task_started_while_the_last_known_one_ends_is_followed(monkeypatch):
    session = Slow(None, **ACTIVE)
    listed = {"uuid": ["t1"], "state": ["active"]}
    session.list_tasks = lambda _: listed
    panel = TaskProgress(session, "c")
    until(lambda: states(panel) == ["active"], panel)
    monkeypatch.setattr(panel, "_list_again", float("inf"))  # the list is still a recent one
    listed |= {"uuid": ["t1", "t2"], "state": ["finished", "finished"]}
    session.row = ACTIVE | {"state": "finished"}
    until(lambda: states(panel) == ["finished", "finished"], panel)


def test_before_the_first_answer_it_looks_and_says_no_tasks_only_after_one():
    session, answer = Slow(None, **ACTIVE), threading.Event()
    empty = {"uuid": [], "state": []}
    session.list_tasks = lambda _: empty if answer.wait(30) else None
    panel = TaskProgress(session, "c")
    looking = panel._html().partition("</style>")[2]
    assert looking == (
        '<section class="hanami"><header class="hanami-head"><h3>Tasks</h3> '
        '<span class="hanami-pill">○ looking…</span></header><ul class="hanami-tasks"></ul></section>'
    )
    assert panel._repr_mimebundle_()[0]["text/html"].endswith(looking)
    assert panel.get_state()["counts"] is None
    answer.set()
    assert "no tasks" in panel.snapshot()._repr_html_()
    assert (panel.title, panel.counts) == ("Tasks of slow", {})


def test_a_server_that_never_answered_leaves_the_tasks_unknown(session, cluster):
    missing = TaskProgress(session, cluster, "00000000-0000-0000-0000-000000000000")
    picture = missing.snapshot()._repr_html_()
    assert "○ unknown" in picture
    assert "no tasks" not in picture


def test_of_a_long_queue_the_next_ones_and_the_latest_that_ended_are_shown_and_all_are_counted(front):
    session = Slow(None, **ACTIVE)
    all_states = ["finished"] * 30 + ["active"] + ["queued"] * 300
    listed = {"uuid": [f"t{i}" for i in range(331)], "state": all_states}
    session.list_tasks = lambda _: listed
    session.get_task = lambda uuid, _: Slow(None, **ACTIVE | {"state": all_states[int(uuid[1:])]}).task_row()
    panel = TaskProgress(session, "c")
    until(lambda: panel.tasks, panel)
    shown = [f"t{i}" for i in [*range(30, 80), *range(29, 19, -1)]]
    assert [row["uuid"] for row in panel.tasks] == shown
    assert panel.counts == {"active": 1, "queued": 300, "finished": 30}
    assert "1 running, 300 queued, 30 finished" in panel._html()
    assert "271 more are not shown." in panel._html()


def test_of_many_tasks_the_running_and_the_next_are_shown(front):
    session = Slow(None, **ACTIVE)
    listed = {"uuid": [f"t{i}" for i in range(90)], "state": ["active"] + ["queued"] * 89}
    session.list_tasks = lambda _: listed
    panel = TaskProgress(session, "c")
    until(lambda: panel.tasks, panel)
    shown = [f"t{i}" for i in range(60)]
    assert [row["uuid"] for row in panel.tasks] == shown
    for _ in range(3):
        panel.refresh()
        flush(panel)
    assert [row["uuid"] for row in panel.tasks] == shown


@pytest.mark.parametrize("older", [["active"] + ["finished"] * 74, ["finished"] * 10 + ["queued"] * 65])
def test_what_ends_between_the_list_and_its_rows_is_listed_again(older):
    session = Slow(None, **ACTIVE | {"state": "finished"})
    lists = [older]
    session.list_tasks = lambda _: {
        "uuid": [f"t{i}" for i in range(75)],
        "state": lists.pop() if lists else ["finished"] * 75,
    }
    panel = TaskProgress(session, "c")
    until(lambda: panel.counts == {"finished": 75}, panel)
    assert "15 more are not shown." in panel._html()


def test_a_failed_abort_says_why(front):
    session = Slow(None, **ACTIVE)
    panel = TaskProgress(session, "c")
    until(lambda: panel.tasks, panel)
    session.fault = exceptions.ConflictException("The task belongs to somebody else. Ask its owner.")
    assert (
        front(panel).ask("abort", tasks=["t1"])["error"]
        == "The task belongs to somebody else. Ask its owner."
    )


def test_tasks_of_all_clusters_are_shown_and_a_task_needs_its_cluster(session, cluster, train):
    train("somewhere")
    panel = TaskProgress(session)
    until(lambda: "finished" in states(panel), panel)
    assert panel.title == "Tasks of all clusters"
    assert "somewhere" in [row["name"] for row in panel.tasks]
    with pytest.raises(ValueError, match="without its cluster"):
        TaskProgress(session, task_uuid="t1")


def test_a_form_offers_what_there_is_and_starts_epochs_and_requests(session, cluster, dataset, front):
    panel = TaskProgress(session, cluster)
    ask = front(panel).ask
    options = ask("options")["result"]
    assert options["clusters"] == [
        {"uuid": cluster, "name": "digits", "inputs": ["data"], "outputs": ["label"]}
    ]
    assert options["datasets"][0]["uuid"] == dataset
    columns = options["columns"]
    assert ask("columns", dataset=dataset)["result"] == columns
    task = {"cluster": cluster, "dataset": dataset, "inputs": {"data": columns[0]}}
    assert ask("start", kind="train", name="pass", epochs=2, outputs={"label": columns[1]}, **task)["ok"]
    assert ask("start", kind="request", name="asking", outputs={"label": "answer"}, **task)["ok"]
    until(lambda: states(panel) == ["finished"] * 3, panel)
    assert [row["name"] for row in panel.tasks] == ["asking", "pass epoch 2 of 2", "pass epoch 1 of 2"]
    wrong = ask("start", kind="train", name="pass", outputs={"label": "nothing"}, **task)
    assert wrong["ok"] is False
    assert "nothing" in wrong["error"]


def test_a_login_is_followed(session, server, cluster, train, front):
    from hanami_jupyter.panels.login import Login

    login = Login(server.address)
    panel = TaskProgress(login, cluster)
    until(lambda: "Sign in" in panel.notice, panel)
    train()
    front(login).ask(
        "sign_in", server.password.encode(), address=server.address, user=server.user, verify=True
    )
    until(lambda: states(panel) == ["finished"], panel)
    assert panel.notice == ""
    panel.close()
    login.close()


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (exceptions.ConnectionException("http://x cannot be reached."), "cannot be reached. The panel keeps"),
        (exceptions.TimeoutException("http://x does not answer."), "keeps trying"),
        (exceptions.UnauthorizedException("Failed to validate JWT-Token"), "Sign in again"),
        (exceptions.InternalServerErrorException("The server failed."), "The server failed."),
    ],
)
def test_what_is_wrong_is_said_and_passes(fault, says, monkeypatch):
    monkeypatch.setattr(base, "_RETRY", (0.05,))
    session = Slow(None, **ACTIVE)
    panel = TaskProgress(session, "c")
    until(lambda: panel.tasks, panel)
    session.fault = fault
    until(lambda: says in panel.notice, panel)
    assert says in panel._html()
    session.fault, session.row = None, ACTIVE | {"state": "finished"}
    until(lambda: states(panel) == ["finished"], panel)
    until(lambda: panel.notice == "", panel)


def test_a_stopped_backend_is_said_and_a_missing_task_ends_the_feed(session, cluster):
    from hanami_jupyter.session import Session

    gone = Session("http://127.0.0.1:9", session.token)
    panel = TaskProgress(gone, cluster)
    until(lambda: "127.0.0.1:9" in panel.notice, panel)
    panel.close()
    missing = TaskProgress(session, cluster, "00000000-0000-0000-0000-000000000000")
    until(lambda: missing.notice and missing._feed._thread is None, missing)
    assert "00000000" in missing.notice


def test_closing_twice_is_quiet_and_ends_the_feed(session, cluster):
    panel = TaskProgress(session, cluster)
    panel.close()
    panel.close()
    until(lambda: panel._feed._thread is None)
    assert "Tasks" in panel._repr_html_()
    panel.refresh()
    assert panel._feed._thread is None


def test_it_shows_itself_with_and_without_widgets(session, cluster):
    panel = TaskProgress(session, cluster)
    data, _ = panel._repr_mimebundle_()
    assert repr(panel) == "<hanami.TaskProgress>"  # what a kernel sends along
    until(lambda: panel._repr_mimebundle_()[0]["text/plain"] == "Tasks of digits: no tasks", panel)
    assert "application/vnd.jupyter.widget-view+json" in data
    assert '<section class="hanami">' in data["text/html"]
    assert isinstance(ipywidgets.HBox([panel]).children[0], TaskProgress)


def test_unknown_arguments_raise(session, cluster):
    with pytest.raises(TypeError):
        TaskProgress(session, cluster, colour="red")


def test_a_missing_bundle_says_how_to_build_it(monkeypatch, tmp_path):
    monkeypatch.setattr(base, "STATIC", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"js/build.py run build"):
        base.bundle("task_progress.js")


def test_no_secret_is_shown(session, server, cluster, train, caplog, front):
    caplog.set_level(logging.DEBUG)
    panel = TaskProgress(session, cluster, train())
    front_end = front(panel)
    until(lambda: states(panel) == ["finished"], panel)
    places = [
        json.dumps(panel.get_state(), default=repr),
        json.dumps(front_end.messages, default=repr),
        repr(panel),
        repr(panel._repr_mimebundle_()),
        panel.snapshot()._repr_html_(),
        caplog.text,
        repr(vars(panel)),
    ]
    token = str(session.token)
    for secret in (server.password, token, token.rpartition(".")[2]):
        assert not any(secret in place for place in places)


@pytest.fixture
def shell(monkeypatch):
    """A shell that tells which cell runs, as a kernel does."""
    shell = InteractiveShell()
    shell.run_number = 0

    def get_parent():
        return {
            "header": {"msg_id": str(shell.run_number)},
            "metadata": {"cellId": shell.cell},
            "content": {"code": ""},
        }

    shell.get_parent = get_parent
    monkeypatch.setattr(base, "get_ipython", lambda: shell)

    def run(cell, make):
        shell.run_number += 1
        shell.cell = cell
        shell.events.trigger("pre_run_cell", None)
        made = make()
        shell.events.trigger("post_run_cell", None)
        return made

    shell.run = run
    return shell


def test_running_a_cell_again_replaces_its_panel_alone(shell, session, cluster):
    other = shell.run("b", lambda: TaskProgress(session, cluster))
    both = shell.run("a", lambda: [TaskProgress(session, cluster), TaskProgress(session, cluster)])
    assert not any(panel.closed for panel in [other, *both])
    again = shell.run("a", lambda: TaskProgress(session, cluster))
    assert [panel.closed for panel in [other, *both, again]] == [False, True, True, False]


def test_fifty_runs_of_a_cell_leave_nothing_behind(shell, session, cluster, train):
    import gc
    import os

    from ipywidgets.widgets.widget import _instances

    def run():
        panel = shell.run("a", lambda: TaskProgress(session, cluster))
        flush(panel)
        return panel

    train()
    run()
    until(panel_rests)
    gc.collect()

    def counted():
        callbacks = sum(map(len, shell.events.callbacks.values()))
        return len(_instances), threading.active_count(), callbacks, len(os.listdir("/proc/self/fd"))

    before = counted()
    for _ in range(50):
        panel = run()
    until(lambda: panel._feed._thread is None, panel)
    until(lambda: counted() == before)


def panel_rests():
    return not [thread for thread in threading.enumerate() if thread.name == "hanami-feed"]


def test_a_later_cell_that_starts_a_task_is_followed(shell, session, cluster, train):
    panel = shell.run("a", lambda: TaskProgress(session, cluster))
    until(lambda: panel._feed._thread is None, panel)
    shell.run("b", train)
    until(lambda: states(panel) == ["finished"], panel)
