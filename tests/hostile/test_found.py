"""What attacks have found: each of these failed before it was mended."""

from __future__ import annotations

import base64
import json
import os
import socket
import stat
import struct
import threading
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from hanami_jupyter.backend import clusters, hosts, readers
from hanami_jupyter.backend.config import Config
from hanami_jupyter.backend.service import Service
from hanami_jupyter.backend.store import StoreError
from hanami_jupyter.engine import Cluster
from hanami_jupyter.protocol import processes
from hanami_jupyter.protocol.template import MAX_PROBLEMS, TemplateError, parse
from tests.backend.conftest import ADMIN, PASSWORD, TEMPLATE, Backend, Client, column, running, until
from tests.backend.test_process import refusal
from tests.engine import forgery
from tests.hostile.world import npy, npy_of

SHAPE = "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }"


# -- files


@pytest.mark.parametrize(
    "header",
    [
        "-" * 3000 + "1",
        SHAPE % "(9223372036854775808, 4)",
        SHAPE % "(4611686018427387905, 4)",
        SHAPE % "(True, 2)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2",
    ],
)
def test_headers_of_arrays(admin: Client, header: str) -> None:
    answer = admin.upload("array", "hostile", npy_of(header), columns=[{"name": "aa", "width": 2}])
    assert answer.status == 400, answer.text
    assert "not a whole .npy file" in answer.text


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_in_either_order_keep_their_rows(admin: Client, order: str) -> None:
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    answer = admin.upload(
        "array", "order", npy(np.asarray(array, order=order)), columns=[{"name": "aa", "width": 3}]
    )
    content = admin.get("/dataset/content", uuid=answer.json["uuid"], column_name="aa", number_of_rows=4)
    assert content["data"] == array.tolist()


@pytest.mark.timeout(60)
def test_a_header_of_a_hundred_thousand_columns(tmp_path: Path) -> None:
    source = tmp_path / "wide.csv"
    names = [f"c{number}" for number in range(100_000)]
    source.write_text(",".join(names) + "\n" + "1," * 99_999 + "1\n")
    assert readers.read_csv(source, tmp_path / "wide.npy")["number_of_columns"] == 100_000
    source.write_text(",".join([*names, "c0"]) + "\n1\n")
    with pytest.raises(ValueError, match="'c0' twice"):
        readers.read_csv(source, tmp_path / "wide.npy")


@pytest.mark.parametrize("place", ["header", "row"])
def test_a_line_without_end_is_not_read(tmp_path: Path, place: str) -> None:
    source = tmp_path / "long.csv"
    source.write_bytes((b"aa\n" if place == "row" else b"") + b"1" * (readers.MAX_LINE + 1_000_000))
    with pytest.raises(ValueError, match="line of more than"):
        readers.read_csv(source, tmp_path / "long.npy")


def test_rows_of_a_gigabyte_are_refused(admin: Client, tmp_path: Path) -> None:
    wide = [{"name": "aa", "width": readers.MOST_COLUMNS + 1}]
    admin.refused(400, "POST", "/dataset/upload/array", name="wide", input_data_size=9, columns=wide)
    images, labels = tmp_path / "images", tmp_path / "labels"
    with images.open("wb") as file:
        file.write(struct.pack(">4I", 0x803, 1, 65_536, 16_384))
        file.truncate(16 + 65_536 * 16_384)
    labels.write_bytes(struct.pack(">2I", 0x801, 1) + b"\1")
    with pytest.raises(ValueError, match="is the limit"):
        readers.read_mnist(images, labels, tmp_path / "wide.npy")


def test_what_is_no_checkpoint_is_not_read_whole(admin: Client) -> None:
    admin.refused(400, "POST", "/checkpoint/upload", name="huge", input_data_size=1 << 31)
    assert "no snapshot" in admin.upload("checkpoint", "none", bytes(1000)).text


# -- templates


def square(side: int, distance: int) -> str:
    places = "".join(f"    {x},{y},1\n" for x in range(side) for y in range(side))
    text = TEMPLATE.replace("distance: 1", f"distance: {distance}").replace(
        "picture_hex: 1,1,1", "picture_hex: 1,1,1"
    )
    return text.replace("    1,1,1\n    2,1,1\n    3,1,1\ninputs", places + "inputs")


