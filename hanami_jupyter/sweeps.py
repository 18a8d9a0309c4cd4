"""Sweeps: many networks trained over all hosts at once, and what became of each."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import math
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.client.learning import Links, linked, sources
from hanami_jupyter.client.task import duration
from hanami_jupyter.client.transport import plain
from hanami_jupyter.protocol import template as grammar

if TYPE_CHECKING:
    import pandas as pd

    from hanami_jupyter.session import Session

Templates = Mapping[str, "str | grammar.Template"] | Iterable["str | grammar.Template"]
State = Literal["waiting", "training", "finished", "failed", "stopped"]
LIVE = frozenset({"waiting", "training"})
LIVE_TASKS = frozenset({"queued", "active"})
SIZES = {
    "blocks": "number_of_blocks",
    "sections": "number_of_sections",
    "synapses": "number_of_synapses",
    "memory_bytes": "memory_bytes",
}
ATTEMPTS = 2  # how often a network is begun whose task is aborted
PATIENCE = 60.0  # seconds without an answer of the server until the sweep gives up
_HOSTS = 1.0  # seconds between two looks for hosts, while networks wait
_LOOKS = (0.03, 0.5)  # seconds between two looks at a network: half of what is left, within these limits
_RATE = 50.0  # looks a second at most, however many networks train
_PREFIX, _MARK = "sweep ", 18  # how a cluster's name begins, and the letters that tell it from others
_TEST, _EPOCH = "test of a sweep", re.compile(r"epoch (\d+) of \d+")  # how tasks are named
_PASSING = (exceptions.ConnectionException, exceptions.TimeoutException)
_HOPELESS = (exceptions.UnauthorizedException, exceptions.NotSupportedException)


@dataclass(eq=False)
class Network:
    """One network of a sweep, and how far it is.

    Attributes
    ----------
    name : str
        Name of its template.
    text : str
        The template.
    template : Template or None
        The template as it was read; None if it has faults.
    seed : int or None
        Seed of its random numbers.
    mark : str
        The beginning of its cluster's name, the same for the same template, seed, data and epochs.
    state : str
        ``waiting``, ``training``, ``finished``, ``failed``, or ``stopped`` with the sweep.
    epoch, epochs : int
        Passes done, and to do.
    share : float
        What is done of all passes, 0 to 1.
    accuracy : float
        Percent of the test rows right after the last pass; NaN where not tested.
    accuracies : dict of int to float
        The same by pass, where it was tested.
    seconds : float
        How long it trained.
    sizes : dict of str to int
        What has grown: ``blocks``, ``sections``, ``synapses``, ``memory_bytes``.
    cluster : str or None
        The cluster's uuid.
    reason : str
        Why it failed.
    """

    name: str
    text: str
    template: grammar.Template | None
    seed: int | None
    mark: str
    epochs: int
    state: State = "waiting"
    epoch: int = 0
    share: float = 0.0
    accuracy: float = math.nan
    seconds: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)
    cluster: str | None = None
    reason: str = ""
    accuracies: dict[int, float] = field(default_factory=dict)
    attempts: int = 0
    links: tuple[Links, Links] = ({}, {})

    @property
    def label(self) -> str:
        """The name, with the seed if there is one."""
        return self.name if self.seed is None else f"{self.name}, seed {self.seed}"

    def fail(self, reason: str) -> None:
        """Note why there is no result."""
        self.state, self.reason = "failed", reason


Progress = Callable[[Sequence[Network]], object]


@dataclass
class _Step:
    """A task that was queued for a network: the training of an epoch, or with None a test."""

    epoch: int | None
    uuid: str


@dataclass(eq=False)
class _Work:
    """A network under way: where, what is queued for it, and when to look again."""

    network: Network
    host: str
    steps: deque[_Step] = field(default_factory=deque)
    due: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What a sweep does with each network: datasets, passes, tests, and the columns as ``fit`` takes them."""

    train: str
    test: str | None
    epochs: int
    inputs: Links | None = None
    outputs: Links | None = None
    history: bool = False


