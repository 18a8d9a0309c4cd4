"""Workers of a Dask cluster as hosts: they join, compute, and may be lost."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import dask
import distributed
import numpy as np
import numpy.typing as npt

from hanami_jupyter._version import __version__

from . import files, residents
from .clusters import Clusters
from .config import ConfigError
from .hosts import AbortedError, Buffers, Column, DirectSession, Job, LostError, Progress
from .residents import PIECE, Identity, Resident

log = logging.getLogger(__name__)

_NAMESPACE = uuid.UUID("0d2b1a86-7a0e-4f0c-8f0e-5f6f7f0f2a35")
_SECONDS = 10.0  # a scheduler has to answer
_AGAIN = 2.0  # seconds between two attempts to reach a scheduler that is gone
_WATCH = 1.0  # seconds between two looks who has come and gone
_WAKE = 0.5  # seconds after which a waiting call looks whether its worker is still there
_QUICK = 0.1  # seconds between two looks at a job, while there are few
_LOOKS = 400  # a second over all jobs at most


class Workers:
    """The workers of a Dask cluster, as hosts that join and leave.

    Parameters
    ----------
    dask : str
        Address of a scheduler, or how many worker processes to start here.
    snapshot_seconds : float
        Between two snapshots of a cluster at work.

    Raises
    ------
    ConfigError
        If there is no such scheduler.
    """

    def __init__(self, dask: str, snapshot_seconds: float) -> None:
        _quiet()
        self.snapshot_seconds = snapshot_seconds
        self.clusters: Clusters
        self.client: Any
        self._own = _start(int(dask)) if dask.lstrip("-").isdigit() else None
        self.address = self._own.scheduler_address if self._own else dask
        self._hosts: dict[tuple[str, str], DaskHost] = {}
        self._refused: set[tuple[str, str]] = set()
        self._jobs = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="DaskWatch", daemon=True)
        try:
            self._connect()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No Dask scheduler answers at '{self.address}'. Start one with 'dask scheduler', or leave"
                " --dask out."
            ) from error
        except TypeError as error:  # so Dask says that it has no certificates
            raise ConfigError(
                f"The Dask scheduler at '{self.address}' wants TLS, and no certificates are set. Name them in"
                " Dask's configuration (distributed.comm.tls), or call hanami.local(dask=client)."
            ) from error

    def _connect(self) -> None:
        direct = dask.config.get("distributed.client.direct-to-workers", None)
        self.client = distributed.Client(
            self._own or self.address, timeout=_SECONDS, direct_to_workers=direct is not False, name="hanami"
        )

    def start(self, clusters: Clusters) -> None:
        """Take in the workers that are there, and watch from now on."""
        self.clusters = clusters
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Let the cluster go; one that was started here ends."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        for part in filter(None, (self.client, self._own)):
            with suppress(Exception):  # a scheduler that is gone already
                part.close(timeout=_SECONDS)

    # -- who is there

    def _watch(self) -> None:
        while not self._stopping.wait(_WATCH):
            try:
                self._look()
            except Exception as error:  # noqa: BLE001 - whatever it is, the scheduler does not answer
                log.debug("The scheduler does not answer: %s", error)
                self._scheduler_gone()

    def _look(self) -> None:
        """Compare the workers with those that were here before."""
        found = self.client.sync(self.client.scheduler.identity, callback_timeout=_SECONDS)["workers"]
        there = {(address, about["local_directory"]): about for address, about in found.items()}
        for key in self._hosts.keys() - there.keys():
            if host := self._hosts.get(key):
                self.lose(host, f"Worker '{host.name}' at {host.address} is gone")
        self._refused &= there.keys()
        new = {
            key: about
            for key, about in there.items()
            if key not in self._hosts and key not in self._refused and about["status"] == "running"
        }
        if not new:
            return
        greeting = self.client.run(
            residents.greet, workers=[address for address, _ in new], on_error="return"
        )
        for key, about in new.items():
            self._welcome(key, about, greeting.get(key[0]))

    def _welcome(self, key: tuple[str, str], about: Mapping[str, Any], version: object) -> None:
        """Take a worker in if it has the same package."""
        host = DaskHost(self, key[0], key[1], about)
        if version != __version__:
            self._refused.add(key)
            log.warning(
                "Worker '%s' is no host: it needs hanami-jupyter %s, but has %s",
                host.name, __version__, version,
            )  # fmt: skip
            return
        self._hosts[key] = host
        self.clusters.join(host)
        log.info("Worker '%s' has joined", host.name, extra={"address": host.address})

    def lose(self, host: DaskHost, reason: str) -> None:
        """Give the clusters of a worker to other hosts."""
        with self._lock:
            if host.reason:
                return
            host.reason = f"{reason}; the cluster goes on elsewhere as of its last snapshot."
            self._hosts.pop(host.key, None)
        log.warning("%s", reason)
        self.clusters.leave(host)
        host.end()

    def _scheduler_gone(self) -> None:
        """Lose every worker, and wait for a scheduler at the same address."""
        for host in list(self._hosts.values()):
            self.lose(host, f"The Dask scheduler at {self.address} is gone")
        with suppress(Exception):
            self.client.close(timeout=_AGAIN)
        while not self._stopping.wait(_AGAIN):
            with suppress(OSError):
                self._connect()
                log.info("A Dask scheduler answers again", extra={"address": self.address})
                return

    # -- what hosts share

    @contextmanager
    def job(self) -> Iterator[None]:
        """Count a job at work."""
        with self._lock:
            self._jobs += 1
        try:
            yield
        finally:
            with self._lock:
                self._jobs -= 1

    @property
    def pause(self) -> float:
        """Seconds between two looks at a job: more where there are many, so that the looks stay few."""
        return max(_QUICK, self._jobs / _LOOKS)


def _quiet() -> None:
    """Let Dask's messages go where the backend's own go."""
    logger = logging.getLogger("distributed")
    logger.handlers.clear()
    logger.propagate = True


def _start(number: int) -> Any:
    """Start a cluster of worker processes on this machine, closed to its other users."""
    if number < 1:
        raise ConfigError(f"--dask is {number}, but a cluster needs at least 1 worker.")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return distributed.LocalCluster(
        n_workers=number,
        threads_per_worker=max(1, cores // number),
        protocol="tls://",
        security=distributed.Security.temporary(),
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    )


class DaskHost:
    """A worker of a Dask cluster."""

    kind = "dask"
    near = False

    def __init__(self, workers: Workers, address: str, folder: str, about: Mapping[str, Any]) -> None:
        self.key = (address, folder)
        self.address = address
        self.uuid = str(uuid.uuid5(_NAMESPACE, f"{address} {folder}"))
        self.name = str(about["name"])
        self.cores = int(about["nthreads"])
        self.memory = int(about["memory_limit"] or 0)
        self.reason = ""  # why it is no host any more
        self._workers = workers
        self._actors: dict[str, tuple[Any, Any]] = {}
        self._sent: dict[Identity, str] = {}
        self._sending: defaultdict[Identity, threading.Lock] = defaultdict(threading.Lock)
        self._threads = ThreadPoolExecutor(self.cores, f"Dask{self.name}Worker")

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job as soon as one of the worker's cores is free."""
        self._threads.submit(job)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def end(self) -> None:
        """Let the worker go; jobs that wait are handed on by themselves."""
        self._threads.shutdown(wait=False)
        self._actors.clear()

    # -- actors

    def _lost(self, reason: str) -> NoReturn:
        self._workers.lose(self, reason)
        raise LostError(self.reason)

    def _wait(self, future: Any) -> Any:
        """Return what a call answers, unless its worker goes before."""
        while True:
            try:
                return future.result(timeout=_WAKE)
            except distributed.TimeoutError:
                if self.reason:
                    raise LostError(self.reason) from None
            except (OSError, distributed.CancelledError):
                self._lost(f"Worker '{self.name}' at {self.address} is gone")

    def _call(self, cluster: str, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call a method of a cluster's actor."""
        if self.reason:
            raise LostError(self.reason)
        actor = self._actors[cluster][0]
        try:
            future = getattr(actor, method)(*args, **kwargs)
        except RuntimeError:  # Dask knows already
            self._lost(f"Worker '{self.name}' at {self.address} is gone")
        return self._wait(future)

    def _settle(self, cluster: str) -> None:
        """Make the actor of a cluster, if it is not there."""
        if self.reason:
            raise LostError(self.reason)
        if cluster not in self._actors:
            future = self._workers.client.submit(
                Resident,
                key=f"hanami-cluster-{cluster}-{uuid.uuid4().hex[:8]}",
                actor=True,
                workers=[self.address],
                allow_other_workers=False,
            )
            self._actors[cluster] = self._wait(future), future

    def create(self, cluster: str, template: str, seed: int | None) -> Mapping[str, Any]:
        """Make an empty cluster."""
        self._settle(cluster)
        info: dict[str, Any] = self._call(cluster, "create", template, seed)
        return info

    def take(self, cluster: str, snapshot: bytes) -> None:
        """Take a cluster over."""
        self._settle(cluster)
        self._call(cluster, "take", snapshot)

    def give(self, cluster: str) -> bytes:
        """Return a snapshot of a cluster."""
        snapshot: bytes = self._call(cluster, "give")
        return snapshot

    def drop(self, cluster: str) -> None:
        """Forget a cluster: without its future, Dask removes the actor."""
        self._actors.pop(cluster, None)

    def info(self, cluster: str) -> Mapping[str, Any]:
        """Return template, seed, inputs, outputs and what has grown."""
        info: dict[str, Any] = self._call(cluster, "info")
        return info

    # -- jobs

    def train(self, cluster: str, job: Job, progress: Progress) -> None:
        """Train on rows that the worker has."""
        self._run(cluster, job, progress)

    def request(self, cluster: str, job: Job, progress: Progress, target: Path) -> Mapping[str, int]:
        """Let the worker write the results into a file, and fetch it."""
        widths = self._run(cluster, job, progress)
        with files.aside(target) as file:
            while piece := self._call(cluster, "read", file.tell()):
                if progress.aborted:
                    raise AbortedError
                file.write(piece)
        self._call(cluster, "forget")
        return widths or {}

    def _run(self, cluster: str, job: Job, progress: Progress) -> Mapping[str, int] | None:
        """Bring the rows of a job, run it to its end, and keep the snapshots it leaves."""
        inputs, outputs = (self._brought(cluster, columns, progress) for columns in (job.inputs, job.outputs))
        job = replace(job, inputs=inputs, outputs=outputs)
        if progress.aborted:
            raise AbortedError
        with self._workers.job():
            self._call(cluster, "begin", job, self._workers.snapshot_seconds)
            while True:
                look = self._call(cluster, "look", self._workers.pause, abort=progress.aborted)
                progress.advance(look.cycle)
                if look.snapshot is not None:
                    self._workers.clusters.keep_running(cluster, look.snapshot)
                if look.over:
                    widths: Mapping[str, int] | None = look.widths
                    return widths

    def direct(self, cluster: str) -> DirectSession:
        """Begin an exchange of direct messages."""
        info = self.info(cluster)
        return DaskDirect(
            tuple(info["inputs"]),
            tuple(info["outputs"]),
            lambda inputs, expected: self._call(cluster, "direct", inputs, expected),
            lambda: self._workers.clusters.keep_running(cluster, self.give(cluster)),
            self._workers.snapshot_seconds,
        )

    # -- datasets

    def _brought(self, cluster: str, columns: Mapping[str, Column], progress: Progress) -> dict[str, Column]:
        """Return the columns where the worker has them, and send what it lacks."""
        return {
            name: Column(Path(self._bring(cluster, column.path, progress)), column.start, column.end)
            for name, column in columns.items()
        }

    def _bring(self, cluster: str, path: Path, progress: Progress) -> str:
        dataset = Identity.of(path)
        with self._sending[dataset]:
            if dataset not in self._sent:
                there = self._call(cluster, "find", dataset)
                self._sent[dataset] = there or self._send(cluster, path, dataset, progress)
            return self._sent[dataset]

    def _send(self, cluster: str, path: Path, dataset: Identity, progress: Progress) -> str:
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                if progress.aborted:
                    raise AbortedError
                self._call(cluster, "receive", file.tell() - len(piece), piece)
        log.info("A dataset has gone to worker '%s'", self.name, extra={"bytes": dataset.size})
        there: str = self._call(cluster, "seal", dataset, residents.digest(path))
        return there


class DaskDirect(Buffers):
    """Direct messages to a cluster on a worker: the buffers are here, a cycle is one call."""

    def __init__(
        self,
        inputs: Sequence[str],
        outputs: Sequence[str],
        call: Callable[[residents.Row, residents.Row | None], Any],
        keep: Callable[[], None],
        seconds: float,
    ) -> None:
        super().__init__(inputs, outputs)
        self._call = call
        self._keep = keep
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def train(self) -> None:
        """Run one training cycle; every so often a snapshot is kept."""
        self.check(training=True)
        self._call(self.inputs, self.expected)
        if time.monotonic() >= self._next:
            self._keep()
            self._next = time.monotonic() + self._seconds

    def request(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return the values of every output."""
        self.check(training=False)
        answers: Mapping[str, npt.NDArray[np.float32]] = self._call(self.inputs, None)
        return answers