def test_templates_that_would_take_minutes(admin: Client) -> None:
    template = base64.b64encode(square(40, 2_000_000_000).encode()).decode()
    assert "connections" in admin.refused(400, "POST", "/cluster", name="dense", template=template)
    assert "longer than" in admin.refused(400, "POST", "/cluster", name="long", template="A" * 400_000)
    hosts.check_size(parse(square(44, 1)))
    saved = Cluster.from_template(TEMPLATE).to_bytes()
    header, arrays = forgery.read(saved)
    header["template"] = square(40, 2_000_000_000)
    assert "connections" in admin.upload("checkpoint", "dense", forgery.write(header, arrays)).text


@pytest.mark.timeout(60)
def test_texts_that_are_no_templates() -> None:
    for text in ("x " * 40_000, "version: 1\nsettings:\n" + "a: 1\n" * 20_000, square(120, 10**9)):
        with pytest.raises(TemplateError) as caught:
            parse(text)
        assert len(caught.value.problems) <= MAX_PROBLEMS
        assert len(str(caught.value)) < 50_000
    with pytest.raises(TemplateError, match="too large"):
        parse(TEMPLATE.replace("distance: 1", "distance: " + "9" * 5000))


def test_a_faster_lattice_is_the_same_lattice() -> None:
    """Against the definition: every pair within reach, nearer ones twice as likely for each step."""
    from hanami_jupyter.protocol.template import distance

    template = parse(square(5, 3).replace("outputs:\n", "    other: 4,4,1\noutputs:\n    also: 4,4,1\n"))
    lattice = Cluster(template, 1)._lattice
    first_hidden, first_output = len(template.inputs), lattice.first_output
    for a, one in enumerate(lattice.places[:first_output]):
        expected = np.zeros(len(lattice.places))
        for b in range(max(a + 1, first_hidden), len(lattice.places)):
            steps = distance(one, lattice.places[b])
            if 0 < steps <= 3 and lattice.leads[b].any():
                expected[b] = 0.5 ** (steps - 1)
        if expected.any():
            expected /= expected.sum()
        assert np.allclose(lattice.chance[a], expected)


# -- sizes


def test_hexagons_take_no_million_values(admin: Client) -> None:
    cluster = admin.cluster("wide_input")
    width = clusters.MAX_WIDTH // 8 + 1
    answer = admin.upload(
        "array", "wide", npy(np.zeros((9, width), np.uint8)), columns=[{"name": "aa", "width": width}]
    )
    data = column(answer.json["uuid"], "aa", "picture_hex")
    results = [{"dataset_column": "bb", "hexagon_name": "label_hex"}]
    values = {"name": "task", "cluster_uuid": cluster, "inputs": [data], "results": results}
    admin.wait(cluster, admin.post("/task/request", **values, time_length=2)["uuid"])
    assert "at most" in admin.refused(400, "POST", "/task/request", **values, time_length=8)


def test_long_answers_leave_in_pieces(admin: Client) -> None:
    array = np.arange(3_000_000, dtype=np.float32).reshape(3000, 1000)
    uuid = admin.upload("array", "long", npy(array), columns=[{"name": "aa", "width": 1000}]).json["uuid"]
    values = {"uuid": uuid, "column_name": "aa", "number_of_rows": 3000}
    answer = admin.call("GET", "/dataset/content", values)
    assert "content-length" not in answer.headers
    assert answer.headers["content-type"] == "text/json"
    assert np.array_equal(np.array(answer.json["data"], np.float32), array)
    admin.delete("/dataset", uuid=uuid)


