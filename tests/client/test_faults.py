"""A server that is gone, resets, hangs, lies or talks nonsense: nothing hangs, each error names its cause."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hanami_jupyter import cluster, dataset, hosts, project, task
from hanami_jupyter import hanami_exceptions as exceptions
from hanami_jupyter.client import transport

if TYPE_CHECKING:
    from collections.abc import Callable

    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session

HOSTS = b'{"body":[["u","cpu"]],"header":["uuid","type"]}'
UUID = "6f2bbcd2-7081-4b08-ae1d-16e6cd6f54c4"


def test_connection_refused() -> None:
    with pytest.raises(
        exceptions.ConnectionException, match=r"Nothing listens at http://127\.0\.0\.1:9\. Check"
    ):
        hosts.list_hosts("token", "http://127.0.0.1:9")


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(exceptions.ConnectionException, match="cannot be reached"):
        hosts.list_hosts("token", "http://no-such-host.invalid")


@pytest.mark.usefixtures("quick")
def test_a_server_that_hangs(fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned(silent=True))
    start = time.monotonic()
    with pytest.raises(exceptions.TimeoutException, match=r"no answer within 0\.4 s") as caught:
        hosts.list_hosts("token", peer.address)
    assert time.monotonic() - start < 5
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.method, caught.value.path) == ("GET", "/host/all")
    assert len(peer.requests) == 1  # a server that hangs is not asked again


@pytest.mark.usefixtures("quick")
def test_a_websocket_that_never_answers(fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned(silent=True))
    with pytest.raises(exceptions.TimeoutException, match="WEBSOCKET"):
        transport.Socket("token", peer.address, "cluster", UUID)
    assert transport.peer(peer.address).slots._sockets == 0


def test_truncated_json(fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned(body=HOSTS[:20]))
    with pytest.raises(exceptions.UnexpectedAnswerException, match="cut short: 20 bytes"):
        hosts.list_hosts("token", peer.address)


def test_truncated_body(fake_peer: Any, canned: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/json\r\nContent-Length: 500\r\n\r\n"
    peer = fake_peer(canned(raw=head + HOSTS))
    with pytest.raises(exceptions.ConnectionException, match="broke during GET /host/all"):
        hosts.list_hosts("token", peer.address)
    assert len(peer.requests) == transport.ATTEMPTS


def test_wrong_content_type(fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned(kind="text/html", body=b"<html>Welcome</html>"))
    with pytest.raises(exceptions.UnexpectedAnswerException, match="text/html instead of JSON"):
        hosts.list_hosts("token", peer.address)


def test_500_with_an_empty_body(fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned(500, "text/plain", b""))
    with pytest.raises(exceptions.InternalServerErrorException, match="gives no reason"):
        hosts.list_hosts("token", peer.address)


@pytest.mark.parametrize("status", [301, 302, 403, 413, 502, 503])
def test_no_status_is_swallowed(fake_peer: Any, canned: Any, status: int) -> None:
    peer = fake_peer(canned(status, "text/plain", b"something"))
    kind = exceptions.InternalServerErrorException if status >= 500 else exceptions.BadRequestException
    with pytest.raises(kind, match=f"something \\({status}, GET /host/all\\)") as caught:
        hosts.list_hosts("token", peer.address)
    assert caught.value.status == status


def test_reading_is_tried_again_and_writing_is_not(fake_peer: Any, canned: Any) -> None:
    answers = [canned(raw=b""), canned(body=HOSTS)]
    peer = fake_peer(lambda _request: answers.pop(0))
    assert len(hosts.list_hosts("token", peer.address)) == 1
    assert len(peer.requests) == 2

    gone = fake_peer(canned(raw=b""))
    with pytest.raises(exceptions.ConnectionException):
        project.create_project("token", gone.address, "proj_a", "Project A")
    assert len(gone.requests) == 1


def test_a_kept_connection_is_not_trusted_after_a_sleep(
    session: Session, proxy: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a laptop sleeps, its monotonic clock stands still and its connections die unseen."""
    wake = time.time
    opened = []
    for asleep in (0, 0, 3600, 3600, -60):
        monkeypatch.setattr(time, "time", lambda asleep=asleep: wake() + asleep)
        with pytest.raises(exceptions.BadRequestException):
            project.create_project(session.token, proxy.address, "a b", "not a name")
        opened.append(len(proxy._open) // 2)
    assert opened == [1, 1, 2, 2, 3]


def test_an_expired_token(server: Running, session: Session) -> None:
    head, _, tail = str(session.token).partition(".")
    with pytest.raises(exceptions.UnauthorizedException) as caught:
        hosts.list_hosts(f"{head}.{tail[:-4]}AAAA", server.address)
    assert caught.value.status == 401


def test_an_upload_goes_on_where_a_connection_was_reset(
    session: Session, proxy: Any, make_idx: Callable[[int], tuple[bytes, bytes]]
) -> None:
    images, labels = make_idx(2000)  # twelve pieces
    proxy.reset_after, proxy.harm = 700_000, 1
    sent: list[int] = []
    uuid = dataset.upload_mnist_files(
        session.token,
        proxy.address,
        "resumed",
        images,
        labels,
        callback=lambda done, _total: sent.append(done),
    )
    assert proxy.harm == 0
    assert sent == sorted(sent)
    assert sent[-1] == len(images) + len(labels)
    found = session.dataset.download_dataset(uuid, "picture")
    assert found.astype(np.uint8).tobytes() == images[16:]
    session.dataset.delete_dataset(uuid)


def test_an_upload_that_keeps_breaking_is_reported_and_taken_back(
    session: Session, proxy: Any, make_idx: Callable[[int], tuple[bytes, bytes]]
) -> None:
    proxy.reset_after = 300_000
    with pytest.raises(exceptions.ConnectionException, match=r"broke off after [\d,]+ of 1,568,016 bytes"):
        dataset.upload_mnist_files(session.token, proxy.address, "broken upload", *make_idx(2000))
    assert "broken upload" not in set(session.dataset.list_datasets()["name"])


@pytest.mark.usefixtures("quick")
def test_an_upload_to_a_server_that_stalls(
    session: Session, proxy: Any, make_idx: Callable[[int], tuple[bytes, bytes]]
) -> None:
    def stall(done: int, _total: int) -> None:
        proxy.stall = True

    with pytest.raises(exceptions.TimeoutException, match=r"no answer within"):
        dataset.upload_mnist_files(session.token, proxy.address, "stalled", *make_idx(6000), callback=stall)
    proxy.stall = False
    assert "stalled" not in set(session.dataset.list_datasets()["name"])


@pytest.mark.usefixtures("cluster_uuid", "quick")  # in this order: the cluster has time to be made
def test_direct_io_with_a_server_that_stalls_then_goes_on(
    session: Session, proxy: Any, cluster_uuid: str
) -> None:
    with cluster.direct(session.token, proxy.address, cluster_uuid) as io:
        io.train(np.zeros(784), np.eye(10)[0])
        assert io.request(np.zeros(784)).shape == (10,)
        proxy.stall = True
        with pytest.raises(exceptions.TimeoutException):
            io.request(np.zeros(784))
        proxy.stall = False
        _retry(lambda: io.request(np.zeros((3, 784))))


def _retry(act: Callable[[], Any]) -> None:
    """Once more where the server has not yet noticed that the old connection is gone."""
    for left in reversed(range(20)):
        try:
            act()
        except exceptions.HanamiException:
            if not left:
                raise
            time.sleep(0.05)
        else:
            return


def test_waiting_ends_when_the_server_dies(fake_peer: Any, canned: Any) -> None:
    active = {
        "state": "active",
        "name": "training",
        "uuid": UUID,
        "current_cycle": 1,
        "total_number_of_cycles": 9,
    }
    answers = [canned(body=json.dumps(active).encode())]
    peer = fake_peer(lambda _request: answers.pop() if answers else canned(raw=b""))
    with pytest.raises(exceptions.ConnectionException, match="may have died"):
        task.wait("token", peer.address, UUID, UUID)


def test_at_most_two_connections_to_a_server_that_closes(fake_peer: Any, canned: Any) -> None:
    def slow(_request: Any) -> Any:
        time.sleep(0.02)
        return canned(body=HOSTS)

    peer = fake_peer(slow)
    threads = [threading.Thread(target=hosts.list_hosts, args=("token", peer.address)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(peer.requests) == 12
    assert peer.most_open <= 2


def test_websockets_leave_a_connection_for_requests() -> None:
    slots = transport.Slots()
    slots.take_socket()
    with slots.request():
        pass
    slots.give_socket()


@pytest.mark.usefixtures("quick")
def test_too_many_websockets_are_reported() -> None:
    slots = transport.Slots()
    slots.take_socket()
    with pytest.raises(exceptions.TimeoutException, match="Close a direct connection"):
        slots.take_socket()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_in_the_environment_is_not_used_for_loopback(
    server: Running, session: Session, idx: tuple[bytes, bytes], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "somewhere.else")
    transport.forget(server.address)
    uuid = session.dataset.upload_mnist_files("past the proxy", *idx)
    session.dataset.delete_dataset(uuid)


def test_a_proxy_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(exceptions.ConnectionException, match="The proxy on the way to"):
        hosts.list_hosts("token", "http://hanami.invalid")
    with pytest.raises(exceptions.ConnectionException):
        transport.Socket("token", "http://hanami.invalid", "cluster", UUID)


def test_a_redirect_is_not_followed(fake_peer: Any, canned: Any) -> None:
    thief = fake_peer(canned(body=HOSTS))
    raw = f"HTTP/1.1 302 Found\r\nLocation: {thief.address}/\r\nContent-Length: 0\r\n\r\n".encode()
    with pytest.raises(exceptions.BadRequestException):
        hosts.list_hosts("token", fake_peer(canned(raw=raw)).address)
    assert not thief.requests  # the token would have gone with it


def test_the_original_s_status_001(fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned(1, "text/plain", b"is invalid and can not be read."))
    with pytest.raises(exceptions.BadRequestException, match="behind the end") as caught:
        dataset.download_dataset_content("token", peer.address, UUID, "label", 5, 100)
    assert caught.value.status == 1


def test_waiting_can_be_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    active = pd.Series({"name": "training", "state": "active", "current_cycle": 1})
    monkeypatch.setattr(task, "get_task", lambda *_args: active)

    def press(_task: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        task.wait("token", "http://127.0.0.1:1", UUID, UUID, callback=press)
    with pytest.raises(exceptions.TimeoutException, match=r"'training' is active after 0\.05 s"):
        task.wait("token", "http://127.0.0.1:1", UUID, UUID, timeout=0.05)
    with pytest.raises(exceptions.TimeoutException):
        asyncio.run(task.wait_async("token", "http://127.0.0.1:1", UUID, UUID, timeout=0.05))


def test_an_aborted_task_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    import pandas as pd

    aborted = pd.Series({"name": "training", "state": "aborted", "current_cycle": 7})
    monkeypatch.setattr(task, "get_task", lambda *_args: aborted)
    with pytest.raises(exceptions.TaskAbortedException, match="'training' was aborted in cycle 7"):
        task.wait("token", "http://127.0.0.1:1", UUID, UUID)