def sweep(
    session: Session,
    templates: Templates,
    plan: Plan,
    *,
    seeds: int | Iterable[int] | None,
    parallel: int | None,
    replace: bool,
    keep: bool | int,
    progress: Progress | bool,
) -> pd.DataFrame:
    """Do what ``Session.sweep`` says."""
    train, test = str(plain(plan.train)), None if plan.test is None else str(plain(plan.test))
    plan = dataclasses.replace(plan, train=train, test=test)
    chosen = [None] if seeds is None else list(range(seeds) if isinstance(seeds, int) else seeds)
    networks = planned(templates, plan, chosen, session.dataset.get_dataset(train)["description"])
    shown = follower() if progress is True else progress or (lambda _: None)
    running = Sweep(session, networks, plan, parallel=parallel, replace=replace, progress=shown)
    running.run()
    if parallel != 0:
        running.clean(keep)
    found = table(networks, getattr(templates, "parameters", {}))
    if plan.history:
        passes = range(1, plan.epochs + 1)
        found["accuracies"] = [[network.accuracies.get(n, math.nan) for n in passes] for network in networks]
    return found


def planned(
    templates: Templates, plan: Plan, seeds: Sequence[int | None], columns: Mapping[str, Any]
) -> list[Network]:
    """Return a network for each template and seed, in order; those that cannot be trained say why.

    Raises
    ------
    BadRequestException
        If none of them can be trained.
    ValueError
        If there is no template or no seed, or if two are the same.
    """
    found: dict[str, Network] = {}
    for name, given in templates.items() if isinstance(templates, Mapping) else _numbered(templates):
        text = given if isinstance(given, str) else given.text or given.canonical()
        template: grammar.Template | None = None
        links: tuple[Links, Links] = ({}, {})
        reason = ""
        try:
            template = grammar.parse(grammar.strip(text))
            links = linked((template.inputs, template.outputs), columns, plan.inputs, plan.outputs)
        except (grammar.TemplateError, exceptions.BadRequestException) as error:
            reason = str(error)
        for seed in seeds:
            what = (template.canonical() if template else text, seed, plan.train, plan.epochs, links)
            mark = (_PREFIX + hashlib.sha256(repr(what).encode()).hexdigest())[:_MARK]
            if mark in found:
                message = f"Templates '{found[mark].name}' and '{name}' are the same. Leave one out."
                raise ValueError(message)
            found[mark] = Network(str(name), text, template, seed, mark, plan.epochs, links=links)
            if reason:
                found[mark].fail(reason)
    if not found:
        message = "A sweep needs at least one template and one seed."
        raise ValueError(message)
    if all(network.state == "failed" for network in found.values()):
        raise exceptions.BadRequestException(next(iter(found.values())).reason)
    return list(found.values())


def _numbered(templates: Iterable[str | grammar.Template]) -> list[tuple[str, str | grammar.Template]]:
    if isinstance(templates, (str, grammar.Template)):
        templates = [templates]
    return [(f"template {number}", given) for number, given in enumerate(templates, 1)]


