"""Each line of the protocol's section "Faults": where the original fails, ours does it right."""

from __future__ import annotations

import base64
import io
import itertools
import json
import socket
import struct
import threading
from contextlib import closing
from urllib.parse import urlsplit

import numpy as np
import pytest
from websocket import ABNF

from hanami_jupyter.protocol.hanami_messages_pb2 import (
    ClusterIO_Message,
    FileUpload_Message,
    FileUploadResponse_Message,
)
from tests.backend.conftest import PASSWORD, TEMPLATE, Backend, Client, column, digits, idx, until

_count = itertools.count()
NOWHERE = "00000000-0000-4000-8000-000000000000"
TWO_OUTPUTS = TEMPLATE.replace("    label_hex: 3,1,1\n", "    label_hex: 3,1,1\n    other_hex: 2,1,1\n")


@pytest.fixture
def cluster(admin: Client) -> str:
    return admin.cluster(f"faults_{next(_count)}")


# -- dies on


def test_large_query_integer(admin: Client) -> None:
    for number in (2**31, 2**63, 10**25):
        admin.refused(400, "GET", "/audit_log", page=number)


@pytest.mark.parametrize(
    "body",
    [
        b"[1,2]",
        b'"text"',
        b"5",
        b'{"id": 1e400}',
        b'{"id": "h\xff\xfello"}',
        b'{"id": "\\ud800aaa", "name": "name"}',
        b"[" * 100_000,
        b'{"id": ' + b"9" * 5000 + b"}",
    ],
)
def test_bodies_that_are_no_object(admin: Client, body: bytes) -> None:
    assert admin.call("POST", "/project", body).status == 400


def test_very_long_fields(admin: Client) -> None:
    admin.refused(400, "POST", "/project", id="a" * 300_000, name="name")
    assert "longer than 1048576" in admin.call("POST", "/project", b'"' + b"a" * (1 << 20) + b'"').text
    admin.refused(400, "GET", "/project", id="a" * 7000)


def test_unknown_task(admin: Client, cluster: str) -> None:
    assert "not found" in admin.refused(404, "GET", "/task", cluster_uuid=cluster, uuid=NOWHERE)


def test_cluster_without_template(admin: Client) -> None:
    assert "template" in admin.refused(400, "POST", "/cluster", name="bare")


def test_unknown_hexagon_is_told_with_the_known(admin: Client, cluster: str) -> None:
    data = admin.csv("aa,bb\n1,0\n")
    values = {"name": "task", "cluster_uuid": cluster}
    wrong, right = [column(data, "aa", "nope")], [column(data, "aa", "picture_hex")]
    expected = [column(data, "bb", "label_hex")]
    assert "'picture_hex'" in admin.refused(
        400, "POST", "/task/train", **values, inputs=wrong, outputs=expected
    )
    assert "'label_hex'" in admin.refused(400, "POST", "/task/train", **values, inputs=right, outputs=wrong)
    results = [{"dataset_column": "bb", "hexagon_name": "nope"}]
    assert "'label_hex'" in admin.refused(
        400, "POST", "/task/request", **values, inputs=right, results=results
    )
    assert admin.get("/task/all", cluster_uuid=cluster)["body"] == []


def test_time_length(admin: Client, cluster: str) -> None:
    data = admin.csv("aa,bb\n" + "".join(f"{i % 7},{i % 2}\n" for i in range(50)))
    task = admin.post(
        "/task/train",
        name="window",
        cluster_uuid=cluster,
        inputs=[column(data, "aa", "picture_hex")],
        outputs=[column(data, "bb", "label_hex")],
        time_length=5,
    )
    assert task["total_number_of_cycles"] == 46
    assert admin.wait(cluster, task["uuid"])["current_cycle"] == 46
    uuid = admin.post(
        "/task/request",
        name="window",
        cluster_uuid=cluster,
        inputs=[column(data, "aa", "picture_hex")],
        results=[{"dataset_column": "bb", "hexagon_name": "label_hex"}],
        time_length=5,
    )["uuid"]
    admin.wait(cluster, uuid)
    assert admin.get("/dataset", uuid=uuid)["number_of_rows"] == 46
    short = {"name": "window", "cluster_uuid": cluster, "time_length": 51}
    columns = {"inputs": [column(data, "aa", "picture_hex")], "outputs": [column(data, "bb", "label_hex")]}
    assert "50 rows" in admin.refused(400, "POST", "/task/train", **short, **columns)


