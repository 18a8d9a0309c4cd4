"""Where clusters live and compute: a small interface, and hosts that are groups of this machine's cores."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
import numpy.typing as npt
import psutil

from . import files
from .errors import RefusalError, damaged

if TYPE_CHECKING:  # importing the engine takes a second: only the warm-up and the workers do it
    from hanami_jupyter.engine import Cluster, Control
    from hanami_jupyter.protocol.template import Template

_NAMESPACE = uuid.UUID("6f1f5c2a-5d7e-4b53-9c5e-3b1d9f0f4a11")
MAX_CONNECTIONS = 250_000  # pairs of hexagons within reach of each other, at most
_GROUP = 8  # cores of one host at most


class Progress(Protocol):
    """Progress and abort of a running call, shared between threads."""

    @property
    def cycle(self) -> int:
        """Cycles done."""

    @property
    def aborted(self) -> bool:
        """Whether somebody asked for an end."""

    def advance(self, cycle: int) -> None:
        """Note how many cycles are done."""

    def abort(self) -> None:
        """Ask for an end."""


@dataclass(frozen=True)
class Column:
    """A column of a dataset: which file, which values of a row."""

    path: Path
    start: int
    end: int

    def open(self, rows: int) -> npt.NDArray[Any]:
        """Return the first rows, memory-mapped."""
        matrix: npt.NDArray[Any] = files.open_matrix(self.path).columns(self.start, self.end)[:rows]
        if matrix.shape != (rows, self.end - self.start):
            raise damaged(self.path)
        return matrix


@dataclass(frozen=True)
class Job:
    """What a task computes: a training with its outputs, or a request with the results to write.

    ``inputs`` and ``outputs`` are columns by hexagon; ``results`` are pairs of column and output.
    """

    inputs: Mapping[str, Column]
    outputs: Mapping[str, Column]
    results: Sequence[tuple[str, str]]
    time_length: int
    cycles: int

    def given(self) -> dict[str, npt.NDArray[Any]]:
        """Return the inputs, memory-mapped: with the rows that come before the first cycle."""
        rows = self.cycles + self.time_length - 1
        return {name: column.open(rows) for name, column in self.inputs.items()}

    def expected(self) -> dict[str, npt.NDArray[Any]]:
        """Return the outputs, memory-mapped."""
        return {name: column.open(self.cycles) for name, column in self.outputs.items()}


class DirectSession(Protocol):
    """Direct messages to one cluster: buffers to fill, cycles to run."""

    def put(self, name: str, values: npt.NDArray[np.float32], *, expected: bool) -> None:
        """Fill the buffer of an input or, with ``expected``, of an output."""

    def train(self) -> None:
        """Run one training cycle on the buffers."""

    def request(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return the values of every output for the buffers."""


class Host(Protocol):
    """What runs clusters. One cluster is asked for one thing at a time; the calls take their time.

    Every call on a host that is no more raises :class:`LostError`.

    Attributes
    ----------
    uuid, kind, name : str
        Id, type (``cpu``, ``dask``) and what people call it.
    cores : int
        How many jobs it runs at once.
    memory : int
        Bytes that its clusters share.
    near : bool
        Whether a call may be quick enough for the server's event loop.
    """

    uuid: str
    kind: str
    name: str
    cores: int
    memory: int
    near: bool

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job as soon as a worker is free."""

    def create(self, cluster: str, template: str, seed: int | None) -> Mapping[str, Any]:
        """Make an empty cluster and return what :meth:`info` says of it."""

    def take(self, cluster: str, snapshot: bytes) -> None:
        """Take a cluster over, in place of one of that name."""

    def give(self, cluster: str) -> bytes:
        """Return a snapshot of a cluster."""

    def drop(self, cluster: str) -> None:
        """Forget a cluster."""

    def info(self, cluster: str) -> Mapping[str, Any]:
        """Return template, seed, inputs, outputs and what has grown."""

    def train(self, cluster: str, job: Job, progress: Progress) -> None:
        """Train; ``progress`` tells how far it is and can end it."""

    def request(self, cluster: str, job: Job, progress: Progress, target: Path) -> Mapping[str, int]:
        """Write the results as columns of a matrix file; return their widths by column name.

        Nothing is written when it is aborted.
        """

    def direct(self, cluster: str) -> DirectSession:
        """Begin an exchange of direct messages."""

    def close(self) -> None:
        """End the workers; running calls have been aborted."""


class Engine:
    """The compiled engine, loaded once beside the server; ``ready`` is set when it can run."""

    def __init__(self) -> None:
        self.ready = threading.Event()
        self.failure = ""
        self._thread = threading.Thread(target=self._warm, name="WarmUp", daemon=True)

    def start(self) -> None:
        """Begin to load or compile the kernels in the background."""
        self._thread.start()

    def _warm(self) -> None:
        try:
            from hanami_jupyter.engine import warm_up  # noqa: PLC0415

            warm_up()
        except Exception as error:  # noqa: BLE001 - told by the first task instead
            self.failure = f"The engine cannot be compiled: {error}."
        self.ready.set()


def progress() -> Progress:
    """Return a fresh counter for a call."""
    from hanami_jupyter.engine import Control  # noqa: PLC0415

    return Control()


def _control(progress: Progress) -> Control:
    """Return the counter as the engine's own class, which :func:`progress` made it of."""
    return cast("Control", progress)


