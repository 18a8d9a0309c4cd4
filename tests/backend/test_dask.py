"""Hosts on a Dask cluster of three worker processes, which do not see the backend's folder."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from dask import config
from distributed import Client as DaskClient
from distributed import LocalCluster, Security

from hanami_jupyter import launcher, template_grid
from hanami_jupyter.client.hanami_exceptions import (
    ConflictException,
    InvalidDataException,
    NotSupportedException,
)
from hanami_jupyter.engine import Cluster, warm_up
from hanami_jupyter.protocol.hanami_messages_pb2 import EXPECTED, INPUT, REQUEST, TRAIN, ClusterIO_Message
from hanami_jupyter.session import connect
from hanami_jupyter.sweeps import Network
from tests.backend.conftest import ADMIN, PASSWORD, TEMPLATE, Backend, Client, column, digits, running, until
from tests.backend.test_process import refusal
from tests.backend.test_tasks import npy

_count = itertools.count()
_SNAPSHOTS = "0.1"  # seconds
_SLOW = 12  # rows side by side: the training lasts long enough to be disturbed


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalCluster]:
    warm_up()  # the kernels are compiled once, not by every process at the same time
    with (
        config.set({"distributed.deploy.lost-worker-timeout": "60s"}),  # on a busy machine a start takes long
        LocalCluster(
            n_workers=3, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as found,
    ):
        yield found


@pytest.fixture(scope="module")
def backend(workers: LocalCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    """A backend whose folder has a name that means something else to every process: nothing is shared."""
    place = tmp_path_factory.mktemp("dask")
    options = ("--data-dir", "/proc/self/cwd/data", "--dask", workers.scheduler_address)
    with running(place / "data", *options, "--snapshot-seconds", _SNAPSHOTS, cwd=place) as found:
        yield found
        assert [line for line in found.log.read_text().splitlines() if "raceback" in line] == []


@pytest.fixture(scope="module")
def admin(backend: Backend) -> Client:
    return backend.admin()


@pytest.fixture(scope="module")
def data(admin: Client) -> str:
    return admin.mnist(400)


@pytest.fixture(scope="module")
def large(admin: Client) -> str:
    return admin.mnist(20_000, "large")


def hosts(admin: Client, kind: str = "dask") -> dict[str, str]:
    """Return the ids of the hosts of a kind by name."""
    found = admin.get("/host/all")
    rows = [dict(zip(found["header"], row, strict=True)) for row in found["body"]]
    return {row["name"]: row["uuid"] for row in rows if row["type"] == kind}


def cluster_on(admin: Client, host: str, **more: Any) -> str:
    return admin.cluster(f"cluster_{next(_count)}", host=host, **more)


def state(admin: Client, cluster: str) -> bytes:
    """Return all that a cluster is, as the file of a checkpoint."""
    saved = admin.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"]
    admin.wait(cluster, saved)
    return admin.call("GET", "/checkpoint/file", {"uuid": saved}).body


def host_of(admin: Client, cluster: str) -> str:
    return admin.get("/cluster", uuid=cluster)["host_uuid"]


def move(admin: Client, cluster: str, host: str) -> None:
    admin.put("/cluster/switch_host", cluster_uuid=cluster, host_uuid=host)


def at_work(admin: Client, cluster: str, task: str) -> None:
    """Wait until a training is under way."""
    until(lambda: admin.task(cluster, task)["current_cycle"] > 500)
    assert admin.task(cluster, task)["state"] == "active"


def test_every_worker_is_a_host(admin: Client) -> None:
    found = admin.get("/host/all")
    rows = [dict(zip(found["header"], row, strict=True)) for row in found["body"]]
    workers = [row for row in rows if row["type"] == "dask"]
    assert [row["type"] for row in rows[:1]] == ["cpu"]
    assert sorted(row["name"] for row in workers) == ["0", "1", "2"]
    assert {row["cores"] for row in workers} == {1}
    assert all(row["memory"] > 1 << 20 and row["load"] == 0 for row in workers)


def test_the_same_bits_wherever_it_is_trained(admin: Client, data: str) -> None:
    """Trained here, trained there, moved about between trainings or with its queue: one state, to the bit."""
    here, there = next(iter(hosts(admin, "cpu").values())), list(hosts(admin).values())
    routes = (
        [here] * 4,
        [there[0]] * 4,
        [here, there[0], there[1], here],
        [there[2], there[1], here, there[0]],
    )
    states = []
    for route in routes:
        cluster = cluster_on(admin, route[0], seed=5)
        for host in route:
            move(admin, cluster, host)
            admin.wait(cluster, admin.train(cluster, data))
        assert host_of(admin, cluster) == route[-1]
        states.append((state(admin, cluster), admin.answers(cluster, data).tobytes()))
    cluster = cluster_on(admin, here, seed=5)
    queue = [admin.train(cluster, data) for _ in routes[0]]
    move(admin, cluster, there[1])
    admin.wait(cluster, queue[-1])
    states.append((state(admin, cluster), admin.answers(cluster, data).tobytes()))
    assert len(states[0][0]) > 10_000
    assert len(set(states)) == 1
    assert admin.get("/cluster", uuid=cluster)["number_of_synapses"] > 0


def test_a_dataset_reaches_a_worker_once(
    admin: Client, backend: Backend, workers: LocalCluster, large: str
) -> None:
    name, host = next(iter(hosts(admin).items()))
    with DaskClient(workers) as client:
        places = client.run(lambda dask_worker: (dask_worker.name, dask_worker.local_directory))
    folder = Path(next(place for worker, place in places.values() if str(worker) == name)) / "hanami"
    cluster = cluster_on(admin, host)
    times = []
    for _ in range(2):
        admin.delete("/task", cluster_uuid=cluster, uuid=_aborted(admin, cluster, large))
        kept = list(folder.glob(f"*{large}.idx"))
        assert len(kept) == 1
        times.append(kept[0].stat().st_mtime_ns)
    assert times[0] == times[1]
    assert kept[0].read_bytes() == (backend.folder / "datasets" / f"{large}.idx").read_bytes()
    assert not list(folder.glob("*.part"))


def _aborted(admin: Client, cluster: str, large: str) -> str:
    """Abort a training that is under way."""
    task = admin.train(cluster, large, time_length=_SLOW)
    at_work(admin, cluster, task)
    admin.delete("/task", cluster_uuid=cluster, uuid=task)
    ended = admin.wait(cluster, task, "aborted")
    assert 500 < ended["current_cycle"] < ended["total_number_of_cycles"]
    assert ended["error"] == ""
    return task


def test_abort_and_go_on(admin: Client, data: str, large: str) -> None:
    cluster = cluster_on(admin, hosts(admin)["1"])
    _aborted(admin, cluster, large)
    admin.wait(cluster, admin.train(cluster, data))
    assert admin.answers(cluster, data).shape == (400, 10)


def test_a_request_that_is_aborted_leaves_nothing(admin: Client, data: str, large: str) -> None:
    cluster = cluster_on(admin, hosts(admin)["1"])
    admin.wait(cluster, admin.train(cluster, data, time_length=_SLOW))
    task = admin.request(cluster, large, time_length=_SLOW)
    until(lambda: admin.task(cluster, task)["current_cycle"] > 0)
    admin.delete("/task", cluster_uuid=cluster, uuid=task)
    admin.wait(cluster, task, "aborted")
    admin.refused(404, "GET", "/dataset", uuid=task)


def test_a_fault_is_told(admin: Client) -> None:
    """A mistake that the engine finds on the worker is told in its words, and the worker stays."""
    there = hosts(admin)["0"]
    cluster = cluster_on(admin, there)
    array = np.ones((3, 2))
    data = admin.upload("array", "empty", npy(array), columns=[{"name": "picture", "width": 2}]).json["uuid"]
    results = [{"dataset_column": "guess", "hexagon_name": "nothing"}]
    saved = admin.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"]
    admin.wait(cluster, saved)
    admin.post("/cluster/load", cluster_uuid=cluster, checkpoint_uuid=saved)  # hexagons are checked later
    inputs = [column(data, "picture", "picture_hex")]
    task = admin.post("/task/request", name="task", cluster_uuid=cluster, inputs=inputs, results=results)
    assert "no output 'nothing'" in admin.wait(cluster, task["uuid"], "aborted")["error"]
    assert hosts(admin)["0"] == there


def test_direct_messages(admin: Client) -> None:
    """What goes through a worker is what goes through this machine, and it stays with the cluster."""
    here, there = hosts(admin, "cpu")["local-0"], hosts(admin)["2"]
    found = []
    for host in (here, there):
        cluster = cluster_on(admin, host, seed=3)
        link = admin.websocket("cluster", cluster)
        for number in range(30):
            row, label = np.zeros(784), np.zeros(10)
            row[number % 10 * 70 : number % 10 * 70 + 60] = 200
            label[number % 10] = 1
            send(link, "picture_hex", row, target=INPUT)
            send(link, "label_hex", label, target=EXPECTED, last=True)
        answer = send(link, "picture_hex", row, target=INPUT, last=True, process=REQUEST)
        link.send_binary(ClusterIO_Message(bufferName="nothing", isLast=True).SerializeToString())
        assert "no input 'nothing'" in json.loads(link.recv())["error"]
        link.close()
        found.append((list(answer.values), state(admin, cluster)))
    assert len(found[0][0]) == 10
    assert found[0] == found[1]


def send(
    link: Any, name: str, values: np.ndarray, *, target: int, last: bool = False, process: int = TRAIN
) -> ClusterIO_Message:
    message = ClusterIO_Message(
        bufferName=name, isLast=last, processType=process, targetBufferType=target,
        numberOfValues=len(values), values=values.tolist(),
    )  # fmt: skip
    link.send_binary(message.SerializeToString())
    return ClusterIO_Message.FromString(link.recv())


def test_auto_takes_the_least_loaded(admin: Client, large: str) -> None:
    every = {**hosts(admin, "cpu"), **hosts(admin)}
    tasks = {}
    for uuid in list(every.values())[:-1]:
        cluster = cluster_on(admin, uuid)
        tasks[cluster] = admin.train(cluster, large, time_length=_SLOW)
    for cluster, task in tasks.items():
        at_work(admin, cluster, task)
    free = cluster_on(admin, "auto")
    assert host_of(admin, free) == list(every.values())[-1]
    for cluster, task in tasks.items():
        admin.delete("/task", cluster_uuid=cluster, uuid=task)
        admin.wait(cluster, task, "aborted")


def test_a_killed_worker_loses_nothing_acknowledged(
    admin: Client, backend: Backend, workers: LocalCluster, data: str, large: str
) -> None:
    name, host = "0", hosts(admin)["0"]
    idle, busy = cluster_on(admin, host), cluster_on(admin, host)
    for cluster in (idle, busy):
        admin.wait(cluster, admin.train(cluster, data))
    before = admin.answers(idle, data), state(admin, busy)
    task = admin.train(busy, large, time_length=_SLOW)
    queued = admin.request(busy, data, "after")
    at_work(admin, busy, task)
    until((backend.folder / "clusters" / f"{busy}.running").exists)
    os.kill(workers.workers[int(name)].pid, signal.SIGKILL)
    ended = admin.wait(busy, task, "aborted")
    assert "Worker '0'" in ended["error"]
    assert "goes on elsewhere as of its last snapshot" in ended["error"]
    admin.wait(busy, queued)
    assert admin.get("/dataset", uuid=queued)["number_of_rows"] == 400
    assert state(admin, busy) != before[1]  # the snapshot from the middle of the training
    assert (admin.answers(idle, data) == before[0]).all()
    assert host not in (host_of(admin, idle), host_of(admin, busy))
    reborn = until(lambda: hosts(admin).get(name))  # Dask starts it again
    assert reborn != host
    move(admin, idle, reborn)
    assert (admin.answers(idle, data) == before[0]).all()


def test_clusters_are_where_they_were_after_a_restart(workers: LocalCluster, folder: Path) -> None:
    """Here the worker sees the backend's folder: nothing is sent."""
    options = ("--dask", workers.scheduler_address)
    with running(folder, *options) as backend:
        admin = backend.admin()
        cluster, data = cluster_on(admin, hosts(admin)["2"]), admin.mnist(100)
        admin.wait(cluster, admin.train(cluster, data))
        before, where = admin.answers(cluster, data), host_of(admin, cluster)
        assert "has gone to worker" not in backend.log.read_text()
    with running(folder, *options) as backend:
        admin = backend.admin()
        assert host_of(admin, cluster) == where
        assert (admin.answers(cluster, data) == before).all()


