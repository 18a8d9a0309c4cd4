"""A real kernel as a front end sees it: cells that run, the widgets' messages, the log at DEBUG."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from jupyter_client import BlockingKernelClient
from jupyter_client.manager import KernelManager

LIMIT = 60
ROOT = Path(__file__).parents[2]


class Kernel:
    """A kernel with its client, and the log that it wrote at DEBUG."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient, log: Path) -> None:
        self.manager, self.client, self.log = manager, client, log
        self.comms: dict[str, dict[str, Any]] = {}
        self.replies: dict[str, dict[str, Any]] = {}
        self.updates: dict[str, list[datetime]] = {}

    def take(self, message: dict[str, Any]) -> None:
        """Keep what a front end would: which widgets there are, and what they answer."""
        content = message["content"]
        if message["msg_type"] == "comm_open":
            self.comms[content["comm_id"]] = content["data"].get("state", {})
        elif message["msg_type"] == "comm_close":
            self.comms.pop(content["comm_id"], None)
        elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "update":
            self.updates.setdefault(content["comm_id"], []).append(message["header"]["date"])
        elif message["msg_type"] == "comm_msg" and content["data"].get("method") == "custom":
            reply = content["data"]["content"]
            if "ok" in reply:
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


def environment(**variables: str) -> dict[str, str]:
    """Return what a kernel is started with, so that it finds the package."""
    paths = [*filter(None, [os.environ.get("PYTHONPATH")]), str(ROOT)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | variables


@contextmanager
def running(log: Path, **variables: str) -> Iterator[Kernel]:
    """Start a kernel that writes its log at DEBUG, and stop it."""
    manager = KernelManager(kernel_name="python3")
    with log.open("wb") as output:
        manager.start_kernel(
            extra_arguments=["--debug"], env=environment(**variables), stdout=output, stderr=output
        )
        client = manager.client()
        client.start_channels()
        client.wait_for_ready(timeout=LIMIT)
        yield Kernel(manager, client, log)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
