"""A backend full of things that exist, under names that stand for whatever bears them at the moment."""

from __future__ import annotations

import base64
import io
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.backend.conftest import ADMIN, PASSWORD, TEMPLATE, Client, column, digits, idx

CSV = "aa,bb\n1,0\n0,1\n1,0\n"
TRIES = 8  # to make a thing while others delete what it is made of
USES = 500  # of one cluster
KEPT = 8  # things of one kind that attacks have made and that stay for a while
TEMPLATE_64 = base64.b64encode(TEMPLATE.encode()).decode()


def stand_in(number: int) -> str:
    """Return a uuid that stands for a thing of the world."""
    return f"00000000-0000-4000-8000-{number:012d}"


KINDS = (
    "cluster", "dataset", "result", "checkpoint", "task", "host", "csv", "csv file", "mnist", "mnist file",
    "mnist labels", "array", "array file", "upload", "upload file",
)  # fmt: skip
STAND_INS = {kind: stand_in(number) for number, kind in enumerate(KINDS, 1)}
USER, PROJECT = "standing_user", "standing_project"


def npy(array: Any = None) -> bytes:
    """Return a .npy file."""
    file = io.BytesIO()
    np.save(file, np.zeros((3, 2), np.float32) if array is None else array)
    return file.getvalue()


