"""Requests made from the OpenAPI document, right and wrong ones: none is answered with 5xx or not at all."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any
from urllib.parse import quote

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from hanami_jupyter.backend import openapi
from hanami_jupyter.protocol.endpoints import BASE
from tests.backend.conftest import Client
from tests.hostile.attacks import TEXTS
from tests.hostile.world import World, document

DESCRIBED = openapi.document("1")
OPERATIONS, LIKELY = (
    [found.ok() for found in schemathesis.openapi.from_dict(described).get_all_operations()]
    for described in (DESCRIBED, document(DESCRIBED))  # any values, and values of what there is
)
QUICKLY = settings(
    max_examples=12,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def send(world: World, case: Any) -> int:
    """Send a case with what lives in the world in place of its stand-ins; return the status."""
    method, path = case.method.upper(), case.path.removeprefix(BASE)
    if method in ("POST", "PUT"):
        values = (
            case.body if isinstance(case.body, (dict, list, str, int, float, type(None), bool)) else b"\0"
        )
    else:
        values = {quote(name): value for name, value in (case.query or {}).items()}
    if isinstance(case.body, bytes):
        values = case.body
    if not isinstance(values, bytes):
        values = json.loads(world.fill(json.dumps(values)))
        values = values if isinstance(values, dict) else json.dumps(values).encode()
    answer = world.admin.call(method, path, values)
    if isinstance(values, dict):
        parsed = answer.json if answer.status == 200 and answer.body[:1] == b"{" else None
        world.note(method, path, values, answer.status, parsed)
    assert answer.status < 500, (method, path, values, answer.text)
    return answer.status


def tried(world: World, operation: Any, mode: GenerationMode) -> Counter[int]:
    """Return the statuses of some cases of an operation."""
    found: Counter[int] = Counter()

    @QUICKLY
    @given(operation.as_strategy(generation_mode=mode))
    def run(case: Any) -> None:
        found[send(world, case)] += 1

    run()
    return found


def test_what_the_schema_allows(world: World) -> None:
    """At least 30 % of what the schema allows is done, or nothing but refusals would be tested."""
    found: Counter[int] = Counter()
    for operation, likely in zip(OPERATIONS, LIKELY, strict=True):
        each = tried(world, likely, GenerationMode.POSITIVE)
        assert each[200], (operation.label, each)
        found += each + tried(world, operation, GenerationMode.POSITIVE)
    world.tidy()
    assert found[200] >= 0.3 * found.total(), found


def test_what_the_schema_forbids(world: World) -> None:
    for operation in OPERATIONS:
        if operation.body or operation.query:
            tried(world, operation, GenerationMode.NEGATIVE)
    world.tidy()


@settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(OPERATIONS), st.sampled_from(TEXTS) | st.text(max_size=40), st.data())
def test_texts_in_every_field(admin: Client, operation: Any, text: str, data: Any) -> None:
    """SQL, paths, control characters and the like are refused, or are a text like any other."""
    body = operation.definition.raw.get("requestBody")
    if body:
        fields = list(body["content"]["application/json"]["schema"]["properties"])
    else:
        fields = [parameter["name"] for parameter in operation.definition.raw.get("parameters", ())]
    values = {name: text for name in fields if data.draw(st.booleans())}
    try:
        json.dumps(values, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    answer = admin.call(operation.method.upper(), operation.path.removeprefix(BASE), values)
    assert answer.status < 500, (operation.label, values, answer.text)
    assert admin.get("/user/all")["body"]
