"""The endpoint table says of each endpoint what the recorded server did."""

import json
import re
from pathlib import Path

import pytest

from hanami_jupyter.protocol.endpoints import BASE, BY_KEY, ENDPOINTS

CASES = Path(__file__).parents[1] / "conformance" / "data" / "wire-cases.jsonl"


def answers():
    for line in CASES.read_text().splitlines():
        case = json.loads(line)
        if case.get("status") == 200 and case["path"].startswith(BASE) and case["response"].endswith("}"):
            endpoint = BY_KEY.get((case["method"], case["path"].removeprefix(BASE)))
            if endpoint:
                yield case["case"], endpoint, json.loads(case["response"])


def test_every_recorded_answer_has_the_declared_fields():
    seen = set()
    for name, endpoint, answer in answers():
        seen.add((endpoint.method, endpoint.path))
        if endpoint.columns:
            assert answer["header"] == list(endpoint.columns), name
        elif endpoint.method != "DELETE":
            assert sorted(answer) == sorted(endpoint.answer), name
    assert len(seen) > 40


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda e: f"{e.method} {e.path}")
def test_fields_are_sorted_and_patterns_compile(endpoint):
    names = [field.name for field in endpoint.fields]
    assert names == sorted(names)
    for field in endpoint.fields:
        assert field.pattern is None or re.compile(field.pattern)


def test_patterns_match_whole_values():
    name = next(f for f in BY_KEY["POST", "/cluster"].fields if f.name == "name")
    assert name.matches("my cluster-1")
    assert not name.matches("my cluster\n")
    assert not name.matches("1st")
    state = next(f for f in BY_KEY["PUT", "/cluster/set_mode"].fields if f.name == "new_state")
    assert state.matches("DIRECT")
    assert not state.matches("DIRECTOR")