def test_images_shorter_than_their_header(admin: Client) -> None:
    images, labels = idx(*digits(5))
    answer = admin.upload("mnist", "short", images[:-10], labels)
    assert answer.status == 400
    assert "ends in row 4" in answer.text


def test_large_csv_cells(admin: Client) -> None:
    data = admin.csv("aa\n3000000000\n-1e30\n")
    content = admin.get("/dataset/content", uuid=data, column_name="aa")["data"]
    assert content == [[3e9], [pytest.approx(-1e30)]]
    answer = admin.upload("csv", "table", b"aa,bb\n1,2\n3,1e39\n")
    assert answer.status == 400
    assert "Row 2, column 'bb' is '1e39'" in answer.text


def test_a_column_named_true(admin: Client) -> None:
    data = admin.csv("true,false\n1,2\n")
    assert admin.get("/dataset/content", uuid=data, column_name="true")["data"] == [[1.0]]


def test_deleting_a_cluster_while_it_trains(admin: Client, cluster: str) -> None:
    data = admin.mnist(2000)
    for _ in range(3):
        task = admin.train(cluster, data)
    admin.delete("/cluster", uuid=cluster)
    admin.refused(404, "GET", "/cluster", uuid=cluster)
    admin.refused(404, "GET", "/task", cluster_uuid=cluster, uuid=task)


def test_oversized_direct_counts(admin: Client, cluster: str) -> None:
    link = admin.websocket("cluster", cluster)
    for count in (5, 2**40, 2**64 - 1):
        link.send_binary(
            ClusterIO_Message(
                bufferName="picture_hex", isLast=True, numberOfValues=count, values=[1.0] * 3
            ).SerializeToString()
        )
        assert "holds 3" in json.loads(link.recv())["error"]
    link.close()


# -- hangs on


def test_many_idle_connections(backend: Backend, admin: Client) -> None:
    place = urlsplit(backend.address)
    links = [socket.create_connection((place.hostname, place.port)) for _ in range(40)]
    assert admin.get("/cluster/all")["header"][0] == "created_at"
    for link in links:
        link.close()


def test_direct_messages(admin: Client, cluster: str) -> None:
    """Unknown names, a cluster that was never trained, missing buffers: an answer each time."""
    link = admin.websocket("cluster", cluster)

    def ask(**values: object) -> tuple[int, bytes]:
        data = values.pop("values", [1.0, 0.0, 1.0])
        message = ClusterIO_Message(numberOfValues=len(data), values=data, **values)
        link.send_binary(message.SerializeToString())
        frame = link.recv_frame()
        return frame.opcode, frame.data

    opcode, data = ask(bufferName="nope", isLast=True)
    assert opcode == ABNF.OPCODE_TEXT
    assert "picture_hex" in json.loads(data)["error"]
    opcode, data = ask(bufferName="picture_hex", isLast=True)
    assert opcode == ABNF.OPCODE_BINARY
    assert ClusterIO_Message.FromString(data).bufferName == "label_hex"
    opcode, _ = ask(bufferName="picture_hex", processType=1)
    assert opcode == ABNF.OPCODE_BINARY
    opcode, data = ask(
        bufferName="label_hex", processType=1, targetBufferType=2, isLast=True, values=[0.0, 1.0]
    )
    assert ClusterIO_Message.FromString(data).isLast
    opcode, data = ask(bufferName="picture_hex", isLast=True)
    assert ClusterIO_Message.FromString(data).numberOfValues == 2
    opcode, data = ask(bufferName="picture_hex", isLast=True, values=[float("nan")] * 3)
    assert opcode == ABNF.OPCODE_TEXT
    link.close()
    until(lambda: admin.get("/cluster", uuid=cluster)["outputs"] == {"label_hex": 2})


