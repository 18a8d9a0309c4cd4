"""One thread a session that polls for all its panels and makes every trait write."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

_log = logging.getLogger(__name__)
INTERVAL = 0.25  # seconds between two turns of a panel, so at most four messages a second
LINGER = 1.0  # seconds that an idle thread stays, so that cells in a row share one


class Turning(Protocol):
    """What the feed knows of a panel."""

    def turn(self) -> float | None:
        """Bring the traits up to date; return the seconds until the next turn, None for no other."""


class Feed:
    """Gives panels their turns on one thread, which ends when no panel wants another turn."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: dict[Turning, float] = {}
        self._last: dict[Turning, float] = {}
        self._calls: deque[Callable[[], None]] = deque()
        self._thread: threading.Thread | None = None

    def wake(self, panel: Turning) -> None:
        """Give the panel a turn as soon as its rate allows."""
        with self._changed:
            self._due[panel] = self._last.get(panel, 0.0) + INTERVAL
            self._start()

    def call(self, function: Callable[[], None]) -> None:
        """Run a function on the feed's thread, before any further turn."""
        with self._changed:
            self._calls.append(function)
            self._start()

    def drop(self, panel: Turning) -> None:
        """Give the panel no further turn."""
        with self._changed:
            self._due.pop(panel, None)
            self._last.pop(panel, None)
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="hanami-feed", daemon=True)
            self._thread.start()
        self._changed.notify()

    def _run(self) -> None:
        while (step := self._next()) is not None:
            try:
                step()
            except Exception:  # noqa: BLE001 - one panel's fault must not stop the others
                _log.exception("A panel of Hanami could not be brought up to date.")

    def _next(self) -> Callable[[], None] | None:
        """Wait for what is to be done next; None ends the thread."""
        with self._changed:
            while True:
                if self._calls:
                    return self._calls.popleft()
                if not self._due:
                    if self._changed.wait(LINGER) or self._calls or self._due:
                        continue
                    self._thread = None
                    return None
                panel = min(self._due, key=self._due.__getitem__)
                wait = self._due[panel] - time.monotonic()
                if wait <= 0:
                    return lambda: self._turn(panel)
                self._changed.wait(wait)

    def _turn(self, panel: Turning) -> None:
        with self._changed:
            if self._due.pop(panel, None) is None:
                return
            self._last[panel] = time.monotonic()
        delay = panel.turn()
        with self._changed:
            if delay is not None and panel in self._last:
                self._due.setdefault(panel, time.monotonic() + max(delay, INTERVAL))


_FEEDS: WeakKeyDictionary[object, Feed] = WeakKeyDictionary()
_LOCK = threading.Lock()


def feed_of(owner: object) -> Feed:
    """Return the one feed of a session, or of a panel that has none."""
    with _LOCK:
        return _FEEDS.setdefault(owner, Feed())