def test_gaps_between_pieces_have_a_limit(
    admin: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from hanami_jupyter.backend import uploads
    from hanami_jupyter.backend.store import UploadRow
    from hanami_jupyter.protocol.hanami_messages_pb2 import FileUpload_Message

    monkeypatch.setattr(uploads, "_MOST_GAPS", 10)
    file = uploads.OpenFile(UploadRow("u", "t", "input", 1000, "o", "p", ()), tmp_path / "file")
    said = [file.write(FileUpload_Message(position=2 * i, data=b"x").SerializeToString()) for i in range(12)]
    assert "gaps" in said[10]
    assert not any(said[:10])
    file.close()


# -- sockets


def opened(backend: Backend) -> socket.socket:
    """Return a connection that has become a websocket."""
    place = urlsplit(backend.address)
    line = socket.create_connection((place.hostname, place.port), 30)
    key = base64.b64encode(os.urandom(16)).decode()
    line.sendall(
        f"GET / HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert line.recv(4096).startswith(b"HTTP/1.1 101")
    return line


def test_pings_of_who_does_not_read(backend: Backend) -> None:
    """They are answered into the buffers of the system, and no longer when these are full."""
    line = opened(backend)
    line.setblocking(False)
    pings = (b"\x89\xfd" + bytes(129)) * 1000
    sent, stood, rest = 0, time.monotonic(), pings
    while sent < 200_000_000 and time.monotonic() - stood < 2:
        try:
            count = line.send(rest)
            sent, stood, rest = sent + count, time.monotonic(), rest[count:] or pings
        except BlockingIOError:
            time.sleep(0.01)
    line.close()
    assert sent < 100_000_000


def test_a_message_of_endless_pieces(backend: Backend) -> None:
    line = opened(backend)
    pieces = b"\x02\x80\0\0\0\0" + b"\x00\x80\0\0\0\0" * 7_000_000
    with pytest.raises(OSError):  # noqa: PT011 - reset or broken, as it comes
        line.sendall(pieces)
    line.close()


def test_text_that_is_none_is_no_matter_for_the_log(backend: Backend) -> None:
    before = backend.log.stat().st_size
    line = opened(backend)
    line.sendall(b"\x81\x82\0\0\0\0\xff\xff")
    assert b"\x03\xef" in line.recv(100)  # 1007
    line.close()
    assert b"Invalid UTF-8" not in backend.log.read_bytes()[before:]


def test_slow_requests_do_not_hold_up_the_others(backend: Backend, admin: Client) -> None:
    """More uploads are finished at once than there are threads for requests."""
    text, begun, finished = "aa,bb\n" + "0.5,true\n" * 60_000, [], []
    for _ in range(20):
        answer = admin.post("/dataset/upload/csv", name="slow", input_data_size=len(text))
        admin.send_file(answer["uuid_input_file"], text.encode())
        begun.append({"uuid": answer["uuid"], "uuid_input_file": answer["uuid_input_file"]})

    def finish(values: dict[str, str]) -> None:
        finished.append(Client(admin.address, admin.token).call("PUT", "/dataset/upload/csv", values).status)

    threads = [threading.Thread(target=finish, args=(values,)) for values in begun]
    for thread in threads:
        thread.start()
    until(lambda: len(list((backend.folder / "datasets").glob("*.part"))) >= 4)
    admin.get("/cluster/all")
    assert len(finished) < 8
    for thread in threads:
        thread.join()
    assert finished == [200] * len(begun)
    for values in begun:
        admin.delete("/dataset", uuid=values["uuid"])


# -- accounts


def test_an_id_that_has_left_things_is_not_given_again(admin: Client) -> None:
    def make() -> dict[str, object]:
        return {"id": "again", "name": "User", "password": PASSWORD, "is_admin": False}

    admin.post("/user", **make())
    admin.post("/user/project", id="again", project_id="team", role="member", is_project_admin=False)
    user = admin.login("again")
    cluster, data = user.cluster("left_behind"), user.csv("aa\n1\n", "left too")
    admin.delete("/user", id="again")
    said = admin.refused(409, "POST", "/user", **make())
    assert "cluster 'left_behind'" in said
    assert "dataset 'left too'" in said
    admin.delete("/cluster", uuid=cluster)
    admin.delete("/dataset", uuid=data)
    admin.post("/user", **make())
    admin.post("/user/project", id="again", project_id="team", role="member", is_project_admin=False)
    assert admin.login("again").get("/cluster/all")["body"] == []
    admin.delete("/user", id="again")


def test_the_password_of_the_first_admin_is_written_before_he_exists(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end in between leaves no account whose password nobody knows."""
    from hanami_jupyter.backend.store import Store

    def die(*_: object, **__: object) -> bool:
        assert (folder / "first-admin.json").exists()
        raise StoreError("the end")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_user", die)
        with pytest.raises(StoreError, match="the end"):
            Service(Config(data_dir=folder, password_cost=1, password_memory=8), {})
    service = Service(Config(data_dir=folder, password_cost=1, password_memory=8), {})
    found = json.loads((folder / "first-admin.json").read_text())
    user = service.store.user(found["user"])
    assert user is not None
    assert service.accounts.passwords._verify(user.password_hash, found["password"])
    service.close()


def test_nobody_reads_the_password_of_the_first_admin(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while it is written, on a system that lets everybody read new files."""
    opened, modes = os.fdopen, []

    def look(handle: int, *values: str) -> object:
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        return opened(handle, *values)

    monkeypatch.setattr(os, "fdopen", look)
    before = os.umask(0)
    try:
        Service(Config(data_dir=folder, password_cost=1, password_memory=8), {}).close()
    finally:
        os.umask(before)
    assert modes == [0o600]
    assert stat.S_IMODE((folder / "first-admin.json").stat().st_mode) == 0o600
    folders = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_proxies_are_let_in_by_name(folder: Path) -> None:
    with running(folder, "--names", "hub.example.org, other") as backend:
        admin = backend.admin()
        origin = "https://hub.example.org"
        assert admin.call("GET", "/cluster/all", Host="hub.example.org", Origin=origin).status == 200
        assert admin.call("GET", "/cluster/all", Origin=origin).status == 200
        assert admin.call("GET", "/cluster/all", Origin=f"{origin}.evil.example").status == 403
        assert admin.call("GET", "/cluster/all", Host="evil.example").status == 403
        place = urlsplit(backend.address)
        with socket.create_connection((place.hostname, place.port), 10) as line:
            names = f"Host: evil.example\r\nHost: {place.netloc}"
            line.sendall(f"GET /v1.0alpha/health HTTP/1.1\r\n{names}\r\n\r\n".encode())
            assert line.recv(100).startswith(b"HTTP/1.1 403")


# -- the folder


def test_leases_do_not_depend_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = processes.mark(os.getpid())
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: 1e9)  # as after the clock was set
    assert processes.mark(os.getpid()) == mine
    assert processes.lives(mine)


def test_nothing_half_written_stays(folder: Path) -> None:
    with running(folder) as backend:
        admin = backend.admin()
        cluster, data = admin.cluster("stays"), admin.csv("aa\n1\n")
    left = [
        folder / "clusters" / "x.cluster.part",
        folder / "datasets" / "a.npy",
        folder / "datasets" / "a.idx",
        folder / "checkpoints" / "b.cluster",
    ]
    left += [folder / "clusters" / "c.cluster", folder / "uploads" / "d"]
    for path in left:
        path.write_bytes(b"half")
    with running(folder) as backend:
        assert not any(path.exists() for path in left)
        admin = backend.admin()
        admin.get("/dataset/content", uuid=data, column_name="aa", number_of_rows=1)
        assert admin.get("/cluster", uuid=cluster)["name"] == "stays"


def test_a_folder_without_its_database_is_left_alone(folder: Path) -> None:
    with running(folder) as backend:
        data = backend.admin().csv("aa\n1\n")
    for path in folder.glob("hanami.db*"):
        path.unlink()
    for _ in range(2):
        assert "no database" in refusal("--port", "0", "--data-dir", str(folder))
    assert (folder / "datasets" / f"{data}.npy").exists()


def test_damaged_files_are_named_and_the_rest_goes_on(folder: Path) -> None:
    with running(folder) as backend:
        admin = backend.admin()
        broken, whole = admin.mnist(20), admin.mnist(20, "whole")
        cluster, other = admin.cluster("broken"), admin.cluster("whole")
        saved = admin.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"]
        admin.wait(cluster, saved)
        missing = admin.post("/cluster/save", name="gone", cluster_uuid=cluster)["uuid"]
        admin.wait(cluster, missing)
    for path, size in (
        (folder / "datasets" / f"{broken}.idx", 500),
        (folder / "clusters" / f"{cluster}.cluster", 50),
    ):
        os.truncate(path, size)
    os.truncate(folder / "checkpoints" / f"{saved}.cluster", 60)
    (folder / "checkpoints" / f"{missing}.cluster").unlink()
    with running(folder) as backend:
        admin = backend.admin()
        values = {"uuid": broken, "column_name": "label", "number_of_rows": 1}
        assert f"dataset '{broken}' is damaged" in admin.refused(500, "GET", "/dataset/content", **values)
        assert f"checkpoint '{missing}' is missing" in admin.refused(
            500, "GET", "/checkpoint/file", uuid=missing
        )
        task = admin.wait(cluster, admin.train(cluster, whole), "aborted")
        assert f"cluster '{cluster}' is damaged" in task["error"]
        task = admin.wait(other, admin.train(other, broken), "aborted")
        assert f"dataset '{broken}' is damaged" in task["error"]
        task = admin.post("/cluster/load", cluster_uuid=other, checkpoint_uuid=saved)["uuid"]
        assert f"checkpoint '{saved}' is damaged" in admin.wait(other, task, "aborted")["error"]
        admin.wait(other, admin.train(other, whole))
        assert len(admin.answers(other, whole)) == 20
        told = json.dumps(admin.get("/error_log", page=0))
        assert broken in told
        for path, uuid in (
            ("/dataset", broken),
            ("/cluster", cluster),
            ("/checkpoint", saved),
            ("/checkpoint", missing),
        ):
            admin.delete(path, uuid=uuid)


def test_an_admin_cannot_be_locked_out_of_his_project(admin: Client) -> None:
    """Whoever gives him another role there, by mistake or not."""
    values = {"id": ADMIN, "project_id": "admin"}
    admin.post("/user/project", **values, role="nobody", is_project_admin=False)
    assert admin.get("/user/all")["body"]
    assert admin.login(ADMIN).get("/auth")["role"] == "admin"
    admin.delete("/user/project", **values)


def test_downloads_outlive_what_they_read(backend: Backend, admin: Client) -> None:
    """A dataset deleted while it is read goes out whole; each answer is whole, or a 404."""
    array = np.arange(4_000_000, dtype=np.float32).reshape(-1, 8)
    columns = [{"name": "aa", "width": 8}]
    for _ in range(3):
        uuid = admin.upload("array", "fleeting", npy(array), columns=columns).json["uuid"]
        found: list[tuple[int, int]] = []

        def read(uuid: str = uuid, found: list[tuple[int, int]] = found) -> None:
            answer = Client(admin.address, admin.token).call("GET", "/dataset/file", {"uuid": uuid})
            found.append((answer.status, len(answer.body)))

        threads = [threading.Thread(target=read) for _ in range(6)]
        for thread in threads:
            thread.start()
        admin.delete("/dataset", uuid=uuid)
        for thread in threads:
            thread.join()
        assert all(status == 404 or (status == 200 and size > array.nbytes) for status, size in found), found


def test_tasks_that_end_together(tmp_path: Path) -> None:
    """Two workers may both write the end of a task; neither stumbles over the other."""
    folder = tmp_path / "data"
    service = Service(Config(data_dir=folder, password_cost=1, password_memory=8), {})
    write, met = service.store.end_task, threading.Barrier(2)

    def slow(*values: object) -> None:
        with suppress(threading.BrokenBarrierError):
            met.wait(1)
        write(*values)  # type: ignore[arg-type]

    service.store.end_task = slow  # type: ignore[method-assign]
    wrong: list[BaseException] = []

    def end(name: str) -> None:
        try:
            service.clusters._end(name, ("finished", 1, 1.0, ""))
        except KeyError as error:
            wrong.append(error)

    service.clusters._unwritten["first"] = ("finished", 1, 1.0, "")
    threads = [threading.Thread(target=end, args=(name,)) for name in ("second", "third")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    service.close()
    assert not wrong
