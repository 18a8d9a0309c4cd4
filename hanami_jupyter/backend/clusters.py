"""Clusters and their task queues: one queue a cluster, clusters in parallel, nothing lost at a restart."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid as uuids
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from hanami_jupyter.protocol.template import parse

from . import files, hosts
from .errors import RefusalError, bad, conflict, damaged, disk_full, explained, missing, sentence
from .hosts import Column, DirectSession, Engine, Host, Job, LostError, Progress
from .readers import describe, names_of
from .store import Caller, ClusterRow, Store, TaskRow

log = logging.getLogger(__name__)

MAX_WIDTH = 65_536  # values that one hexagon takes in a cycle: more would take seconds and gigabytes
TASK, DIRECT = "TASK", "DIRECT"
AUTO = "auto"
_STOPPED = "The backend was stopped before the task was done."
_PATIENCE = 10.0  # seconds to wait for an aborted call before a cluster is deleted


End = tuple[str, int, float, str]  # state, cycle, seconds, error of a task that is over


@dataclass
class Running:
    """The task at the head of a queue: handed to a host, waiting for a worker or at work."""

    uuid: str
    progress: Progress
    began: float | None = None
    deleted: bool = False


@dataclass
class Runtime:
    """What a cluster does at the moment.

    Attributes
    ----------
    host : Host
        Where it is to run; from the next call on.
    home : Host or None
        Where it is loaded.
    loaded : int
        How many times it has been loaded: what was held before is another object.
    busy : lock
        Held by whoever makes the cluster compute.
    """

    uuid: str
    host: Host
    mode: str = TASK
    home: Host | None = None
    queue: deque[str] = field(default_factory=deque)
    running: Running | None = None
    loaded: int = 0
    connected: bool = False
    changed: bool = False
    removed: bool = False
    busy: threading.Lock = field(default_factory=threading.Lock)

    @property
    def idle(self) -> bool:
        """Whether nothing is queued or at work."""
        return self.running is None and not self.queue


class Clusters:
    """All clusters of a backend.

    Parameters
    ----------
    store : Store
        The database.
    folder : Path
        The data folder.
    places : sequence of Host
        The hosts that are always here; others :meth:`join` and :meth:`leave`.
    engine : Engine
        Tells when the kernels are compiled.
    """

    def __init__(self, store: Store, folder: Path, places: Sequence[Host], engine: Engine) -> None:
        self.store = store
        self.hosts = {host.uuid: host for host in places}
        self._steady = tuple(places)
        self._clusters = folder / "clusters"
        self._checkpoints = folder / "checkpoints"
        self._datasets = folder / "datasets"
        self._engine = engine
        self._lock = threading.RLock()
        self._closing = False
        self._runtimes: dict[str, Runtime] = {}
        self._unwritten: dict[str, End] = {}
        store.abort_unfinished(_STOPPED)
        files.sweep(self._clusters, {f"{uuid}.cluster" for uuid in store.uuids("clusters")})
        self._homeless: dict[str, list[Runtime]] = {}
        for row in store.clusters():
            host = self.hosts.get(row.host_uuid)
            runtime = Runtime(row.uuid, host or self._least(self._steady), row.mode)
            self._runtimes[row.uuid] = runtime
            if host is None:
                self._homeless.setdefault(row.host_uuid, []).append(runtime)

    # -- hosts

    def join(self, host: Host) -> None:
        """Take a host in; what was on it when the last backend ended goes back there."""
        with self._lock:
            self.hosts[host.uuid] = host
            for runtime in self._homeless.pop(host.uuid, ()):
                if runtime.home is None and runtime.idle:
                    runtime.host = host

    def leave(self, host: Host) -> None:
        """Give the clusters of a host that is no more to others; each is loaded there when it is needed."""
        with self._lock:
            if self.hosts.get(host.uuid) is not host:
                return
            del self.hosts[host.uuid]
            for runtime in self._runtimes.values():
                if runtime.host is host:
                    runtime.host = self._least(self.hosts.values())
                    self.store.update_cluster(runtime.uuid, host=runtime.host.uuid)

    def _least(self, among: Iterable[Host]) -> Host:
        """Return the host with the fewest clusters at work for its cores, and then the fewest clusters."""
        with self._lock:
            busy = self._busy()
            placed = Counter(runtime.host.uuid for runtime in self._runtimes.values())
            return min(among, key=lambda host: (busy[host.uuid] / host.cores, placed[host.uuid] / host.cores))

    def _busy(self) -> Counter[str]:
        """Count the clusters of each host that are at work or wait for a worker."""
        return Counter(runtime.host.uuid for runtime in self._runtimes.values() if runtime.running)

    def host_rows(self) -> list[list[Any]]:
        """Return the hosts as the wire lists them; load is the clusters at work or waiting for each core."""
        with self._lock:
            busy = self._busy()
            return [
                [host.uuid, host.kind, host.name, host.cores, host.memory, busy[host.uuid] / host.cores]
                for host in self.hosts.values()
            ]

    def _place(self, wanted: str | None) -> Host:
        """Return the host of that id, the least loaded of all for ``auto``, else of those always here."""
        with self._lock:
            if wanted is None:
                return self._least(self._steady)
            if wanted == AUTO:
                return self._least(self.hosts.values())
            host = self.hosts.get(wanted)
        if host is None:
            raise missing("Host", wanted)
        return host

    # -- clusters

    def create(
        self, caller: Caller, name: str, template: str, seed: int | None, host: str | None = None
    ) -> ClusterRow:
        """Make an empty cluster on a host (see :meth:`_place`)."""
        taken = conflict(
            f"A cluster named '{name}' exists already. Give another name, or delete that one first."
        )
        if self.store.cluster_named(name, caller):
            raise taken
        uuid = str(uuids.uuid4())
        place = self._place(host)
        try:
            hosts.check_size(parse(template))
            info = place.create(uuid, template, seed)
        except ValueError as error:
            raise bad(f"Uploaded template is not a valid cluster-template: {error}") from None
        try:
            files.write(self._path(uuid), place.give(uuid))
            with self._lock:
                here = self.hosts.get(place.uuid) or self._place(AUTO)
                if not self.store.add_cluster(uuid, name, caller, here.uuid, info):
                    raise taken
                self._runtimes[uuid] = Runtime(uuid, here, home=place)
        except BaseException:
            place.drop(uuid)
            self._path(uuid).unlink(missing_ok=True)
            raise
        return self.row(uuid, caller)

    def row(self, uuid: str, caller: Caller) -> ClusterRow:
        """Return a cluster the caller may see."""
        row = self.store.cluster(uuid, caller)
        if row is None:
            raise missing("Cluster", uuid)
        return row

    def settled(self, uuid: str) -> bool:
        """Tell whether the inputs and outputs of a cluster are going to stay what they are."""
        return not self.store.loads(uuid)

    def answer(self, row: ClusterRow) -> dict[str, Any]:
        """Return a cluster with all that is known about it."""
        return row.answer(**row.info, mode=row.mode, host_uuid=row.host_uuid)

    def _runtime(self, uuid: str) -> Runtime:
        runtime = self._runtimes.get(uuid)
        if runtime is None:
            raise missing("Cluster", uuid)
        return runtime

    def _path(self, uuid: str) -> Path:
        return self._clusters / f"{uuid}.cluster"

    def _running(self, uuid: str) -> Path:
        return self._clusters / f"{uuid}.running"

    def delete(self, uuid: str, caller: Caller) -> None:
        """Delete a cluster with its tasks; what it computes is aborted."""
        self.row(uuid, caller)
        with self._lock:
            runtime = self._runtime(uuid)
            runtime.removed = True
            runtime.queue.clear()
            if runtime.running:
                runtime.running.deleted = True
                runtime.running.progress.abort()
            del self._runtimes[uuid]
        self.store.delete("clusters", uuid)
        if runtime.busy.acquire(timeout=_PATIENCE):
            runtime.busy.release()
        if runtime.home:
            runtime.home.drop(uuid)
        for path in (self._path(uuid), self._running(uuid)):
            path.unlink(missing_ok=True)

    def set_mode(self, uuid: str, caller: Caller, mode: str) -> ClusterRow:
        """Switch between tasks and direct messages."""
        row = self.row(uuid, caller)
        with self._lock:
            runtime = self._runtime(uuid)
            if runtime.mode == mode:
                advice = " Use its open connection, or switch it to TASK first." if mode == DIRECT else ""
                raise conflict(f"Can not switch cluster to '{mode}': it is in that mode already.{advice}")
            if mode == DIRECT and not runtime.idle:
                raise conflict(
                    f"Can not switch cluster to '{mode}' while it has tasks. Wait for them or delete them."
                )
            runtime.mode = mode
            self.store.update_cluster(uuid, mode=mode)
        if mode == TASK:
            self.keep_direct(uuid)
            self._continue(runtime)
        return row

    def switch_host(self, uuid: str, caller: Caller, host_uuid: str) -> ClusterRow:
        """Move a cluster and its queue to another host, as soon as the call it is at is done."""
        self.row(uuid, caller)
        with self._lock:
            self._runtime(uuid).host = self._place(host_uuid)
            self.store.update_cluster(uuid, host=host_uuid)
        return self.row(uuid, caller)

    @contextmanager
    def computing(self, runtime: Runtime) -> Iterator[Host]:
        """Hold the cluster, loaded on the host where it is to run."""
        with runtime.busy:
            while True:
                if runtime.removed:
                    raise missing("Cluster", runtime.uuid)
                host = runtime.host
                try:
                    if runtime.home is not host:
                        self._move(runtime, host)
                    break
                except LostError:
                    if runtime.host is host:
                        raise
            yield host

    def _move(self, runtime: Runtime, host: Host) -> None:
        """Load a cluster on a host: from where it is, or from its file if it is nowhere any more."""
        uuid, home, snapshot = runtime.uuid, runtime.home, None
        if home is not None:
            with suppress(LostError):
                snapshot = home.give(uuid)
        if snapshot is None:
            with suppress(FileNotFoundError):  # be it from the middle of a training
                self._running(uuid).replace(self._path(uuid))
            _take(host, uuid, self._path(uuid))
        else:
            host.take(uuid, snapshot)
        if home is not None:
            home.drop(uuid)
            if snapshot is None:
                self.store.update_cluster(uuid, info=host.info(uuid))
        runtime.home = host
        runtime.loaded += 1

    def keep_running(self, uuid: str, snapshot: bytes) -> None:
        """Write a snapshot of a cluster at work, for the case that its host is lost."""
        with files.aside(self._running(uuid)) as file:
            file.write(snapshot)

    def _keep(self, runtime: Runtime, host: Host) -> None:
        """Write what the cluster has become; the caller holds it."""
        if not runtime.removed:
            with files.aside(self._path(runtime.uuid)) as file:
                file.write(host.give(runtime.uuid))
            self._running(runtime.uuid).unlink(missing_ok=True)
            self.store.update_cluster(runtime.uuid, info=host.info(runtime.uuid))
            runtime.changed = False

    # -- tasks

    def add(
        self, caller: Caller, cluster: str, *, kind: str, name: str, total: int, plan: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Queue a task."""
        with self._lock:
            runtime = self._runtime(cluster)
            task = self.store.add_task(
                str(uuids.uuid4()),
                cluster,
                name=name,
                kind=kind,
                total=total,
                plan={**plan, "owner": [caller.user_id, caller.project_id]},
            )
            runtime.queue.append(task.uuid)
            answer = self.task_answer(task)
            self._continue(runtime)
        return answer

    def _continue(self, runtime: Runtime) -> None:
        """Hand the next task to the host, if there is one and the cluster is free."""
        with self._lock:
            if self._closing or runtime.running or runtime.mode != TASK or not runtime.queue:
                return
            runtime.running = Running(runtime.queue.popleft(), hosts.progress())
            self._hand(runtime, runtime.running)

    def _hand(self, runtime: Runtime, running: Running) -> None:
        """Hand a task to the host of its cluster; the caller holds the lock."""
        runtime.host.submit(partial(self._work, runtime, running, runtime.host))

    def _work(self, runtime: Runtime, running: Running, host: Host) -> None:
        """Run one task on a worker of the host, or hand it on if the cluster has moved meanwhile."""
        self._engine.ready.wait()
        with self._lock:
            if runtime.host is not host and not self._closing:
                self._hand(runtime, running)
                return
        try:
            task = self.store.task(running.uuid, runtime.uuid)
            if task is not None and self._begin(running):
                self._run(runtime, running, task)
        except Exception as error:  # the worker lives on
            log.exception("A task could not be noted", extra={"task": running.uuid, "full": disk_full(error)})
        finally:
            with self._lock:
                runtime.running = None
                self._continue(runtime)

    def _begin(self, running: Running) -> bool:
        with self._lock:
            if running.deleted or self._closing:
                return False
            self.store.begin_task(running.uuid)
            running.began = time.monotonic()
            return True

    def _run(self, runtime: Runtime, running: Running, task: TaskRow) -> None:
        error, began = "", running.began or time.monotonic()
        perform: Callable[[Host, Runtime, Running, TaskRow], None] = getattr(self, f"_do_{task.kind}")
        try:
            if self._engine.failure:
                raise RefusalError(500, self._engine.failure)
            with self.computing(runtime) as host:
                perform(host, runtime, running, task)
        except hosts.AbortedError:
            pass
        except Exception as failure:  # noqa: BLE001 - told in the task and the error log
            error = sentence(failure)
            running.progress.abort()
            if not runtime.removed:
                self._report(task, failure, error)
        if runtime.removed or running.deleted:
            return
        state = "aborted" if running.progress.aborted else "finished"
        if self._closing and state == "aborted":
            error = error or _STOPPED
        self._end(task.uuid, (state, running.progress.cycle, time.monotonic() - began, error))

    def _end(self, uuid: str, end: End) -> None:
        """Write how a task has ended; what a full disk refuses is kept until it can be written."""
        self._unwritten[uuid] = end
        for name, values in list(self._unwritten.items()):
            self.store.end_task(name, *values)
            self._unwritten.pop(name, None)  # another worker may have written it too

    def _report(self, task: TaskRow, failure: Exception, message: str) -> None:
        cause = None if explained(failure) else failure
        log.error("Task failed: %s", message, exc_info=cause, extra={"task": task.uuid})
        with suppress(sqlite3.Error):  # a full disk takes the log too
            self.store.error(task.plan["owner"][0], "task", task.kind, task.uuid, message)

    def _job(self, task: TaskRow) -> Job:
        """Return what a host has to compute for a task."""
        inputs, outputs = (
            {
                name: Column(files.matrix_file(self._datasets, dataset), start, end)
                for name, (dataset, start, end) in task.plan.get(side, {}).items()
            }
            for side in ("inputs", "outputs")
        )
        results = tuple((column, hexagon) for column, hexagon in task.plan.get("results", ()))
        return Job(inputs, outputs, results, task.plan["time_length"], task.total)

    def _do_train(self, host: Host, runtime: Runtime, running: Running, task: TaskRow) -> None:
        host.train(runtime.uuid, self._job(task), running.progress)
        if not self._closing:
            self._keep(runtime, host)

    def _do_request(self, host: Host, runtime: Runtime, running: Running, task: TaskRow) -> None:
        target = self._datasets / f"{task.uuid}.npy"
        widths = host.request(runtime.uuid, self._job(task), running.progress, target)
        try:
            info = describe(widths, task.total)
            self.store.add_dataset(
                task.uuid, task.name, task.plan["owner"], kind="result", info=info, complete=True
            )
        except BaseException:
            target.unlink(missing_ok=True)
            raise

    def _do_save(self, host: Host, runtime: Runtime, _running: Running, task: TaskRow) -> None:
        path = self._checkpoints / f"{task.uuid}.cluster"
        with files.aside(path) as file:
            file.write(host.give(runtime.uuid))
        try:
            self.store.add_checkpoint(task.uuid, task.name, task.plan["owner"], complete=True)
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    def _do_load(self, host: Host, runtime: Runtime, _running: Running, task: TaskRow) -> None:
        checkpoint = task.plan["checkpoint"]
        if self.store.checkpoint(checkpoint) is None:
            raise missing("Checkpoint", checkpoint)
        _take(host, runtime.uuid, self._checkpoints / f"{checkpoint}.cluster")
        runtime.loaded += 1
        self._keep(runtime, host)

    def task(self, uuid: str, cluster: str, caller: Caller) -> dict[str, Any]:
        """Return a task of a cluster the caller may see."""
        self.row(cluster, caller)
        task = self.store.task(uuid, cluster)
        if task is None:
            raise RefusalError(404, f"Task with UUID '{uuid}' not found in Cluster with UUID '{cluster}'")
        return self.task_answer(task)

    def tasks(self, cluster: str, caller: Caller) -> list[dict[str, Any]]:
        """Return the tasks of a cluster, oldest first."""
        self.row(cluster, caller)
        with self._lock:
            runtime = self._runtimes.get(cluster)
            first = 1 if runtime and runtime.running else 0
            places = {uuid: place for place, uuid in enumerate(runtime.queue if runtime else (), first)}
        return [self.task_answer(task, places) for task in self.store.tasks(cluster)]

    def task_answer(self, task: TaskRow, places: Mapping[str, int] | None = None) -> dict[str, Any]:
        """Return a task as it is now; ``places`` in the queue save looking for its own there."""
        state, cycle, seconds, position, error = task.state, task.cycle, task.seconds, 0, task.error
        if state in ("queued", "active"):
            with self._lock:
                runtime = self._runtimes.get(task.cluster_uuid)
                running = runtime.running if runtime else None
                if running and running.uuid == task.uuid:
                    cycle = running.progress.cycle
                    seconds = time.monotonic() - running.began if running.began else 0.0
                elif places is not None and task.uuid in places:
                    position = places[task.uuid]
                elif runtime and task.uuid in runtime.queue:
                    position = runtime.queue.index(task.uuid) + (1 if running else 0)
                elif task.uuid in self._unwritten:
                    state, cycle, seconds, error = self._unwritten[task.uuid]
                elif (current := self.store.task(task.uuid, task.cluster_uuid)) and current.state != state:
                    return self.task_answer(current)
        done = 1.0 if state == "finished" else min(cycle / task.total, 1.0) if task.total else 0.0
        return {
            "current_cycle": cycle,
            "cycles_per_second": cycle / seconds if seconds > 0 else 0.0,
            "end_timestamp": task.ended_at,
            "error": error,
            "name": task.name,
            "percentage_finished": done,
            "queue_position": position,
            "queue_timestamp": task.queued_at,
            "start_timestamp": task.started_at,
            "state": state,
            "total_number_of_cycles": task.total,
            "uuid": task.uuid,
        }

    def delete_task(self, uuid: str, cluster: str, caller: Caller) -> None:
        """Abort an active task, which stays listed; drop a queued, finished or aborted one."""
        self.task(uuid, cluster, caller)
        with self._lock:
            runtime = self._runtime(cluster)
            running = runtime.running
            if running and running.uuid == uuid:
                running.progress.abort()
                if running.began is not None:
                    return
                running.deleted = True
            elif uuid in runtime.queue:
                runtime.queue.remove(uuid)
            self.store.delete_task(uuid)

    # -- direct messages

    def connected(self, uuid: str) -> bool:
        """Tell whether a cluster has a direct connection."""
        runtime = self._runtimes.get(uuid)
        return runtime is not None and runtime.connected

    @contextmanager
    def direct(self, uuid: str) -> Iterator[Direct]:
        """Hold the one direct connection of a cluster."""
        with self._lock:
            runtime = self._runtime(uuid)
            if runtime.connected:
                raise conflict(
                    f"Cluster with uuid '{uuid}' has a direct connection already. Close that one first."
                )
            runtime.connected = True
        try:
            yield Direct(self, runtime)
        finally:
            with self._lock:
                runtime.connected = False

    def keep_direct(self, uuid: str) -> None:
        """Write what direct messages have made of a cluster."""
        runtime = self._runtimes.get(uuid)
        if runtime and runtime.changed:
            with self.computing(runtime) as host:
                self._keep(runtime, host)

    def stop(self) -> None:
        """Abort what is at work, begin nothing more."""
        with self._lock:
            self._closing = True
            for runtime in self._runtimes.values():
                runtime.queue.clear()
                if runtime.running:
                    runtime.running.progress.abort()
        self._engine.ready.set()  # what still waits for the engine ends without it

    def close(self) -> None:
        """Stop, keep what direct messages changed, end the workers."""
        self.stop()
        for host in self.hosts.values():
            host.close()
        for runtime in self._runtimes.values():
            try:
                self.keep_direct(runtime.uuid)
            except (OSError, RefusalError) as error:
                log.error("A cluster could not be kept: %s", sentence(error), extra={"cluster": runtime.uuid})
        self.store.abort_unfinished(_STOPPED)


