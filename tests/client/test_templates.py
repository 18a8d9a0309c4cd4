"""Templates on their way to a server: what is sent, what is warned of, what is refused."""

from __future__ import annotations

import base64
import json
import re
import warnings
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanami_jupyter.client import cluster
from hanami_jupyter.client.hanami_exceptions import BadRequestException
from hanami_jupyter.protocol.template import KEYWORDS, Settings, Template, distance, parse

UUID = "6f2bbcd2-7081-4b08-ae1d-16e6cd6f54c4"
places = st.tuples(*[st.integers(0, 4)] * 3)
names = st.from_regex(r"\A[a-z_][a-z_0-9]{0,8}\Z").filter(lambda name: name not in KEYWORDS)
# a comment ends with its line, for the parser at whatever Python calls the end of one
comments = st.text(
    st.characters(exclude_characters="\r\n", exclude_categories=["C", "Zl", "Zp"]), max_size=12
)


@st.composite
def templates(draw: st.DrawFn) -> Template:
    """Templates of up to eight hexagons, one input and up to three outputs."""
    hexagons = draw(st.lists(places, min_size=4, max_size=8, unique=True))
    called = draw(st.lists(names, min_size=4, max_size=4, unique=True))
    outputs = draw(st.integers(1, 3))
    chosen = Settings(2.5, draw(st.integers(1, 9)), draw(st.integers(1, 3)), draw(st.booleans()))
    return Template(
        chosen,
        tuple(hexagons),
        {called[0]: hexagons[0]},
        dict(zip(called[1:], hexagons[-outputs:], strict=False)),
    )


@st.composite
def written(draw: st.DrawFn) -> tuple[Template, str]:
    """A template, and a text that says it with comments and ends of lines of all kinds."""
    template = draw(templates())
    lines = []
    for line in template.canonical().splitlines():
        comment = draw(st.one_of(st.none(), comments))
        lines.append(line if comment is None else f"{line} #{comment}")
        if draw(st.integers(0, 5)) == 0:
            lines.append(f"# {draw(comments)}")
    return template, "".join(line + draw(st.sampled_from(["\n", "\r\n", "\r"])) for line in lines)


def unreached(template: Template) -> set[str]:
    """The outputs that no row of steps of the allowed length connects with an input."""
    reached, steps = set(template.inputs.values()), template.settings.max_connection_distance
    while more := {
        place
        for place in template.hexagons
        if place not in reached and any(distance(place, other) <= steps for other in reached)
    }:
        reached |= more
    return {name for name, place in template.outputs.items() if place not in reached}


@pytest.fixture(scope="module")
def peer(make_peer: Any, canned: Any) -> Any:
    """A server that takes every template."""
    return make_peer(canned(body=json.dumps({"uuid": UUID, "name": "some cluster"}).encode()))


@settings(max_examples=50)
@given(written())
def test_what_arrives_is_the_template_without_comments(peer: Any, case: tuple[Template, str]) -> None:
    template, text = case
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cluster.create_cluster("token", peer.address, "some cluster", text)
    sent = base64.b64decode(json.loads(peer.requests[-1].body)["template"], validate=True).decode()
    assert not set(sent) & set("#\r")
    assert parse(sent) == template
    assert parse(sent).canonical() == template.canonical()
    told = [str(warning.message) for warning in caught if warning.category is UserWarning]
    named = {
        found[1] for message in told if (found := re.search(r"to output '(\w+)'\. Add hexagons", message))
    }
    assert named == unreached(template)
    inputs = set(template.inputs.values())
    assert len(told) == len(named) + sum(place in inputs for place in template.outputs.values())


@pytest.fixture(scope="module")
def refusing(make_peer: Any, canned: Any) -> Any:
    """A server that refuses every template, as the original says it."""
    return make_peer(canned(400, "text/plain", b"Parsing error in line 1, column 1"))


@settings(max_examples=30)
@given(templates(), st.data())
def test_a_refused_template_is_told_with_the_line(
    refusing: Any, template: Template, data: st.DataObject
) -> None:
    lines = template.canonical().splitlines()
    wrong = data.draw(st.integers(7, 6 + len(template.hexagons)))  # a hexagon without its third number
    text = "\n".join(line.rpartition(",")[0] if at == wrong else line for at, line in enumerate(lines))
    with pytest.raises(BadRequestException, match=rf"line {wrong + 1}\b|line {wrong + 2}\b") as told:
        cluster.create_cluster("token", refusing.address, "some cluster", text)
    assert told.value.status == 400