def npy_of(header: str, data: bytes = bytes(24)) -> bytes:
    """Return a .npy file with a header of one's own."""
    text = header.encode("latin1")
    text += b" " * (-(11 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


class World:
    """What there is on a backend; what an attack has deleted comes back when it is needed next."""

    def __init__(self, admin: Client) -> None:
        self.admin = admin
        self.live: dict[str, str] = {}
        self._made: dict[str, deque[dict[str, str]]] = {}
        self._unnoted: set[str] = set()
        self._count = itertools.count()
        self._uses = 0
        self._lock = threading.RLock()
        self._makers: dict[str, Callable[[], dict[str, str]]] = {
            "cluster": self._cluster,
            "dataset": lambda: {"dataset": self._upload("csv", CSV.encode())},
            "result": self._result,
            "checkpoint": self._checkpoint,
            "task": self._task,
            "host": lambda: {"host": admin.get("/host/all")["body"][0][0]},
            "csv": lambda: self._begun("csv", CSV.encode()),
            "mnist": lambda: self._begun("mnist", *idx(*digits(3))),
            "array": lambda: self._begun("array", npy()),
            "upload": lambda: self._begun("upload", self._snapshot()),
        }

    def name(self) -> str:
        """Return a name that is free."""
        return f"world_{next(self._count)}"

    def fill(self, text: str) -> str:
        """Put what is alive in place of the stand-ins."""
        for kind, found in STAND_INS.items():
            if found in text:
                text = text.replace(found, self.of(kind))
        if USER in text:
            self._be("/user", id=USER, name="User", password=PASSWORD, is_admin=False)
        if PROJECT in text:
            self._be("/project", id=PROJECT, name="Project")
        return text

    def of(self, kind: str) -> str:
        """Return the uuid of a thing that exists."""
        with self._lock:
            if kind == "cluster":
                self._renew()
            for _ in range(TRIES):
                try:
                    if kind not in self.live:
                        maker = self._makers[next(name for name in self._makers if kind.startswith(name))]
                        self.live.update(maker())
                    return self.live[kind]
                except (
                    AssertionError,
                    ConnectionError,
                ) as error:  # another attacker has deleted what it needs
                    last = error
                    self.live.clear()
            raise last

    def _renew(self) -> None:
        """Take another cluster now and then: one that is trained all the time grows, as it should."""
        self._uses += 1
        if self._uses % USES == 0 and "cluster" in self.live:
            self._remove("cluster", {"uuid": self.live.pop("cluster")})
            self.live.pop("task", None)

    def _be(self, path: str, **values: Any) -> None:
        answer = self.admin.call("POST", path, values)
        assert answer.status in (200, 409), answer.text

    def note(self, method: str, path: str, values: dict[str, Any], status: int, answer: Any) -> None:
        """Take note of what a request has done: things are gone, new ones are to be removed in time."""
        if status != 200:
            return
        if method == "DELETE" or (method == "PUT" and "/upload/" in f"{path}/"):
            self._gone(set(map(str, values.values())))
        if method == "POST" and isinstance(answer, dict):
            kind = path.split("/")[1]
            if kind in ("cluster", "dataset", "checkpoint") and path not in (
                "/cluster/load",
                "/cluster/save",
            ):
                self._keep(kind, {"uuid": answer["uuid"]})
            elif path == "/cluster/save":
                self._keep("checkpoint", {"uuid": answer["uuid"]})
            elif path in ("/task/train", "/task/request"):
                self._keep("task", {"uuid": answer["uuid"], "cluster_uuid": str(values["cluster_uuid"])})
            elif path in ("/user", "/project") and answer["id"] not in (USER, PROJECT, ADMIN):
                self._keep(kind, {"id": answer["id"]})

    def _gone(self, values: set[str]) -> None:
        with self._lock:
            for kind in [kind for kind, uuid in self.live.items() if uuid in values]:
                self.live.pop(kind, None)
                if kind == "cluster":
                    self.live.pop("task", None)

    def _keep(self, kind: str, values: dict[str, str]) -> None:
        with self._lock:
            made = self._made.setdefault(kind, deque())
            made.append(values)
            old = made.popleft() if len(made) > KEPT else None
        if old is not None and not set(old.values()) & set(self.live.values()):
            self._remove(kind, old)

    def _remove(self, kind: str, values: dict[str, str]) -> None:
        self.admin.call("DELETE", f"/{kind}", values)
        if kind == "task":  # the dataset of a request, and an active task twice
            self.admin.call("DELETE", "/task", values)
            self.admin.call("DELETE", "/dataset", {"uuid": values["uuid"]})

    def tidy(self) -> None:
        """Remove everything that attacks have made."""
        with self._lock:
            made, self._made = self._made, {}
        for kind in ("task", *made):
            for values in made.pop(kind, ()):
                self._remove(kind, values)

    def sweep(self) -> None:
        """Remove what changed bytes have made without an answer that names it: what nobody knows twice."""
        unnoted = set()
        for kind in ("cluster", "dataset", "checkpoint"):
            there = {row[1] for row in self.admin.get(f"/{kind}/all")["body"]}
            with self._lock:
                made = {uuid for each in self._made.values() for values in each for uuid in values.values()}
                there -= made | set(self.live.values())
            for uuid in there & self._unnoted:
                self.admin.call("DELETE", f"/{kind}", {"uuid": uuid})
            unnoted |= there
        self._unnoted = unnoted

    # -- makers

    def _cluster(self) -> dict[str, str]:
        return {"cluster": self.admin.cluster(self.name())}

    def _upload(self, kind: str, *files: bytes, **more: Any) -> str:
        answer = self.admin.upload(kind, self.name(), *files, **more)
        assert answer.status == 200, answer.text
        return answer.json["uuid"]

    def _ready(self) -> str:
        """Return a cluster that takes tasks."""
        cluster = self.of("cluster")
        self.admin.call("PUT", "/cluster/set_mode", {"uuid": cluster, "new_state": "TASK"})
        return cluster

    def _task(self) -> dict[str, str]:
        return {"task": self._run("train", outputs=[column(self.of("dataset"), "bb", "label_hex")])}

    def _result(self) -> dict[str, str]:
        results = [{"dataset_column": "bb", "hexagon_name": "label_hex"}]
        return {"result": self._run("request", results=results)}

    def _run(self, kind: str, **values: Any) -> str:
        cluster = self._ready()
        values["inputs"] = [column(self.of("dataset"), "aa", "picture_hex")]
        uuid = self.admin.post(f"/task/{kind}", name="task", cluster_uuid=cluster, **values)["uuid"]
        self.admin.wait(cluster, uuid)
        return uuid

    def _checkpoint(self) -> dict[str, str]:
        cluster = self._ready()
        uuid = self.admin.post("/cluster/save", name="checkpoint", cluster_uuid=cluster)["uuid"]
        self.admin.wait(cluster, uuid)
        return {"checkpoint": uuid}

    def _snapshot(self) -> bytes:
        return self.admin.call("GET", "/checkpoint/file", {"uuid": self.of("checkpoint")}).body

    def _begun(self, kind: str, *files: bytes) -> dict[str, str]:
        """Begin an upload whose files have arrived."""
        path = "/checkpoint/upload" if kind == "upload" else f"/dataset/upload/{kind}"
        sizes = dict(zip(("input_data_size", "label_data_size"), map(len, files), strict=False))
        more = {"columns": [{"name": "aa", "width": 2}]} if kind == "array" else {}
        begun = self.admin.post(path, name=self.name(), **sizes, **more)
        found = {kind: begun["uuid"], f"{kind} file": begun["uuid_input_file"]}
        if "uuid_label_file" in begun:
            found[f"{kind} labels"] = begun["uuid_label_file"]
        for uuid, data in zip(list(found.values())[1:], files, strict=True):
            self.admin.send_file(uuid, data)
        return found


# -- values that make a request right


def known(method: str, path: str, name: str) -> list[Any]:
    """Return values of a field with which the request succeeds; empty if anything of its kind will do."""
    found = _BY_PLACE.get((method, path, name), _BY_NAME.get(name))
    if found is None and name in ("uuid", "uuid_input_file", "uuid_label_file"):
        found = _uuid(path, name)
    return list(found or [])


def _uuid(path: str, name: str) -> list[str]:
    if "/upload" in path:
        kind = "upload" if path.startswith("/checkpoint") else path.rpartition("/")[2]
        word = {"uuid": kind, "uuid_input_file": f"{kind} file", "uuid_label_file": f"{kind} labels"}[name]
        return [STAND_INS[word]]
    kinds = {"/dataset": ("dataset", "result"), "/cluster": ("cluster",), "/checkpoint": ("checkpoint",)}
    return [STAND_INS[kind] for kind in kinds.get(f"/{path.split('/')[1]}", ("task",))]


_BY_NAME: dict[str, list[Any]] = {
    "cluster_uuid": [STAND_INS["cluster"]],
    "checkpoint_uuid": [STAND_INS["checkpoint"]],
    "host_uuid": [STAND_INS["host"]],
    "reference_uuid": [STAND_INS["dataset"]],
    "template": [TEMPLATE_64],
    "columns": [[{"name": "aa", "width": 2}]],
    "column_name": ["bb"],
    "inputs": [[column(STAND_INS["dataset"], "aa", "picture_hex")]],
    "outputs": [[column(STAND_INS["dataset"], "bb", "label_hex")]],
    "results": [[{"dataset_column": "bb", "hexagon_name": "label_hex"}]],
    "user_id": [ADMIN, USER],
    "project_id": ["admin", PROJECT],
    "number_of_rows": [1, 3],
    "row_offset": [0],
    "time_length": [1, 2],
}
_BY_PLACE: dict[tuple[str, str, str], list[Any]] = {
    ("POST", "/token", "id"): [ADMIN],
    ("POST", "/token", "password"): [PASSWORD],
    ("PUT", "/token", "project_id"): ["admin"],
    ("GET", "/user", "id"): [ADMIN, USER],
    ("DELETE", "/user", "id"): [USER],
    ("POST", "/user/project", "id"): [USER],
    ("DELETE", "/user/project", "id"): [USER],
    ("GET", "/project", "id"): [PROJECT],
    ("DELETE", "/project", "id"): [PROJECT],
}


def document(described: dict[str, Any]) -> dict[str, Any]:
    """Return an OpenAPI document whose fields allow what is known to work."""
    copy: dict[str, Any] = json.loads(json.dumps(described))
    for full, methods in copy["paths"].items():
        path = "/" + full.split("/", 2)[2]
        for method, operation in methods.items():
            fields = {parameter["name"]: parameter for parameter in operation.get("parameters", ())}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                fields = {name: {"schema": old} for name, old in body["schema"]["properties"].items()}
                body["schema"]["properties"] = {}
                if path == "/cluster":  # which says what it may do without, but not that it does nothing then
                    body["schema"]["required"].append("template")
            for name, field in fields.items():
                values = known(method.upper(), path, name)
                if values:
                    field["schema"] = {"enum": values}
                if body:
                    body["schema"]["properties"][name] = field["schema"]
    return copy
