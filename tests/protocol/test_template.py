"""The template grammar: what it takes, what it refuses, and that it points at the right character."""

import base64
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanami_jupyter.protocol import template as grammar
from hanami_jupyter.protocol.template import (
    Settings,
    TemplateError,
    distance,
    neighbours,
    parse,
    strip,
    within,
)

GOOD = """version: 1
settings:
    neuron_cooldown: 10000000.0
    refractory_time: 1
    max_connection_distance: 1
    enable_reduction: false
hexagons:
    1,1,1
    2,1,1
    3,1,1

inputs:
    picture: 1,1,1

outputs:
    label: 3,1,1
"""
CASES = Path(__file__).parents[1] / "conformance" / "data" / "wire-cases.jsonl"
# "Ours beyond the original" and "Cluster templates" of the protocol: differences that are meant
STRICTER = {
    "POST /cluster: empty template string",
    "POST /cluster: template two inputs with the same name",
    "POST /cluster: template two inputs on the same hexagon",
}
WIDER = {"POST /cluster: template with comment"}


def recorded():
    for line in CASES.read_text().splitlines():
        case = json.loads(line)
        if case.get("case", "").startswith("POST /cluster: ") and case["status"] in {200, 400}:
            try:
                body = json.loads(case["body"])
                name = str(body["name"])
                text = base64.b64decode(body["template"], validate=True).decode()
            except (ValueError, TypeError, KeyError):
                continue
            if name.startswith(("tpl", "test_cluster", "empty")):
                yield pytest.param(case["case"], text, case["status"] == 200, id=case["case"])


@pytest.mark.parametrize(("name", "text", "accepted"), list(recorded()))
def test_the_original_servers_verdicts(name, text, accepted):
    accepted = (accepted and name not in STRICTER) or name in WIDER
    if accepted:
        parse(text)
    else:
        with pytest.raises(TemplateError):
            parse(text)


def test_reads_everything():
    template = parse(GOOD)
    assert template.settings == Settings(10000000.0, 1, 1, False)
    assert template.hexagons == ((1, 1, 1), (2, 1, 1), (3, 1, 1))
    assert template.inputs == {"picture": (1, 1, 1)}
    assert template.outputs == {"label": (3, 1, 1)}
    assert template.warnings == ()
    assert parse(template.canonical()) == template


@pytest.mark.parametrize(
    ("old", "new", "place", "words"),
    [
        ("    2,1,1\n", "    2,1,1\n    2,1,1\n", (10, 5), "listed twice, first in line 9"),
        ("    2,1,1\n", "    2,1\n", (10, 5), "'3' stands where"),
        ("picture: 1", "picture: 4", (13, 5), "is named as input but is not in the list"),
        ("refractory_time: 1", "refractory_time: 0", (4, 22), "must be at least 1"),
        ("refractory_time: 1", "refractory_tim: 1", (4, 5), "is not known. Did you mean 'refractory_time'?"),
        ("refractory_time: 1", "rest: 1", (4, 5), "is not known. Use one of neuron_cooldown"),
        ("version: 1", "version: 2", (1, 10), "Write 'version: 1'"),
        ("10000000.0", "1e7", (3, 22), "without exponent"),
        ("    picture: 1,1,1\n", "", (14, 1), "At least one input"),
        ("label: 3", "lábel: 3", (16, 5), "stands where"),
        ("false", "yes", (6, 23), "true or false"),
        ("1,1,1\n    2", "99999999999,1,1\n    2", (8, 5), "too large"),
        ("label:", "picture:", (16, 5), "used twice"),
    ],
)
def test_points_at_the_mistake(old, new, place, words):
    with pytest.raises(TemplateError) as caught:
        parse(GOOD.replace(old, new, 1))
    assert any(words in problem.message for problem in caught.value.problems)
    first = next(problem for problem in caught.value.problems if words in problem.message)
    assert (first.line, first.column) == place


