"""Every command-line example of the reference document, as hanamictl and as %hanami.

The layouts are written from the reference; what differs from run to run stands in them as a pattern in angle
brackets.
"""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pandas as pd
import pytest
import requests
from IPython.core.interactiveshell import InteractiveShell

from hanami_jupyter import data, launcher
from hanami_jupyter.commands import shell as face
from hanami_jupyter.commands.context import the_backend
from hanami_jupyter.protocol.endpoints import BASE

OWNED_HEAD = "| UUID | NAME | VISIBILITY | OWNER ID | PROJECT ID | CREATED AT |"

PATTERNS = {
    "uuid": r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "time?": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|-                  ",
    "state": r"queued  |active  |finished",
    "count": r"\d+ *",
    "part": r"[01]\.\d+ *",
    "value": r"[01]\.\d{6}",
    "percent": r"\d+\.\d+",
    "name": r"[^|]+?",
    "rule": r"-+",
    "fill": r" +",
}


def matches(shown, layout):
    """Tell whether a table has a layout: <name> is a pattern, blanks and dashes are any number of them."""
    parts = re.split(r"<([a-z?]+)>", layout.strip("\n"))
    pattern = "".join(
        f"(?:{PATTERNS[part]})"
        if odd
        else re.sub(r"(?:\\ )+", " +", re.sub(r"(?:\\-)+\\\+", "-+\\+", re.escape(part)))
        for odd, part in ((i % 2, part) for i, part in enumerate(parts))
    )
    return re.fullmatch(pattern, shown.strip("\n")) is not None


@pytest.fixture(scope="module")
def ipython():
    made = InteractiveShell.instance()
    made.run_line_magic("load_ext", "hanami")
    yield made
    made.run_line_magic("unload_ext", "hanami")
    InteractiveShell.clear_instance()


@pytest.fixture
def run(server, session, monkeypatch, capsys, ipython, tmp_path):
    """Run a command as hanamictl and as the magic; return its table, its JSON and the magic's object."""
    for name, value in (("ADDRESS", server.address), ("USER", server.user), ("PW", server.password)):
        monkeypatch.setenv(f"HANAMI_{name}", value)
    monkeypatch.chdir(tmp_path)
    ipython.push({"session": session})

    def hanamictl(line):
        code = face.main(line.split())
        out, err = capsys.readouterr()
        assert (code, err) == (0, ""), err
        return out

    def both(line, *, twice=True):
        table = hanamictl(line)
        value = ipython.run_line_magic("hanami", line) if twice else None
        raw = json.loads(hanamictl(f"-j {line}")) if twice else None
        return table, raw, value

    both.shell = hanamictl
    both.magic = lambda line: ipython.run_line_magic("hanami", line)
    return both


def rest(session, method, path, **values):
    """Ask the server without our client."""
    answer = requests.request(
        method,
        f"{session.address}{BASE}{path}",
        params=values,
        headers={"X-Auth-Token": str(session.token)},
        timeout=10,
    )
    assert answer.status_code == 200
    return answer.json()


def test_project(run, session):
    made = run.shell("project create -n cli-test cli_test_project")
    layout = """
+------------+---------------------+
| ID         | cli_test_project    |
| NAME       | cli-test            |
| CREATOR ID | admin               |
| CREATED AT | <time> |
+------------+---------------------+
"""
    assert matches(made, layout)
    shown, raw, value = run("project get cli_test_project")
    assert shown == made
    assert raw == rest(session, "GET", "/project", id="cli_test_project")
    assert isinstance(value, pd.Series)
    assert value["id"] == "cli_test_project"
    shown, raw, value = run("project list")
    assert matches(
        shown,
        """
+------------------+----------+------------+---------------------+
|        ID        |   NAME   | CREATOR ID |     CREATED AT      |
+------------------+----------+------------+---------------------+
| cli_test_project | cli-test | admin      | <time> |
+------------------+----------+------------+---------------------+
""",
    )
    assert raw == rest(session, "GET", "/project/all")
    assert value["id"].to_list() == ["cli_test_project"]
    assert run.shell("project delete cli_test_project") == "successfully deleted project 'cli_test_project'\n"
    run.magic("project create -n again cli_test_project")
    assert json.loads(run.shell("project delete -j cli_test_project")) == {}