def test_several_outputs(admin: Client) -> None:
    cluster = admin.cluster("several", TWO_OUTPUTS)
    data = admin.csv("aa,bb,cc\n" + "1,0,1\n2,1,0\n" * 20)
    task = admin.post(
        "/task/train",
        name="train",
        cluster_uuid=cluster,
        inputs=[column(data, "aa", "picture_hex")],
        outputs=[column(data, "bb", "label_hex"), column(data, "cc", "other_hex")],
    )["uuid"]
    admin.wait(cluster, task)
    result = admin.post(
        "/task/request",
        name="both",
        cluster_uuid=cluster,
        inputs=[column(data, "aa", "picture_hex")],
        results=[
            {"dataset_column": "one", "hexagon_name": "label_hex"},
            {"dataset_column": "two", "hexagon_name": "other_hex"},
            {"dataset_column": "again", "hexagon_name": "label_hex"},
        ],
    )["uuid"]
    admin.wait(cluster, result)
    places = admin.get("/dataset", uuid=result)["description"]
    assert [(v["column_start"], v["column_end"]) for v in places.values()] == [(2, 3), (0, 1), (1, 2)]
    values = {
        name: admin.get("/dataset/content", uuid=result, column_name=name)["data"]
        for name in ("one", "two", "again")
    }
    assert values["one"] == values["again"] != values["two"]
    link = admin.websocket("cluster", cluster)
    link.send_binary(
        ClusterIO_Message(
            bufferName="picture_hex", isLast=True, numberOfValues=1, values=[1.0]
        ).SerializeToString()
    )
    answers = [ClusterIO_Message.FromString(link.recv()) for _ in range(2)]
    assert [(a.bufferName, a.isLast) for a in answers] == [("label_hex", False), ("other_hex", True)]
    np.testing.assert_allclose(answers[0].values, values["one"][0], rtol=1e-6)
    link.close()


def test_a_task_after_a_refused_one(admin: Client, cluster: str) -> None:
    data = admin.mnist()
    inputs = [column(data, "picture", "picture_hex")]
    for outputs in ([column(data, "nope", "label_hex")], [{}], ["x"], [None], []):
        answer = admin.call(
            "POST",
            "/task/train",
            {"name": "task", "cluster_uuid": cluster, "inputs": inputs, "outputs": outputs},
        )
        assert answer.status in (400, 404)
    admin.wait(cluster, admin.train(cluster, data))


def test_no_sql_in_values(admin: Client, cluster: str) -> None:
    wrong = f"{NOWHERE}' OR '1'='1"
    refused = admin.refused(
        404,
        "POST",
        "/task/train",
        name="task",
        cluster_uuid=cluster,
        inputs=[column(wrong, "picture", "picture_hex")],
        outputs=[],
    )
    assert "not found" in refused
    for target in ("cluster", "file_upload"):
        with pytest.raises(ConnectionRefusedError, match="not found"):
            admin.websocket(target, "' OR '1'='1")


# -- 500 although done, always 500


def test_projects_of_a_user(admin: Client) -> None:
    admin.post("/user", id="with_projects", name="User", password=PASSWORD, is_admin=False)
    values = {"id": "with_projects", "project_id": "some_project"}
    given = admin.post("/user/project", **values, role="member", is_project_admin=True)
    assert given["projects"] == [{"is_project_admin": True, "project_id": "some_project", "role": "member"}]
    user = admin.login("with_projects")
    assert user.get("/user/project", user_id="with_projects") == {"projects": given["projects"]}
    assert admin.delete("/user/project", **values)["projects"] == []
    assert admin.get("/user/project", user_id="asdf") == {"projects": []}
    user.refused(401, "GET", "/cluster/all")


def test_get_checkpoint(admin: Client, cluster: str) -> None:
    uuid = admin.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"]
    admin.wait(cluster, uuid)
    found = admin.get("/checkpoint", uuid=uuid)
    assert found.keys() == {"created_at", "name", "owner_id", "project_id", "uuid", "visibility"}


def test_beyond_the_last_row(admin: Client) -> None:
    data = admin.csv("aa\n1\n2\n")
    values = {"uuid": data, "column_name": "aa"}
    for offset, rows in ((0, 3), (2, 1), (5, 1)):
        assert "2 rows" in admin.refused(
            400, "GET", "/dataset/content", **values, row_offset=offset, number_of_rows=rows
        )


# -- silent


def test_labels_and_images_that_do_not_match(admin: Client) -> None:
    images, labels = idx(*digits(5))
    answer = admin.upload("mnist", "mixed", images, struct.pack(">2I", 0x801, 4) + labels[8:12])
    assert answer.status == 400
    assert "5 images but 4 labels" in answer.text
    answer = admin.upload("mnist", "mixed", images, labels[:-1] + b"\x0b")
    assert "row 4 is 11" in answer.text


