"""Who may do what: every endpoint as every kind of user, with own and foreign objects, against roles.tsv."""

from __future__ import annotations

import base64
import csv
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hanami_jupyter.protocol.endpoints import ENDPOINTS
from tests.backend.conftest import PASSWORD, TEMPLATE, Backend, Client, column, running

TABLE = Path(__file__).parent / "roles.tsv"
ACTORS = ("admin", "project_admin", "member", "outsider", "both", "both_elsewhere", "stranger")
CSV = "aa,bb\n1,0\n0,1\n1,0\n"
_count = itertools.count()


def fresh(prefix: str = "thing") -> str:
    return f"{prefix}_{next(_count)}"


class World:
    """Users of two projects, and objects made for one probe each."""

    def __init__(self, backend: Backend) -> None:
        admin = backend.admin()
        for project in ("team", "other"):
            admin.post("/project", id=project, name=project)
        places = {
            "project_admin": ("team",),
            "member": ("team",),
            "outsider": ("other",),
            "both": ("team", "other"),
            "colleague": ("team",),
        }
        for user, projects in places.items():
            admin.post("/user", id=user, name="User", password=PASSWORD, is_admin=False)
            for project in projects:
                leads = user == "project_admin"
                admin.post(
                    "/user/project", id=user, project_id=project, role="member", is_project_admin=leads
                )
        self.clients = {user: admin.login(user) for user in places}
        self.clients["admin"] = admin
        self.clients["both_elsewhere"] = self.clients["both"].in_project("other")
        self.clients["stranger"] = Client(backend.address, "none")
        # whoever is elsewhere or nobody has made own things here
        self.makers = self.clients | {
            "both_elsewhere": self.clients["both"],
            "stranger": self.clients["member"],
        }
        self.ids = {"admin": "asdf", "both_elsewhere": "both", "stranger": "member"}
        self.host = admin.get("/host/all")["body"][0][0]

    def user_id(self, actor: str) -> str:
        return self.ids.get(actor, actor)

    # -- objects, made by the actor or by a colleague

    def template(self) -> str:
        return base64.b64encode(TEMPLATE.encode()).decode()

    def cluster(self, maker: Client) -> str:
        return maker.cluster(fresh())

    def task(self, maker: Client, kind: str = "train") -> tuple[str, str]:
        cluster, data = self.cluster(maker), maker.csv(CSV)
        values = {"inputs": [column(data, "aa", "picture_hex")]}
        if kind == "train":
            values["outputs"] = [column(data, "bb", "label_hex")]
        else:
            values["results"] = [{"dataset_column": "bb", "hexagon_name": "label_hex"}]
        task = maker.post(f"/task/{kind}", name="task", cluster_uuid=cluster, **values)["uuid"]
        maker.wait(cluster, task)
        return cluster, task

    def checkpoint(self, maker: Client, cluster: str | None = None) -> str:
        cluster = cluster or self.cluster(maker)
        uuid = maker.post("/cluster/save", name="checkpoint", cluster_uuid=cluster)["uuid"]
        maker.wait(cluster, uuid)
        return uuid

    def begun(self, maker: Client, kind: str) -> dict[str, str]:
        """Return the ids of an upload whose files have arrived."""
        data = {
            "mnist": (b"\0\0\x08\x03\0\0\0\1\0\0\0\1\0\0\0\1\7", b"\0\0\x08\1\0\0\0\1\5"),
            "csv": (CSV.encode(),),
            "array": (npy(),),
        }
        if kind == "checkpoint":
            uuid = self.checkpoint(maker)
            files = (maker.call("GET", "/checkpoint/file", {"uuid": uuid}).body,)
        else:
            files = data[kind]
        sizes = dict(zip(("input_data_size", "label_data_size"), map(len, files), strict=False))
        more = {"columns": [{"name": "aa", "width": 2}]} if kind == "array" else {}
        path = "/checkpoint/upload" if kind == "checkpoint" else f"/dataset/upload/{kind}"
        answer = maker.post(path, name="upload", **sizes, **more)
        names = [name for name in ("uuid_input_file", "uuid_label_file") if name in answer]
        for name, content in zip(names, files, strict=True):
            maker.send_file(answer[name], content)
        return {name: answer[name] for name in ("uuid", *names)}


