"""Hostile requests, frames and files: each attack makes one at random, sends it and says what came back."""

from __future__ import annotations

import base64
import http.client
import json
import os
import random
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import quote, urlsplit

import websocket

from hanami_jupyter.protocol.endpoints import BASE, ENDPOINTS, Endpoint, Field
from hanami_jupyter.protocol.hanami_messages_pb2 import ClusterIO_Message, FileUpload_Message
from tests.backend.conftest import TEMPLATE, Client, column, digits, idx, until
from tests.engine.forgery import forge
from tests.hostile.world import CSV, STAND_INS, World, known, npy, npy_of

BRIEF = 0.3  # seconds for an answer to what may be no whole request
PATIENCE = 45.0  # seconds: longer than any time limit of the server
TEXTS = [  # what filters, paths, queries, templates and terminals stumble over
    "", "a", "a" * 300, "x" * 5000, "../../etc/passwd", "..\\..\\x", "/etc/passwd", "%2e%2e%2f", "a/b",
    "C:\\x", "' OR '1'='1", "'; DROP TABLE users; --", '" OR 1=1 --', "1 UNION SELECT * FROM users", "\\",
    "%", "_",
    "a\x00b", "\x00", "ä", "日本", "\U0001f600", "a\nb", "a\r\nX: y", "<script>", "{{7*7}}", "${x}", "null",
    "true", "NaN", "1e400", "-1", "0", "9" * 400, *STAND_INS.values(),
    "00000000-0000-0000-0000-000000000000",
    "admin", "asdf", "a b", "A" * 254, "A" * 255, "\ufeffabc", "\u202eabc",
]  # fmt: skip
NUMBERS = [0, 1, -1, 2, 1000, 1001, 2**31 - 1, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, -(2**63) - 1]
OTHERS: list[Any] = [None, True, False, [], {}, [[]], [None], {"a": 1}, 1.5, -0.0, 1e308, [{}], [1] * 100]
TOKENS = ["", "x", "a.b.c", ".", "..", "e30.e30.", "-" * 3000, "_" * 9000, "é"]


def nasty(rng: random.Random) -> Any:
    """Return a value that a field may not expect."""
    pick = rng.random()
    if pick < 0.5:
        return rng.choice(TEXTS)
    if pick < 0.75:
        return rng.choice(NUMBERS)
    if pick < 0.95:
        return rng.choice(OTHERS)
    value: Any = rng.choice(TEXTS)
    for _ in range(rng.choice((5, 60, 900))):
        value = [value] if rng.random() < 0.5 else {"a": value}
    return value


def mutated(rng: random.Random, data: bytes, most: int = 6) -> bytes:
    """Return bytes with some changed, cut, doubled or put in."""
    out = bytearray(data)
    for _ in range(rng.randint(1, most)):
        at = rng.randrange(len(out) + 1)
        what = rng.random()
        if what < 0.4 and at < len(out):
            out[at] = rng.randrange(256)
        elif what < 0.55:
            del out[at : at + rng.randint(1, 40)]
        elif what < 0.7:
            out[at:at] = rng.randbytes(rng.randint(1, 20))
        elif what < 0.8:
            out[at:at] = out[at : at + rng.randint(1, 200)]
        elif what < 0.9:
            out[at : at + 4] = struct.pack(
                rng.choice("<>") + "I", rng.choice((0, 1, 2**31, 2**32 - 1, 65536))
            )
        else:
            del out[at:]
    return bytes(out)


def right(rng: random.Random, field: Field, method: str, path: str) -> Any:
    """Return a value that the field allows."""
    values = known(method, path, field.name)
    if values:
        return rng.choice(values)
    if field.kind == "int":
        return rng.randint(field.minimum or 0, min(field.maximum or 9, 2000))
    if field.kind == "bool":
        return rng.random() < 0.5
    if field.kind == "array":
        return []
    return "a" + "".join(rng.choices("abc_0123456789", k=rng.randint(8, 30)))


