"""Panels in a real kernel: commands beside a busy cell, fifty re-runs, and a debug log without secrets.

``HANAMI_KERNEL_PATH`` names a folder with another ipykernel to test with (``pip install --target``): version
6 delivers messages on the main thread, version 7 on that of a subshell.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import KernelManager

LIMIT = 60
PREPARE = """
import os, threading
from comm import get_comm_manager
import hanami
session = hanami.local()
template = "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1 inputs: a: 1,1,1 outputs: b: 2,1,1"
cluster = session.cluster.create_cluster("digits", template)["uuid"]

def counted():  # connections are left out: the client keeps as many as were ever used at once
    panel.snapshot()
    threads = [thread for thread in threading.enumerate() if thread.name != "hanami-feed"]
    files = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.lexists(entry.path)]
    files = [name for name in files if not name.startswith("socket:")]
    print(len(get_comm_manager().comms), len(threads), len(files))
"""


class Kernel:
    """A kernel with its client, and the log that it wrote at DEBUG."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient, log: Path) -> None:
        self.manager, self.client, self.log = manager, client, log
        self.comms: dict[str, dict[str, Any]] = {}
        self.replies: dict[str, dict[str, Any]] = {}

    def take(self, message: dict[str, Any]) -> None:
        """Keep what a front end would: which widgets there are, and what they answer."""
        content = message["content"]
        if message["msg_type"] == "comm_open":
            self.comms[content["comm_id"]] = content["data"].get("state", {})
        elif message["msg_type"] == "comm_close":
            self.comms.pop(content["comm_id"], None)
        elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "custom":
            reply = content["data"]["content"]
            self.replies[reply["id"]] = reply

    def run(self, code: str, cell: str = "cell") -> str:
        """Run a cell as JupyterLab does; return what it printed."""
        number = self.start(code, cell)
        printed = ""
        while True:
            message = self.client.get_iopub_msg(timeout=LIMIT)
            self.take(message)
            if message["parent_header"].get("msg_id") != number:
                continue
            content = message["content"]
            assert message["msg_type"] != "error", "\n".join(content.get("traceback", []))
            printed += content.get("text", "")
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return printed

    def start(self, code: str, cell: str = "cell") -> str:
        request = self.client.session.msg(
            "execute_request", {"code": code, "silent": False, "store_history": True}
        )
        request["metadata"] = {"cellId": cell}
        self.client.shell_channel.send(request)
        return str(request["header"]["msg_id"])

    def panel(self) -> str:
        """Return the comm of the one panel there is."""
        (found,) = [comm for comm, state in self.comms.items() if "notice" in state]
        return found

    def command(
        self, name: str, *, secret: bytes | None = None, subshell: str | None = None, **values: Any
    ) -> str:
        number = f"{name}-{time.monotonic_ns()}"
        data = {"method": "custom", "content": {"id": number, "command": name, **values}}
        message = self.client.session.msg("comm_msg", {"comm_id": self.panel(), "data": data})
        if subshell:
            message["header"]["subshell_id"] = subshell
        buffers = [secret] if secret else None
        self.client.session.send(self.client.shell_channel.socket, message, buffers=buffers)
        return number

    def reply(self, number: str) -> dict[str, Any]:
        while number not in self.replies:
            self.take(self.client.get_iopub_msg(timeout=LIMIT))
        return self.replies[number]

    def subshell(self) -> str | None:
        """Make a subshell, as JupyterLab does where the kernel has them."""
        request = self.client.session.msg("create_subshell_request", {})
        info = self.client.kernel_info(reply=True, timeout=LIMIT)["content"]
        if "kernel subshells" not in info.get("supported_features", []):
            return None
        self.client.control_channel.send(request)
        return str(self.client.get_control_msg(timeout=LIMIT)["content"]["subshell_id"])


@pytest.fixture
def kernel(tmp_path, server) -> Iterator[Kernel]:
    log = tmp_path / "kernel.log"
    paths = [path for path in (os.environ.get("HANAMI_KERNEL_PATH"), os.environ.get("PYTHONPATH")) if path]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([*paths, str(Path(__file__).parents[2])])}
    environment |= {"HANAMI_USER": server.user, "HANAMI_ADDRESS": server.address}
    manager = KernelManager(kernel_name="python3")
    with log.open("wb") as output:
        manager.start_kernel(extra_arguments=["--debug"], env=environment, stdout=output, stderr=output)
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=LIMIT)
        yield Kernel(manager, client, log)
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_signing_in_leaves_no_secret_in_the_debug_log_or_the_messages(kernel, server):
    kernel.run("import hanami\nlogin = hanami.Login()\nlogin")
    values = {"address": server.address, "user": server.user, "verify": True}
    wrong = kernel.reply(kernel.command("sign_in", secret=b"not-the-password", **values))
    assert "password is wrong" in wrong["error"]
    assert kernel.reply(kernel.command("sign_in", secret=server.password.encode(), **values))["ok"]
    token = kernel.run("print(str(login.session.token)[-20:][::-1])").strip()[::-1]
    assert len(token) == 20
    log = kernel.log.read_text("utf-8", "replace")
    assert "sign_in" in log  # the log does show what commands say
    for secret in (server.password, "not-the-password", token):
        assert secret not in log
        assert secret not in repr(kernel.comms)
        assert secret not in repr(kernel.replies)


def test_a_command_is_answered_beside_a_busy_cell_or_right_after_it(kernel):
    kernel.run("import hanami, time\nlogin = hanami.Login()\nlogin")
    subshell = kernel.subshell()
    kernel.start("time.sleep(2)\nended = time.monotonic()", "busy")
    number = kernel.command("known", subshell=subshell)
    assert kernel.reply(number)["ok"]
    beside = kernel.run("print('ended' in dir())", "after")
    assert beside.strip() == "True"
    states = [kernel.reply(kernel.command("known", subshell=subshell))["ok"] for _ in range(3)]
    assert states == [True] * 3


def test_fifty_runs_of_a_cell_leave_as_many_comms_and_threads(kernel, server):
    kernel.run(PREPARE)
    cell = "panel = hanami.TaskProgress(session, cluster)\npanel"
    kernel.run(cell, "panel")
    before = kernel.run("counted()", "count")
    for _ in range(50):
        kernel.run(cell, "panel")
    deadline = time.monotonic() + LIMIT  # ipykernel frees the pipes of ended threads every ten seconds
    while (after := kernel.run("counted()", "count")) != before and time.monotonic() < deadline:
        time.sleep(0.5)
    assert after == before
    assert kernel.panel()  # one is left