def test_user(run, session, monkeypatch):
    sent = "asdfasdfasdf\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(sent))
    made = run.shell("user create -n cli-test -p - cli_test_user")
    assert matches(
        made,
        """
+------------+---------------------+
| ID         | cli_test_user       |
| NAME       | cli-test            |
| IS ADMIN   | false               |
| PROJECTS   | []                  |
| CREATOR ID | admin               |
| CREATED AT | <time> |
+------------+---------------------+
""",
    )
    shown, raw, value = run("user get cli_test_user")
    assert shown == made
    assert raw == rest(session, "GET", "/user", id="cli_test_user")
    assert value["projects"] == []
    shown, raw, value = run("user list")
    assert matches(
        shown,
        """
+---------------+----------+----------+----------+-------------+---------------------+
|      ID       |   NAME   | IS ADMIN | PROJECTS | CREATOR ID  |     CREATED AT      |
+---------------+----------+----------+----------+-------------+---------------------+
| admin         | admin    | true     | []       | HANAMI_INIT | <time> |
| cli_test_user | cli-test | false    | []       | admin       | <time> |
+---------------+----------+----------+----------+-------------+---------------------+
""",
    )
    assert raw == rest(session, "GET", "/user/all")
    assert len(value) == 2
    run.shell("project create -n shared cli_shared")
    shown = run.shell("user add-project cli_test_user cli_shared --is_project_admin")
    listed = '[{"is_project_admin":true,"project_id":"cli_shared","role":"member"}]'
    assert shown.splitlines()[4].split("|")[2].strip() == listed
    assert "[]" in run.shell("user remove-project cli_test_user cli_shared")
    run.shell("project delete cli_shared")
    assert run.shell("user delete cli_test_user") == "successfully deleted user 'cli_test_user'\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with 200 digits to learn from, a table and a template."""
    folder = tmp_path_factory.mktemp("files")
    digits = data.sample()
    pictures, labels = data.read_idx(digits.train_images)[:200], data.read_idx(digits.train_labels)[:200]
    for name, values in (("images", pictures), ("labels", labels)):
        head = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
        (folder / name).write_bytes(head + values.tobytes())
    rows = "\n".join(f"{i},{i / 100}" for i in range(100))
    (folder / "test.csv").write_text(f"test_input,test_output\n{rows}\n")
    return folder


DATASET = """
+-------------------+-<rule>-+
| UUID              | <uuid><fill>|
| NAME              | cli_test_dataset<fill>|
| VERSION           | v1.0alpha<fill>|
| NUMBER OF COLUMNS | {columns}<fill>|
| NUMBER OF ROWS    | {rows}<fill>|
| DESCRIPTION       | {description} |
| VISIBILITY        | private<fill>|
| OWNER ID          | admin<fill>|
| PROJECT ID        | admin<fill>|
| CREATED AT        | <time><fill>|
+-------------------+-<rule>-+
"""