class LocalHost:
    """A group of this machine's cores, with one worker thread to each."""

    kind = "cpu"
    near = True

    def __init__(self, uuid: str, cores: tuple[int, ...], number: int) -> None:
        self.uuid = uuid
        self.name = f"local-{number}"
        self.cores = len(cores)
        self.memory = psutil.virtual_memory().total
        self._places = cores
        self._clusters: dict[str, Cluster] = {}
        self._workers = ThreadPoolExecutor(len(cores), f"Host{number}Worker", self._bind)

    def _bind(self) -> None:
        """Keep the calling worker on the host's cores, where the system allows it."""
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, self._places)

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job as soon as a worker is free."""
        self._workers.submit(job)

    def create(self, cluster: str, template: str, seed: int | None) -> Mapping[str, Any]:
        """Make an empty cluster."""
        from hanami_jupyter.engine import Cluster  # noqa: PLC0415

        self._clusters[cluster] = Cluster.from_template(template, seed=seed)
        return self.info(cluster)

    def take(self, cluster: str, snapshot: bytes) -> None:
        """Take a cluster over."""
        from hanami_jupyter.engine import Cluster  # noqa: PLC0415

        self._clusters[cluster] = Cluster.from_bytes(snapshot)

    def give(self, cluster: str) -> bytes:
        """Return a snapshot of a cluster."""
        return self._clusters[cluster].to_bytes()

    def drop(self, cluster: str) -> None:
        """Forget a cluster."""
        self._clusters.pop(cluster, None)

    def info(self, cluster: str) -> Mapping[str, Any]:
        """Return template, seed, inputs, outputs and what has grown."""
        return engine_info(self._clusters[cluster])

    def train(self, cluster: str, job: Job, progress: Progress) -> None:
        """Train on memory-mapped rows."""
        train(self._clusters[cluster], job, progress)

    def request(self, cluster: str, job: Job, progress: Progress, target: Path) -> Mapping[str, int]:
        """Write the results into a memory-mapped matrix file."""
        return request(self._clusters[cluster], job, progress, target)

    def direct(self, cluster: str) -> DirectSession:
        """Begin an exchange of direct messages."""
        return LocalDirect(self._clusters[cluster])

    def close(self) -> None:
        """End the workers."""
        self._workers.shutdown(wait=True, cancel_futures=True)


class AbortedError(Exception):
    """A request was aborted: its file must not appear."""


class LostError(RefusalError):
    """A host is no more; its clusters have been given to others.

    Parameters
    ----------
    message : str
        One sentence: which host, and why.
    """

    def __init__(self, message: str) -> None:
        super().__init__(503, message)


def train(cluster: Cluster, job: Job, progress: Progress) -> None:
    """Train a cluster of this process on memory-mapped rows."""
    given, control = job.given(), _control(progress)
    cluster.train(given, job.expected(), time_length=job.time_length, control=control)


def request(cluster: Cluster, job: Job, progress: Progress, target: Path) -> Mapping[str, int]:
    """Write the results of a cluster of this process into a memory-mapped matrix file."""
    known = cluster.outputs
    for _, output in job.results:
        if output not in known:
            raise ValueError(f"There is no output '{output}'. The cluster has: {', '.join(known)}.")
    widths = {column: known[output] for column, output in job.results}
    given = job.given()
    with files.new_matrix(target, job.cycles, sum(widths.values())) as matrix:
        places: dict[str, list[npt.NDArray[np.float32]]] = {}
        start = 0
        for width, output in zip(widths.values(), dict(job.results).values(), strict=True):
            places.setdefault(output, []).append(matrix[:, start : start + width])
            start += width
        if given and places:
            out = {output: slices[0] for output, slices in places.items()}
            cluster.request(given, time_length=job.time_length, control=_control(progress), out=out)
        for first, *others in places.values():
            for other in others:
                other[:] = first
        if progress.aborted:
            raise AbortedError
    return widths


class Buffers:
    """What direct messages have filled: a row for each input and output."""

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self._known = {False: tuple(inputs), True: tuple(outputs)}
        self.inputs: dict[str, npt.NDArray[np.float32]] = {}
        self.expected: dict[str, npt.NDArray[np.float32]] = {}

    def put(self, name: str, values: npt.NDArray[np.float32], *, expected: bool) -> None:
        """Fill a buffer; it grows to the number of values and keeps what is not given."""
        known = self._known[expected]
        buffers = self.expected if expected else self.inputs
        buffer = buffers.get(name)
        if buffer is None and name not in known:
            kind = "output" if expected else "input"
            raise ValueError(f"There is no {kind} '{name}'. The cluster has: {', '.join(known)}.")
        if buffer is None or buffer.shape[1] < len(values):
            buffers[name] = values.reshape(1, -1).copy()
        else:
            buffer[0, : len(values)] = values

    def check(self, *, training: bool) -> None:
        """Refuse a cycle that lacks values."""
        if training and not (self.inputs and self.expected):
            raise ValueError("A training cycle needs values for an input and for an output. Send both first.")
        if not self.inputs:
            raise ValueError("A request needs values for an input. Send them first.")


class LocalDirect(Buffers):
    """Direct messages to a cluster in this process."""

    def __init__(self, cluster: Cluster) -> None:
        from hanami_jupyter.engine import Single  # noqa: PLC0415

        super().__init__(tuple(cluster.template.inputs), tuple(cluster.template.outputs))
        self._single = Single(cluster)

    def train(self) -> None:
        """Run one training cycle."""
        self.check(training=True)
        self._single.train(self.inputs, self.expected)

    def request(self) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return the values of every output."""
        self.check(training=False)
        return self._single.request(self.inputs)