def test_a_sweep_loses_a_worker_and_gains_one(admin: Client, backend: Backend, workers: LocalCluster) -> None:
    """One is killed at work, one joins, most are sent away: each network is what it would be at home."""
    grid = template_grid(width=2, depth=[4, 5])
    train, test = admin.mnist(3000, "to learn"), admin.mnist(200, "to test")
    lost: list[Network] = []
    joined: set[str] = set()

    def disturb(networks: Sequence[Network]) -> None:
        if lost:
            return
        names = {uuid: name for name, uuid in hosts(admin).items()}
        homes = [(n, host_of(admin, n.cluster)) for n in networks if n.cluster]
        network, home = next(pair for pair in reversed(homes) if pair[1] in names)
        lost.append(network)
        tasks = until(
            lambda: list(session.task.list_tasks(network.cluster).query("state == 'active'")["uuid"])
        )
        at_work(admin, network.cluster, tasks[0])
        os.kill(workers.workers[int(names[home])].pid, signal.SIGKILL)
        workers.scale(4)
        joined.add(until(lambda: hosts(admin).get("3")))

    with connect(backend.address, ADMIN, PASSWORD) as session:
        table = session.sweep(grid, train, test, seeds=5, progress=disturb)
    assert [(network.state, network.attempts) for network in lost] == [("finished", 2)]
    assert list(table["state"]) == ["finished"] * 10
    assert table["accuracy"].notna().all()
    assert joined < {host_of(admin, uuid) for uuid in table["uuid"]}
    workers.scale(1)
    until(lambda: hosts(admin).keys() <= {"0"})
    pictures, labels = digits(3000)
    rows = {"picture": pictures.reshape(3000, -1)}, {"label": np.eye(10, dtype=np.uint8)[labels]}
    for row in table.itertuples():
        alone = Cluster.from_template(grid[row.template], seed=int(row.seed))
        alone.train(*rows)
        assert state(admin, row.uuid) == alone.to_bytes()


