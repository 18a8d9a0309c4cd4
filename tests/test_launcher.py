"""Embedded backends as processes: started once, shared, found, and gone when nobody uses them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from hanami_jupyter import hanami_exceptions, launcher

LEAVING = 15.0  # seconds: 5 after the last lease, the backend's look once a second, and a busy machine


def _script(text: str, *arguments: str) -> subprocess.Popen[str]:
    """Run a program as another kernel would; it prints what the test needs and waits for a line."""
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


OWNER = """
    import sys
    from hanami_jupyter import launcher
    folder = sys.argv[1] if len(sys.argv) > 1 else None
    session = launcher.local(folder)
    print(launcher.status(folder).pid, launcher.status(folder).folder, flush=True)
    sys.stdin.readline()
"""


def _told(process: subprocess.Popen[str]) -> tuple[int, Path]:
    assert process.stdout is not None
    pid, _, folder = process.stdout.readline().strip().partition(" ")
    return int(pid), Path(folder)


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _until(true: Callable[[], bool], seconds: float = LEAVING) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return true()


def test_nothing_is_left_after_the_owner_was_killed() -> None:
    owner = _script(OWNER)
    pid, folder = _told(owner)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "info.json").stat().st_mode & 0o777 == 0o600
    owner.send_signal(signal.SIGKILL)
    owner.communicate()
    assert _until(lambda: _gone(pid))
    assert _until(lambda: not folder.exists())


def test_logs_of_ended_backends_go_with_the_next_start(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = launcher.runtime_folder() / "own-left"
    used = launcher.runtime_folder() / "own-used"
    for folder in (left, used):
        (folder / "leases").mkdir(parents=True)
        (folder / "backend.log").write_text("why it ended")
    launcher._lease(used).touch()
    monkeypatch.setattr(launcher, "LEFT_ALONE", -1.0)
    launcher._sweep()
    assert used.is_dir()
    assert not left.exists()


def test_nothing_is_left_after_a_normal_end() -> None:
    owner = _script(OWNER)
    pid, _ = _told(owner)
    _, errors = owner.communicate("\n")
    assert owner.returncode == 0, errors
    assert errors == ""
    assert _until(lambda: _gone(pid))


def test_ctrl_c_in_the_kernel_does_not_reach_the_backend(server: launcher.Running) -> None:
    if not hasattr(os, "getpgid"):
        pytest.skip("there are no process groups here")
    assert os.getpgid(server.pid) != os.getpgid(0)


def test_a_second_call_in_a_process_joins(home: Path) -> None:
    first = launcher.local()
    second = launcher.local()
    running = launcher.status()
    assert running is not None
    assert first.address == second.address == running.address
    assert not running.persistent
    assert running in launcher.find()
    assert running.password not in repr(running)
    assert launcher.stop()
    assert _gone(running.pid)
    assert not running.folder.exists()
    assert launcher.status() is None
    assert not launcher.stop()


def test_processes_share_a_folder_and_its_data_stays(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    others = [_script(OWNER, str(folder)) for _ in range(2)]  # a race to start it
    pids = {_told(other)[0] for other in others}
    assert len(pids) == 1
    session = launcher.local(folder)
    running = launcher.status(folder)
    assert running is not None
    assert {running.pid} == pids
    assert running.persistent
    uuid = session.dataset.upload_csv_files("kept", b"a,b\n1,2\n")
    for other in others:
        other.communicate("\n")
    assert session.dataset.get_dataset(uuid)["name"] == "kept"  # this process still uses it
    assert launcher.stop(folder)
    again = launcher.local(folder)
    assert again.dataset.get_dataset(uuid)["name"] == "kept"
    assert launcher.stop(folder)


def test_one_that_runs_forever(tmp_path: Path) -> None:
    folder = tmp_path / "forever"
    running = launcher.started(launcher.start_forever(folder))
    assert (folder / "leases" / "forever").exists()
    assert [path.name for path in (folder / "leases").iterdir()] == ["forever"]
    assert running.pid in {found.pid for found in launcher.find()}
    assert "127.0.0.1" in launcher.logs(folder) or launcher.logs(folder) == ""
    assert launcher.stop(folder)
    assert running.pid not in {found.pid for found in launcher.find()}


def test_what_the_child_says_is_shown_when_it_fails(tmp_path: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "hanami.db").write_bytes(b"this is no database at all, and long enough to be looked at" * 20)
    result = launcher.start(folder)
    assert isinstance(result, launcher.Failed)
    assert "exit code 1" in result.reason
    assert result.output.strip()
    with pytest.raises(hanami_exceptions.ConnectionException, match="It said"):
        launcher.local(folder)


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    result = launcher.start(tmp_path / "file" / "below")
    assert isinstance(result, launcher.Failed)
    assert "cannot be used" in result.reason


def test_a_stale_info_file_is_not_believed(tmp_path: Path, server: launcher.Running) -> None:
    folder = tmp_path / "stale"
    folder.mkdir()
    info = (server.folder / "info.json").read_text()
    (folder / "info.json").write_text(info.replace(str(server.pid), str(os.getpid())))
    assert launcher.read(folder) is None  # the process is another one
    (folder / "info.json").write_text("{")
    assert launcher.read(folder) is None


def test_the_password_is_in_no_argument_or_variable_of_the_child(server: launcher.Running) -> None:
    process = psutil.Process(server.pid)
    assert server.password not in " ".join(process.cmdline())
    assert server.password not in str(process.environ())


def test_threads_start_one_backend(tmp_path: Path) -> None:
    addresses: set[str] = set()

    def join() -> None:
        addresses.add(launcher.local(tmp_path / "threads").address)

    threads = [threading.Thread(target=join) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(addresses) == 1
    assert launcher.stop(tmp_path / "threads")
