"""The template editor: presets, clusters, files; and the cases that its front end's parser reads alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.panels.template_editor import PRESETS, TemplateEditor
from hanami_jupyter.protocol import template as grammar

CASES = json.loads((Path(__file__).parent / "templates.json").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_the_cases_of_the_front_end_are_what_the_judge_says(case):
    def plainly(problems):
        return [[problem.start, problem.end, problem.message] for problem in problems]

    if "problems" in case:
        with pytest.raises(grammar.TemplateError) as raised:
            grammar.parse(case["text"])
        assert plainly(raised.value.problems) == case["problems"]
        return
    template = grammar.parse(case["text"])
    assert [list(position) for position in template.hexagons] == case["hexagons"]
    assert {name: list(place) for name, place in template.inputs.items()} == case["inputs"]
    assert {name: list(place) for name, place in template.outputs.items()} == case["outputs"]
    assert plainly(template.warnings) == case["warnings"]
    settings, defaults = template.settings, grammar.Settings()
    other = {key: getattr(settings, key) for key in grammar.SETTINGS}
    assert {key: value for key, value in other.items() if value != getattr(defaults, key)} == case["settings"]


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_valid_and_complete(preset):
    template = TemplateEditor(preset).template
    assert template.inputs
    assert template.outputs
    assert template.warnings == ()


def test_it_begins_with_a_text_a_template_or_a_preset_and_follows_the_text():
    text = PRESETS["deep"].replace("picture", "image")
    assert TemplateEditor(text).text == text
    assert TemplateEditor(grammar.parse(text)).text == text
    editor = TemplateEditor()
    assert editor.text == PRESETS["three in a row"]
    editor.text = text
    assert list(editor.template.inputs) == ["image"]
    editor.text = "version: 2"
    with pytest.raises(grammar.TemplateError, match="Version 2"):
        _ = editor.template


def test_a_cluster_is_created_from_the_text_in_the_browser_and_opened_again(session, front):
    editor = TemplateEditor(session=session)
    with pytest.raises(PanelError, match="Create cluster"):
        _ = editor.cluster
    text = PRESETS["wide"] + "# a remark\n"
    assert front(editor).ask("create", name="wide one", text=text)["ok"]
    assert editor.created == "Cluster 'wide one' was created."
    assert editor.cluster["name"] == "wide one"
    again = TemplateEditor.of_cluster(session, editor.cluster["uuid"])
    assert again.template == grammar.parse(text)
    session.cluster.delete_cluster(editor.cluster["uuid"])


def test_what_is_wrong_is_said_where_the_person_clicked(session, front):
    without = TemplateEditor()
    assert "session" in front(without).ask("create", name="digits", text=without.text)["error"]
    editor = TemplateEditor(session=session)
    ask = front(editor).ask
    assert "Version 2 is not known" in ask("create", name="digits", text="version: 2")["error"]
    assert ask("create", name="x", text=editor.text)["ok"] is False


def test_the_text_is_saved_once_and_never_over_another_file(front, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    editor = TemplateEditor()
    ask = front(editor).ask
    assert ask("save", name="my/../digits", text="one")["result"] == "my____digits.hanami"
    assert (tmp_path / "my____digits.hanami").read_text() == "one"
    assert "Choose another name" in ask("save", name="my/../digits", text="two")["error"]
    assert (tmp_path / "my____digits.hanami").read_text() == "one"


def test_the_static_picture_shows_hexagons_names_and_text():
    picture = TemplateEditor("three layers").snapshot()._repr_html_()
    assert picture.count("<polygon") == 4
    assert ">picture</text>" in picture
    assert "max_connection_distance" in picture
    broken = TemplateEditor(PRESETS["deep"].replace("version: 1", "version: 2")).snapshot()._repr_html_()
    assert "1 problem<" in broken
    assert "version: 2" in broken