def test_pictures_stay_as_they_arrived(admin: Client) -> None:
    """Labels that were refused leave no trace, and a connection left open cannot change the dataset."""
    pictures, classes = digits(300)
    images, labels = idx(pictures, classes)
    sizes = {"input_data_size": len(images), "label_data_size": len(labels)}
    begun = admin.post("/dataset/upload/mnist", name="twice", **sizes)
    values = {key: begun[key] for key in ("uuid", "uuid_input_file", "uuid_label_file")}
    admin.send_file(begun["uuid_input_file"], images)
    with closing(admin.websocket("file_upload", begun["uuid_input_file"])) as link:
        for last, told in ((b"\x0b", "row 299 is 11"), (labels[-1:], "")):
            admin.send_file(begun["uuid_label_file"], labels[:-1] + last)
            answer = admin.call("PUT", "/dataset/upload/mnist", values)
            assert (answer.status, told in answer.text) == (400 if told else 200, True)
        link.send_binary(FileUpload_Message(position=0, data=bytes(100)).SerializeToString())
        assert "part of a dataset" in FileUploadResponse_Message.FromString(link.recv()).errorMessage
    whole = np.load(io.BytesIO(admin.call("GET", "/dataset/file", {"uuid": begun["uuid"]}).body))
    np.testing.assert_array_equal(whole[:, :-10], pictures.reshape(300, -1))
    np.testing.assert_array_equal(whole[:, -10:].argmax(1), classes)


def test_wrong_magic_numbers(admin: Client) -> None:
    images, labels = idx(*digits(5))
    for first, second in (
        (labels, images),
        (images, images),
        (b"\x1f\x8b" + images, labels),
        (b"\0\0\x08\x03", labels),
    ):
        answer = admin.upload("mnist", "magic", first, second)
        assert answer.status == 400


def test_incomplete_uploads(admin: Client) -> None:
    begun = admin.post("/dataset/upload/csv", name="part", input_data_size=300_000)
    admin.send_file(begun["uuid_input_file"], b"x" * 200_000)
    assert not admin.get("/dataset/progress", uuid=begun["uuid"])["complete"]
    values = {"uuid": begun["uuid"], "uuid_input_file": begun["uuid_input_file"]}
    assert "completely" in admin.refused(400, "PUT", "/dataset/upload/csv", **values)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("aa,bb\n1,2\n3,x\n", "Row 2, column 'bb' is 'x'"),
        ("aa,bb\n1,2\n3,\n", "Row 2, column 'bb' is ''"),
        ("aa,bb\n1,2\n3\n", "Row 2 has 1 cells"),
        ("aa,bb\n1,2,3\n", "Row 1 has 3 cells"),
        ("aa,bb\n1,nan\n", "Row 1, column 'bb' is 'nan'"),
        ("aa,aa\n1,2\n", "twice"),
        ("1,2\n3,4\n", "column 1 '1'"),
        ("aa,bb\n", "no rows"),
        ("\n1,2\n", "header"),
    ],
)
def test_csv_that_is_wrong(admin: Client, text: str, what: str) -> None:
    answer = admin.upload("csv", "table", text.encode())
    assert answer.status == 400
    assert what in answer.text


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("aa,bb\r\n1,2\r\n3,4\r\n", [[2.0], [4.0]]),
        ('"aa","bb"\n"1","2"\n3,"4"\n', [[2.0], [4.0]]),
        ("bb\n2\n4", [[2.0], [4.0]]),
        ("aa,bb\ntrue,false\nFALSE,True\n", [[0.0], [1.0]]),
        ("\ufeffaa, bb\n1, 2\n\n3,4\n\n", [[2.0], [4.0]]),
    ],
)
def test_csv_that_is_right(admin: Client, text: str, values: list[list[float]]) -> None:
    data = admin.csv(text)
    assert admin.get("/dataset/content", uuid=data, column_name="bb")["data"] == values


def test_datasets_of_one_name_are_two(admin: Client) -> None:
    one, other = admin.csv("aa\n1\n", "same"), admin.csv("aa\n2\n", "same")
    admin.delete("/dataset", uuid=other)
    assert admin.get("/dataset/content", uuid=one, column_name="aa")["data"] == [[1.0]]


def test_an_aborted_task_stops(admin: Client, cluster: str) -> None:
    data = admin.mnist(20_000)
    task = admin.train(cluster, data)
    until(lambda: admin.task(cluster, task)["state"] == "active")
    admin.delete("/task", cluster_uuid=cluster, uuid=task)
    done = admin.wait(cluster, task, "aborted")
    assert done["current_cycle"] < 20_000
    admin.delete("/task", cluster_uuid=cluster, uuid=task)
    admin.refused(404, "GET", "/task", cluster_uuid=cluster, uuid=task)


