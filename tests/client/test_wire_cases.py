"""Every recorded exchange, given to the client by a fake peer: values, exceptions and requests are right."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import json
import re
import socket
import struct
import threading
import warnings
import zlib
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from hanami_jupyter.client import (
    checkpoint,
    cluster,
    dataset,
    direct_io,
    hanami_token,
    hosts,
    logs,
    measurements,
    project,
    task,
    transport,
    uploads,
    user,
)
from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.protocol import hanami_messages_pb2 as messages
from hanami_jupyter.protocol import packing
from hanami_jupyter.protocol import template as grammar
from hanami_jupyter.protocol.endpoints import BASE, BY_KEY, TOKEN_HEADER

CASES_FILE = Path(__file__).parents[1] / "conformance" / "data" / "wire-cases.jsonl"
CASES = [case for line in CASES_FILE.open(encoding="utf-8") if "case" in (case := json.loads(line))]
UUID = "6f2bbcd2-7081-4b08-ae1d-16e6cd6f54c4"
TOKEN = "aaaa.bbbb.cccc"
SMALL = 1 << 20
FIELDS = {  # what a function is given where the recording does not say
    "id": "someone", "password": "asdfasdf", "project_id": "proj_a", "name": "a name", "is_admin": False,
    "is_project_admin": False, "role": "member", "uuid": UUID, "cluster_uuid": UUID, "host_uuid": UUID,
    "checkpoint_uuid": UUID, "reference_uuid": UUID, "inputs": [], "outputs": [], "results": [],
    "column_name": "label", "row_offset": 0, "number_of_rows": 1, "page": 0, "user_id": None, "template": "",
    "time_length": 1,
}  # fmt: skip


def _functions() -> dict[tuple[str, str], Any]:
    """The function of each endpoint, as a call with a token, an address and values."""
    named = {
        ("PUT", "/token"): (hanami_token.switch_project, "project_id"),
        ("GET", "/auth"): (hanami_token.check_token, ""),
        ("POST", "/user"): (user.create_user, "id name password is_admin"),
        ("GET", "/user"): (user.get_user, "id"),
        ("DELETE", "/user"): (user.delete_user, "id"),
        ("GET", "/user/all"): (user.list_users, ""),
        ("POST", "/user/project"): (user.add_project_to_user, "id project_id role is_project_admin"),
        ("DELETE", "/user/project"): (user.remove_project_from_user, "id project_id"),
        ("GET", "/user/project"): (user.list_projects_of_user, ""),
        ("POST", "/project"): (project.create_project, "id name"),
        ("GET", "/project"): (project.get_project, "id"),
        ("DELETE", "/project"): (project.delete_project, "id"),
        ("GET", "/project/all"): (project.list_projects, ""),
        ("POST", "/cluster"): (cluster.create_cluster, "name template"),
        ("GET", "/cluster"): (cluster.get_cluster, "uuid"),
        ("DELETE", "/cluster"): (cluster.delete_cluster, "uuid"),
        ("GET", "/cluster/all"): (cluster.list_clusters, ""),
        ("POST", "/cluster/save"): (cluster.save_cluster, "name cluster_uuid"),
        ("POST", "/cluster/load"): (cluster.restore_cluster, "checkpoint_uuid cluster_uuid"),
        ("PUT", "/cluster/switch_host"): (cluster.switch_host, "cluster_uuid host_uuid"),
        ("POST", "/task/train"): (task.create_train_task, "name cluster_uuid inputs outputs time_length"),
        ("POST", "/task/request"): (task.create_request_task, "name cluster_uuid inputs results time_length"),
        ("GET", "/task"): (task.get_task, "uuid cluster_uuid"),
        ("DELETE", "/task"): (task.delete_task, "uuid cluster_uuid"),
        ("GET", "/task/all"): (task.list_tasks, "cluster_uuid"),
        ("GET", "/dataset"): (dataset.get_dataset, "uuid"),
        ("DELETE", "/dataset"): (dataset.delete_dataset, "uuid"),
        ("GET", "/dataset/all"): (dataset.list_datasets, ""),
        ("GET", "/dataset/progress"): (dataset.get_dataset_progress, "uuid"),
        ("GET", "/dataset/content"): (
            dataset.download_dataset_content, "uuid column_name number_of_rows row_offset",
        ),
        ("GET", "/dataset/check"): (dataset.check_mnist_dataset, "uuid reference_uuid"),
        ("GET", "/checkpoint"): (checkpoint.get_checkpoint, "uuid"),
        ("DELETE", "/checkpoint"): (checkpoint.delete_checkpoint, "uuid"),
        ("GET", "/checkpoint/all"): (checkpoint.list_checkpoints, ""),
        ("GET", "/audit_log"): (logs.list_audit_logs, "user_id page"),
        ("GET", "/error_log"): (logs.list_error_logs, "user_id page"),
        ("GET", "/host/all"): (hosts.list_hosts, ""),
        ("GET", "/system_info"): (measurements.get_system_info, ""),
        ("GET", "/threading"): (measurements.get_threads, ""),
        ("GET", "/power_consumption"): (measurements.get_power_consumption, ""),
        ("GET", "/speed"): (measurements.get_speed, ""),
        ("GET", "/temperature_production"): (measurements.get_temperature, ""),
    }  # fmt: skip

    def by_names(function: Any, names: str) -> Any:
        return lambda token, address, v: function(token, address, *(v[name] for name in names.split()))

    calls = {key: by_names(function, names) for key, (function, names) in named.items()}
    calls["POST", "/token"] = lambda _token, address, v: hanami_token.request_token(
        address, v["id"], v["password"]
    )
    calls["PUT", "/cluster/set_mode"] = lambda token, address, v: cluster._mode(
        token, address, v["uuid"], v.get("new_state", "TASK"), True
    )
    for kind, names in (("mnist", ("input", "label")), ("csv", ("input",))):
        calls["POST", f"/dataset/upload/{kind}"] = calls["PUT", f"/dataset/upload/{kind}"] = _upload(
            kind, names
        )
    return calls


def _upload(kind: str, names: tuple[str, ...]) -> Any:
    def call(token: str, address: str, v: dict[str, Any]) -> str:
        files = {}
        for name in names:
            size = v.get(f"{name}_data_size", 1)
            files[name] = memoryview(bytes(size if isinstance(size, int) and 0 < size < SMALL else 1))
        return uploads.upload(token, address, True, f"/dataset/upload/{kind}", files, {"name": v["name"]})

    return call


CALLS = _functions()


def _key(case: dict[str, Any]) -> tuple[str, str] | None:
    key = (case["method"], case["path"].removeprefix(BASE))
    return key if case["path"].startswith(BASE) and key in CALLS else None


REST = [case for case in CASES if case["method"] != "WEBSOCKET" and case["status"] is not None and _key(case)]


def _values(case: dict[str, Any]) -> dict[str, Any] | None:
    """What the recorded request says; None if no client function can say it."""
    if case["method"] in {"GET", "DELETE"}:
        pairs = [pair.partition("=") for pair in (case["query"] or "").split("&") if pair]
        values = {name: value for name, _, value in pairs}
        odd = len(values) != len(pairs) or any(quote(v, safe="@") != v for v in values.values())
        return None if odd or case["body"] else values
    if "body_parts" in case or "Transfer-Encoding" in case["headers"]:
        return None
    try:
        values = json.loads(case["body"])
    except (TypeError, ValueError):
        return None
    return values if isinstance(values, dict) else None


def _arguments(case: dict[str, Any], values: dict[str, Any] | None) -> dict[str, Any]:
    given = {**FIELDS, **{k: v for k, v in (values or {}).items() if v is not None}}
    try:
        given["template"] = base64.b64decode(str(given["template"]), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        given["template"] = ""
    for name in ("inputs", "outputs", "results"):
        given[name] = given[name] if isinstance(given[name], list) else []
    if not isinstance(given["password"], str):
        given["password"] = "asdfasdf"
    return given


@dataclass
class Replayed:
    """A recorded case, what the call gave (or its exception), its request, and what the recorded one says."""

    case: dict[str, Any]
    result: Any
    made: Any
    values: dict[str, Any] | None


@pytest.fixture(scope="module")
def replayed(make_peer: Any, canned: Any) -> list[Replayed]:
    """Each case, given to the function of its endpoint."""
    state: dict[str, Any] = {}

    def answer(request: Any) -> Any:
        case = state["case"]
        if "/dataset/upload/" in case["path"] and request.method != case["method"]:
            begun = {"uuid": UUID, "uuid_input_file": UUID, "uuid_label_file": UUID} | (state["values"] or {})
            return canned(body=json.dumps(begun).encode()) if request.method == "POST" else canned()
        return canned(case["status"], case["content_type"] or "", (case["response"] or "").encode())

    peer = make_peer(answer)
    found = []
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(uploads, "_send_file", lambda *_args: None)
        patch.setattr(uploads, "_await_complete", lambda *_args: None)
        warnings.simplefilter("ignore")  # of templates that the original accepts
        for case in REST:
            values = _values(case)
            state.update(case=case, values=values)
            peer.requests.clear()
            try:
                result = CALLS[_key(case)](TOKEN, peer.address, _arguments(case, values))  # type: ignore[index]
            except exceptions.HanamiException as error:
                result = error
            made = next((request for request in peer.requests if request.method == case["method"]), None)
            found.append(Replayed(case, result, made, values))
    return found


STATUS = {
    1: exceptions.BadRequestException,
    400: exceptions.BadRequestException,
    401: exceptions.UnauthorizedException,
    404: exceptions.NotFoundException,
    409: exceptions.ConflictException,
    500: exceptions.InternalServerErrorException,
}


def test_each_recorded_answer_gives_the_right_value_or_exception(replayed: list[Replayed]) -> None:
    seen: Counter[int] = Counter()
    for one in replayed:
        case, result = one.case, one.result
        seen[case["status"]] += 1
        if case["status"] == 200 and "<truncated" in case["response"]:
            assert isinstance(result, exceptions.UnexpectedAnswerException)
            continue
        if case["status"] == 200:
            _assert_value(case, result)
            continue
        assert type(result) is STATUS[case["status"]], (case["case"], result)
        assert result.status == case["status"]
        if case["status"] != 1:  # the library does not give the body of that
            assert result.text == case["response"].strip(), case["case"]
            assert case["path"].endswith(result.path), case["case"]
    assert sum(seen.values()) > 1300, seen
    assert set(seen) == {200, *STATUS}


def _assert_value(case: dict[str, Any], result: Any) -> None:  # noqa: C901 - one branch a kind of answer
    import pandas as pd

    sent = json.loads(case["response"])
    endpoint = BY_KEY[_key(case)]  # type: ignore[index]
    if "/dataset/upload/" in case["path"]:
        assert result == (sent["uuid"] if case["method"] == "POST" else UUID) or isinstance(result, str)
    elif case["method"] == "DELETE" and not endpoint.answer:
        assert result is None
    elif endpoint.columns:
        assert list(result.columns) == [*endpoint.columns]
        assert len(result) == len(sent["body"])
        for at, name in enumerate(sent["header"]):
            assert result[name].isna().tolist() == [row[at] in (None, "-", "-nan") for row in sent["body"]]
            if name in {"uuid", "name", "id", "state", "user_id", "message"}:
                assert result[name].to_list() == [row[at] for row in sent["body"]], case["case"]
    elif endpoint.path == "/token":
        assert result == sent["token"]
        assert isinstance(result, str)
        assert sent["token"] not in repr(result)
    elif endpoint.path == "/dataset/content":
        assert result.dtype == np.float32
        assert np.array_equal(result, np.array(sent["data"], np.float32))
    elif endpoint.path == "/user/project" and case["method"] == "GET":
        assert result["project_id"].to_list() == [entry["project_id"] for entry in sent["projects"]]
    else:
        assert isinstance(result, pd.Series), case["case"]
        inner = sent if len(sent) > 1 else next(iter(sent.values()))
        for name, value in sent.items():
            if name in endpoint.answer and not name.endswith(("_at", "_timestamp")) and inner is sent:
                assert result[name] == value, (case["case"], name)
            elif name.endswith(("_at", "_timestamp")):
                assert (str(result[name])[:19] == value) is (value != "-"), (case["case"], name)


def test_a_request_the_client_can_make_equals_the_recording(replayed: list[Replayed]) -> None:
    equal: dict[tuple[str, str], int] = defaultdict(int)
    for one in replayed:
        case, made, values = one.case, one.made, one.values
        if made is None or values is None:
            continue
        key = _key(case)
        assert key is not None
        has_query = case["method"] in {"GET", "DELETE"}
        sent = made.query if has_query else json.loads(made.body)
        stripped = "template" in values and _arguments(case, values)["template"] in {"", None}
        if set(sent) != set(values) or stripped or _altered(case, values):
            continue  # no function says just this
        assert made.path == case["path"]
        assert sent == values, case["case"]
        if "<token" in str(case["headers"].get(TOKEN_HEADER)):
            assert made.headers[TOKEN_HEADER] == TOKEN
        equal[key] += 1
    answered = {_key(case) for case in REST if case["status"] == 200 and _key(case) not in UNSAID}
    assert not [key for key in answered if not equal[key]]  # type: ignore[index]
    assert sum(equal.values()) > 500, sum(equal.values())


UNSAID = {("GET", "/user/project")}  # the recording asks for somebody else's, the client for its own


def _altered(case: dict[str, Any], values: dict[str, Any]) -> bool:
    """Whether the client itself changes a value before it is sent, or cannot be given it."""
    given = _arguments(case, values)
    if "template" in values and grammar.strip(given["template"]) != given["template"]:
        return True
    sizes = [value for name, value in values.items() if name.endswith("_data_size")]
    if any(not isinstance(size, int) or isinstance(size, bool) or not 0 < size < SMALL for size in sizes):
        return True
    kept = ("inputs", "outputs", "results", "password")
    nulls = any(value is None for value in values.values()) or not isinstance(values.get("uuid", ""), str)
    return (
        nulls
        or any(name in values and values[name] != given[name] for name in kept)
        or (
            "time_length" in values
            and (values["time_length"] == 1 or isinstance(values["time_length"], bool))
        )
    )


# -- websockets


def _payload(frame: dict[str, Any]) -> bytes:
    """The content of a recorded frame."""
    if "text" in frame:
        return frame["text"].encode()
    if "data" not in frame:
        return bytes.fromhex(frame["hex"])
    out = b""
    for kind, *rest in frame["data"]:
        if kind == "hex":
            out += bytes.fromhex(rest[0])
        elif kind == "zlib":
            out += zlib.decompress(base64.b64decode(rest[0]))
        elif kind == "zero":
            out += bytes(rest[0])
        else:
            raise ValueError(kind)
    return out


def _binaries(section: type) -> list[bytes]:
    """The messages of one kind that clients sent in the recording."""
    found = []
    for case in CASES:
        for frame in case.get("frames") or []:
            if frame["dir"] == "c2s" and frame["opcode"] == "binary":
                try:
                    data = _payload(frame)
                    message = section.FromString(data)
                except Exception:  # noqa: BLE001 - not of this kind, or not written out
                    continue
                if message.SerializeToString() == data:
                    found.append(data)
    return found


def test_direct_messages_equal_the_recorded_ones() -> None:
    checked = 0
    for data in {*_binaries(messages.ClusterIO_Message)}:
        sent = messages.ClusterIO_Message.FromString(data)
        if not sent.bufferName or sent.numberOfValues != len(sent.values) or sent.processType > 1:
            continue
        values = np.fromiter(sent.values, "<f4", len(sent.values))
        mine = packing.values_head(
            sent.bufferName,
            len(values),
            last=sent.isLast,
            process=sent.processType,
            target=sent.targetBufferType,
        )
        assert mine + values.tobytes() == data
        checked += 1
    assert checked >= 5


def test_upload_pieces_equal_protobufs() -> None:
    class Sink:
        def __init__(self) -> None:
            self.sent: list[bytes] = []

        def send(self, frame: bytes) -> None:
            self.sent.append(frame)

        def receive_message(self) -> bytes:
            return messages.FileUploadResponse_Message(success=True).SerializeToString()

    data, sink = bytes(range(256)) * 1500, Sink()
    arrived = list(uploads._pieces(sink, memoryview(data), 0))  # type: ignore[arg-type]
    pieces = [messages.FileUpload_Message.FromString(frame) for frame in sink.sent]
    assert [piece.SerializeToString() for piece in pieces] == sink.sent
    assert [piece.position for piece in pieces] == [0, 131_072, 262_144]
    assert b"".join(piece.data for piece in pieces) == data
    assert arrived == [131_072, 262_144, len(data)]


SOCKETS = [case for case in CASES if case["method"] == "WEBSOCKET"]
OPCODES = {"text": 1, "binary": 2, "close": 8, "ping": 9, "pong": 10}


class RecordedSocket:
    """A server that handshakes and then plays the recorded frames, each once the one before has come."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.heard: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def _play(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            line, _ = self._listener.accept()
            with line, line.makefile("rb") as reader:
                head = b""
                while not head.endswith(b"\r\n\r\n"):
                    head += reader.readline() or b"\r\n\r\n"
                if self.case["status"] != 101:
                    line.sendall(f"HTTP/1.1 {self.case['status']} No\r\nContent-Length: 0\r\n\r\n".encode())
                    return
                key = re.search(rb"Sec-WebSocket-Key: (\S+)", head)
                assert key is not None
                accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest())
                line.sendall(b"HTTP/1.1 101 On\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
                line.sendall(b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
                for frame in self.case["frames"]:
                    if frame["dir"] == "c2s":
                        self.heard.append(_read_frame(reader))
                    elif "opcode" in frame:
                        line.sendall(_frame(frame))
                    elif "eof" in frame:
                        return

    def close(self) -> None:
        self._listener.close()
        self._thread.join(2)


GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def _frame(frame: dict[str, Any]) -> bytes:
    data = _payload(frame)
    size = struct.pack(">B", len(data)) if len(data) < 126 else struct.pack(">BH", 126, len(data))
    return bytes([0x80 | OPCODES[frame["opcode"]]]) + size + data


def _read_frame(reader: Any) -> bytes:
    head = reader.read(2)
    if len(head) < 2:
        raise EOFError
    size = head[1] & 0x7F
    if size > 125:
        size = int.from_bytes(reader.read(2 if size == 126 else 8), "big")
    mask, data = reader.read(4), reader.read(size)
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(data)) if size < 1000 else b"long"


def _hello(case: dict[str, Any]) -> dict[str, Any] | None:
    """The recorded first message, if the client can send it."""
    first = next((frame for frame in case["frames"] if frame["dir"] == "c2s"), {})
    try:
        said = json.loads(first.get("text", ""))
    except ValueError:
        return None
    whole = isinstance(said, dict) and list(said) == ["token", "target", "uuid"] and first["opcode"] == "text"
    return said if whole and all(isinstance(value, str) for value in said.values()) else None


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("case", SOCKETS, ids=lambda case: case["case"][:50])
def test_websockets(case: dict[str, Any]) -> None:
    said = _hello(case)
    if said is None and case["status"] == 101:
        said = {"token": "t", "target": "cluster", "uuid": UUID}  # the answer counts, not what was asked
        if not any(frame["dir"] == "s2c" and frame.get("opcode") == "binary" for frame in case["frames"]):
            case = {**case, "frames": [frame for frame in case["frames"] if frame["dir"] == "c2s"][:1]}
    peer = RecordedSocket(case)
    answer = next((f for f in case["frames"] if f["dir"] == "s2c" and f.get("opcode") == "binary"), None)
    try:
        if answer is None or not json.loads(answer["text"])["success"]:
            with pytest.raises(_refusal(answer)):
                _open(peer.address, said)
        else:
            assert said is not None
            _converse(_open(peer.address, said), case)
    finally:
        peer.close()
    if _hello(case):
        assert json.loads(peer.heard[0]) == _hello(case)


def _open(address: str, said: dict[str, Any] | None) -> transport.Socket:
    said = said or {"token": "t", "target": "cluster", "uuid": UUID}
    return transport.Socket(said["token"], address, said["target"], said["uuid"])


def _refusal(answer: dict[str, Any] | None) -> type[exceptions.HanamiException]:
    error = json.loads(answer["text"])["error"] if answer else None
    if error is None:
        return exceptions.HanamiException
    kinds = {"Token": exceptions.UnauthorizedException, "not found": exceptions.NotFoundException}
    return next((kind for text, kind in kinds.items() if text in error), exceptions.BadRequestException)


def _converse(line: transport.Socket, case: dict[str, Any]) -> None:
    """Send as many frames as were sent, and read each answer as the client does."""
    for frame in case["frames"][2:]:
        sends = frame["dir"] == "c2s"
        if line.closed or (sends and frame["opcode"] == "close"):
            break
        if sends:
            line.send(b"\x12\x01x")
        elif frame.get("opcode") == "binary":
            _read_answer(line, frame, case)
        else:
            with pytest.raises((exceptions.ConnectionException, exceptions.TimeoutException)):
                line.receive()
    line.close()


def _read_answer(line: transport.Socket, frame: dict[str, Any], case: dict[str, Any]) -> None:
    uploading = json.loads(case["frames"][0]["text"])["target"] == "file_upload"
    if not uploading:
        expected = messages.ClusterIO_Message.FromString(_payload(frame))
        name, values = direct_io._values(line.receive_message())
        assert (name, values.tolist()) == (expected.bufferName, pytest.approx(list(expected.values)))
    elif frame.get("decoded", {"success": True})["success"]:
        assert uploads._acknowledged(line, deque([7])) == 7
    else:
        with pytest.raises(exceptions.BadRequestException, match="refused a piece"):
            uploads._acknowledged(line, deque([7]))