def lists(shown, head, row):
    """Tell whether a whole table is a list: this head, centred, and rows of this layout, left-aligned."""
    border, title, second, *rows, last = shown.splitlines()
    titles = [cell.strip() for cell in head.strip("| ").split("|")]
    widths = [len(part) - 2 for part in border.strip("+").split("+")]
    centred = [" " * ((w - len(t)) // 2) + t for t, w in zip(titles, widths, strict=True)]
    wanted = "| " + " | ".join(t.ljust(w) for t, w in zip(centred, widths, strict=True)) + " |"
    fits = all(matches(line, row) and len(line) == len(border) for line in rows)
    return title == wanted and border == second == last and set(border) == {"+", "-"} and rows and fits


OWNED_ROW = "| <uuid> | <name> | private    | admin    | admin      | <time> |"


def uuid_of(table):
    return re.search(PATTERNS["uuid"], table).group()


def test_dataset(run, session, files):
    made = run.shell(f"dataset create mnist -i {files}/images -l {files}/labels cli_test_dataset")
    description = (
        '{"label":{"column_end":794,"column_start":784},"picture":{"column_end":784,"column_start":0}}'
    )
    assert matches(made, DATASET.format(columns=794, rows=200, description=description))
    uuid = uuid_of(made)
    table = run.shell(f"dataset create csv -i {files}/test.csv cli_test_dataset")
    description = (
        '{"test_input":{"column_end":1,"column_start":0},"test_output":{"column_end":2,"column_start":1}}'
    )
    assert matches(table, DATASET.format(columns=2, rows=100, description=description))
    shown, raw, value = run(f"dataset get {uuid}")
    assert shown == made
    assert raw == rest(session, "GET", "/dataset", uuid=uuid)
    assert value["number_of_rows"] == 200
    shown, raw, value = run("dataset list")
    assert lists(shown, OWNED_HEAD, OWNED_ROW)
    assert raw == rest(session, "GET", "/dataset/all")
    assert uuid in value["uuid"].to_list()
    shown, raw, value = run(f"dataset content -c test_output -o 10 -n 2 {uuid_of(table)}")
    assert shown == (
        "+----+----------+\n"
        "|    |    0     |\n"
        "+----+----------+\n"
        "| 10 | 0.100000 |\n"
        "| 11 | 0.110000 |\n"
        "+----+----------+\n"
    )
    assert (
        raw
        == rest(
            session,
            "GET",
            "/dataset/content",
            uuid=uuid_of(table),
            column_name="test_output",
            number_of_rows=2,
            row_offset=10,
        )["data"]
    )
    assert isinstance(value, np.ndarray)
    shown, raw, value = run(f"dataset check -r {uuid} {uuid}")
    assert matches(
        shown,
        """
+----------+-------+
| ACCURACY | 100.0 |
+----------+-------+
""",
    )
    assert raw == {"accuracy": 100.0}
    shown = run.shell(f"dataset download -o all.npy {uuid}")
    assert np.load("all.npy").shape == (200, 794)
    for made_uuid in (uuid, uuid_of(table)):
        shown = run.shell(f"dataset delete {made_uuid}")
        assert shown == f"successfully deleted dataset '{made_uuid}'\n"


CLUSTER = """
+------------+--------------------------------------+
| UUID       | <uuid> |
| NAME       | cli_test_cluster                     |
| VISIBILITY | private                              |
| OWNER ID   | admin                                |
| PROJECT ID | admin                                |
| CREATED AT | <time>                  |
+------------+--------------------------------------+
"""
TASK = """
+------------------------+--------------------------------------+
| UUID                   | <uuid> |
| STATE                  | <state>                             |
| CURRENT CYCLE          | <count>|
| TOTAL NUMBER OF CYCLES | 200                                  |
| QUEUE TIMESTAMP        | <time>                  |
| START TIMESTAMP        | <time?>                  |
| END TIMESTAMP          | <time?>                  |
+------------------------+--------------------------------------+
"""


def test_cluster_task_and_checkpoint(run, session, files, template, tmp_path):  # noqa: PLR0915 - one story
    (tmp_path / "cluster_template").write_text(template)
    made = run.shell("cluster create -t ./cluster_template cli_test_cluster")
    assert matches(made, CLUSTER)
    uuid = uuid_of(made)
    shown, raw, value = run(f"cluster get {uuid}")
    assert shown == made
    assert raw == rest(session, "GET", "/cluster", uuid=uuid)
    assert value["template"].split() == template.split()
    shown, raw, value = run("cluster list")
    assert lists(shown, OWNED_HEAD, OWNED_ROW)
    assert raw == rest(session, "GET", "/cluster/all")
    assert uuid in value["uuid"].to_list()

    digits = uuid_of(run.shell(f"dataset create mnist -i {files}/images -l {files}/labels cli_digits"))
    line = (
        f"task create train -i {digits}:picture:picture -o {digits}:label:label -c {uuid} cli_train_test_task"
    )
    training = run.shell(line)
    assert matches(training, TASK)
    assert run.magic(line)["name"] == "cli_train_test_task"
    source = f"-i {digits}:picture:picture"
    line = f"task create request {source} -r label:output_data -c {uuid} cli_request_test_task"
    request = run.shell(line)
    assert matches(request, TASK)
    assert matches(run.shell(f"task wait -c {uuid} {uuid_of(request)}"), TASK.replace("<state>", "finished"))
    shown, raw, value = run(f"task get -c {uuid} {uuid_of(training)}")
    assert matches(shown, TASK.replace("<state>", "finished"))
    assert raw == rest(session, "GET", "/task", uuid=uuid_of(training), cluster_uuid=uuid)
    assert value["state"] == "finished"
    shown, raw, value = run(f"task list -c {uuid}")
    row = "| <uuid> | <name> | <part> | <time> | <time?> | <time?> |"
    assert lists(shown, "| UUID | STATE | PROGRESS | QUEUED | START | END |", row)
    assert shown.splitlines()[1].split() == [
        "|",
        "UUID",
        "|",
        "STATE",
        "|",
        "PROGRESS",
        "|",
        "QUEUED",
        "|",
        "START",
        "|",
        "END",
        "|",
    ]
    assert raw == rest(session, "GET", "/task/all", cluster_uuid=uuid)
    assert len(value) == 3
    shown = run.shell(f"dataset check -r {digits} {uuid_of(request)}")
    assert matches(
        shown,
        """
+----------+-<rule>-+
| ACCURACY | <percent><fill>|
+----------+-<rule>-+
""",
    )
    assert run.shell(f"task delete -c {uuid} {uuid_of(request)}") == (
        f"successfully deleted task '{uuid_of(request)}'\n"
    )

    saved = run.shell(f"cluster save -n cli_test_checkpoint {uuid}")
    assert matches(
        saved,
        """
+------+--------------------------------------+
| UUID | <uuid> |
| NAME | cli_test_checkpoint                  |
+------+--------------------------------------+
""",
    )
    session.task.wait(uuid_of(saved), uuid)
    restored = run.shell(f"cluster restore -c {uuid_of(saved)} {uuid}")
    assert matches(
        restored,
        """
+------+--------------------------------------+
| UUID | <uuid> |
+------+--------------------------------------+
""",
    )
    session.task.wait(uuid_of(restored), uuid)
    assert matches(
        run(f"checkpoint get {uuid_of(saved)}")[0],
        CLUSTER.replace("cli_test_cluster   ", "cli_test_checkpoint"),
    )
    shown, raw, value = run("checkpoint list")
    assert lists(shown, OWNED_HEAD, OWNED_ROW)
    assert raw == rest(session, "GET", "/checkpoint/all")
    assert "cli_test_checkpoint" in value["name"].to_list()
    shown, raw, value = run("host list")
    lines = shown.splitlines()
    assert lines[1] == "|                 UUID                 | TYPE |"
    assert all(matches(line, "| <uuid> | cpu  |") for line in lines[3:-1])
    assert raw == rest(session, "GET", "/host/all")
    host = value["uuid"].iloc[-1]
    placed = run.shell(f"-j cluster create -t ./cluster_template --host {host} cli_test_placed")
    assert json.loads(placed)["host_uuid"] == host
    run.shell("cluster delete cli_test_placed")
    assert matches(run.shell(f"cluster switch-host --host {host} {uuid}"), CLUSTER)

    assert run.shell(f"checkpoint delete {uuid_of(saved)}") == (
        f"successfully deleted checkpoint '{uuid_of(saved)}'\n"
    )
    assert run.shell(f"cluster delete {uuid}") == f"successfully deleted cluster '{uuid}'\n"


def test_logs_and_system(run, session):
    shown, raw, value = run("logs audit")
    assert shown.splitlines()[1].split() == [
        "|",
        "CREATED",
        "AT",
        "|",
        "USER",
        "ID",
        "|",
        "ENDPOINT",
        "|",
        "REQUEST",
        "TYPE",
        "|",
    ]
    assert raw["header"] == value.columns.to_list()
    assert run("logs error")[1]["header"][0] == "created_at"
    assert "|" in run("system info")[0]


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("cluster get 00000000-0000-4000-8000-000000000000", 1, "not found"),
        ("cluster", 0, ""),
        ("cluster get", 2, "Missing argument"),
        ("clusters list", 2, "No such command"),
        ("cluster create -t /no/such/file name", 2, "does not exist"),
        ("dataset content -c x -n many 00000000-0000-4000-8000-000000000000", 2, "not a valid integer"),
        ("task create train -i a:b -o a:b:c -c 00000000-0000-4000-8000-000000000000 n", 2, "not of the form"),
        ("user create -n nobody nobody_here", 2, "nobody to ask"),
        ("--address http://127.0.0.1:1 cluster list", 1, "127.0.0.1:1"),
    ],
)
def test_exit_codes_and_errors_on_stderr(server, monkeypatch, capsys, line, code, words):
    for name, value in (("ADDRESS", server.address), ("USER", server.user), ("PW", server.password)):
        monkeypatch.setenv(f"HANAMI_{name}", value)
    assert face.main(line.split()) == code
    out, err = capsys.readouterr()
    assert words in err
    assert err.count("\n") == (1 if code else 0)
    assert server.password not in out + err


