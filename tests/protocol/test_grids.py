"""Grids of templates: every combination once, valid, without warnings, under stable names."""

from __future__ import annotations

import pytest

from hanami_jupyter.panels.template_editor import TemplateEditor
from hanami_jupyter.protocol.grids import template_grid
from hanami_jupyter.protocol.template import distance, parse


def test_each_combination_is_a_valid_template_of_its_width_depth_and_reach():
    grid = template_grid([1, 2, 3, 4], [3, 4, 5], [1, 2])
    assert len(grid) == 24
    for name, text in grid.items():
        template, made = parse(text), grid.parameters[name]
        assert not template.warnings
        assert template.settings.max_connection_distance == made["max_connection_distance"]
        assert len(template.hexagons) == 2 + made["width"] * (made["depth"] - 2)
        assert distance(template.inputs["picture"], template.outputs["label"]) == made["depth"] - 1
    assert len(set(grid.values())) == 24


def test_names_are_stable_and_in_order():
    grid = template_grid(range(1, 3), 3, (2, 1, 2))
    assert list(grid) == [
        "1 wide 3 deep reach 2",
        "1 wide 3 deep reach 1",
        "2 wide 3 deep reach 2",
        "2 wide 3 deep reach 1",
    ]


def test_several_ends_stand_side_by_side_and_settings_are_taken():
    grid = template_grid(
        3, 4, inputs=["left", "right"], outputs=("one", "two", "three"),
        neuron_cooldown=2.5, refractory_time=3, enable_reduction=True,
    )  # fmt: skip
    (text,) = grid.values()
    template = parse(text)
    assert template.inputs == {"left": (1, 2, 1), "right": (1, 3, 1)}
    assert [place[:2] for place in template.outputs.values()] == [(4, 1), (4, 2), (4, 3)]
    settings = template.settings
    assert (settings.neuron_cooldown, settings.refractory_time, settings.enable_reduction) == (2.5, 3, True)
    assert "neuron_cooldown" not in template_grid(1, 3)["1 wide 3 deep reach 1"]


def test_grids_are_joined_with_what_they_are_made_of():
    both = template_grid(1, 3) | template_grid(2, 3) | {"mine": "version: 1"}
    assert list(both) == ["1 wide 3 deep reach 1", "2 wide 3 deep reach 1", "mine"]
    assert [made["width"] for made in both.parameters.values()] == [1, 2]


def test_the_editor_opens_a_template_of_a_grid():
    grid = template_grid(2, 3)
    editor = TemplateEditor(grid["2 wide 3 deep reach 1"])
    assert editor.template.hexagons == ((1, 2, 1), (2, 1, 1), (2, 2, 1), (3, 2, 1))
    editor.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: template_grid(0, 3), "width is 0, but must be at least 1"),
        (lambda: template_grid(1, [3, 2]), "depth is 2, but must be at least 3"),
        (lambda: template_grid(1, 3, 0), "max_connection_distance is 0"),
        (lambda: template_grid([], 3), "width names no number"),
        (lambda: template_grid([1, 3], 3, inputs=["a", "b"]), "2 inputs do not fit a width of 1"),
        (lambda: template_grid(1, 3, inputs="two words"), "stands where"),
    ],
)
def test_what_makes_no_template_is_said(make, says):
    with pytest.raises(ValueError, match=says):
        make()
