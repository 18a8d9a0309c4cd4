"""The panel of a cluster's tasks: state, progress, speed, time left, and a button that aborts."""

from __future__ import annotations

import html
import math
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import traitlets

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels.base import Panel, PanelError, card
from hanami_jupyter.panels.feed import INTERVAL

if TYPE_CHECKING:
    from hanami_jupyter.session import Session

LIVE = frozenset({"queued", "active"})
_SHOWN = 20  # rows of a cluster with many tasks
_RATES = 40  # values in the small curve
_IDLE = 1.0  # seconds between looks while a cell runs that may start a task
_ICONS = {"active": "▸", "queued": "…", "finished": "✓", "aborted": "◼"}


class TaskProgress(Panel):
    """Show how far the tasks of a cluster are, live, while cells go on.

    Parameters
    ----------
    session : Session
        The connection to the server.
    cluster_uuid : str
        The cluster whose tasks are shown.
    task_uuid : str, optional
        Show this task alone.

    Examples
    --------
    >>> hanami_jupyter.TaskProgress(session, cluster["uuid"])  # doctest: +SKIP
    <hanami.TaskProgress>
    """

    bundle_name: ClassVar[str] = "task_progress"
    tasks: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(self, session: Session, cluster_uuid: str, task_uuid: str | None = None) -> None:
        self._session = session
        self._cluster = str(cluster_uuid)
        self._task = None if task_uuid is None else str(task_uuid)
        self._rows: dict[str, dict[str, Any]] = {}
        self._rates: dict[str, deque[float]] = {}
        self._aborted: set[str] = set()
        super().__init__(session)

    # -- reading

    def update(self) -> float | None:
        """Read the tasks once; go on while one of them lives, or a cell runs that may start one."""
        if not self.title:
            self.write(title=self._title())
        self._rows = {uuid: self._row(uuid) for uuid in self._uuids()}
        rows = list(self._rows.values())
        live = sorted((row for row in rows if row["state"] in LIVE), key=lambda row: row["state"])
        self.write(tasks=live + [row for row in reversed(rows) if row["state"] not in LIVE])
        if live:
            return INTERVAL
        awaiting = self._task is None and (self.cell_running or (self.cell_running is None and not rows))
        return _IDLE if awaiting else None

    def _title(self) -> str:
        return f"Tasks of {self._session.cluster.get_cluster(self._cluster)['name']}"

    def _uuids(self) -> list[str]:
        """Return the tasks to show, the latest last; an aborted one stays although the server dropped it."""
        if self._task is not None:
            return [self._task]
        listed = [str(uuid) for uuid in self._session.task.list_tasks(self._cluster)["uuid"]]
        kept = [uuid for uuid in self._rows if uuid in self._aborted and uuid not in listed]
        return (kept + listed)[-_SHOWN:]

    def _row(self, uuid: str) -> dict[str, Any]:
        """Return what is shown of a task; one that ended is not asked for again."""
        known = self._rows.get(uuid)
        if known is not None and known["state"] not in LIVE:
            return known
        try:
            task = self._session.task.get_task(uuid, self._cluster)
        except exceptions.NotFoundException:
            if known is None or uuid not in self._aborted:
                raise
            return known | {"state": "aborted", "rate": None, "rates": [], "seconds_left": None}
        return self._describe(uuid, task)

    def _describe(self, uuid: str, task: pd.Series[Any]) -> dict[str, Any]:
        state = str(task["state"])
        done, total = _number(task["current_cycle"]) or 0, _number(task["total_number_of_cycles"]) or 0
        rate = self._rate(uuid, task, done) if state == "active" else None
        return {
            "uuid": uuid,
            "name": str(task["name"]) or "task",
            "state": state,
            "done": int(total if state == "finished" else done),
            "total": int(total),
            "rate": rate,
            "rates": list(self._rates.get(uuid, ())) if state == "active" else [],
            "seconds_left": round((total - done) / rate, 1) if rate else None,
            "seconds": _seconds(task, total) if state == "finished" else None,
            "before": _number(task.get("queue_position")) if state == "queued" else None,
        }

    def _rate(self, uuid: str, task: pd.Series[Any], done: float) -> float | None:
        """Return cycles a second: the server's figure, or the cycles done over the time since the start."""
        rate = _number(task.get("cycles_per_second"))
        if rate is None and not pd.isna(task["start_timestamp"]):
            running = (pd.Timestamp.now("UTC") - task["start_timestamp"]).total_seconds()
            rate = done / running if running > 0 else None
        if not rate:
            return None
        rate = float(f"{rate:.3g}")
        self._rates.setdefault(uuid, deque(maxlen=_RATES)).append(rate)
        return rate

    # -- commands

    def do_abort(self, task: str) -> None:
        """Abort a task that is queued or running."""
        row = self._rows.get(task)
        if row is None or row["state"] not in LIVE:
            message = f"Task '{row['name'] if row else task}' has ended already. There is nothing to abort."
            raise PanelError(message)
        self._session.task.delete_task(task, self._cluster)
        self._aborted.add(task)
        self.refresh()

    # -- the static picture

    def picture(self) -> str:
        """Return the tasks as a list with one line each."""
        with card(self.title or "Tasks", _summary(self.tasks), self.notice) as pieces:
            pieces.append('<ul class="hanami-tasks">')
            for row in self.tasks:
                pieces.append(
                    f'<li><div class="hanami-task"><span class="hanami-name">{_ICONS.get(row["state"], "")} '
                    f"{html.escape(row['name'])}</span> "
                    f'<span class="hanami-grow">{_detail(row)}</span></div></li>'
                )
            pieces.append("</ul>")
        return "".join(pieces)


def _number(value: Any) -> float | None:
    """Return a number, or None for a missing one."""
    if value is None or pd.isna(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _seconds(task: pd.Series[Any], total: float) -> float | None:
    """Return how long a finished task ran: by its rate, or by its timestamps, which are whole seconds."""
    rate = _number(task.get("cycles_per_second"))
    if rate:
        return round(total / rate, 2)
    span = task["end_timestamp"] - task["start_timestamp"]
    return None if pd.isna(span) or not span else float(span.total_seconds())


def _summary(rows: list[dict[str, Any]]) -> str:
    """Return the status of all tasks in one phrase."""
    words = {"active": "running", "queued": "queued", "aborted": "aborted", "finished": "finished"}
    counts = {word: sum(row["state"] == state for row in rows) for state, word in words.items()}
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no tasks"


def _detail(row: dict[str, Any]) -> str:
    """Return how far a task is, in words."""
    if row["state"] == "queued":
        return f"queued, {row['before']:.0f} before it" if row["before"] else "queued"
    if row["state"] == "finished":
        took = "" if row["seconds"] is None else f" in {row['seconds']:.1f} s"
        return f"100 % · {row['total']:,} cycles{took}"
    share = f"{100 * row['done'] // row['total']} % · " if row["total"] else ""
    speed = f" · {row['rate']:,.0f}/s" if row["rate"] else ""
    return f"{share}{row['done']:,} of {row['total']:,} cycles{speed}"