def engine_info(cluster: Cluster) -> dict[str, Any]:
    """Return what the wire tells about a cluster beyond its name."""
    return {
        "template": cluster.template.text,
        "seed": cluster.seed,
        "inputs": cluster.inputs,
        "outputs": cluster.outputs,
        **cluster.metrics(),
    }


def check_size(template: Template) -> None:
    """Refuse a template whose connections would take minutes to lay out."""
    hexagons, distance = len(template.hexagons), template.settings.max_connection_distance
    near = sum(10 * steps**2 + 2 for steps in range(1, min(distance, 100) + 1))  # all that are so near
    if hexagons * min(hexagons, near) > MAX_CONNECTIONS:
        raise ValueError(
            f"The template's {hexagons} hexagons, each within {distance} steps of up to"
            f" {min(hexagons, near)} others,"
            f" make more than {MAX_CONNECTIONS} connections. Use fewer hexagons, or a smaller"
            " max_connection_distance."
        )


def check_start(snapshot: bytes) -> None:
    """Refuse, after a look at its beginning, what is no snapshot."""
    if not snapshot.startswith(b"hanami-cluster-"):
        raise ValueError("This is no snapshot of a cluster that this version can read.")


def read_snapshot(snapshot: bytes) -> dict[str, Any]:
    """Return what a snapshot holds.

    Raises
    ------
    ValueError
        If it is damaged, or its template too large.
    """
    from hanami_jupyter.engine import Cluster  # noqa: PLC0415

    return engine_info(Cluster.from_bytes(snapshot, allow=check_size))


def local_hosts(secret: str, number: int) -> list[Host]:
    """Return the hosts of this machine.

    Parameters
    ----------
    secret : str
        Makes the ids of this server's hosts its own; the same one gives the same ids.
    number : int
        How many; 0 for at least two (where there are two cores) of at most eight cores each.
    """
    cores = (
        sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    )
    groups = number or max(min(len(cores), 2), -(-len(cores) // _GROUP))
    return [
        LocalHost(
            str(uuid.uuid5(_NAMESPACE, f"{secret}/{index}")),
            tuple(cores[index % len(cores) :: groups]),
            index,
        )
        for index in range(groups)
    ]
