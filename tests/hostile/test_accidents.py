"""What may happen to a backend while it runs: a clock that jumps, a folder that turns read-only, a crowd."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import websocket

from bench.load import crowd
from tests.backend.conftest import Backend, Client, running, until
from tests.backend.test_process import Limited
from tests.hostile.world import CSV

HOUR, DAY = 3600, 86_400
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def test_a_clock_that_jumps(folder: Path, tmp_path: Path) -> None:
    """Tokens end by it, and times tell it; nothing else depends on it."""
    clock = tmp_path / "clock"

    def jump(seconds: int) -> None:
        (tmp_path / "next").write_text(str(seconds))
        (tmp_path / "next").replace(clock)

    jump(0)
    shifted = {"PYTHONPATH": str(Path(__file__).parent / "clock"), "HANAMI_TEST_CLOCK": str(clock)}
    with running(folder, **shifted) as backend:
        admin = backend.admin()
        until(lambda: admin.get("/health")["status"] == "ok")
        cluster, link = admin.cluster("timed"), admin.websocket("cluster", admin.cluster("talked"))
        data = [admin.mnist(20_000, "first")]
        tasks = [admin.train(cluster, data[0]) for _ in range(3)]
        jump(2 * HOUR)
        admin.refused(401, "GET", "/cluster/all")
        opcode, said = link.recv_data()
        assert (opcode, b"expired" in said) == (websocket.ABNF.OPCODE_CLOSE, True)
        admin = backend.admin()
        data.append(admin.csv(CSV, "second"))
        tasks.append(admin.train(cluster, data[0]))
        jump(-DAY)
        data.append(admin.csv(CSV, "third"))
        tasks.append(admin.train(cluster, data[0]))
        found = [admin.wait(cluster, task) for task in tasks]
        assert found[-1]["queue_timestamp"] < found[0]["queue_timestamp"] < found[-2]["queue_timestamp"]
        for task in found:
            assert task["percentage_finished"] == 1.0
            assert 100 < task["cycles_per_second"] < 10_000_000
        check_order(admin, cluster, tasks, data)
    with running(folder, **shifted) as backend:
        admin = backend.admin()
        check_order(admin, cluster, tasks, data)
        admin.wait(cluster, admin.train(cluster, data[0]))


def check_order(admin: Client, cluster: str, tasks: list[str], data: list[str]) -> None:
    """Check that lists are in the order in which things were made, whatever the clock said."""
    assert [row[0] for row in admin.get("/task/all", cluster_uuid=cluster)["body"]][: len(tasks)] == tasks
    assert [row[1] for row in admin.get("/dataset/all")["body"]] == data
    assert [row[5] for row in admin.get("/cluster/all")["body"]] == ["timed", "talked"]


def obey() -> None:
    """Let permissions hold for the process to come even if it is root's."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0)


@pytest.fixture
def lock(folder: Path) -> Callable[[bool], None]:
    """How to make the folder read-only and writable again."""

    def lock(shut: bool) -> None:
        for path in (folder, *(path for path in folder.iterdir() if path.is_dir())):
            path.chmod(0o500 if shut else 0o700)

    return lock


def test_a_folder_that_turns_read_only(folder: Path, lock: Callable[[bool], None]) -> None:
    """What must write says so, what only reads goes on, and afterwards all is as it was."""
    with Limited(folder, obey) as backend:
        admin = backend.admin()
        data, cluster = admin.mnist(50), admin.cluster("locked")
        admin.wait(cluster, admin.train(cluster, data))
        before = admin.answers(cluster, data)
        begun = admin.post("/dataset/upload/csv", name="begun", input_data_size=len(CSV))
        lock(True)
        assert all(
            "cannot be written" in said for said in refusals(admin, cluster, data, begun["uuid_input_file"])
        )
        assert admin.get("/dataset/content", uuid=data, column_name="label", number_of_rows=50)["data"]
        lock(False)
        assert len(list((folder / "clusters").iterdir())) == 1
        admin.send_file(begun["uuid_input_file"], CSV.encode())
        admin.put("/dataset/upload/csv", uuid=begun["uuid"], uuid_input_file=begun["uuid_input_file"])
        assert "Traceback" not in backend.log.read_text()
        assert admin.get("/checkpoint/all")["body"] == []
    with running(folder) as backend:
        assert (backend.admin().answers(cluster, data) == before).all()


def refusals(admin: Client, cluster: str, data: str, file: str) -> list[str]:
    """Try everything that writes; return what each was told."""
    saved = admin.post("/cluster/save", name="locked", cluster_uuid=cluster)["uuid"]
    tasks = (admin.train(cluster, data), admin.request(cluster, data), saved)
    told = [admin.wait(cluster, task, "aborted")["error"] for task in tasks]
    link = admin.websocket("file_upload", file)
    told.append(link.recv_data()[1].decode("latin1"))
    with pytest.raises(AssertionError) as caught:
        admin.cluster("another")
    told.append(str(caught.value))
    return told


def test_places_in_a_queue(admin: Client) -> None:
    """They count what is in front, the one at work too; what leaves moves up what is behind."""
    cluster, data, large = admin.cluster("places"), admin.mnist(10), admin.mnist(30_000, "long")
    admin.put("/cluster/set_mode", uuid=cluster, new_state="DIRECT")  # nothing begins meanwhile
    tasks = [admin.train(cluster, large if number == 0 else data) for number in range(8)]
    assert places(admin, cluster, tasks) == list(range(8))
    admin.delete("/task", cluster_uuid=cluster, uuid=tasks.pop(3))
    assert places(admin, cluster, tasks) == list(range(7))
    admin.put("/cluster/set_mode", uuid=cluster, new_state="TASK")
    until(lambda: admin.task(cluster, tasks[0])["state"] == "active")
    found = places(admin, cluster, tasks)
    assert admin.task(cluster, tasks[0])["state"] == "active"
    assert found == list(range(7))
    admin.delete("/task", cluster_uuid=cluster, uuid=tasks[0])
    for task in tasks[1:]:
        admin.wait(cluster, task)
    assert places(admin, cluster, tasks) == [0] * 7


def places(admin: Client, cluster: str, tasks: list[str]) -> list[int]:
    """Return the places of tasks, which are listed in that order."""
    assert [row[0] for row in admin.get("/task/all", cluster_uuid=cluster)["body"]] == tasks
    return [admin.task(cluster, task)["queue_position"] for task in tasks]


def test_a_crowd(backend: Backend, admin: Client) -> None:
    """Clients that look, clusters that train, uploads, all at once: nothing fails and aborts take effect."""
    found = crowd(admin, 1.0, clients=2, clusters=2, uploads=1, rows=3000)
    assert min(found["looks"], found["uploads"]) > 0
    assert found["aborted"] == 2