class Attacker:
    """Attacks of one thread on one backend.

    Parameters
    ----------
    world : World
        The backend and what there is on it.
    seed : int
        Where its random numbers begin.
    """

    def __init__(self, world: World, seed: int) -> None:
        self.world, self.rng = world, random.Random(seed)
        self.client = Client(world.admin.address, world.admin.token)
        place = urlsplit(world.admin.address)
        self.place = (str(place.hostname), int(place.port or 80))
        self.kinds: dict[str, tuple[float, Callable[[], list[str]]]] = {
            "request": (0.54, self.request),
            "right request": (0.14, self.right_request),
            "bytes": (0.12, self.raw),
            "handshake": (0.03, self.handshake),
            "first message": (0.02, self.first_message),
            "upload frames": (0.03, self.upload_frames),
            "direct frames": (0.04, self.direct_frames),
            "websocket frames": (0.04, self.broken_frames),
            "file": (0.04, self.file),
        }

    def attack(self) -> tuple[str, list[str]]:
        """Do one attack; return its kind and one outcome for each request or frame it was made of."""
        names = list(self.kinds)
        kind = self.rng.choices(names, [self.kinds[name][0] for name in names])[0]
        return kind, self.kinds[kind][1]()

    # -- requests

    def request(self) -> list[str]:
        """Send a request that is nearly right."""
        return [self._send(*self._wrong())]

    def right_request(self) -> list[str]:
        """Send a request that is right, so that there is something to break."""
        endpoint = self.rng.choice(ENDPOINTS)
        return [self._send(endpoint.method, BASE + endpoint.path, self._values(endpoint), None)]

    def _values(self, endpoint: Endpoint) -> dict[str, Any]:
        values = {
            field.name: right(self.rng, field, endpoint.method, endpoint.path)
            for field in endpoint.fields
            if field.required or field.name == "template" or self.rng.random() < 0.3
        }
        values.pop("token", None)
        return values

    def _wrong(self) -> tuple[str, str, dict[str, Any] | bytes, str | None]:
        rng = self.rng
        endpoint = rng.choice(ENDPOINTS)
        values: dict[str, Any] | bytes = self._values(endpoint)
        method, path, token = endpoint.method, BASE + endpoint.path, None
        assert isinstance(values, dict)
        what = rng.random()
        if values and what < 0.55:
            values[rng.choice(list(values))] = nasty(rng)
        elif values and what < 0.62:
            del values[rng.choice(list(values))]
        elif what < 0.7:
            values[str(rng.choice(TEXTS))] = nasty(rng)
        elif what < 0.78 and method in ("POST", "PUT"):
            values = mutated(rng, self.world.fill(json.dumps(values)).encode())
        elif what < 0.84:
            token = (
                mutated(rng, self.client.token.encode()).decode("latin1")
                if what < 0.82
                else rng.choice(TOKENS)
            )
        elif what < 0.9:
            method = rng.choice(("GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "OPTIONS", "TRACE"))
        elif what < 0.96:
            path = rng.choice(
                (path + str(rng.choice(TEXTS)), BASE + quote(str(rng.choice(TEXTS))), path.upper())
            )
        return method, path, values, token

    def _send(self, method: str, path: str, values: dict[str, Any] | bytes, token: str | None) -> str:
        try:
            if isinstance(values, dict):
                values = json.loads(self.world.fill(json.dumps(values)))
        except RecursionError:
            values = b"[" * 20_000
        target = path.removeprefix(BASE)
        headers = {} if token is None else {"X-Auth-Token": "".join(c for c in token if " " <= c <= "ÿ")}
        try:
            answer = self.client.call(method, "" if target == path else target, values, **headers)  # type: ignore[arg-type]
        except http.client.InvalidURL:  # what Python's own client does not send
            query = "&".join(f"{name}={value}" for name, value in dict(values).items())
            return self._talk(
                f"{method} {path}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode("utf-8", "replace")
            )
        except (ValueError, UnicodeError) as error:
            self.client.close()
            return f"not sent: {type(error).__name__}"
        except TimeoutError:
            return "hang"
        if isinstance(values, dict):
            parsed = answer.json if answer.status == 200 and answer.body[:1] == b"{" else None
            self.world.note(method, target, values, answer.status, parsed)
        return _status(answer.status, method, path, values)

    def raw(self) -> list[str]:
        """Send a request whose bytes have been changed."""
        endpoint = self.rng.choice(ENDPOINTS)
        body = self.world.fill(json.dumps(self._values(endpoint))).encode()
        head = (
            f"{endpoint.method} {BASE}{endpoint.path} HTTP/1.1\r\nHost: {self.place[0]}\r\n"
            f"X-Auth-Token: {self.client.token}\r\nContent-Length: {len(body)}\r\n"
            + self.rng.choice(
                ("", "Transfer-Encoding: chunked\r\n", "Expect: 100-continue\r\n", "A: " + "b" * 9000)
            )
            + "\r\n"
        )
        return [self._talk(mutated(self.rng, head.encode() + body))]

    def handshake(self) -> list[str]:
        """Send a websocket's handshake whose bytes have been changed."""
        return [self._talk(mutated(self.rng, self._opening(), 3))]

    def _opening(self) -> bytes:
        key = base64.b64encode(self.rng.randbytes(16)).decode()
        return (
            f"GET / HTTP/1.1\r\nHost: {self.place[0]}:{self.place[1]}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()

    def _talk(self, data: bytes) -> str:
        """Send bytes and read what comes back, if anything does: what is not whole is waited for."""
        answer = self._answer(data)
        return _status(int(answer[9:12]), "raw", "", data) if answer[:5] == b"HTTP/" else "no answer"

    def _answer(self, data: bytes) -> bytes:
        answer = b""
        with suppress(OSError), socket.create_connection(self.place, PATIENCE) as line:
            line.sendall(data)
            line.settimeout(BRIEF)
            while part := line.recv(65536):
                answer = answer or part
        return answer

    # -- websockets

    def first_message(self) -> list[str]:
        """Open a websocket and introduce oneself wrongly."""
        rng, values = (
            self.rng,
            {"token": self.client.token, "target": "cluster", "uuid": self.world.of("cluster")},
        )
        with suppress_closed(), closing(self._open()) as link:
            for _ in range(rng.randint(1, 6)):
                changed: Any = dict(values)
                changed[rng.choice(list(values))] = nasty(rng)
                data = json.dumps(changed if rng.random() < 0.8 else nasty(rng)).encode()
                link.send(data if rng.random() < 0.7 else mutated(rng, data), rng.choice((1, 2)))
                link.recv()
        return ["socket"]

    def _open(self) -> websocket.WebSocket:
        return websocket.create_connection(
            self.world.admin.address.replace("http", "ws", 1) + "/", timeout=PATIENCE, suppress_origin=True
        )

    def direct_frames(self) -> list[str]:
        """Send changed direct messages to a cluster."""
        rng, outcomes = self.rng, []
        with suppress_closed(), closing(self.client.websocket("cluster", self.world.of("cluster"))) as link:
            for _ in range(rng.randint(1, 30)):
                frame = self._direct()
                link.send_binary(frame if rng.random() < 0.5 else mutated(rng, frame))
                outcomes.append("frame")
                link.recv()
        return outcomes or ["refused"]

    def _direct(self) -> bytes:
        rng = self.rng
        values = [rng.choice((0.0, 1.0, -1e30, 3e38, float("inf"), float("nan")))] * rng.choice(
            (0, 1, 10, 784, 5000)
        )
        return ClusterIO_Message(
            bufferName=rng.choice(("picture_hex", "label_hex", "nope", "", "x" * 3000)),
            isLast=rng.random() < 0.5,
            processType=rng.randint(0, 3),
            targetBufferType=rng.randint(0, 4),
            numberOfValues=rng.choice((len(values), 0, 2**40, 2**64 - 1))
            if rng.random() < 0.3
            else len(values),
            values=values,
        ).SerializeToString()

    def upload_frames(self) -> list[str]:
        """Send changed pieces of a file."""
        rng, outcomes = self.rng, []
        size = rng.choice((1, 100, 200_000, 10_000_000_000))
        begun = self.client.post("/dataset/upload/csv", name=self.world.name(), input_data_size=size)
        with (
            suppress_closed(),
            closing(self.client.websocket("file_upload", begun["uuid_input_file"])) as link,
        ):
            for _ in range(rng.randint(1, 30)):
                position = rng.choice((0, 1, 50, size - 1, size, 2**40, 2**64 - 1))
                data = rng.randbytes(rng.choice((0, 1, 100, 5000)))
                frame = FileUpload_Message(position=position, data=data).SerializeToString()
                link.send(frame if rng.random() < 0.6 else mutated(rng, frame), rng.choice((1, 2, 2, 2)))
                outcomes.append("frame")
                link.recv()
        values = {"uuid": begun["uuid"]}
        finish = {"uuid_input_file": begun["uuid_input_file"], **values}
        outcomes.append(
            _status(self.client.call("PUT", "/dataset/upload/csv", finish).status, "PUT", "csv", finish)
        )
        outcomes.append(_status(self.client.call("DELETE", "/dataset", values).status, "DELETE", "", values))
        return outcomes

    def broken_frames(self) -> list[str]:
        """Send frames that no websocket may send."""
        rng = self.rng
        introduction = json.dumps(
            {"token": self.client.token, "target": "cluster", "uuid": self.world.of("cluster")}
        ).encode()
        frames = [_frame(introduction, 1)] if rng.random() < 0.5 else []
        frames += [
            _frame(
                rng.randbytes(rng.choice((0, 1, 125, 126, 200, 70_000))),
                rng.randrange(16),
                fin=rng.random() < 0.7,
                rsv=rng.choice((0, 0, 0, rng.randrange(8))),
                mask=rng.random() < 0.9,
                length=rng.choice((None, None, None, 2**31, 2**63 - 1, 2**64 - 1)),
            )
            for _ in range(rng.randint(1, 20))
        ]
        self._answer(self._opening() + b"".join(frames))
        return ["frame"] * len(frames)

    # -- files

    def file(self) -> list[str]:
        """Upload a changed file and use it if it is taken."""
        kind, files, more = self._files()
        answer = self.client.upload(kind, self.world.name(), *files, **more)
        outcomes = ["frame"] * len(files) + [_status(answer.status, "PUT", kind, more)]
        if kind == "checkpoint" and answer.status == 200:
            self._compute(answer.json["uuid"])
            self.client.call("DELETE", "/checkpoint", answer.json)
        elif answer.status == 200:
            self.client.call("GET", "/dataset/file", answer.json)
            self.client.call("DELETE", "/dataset", answer.json)
        return outcomes

    def _files(self) -> tuple[str, tuple[bytes, ...], dict[str, Any]]:
        rng = self.rng
        kind = rng.choice(("mnist", "csv", "array", "checkpoint", "cluster"))
        if kind == "mnist":
            pictures, labels = idx(*digits(5))
            if rng.random() < 0.5:
                return kind, (mutated(rng, pictures, 2) or b"x", labels), {}
            return kind, (pictures, mutated(rng, labels, 2) or b"x"), {}
        if kind == "csv":
            return kind, (mutated(rng, (CSV * 3).encode()) or b"x",), {}
        if kind == "array":
            data = mutated(rng, npy(), 3) if rng.random() < 0.5 else npy_of(header_text(rng))
            return kind, (data or b"x",), {"columns": [{"name": "aa", "width": rng.choice((1, 2, 6, 10**6))}]}
        if kind == "cluster":
            self._template()
            return "csv", (b"aa\n1\n",), {}
        return kind, (self._snapshot() or b"x",), {}

    def _snapshot(self) -> bytes:
        """Return a changed checkpoint, more often than not with a right checksum."""
        data = self.client.call("GET", "/checkpoint/file", {"uuid": self.world.of("checkpoint")}).body
        if data[:6] == b"hanami" and self.rng.random() < 0.7:
            return forge(self.rng, data)
        return mutated(self.rng, data, 3)

    def _compute(self, checkpoint: str) -> None:
        """Load a forged checkpoint that was taken, train and ask what has become of it."""
        cluster, world = self.client.cluster(self.world.name()), self.world
        values: dict[str, Any] = {"cluster_uuid": cluster}
        table = world.of("dataset")
        inputs = [column(table, "aa", "picture_hex")]
        outputs = [column(table, "bb", "label_hex")]
        results = [{"dataset_column": "bb", "hexagon_name": "label_hex"}]
        for path, more in (
            ("/cluster/load", {"checkpoint_uuid": checkpoint}),
            ("/task/train", {"name": "forged", "inputs": inputs, "outputs": outputs}),
            ("/task/request", {"name": "forged", "inputs": inputs, "results": results}),
        ):
            answer = self.client.call("POST", path, values | more)
            if answer.status == 200:
                place = values | answer.json
                until(lambda place=place: self._ended(place))
        self.client.call("DELETE", "/cluster", {"uuid": cluster})
        if answer.status == 200:
            self.client.call("DELETE", "/dataset", answer.json)

    def _ended(self, place: dict[str, Any]) -> bool:
        answer = self.client.call("GET", "/task", {key: place[key] for key in ("cluster_uuid", "uuid")})
        return answer.status != 200 or answer.json["state"] in ("finished", "aborted")

    def _template(self) -> None:
        text = base64.b64encode(mutated(self.rng, TEMPLATE.encode(), 4)).decode()
        answer = self.client.call("POST", "/cluster", {"name": self.world.name(), "template": text})
        assert answer.status in (200, 400), (answer.status, text)
        if answer.status == 200:
            self.client.call("DELETE", "/cluster", {"uuid": answer.json["uuid"]})


def header_text(rng: random.Random) -> str:
    """Return the header of a .npy file that is one or is not."""
    kind = rng.choice(("<f4", "|u1", "|O", "<c8", "<f16", "|V3", "<M8[s]", "((((", "", "f4,f4", "<f2", ">i8"))
    shapes = ("(3, 2)", "(6,)", "(-1, 2)", "(True, 2)", "(9223372036854775808,)", "(2**3,)", "()", "(0, 2)",
              "3", "(1.5, 2)", "(4611686018427387905, 4)", "'a'", "(" * 150 + ")" * 150)  # fmt: skip
    order, shape = rng.choice(("False", "True", "7")), rng.choice(shapes)
    text = f"{{'descr': {kind!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    changed = mutated(rng, text.encode()).decode("latin1")
    deep = "-" * rng.choice((50, 3000)) + "1"
    return rng.choice((text, text, text, deep, "[]", "{", text[:-3], changed))


def _frame(
    data: bytes, opcode: int, *, fin: bool = True, rsv: int = 0, mask: bool = True, length: int | None = None
) -> bytes:
    """Return one websocket frame, right or wrong."""
    size = len(data) if length is None else length
    first, second = (0x80 if fin else 0) | rsv << 4 | opcode, 0x80 if mask else 0
    if size < 126:
        head = struct.pack(">BB", first, second | size)
    elif size < 65536:
        head = struct.pack(">BBH", first, second | 126, size)
    else:
        head = struct.pack(">BBQ", first, second | 127, size)
    key = os.urandom(4) if mask else b""
    body = bytes(byte ^ key[at % 4] for at, byte in enumerate(data)) if mask and len(data) < 1000 else data
    return head + key + body


def _status(status: int, *told: Any) -> str:
    """Return a status as an outcome; one that must not be with the request that caused it."""
    return str(status) if status < 500 else f"{status}: {' '.join(map(repr, told))[:2000]}"


@contextmanager
def closing(link: websocket.WebSocket) -> Iterator[websocket.WebSocket]:
    """Close a websocket at the end of a block, without waiting for the other side."""
    try:
        yield link
    finally:
        link.shutdown()


def suppress_closed() -> Any:
    """Go on where the server has refused or closed a websocket; a time-out is not that."""
    return suppress(
        websocket.WebSocketConnectionClosedException,
        websocket.WebSocketProtocolException,
        websocket.WebSocketPayloadException,
        websocket.WebSocketBadStatusException,
        ConnectionError,
        BrokenPipeError,
    )