def npy() -> bytes:
    import io

    import numpy as np

    file = io.BytesIO()
    np.save(file, np.zeros((3, 2), np.float32))
    return file.getvalue()


Probe = Callable[[World, str, Client, str], dict[str, Any]]


def _train(world: World, maker: Client, kind: str) -> dict[str, Any]:
    cluster, data = world.cluster(maker), maker.csv(CSV)
    values: dict[str, Any] = {
        "name": "task",
        "cluster_uuid": cluster,
        "inputs": [column(data, "aa", "picture_hex")],
    }
    if kind == "train":
        return {**values, "outputs": [column(data, "bb", "label_hex")]}
    return {**values, "results": [{"dataset_column": "bb", "hexagon_name": "label_hex"}]}


def _task(world: World, maker: Client) -> dict[str, Any]:
    cluster, task = world.task(maker)
    return {"cluster_uuid": cluster, "uuid": task}


def _load(world: World, maker: Client) -> dict[str, Any]:
    cluster = world.cluster(maker)
    return {"cluster_uuid": cluster, "checkpoint_uuid": world.checkpoint(maker, cluster)}


def _new_user(world: World) -> str:
    user = fresh("user")
    world.clients["admin"].post("/user", id=user, name="User", password=PASSWORD, is_admin=False)
    return user


def _new_project(world: World) -> str:
    project = fresh("project")
    world.clients["admin"].post("/project", id=project, name="Project")
    return project


def _assigned(world: World) -> dict[str, Any]:
    user = _new_user(world)
    admin = world.clients["admin"]
    admin.post("/user/project", id=user, project_id="team", role="member", is_project_admin=False)
    return {"id": user, "project_id": "team"}


def values_for(world: World, key: str, actor: str, maker: Client, whose: str) -> dict[str, Any]:
    """Return the values of a request about something made by ``maker``."""
    own = whose != "foreign"
    project = {"admin": "admin", "outsider": "other", "both_elsewhere": "other"}.get(actor, "team")
    made: dict[str, Callable[[], dict[str, Any]]] = {
        "POST /token": lambda: {"id": world.user_id(actor), "password": PASSWORD},
        "PUT /token": lambda: {"project_id": project if own else "nowhere"},
        "GET /auth": dict,
        "POST /user": lambda: {"id": fresh("user"), "name": "User", "password": PASSWORD, "is_admin": False},
        "GET /user": lambda: {"id": "member"},
        "DELETE /user": lambda: {"id": _new_user(world)},
        "POST /user/project": lambda: {
            "id": _new_user(world),
            "project_id": "team",
            "role": "member",
            "is_project_admin": False,
        },
        "GET /user/project": lambda: {"user_id": world.user_id(actor) if own else "colleague"},
        "DELETE /user/project": lambda: _assigned(world),
        "POST /project": lambda: {"id": fresh("project"), "name": "Project"},
        "GET /project": lambda: {"id": "team"},
        "DELETE /project": lambda: {"id": _new_project(world)},
        "POST /cluster": lambda: {"name": fresh(), "template": world.template()},
        "POST /cluster/save": lambda: {"cluster_uuid": world.cluster(maker), "name": "checkpoint"},
        "POST /cluster/load": lambda: _load(world, maker),
        "PUT /cluster/set_mode": lambda: {"uuid": world.cluster(maker), "new_state": "DIRECT"},
        "PUT /cluster/switch_host": lambda: {"cluster_uuid": world.cluster(maker), "host_uuid": world.host},
        "POST /task/train": lambda: _train(world, maker, "train"),
        "POST /task/request": lambda: _train(world, maker, "request"),
        "GET /task": lambda: _task(world, maker),
        "DELETE /task": lambda: _task(world, maker),
        "GET /task/all": lambda: {"cluster_uuid": world.cluster(maker)},
        "POST /dataset/upload/mnist": lambda: {"name": "data", "input_data_size": 9, "label_data_size": 9},
        "POST /dataset/upload/csv": lambda: {"name": "data", "input_data_size": 9},
        "POST /dataset/upload/array": lambda: {
            "name": "data",
            "input_data_size": 9,
            "columns": [{"name": "aa", "width": 2}],
        },
        "POST /checkpoint/upload": lambda: {"name": "data", "input_data_size": 9},
        "PUT /dataset/upload/mnist": lambda: world.begun(maker, "mnist"),
        "PUT /dataset/upload/csv": lambda: world.begun(maker, "csv"),
        "PUT /dataset/upload/array": lambda: world.begun(maker, "array"),
        "PUT /checkpoint/upload": lambda: world.begun(maker, "checkpoint"),
        "GET /dataset/content": lambda: {"uuid": maker.csv(CSV), "column_name": "aa"},
        "GET /dataset/check": lambda: dict.fromkeys(("uuid", "reference_uuid"), maker.csv(CSV)),
        "GET /audit_log": lambda: {"page": 0} | ({} if own else {"user_id": "colleague"}),
        "GET /error_log": lambda: {"page": 0},
    }
    if key in made:
        return made[key]()
    path = key.split()[1]
    if path in ("/cluster",):
        return {"uuid": world.cluster(maker)}
    if path.startswith("/dataset") and not path.endswith("/all"):
        return {"uuid": maker.csv(CSV)}
    if path.startswith("/checkpoint") and not path.endswith("/all"):
        return {"uuid": world.checkpoint(maker)}
    return {}


