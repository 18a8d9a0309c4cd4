"""The parts of the backend that are pure functions."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import openapi_spec_validator
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hanami_jupyter.backend import app, direct, embedded, openapi, policy, readers
from hanami_jupyter.backend.config import ConfigError, load
from hanami_jupyter.backend.errors import RefusalError
from hanami_jupyter.backend.measurements import History
from hanami_jupyter.backend.uploads import Received
from hanami_jupyter.protocol.endpoints import BASE, BY_KEY, ENDPOINTS
from hanami_jupyter.protocol.hanami_messages_pb2 import ClusterIO_Message
from hanami_jupyter.protocol.processes import mark
from tests.backend.conftest import Client

DOCS = Path(__file__).parents[2] / "docs"


def test_every_endpoint_has_its_handler() -> None:
    assert app.HANDLERS.keys() == BY_KEY.keys()


def test_the_documentation_is_current() -> None:
    assert (DOCS / "endpoints.md").read_text() == openapi.markdown()


def test_the_openapi_document(admin: Client) -> None:
    document = admin.get("/openapi.json")
    assert document == json.loads(json.dumps(openapi.document(document["info"]["version"])))
    described = {(m.upper(), path) for path, methods in document["paths"].items() for m in methods}
    assert described == {(e.method, BASE + e.path) for e in ENDPOINTS}
    openapi_spec_validator.validate(document)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60))))
def test_received_bytes(pieces: list[tuple[int, int]]) -> None:
    received, seen = Received(), set()
    for start, end in pieces:
        received.add(start, end)
        seen |= set(range(start, end))
    assert {i for start, end in received.intervals for i in range(start, end)} == seen
    ends = [place for interval in received.intervals for place in interval]
    assert ends == sorted(set(ends))
    assert received.whole(60) == (seen >= set(range(60)) and max(seen, default=0) < 60)


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=40), st.text(max_size=10))
def test_direct_frames(values: list[float], name: str) -> None:
    message = ClusterIO_Message(bufferName=name, isLast=True, numberOfValues=len(values), values=values)
    frame = message.SerializeToString()
    found, array = direct.decode(frame)
    assert (found.bufferName, found.isLast, array.tolist()) == (name, True, values)
    assert ClusterIO_Message.FromString(direct.encode(name, array, last=False)).values == message.values


def test_direct_frames_written_otherwise() -> None:
    one, two = np.float32(1).tobytes(), np.float32(2).tobytes()
    for values in (
        b"\x35" + one + b"\x35" + two,
        b"\x32\x04" + one + b"\x32\x04" + two,
        b"\x32\x08" + one + two,
    ):
        assert direct.decode(b"\x28\x02" + values)[1].tolist() == [1, 2]
    for frame in (b"\xff\xff", b"\x28\x03\x32\x04" + one, b"\x28\x01\x32\x03abc"):
        with pytest.raises(RefusalError):
            direct.decode(frame)


def test_the_built_in_policy_is_what_its_text_says() -> None:
    text = ""
    for (method, endpoint), roles in policy.built_in().items():
        text += f"{endpoint}\n- {method}: {', '.join(sorted(roles))}\n"
    assert policy.parse(text) == policy.built_in()


@pytest.mark.parametrize(
    "text",
    ["- GET: admin", "v1.0alpha/cluster\n- PATCH: admin", "a b\n", "x\n- GET admin", "!" * 10**6, "\x1b[2J"],
)
def test_policies_that_are_wrong(text: str) -> None:
    with pytest.raises(ConfigError, match="Line") as caught:
        policy.parse(text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("data", [b"\xff\xfe", b"v1.0alpha/cluster\n- GET: \xe9\n"])
def test_policies_that_are_no_text(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "policy").write_bytes(data)
    for path in (tmp_path / "policy", tmp_path / "none", tmp_path, Path("a\0b")):
        with pytest.raises(ConfigError, match="cannot be read"):
            policy.load(path)


def test_settings() -> None:
    config = load(
        ["--port", "5", "--no-embedded"], {"HANAMI_BACKEND_PORT": "6", "HANAMI_BACKEND_EMBEDDED": "yes"}
    )
    assert (config.port, config.embedded) == (5, False)
    for wrong in (["--port", "x"], ["--port", "70000"], ["--certfile", "x"], ["--log-level", "loud"]):
        with pytest.raises(ConfigError):
            load(wrong, {})


def test_histories() -> None:
    history = History()
    for second in range(3600):
        history.add(second // 60)
    found = history.answer()
    assert found["seconds"] == [59.0] * 60
    assert found["minutes"] == list(range(60))
    assert found["hours"][-2:] == [0.0, 29.5]


def test_csv_chunks_keep_their_row_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_TEXT", 64)
    source, target = tmp_path / "a.csv", tmp_path / "a.npy"
    source.write_text("aa,bb\n" + "".join(f"{i},{i % 2}\n" for i in range(1000)))
    assert readers.read_csv(source, target)["number_of_rows"] == 1000
    assert (np.load(target)[:, 0] == np.arange(1000)).all()
    source.write_text(source.read_text() + "true,x\n")
    with pytest.raises(ValueError, match="Row 1001, column 'bb' is 'x'"):
        readers.read_csv(source, target)


def test_nobody_uses_a_folder_that_is_gone(tmp_path: Path) -> None:
    (tmp_path / mark(os.getpid())).touch()
    assert embedded.living(tmp_path)
    assert not embedded.living(tmp_path / "gone")
