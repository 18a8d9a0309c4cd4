"""Recipes: the code that a panel shows for what it did runs, does the same, and holds no password."""

from __future__ import annotations

import ast

import click
import numpy as np
import pytest

from hanami_jupyter.commands import tree
from hanami_jupyter.commands.context import Context
from hanami_jupyter.panels import recipes
from hanami_jupyter.panels.recipes import step
from hanami_jupyter.panels.task_progress import TaskProgress
from hanami_jupyter.panels.template_editor import PRESETS, TemplateEditor

from .conftest import until


def run_shell(text, session):
    """Run commands as a shell splits them, each by hanamictl's own grammar, in this session."""
    import shlex

    lines = text.split("\n")
    while lines:
        line, feed = lines.pop(0), None
        if line.endswith("<<'END'"):
            end = lines.index("END")
            feed, lines = "\n".join(lines[:end]), lines[end + 1 :]
            line = line.removesuffix("<<'END'")
        first, *words = shlex.split(line)
        assert first == "hanamictl"
        assert words[:6] == [
            *("--address", session.address),
            *("--user", session.user_id),
            *("--project", session.project_id),
        ]
        words = words[6:]
        if feed is not None:
            at = words.index("-t")
            assert words[at + 1] == "/dev/stdin"
            del words[at : at + 2]  # what %%hanami takes from below the line, the shell takes from there
        context = Context(found=lambda: session, keep=lambda _: None, body=feed)
        with click.Context(tree.root, obj=context).scope(cleanup=False):
            tree.root.main(words, obj=context, standalone_mode=False)


def test_a_long_call_has_a_line_for_each_argument_and_a_text_keeps_its_lines():
    text = step("cluster.create_cluster", "a name", "version: 1\nsettings:\n", replace=True).python()
    assert '"""version: 1\nsettings:\n"""' in text
    long = step("task.create_train_task", "n" * 40, "c" * 60).python()
    assert long == f"session.task.create_train_task(\n    '{'n' * 40}',\n    '{'c' * 60}',\n)"
    for nasty in ('a """ b\n', "back\\slash\n", 'ends\nwith "', "it's", "\n"):
        call = ast.parse(step("renew", nasty).python()).body[0].value
        assert ast.literal_eval(call.args[0]) == nasty


def test_a_password_is_asked_for_again(session):
    made = step("user.create_user", "fern", "Fern", recipes.PASSWORD, False, words=("user", "create", "fern"))
    shown = recipes.recipe(session, [made])
    assert shown["python"] == (
        "import getpass\nsession.user.create_user('fern', 'Fern', getpass.getpass(), False)"
    )
    assert shown["shell"].endswith("user create fern")


@pytest.mark.parametrize("language", ["python", "shell"])
def test_a_cluster_made_in_the_editor_is_made_again_by_its_recipe(session, front, language):
    editor = TemplateEditor(session=session)
    text = f"# it's a comment\n{PRESETS['wide']}"
    assert front(editor).ask("create", name="first one", text=text)["ok"]
    code = editor.recipe[language].replace("first one", f"again {language}")
    run = exec if language == "python" else run_shell
    run(code, {"session": session}) if language == "python" else run(code, session)
    known = session.cluster.list_clusters()
    again = known.loc[known["name"] == f"again {language}", "uuid"].item()
    assert (
        session.cluster.get_cluster(again)["hexagons"]
        == session.cluster.get_cluster(editor.cluster["uuid"])["hexagons"]
    )
    for uuid in (again, editor.cluster["uuid"]):
        session.cluster.delete_cluster(uuid)


@pytest.mark.parametrize("kind", ["train", "request"])
def test_tasks_started_in_the_panel_are_started_again_by_their_recipe(session, front, kind):
    rows = session.dataset.upload_data("rows", np.zeros((50, 4)), np.arange(50) % 2)
    columns = list(session.dataset.get_dataset(rows)["description"])
    cluster = session.cluster.create_cluster(f"to {kind}", PRESETS["three in a row"])["uuid"]
    panel = TaskProgress(session, cluster)
    template = session.cluster.get_cluster(cluster)
    values = {
        "kind": kind,
        "cluster": cluster,
        "dataset": rows,
        "inputs": {next(iter(template["inputs"])): columns[0]},
        "outputs": {next(iter(template["outputs"])): columns[1]},
        "name": "some task",
        "epochs": 2 if kind == "train" else 1,
    }
    assert front(panel).ask("start", **values)["ok"]
    count = 2 if kind == "train" else 1
    exec(panel.recipe["python"], {"session": session})
    run_shell(panel.recipe["shell"], session)
    assert len(session.task.list_tasks(cluster)) == 3 * count
    until(lambda: set(session.task.list_tasks(cluster)["state"]) == {"finished"})
    names = {
        session.task.get_task(uuid, cluster)["name"] for uuid in session.task.list_tasks(cluster)["uuid"]
    }
    assert len(names) == count