def table() -> list[dict[str, str]]:
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with running(tmp_path_factory.mktemp("roles") / "data", HANAMI_BACKEND_LOGIN_DELAY="0") as backend:
        yield World(backend)


def test_the_table_holds_every_endpoint() -> None:
    assert {row["endpoint"] for row in table()} == {f"{e.method} {e.path}" for e in ENDPOINTS}


@pytest.mark.parametrize("actor", ACTORS)
def test_rights(world: World, actor: str) -> None:
    wrong = []
    for row in table():
        key, whose = row["endpoint"], row["object"]
        maker = world.clients["colleague"] if whose == "foreign" else world.makers[actor]
        values = values_for(world, key, actor, maker, whose)
        answer = world.clients[actor].call(*key.split(), values)
        if answer.status != int(row[actor]):
            wrong.append(f"{key} ({whose}): {answer.status} instead of {row[actor]}: {answer.text[:100]}")
    assert not wrong, "\n".join(wrong)


def test_lists_hold_what_is_visible(world: World) -> None:
    made = {actor: world.cluster(world.clients[actor]) for actor in ("admin", "member", "outsider", "both")}
    made["both_elsewhere"] = world.cluster(world.clients["both_elsewhere"])
    seen = {
        actor: {row[1] for row in world.clients[actor].get("/cluster/all")["body"]} & set(made.values())
        for actor in ACTORS[:-1]
    }
    assert seen["admin"] == set(made.values())
    assert seen["project_admin"] == {made["member"], made["both"]}
    for actor in ("member", "outsider", "both", "both_elsewhere"):
        assert seen[actor] == {made[actor]}


def test_websockets_keep_to_owners(world: World) -> None:
    cluster = world.cluster(world.clients["colleague"])
    file = world.clients["colleague"].post("/dataset/upload/csv", name="data", input_data_size=9)[
        "uuid_input_file"
    ]
    for actor in ("member", "outsider", "both"):
        for target, uuid in (("cluster", cluster), ("file_upload", file)):
            with pytest.raises(ConnectionRefusedError, match="not found"):
                world.clients[actor].websocket(target, uuid)
    world.clients["project_admin"].websocket("cluster", cluster).close()
    with pytest.raises(ConnectionRefusedError, match="Token invalid"):
        world.clients["stranger"].websocket("cluster", cluster)
