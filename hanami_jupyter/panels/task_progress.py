"""The panel of tasks: state, progress, speed, time left; a button that aborts and a form that starts."""

from __future__ import annotations

import html
import math
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pandas as pd
import traitlets

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.client.task import duration
from hanami_jupyter.panels.base import Panel, PanelError, card
from hanami_jupyter.panels.recipes import step
from hanami_jupyter.panels.table import choices
from hanami_jupyter.protocol import template as grammar

if TYPE_CHECKING:
    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session

LIVE = frozenset({"queued", "active"})
_SHOWN = 60  # tasks of a cluster with many: what runs, the next of the queue, the latest that ended
_ENDED = 10  # ended ones that a long queue leaves room for
_OFFERED = 30  # datasets in the form, the latest
_RATES = 40  # values in the small curve
_STEP = 0.5  # seconds between looks at what runs: the bar glides from one to the next
_IDLE = 1.0  # seconds between looks for new tasks
_WORDS = {"active": "running", "queued": "queued", "aborted": "aborted", "finished": "finished"}
_ICONS = {"active": "▸", "queued": "…", "finished": "✓", "aborted": "◼"}


@dataclass(frozen=True)
class _Place:
    """A task's cluster, and what the list says of it: its state, and how many live ones stand before it."""

    cluster: str
    state: str = ""
    before: int | None = None


