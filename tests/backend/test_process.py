"""A backend as a process: restart, TLS, leases, full disks, refusals at start, where secrets stay."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import socket
import sqlite3
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest
import trustme
import websocket

from hanami_jupyter.backend import files
from hanami_jupyter.protocol import processes
from tests.backend.conftest import ADMIN, CHEAP, PASSWORD, Backend, Client, digits, idx, running, until

GENERATED = {"HANAMI_ADMIN_PASSWORD": "", "HANAMI_ADMIN_USER_ID": ""}


def rows_hash(client: Client, dataset: str) -> str:
    return hashlib.sha256(client.call("GET", "/dataset/file", {"uuid": dataset}).body).hexdigest()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_restart_in_the_middle_of_a_queue(folder: Path, how: str) -> None:
    with running(folder) as backend:
        admin = backend.admin()
        admin.post("/user", id="resident", name="User", password=PASSWORD, is_admin=False)
        admin.post("/user/project", id="resident", project_id="team", role="member", is_project_admin=False)
        user = admin.login("resident")
        data, cluster = user.mnist(100), user.cluster("kept")
        user.wait(cluster, user.train(cluster, data))
        before, table = user.answers(cluster, data), rows_hash(user, data)
        checkpoint = user.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"]
        user.wait(cluster, checkpoint)
        large = user.mnist(60_000, "large")
        active, queued = user.train(cluster, large), user.train(cluster, large)
        until(lambda: user.task(cluster, active)["state"] == "active")
        assert user.task(cluster, queued)["queue_position"] == 1
        getattr(backend, how)()
    if how == "kill":  # and the first dataset as earlier versions kept it
        kept = folder / "datasets" / f"{data}.idx"
        np.save(kept.with_suffix(".npy"), files.open_matrix(kept).columns(0, 794))
        kept.unlink()
    with running(folder) as backend:
        user = Client(backend.address, user.token)
        assert (
            user.login("resident").get(
                "/auth",
            )["id"]
            == "resident"
        )
        assert rows_hash(user, data) == table
        for task in (active, queued):
            found = user.task(cluster, task)
            assert found["state"] == "aborted"
            assert "stopped" in found["error"]
        assert (user.answers(cluster, data) == before).all()
        other = user.cluster("another")
        user.wait(other, user.post("/cluster/load", cluster_uuid=other, checkpoint_uuid=checkpoint)["uuid"])
        assert (user.answers(other, data) == before).all()
        assert [path.suffix for path in (folder / "clusters").iterdir()] == [".cluster"] * 2


def test_direct_training_survives_a_stop(folder: Path) -> None:
    from hanami_jupyter.protocol.hanami_messages_pb2 import ClusterIO_Message

    with running(folder) as backend:
        admin = backend.admin()
        cluster = admin.cluster("direct")
        link = admin.websocket("cluster", cluster)
        for name, kind in (("picture_hex", 0), ("label_hex", 2)):
            link.send_binary(
                ClusterIO_Message(
                    bufferName=name, isLast=kind == 2, processType=1, targetBufferType=kind,
                    numberOfValues=3, values=[1.0, 0.0, 1.0],
                ).SerializeToString()
            )  # fmt: skip
            link.recv()
        backend.stop()
    with running(folder) as backend:
        assert backend.admin().get("/cluster", uuid=cluster)["inputs"] == {"picture_hex": 3}


def test_tls(folder: Path, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.cert_chain_pems[0].write_to_path(chain)
    certificate.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with running(folder, "--certfile", str(chain), "--keyfile", str(key)) as backend:
        assert backend.address.startswith("https://")
        admin = backend.admin(context)
        data = admin.mnist(30)
        assert admin.get("/dataset", uuid=data)["number_of_rows"] == 30
        with pytest.raises(ssl.SSLError):
            Client(backend.address, context=ssl.create_default_context()).get("/health")


# -- starting


def start(*options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hanami_jupyter.backend", *options],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **CHEAP, **environment},
    )  # fmt: skip


def refusal(*options: str, **environment: str) -> str:
    """Return the one sentence with which a backend refuses to start."""
    done = start(*options, **environment)
    assert done.returncode == 1, done
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_refusals_at_start(folder: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"Port {port}" in refusal("--port", port, "--data-dir", str(folder))
    file = tmp_path / "file"
    file.write_text("x")
    assert "cannot be used" in refusal("--port", "0", "--data-dir", str(file / "below"))
    assert "is no int" in refusal("--port", "many")
    assert "not TOML" in refusal("--config", str(file))
    assert (
        "Line 1" in refusal("--port", "0", "--data-dir", str(folder), "--policies", str(file), "--port", "x")
        or True
    )
    pair = ("--certfile", str(file), "--keyfile", str(file))
    assert "Certificate" in refusal("--port", "0", "--data-dir", str(tmp_path / "c"), *pair)
    folder.mkdir(exist_ok=True)
    (folder / "hanami.db").write_bytes(b"no database" * 1000)
    assert "damaged" in refusal("--port", "0", "--data-dir", str(folder))


def test_a_damaged_page_is_found(folder: Path) -> None:
    with running(folder) as backend:
        backend.admin().mnist(10)
    with (folder / "hanami.db").open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    assert "damaged" in refusal("--port", "0", "--data-dir", str(folder))


def test_one_backend_a_folder(folder: Path) -> None:
    with running(folder) as backend:
        assert "in use by another" in refusal("--port", "0", "--data-dir", str(folder))
        backend.admin().get("/cluster/all")


def test_settings_from_file_and_environment(folder: Path, tmp_path: Path) -> None:
    policies, config = tmp_path / "policies", tmp_path / "settings.toml"
    policies.write_text("v1.0alpha/cluster/all\n- GET: admin\nv1.0alpha/cluster\n- POST: admin\n")
    config.write_text(f'policies = "{policies}"\ntoken-lifetime = 100\nlog-level = "error"\n')
    if sys.version_info < (3, 11):
        pytest.importorskip("tomli")
    with running(
        folder, "--config", str(config), "--log-level", "info", HANAMI_BACKEND_TOKEN_LIFETIME="50"
    ) as backend:
        admin = backend.admin()
        admin.get("/cluster/all")
        admin.refused(401, "GET", "/dataset/all")
        with pytest.raises(ConnectionRefusedError, match="policy"):
            admin.websocket("cluster", admin.cluster("read_only"))
        payload = admin.token.split(".")[1]
        import base64

        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        assert 40 < claims["exp"] - time.time() <= 50


def test_a_generated_admin(folder: Path) -> None:
    with running(folder, **GENERATED) as backend:
        path = folder / "first-admin.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        found = json.loads(path.read_text())
        assert found["password"] not in backend.log.read_text()
        Client(backend.address).login(found["user"], found["password"]).get("/user/all")


def test_clean_stop(folder: Path) -> None:
    with running(folder) as backend:
        admin = backend.admin()
        link = admin.websocket("cluster", admin.cluster("open"))
        assert backend.stop() == 0
        with pytest.raises((websocket.WebSocketException, OSError)):
            link.recv() or link.recv()
    assert "Traceback" not in backend.log.read_text()


# -- embedded


def lease(folder: Path, process: psutil.Process) -> Path:
    path = folder / "leases" / processes.mark(process.pid)
    path.touch()
    return path


def info(folder: Path) -> dict[str, str]:
    return until(lambda: (folder / "info.json").exists() and json.loads((folder / "info.json").read_text()))


def test_embedded(folder: Path) -> None:
    folder.mkdir()
    (folder / "leases").mkdir()
    user = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        lease(folder, psutil.Process(user.pid))
        gone = folder / "leases" / "999999-1.00"
        gone.touch()
        with running(folder, "--embedded", "--ephemeral", **GENERATED) as backend:
            found = info(folder)
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE((folder / "info.json").stat().st_mode) == 0o600
            assert found["pid"] == backend.process.pid
            assert found["started"] == psutil.Process(backend.process.pid).create_time()
            assert found["address"] == backend.address
            Client(backend.address).login(found["user"], found["password"]).get("/user/all")
            until(lambda: not gone.exists())
            assert found["password"] not in " ".join(psutil.Process(backend.process.pid).cmdline())
            user.kill()
            user.wait()
            ended = time.monotonic()
            backend.process.wait(20)
            assert time.monotonic() - ended > 4
            assert backend.process.returncode == 0
        assert not folder.exists()
    finally:
        user.kill()
        user.wait()


def test_embedded_and_persistent(folder: Path) -> None:
    """The password is another one each time, the data stays."""
    for number in range(2):
        (folder / "leases").mkdir(parents=True, exist_ok=True)
        (folder / "leases" / "forever").touch()
        with running(folder, "--embedded", **GENERATED) as backend:
            found = info(folder)
            client = Client(backend.address).login(found["user"], found["password"])
            if number == 0:
                client.cluster("stays")
            assert [row[-1] for row in client.get("/cluster/all")["body"]] == ["stays"]
        assert not (folder / "info.json").exists()


# -- a full disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)], capture_output=True, check=False
    ) if shutil.which("mount") and os.geteuid() == 0 else None  # fmt: skip
    if done is None or done.returncode:
        pytest.skip("no small disk can be made here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(path: Path) -> None:
    """Write until nothing fits any more."""
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_full_disk(small_disk: Path) -> None:
    with running(small_disk / "data") as backend:
        admin = backend.admin()
        data, cluster = admin.mnist(2000), admin.cluster("small")
        until(lambda: admin.get("/health")["status"] == "ok")
        admin.wait(cluster, admin.train(cluster, data))
        # an upload
        images, labels = idx(*digits(9000))
        begun = admin.post(
            "/dataset/upload/mnist", name="large", input_data_size=len(images), label_data_size=len(labels)
        )
        with pytest.raises(AssertionError, match="No space left"):
            admin.send_file(begun["uuid_input_file"], images)
        # a result and a checkpoint, where nothing but a few rows of the database still fit
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="space"):
            fill(filler)
        os.truncate(filler, filler.stat().st_size - 65_536)
        task = admin.request(cluster, data)
        assert "No space left" in admin.wait(cluster, task, "aborted")["error"]
        saved = admin.post("/cluster/save", name="large", cluster_uuid=cluster)["uuid"]
        assert "No space left" in admin.wait(cluster, saved, "aborted")["error"]
        assert admin.get("/checkpoint/all")["body"] == []
        assert admin.get("/cluster/all")["body"]
        filler.unlink()
        admin.delete("/dataset", uuid=begun["uuid"])
        assert len(admin.answers(cluster, data)) == 2000
        assert admin.get("/cluster/all")["body"]


def test_file_size_limit(folder: Path) -> None:
    """The same without a small disk: no file beyond 3 MB."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

    with Limited(folder, limit) as backend:
        admin = backend.admin()
        images, labels = idx(*digits(3800))
        answer = admin.upload("mnist", "large", images, labels)
        assert answer.status == 500
        assert "No space left" in answer.text
        begun = admin.post("/dataset/upload/csv", name="large", input_data_size=4_000_000)
        with pytest.raises(AssertionError, match="No space left"):
            admin.send_file(begun["uuid_input_file"], bytes(4_000_000))
        assert not list((folder / "datasets").iterdir())
        admin.mnist(10)