class Sweep:
    """Trains networks over all hosts, from one thread, with as few requests as will do.

    All tasks of a network are queued at once, so the server goes on by itself between two looks, and what is
    under way is found again by the next sweep. The largest networks come first, so that none is left over
    at the end.

    Parameters
    ----------
    session : Session
        The connection.
    networks : sequence of Network
        What is to be trained.
    plan : Plan
        With which data, and how often.
    parallel : int or None
        Networks at once at most; by default as many as the hosts have cores. With 0 nothing is trained.
    replace : bool
        Whether networks that are on the server are deleted and trained anew.
    progress : callable
        Called with all networks whenever something has changed.
    """

    def __init__(
        self,
        session: Session,
        networks: Sequence[Network],
        plan: Plan,
        *,
        parallel: int | None,
        replace: bool,
        progress: Progress,
    ) -> None:
        self._session, self._plan, self._parallel = session, plan, parallel
        self.networks, self._progress = networks, progress
        self._waiting = deque(sorted((n for n in networks if n.state in LIVE), key=_extent, reverse=True))
        self._running: list[_Work] = []
        self._ended: list[_Work] = []
        anew = replace and parallel != 0
        self._outdated = {network.mark for network in networks} if anew else set()
        self._clusters: dict[str, str] | None = None
        self._hosts: dict[str, int] = {}
        self._hosts_again = self._heard = 0.0

    def run(self) -> None:
        """Train until nothing is left; what is finished stays on the server, whatever happens."""
        self._heard = time.monotonic()
        try:
            if self._parallel == 0:
                self._leave_unfinished()
            while self._waiting or self._running or self._ended:
                self._fill()
                self._progress(self.networks)
                if self._ended:
                    self._attempt(self._ended[0], self._finish)
                elif self._running:
                    self._look()
                elif self._waiting:
                    self._be_patient(exceptions.ConnectionException("The server has no host to train on."))
        except BaseException:
            self._let_go()
            raise
        finally:
            self._progress(self.networks)

    # -- which networks run where

    def _fill(self) -> None:
        """Begin networks while there are free cores."""
        if self._waiting and time.monotonic() >= self._hosts_again:
            try:
                self._hosts = cores(self._session)
            except _PASSING as error:
                self._be_patient(error)
            self._hosts_again = time.monotonic() + _HOSTS
        while self._waiting and (host := self._free()) is not None:
            work = _Work(self._waiting.popleft(), host)
            self._running.append(work)
            self._attempt(work, self._begin)

    def _free(self) -> str | None:
        """Return the host with the largest share of its cores free, if one has any."""
        if self._parallel and len(self._running) >= self._parallel:
            return None
        taken = Counter(work.host for work in self._running)
        host = min(self._hosts, key=lambda name: taken[name] / self._hosts[name], default=None)
        return host if host is not None and taken[host] < self._hosts[host] else None

    def _be_patient(self, error: Exception) -> None:
        """Wait a moment for a server that does not answer, but not for ever."""
        if time.monotonic() - self._heard > PATIENCE:
            raise error
        time.sleep(_HOSTS)

    def _look(self) -> None:
        """Wait for the network whose turn is next, and bring it up to date."""
        work = min(self._running, key=lambda work: work.due)
        now = time.monotonic()
        until = min(work.due, max(self._hosts_again, now)) if self._waiting else work.due
        time.sleep(max(until - now, 0.0))
        if time.monotonic() >= work.due:
            self._attempt(work, self._follow)

    def _attempt(self, work: _Work, step: Callable[[_Work], None]) -> None:
        """Take a step with a network; a fault of its own ends it, one that may pass puts it back."""
        network = work.network
        try:
            step(work)
            self._heard = time.monotonic()
        except exceptions.TaskAbortedException as error:
            self._drop(work)
            self._outdated.add(network.mark)  # half a pass is no result: from the beginning
            if network.attempts < ATTEMPTS:
                network.state, network.epoch, network.share, network.seconds = "waiting", 0, 0.0, 0.0
                network.accuracy, network.accuracies = math.nan, {}
                self._waiting.appendleft(network)
            else:
                network.fail(str(error))
        except _PASSING as error:
            self._drop(work)
            self._waiting.appendleft(network)
            self._clusters = None  # whether the last request was carried out is not known
            self._be_patient(error)
        except _HOPELESS:
            raise
        except exceptions.HanamiException as error:
            self._drop(work)
            network.fail(str(error))

    def _drop(self, work: _Work) -> None:
        (self._running if work in self._running else self._ended).remove(work)

    # -- the life of a network

    def _begin(self, work: _Work) -> None:
        """Find or make the cluster of a network, on its host, and queue what it lacks."""
        network, session, known = work.network, self._session, self._known()
        network.cluster, network.seconds = known.get(network.mark), 0.0
        steps = self._steps(network) if network.cluster and network.mark not in self._outdated else []
        broken = any(step.epoch is not None and state == "aborted" for step, state in steps)
        if network.cluster and (broken or network.mark in self._outdated):
            session.cluster.delete_cluster(network.cluster)
            network.cluster, steps = None, []
        self._outdated.discard(network.mark)
        if network.cluster is None:
            network.attempts += 1
            made = session.cluster.create_cluster(self._title(network), network.text, seed=network.seed)
            network.cluster = known[network.mark] = str(made["uuid"])
        self._place(work, busy=any(state in LIVE_TASKS for _, state in steps))
        network.state = "training"
        self._adopt(work, steps)
        self._queue(work)

    def _place(self, work: _Work, *, busy: bool) -> None:
        """Put a cluster on the host that has a core for it; one that is at work stays where it is."""
        cluster = work.network.cluster
        if busy:
            told = self._session.cluster.get_cluster(cluster).get("host_uuid")
            work.host = told if isinstance(told, str) else work.host
        elif len(self._hosts) > 1:
            with suppress(exceptions.NotFoundException):  # the host has gone: the server has chosen another
                self._session.cluster.switch_host(cluster, work.host)

    def _known(self) -> dict[str, str]:
        """Return the user's clusters of sweeps in this project, by their marks."""
        if self._clusters is None:
            listed = self._session.cluster.list_clusters()
            mine = listed[
                (listed["owner_id"] == self._session.user_id)
                & (listed["project_id"] == self._session.project_id)
            ]
            pairs = zip(mine["name"], mine["uuid"], strict=True)
            self._clusters = {str(name)[:_MARK]: str(uuid) for name, uuid in pairs}
        return self._clusters

    def _title(self, network: Network) -> str:
        """Return the name of a network's cluster: its mark, and its label as far as a name may bear it."""
        return f"{network.mark} {re.sub('[^a-zA-Z_0-9 -]+', '', network.label)}"[:254].strip()

    def _steps(self, network: Network) -> list[tuple[_Step, str]]:
        """Return the tasks of an earlier sweep with their states, oldest first."""
        found = []
        for uuid in self._session.task.list_tasks(network.cluster)["uuid"]:
            task = self._session.task.get_task(str(uuid), network.cluster)
            match = _EPOCH.fullmatch(str(task["name"]))
            if match or task["name"] == _TEST:
                found.append((_Step(int(match[1]) if match else None, str(uuid)), str(task["state"])))
            if match and task["state"] == "finished":
                network.seconds += duration(task) or 0.0
        return found

    def _adopt(self, work: _Work, steps: Sequence[tuple[_Step, str]]) -> None:
        """Go on where an earlier sweep stopped: its epochs to come are ours, its tests are removed."""
        network = work.network
        network.epoch = sum(step.epoch is not None and state == "finished" for step, state in steps)
        network.share = network.epoch / network.epochs
        for step, state in steps:
            if step.epoch is None:
                self._remove_test(network, step)
            elif state in LIVE_TASKS:
                work.steps.append(step)

    def _queue(self, work: _Work) -> None:
        """Queue all that is left to do for a network: the epochs that lack, and the tests."""
        network, task, cluster = work.network, self._session.task, work.network.cluster
        fed, expected = network.links
        learned = sources(self._plan.train, fed), sources(self._plan.train, expected)
        for epoch in range(network.epoch + len(work.steps) + 1, network.epochs + 1):
            made = task.create_train_task(f"epoch {epoch} of {network.epochs}", cluster, *learned)
            work.steps.append(_Step(epoch, str(made["uuid"])))
            if self._plan.history and epoch < network.epochs:
                self._queue_test(work)
        self._queue_test(work)

    def _queue_test(self, work: _Work) -> None:
        """Queue a test of what a network has learned by then, if it is to be tested."""
        if self._plan.test is None:
            return
        fed, expected = work.network.links
        results = [{"dataset_column": name, "hexagon_name": name} for name in expected]
        asked = sources(self._plan.test, fed)
        made = self._session.task.create_request_task(_TEST, work.network.cluster, asked, results)
        work.steps.append(_Step(None, str(made["uuid"])))

    def _follow(self, work: _Work) -> None:
        """Look at the task of a network that is at work, and at the next ones, until one is not done."""
        network = work.network
        while work.steps:
            step = work.steps[0]
            task = self._task(network, step)
            if task["state"] != "finished":
                if step.epoch is not None:
                    network.share = (step.epoch - 1 + float(task["percentage_finished"])) / network.epochs
                work.due = time.monotonic() + self._pause(work, task)
                return
            if step.epoch is not None:
                network.epoch, network.share = step.epoch, step.epoch / network.epochs
                network.seconds += duration(task) or 0.0
            elif len(work.steps) > 1:
                self._check(network, step)
            else:
                break
            work.steps.popleft()
        self._running.remove(work)
        self._ended.append(work)  # its core is free: the next network goes first

    def _task(self, network: Network, step: _Step) -> pd.Series[Any]:
        """Return a task as it is; raise TaskAbortedException if it is aborted, or deleted by somebody."""
        try:
            task: pd.Series[Any] = self._session.task.get_task(step.uuid, network.cluster)
        except exceptions.NotFoundException:
            what = "test" if step.epoch is None else f"epoch {step.epoch}"
            reason = f"The task of its {what} was deleted."
            raise exceptions.TaskAbortedException(reason, method="GET", path="/task") from None
        if task["state"] == "aborted":
            told = task.get("error")
            reason = told if isinstance(told, str) and told else f"Task '{task['name']}' was aborted."
            raise exceptions.TaskAbortedException(reason, method="GET", path="/task")
        return task

    def _finish(self, work: _Work) -> None:
        """Note how good a network has become, and how large."""
        network, session = work.network, self._session
        if work.steps:
            self._check(network, work.steps[0])
        about = session.cluster.get_cluster(network.cluster)
        found = {name: about.get(there) for name, there in SIZES.items()}
        network.sizes = {name: value for name, value in found.items() if isinstance(value, int)}
        network.state, network.share = "finished", 1.0
        self._ended.remove(work)

    def _check(self, network: Network, step: _Step) -> None:
        """Note what a test has found."""
        check = self._session.dataset.check_mnist_dataset(step.uuid, self._plan.test)
        network.accuracy = network.accuracies[network.epoch] = float(check["accuracy"])
        self._remove_test(network, step)

    def _remove_test(self, network: Network, step: _Step) -> None:
        with suppress(exceptions.NotFoundException):
            self._session.dataset.delete_dataset(step.uuid)
        self._session.task.delete_task(step.uuid, network.cluster)

    def _pause(self, work: _Work, task: pd.Series[Any]) -> float:
        """Return the seconds to the next look: half of what the network still needs, within limits."""
        low, high = _LOOKS
        rate, total = task.get("cycles_per_second"), float(task["total_number_of_cycles"])
        left = high
        if isinstance(rate, float) and rate > 0:
            later = max(work.network.epochs - work.network.epoch - 1, 0)
            left = (total - float(task["current_cycle"]) + later * total) / rate
        return max(min(left / 2, high), low, len(self._running) / _RATE)

    # -- the end

    def _leave_unfinished(self) -> None:
        """Keep only networks that were trained before; the others are left as they are."""
        for network in list(self._waiting):
            network.cluster = self._known().get(network.mark)
            steps = self._steps(network) if network.cluster else []
            network.epoch = sum(step.epoch is not None and state == "finished" for step, state in steps)
            if network.epoch < network.epochs:
                network.state, network.share = "stopped", network.epoch / network.epochs
                self._waiting.remove(network)
        self._parallel = None

    def _let_go(self) -> None:
        """Take back what is queued; a pass under way goes on, and the next sweep finds it."""
        for work in (*self._running, *self._ended):
            cluster = work.network.cluster
            with suppress(exceptions.HanamiException):
                if cluster is not None:
                    states = self._session.task.list_tasks(cluster).set_index("uuid")["state"]
                    for step in reversed(work.steps):
                        if step.epoch is None:
                            self._remove_test(work.network, step)
                        elif states.get(step.uuid) == "queued":
                            self._session.task.delete_task(step.uuid, cluster)
        for network in self.networks:
            if network.state in LIVE:
                network.state = "stopped"

    def clean(self, keep: bool | int) -> None:
        """Delete the clusters that are not to be kept: all, or all but the best."""
        if keep is True:
            return
        best = sorted(self.networks, key=lambda network: -_or_least(network.accuracy))
        kept = [network for network in best if network.state == "finished"][: int(keep)]
        for network in self.networks:
            if network.cluster is not None and network not in kept:
                with suppress(exceptions.NotFoundException):
                    self._session.cluster.delete_cluster(network.cluster)
                network.cluster = None