class TaskProgress(Panel):
    """Show how far tasks are, live, while cells go on; abort them, and start new ones from a form.

    Parameters
    ----------
    session : Session or Login
        The connection to the server; of a login, whoever is signed in is followed.
    cluster_uuid : str, optional
        The cluster whose tasks are shown; by default those of all clusters.
    task_uuid : str, optional
        Show this task of the cluster alone.

    Examples
    --------
    >>> hanami_jupyter.TaskProgress(session, cluster["uuid"])  # doctest: +SKIP
    <hanami.TaskProgress>
    """

    bundle_name: ClassVar[str] = "task_progress"
    selects = "task"
    tasks: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    # how many tasks are in each state, those without a row too; None before the server's first answer
    counts: traitlets.Dict[str, int] | None = traitlets.Dict(allow_none=True).tag(sync=True)
    startable = traitlets.Bool().tag(sync=True)
    selectable = traitlets.Bool().tag(sync=True)  # whether somebody cares for the selected task
    selected = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, session: Session | Login, cluster_uuid: str | None = None, task_uuid: str | None = None
    ) -> None:
        if task_uuid is not None and cluster_uuid is None:
            message = f"Task '{task_uuid}' is given without its cluster. Give cluster_uuid too."
            raise ValueError(message)
        self._cluster = None if cluster_uuid is None else str(cluster_uuid)
        self._task = None if task_uuid is None else str(task_uuid)
        self._rows: dict[str, dict[str, Any]] = {}
        self._rates: dict[str, deque[float]] = {}
        self._aborted: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, None] = {}
        self._places: dict[str, _Place] = {}
        self._hidden: Counter[str] = Counter()
        self._list_again = 0.0
        self.dataset = ""  # what the form offers first
        super().__init__(session, startable=task_uuid is None)

    @property
    def cluster_uuid(self) -> str | None:
        """The cluster whose tasks are shown; None for all."""
        return self._cluster

    def implies(self, key: str) -> dict[str, str]:
        """Select the task's cluster too; among the tasks of all clusters, let go of both."""
        if key in self._places:
            return super().implies(key) | {"cluster": self._places[key].cluster}
        return super().implies(key) | ({} if key or self._cluster else {"cluster": ""})

    def follow(self, chosen: Mapping[str, str]) -> None:
        """Offer the selected dataset first."""
        self.dataset = chosen["dataset"]

    @traitlets.default("counts")
    def _unknown(self) -> None:
        """Know nothing at first, which is another thing than no tasks."""

    # -- reading

    def update(self) -> float | None:
        """Read the tasks once; go on while one of them lives, or a cell runs that may start one."""
        title = self.title or self._title()
        fresh = not any(row["state"] == "active" for row in self._rows.values())
        fresh = fresh or time.monotonic() >= self._list_again
        self._read(anew=fresh)
        if not self._live() and any(place.state in LIVE for place in self._places.values()):
            self._read(anew=True)  # what lived in the list has ended, and others may have been started
        rows, live = list(self._rows.values()), self._live()
        counts = self._hidden + Counter(row["state"] for row in rows)
        ended = [row for row in reversed(rows) if row["state"] not in LIVE]
        self.write(title=title, tasks=live + ended, counts=dict(counts))
        if live or not self._hidden.keys().isdisjoint(LIVE):
            return _STEP
        awaiting = self._task is None and (self.cell_running or (self.cell_running is None and not rows))
        return _IDLE if awaiting else None

    def _title(self) -> str:
        if self._cluster is None:
            return "Tasks of all clusters"
        return f"Tasks of {self.session.cluster.get_cluster(self._cluster)['name']}"

    def _read(self, *, anew: bool) -> None:
        """Read the tasks shown; which they are is read anew, or stays."""
        if anew:
            self._places = self._list()
            self._list_again = time.monotonic() + _IDLE
        self._rows = {uuid: self._row(uuid, place) for uuid, place in self._places.items()}

    def _live(self) -> list[dict[str, Any]]:
        """Return the rows of what runs and then of what waits."""
        live = (row for row in self._rows.values() if row["state"] in LIVE)
        return sorted(live, key=lambda row: str(row["state"]))

    def _list(self) -> dict[str, _Place]:
        """Return where the tasks to show stand, the latest last; the others are only counted.

        An aborted one stays although the server dropped it.
        """
        if self._task is not None and self._cluster is not None:
            return {self._task: _Place(self._cluster)}
        selected = self.selected
        clusters = [self._cluster] if self._cluster else self.session.cluster.list_clusters()["uuid"]
        listed: dict[str, _Place] = {}
        for cluster in map(str, clusters):
            tasks = self.session.task.list_tasks(cluster)
            before = 0
            for uuid, state in zip(tasks["uuid"], tasks["state"], strict=True):
                listed[str(uuid)] = _Place(cluster, str(state), before)
                before += state in LIVE
        kept = {uuid: _Place(row["cluster"], "aborted") for uuid, row in self._aborted.items()}
        places = kept | listed
        self._seen.update(dict.fromkeys(listed))
        order = [uuid for uuid in self._seen if uuid in places]  # an aborted one keeps its place
        running = [uuid for uuid in order if places[uuid].state == "active"]
        queued = [uuid for uuid in order if places[uuid].state == "queued"]
        ended = [uuid for uuid in reversed(order) if places[uuid].state not in LIVE]
        queued = queued[: max(0, _SHOWN - len(running) - min(len(ended), _ENDED))]
        shown = {selected, *running, *queued, *ended[: max(0, _SHOWN - len(running) - len(queued))]}
        if selected not in places:
            self.write(selected="")
        self._hidden = Counter(places[uuid].state for uuid in order if uuid not in shown)
        return {uuid: places[uuid] for uuid in order if uuid in shown}

    def _row(self, uuid: str, place: _Place) -> dict[str, Any]:
        """Return what is shown of a task; one that ended, or still waits, is not asked for again."""
        known, cluster = self._rows.get(uuid) or self._aborted.get(uuid), place.cluster
        if known is not None and known["state"] not in LIVE:
            return known
        if known is not None and known["state"] == place.state == "queued":
            return known | {"before": place.before}
        try:
            task = self.session.task.get_task(uuid, cluster)
        except exceptions.NotFoundException:
            if known is None or uuid not in self._aborted:
                raise
            return known | {"state": "aborted", "rate": None, "rates": [], "seconds_left": None}
        return self._describe(uuid, task) | {"cluster": cluster}

    def _describe(self, uuid: str, task: pd.Series[Any]) -> dict[str, Any]:
        state = str(task["state"])
        done, total = _number(task["current_cycle"]) or 0, _number(task["total_number_of_cycles"]) or 0
        rate = self._rate(uuid, task, done) if state == "active" else None
        seconds = duration(task) if state == "finished" else None
        return {
            "uuid": uuid,
            "name": str(task["name"]) or "task",
            "state": state,
            "done": int(total if state == "finished" else done),
            "total": int(total),
            "rate": rate,
            "rates": list(self._rates.get(uuid, ())) if state == "active" else [],
            "seconds_left": round((total - done) / rate, 1) if rate else None,
            "seconds": None if seconds is None else round(seconds, 2),
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

    def do_abort(self, tasks: list[str]) -> None:
        """Abort tasks that are queued or running, the last one first, so that none starts meanwhile."""
        live = [uuid for uuid in tasks if uuid in self._rows and self._rows[uuid]["state"] in LIVE]
        if not live:
            names = ", ".join(self._rows[uuid]["name"] if uuid in self._rows else uuid for uuid in tasks)
            message = f"Task '{names}' has ended already. There is nothing to abort."
            raise PanelError(message)
        steps = []
        for uuid in reversed(live):
            cluster = self._rows[uuid]["cluster"]
            self.session.task.delete_task(uuid, cluster)
            self._aborted[uuid] = self._rows[uuid]
            steps.append(
                step("task.delete_task", uuid, cluster, words=("task", "delete", uuid, "-c", cluster))
            )
        self.did(*steps)
        self._look_anew()

    def do_options(self) -> dict[str, list[Any]]:
        """Return the clusters and datasets that a task can be started with, and the columns of the first."""
        session = self.session
        clusters = [self._cluster] if self._cluster else session.cluster.list_clusters()["uuid"]
        datasets = choices(session.dataset.list_datasets(), self.dataset)[:_OFFERED]
        return {
            "clusters": [self._offered(str(uuid)) for uuid in clusters],
            "datasets": [{"uuid": uuid, "name": name} for uuid, name in datasets],
            "columns": self.do_columns(datasets[0][0]) if datasets else [],
        }

    def do_columns(self, dataset: str) -> list[str]:
        """Return the columns of a dataset."""
        return list(self.session.dataset.get_dataset(dataset)["description"])

    def _offered(self, uuid: str) -> dict[str, Any]:
        about = self.session.cluster.get_cluster(uuid)
        template = about.get("template")
        if not isinstance(template, str) or not template:
            message = (
                f"The server does not tell the hexagons of cluster '{about['name']}'. Start tasks in a cell."
            )
            raise PanelError(message)
        parsed = grammar.parse(template)
        ends = {"inputs": list(parsed.inputs), "outputs": list(parsed.outputs)}
        return {"uuid": uuid, "name": str(about["name"])} | ends

    def do_start(
        self,
        kind: str,
        cluster: str,
        dataset: str,
        inputs: dict[str, str],
        outputs: dict[str, str],
        name: str,
        epochs: int = 1,
    ) -> None:
        """Start a training of some epochs, or a request; hexagons and columns are ``{hexagon: column}``."""
        fed = [_link(hexagon, column, dataset) for hexagon, column in inputs.items()]
        wanted = None if kind == "request" else dataset
        given = [_link(hexagon, column, wanted) for hexagon, column in outputs.items()]
        create = getattr(self.session.task, f"create_{kind}_task")
        steps = []
        for epoch in range(1, epochs + 1):
            full = f"{name} epoch {epoch} of {epochs}" if epochs > 1 else name
            create(full, cluster, fed, given)
            words = ["task", "create", kind, full, "-c", cluster]
            words += [word for link in fed for word in ("-i", _word(link))]
            words += [word for link in given for word in ("-o" if wanted else "-r", _word(link))]
            steps.append(step(f"task.create_{kind}_task", full, cluster, fed, given, words=words))
        self.did(*steps)
        self._look_anew()

    def _look_anew(self) -> None:
        self._list_again = 0.0
        self.refresh()

    # -- the static picture

    def picture(self) -> str:
        """Return the tasks as a list with one line each."""
        with card(self.title or "Tasks", self._summary(), self.notice) as pieces:
            pieces.append('<ul class="hanami-tasks">')
            for row in self.tasks:
                pieces.append(
                    f'<li><div class="hanami-task"><span class="hanami-name">{_ICONS.get(row["state"], "")} '
                    f"{html.escape(row['name'])}</span> "
                    f'<span class="hanami-grow">{_detail(row)}</span></div></li>'
                )
            pieces.append("</ul>")
            if more := sum((self.counts or {}).values()) - len(self.tasks):
                pieces.append(f'<p class="hanami-quiet">{more:,} more are not shown.</p>')
        return "".join(pieces)

    def _summary(self) -> str:
        """Return the status of all tasks in one phrase."""
        if self.counts is None:
            return "○ unknown" if self.notice else "○ looking…"
        counted = (f"{self.counts[state]:,} {word}" for state, word in _WORDS.items() if state in self.counts)
        return ", ".join(counted) or "no tasks"


def _link(hexagon: str, column: str, dataset: str | None = None) -> dict[str, str]:
    """Return which column belongs to which hexagon, as tasks take it."""
    link = {"dataset_column": column, "hexagon_name": hexagon}
    return link if dataset is None else link | {"dataset_uuid": dataset}


def _word(link: dict[str, str]) -> str:
    """Return a link as the commands take it."""
    if "dataset_uuid" in link:
        return f"{link['dataset_uuid']}:{link['dataset_column']}:{link['hexagon_name']}"
    return f"{link['hexagon_name']}:{link['dataset_column']}"


def _number(value: Any) -> float | None:
    """Return a number, or None for a missing one."""
    if value is None or pd.isna(value):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


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