def test_reports_every_mistake_at_once():
    text = (
        GOOD.replace("refractory_time: 1", "refractory_time: x")
        .replace("2,1,1", "2;1,1")
        .replace("label: 3", "label: 9")
    )
    with pytest.raises(TemplateError) as caught:
        parse(text)
    assert [problem.line for problem in caught.value.problems] == [4, 9, 16]


def test_a_missing_block_is_one_problem():
    with pytest.raises(TemplateError) as caught:
        parse(GOOD.replace("inputs:\n    picture: 1,1,1\n", ""))
    assert [problem.message for problem in caught.value.problems] == [
        "'outputs' stands where 'inputs:' should stand."
    ]


@pytest.mark.parametrize(
    ("block", "misspelt"),
    [
        ("version", "versions"), ("settings", "setting"), ("hexagons", "hexagon"), ("inputs", "input"),
        ("outputs", "output"), ("version", "verison"), ("settings", "setings"), ("hexagons", "hexagns"),
        ("inputs", "imputs"), ("outputs", "ouptutss"),
    ],
)  # fmt: skip
def test_a_misspelt_block_is_one_problem(block, misspelt):
    with pytest.raises(TemplateError) as caught:
        parse(GOOD.replace(f"{block}:", f"{misspelt}:"))
    assert [problem.message for problem in caught.value.problems] == [
        f"'{misspelt}' is not known here. Did you mean '{block}'?"
    ]


def test_an_input_may_be_named_like_a_block():
    text = GOOD.replace("picture:", "output:").replace("label:", "input:")
    assert (parse(text).inputs, parse(text).outputs) == ({"output": (1, 1, 1)}, {"input": (3, 1, 1)})


def test_warns_of_unreachable_outputs():
    text = GOOD.replace("    2,1,1\n", "")
    assert "No path leads" in parse(text).warnings[0].message
    assert parse(text.replace("distance: 1", "distance: 2")).warnings == ()


def test_comments_and_carriage_returns_are_stripped_for_the_wire():
    commented = GOOD.replace("\n", "  # why\r\n")
    assert parse(strip(commented)) == parse(GOOD)
    assert "#" not in strip(commented)


POSITIONS = st.tuples(*[st.integers(-6, 6)] * 3)


@given(POSITIONS)
def test_neighbours_are_mutual(position):
    around = neighbours(position)
    assert len(set(around)) == 12
    assert all(position in neighbours(near) and distance(position, near) == 1 for near in around)


@given(POSITIONS, st.integers(1, 4))
def test_walk_and_formula_agree_on_distance(position, steps):
    known = set(itertools.product(range(-3, 4), repeat=3))
    walked = within(position, steps, known)
    assert walked == {other: d for other in known if 0 < (d := distance(position, other)) <= steps}


NAMES = st.from_regex(r"\A[a-z_][a-z_0-9]{0,20}\Z").filter(lambda name: name not in grammar.KEYWORDS)


@given(
    st.lists(POSITIONS, min_size=2, max_size=20, unique=True),
    st.lists(NAMES, min_size=2, max_size=2, unique=True),
    st.builds(
        Settings,
        st.floats(1.001, 1e12).map(lambda value: round(value, 6)),
        st.integers(1, 100),
        st.integers(1, 9),
        st.booleans(),
    ),
)
def test_what_is_written_is_read_back(positions, names, settings):
    template = grammar.Template(
        settings, tuple(positions), {names[0]: positions[0]}, {names[1]: positions[-1]}
    )
    again = parse(template.canonical())
    assert again == template
    assert again.canonical() == template.canonical()


@given(st.text(alphabet="0123456789,:- \n#aversiontgshxpudl._\r", max_size=200) | st.text(max_size=80))
def test_any_text_is_read_or_refused(text):
    for candidate in (text, GOOD[:60] + text + GOOD[60:]):
        problems = refusals(candidate)
        assert problems is None or problems
        assert all(0 <= p.start <= p.end <= len(candidate) for p in problems or ())


def refusals(text):
    """Return the problems of a text, or None if it is a template."""
    try:
        parse(text)
    except TemplateError as error:
        return error.problems
    return None