def test_the_installed_command(server):
    environment = os.environ | {
        "HANAMI_ADDRESS": server.address,
        "HANAMI_USER": server.user,
        "HANAMI_PW": "not the password",
    }
    script = Path(sys.executable).with_name("hanamictl")
    done = subprocess.run(
        [script, "cluster", "list"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "incorrect" in done.stderr
    done = subprocess.run([script, "--version"], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("hanamictl, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell):
    script = Path(sys.executable).with_name("hanamictl")
    environment = os.environ | {"_HANAMICTL_COMPLETE": f"{shell}_source"}
    done = subprocess.run([script], env=environment, capture_output=True, text=True, check=False)
    assert "_HANAMICTL_COMPLETE" in done.stdout


def test_a_backend_that_stays_goes_before_those_of_notebooks(monkeypatch, tmp_path):
    monkeypatch.delenv("HANAMI_ADDRESS", raising=False)
    mine = launcher.local()
    stays = launcher.started(launcher.start_forever(tmp_path / "stays"))
    try:
        monkeypatch.setattr(launcher, "find", lambda: [stays, stays])
        with pytest.raises(click.UsageError, match="Several local backends run"):
            the_backend()
        monkeypatch.setattr(launcher, "find", lambda: [stays, launcher.status()])
        assert the_backend().address == stays.address
        monkeypatch.setattr(launcher, "find", lambda: [launcher.status()])
        assert the_backend().address == mine.address
        monkeypatch.setattr(launcher, "find", list)
        with pytest.raises(click.UsageError, match="no local backend runs"):
            the_backend()
    finally:
        launcher.stop(tmp_path / "stays")
        launcher.stop()


def test_each_example_as_a_magic(run, session, files, template, tmp_path, ipython):
    """Run the changing commands of the reference once more, now in a notebook."""
    (tmp_path / "cluster_template").write_text(template)
    ipython.push({"password": "asdfasdfasdf"})

    def magic(line, kind=pd.Series):
        found = run.magic(line)
        assert isinstance(found, kind), line
        return found

    assert magic("project create -n cli-test magic_project")["creator_id"] == "admin"
    assert magic("user create -n cli-test -p {password} magic_user")["is_admin"] is not True
    assert magic("user list", pd.DataFrame)["id"].to_list() == ["admin", "magic_user"]
    assert "'magic_user'" in magic("user delete magic_user", str)
    assert "'magic_project'" in magic("project delete magic_project", str)
    digits = magic(f"dataset create mnist -i {files}/images -l {files}/labels magic_digits")
    table = magic(f"dataset create csv -i {files}/test.csv magic_table")
    assert (digits["number_of_columns"], table["number_of_rows"]) == (794, 100)
    cluster = magic("cluster create -t cluster_template magic_cluster")
    ipython.push({"digits": digits, "cluster": cluster})
    learned = magic(
        "task create train --wait -i {digits}:picture:picture -o {digits}:label:label -c {cluster} magic_tr"
    )
    assert learned["state"] == "finished"
    asked = magic(
        "task create request -i {digits}:picture:picture -r label:answer -c {cluster} magic_ask --wait"
    )
    ipython.push({"asked": asked})
    assert magic("task get -c {cluster} {asked}")["name"] == "magic_ask"
    assert len(magic("task list -c {cluster}", pd.DataFrame)) == 2
    assert 0 <= magic("dataset check -r {digits} {asked}")["accuracy"] <= 100
    assert magic("dataset content -c answer -n 10 -o 100 {asked}", np.ndarray).shape == (10, 10)
    assert "deleted task" in magic("task delete -c {cluster} {asked}", str)
    saved = magic("cluster save -n magic_checkpoint {cluster}")
    session.task.wait(saved["uuid"], cluster["uuid"])
    ipython.push({"saved": saved})
    restored = magic("cluster restore -c {saved} {cluster}")
    session.task.wait(restored["uuid"], cluster["uuid"])
    again = magic("cluster create --checkpoint {saved} magic_again")
    assert again["uuid"] != cluster["uuid"]
    assert "magic_checkpoint" in magic("checkpoint list", pd.DataFrame)["name"].to_list()
    assert "deleted checkpoint" in magic("checkpoint delete {saved}", str)
    for name in ("magic_again", "magic_cluster"):
        assert "deleted cluster" in magic(f"cluster delete {name}", str)
    for name in ("magic_digits", "magic_table"):
        assert "deleted dataset" in magic(f"dataset delete {name}", str)
    assert set(magic("host list", pd.DataFrame).columns) == {
        *("uuid", "type", "name", "cores", "memory", "load")
    }


def test_what_create_prints_as_json_is_what_get_answers(run, session, template, tmp_path):
    (tmp_path / "cluster_template").write_text(template)
    made = json.loads(run.shell("-j cluster create -t cluster_template json_cluster"))
    assert made == rest(session, "GET", "/cluster", uuid=made["uuid"])
    project = json.loads(run.shell("project create -j -n json json_project"))
    assert project == rest(session, "GET", "/project", id="json_project")
    run.shell("project delete json_project")
    run.shell(f"cluster delete {made['uuid']}")