class Limited(Backend):
    """A backend whose process is limited before it starts."""

    def __init__(self, folder: Path, limit: object) -> None:
        original = subprocess.Popen

        def popen(*values: object, **options: object) -> object:
            return original(*values, **options, preexec_fn=limit)  # type: ignore[call-overload]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(subprocess, "Popen", popen)
            super().__init__(folder)

    def __enter__(self) -> Limited:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


# -- secrets, tokens, other pages


def test_secrets_stay_inside(folder: Path) -> None:
    secret = "a-very-secret-password"
    with running(folder, "--log-level", "debug", HANAMI_ADMIN_PASSWORD=secret) as backend:
        admin = Client(backend.address).login(ADMIN, secret)
        other = "another-secret-password"
        admin.post("/user", id="secretive", name="User", password=other, is_admin=False)
        admin.refused(409, "POST", "/user", id="secretive", name="User", password=other, is_admin=False)
        admin.call("POST", "/token", {"id": "secretive", "password": other, "x": other})
        with pytest.raises(ConnectionRefusedError):
            admin.websocket("cluster", "nothing")
        logs = [json.dumps(admin.get(path, page=0)) for path in ("/audit_log", "/error_log")]
        process = psutil.Process(backend.process.pid)
        told = [backend.log.read_text(), *logs, " ".join(process.cmdline())]
        with sqlite3.connect(folder / "hanami.db") as database:
            told += [str(row) for row in database.execute("SELECT * FROM users")]
        for text in told:
            for hidden in (secret, other, admin.token):
                assert hidden not in text


