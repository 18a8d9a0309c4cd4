"""Replays the recorded exchanges of the original server against a live one and compares the answers."""

from __future__ import annotations

import base64
import json
import random
import re
import socket
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jwt
import websocket

from hanami_jupyter.protocol.hanami_messages_pb2 import ClusterIO_Message, FileUploadResponse_Message

CASES = Path(__file__).parent / "data" / "wire-cases.jsonl"
PATIENCE = 30.0
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
TOKEN = re.compile(r"<(forged )?token (\w+)@(\w+)( [^>]*)?>")


def sections() -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Give each section with its cases, in order."""
    head: dict[str, Any] = {}
    cases: list[dict[str, Any]] = []
    for line in CASES.read_text().splitlines():
        entry = json.loads(line)
        if "section" in entry:
            if head:
                yield head, cases
            head, cases = entry, []
        else:
            cases.append(entry)
    yield head, cases


@cache
def random7(count: int) -> bytes:
    source = random.Random(7)
    return bytes(source.randrange(256) for _ in range(count))


def payload(parts: list[list[Any]]) -> bytes:
    """Put a payload together from its pieces."""
    made = b""
    for kind, value, *more in parts:
        if kind == "text":
            made += value.encode()
        elif kind == "hex":
            made += bytes.fromhex(value)
        elif kind == "repeat":
            made += value.encode() * more[0]
        elif kind == "zero":
            made += bytes(value)
        elif kind == "random7":
            made += random7(value)[slice(*more) if more else slice(None)]
        elif kind == "count10":
            made += bytes(i % 10 for i in range(value))
        elif kind == "zlib":
            made += zlib.decompress(base64.b64decode(value))
        else:
            raise AssertionError(kind)
    return made


@dataclass
class Answer:
    status: int | None
    content_type: str | None = None
    text: str = ""


@dataclass
class Replay:
    """One server, the ids and tokens it has given for the recorded ones, and what differed.

    Attributes
    ----------
    address : str
        The server.
    folder : Path
        Its data folder: forged tokens need its key.
    differences : list of (case, what)
        What was not as recorded.
    """

    address: str
    folder: Path
    admin_password: str = "asdfasdf"
    uuids: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    passwords: dict[str, str] = field(default_factory=dict)
    differences: list[tuple[str, str]] = field(default_factory=list)

    # -- what stands for something of the recording

    def token(self, user: str, project: str) -> str:
        name = f"{user}@{project}"
        if name not in self.tokens:
            password = self.passwords.get(user, self.admin_password)
            body = json.dumps({"id": user, "password": password}).encode()
            given = self._exchange("POST", "/v1.0alpha/token", {}, body)
            token = json.loads(given.text).get("token", "") if given.status == 200 else ""
            body = json.dumps({"project_id": project}).encode()
            given = self._exchange("PUT", "/v1.0alpha/token", {"X-Auth-Token": token}, body)
            self.tokens[name] = json.loads(given.text)["token"] if given.status == 200 else "none"
        return self.tokens[name]

    def _forged(self, user: str, project: str, how: str) -> str:
        real = self.token(project=project, user="asdf" if user == "ghost" else user)
        claims = jwt.decode(real, options={"verify_signature": False})
        with sqlite3.connect(self.folder / "hanami.db") as database:
            key = database.execute("SELECT value FROM meta WHERE key = 'token_key'").fetchone()[0]
        header, body, signature = real.split(".")
        if how == "expired":
            claims["exp"] = int(time.time()) - 10
        elif how == "iat in the future":
            claims["iat"] = int(time.time()) + 1000
        elif how == "nbf in the future":
            claims["nbf"] = int(time.time()) + 1000
        elif how == "no exp":
            del claims["exp"]
        elif how == "unknown user":
            claims["user"] = claims["user"].replace('"id":"asdf"', '"id":"ghost"')
        elif how == "wrong signature":
            return f"{header}.{body}.{signature[::-1]}"
        elif how == "alg none":
            return jwt.encode(claims, "", algorithm="none")
        if how == "typ other":
            return jwt.encode(claims, key, algorithm="HS256", headers={"typ": "other"})
        return jwt.encode(
            claims,
            key + "x" * 32 if how == "wrong key" else key,
            algorithm="HS512" if how == "alg HS512" else "HS256",
        )

    def live(self, text: str) -> str:
        """Put live tokens and ids in place of the recorded ones."""

        def replace(match: re.Match[str]) -> str:
            forged, user, project, how = match.groups()
            return self._forged(user, project, how.strip()) if forged else self.token(user, project)

        text = TOKEN.sub(replace, text)
        return UUID.sub(lambda match: self.uuids.get(match.group(), match.group()), text)

    def learn(self, recorded: Any, live: Any) -> None:
        """Note which live ids answer to which recorded ones."""
        if isinstance(recorded, dict) and isinstance(live, dict):
            for key in recorded.keys() & live.keys():
                self.learn(recorded[key], live[key])
        elif isinstance(recorded, list) and isinstance(live, list):
            for one, other in zip(recorded, live, strict=False):
                self.learn(one, other)
        elif UUID.fullmatch(str(recorded)) and UUID.fullmatch(str(live)):
            self.uuids.setdefault(recorded, live)

    # -- one exchange

    def run(self, case: dict[str, Any]) -> int | None:
        """Do what a case says and compare; return the status of the answer."""
        time.sleep(case.get("wait_before", 0))
        if case["method"] == "WEBSOCKET":
            return self._websocket(case)
        headers = {k: self.live(v) for k, v in case["headers"].items()}
        target = case["path"] + ("" if case["query"] is None else f"?{self.live(case['query'])}")
        body = None
        if "body_parts" in case:
            body = payload(case["body_parts"])
        elif case["body"] is not None:
            body = self.live(case["body"]).encode()
            if "Content-Length" in headers:
                headers["Content-Length"] = "50"
            if case["path"].endswith("/user") and case["method"] == "POST" and case["status"] == 200:
                self.passwords[json.loads(body)["id"]] = json.loads(body)["password"]
        answer = self._exchange(
            case["method"],
            target,
            headers,
            body,
            case.get("http_version", "HTTP/1.1"),
            case.get("timeout", PATIENCE),
        )
        self._compare(case, answer)
        if "wait_task" in case and answer.status == 200:
            self._wait(json.loads(answer.text)["uuid"], json.loads(body or b"{}").get("cluster_uuid"))
        return answer.status

    def _exchange(
        self,
        method: str,
        target: str,
        headers: dict[str, str | None],
        body: bytes | None,
        version: str = "HTTP/1.1",
        timeout: float = PATIENCE,
    ) -> Answer:
        """Send exactly these bytes on a connection of its own."""
        place = urlsplit(self.address)
        lines = [f"{method} {target} {version}", f"Host: {place.netloc}", "Connection: close"]
        given = {name.lower() for name in headers}
        lines = [line for line in lines if line.split(":")[0].lower() not in given]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        if body is not None and not given & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        data = b""
        with socket.create_connection((place.hostname, place.port), timeout=timeout) as link:
            with suppress(OSError):  # an early answer may be there all the same
                link.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))
            with suppress(OSError):
                while (piece := link.recv(1 << 16)) and not _whole(data + piece):
                    data += piece
                data += piece
        while data.startswith(b"HTTP/1.1 100"):
            data = data.partition(b"\r\n\r\n")[2]
        if not data:
            return Answer(None)
        head, _, text = data.partition(b"\r\n\r\n")
        found = re.search(rb"(?i)\r\ncontent-type: *([^\r\n]*)", head)
        return Answer(
            int(head.split()[1]),
            found[1].decode() if found else None,
            text.decode("utf-8", "replace"),
        )

    def _wait(self, task: str, cluster: str | None) -> None:
        """Wait until a task is done, or for good reasons never will be."""
        token = self.token("asdf", "admin")
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            target = f"/v1.0alpha/task?cluster_uuid={cluster}&uuid={task}"
            answer = self._exchange("GET", target, {"X-Auth-Token": token}, None)
            mode = self._exchange("GET", f"/v1.0alpha/cluster?uuid={cluster}", {"X-Auth-Token": token}, None)
            if answer.status != 200 or json.loads(answer.text)["state"] in ("finished", "aborted"):
                return
            if '"mode":"DIRECT"' in mode.text:
                return
            time.sleep(0.02)

    def _undo(self, cluster: str) -> None:
        token = self.token("asdf", "admin")
        self._exchange("DELETE", f"/v1.0alpha/cluster?uuid={cluster}", {"X-Auth-Token": token}, None)

    def _differs(self, case: dict[str, Any], what: str) -> None:
        self.differences.append((case["case"], what))

    def _compare(self, case: dict[str, Any], answer: Answer) -> None:
        if answer.status != case["status"]:
            text = answer.text[:160]
            self._differs(case, f"status {answer.status} instead of {case['status']}: {text}")
            if (case["method"], case["path"], answer.status) == ("POST", "/v1.0alpha/cluster", 200):
                self._undo(json.loads(answer.text)["uuid"])  # later cases take the name to be free
            return
        if case["status"] != 200:
            return
        if answer.content_type != case["content_type"]:
            self._differs(case, f"content type {answer.content_type}")
        live = json.loads(answer.text)
        try:
            recorded = json.loads(case["response"])
        except ValueError:  # a long answer was cut: its form is still to be seen at the beginning
            recorded = {key: value if key == "header" else [] for key, value in live.items()}
        self.learn(recorded, live)
        problem = shape(recorded, live)
        if problem:
            self._differs(case, problem)
        if answer.text != json.dumps(live, separators=(",", ":"), sort_keys=True):
            self._differs(case, "not compact JSON with sorted keys")

    # -- websockets

    def _websocket(self, case: dict[str, Any]) -> int | None:
        if case["status"] != 101:
            headers = {
                "Upgrade": "websocket",
                "Connection": "Upgrade",
                "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
                "Sec-WebSocket-Version": "13",
                **case["headers"],
            }
            answer = self._exchange("GET", case["path"], headers, None)
            self._compare(case, answer)
            return answer.status
        link = websocket.create_connection(
            self.address.replace("http", "ws", 1) + case["path"],
            header=[f"{k}: {v}" for k, v in case["headers"].items()],
            timeout=PATIENCE,
        )
        try:
            for number, frame in enumerate(case["frames"]):
                problem = self._frame(link, frame)
                if problem:
                    self._differs(case, f"frame {number}: {problem}")
                    break
        except (websocket.WebSocketException, OSError) as error:
            self._differs(case, f"websocket: {error}")
        finally:
            link.shutdown()
        return 101

    def _frame(self, link: websocket.WebSocket, frame: dict[str, Any]) -> str | None:
        """Send or receive a frame; return what is not as recorded."""
        if frame["dir"] == "c2s":
            self._send(link, frame)
            return None
        if frame.get("what") == "no answer":
            return None
        opcode, data = _receive(link)
        wanted = 8 if frame.get("eof") else {"binary": 2, "text": 1, "close": 8, "pong": 10}[frame["opcode"]]
        if opcode != wanted:
            return f"opcode {opcode} with {data[:80]!r} instead of {wanted}"
        return self._binary(frame, data) if wanted == 2 else None

    def _send(self, link: websocket.WebSocket, frame: dict[str, Any]) -> None:
        kind = frame["opcode"]
        if kind == "close":
            link.send_close()
        elif kind == "ping":
            link.ping(bytes.fromhex(frame["hex"]))
        elif "text" in frame:
            text = self.live(frame["text"])
            link.send_binary(text.encode()) if kind == "binary" else link.send(text)
        else:
            with suppress(OSError):  # what the server does about it is the next frame's business
                link.send_binary(payload(frame["data"]) if "data" in frame else bytes.fromhex(frame["hex"]))

    def _binary(self, frame: dict[str, Any], data: bytes) -> str | None:
        if "text" in frame:
            recorded, live = json.loads(frame["text"]), json.loads(data)
            if recorded["success"] != live["success"]:
                return f"success is {live['success']}: {live}"
            return shape(recorded, live)
        wanted = frame["decoded"]
        if "success" in wanted:
            got = FileUploadResponse_Message.FromString(data)
            return None if got.success == wanted["success"] else f"success {got.success}: {got.errorMessage}"
        message = ClusterIO_Message.FromString(data)
        for name in ("bufferName", "isLast", "processType", "targetBufferType", "numberOfValues"):
            if getattr(message, name) != wanted[name]:
                return f"{name} is {getattr(message, name)} instead of {wanted[name]}"
        return None if len(message.values) == wanted["n_values"] else f"{len(message.values)} values"


def _receive(link: websocket.WebSocket) -> tuple[int, bytes]:
    try:
        frame = link.recv_frame()
    except (websocket.WebSocketConnectionClosedException, ConnectionError):
        return websocket.ABNF.OPCODE_CLOSE, b""
    return frame.opcode, frame.data


def _whole(data: bytes) -> bool:
    head, _, body = data.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)content-length: *(\d+)", head)
    return bool(found) and len(body) >= int(found[1])


def kind(value: Any) -> str:
    """Return the JSON type of a value."""
    return type(value).__name__


def shape(recorded: Any, live: Any, place: str = "") -> str | None:
    """Tell where a live answer lacks something of the recorded one, or has it with another type."""
    if kind(recorded) != kind(live):
        return f"{place or 'answer'} is {str(live)[:60]} instead of {str(recorded)[:60]}"
    if isinstance(recorded, dict) and not place.endswith(("description", "thread_map")):
        columns = recorded.get("header", [])
        if columns != live.get("header", [])[: len(columns)]:
            return f"header {live.get('header')}"
        for key, value in recorded.items():
            problem = (
                shape(value, live[key], f"{place}.{key}") if key in live else f"{place}.{key} is missing"
            )
            if problem:
                return problem
    if isinstance(recorded, list) and recorded and live:
        if place.startswith((".power", ".current_speed", ".temperature")) and len(recorded) != len(live):
            return f"{place} has {len(live)} entries"
        return shape(recorded[0], live[0], f"{place}[0]")
    return None