def _take(host: Host, uuid: str, path: Path) -> None:
    """Load a cluster from a file, or say which file is damaged."""
    try:
        host.take(uuid, path.read_bytes())
    except FileNotFoundError:
        raise damaged(path, "missing") from None
    except ValueError:
        raise damaged(path) from None


class Direct:
    """The direct connection of a cluster; survives a change of host and a checkpoint that is loaded."""

    def __init__(self, clusters: Clusters, runtime: Runtime) -> None:
        self._clusters = clusters
        self._runtime = runtime
        self._session: DirectSession | None = None
        self._loaded = -1

    @property
    def ready(self) -> bool:
        """Whether a message can be taken at once: the cluster is loaded and nobody computes with it."""
        runtime = self._runtime
        here = runtime.host.near and runtime.home is runtime.host
        return here and self._loaded == runtime.loaded and not runtime.busy.locked()

    @contextmanager
    def session(self) -> Iterator[DirectSession]:
        """Hold the cluster for one message.

        Raises
        ------
        RefusalError
            If it is at work on a task, or gone.
        """
        runtime = self._runtime
        if not runtime.idle and runtime.mode == TASK:
            raise conflict("The cluster works on tasks. Wait for them, or switch it to direct mode.")
        with self._clusters.computing(runtime) as host:
            if self._session is None or self._loaded != runtime.loaded:
                self._session, self._loaded = host.direct(runtime.uuid), runtime.loaded
            yield self._session

    def trained(self) -> None:
        """Note that the cluster has changed."""
        self._runtime.changed = True


def check_hexagons(row: ClusterRow, kind: str, names: Sequence[str]) -> None:
    """Refuse names that are no input (or output) of a cluster, with a list of those that are."""
    known = row.info[f"{kind}s"]
    for name in names:
        if name not in known:
            raise bad(f"Cluster '{row.name}' has no {kind} '{name}'. It has {names_of(known)}.")