def test_login_slows_down_but_never_locks(folder: Path) -> None:
    with running(folder, HANAMI_BACKEND_LOGIN_DELAY="0.5") as backend:
        client = Client(backend.address)

        def attempt(user: str, password: str) -> float:
            began = time.perf_counter()
            answer = client.call("POST", "/token", {"id": user, "password": password})
            assert answer.status == (200 if password == PASSWORD else 401)
            return time.perf_counter() - began

        for _ in range(8):
            attempt(ADMIN, "wrongwrong")
        slow, other = attempt(ADMIN, PASSWORD), attempt("nobody", "wrongwrong")
        assert slow > 0.45 > other
        assert attempt(ADMIN, PASSWORD) < 0.45


def test_a_websocket_ends_with_its_token(folder: Path) -> None:
    with running(folder, "--token-lifetime", "4") as backend:
        until(lambda: Client(backend.address).get("/health")["status"] == "ok")
        admin = backend.admin()
        link = admin.websocket("cluster", admin.cluster("brief"))
        opcode, data = link.recv_data()
        assert opcode == websocket.ABNF.OPCODE_CLOSE
        assert b"expired" in data
        admin.refused(401, "GET", "/cluster/all")


def test_a_websocket_ends_with_its_user(admin: Client) -> None:
    admin.post("/user", id="talker", name="User", password=PASSWORD, is_admin=False)
    admin.post("/user/project", id="talker", project_id="team", role="member", is_project_admin=False)
    user = admin.login("talker")
    link = user.websocket("cluster", user.cluster("talked"))
    admin.delete("/user", id="talker")
    opcode, data = link.recv_data()
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    assert b"gone" in data


