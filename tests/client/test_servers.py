"""Other servers: behind TLS, of the following release, older than the reference."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import trustme

from hanami_jupyter import checkpoint, cluster, hanami_token, hosts, user
from hanami_jupyter import hanami_exceptions as exceptions
from hanami_jupyter.client import transport
from hanami_jupyter.session import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session


# -- TLS: an end in front of the embedded backend, with a certificate of an authority of our own


class TlsEnd:
    """Takes TLS connections and hands the bytes to the backend."""

    def __init__(self, target: str, authority: trustme.CA) -> None:
        host, _, port = target.rpartition("/")[2].partition(":")
        self._target = (host, int(port))
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._context)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            near = self._context.wrap_socket(plain, server_side=True)
            far = socket.create_connection(self._target)
            threading.Thread(target=self._copy, args=(far, near), daemon=True).start()
            self._copy(near, far)

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def secure(server: Running, authority: trustme.CA) -> Iterator[str]:
    end = TlsEnd(server.address, authority)
    yield end.address
    end.close()


def test_an_untrusted_certificate_is_refused(secure: str, server: Running) -> None:
    with pytest.raises(
        exceptions.ConnectionException, match=r"certificate of https://.* is not trusted\. Give"
    ):
        connect(secure, server.user, server.password)
    with pytest.raises(exceptions.ConnectionException, match="is not trusted"):
        transport.Socket("token", secure, "cluster", "6f2bbcd2-7081-4b08-ae1d-16e6cd6f54c4")


def test_https_where_there_is_none(server: Running) -> None:
    with pytest.raises(exceptions.ConnectionException, match="Check that it should be https"):
        hosts.list_hosts("token", server.address.replace("http:", "https:"))


def test_self_signed_certificates_without_checking(
    secure: str, server: Running, idx: tuple[bytes, bytes], recwarn: pytest.WarningsRecorder
) -> None:
    session = connect(secure, server.user, server.password, verify=False)
    uuid = session.dataset.upload_mnist_files("unchecked", *idx)
    session.dataset.delete_dataset(uuid)
    assert len(hosts.list_hosts(session.token, secure, False)) >= 1
    assert not [warning for warning in recwarn if "Insecure" in type(warning.message).__name__]


def test_a_file_of_the_authority(
    secure: str, server: Running, authority: trustme.CA, idx: tuple[bytes, bytes], tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    session = connect(secure, server.user, server.password, verify=str(trusted))
    session.dataset.delete_dataset(session.dataset.upload_mnist_files("checked", *idx))


def test_an_authority_of_the_environment(
    secure: str, server: Running, authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    assert connect(secure, server.user, server.password).user_id == server.user


# -- the following release: its login and its fields, put in front of the embedded backend


@pytest.fixture
def following(server: Running, fake_peer: Any, canned: Any) -> Any:
    """A peer that wants ``passphrase`` in base64 and tells counts of clusters; the rest is the backend."""

    def answer(request: Any) -> Any:
        path = request.path.removeprefix("/v1.0alpha")
        values = json.loads(request.body) if request.method in {"POST", "PUT"} else request.query
        if path in {"/token", "/user"} and request.method == "POST":
            if "password" in values:
                text = "Validation failed, because item 'password' is not in the list of allowed keys"
                return canned(400, "text/plain", text.encode())
            values["password"] = base64.b64decode(values.pop("passphrase")).decode()
        if path in {"/auth", "/health"}:
            return canned(401, "text/plain", b"Access denied by policy")
        token = request.headers.get("X-Auth-Token", "")
        sent = transport.exchange(request.method, path, token, server.address, True, values)
        body = sent.body
        if (request.method, path, sent.status) == ("GET", "/cluster", 200):
            kept = ("created_at", "name", "owner_id", "project_id", "uuid", "visibility")
            found = {name: value for name, value in json.loads(body).items() if name in kept}
            body = json.dumps(found | {"number_of_blocks": 2, "number_of_sections": 7}).encode()
        return canned(sent.status, sent.kind, body)

    return fake_peer(answer)


def test_the_following_release_is_detected(following: Any, server: Running, template: str) -> None:
    session = connect(following.address, server.user, server.password)
    assert session.user_id == server.user
    assert [json.loads(request.body).keys() for request in following.requests] == [
        {"id", "password"}, {"id", "passphrase"},
    ]  # fmt: skip
    following.requests.clear()
    made = session.user.create_user("later_user", "Later", "with a long word", False)
    assert made["id"] == "later_user"
    assert len(following.requests) == 1  # remembered
    assert connect(following.address, server.user, server.password).is_admin
    session.user.delete_user("later_user")

    uuid = session.cluster.create_cluster("later cluster", template)["uuid"]
    about = session.cluster.get_cluster(uuid)
    assert (about["number_of_blocks"], about["number_of_sections"]) == (2, 7)
    assert transport.features(following.address) == frozenset()
    session.cluster.delete_cluster(uuid)


def test_a_wrong_password_is_tried_once(following: Any, server: Running) -> None:
    with pytest.raises(exceptions.UnauthorizedException):
        hanami_token.request_token(following.address, server.user, "wrong password")
    assert len(following.requests) == 2


def test_moving_single_hexagons(fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned(body=b'{"uuid":"u","name":"n"}'))
    cluster.switch_host("token", peer.address, "u", "h", hexagon_id=3)
    assert json.loads(peer.requests[0].body) == {"cluster_uuid": "u", "host_uuid": "h", "hexagon_id": 3}


# -- the original's faults


def _errors_though_done(canned: Any, projects: list[dict[str, Any]]) -> Any:
    """Answer 500 to everything but GET user, which shows the change."""
    someone = {"id": "someone", "name": "Someone", "is_admin": False, "projects": projects}
    done = canned(body=json.dumps(someone).encode())
    return lambda request: done if request.method == "GET" else canned(500, "text/plain", b"")


def test_500_although_done(fake_peer: Any, canned: Any) -> None:
    entry = {"project_id": "garden", "role": "member", "is_project_admin": False}
    peer = fake_peer(_errors_though_done(canned, [entry]))
    found = user.add_roject_to_user("token", peer.address, "someone", "garden", "member", False)
    assert found["projects"] == [entry]
    with pytest.raises(exceptions.InternalServerErrorException):
        user.remove_project_fromUser("token", peer.address, "someone", "garden")
    with pytest.raises(exceptions.InternalServerErrorException):
        user.add_roject_to_user("token", peer.address, "someone", "other", "member", False)
    gone = fake_peer(_errors_though_done(canned, []))
    assert user.remove_project_fromUser("token", gone.address, "someone", "garden")["projects"] == []


def test_a_checkpoint_is_found_in_the_list(fake_peer: Any, canned: Any) -> None:
    header = ["uuid", "project_id", "owner_id", "visibility", "name"]
    listed = canned(
        body=json.dumps({"header": header, "body": [["u1", "p", "o", "private", "kept"]]}).encode()
    )
    peer = fake_peer(lambda r: listed if r.path.endswith("/all") else canned(500, "text/plain", b""))
    assert checkpoint.get_checkpoint("token", peer.address, "u1")["name"] == "kept"
    with pytest.raises(exceptions.InternalServerErrorException):
        checkpoint.get_checkpoint("token", peer.address, "u2")


def test_own_projects_where_the_server_does_not_tell(
    server: Running, session: Session, fake_peer: Any, canned: Any
) -> None:
    refused = canned(401, "text/plain", b"Access denied by policy")
    someone = canned(body=json.dumps({"projects": [{"project_id": "a", "role": "b"}]}).encode())
    peer = fake_peer(lambda r: refused if r.path.endswith("/user/project") else someone)
    assert user.list_projects_of_user(session.token, peer.address)["project_id"].to_list() == ["a"]

    claims = {"id": "x", "project_id": "mine", "role": "member", "is_project_admin": True, "is_admin": False}
    middle = base64.urlsafe_b64encode(json.dumps({"user": json.dumps(claims)}).encode()).decode().rstrip("=")
    with pytest.warns(UserWarning, match="only admins"):
        own = user.list_projects_of_user(f"a.{middle}.c", peer.address)
    assert own.to_dict("records") == [{"project_id": "mine", "role": "member", "is_project_admin": True}]


def test_templates_are_tidied_and_judged(session: Session, template: str) -> None:
    noted = "# a comment\r\n" + template.replace("\n", "  # more\r\n")
    uuid = session.cluster.create_cluster("noted", noted)["uuid"]
    session.cluster.delete_cluster(uuid)
    wrong = template.replace("    2,1,1\n", "    2,1,1\n    2,1,1\n").replace("label: 3,1,1", "label: 9,9,9")
    with pytest.raises(exceptions.BadRequestException) as caught:
        session.cluster.create_cluster("wrong", wrong)
    assert "line 7" in str(caught.value)
    assert "9,9,9" in str(caught.value)
    loose = template.replace("    2,1,1\n", "").replace("3,1,1", "7,1,1")
    with pytest.warns(UserWarning, match="No path leads"):
        uuid = session.cluster.create_cluster("loose", loose)["uuid"]
    session.cluster.delete_cluster(uuid)
    with pytest.raises(TypeError, match="template or a checkpoint_uuid"):
        session.cluster.create_cluster("nothing")


def test_a_cluster_from_a_checkpoint_and_a_file(
    session: Session, dataset_uuid: str, cluster_uuid: str, tmp_path: Path
) -> None:
    session.fit(cluster_uuid, dataset_uuid)
    saved = session.cluster.save_cluster("trained", cluster_uuid)["uuid"]
    session.task.wait(saved, cluster_uuid)
    path = session.checkpoint.download_checkpoint(saved, tmp_path / "trained.cluster")
    again = session.checkpoint.upload_checkpoint("brought along", path)
    expected = session.predict(cluster_uuid, dataset_uuid)
    for uuid in (saved, again):
        copy = session.cluster.create_cluster(f"copy {uuid[:8]}".replace(" ", "_"), checkpoint_uuid=uuid)[
            "uuid"
        ]
        assert np.allclose(session.predict(copy, dataset_uuid, inputs={"picture": "picture"}), expected)
        session.cluster.delete_cluster(copy)
        session.checkpoint.delete_checkpoint(uuid)
    before = set(session.cluster.list_clusters()["uuid"])
    with pytest.raises(exceptions.NotFoundException):
        session.cluster.create_cluster("never", checkpoint_uuid="6f2bbcd2-7081-4b08-ae1d-16e6cd6f54c4")
    assert set(session.cluster.list_clusters()["uuid"]) == before
