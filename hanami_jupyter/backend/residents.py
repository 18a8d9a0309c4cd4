"""What runs on a Dask worker: an actor for each cluster that lives there, and the datasets it was sent."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from distributed import get_worker

from hanami_jupyter._version import __version__

from . import hosts
from .hosts import Job

if TYPE_CHECKING:
    from hanami_jupyter.engine import Cluster, Single

P = ParamSpec("P")
R = TypeVar("R")
Row = Mapping[str, npt.NDArray[np.float32]]
PIECE = 4 << 20  # bytes of a file that travel at once
_ENDS = 1 << 20  # bytes at both ends of a file that its mark covers


@dataclass(frozen=True)
class Look:
    """What a job has come to: its cycle, whether it is over, a fresh snapshot, the widths of a result."""

    cycle: int
    over: bool
    snapshot: bytes | None
    widths: Mapping[str, int] | None


@dataclass(frozen=True)
class Identity:
    """By what a worker knows a dataset again: its path, size, time and a mark of its content."""

    path: str
    size: int
    changed: int
    mark: str

    @classmethod
    def of(cls, path: Path) -> Identity:
        """Look at a file."""
        about = path.stat()
        return cls(os.path.abspath(path), about.st_size, about.st_mtime_ns, _mark(path, about.st_size))


def _mark(path: Path, size: int) -> str:
    """Return a hash of both ends of a file."""
    found = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        found.update(file.read(_ENDS))
        file.seek(max(size - _ENDS, 0))
        found.update(file.read(_ENDS))
    return found.hexdigest()


def digest(path: Path) -> str:
    """Return the hash of a whole file."""
    found = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            found.update(piece)
    return found.hexdigest()


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads of this worker; how much runs at once is up to the backend that sends it."""
    return ThreadPoolExecutor(1024, "Hanami")


async def _aside(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Run a function beside the worker's event loop.

    Raises
    ------
    ValueError
        For a fault of the worker's disk, so that it cannot be taken for one of the connection.
    """
    call = functools.partial(function, *args, **kwargs)
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads(), call)
    except OSError as error:
        raise ValueError(f"The worker's disk refuses a file: {error.strerror or error}.") from None


async def greet() -> str:
    """Return the version of the package on this worker, and begin to load the kernels."""
    _threads().submit(_warm)
    return __version__


def _warm() -> None:
    from hanami_jupyter.engine import warm_up  # noqa: PLC0415 - takes a second, in a thread

    warm_up()


class Pulse:
    """Progress and abort of a job; between two pieces of work it takes a snapshot now and then."""

    def __init__(self, take: Callable[[], bytes], seconds: float) -> None:
        self.cycle = 0
        self.aborted = False
        self.snapshot: bytes | None = None
        self._take = take
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def advance(self, cycle: int) -> None:
        """Note how many cycles are done."""
        self.cycle = cycle
        if time.monotonic() >= self._next:
            self.snapshot = self._take()
            self._next = time.monotonic() + self._seconds

    def abort(self) -> None:
        """End the job after the piece of work it is at."""
        self.aborted = True


class Resident:
    """A cluster that lives on a worker. Its calls leave the worker's event loop free."""

    def __init__(self) -> None:
        self._folder = Path(get_worker().local_directory) / "hanami"
        self._folder.mkdir(exist_ok=True)
        self._name = uuid.uuid4().hex
        self._cluster: Cluster
        self._single: Single
        self._pulse: Pulse
        self._work: asyncio.Future[Mapping[str, int] | None]

    @property
    def _result(self) -> Path:
        return self._folder / f"{self._name}.result"

    # -- the cluster

    async def create(self, template: str, seed: int | None) -> dict[str, Any]:
        """Make an empty cluster."""
        await _aside(self._become, lambda engine: engine.from_template(template, seed=seed))
        return await self.info()

    async def take(self, snapshot: bytes) -> None:
        """Become what a snapshot holds."""
        await _aside(self._become, lambda engine: engine.from_bytes(snapshot))

    def _become(self, make: Callable[[type[Cluster]], Cluster]) -> None:
        _warm()
        from hanami_jupyter.engine import Cluster, Single  # noqa: PLC0415

        self._cluster = make(Cluster)
        self._single = Single(self._cluster)

    async def give(self) -> bytes:
        """Return a snapshot."""
        return await _aside(self._cluster.to_bytes)

    async def info(self) -> dict[str, Any]:
        """Return what the wire tells about the cluster."""
        return await _aside(hosts.engine_info, self._cluster)

    async def direct(self, inputs: Row, expected: Row | None) -> Row | None:
        """Run one training cycle, or without expected values return those of every output."""
        if expected is None:
            return await _aside(self._single.request, inputs)
        await _aside(self._single.train, inputs, expected)
        return None

    # -- jobs

    async def begin(self, job: Job, seconds: float) -> None:
        """Begin a job; a training leaves a snapshot every so many seconds."""
        self._pulse = Pulse(self._cluster.to_bytes, float("inf") if job.results else seconds)
        self._work = asyncio.ensure_future(_aside(self._perform, job, self._pulse))

    def _perform(self, job: Job, pulse: Pulse) -> Mapping[str, int] | None:
        if job.results:
            return hosts.request(self._cluster, job, pulse, self._result)
        hosts.train(self._cluster, job, pulse)
        return None

    async def look(self, seconds: float, *, abort: bool) -> Look:
        """Return what the job has come to, when it is over or the time has passed; raise what it raised."""
        if abort:
            self._pulse.abort()
        await asyncio.wait([self._work], timeout=seconds)
        over = self._work.done()
        snapshot, self._pulse.snapshot = self._pulse.snapshot, None
        return Look(self._pulse.cycle, over, snapshot, self._work.result() if over else None)

    async def read(self, start: int) -> bytes:
        """Return a piece of the result, empty behind its end."""

        def piece() -> bytes:
            with self._result.open("rb") as file:
                file.seek(start)
                return file.read(PIECE)

        return await _aside(piece)

    async def forget(self) -> None:
        """Remove the result."""
        await _aside(self._result.unlink, missing_ok=True)

    # -- datasets

    async def find(self, dataset: Identity) -> str | None:
        """Return where a dataset is: in a folder shared with the backend, or in the worker's own."""

        def known() -> str | None:
            there = Path(dataset.path)
            if there.exists() and Identity.of(there) == dataset:
                return dataset.path
            own = self._own(dataset)
            return str(own) if own.exists() else None

        return await _aside(known)

    async def receive(self, start: int, piece: bytes) -> None:
        """Write a piece of a dataset."""

        def write() -> None:
            with self._part.open("r+b" if start else "wb") as file:
                file.seek(start)
                file.write(piece)

        await _aside(write)

    async def seal(self, dataset: Identity, whole: str) -> str:
        """Check a dataset that has arrived and return where it is."""

        def check() -> str:
            if digest(self._part) != whole:
                self._part.unlink()
                raise ValueError("A dataset was damaged on its way to the worker. Run the task again.")
            return str(self._part.rename(self._own(dataset)))

        return await _aside(check)

    @property
    def _part(self) -> Path:
        return self._folder / f"{self._name}.part"

    def _own(self, dataset: Identity) -> Path:
        return self._folder / f"{dataset.mark}-{dataset.size}-{Path(dataset.path).name}"