# -- the scheduler


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that end with the test."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def dask(
    processes: list[subprocess.Popen[bytes]], kind: str, *options: str, inside: tuple[str, ...] = ()
) -> subprocess.Popen[bytes]:
    """Start a scheduler or a worker as people do."""
    process = subprocess.Popen(
        [*inside, sys.executable, "-m", f"distributed.cli.dask_{kind}", *options],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    processes.append(process)
    return process


def scheduler_at(path: Path) -> str:
    """Return the address in a scheduler's file."""
    return until(lambda: path.exists() and json.loads(path.read_text() or "{}").get("address"))


def test_a_scheduler_that_is_gone(
    processes: list[subprocess.Popen[bytes]], folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "scheduler.json"
    options = ("--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", str(file))
    scheduler = dask(processes, "scheduler", *options, "--port", "0")
    address = scheduler_at(file)
    dask(processes, "worker", address, "--nthreads", "2", "--name", "anna", "--no-nanny", "--no-dashboard")
    with running(folder, "--dask", address, "--snapshot-seconds", _SNAPSHOTS) as backend:
        admin = backend.admin()
        data, large = admin.mnist(100), admin.mnist(20_000, "large")
        there = until(lambda: hosts(admin).get("anna"))
        far, near = cluster_on(admin, there), admin.cluster("near")
        admin.wait(far, admin.train(far, data))
        before = admin.answers(far, data)
        local, lost = admin.cluster("local"), cluster_on(admin, there)
        tasks = {cluster: admin.train(cluster, large, time_length=_SLOW) for cluster in (local, lost)}
        for cluster, task in tasks.items():
            at_work(admin, cluster, task)
        scheduler.kill()
        error = admin.wait(lost, tasks[lost], "aborted")["error"]
        assert "is gone" in error
        assert "goes on elsewhere" in error
        until(lambda: not hosts(admin))
        assert "Host" in admin.refused(404, "PUT", "/cluster/switch_host", cluster_uuid=near, host_uuid=there)
        assert (admin.answers(far, data) == before).all()
        assert admin.task(local, tasks[local])["state"] in ("active", "finished")
        admin.wait(local, tasks[local])
        # another one at the same address, and a worker of it
        dask(processes, "scheduler", *options, "--port", address.rpartition(":")[2])
        dask(
            processes, "worker", address, "--nthreads", "1", "--name", "berta", "--no-nanny", "--no-dashboard"
        )
        move(admin, far, until(lambda: hosts(admin).get("berta")))
        assert (admin.answers(far, data) == before).all()


def test_no_scheduler_at_the_start(folder: Path) -> None:
    said = refusal("--port", "0", "--data-dir", str(folder), "--dask", "tcp://127.0.0.1:9")
    assert said.startswith("No Dask scheduler answers at 'tcp://127.0.0.1:9'")
    assert "at least 1 worker" in refusal("--port", "0", "--data-dir", str(folder), "--dask", "0")
    assert "snapshot_seconds" in refusal("--snapshot-seconds", "0")


# -- a network of its own


def ip(line: str, *, check: bool = True) -> None:
    """Run a command of iproute2."""
    subprocess.run(["ip", *line.split()], capture_output=True, check=check)


@contextmanager
def machines() -> Iterator[tuple[str, str, str]]:
    """A hub and two machines beyond it, each a network namespace; this thread is in the hub meanwhile."""
    names = tuple(f"hanami-{os.getpid()}-{place}" for place in ("hub", "anna", "berta"))
    hub, *beyond = names
    lines = [f"netns add {name}" for name in names]
    lines += [f"-n {name} link set lo up" for name in names]
    lines += [f"-n {hub} link add hub type bridge", f"-n {hub} addr add 10.98.0.1/24 dev hub"]
    lines += [f"-n {hub} link set hub up"]
    for number, name in enumerate(beyond):
        lines += [
            f"-n {hub} link add wire{number} type veth peer name wire netns {name}",
            f"-n {hub} link set wire{number} master hub up",
            f"-n {name} addr add 10.98.0.{number + 2}/24 dev wire",
            f"-n {name} link set wire up",
        ]
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        try:
            for line in lines:
                ip(line)
            with open(f"/run/netns/{hub}") as inside:
                assert libc.setns(inside.fileno(), 0) == 0
            yield names
        finally:
            assert libc.setns(before.fileno(), 0) == 0
            for name in names:
                ip(f"netns delete {name}", check=False)


@pytest.fixture
def network() -> Iterator[tuple[str, str, str]]:
    with machines() as names:
        yield names


def where_networks_can_be_made(test: Callable[..., None]) -> Callable[..., None] | None:
    """Keep a test on a machine that allows network namespaces; elsewhere there is no such test."""
    with suppress(OSError, subprocess.CalledProcessError, AttributeError, AssertionError), machines():
        return test
    return None


@where_networks_can_be_made
def test_machines_with_a_network_between_them(
    network: tuple[str, str, str],
    processes: list[subprocess.Popen[bytes]],
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same bits over a wire; and a wire that is cut, with nobody left to say so."""
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__TCP", "12s")
    hub, *machines = network
    file = tmp_path / "scheduler.json"
    dask(
        processes, "scheduler", "--host", "10.98.0.1", "--port", "0", "--no-dashboard",
        "--scheduler-file", str(file),
    )  # fmt: skip
    address = scheduler_at(file)
    for number, machine in enumerate(machines):
        dask(
            processes, "worker", address, "--host", f"10.98.0.{number + 2}", "--nthreads", "1",
            "--name", machine, "--no-nanny", "--no-dashboard", inside=("ip", "netns", "exec", machine),
        )  # fmt: skip
    options = ("--data-dir", "/proc/self/cwd/data", "--dask", address, "--snapshot-seconds", _SNAPSHOTS)
    folder.parent.mkdir(exist_ok=True)
    with running(folder, *options, cwd=folder.parent) as backend:
        admin = backend.admin()
        data, large = admin.mnist(200), admin.mnist(20_000, "large")
        until(lambda: len(hosts(admin)) == 2)
        anna, berta = (hosts(admin)[machine] for machine in machines)
        here = next(iter(hosts(admin, "cpu").values()))
        states = []
        for route in ([here, here], [anna, berta]):
            cluster = cluster_on(admin, route[0], seed=5)
            for host in route:
                move(admin, cluster, host)
                admin.wait(cluster, admin.train(cluster, data))
            states.append((state(admin, cluster), admin.answers(cluster, data).tobytes()))
        assert states[0] == states[1]
        cluster = cluster_on(admin, anna)
        admin.wait(cluster, admin.train(cluster, data))
        task, queued = admin.train(cluster, large, time_length=_SLOW), admin.request(cluster, data, "after")
        at_work(admin, cluster, task)
        ip(f"-n {hub} link set wire0 down")
        assert "is gone" in admin.wait(cluster, task, "aborted")["error"]
        admin.wait(cluster, queued)
        until(lambda: list(hosts(admin)) == [machines[1]])


# -- from a notebook


def test_a_client_of_the_notebook(tmp_path: Path) -> None:
    """The certificates of the client go along, without which the cluster talks to nobody."""
    with (
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, protocol="tls://",
            security=Security.temporary(), host="127.0.0.1", dashboard_address="127.0.0.1:0",
        ) as secured,
        DaskClient(secured) as client,
    ):  # fmt: skip
        address = secured.scheduler_address
        assert address.startswith("tls://")
        assert "wants TLS" in refusal("--port", "0", "--data-dir", str(tmp_path / "data"), "--dask", address)
        session = launcher.local(dask=client)
        try:
            (there,) = session.hosts.list_hosts().query("type == 'dask'")["uuid"]
            made = session.cluster.create_cluster("far away", TEMPLATE, host=there)
            assert session.cluster.get_cluster(made["uuid"])["host_uuid"] == there
            assert launcher.local().address == session.address
            assert launcher.local(dask=address).address == session.address
            with pytest.raises(ConflictException, match="without these Dask workers"):
                launcher.local(dask=2)
        finally:
            launcher.stop()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_processes_of_its_own_end_with_the_backend(end: str, tmp_path: Path) -> None:
    session = launcher.local(tmp_path / end, dask=2)
    running_one = launcher.status(tmp_path / end)
    assert running_one is not None
    try:
        found = session.hosts.list_hosts().query("type == 'dask'")
        assert list(found["cores"]) == [max(1, len(os.sched_getaffinity(0)) // 2)] * 2
        below = psutil.Process(running_one.pid).children(recursive=True)
        assert len(below) >= 2
        if end == "kill":
            os.kill(running_one.pid, signal.SIGKILL)
    finally:
        launcher.stop(tmp_path / end)
    _, alive = psutil.wait_procs(below, 30)
    assert alive == []


def test_a_scheduler_inside_the_notebook_cannot_be_reached() -> None:
    with (
        DaskClient(processes=False, dashboard_address=None, n_workers=1, threads_per_worker=1) as client,
        pytest.raises(InvalidDataException, match="processes=True"),
    ):
        launcher.local(dask=client)


def test_without_the_extra(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "distributed.py").write_text("raise ModuleNotFoundError(__name__)")
    hint = "Dask workers need the package 'distributed'. Install it with: pip install 'hanami-jupyter[dask]'."
    hidden = str(tmp_path)
    options = ("--port", "0", "--data-dir", str(tmp_path / "data"), "--dask", "2")
    assert refusal(*options, PYTHONPATH=hidden) == hint
    with running(folder, PYTHONPATH=hidden) as backend:
        backend.admin().cluster("here")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(NotSupportedException) as caught:
        launcher.local(dask=2)
    assert str(caught.value) == hint