def _extent(network: Network) -> int:
    return len(network.template.hexagons) if network.template else 0


def _or_least(accuracy: float) -> float:
    return -1.0 if math.isnan(accuracy) else accuracy


def cores(session: Session) -> dict[str, int]:
    """Return how many networks each host can train at once: its cores, by its uuid.

    A server that does not tell the cores of its hosts has those of its machine, in equal parts.
    """
    hosts = session.hosts.list_hosts()
    names = [str(uuid) for uuid in hosts["uuid"]]
    if "cores" in hosts:
        told = zip(names, hosts["cores"], strict=True)
        return {name: max(int(count), 1) for name, count in told}
    info = session.measurements.get_system_info()
    threads = sum(len(core["threads"]) for package in info["packages"] for core in package["cores"])
    return {name: max(threads // len(names), 1) for name in names}


def table(networks: Sequence[Network], parameters: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Return a row for each network; ``parameters`` are further columns by the template's name."""
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    more = list(dict.fromkeys(name for values in parameters.values() for name in values))
    rows = [
        {
            "template": network.name,
            **{name: parameters.get(network.name, {}).get(name) for name in more},
            "hexagons": _extent(network) or None,
            "seed": network.seed,
            "state": network.state,
            "epochs": network.epoch,
            "accuracy": network.accuracy,
            "seconds": network.seconds,
            **{name: network.sizes.get(name) for name in SIZES},
            "uuid": network.cluster,
            "reason": network.reason or None,
        }
        for network in networks
    ]
    counts = dict.fromkeys(("hexagons", "seed", "epochs", *SIZES), "Int64")
    found = pd.DataFrame(rows).astype(counts)
    return found.astype({name: "Int64" for name in more if pd.api.types.is_integer_dtype(found[name])})


# -- what is seen of it


def follower() -> Progress:
    """Return what shows a sweep here: a panel in a notebook, a bar on a terminal, nothing in a pipe."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is not None:
        # panels stand above us, so they are found by name when they are needed, as a backend is
        panel: Progress = importlib.import_module("hanami_jupyter.panels.sweep").shown()
        return panel
    return Bar() if sys.stderr is not None and sys.stderr.isatty() else lambda _: None


class Bar:
    """A bar of a terminal: networks done, and the best accuracy so far."""

    def __init__(self) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - only a terminal shows a bar

        self._bar = tqdm(unit="network")

    def __call__(self, networks: Sequence[Network]) -> None:
        """Bring the bar up to date; it ends with the last network."""
        ended = sum(network.state not in LIVE for network in networks)
        best = max(networks, key=lambda network: _or_least(network.accuracy))
        if not math.isnan(best.accuracy):
            self._bar.set_postfix_str(f"best {best.accuracy:.1f} %, {best.label}", refresh=False)
        self._bar.total = len(networks)
        self._bar.update(ended - self._bar.n)
        if ended == len(networks):
            self._bar.close()
