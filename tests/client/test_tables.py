"""Tables: typed whatever the server sends, in whatever order, also when nothing comes."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanami_jupyter.client import task
from hanami_jupyter.client.tables import column, frame, record
from hanami_jupyter.client.token import Token
from hanami_jupyter.protocol.endpoints import ENDPOINTS

LISTS = [endpoint for endpoint in ENDPOINTS if endpoint.columns]
TEXT = "str" if pd.__version__ >= "3" else "object"
TYPES = {
    "created_at": "datetime64[us, UTC]", "queued": "datetime64[us, UTC]", "start": "datetime64[us, UTC]",
    "end": "datetime64[us, UTC]", "percentage": "float64", "is_admin": "boolean", "projects": "object",
}  # fmt: skip

times = st.datetimes(
    min_value=pd.Timestamp("1970-01-02").to_pydatetime(), max_value=pd.Timestamp("2200").to_pydatetime()
)
cells = {
    "time": st.one_of(st.just("-"), st.none(), times.map(lambda t: t.strftime("%Y-%m-%d %H:%M:%S"))),
    "percentage": st.one_of(st.just("-nan"), st.floats(0, 1).map(lambda value: f"{value:.6f}")),
    "is_admin": st.booleans(),
    "projects": st.lists(st.dictionaries(st.text(), st.text(), max_size=2), max_size=2),
}


def _cell(name: str) -> st.SearchStrategy[Any]:
    if name in {"created_at", "queued", "start", "end"}:
        return cells["time"]
    return cells.get(name, st.one_of(st.none(), st.text()))


@pytest.mark.parametrize("endpoint", LISTS, ids=lambda endpoint: endpoint.path)
def test_an_empty_list_has_its_columns_and_types(endpoint: Any) -> None:
    table = frame(endpoint.path, {"header": list(endpoint.columns), "body": []})
    assert tuple(table.columns) == endpoint.columns
    assert table.empty
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {
        name: TYPES.get(name, TEXT) for name in endpoint.columns
    }


@given(st.data())
def test_lists_are_read_by_header(data: st.DataObject) -> None:
    endpoint = data.draw(st.sampled_from(LISTS))
    known = data.draw(st.lists(st.sampled_from(endpoint.columns), unique=True))  # older servers lack some
    header = data.draw(st.permutations([*known, *data.draw(st.sampled_from([[], ["type"], ["new_one"]]))]))
    header = list(dict.fromkeys(header))
    body = data.draw(st.lists(st.tuples(*map(_cell, header)).map(list), max_size=4))
    table = frame(endpoint.path, json.loads(json.dumps({"header": header, "body": body})))
    assert tuple(table.columns[: len(endpoint.columns)]) == endpoint.columns
    assert set(header) <= set(table.columns)
    assert len(table) == len(body)
    for at, name in enumerate(header):
        if str(table[name].dtype) in {TEXT, "object"} and name != "projects":
            sent = [None if row[at] is None else row[at] for row in body]
            assert [None if pd.isna(value) else value for value in table[name]] == sent
    for name, kind in TYPES.items():
        if name in table:
            assert str(table[name].dtype) == kind


@given(times)
def test_times_are_utc(moment: Any) -> None:
    text = moment.strftime("%Y-%m-%d %H:%M:%S")
    expected = pd.Timestamp(text, tz="UTC")
    assert column("time", [text, "-", None]).to_list()[0] == expected
    assert column("time", [text, "-", None]).isna().to_list() == [False, True, True]
    assert record({"created_at": text})["created_at"] == expected


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False)),
    )
)
def test_an_object_keeps_every_field(answer: dict[str, Any]) -> None:
    series = record(answer)
    assert list(series.index) == list(answer)
    for name, value in answer.items():
        if (
            isinstance(value, str)
            and value != "-"
            and not name.endswith("_timestamp")
            and name != "created_at"
        ):
            assert series[name] == value


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.sampled_from(["queued", "active", "finished"]))
def test_a_task_always_tells_its_percentage(done: int, total: int, state: str) -> None:
    answer = {"current_cycle": done, "total_number_of_cycles": total, "state": state, "name": "a task"}
    found = task._task(answer)
    expected = 1.0 if state == "finished" else done / total if total else 0.0
    assert found["percentage_finished"] == expected
    assert pd.isna(found["queue_position"])


def test_answers_of_older_servers() -> None:
    older = {"percentage_finished": 0.69, "state": "active", "end_timestamp": "-"}
    found = task._task(older)
    assert found["percentage_finished"] == 0.69
    assert pd.isna(found["end_timestamp"])
    assert pd.isna(found["current_cycle"])


@given(st.text())
def test_any_text_is_a_token_that_does_not_show_itself(text: str) -> None:
    token = Token(text)
    assert token == text
    assert repr(token) == "<Token>" or token.claims
    assert token.valid_until is None or token.claims