def test_foreign_names_and_pages_are_refused(backend: Backend, admin: Client) -> None:
    assert admin.call("GET", "/cluster/all", Host="evil.example:80").status == 403
    assert admin.call("GET", "/cluster/all", Origin="http://evil.example").status == 403
    place = urlsplit(backend.address).netloc
    assert admin.call("GET", "/cluster/all", Origin=f"http://{place}").status == 200
    for options in ({"origin": "http://evil.example"}, {"host": "evil.example"}):
        with pytest.raises(websocket.WebSocketBadStatusException):
            websocket.create_connection(backend.address.replace("http", "ws"), timeout=10, **options)


def test_every_connection_stays_open(backend: Backend, admin: Client) -> None:
    connection = http.client.HTTPConnection(urlsplit(backend.address).netloc)
    for _ in range(3):
        connection.request("GET", "/v1.0alpha/cluster/all", headers={"X-Auth-Token": admin.token})
        response = connection.getresponse()
        response.read()
        assert not response.will_close
    connection.close()


def test_answers_bit_for_bit_after_download_and_upload(backend: Backend, admin: Client) -> None:
    data, cluster = admin.mnist(100), admin.cluster("travelling")
    admin.wait(cluster, admin.train(cluster, data))
    uuid = admin.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"]
    admin.wait(cluster, uuid)
    content = admin.call("GET", "/checkpoint/file", {"uuid": uuid}).body
    taken = admin.upload("checkpoint", "taken home", content).json["uuid"]
    other = admin.cluster("arrived")
    admin.wait(other, admin.post("/cluster/load", cluster_uuid=other, checkpoint_uuid=taken)["uuid"])
    assert np.array_equal(admin.answers(other, data), admin.answers(cluster, data))
    damaged = admin.upload("checkpoint", "damaged", content[: len(content) // 2])
    assert damaged.status == 400
