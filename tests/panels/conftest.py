"""Waiting for a panel's feed, a place for what it remembers, and a small trained cluster."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import pytest

from hanami_jupyter.panels.base import Panel


@pytest.fixture(autouse=True)
def _close_panels(monkeypatch, tmp_path) -> Iterator[None]:
    """Give each test its own memory of logins, and close what it opened."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield
    ipywidgets.Widget.close_all()


def flush(panel: Panel) -> None:
    """Wait until the feed has done all that was asked of it so far; its calls come before turns."""
    due = True
    while due:
        done = threading.Event()
        panel._feed.call(done.set)
        assert done.wait(30)
        due = panel._feed._due.get(panel, math.inf) <= time.monotonic()


def until(condition: Callable[[], Any], panel: Panel | None = None) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            state = panel.get_state() if panel else {}
            pytest.fail(f"it never came: { {name: state[name] for name in state if name[0] != '_'} }")
        time.sleep(0.01)


class Front:
    """The front end of a panel: sends commands as the browser does, and keeps the messages it receives."""

    def __init__(self, panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
        self.panel = panel
        self.replies: dict[str, dict[str, Any]] = {}
        self.messages: list[dict[str, Any]] = []
        self.buffers: list[Any] = []
        monkeypatch.setattr(panel, "_send", self._take)

    def _take(self, message: dict[str, Any], buffers: Any = None) -> None:
        if message["method"] == "custom" and "ok" not in message["content"]:
            return  # the command arrived
        if message["method"] == "custom":
            self.buffers.extend(buffers or ())
            self.replies[message["content"]["id"]] = message["content"]
        else:
            self.messages.append(message["state"])

    def ask(self, command: str, secret: bytes | None = None, **values: object) -> dict[str, Any]:
        number = f"{command}-{len(self.replies)}"
        buffers = [] if secret is None else [memoryview(secret)]
        self.panel._handle_custom_msg({"id": number, "command": command, **values}, buffers)
        until(lambda: number in self.replies, self.panel)
        return self.replies[number]


@pytest.fixture
def front(monkeypatch) -> Callable[[Panel], Front]:
    return lambda panel: Front(panel, monkeypatch)
