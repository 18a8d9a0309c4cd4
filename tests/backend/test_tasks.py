"""Task queues, hosts and uploads beyond the main job."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
from typing import Any

import numpy as np
import pytest

from hanami_jupyter.protocol.hanami_messages_pb2 import FileUpload_Message, FileUploadResponse_Message
from tests.backend.conftest import TEMPLATE, Client, until


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture(scope="module")
def large(admin: Client) -> str:
    return admin.mnist(30_000, "large")


def test_train_request_check(admin: Client) -> None:
    data = admin.mnist(400)
    found = admin.get("/dataset", uuid=data)
    assert (found["number_of_rows"], found["number_of_columns"]) == (400, 794)
    assert found["description"]["label"] == {"column_start": 784, "column_end": 794}
    cluster = admin.cluster("first")
    empty = admin.get("/cluster", uuid=cluster)
    assert (empty["number_of_synapses"], empty["inputs"]) == (0, {"picture_hex": 0})
    assert empty["template"].startswith("version: 1")
    task = admin.wait(cluster, admin.train(cluster, data))
    assert (task["current_cycle"], task["total_number_of_cycles"], task["error"]) == (400, 400, "")
    assert task["percentage_finished"] == 1.0
    result = admin.request(cluster, data)
    admin.wait(cluster, result)
    assert admin.get("/dataset", uuid=result)["description"]["guess"]["column_end"] == 10
    assert admin.get("/dataset/check", uuid=result, reference_uuid=data)["accuracy"] > 90
    grown = admin.get("/cluster", uuid=cluster)
    assert grown["inputs"] == {"picture_hex": 784}
    assert grown["number_of_synapses"] > 0
    assert len(grown["hexagons"]) == 3
    admin.delete("/task", cluster_uuid=cluster, uuid=result)
    assert admin.get("/dataset", uuid=result)["number_of_rows"] == 400


def test_a_seed_repeats(admin: Client) -> None:
    data = admin.mnist(100)
    answers = []
    for name, more in (("one", {}), ("two", {}), ("three", {"seed": 7}), ("four", {"seed": 7})):
        cluster = admin.cluster(f"seed_{name}", **more)
        admin.wait(cluster, admin.train(cluster, data))
        answers.append(admin.answers(cluster, data))
    assert (answers[0] == answers[1]).all()
    assert (answers[2] == answers[3]).all()
    assert (answers[0] != answers[2]).any()


def test_one_queue_a_cluster_and_clusters_in_parallel(admin: Client, large: str) -> None:
    one, other = admin.cluster("queue_one"), admin.cluster("queue_other")
    assert admin.get("/cluster", uuid=one)["host_uuid"] != admin.get("/cluster", uuid=other)["host_uuid"]
    tasks = [admin.train(one, large) for _ in range(3)]
    elsewhere = admin.train(other, large)
    states = until(
        lambda: (
            (found := [admin.task(one, task) for task in tasks])[0]["state"] == "active"
            and admin.task(other, elsewhere)["state"] == "active"
            and found
        )
    )
    assert [task["state"] for task in states] == ["active", "queued", "queued"]
    assert [task["queue_position"] for task in states] == [0, 1, 2]
    listed = admin.get("/task/all", cluster_uuid=one)["body"]
    assert [row[0] for row in listed] == tasks
    assert all(0 <= float(row[2]) <= 1 for row in listed)
    admin.delete("/task", cluster_uuid=one, uuid=tasks[1])
    admin.refused(404, "GET", "/task", cluster_uuid=one, uuid=tasks[1])
    admin.delete("/task", cluster_uuid=one, uuid=tasks[0])
    admin.wait(one, tasks[0], "aborted")
    done = admin.wait(one, tasks[2])
    assert done["cycles_per_second"] > 0
    admin.wait(other, elsewhere)


def test_modes(admin: Client, large: str) -> None:
    cluster = admin.cluster("modes")
    task = admin.train(cluster, large, time_length=8)  # long enough to be refused meanwhile
    assert "tasks" in admin.refused(409, "PUT", "/cluster/set_mode", uuid=cluster, new_state="DIRECT")
    with pytest.raises(Exception, match="works on tasks"):
        direct_row(admin, cluster)
    admin.delete("/task", cluster_uuid=cluster, uuid=task)
    admin.wait(cluster, task, "aborted")
    admin.put("/cluster/set_mode", uuid=cluster, new_state="DIRECT")
    assert admin.get("/cluster", uuid=cluster)["mode"] == "DIRECT"
    admin.refused(409, "PUT", "/cluster/set_mode", uuid=cluster, new_state="DIRECT")
    waiting = admin.train(cluster, admin.mnist(10))
    assert len(direct_row(admin, cluster)) == 10
    assert admin.task(cluster, waiting)["state"] == "queued"
    admin.put("/cluster/set_mode", uuid=cluster, new_state="TASK")
    admin.wait(cluster, waiting)
    admin.refused(409, "PUT", "/cluster/set_mode", uuid=cluster, new_state="TASK")


def direct_row(admin: Client, cluster: str) -> list[float]:
    from hanami_jupyter.protocol.hanami_messages_pb2 import ClusterIO_Message

    link = admin.websocket("cluster", cluster)
    try:
        with pytest.raises(ConnectionRefusedError, match="already"):
            admin.websocket("cluster", cluster)
        values = [0.0] * 784
        message = ClusterIO_Message(bufferName="picture_hex", isLast=True, numberOfValues=784, values=values)
        link.send_binary(message.SerializeToString())
        answer = link.recv()
        if isinstance(answer, str):
            raise RuntimeError(json.loads(answer)["error"])
        return list(ClusterIO_Message.FromString(answer).values)
    finally:
        link.close()


def test_switch_host_moves_a_cluster_and_its_queue(admin: Client, large: str) -> None:
    hosts = [row[0] for row in admin.get("/host/all")["body"]]
    assert len(hosts) > 1
    cluster = admin.cluster("moving")
    data = admin.mnist(100)
    admin.wait(cluster, admin.train(cluster, data))
    before = admin.answers(cluster, data)
    here = admin.get("/cluster", uuid=cluster)["host_uuid"]
    there = next(host for host in hosts if host != here)
    active, queued = admin.train(cluster, large), admin.request(cluster, data, "after")
    admin.put("/cluster/switch_host", cluster_uuid=cluster, host_uuid=there)
    assert admin.get("/cluster", uuid=cluster)["host_uuid"] == there
    admin.delete("/task", cluster_uuid=cluster, uuid=active)
    admin.wait(cluster, queued)
    assert admin.answers(cluster, data).shape == before.shape


def test_a_move_changes_nothing(admin: Client) -> None:
    cluster, data = admin.cluster("moved"), admin.mnist(100)
    admin.wait(cluster, admin.train(cluster, data))
    before = admin.answers(cluster, data)
    for row in admin.get("/host/all")["body"]:
        admin.put("/cluster/switch_host", cluster_uuid=cluster, host_uuid=row[0])
        assert (admin.answers(cluster, data) == before).all()


def hosts(admin: Client) -> dict[str, dict[str, Any]]:
    """Return the hosts by id."""
    found = admin.get("/host/all")
    return {row[0]: dict(zip(found["header"], row, strict=True)) for row in found["body"]}


def test_hosts_tell_what_they_are(admin: Client) -> None:
    found = hosts(admin)
    assert {(host["type"], host["name"]) for host in found.values()} == {
        ("cpu", "local-0"),
        ("cpu", "local-1"),
    }
    assert sum(host["cores"] for host in found.values()) == len(os.sched_getaffinity(0))
    assert all(host["memory"] > 1 << 20 and host["load"] >= 0 for host in found.values())


def test_a_host_of_ones_choice(admin: Client, large: str) -> None:
    for number, uuid in enumerate(hosts(admin)):
        chosen = admin.cluster(f"chosen_{number}", host=uuid)
        assert admin.get("/cluster", uuid=chosen)["host_uuid"] == uuid
    busy = admin.cluster("busy")
    task = admin.train(busy, large)
    here = admin.get("/cluster", uuid=busy)["host_uuid"]
    until(lambda: admin.task(busy, task)["state"] == "active")
    assert hosts(admin)[here]["load"] == 1 / hosts(admin)[here]["cores"]
    free = admin.cluster("elsewhere", host="auto")
    assert admin.task(busy, task)["state"] == "active"
    assert admin.get("/cluster", uuid=free)["host_uuid"] != here
    admin.delete("/task", cluster_uuid=busy, uuid=task)
    nowhere = "00000000-0000-4000-8000-000000000000"
    template = base64.b64encode(TEMPLATE.encode()).decode()
    values = {"name": "nowhere", "template": template}
    assert "Host" in admin.refused(404, "POST", "/cluster", host=nowhere, **values)
    assert "'host'" in admin.refused(400, "POST", "/cluster", host="here", **values)


def test_a_checkpoint_deleted_before_it_is_loaded(admin: Client, large: str) -> None:
    cluster = admin.cluster("loading")
    saved = admin.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"]
    admin.wait(cluster, saved)
    busy = admin.train(cluster, large)
    load = admin.post("/cluster/load", cluster_uuid=cluster, checkpoint_uuid=saved)["uuid"]
    admin.delete("/checkpoint", uuid=saved)
    admin.delete("/task", cluster_uuid=cluster, uuid=busy)
    assert "not found" in admin.wait(cluster, load, "aborted")["error"]
    assert [row[5] for row in admin.get("/error_log", page=0)["body"]][-1].endswith("not found")


# -- uploads


@pytest.mark.parametrize("dtype", [np.uint8, np.float64, np.bool_, np.int16, np.float16])
def test_arrays(admin: Client, dtype: type) -> None:
    array = (np.arange(30).reshape(5, 6) % 2).astype(dtype)
    columns = [{"name": "left", "width": 4}, {"name": "right", "width": 2}]
    uuid = admin.upload("array", "array", npy(array), columns=columns).json["uuid"]
    content = admin.get("/dataset/content", uuid=uuid, column_name="right")["data"]
    assert content == array[:, 4:].astype(float).tolist()
    whole = np.load(io.BytesIO(admin.call("GET", "/dataset/file", {"uuid": uuid}).body))
    assert whole.dtype == (np.uint8 if dtype in (np.uint8, np.bool_) else np.float32)
    assert (whole == array).all()


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (npy(np.zeros((3, 5))), "3 rows of 5 values"),
        (npy(np.array([[1.0] * 6, [1, 2, np.nan, 4, 5, 6]])), "Row 1, column 'left' is nan"),
        (npy(np.array([["x"] * 6])), "real numbers"),
        (npy(np.zeros((2, 6)))[:-8], "not a whole .npy file"),
        (npy(np.array([{}])), "not a whole .npy file"),
        (b"nothing", "not a whole .npy file"),
        (npy(np.zeros((0, 6))), "0 rows"),
        (npy(np.full((1, 6), 1e300)), "Row 0"),
    ],
)
def test_arrays_that_are_wrong(admin: Client, data: bytes, what: str) -> None:
    columns = [{"name": "left", "width": 4}, {"name": "right", "width": 2}]
    answer = admin.upload("array", "array", data, columns=columns)
    assert answer.status == 400
    assert what in answer.text


@pytest.mark.parametrize(
    "columns", [[], ["x"], [{"name": "x"}], [{"name": "1", "width": 1}], [{"name": "x", "width": 0}]]
)
def test_columns_that_are_wrong(admin: Client, columns: list[object]) -> None:
    admin.refused(400, "POST", "/dataset/upload/array", name="array", input_data_size=9, columns=columns)


def test_pieces_of_any_size_in_any_order(admin: Client) -> None:
    data = ("aa\n" + "1\n" * 200_000).encode()
    begun = admin.post("/dataset/upload/csv", name="pieces", input_data_size=len(data))
    link = admin.websocket("file_upload", begun["uuid_input_file"])
    rng = np.random.default_rng(3)
    cuts = [0, *sorted(rng.integers(0, len(data), 40).tolist()), len(data)]
    places = list(itertools.pairwise(cuts))
    rng.shuffle(places)
    for start, end in places:
        message = FileUpload_Message(position=start, data=data[start:end])
        link.send_binary(message.SerializeToString())
    assert all(FileUploadResponse_Message.FromString(link.recv()).success for _ in places)
    assert admin.get("/dataset/progress", uuid=begun["uuid"])["complete"]
    link.send_binary(FileUpload_Message(position=len(data), data=b"x").SerializeToString())
    assert str(len(data)) in FileUploadResponse_Message.FromString(link.recv()).errorMessage
    link.close()
    admin.put("/dataset/upload/csv", uuid=begun["uuid"], uuid_input_file=begun["uuid_input_file"])
    assert admin.get("/dataset", uuid=begun["uuid"])["number_of_rows"] == 200_000


def test_the_machine(admin: Client) -> None:
    assert admin.get("/system_info")["info"]["packages"][0]["cores"]
    assert any(name.startswith("Host0Worker") for name in admin.get("/threading")["thread_map"])
    for path, name in (
        ("power_consumption", "power"),
        ("speed", "current_speed"),
        ("temperature_production", "temperature"),
    ):
        found = admin.get(f"/{path}")[name]
        assert {key: len(values) for key, values in found.items()} == {
            "days": 365,
            "hours": 24,
            "minutes": 60,
            "seconds": 60,
        }