def test_requests_do_not_train(admin: Client, cluster: str) -> None:
    data = admin.mnist(200)
    admin.wait(cluster, admin.train(cluster, data))
    before = admin.get("/cluster", uuid=cluster)
    first = admin.answers(cluster, data)
    assert (admin.answers(cluster, data) == first).all()
    assert admin.get("/cluster", uuid=cluster) == before


def test_tokens_end_with_their_user(admin: Client) -> None:
    def make() -> Client:
        admin.post("/user", id="leaver", name="User", password=PASSWORD, is_admin=False)
        admin.post("/user/project", id="leaver", project_id="team", role="member", is_project_admin=False)
        return admin.login("leaver")

    user = make()
    user.get("/cluster/all")
    admin.delete("/user", id="leaver")
    user.refused(401, "GET", "/cluster/all")
    make()
    user.refused(401, "GET", "/cluster/all")


def test_audit_log_keeps_to_its_user(admin: Client) -> None:
    admin.post("/user", id="audited", name="User", password=PASSWORD, is_admin=False)
    admin.post("/user/project", id="audited", project_id="team", role="member", is_project_admin=False)
    user = admin.login("audited")
    user.refused(400, "POST", "/cluster")
    assert [row[1:] for row in admin.get("/audit_log", page=0, user_id="audited")["body"]] == [
        ["audited", "v1.0alpha/cluster", "POST"]
    ]
    assert user.get("/audit_log", page=0)["body"][0][1] == "audited"
    assert admin.get("/audit_log", page=10**9)["body"] == []


def test_deleting_a_project_with_resources(admin: Client) -> None:
    admin.post("/project", id="full_project", name="Project")
    admin.post("/user", id="inhabitant", name="User", password=PASSWORD, is_admin=False)
    values = {"project_id": "full_project", "role": "member", "is_project_admin": False}
    admin.post("/user/project", id="inhabitant", **values)
    user = admin.login("inhabitant")
    cluster = user.cluster("inhabited")
    assert "cluster 'inhabited'" in admin.refused(409, "DELETE", "/project", id="full_project")
    user.delete("/cluster", uuid=cluster)
    admin.delete("/project", id="full_project")
    assert admin.get("/user", id="inhabitant")["projects"] == []


@pytest.mark.parametrize("rows", [1, 30])
def test_check_of_any_columns(admin: Client, rows: int) -> None:
    """Five labels, any place, any number of rows."""
    wanted = np.eye(5, dtype=np.float32)[np.arange(rows) % 5]
    got = np.roll(wanted, 1, axis=1) if rows == 1 else wanted.copy()
    if rows > 1:
        got[:3] = np.roll(got[:3], 1, axis=1)

    def text(values: np.ndarray) -> bytes:
        file = io.BytesIO()
        np.save(file, values)
        return file.getvalue()

    columns = [{"name": "pad", "width": 2}, {"name": "kind", "width": 5}]
    padded = np.hstack([np.zeros((rows, 2), np.float32), wanted])
    reference = admin.upload("array", "reference", text(padded), columns=columns).json["uuid"]
    result = admin.upload("array", "result", text(got), columns=[{"name": "kind", "width": 5}]).json["uuid"]
    accuracy = admin.get("/dataset/check", uuid=result, reference_uuid=reference)["accuracy"]
    assert accuracy == pytest.approx(0 if rows == 1 else 90)


def test_parallel_requests(admin: Client) -> None:
    """Many at once, over many connections: every one is answered."""
    statuses: list[int] = []

    def ask() -> None:
        client = Client(admin.address, admin.token)
        statuses.extend(client.call("GET", "/cluster/all").status for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 320


def test_a_template_that_is_too_large(admin: Client) -> None:
    hexagons = "".join(f"    {x},9,9\n" for x in range(2001))
    template = base64.b64encode(TEMPLATE.replace("inputs:\n", hexagons + "inputs:\n").encode()).decode()
    assert "2004 hexagons" in admin.refused(400, "POST", "/cluster", name="large", template=template)


def test_templates_that_do_not_parse_say_where(admin: Client) -> None:
    template = base64.b64encode(TEMPLATE.replace("2,1,1", "2,1").encode()).decode()
    assert "line 8" in admin.refused(400, "POST", "/cluster", name="broken", template=template)
