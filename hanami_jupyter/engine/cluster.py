"""A cluster: trains and answers on NumPy arrays, counts what has grown, goes into one file and back."""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

from hanami_jupyter.protocol.template import Template, parse

from . import kernels, snapshot, storage
from .kernels import BLOCK, Net, Rows
from .lattice import Lattice

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array] | Array

_ENTRIES = 1 << 17  # values gathered at once
_PIECE_SECONDS = 0.02  # a piece of work between two looks at the abort flag


class Control:
    """Progress and abort of a running call, shared with another thread.

    Attributes
    ----------
    cycle : int
        Cycles done so far in the running call.
    aborted : bool
        Whether somebody asked for an end.

    Examples
    --------
    >>> control = Control()
    >>> control.abort()
    >>> control.aborted
    True
    """

    def __init__(self) -> None:
        self._cycle = 0
        self._aborted = False

    @property
    def cycle(self) -> int:
        """Cycles done so far in the running call."""
        return self._cycle

    @property
    def aborted(self) -> bool:
        """Whether somebody asked for an end."""
        return self._aborted

    def abort(self) -> None:
        """End the running call after the piece of work it is at."""
        self._aborted = True


RATES = {
    kernels.RATE_HIDDEN: 1.0,
    kernels.RATE_OUTPUT: 3.0,
    kernels.FALL: 0.02,
    kernels.NEGLIGIBLE: 0.05,
    kernels.GAIN: 2.0,
    kernels.LIMIT: 8.0,
    kernels.RATE_DECAY: 1e-5,
}


class Cluster:
    """A network that grows on the hexagons of a template."""

    def __init__(self, template: Template, seed: int) -> None:
        self.template = template
        self.seed = seed
        self._lattice = Lattice.of(template)
        rates = np.zeros(kernels.RATES_SIZE)
        for place, value in RATES.items():
            rates[place] = value
        cooldown = template.settings.neuron_cooldown
        rates[kernels.KEEP] = 1 / cooldown if cooldown < 1e6 else 0.0
        self._net = storage.empty(self._lattice, rates, seed)
        self._net.state[kernels.REFRACTORY] = template.settings.refractory_time
        self._net.state[kernels.REDUCE] = template.settings.enable_reduction
        self._sources = {name: np.zeros((0, 0), np.int32) for name in template.inputs}

    @classmethod
    def from_template(cls, template: str | Template, *, seed: int | None = None) -> Cluster:
        """Make an empty cluster."""
        if isinstance(template, str):
            template = parse(template)
        if seed is None:
            seed = int.from_bytes(hashlib.sha256(template.canonical().encode()).digest()[:4], "little")
        return cls(template, seed)

    @property
    def cycles(self) -> int:
        """Training cycles so far."""
        return int(self._net.state[kernels.CYCLES])

    @property
    def inputs(self) -> dict[str, int]:
        """Number of neurons of each input hexagon, 0 while nothing came."""
        return {name: sources.size for name, sources in self._sources.items()}

    @property
    def outputs(self) -> dict[str, int]:
        """Number of neurons of each output hexagon, 0 while nothing came."""
        return {name: int(width) for name, width in zip(self.template.outputs, self._net.width, strict=True)}

    def train(
        self,
        inputs: Arrays,
        outputs: Arrays,
        *,
        time_length: int = 1,
        total_cycles: int | None = None,
        control: Control | None = None,
    ) -> int:
        """Train on rows of data, one cycle a row."""
        given = _tables(inputs, self.template.inputs, "input")
        expected = _tables(outputs, self.template.outputs, "output")
        cycles = min(len(t) for t in (*given.values(), *expected.values())) - time_length + 1
        cycles = min(min(map(len, given.values())) - time_length + 1, min(map(len, expected.values())))
        if cycles <= 0:
            return 0
        control = control or Control()
        control._cycle = 0
        _check(given, cycles + time_length - 1, control)
        _check(expected, cycles, control)
        feed = self._feed(given, time_length, grow=True)
        for name, table in expected.items():
            output = list(self.template.outputs).index(name)
            if table.shape[1] > self._net.width[output]:
                self._net = storage.widen(self._net, output, table.shape[1])
        self._begin_pass(cycles, total_cycles)
        done = self._run(feed, cycles, control, expected, None)
        if done < cycles:
            self._net.state[kernels.PASS_LENGTH] = 0
        return done

    def request(
        self,
        inputs: Arrays,
        *,
        time_length: int = 1,
        control: Control | None = None,
        out: Arrays | None = None,
    ) -> dict[str, npt.NDArray[np.float32]] | npt.NDArray[np.float32]:
        """Answer rows of data, one answer a window."""
        given = _tables(inputs, self.template.inputs, "input")
        cycles = max(min(map(len, given.values())) - time_length + 1, 0)
        control = control or Control()
        control._cycle = 0
        _check(given, cycles + time_length - 1, control)
        feed = self._feed(given, time_length, grow=False)
        if out is None:
            answers = {name: np.zeros((cycles, width), np.float32) for name, width in self.outputs.items()}
        else:
            answers = dict(out) if isinstance(out, Mapping) else {next(iter(self.template.outputs)): out}
        if cycles:
            self._run(feed, cycles, control, None, answers)
        if isinstance(inputs, np.ndarray) and len(answers) == 1:
            return next(iter(answers.values()))
        return answers

    def metrics(self) -> dict[str, Any]:
        """Count what has grown."""
        net = self._net
        counts = {place: np.zeros(4, np.int64) for place in self.template.hexagons}
        made = int(net.state[kernels.SECTIONS_MADE])
        live = np.flatnonzero(net.source[:made] >= 0)
        owner = net.node[net.source[live] // BLOCK]
        synapses = np.count_nonzero(net.weights[live], axis=1)
        neurons = np.bincount(net.node, minlength=len(self._lattice.places)) * BLOCK
        neurons[: len(self._sources)] = [sources.size for sources in self._sources.values()]
        neurons[self._lattice.first_output :] = net.width
        for node, place in enumerate(self._lattice.places):
            mine = owner == node
            counts[place] += [neurons[node], -(-neurons[node] // BLOCK), mine.sum(), synapses[mine].sum()]
        for o in range(len(net.used)):
            weights = net.synapses[net.row[o] : net.row[o] + net.width[o]]
            for k, block in enumerate(net.slots[o, : net.used[o]]):
                part = slice(k * BLOCK, (k + 1) * BLOCK)
                connected = net.mask[o, part] > 0
                wide = -(-int(net.width[o]) // BLOCK)
                counts[self._lattice.places[net.node[block]]][2:] += [
                    connected.sum() * wide,
                    np.count_nonzero(weights[:, part][:, connected]),
                ]
        names = ("number_of_neurons", "number_of_blocks", "number_of_sections", "number_of_synapses")
        return {
            **dict(zip(names, map(int, sum(counts.values())), strict=True)),
            "memory_bytes": sum(array.nbytes for array in (*net, *self._sources.values())),
            "hexagons": [
                {"position": list(place), **dict(zip(names, map(int, count), strict=True))}
                for place, count in counts.items()
            ],
        }

    def to_bytes(self) -> bytes:
        """Return the whole cluster as one portable block of bytes."""
        return snapshot.pack(self.template.text, self.seed, self._sources, self._net)

    @classmethod
    def from_bytes(cls, data: bytes) -> Cluster:
        """Rebuild a cluster; it continues bit for bit where the other one was."""
        text, seed, arrays = snapshot.unpack(data)
        try:
            cluster = cls(parse(text), seed)
        except ValueError as error:
            raise ValueError("The snapshot is damaged: its template is not valid.") from error
        cluster._sources, cluster._net = snapshot.restore(arrays, cluster._lattice, cluster._net)
        return cluster

    def save(self, path: str | Path) -> None:
        """Write the cluster to a file."""
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Cluster:
        """Read a cluster from a file."""
        return cls.from_bytes(Path(path).read_bytes())

    def _begin_pass(self, cycles: int, total: int | None) -> None:
        state = self._net.state
        if total is None or total != state[kernels.PASS_LENGTH] or state[kernels.PASS_DONE] >= total:
            state[kernels.PASS_LENGTH] = max(total or cycles, cycles)
            state[kernels.PASS_DONE] = 0

    def _feed(self, given: dict[str, Array], length: int, *, grow: bool) -> list[tuple[Array, Array, bool]]:
        feed = []
        for node, name in enumerate(self.template.inputs):
            table = given.get(name)
            if table is None:
                feed.append((np.zeros((0, 0), np.uint8), np.zeros((0, 0), np.int32), False))
                continue
            known = self._sources[name]
            flat = length == 1 and len(known) > 1 and table.shape[1] == known.size
            if grow and not flat and (length > len(known) or table.shape[1] > known.shape[1]):
                known = self._widen(node, name, max(length, len(known)), max(table.shape[1], known.shape[1]))
            feed.append((table, known if flat else known[:length], flat))
        return feed

    def _widen(self, node: int, name: str, length: int, columns: int) -> Array:
        old = self._sources[name]
        new = np.full((length, columns), -1, np.int32)
        new[: old.shape[0], : old.shape[1]] = old
        missing = np.argwhere(new < 0)
        blocks = np.flatnonzero(self._net.node == node)
        need = -(-length * columns // BLOCK) - len(blocks)
        if need > 0:
            first = len(self._net.node)
            self._net = storage.add_blocks(self._net, node, need, len(self.template.inputs))
            blocks = np.append(blocks, np.arange(first, first + need))
        numbers = (blocks[:, None] * BLOCK + np.arange(BLOCK)).ravel()
        new[new < 0] = numbers[old.size : old.size + len(missing)]
        self._sources[name] = new
        return new

    def _run(
        self,
        feed: list[tuple[Array, Array, bool]],
        cycles: int,
        control: Control,
        expected: dict[str, Array] | None,
        answers: dict[str, Array] | None,
    ) -> int:
        net = self._net
        names = list(self.template.outputs)
        width = int(net.width.sum())
        span = max(1, sum(sources.size for _, sources, _ in feed))
        most = max(1, min(cycles, 4096, _ENTRIES // span))
        rows = Rows(
            np.zeros((len(feed), most + 1), np.int64),
            np.zeros(most * span + 1, np.int32),
            np.zeros(most * span + 1, np.float32),
            np.zeros((most, width), np.float32),
            np.zeros((most, width), np.float32),
        )
        if expected is None:
            net = net._replace(
                act=np.zeros_like(net.act), potential=np.zeros_like(net.potential), rest=np.zeros_like(net.rest)
            )
        done, size = 0, min(most, 64)
        while done < cycles and not control.aborted:
            n = min(size, cycles - done)
            if expected is not None:
                now = int(net.state[kernels.CYCLES])
                n = min(n, (1 << max(now, 7).bit_length()) - now)
            began = time.perf_counter()
            at = 0
            for h, (table, sources, flat) in enumerate(feed):
                at = _gather()(table, done, n, sources, flat, net.dense, rows.start[h], rows.source, rows.value, at)
            if expected is None:
                kernels.request(net, rows, n)
                for o, name in enumerate(names):
                    if name in answers:
                        a = int(net.begin[o])
                        answers[name][done : done + n] = rows.answer[:n, a : a + int(net.width[o])]
            else:
                for o, name in enumerate(names):
                    a = int(net.begin[o])
                    if name in expected:
                        table = expected[name]
                        rows.expected[:n, a : a + table.shape[1]] = table[done : done + n]
                first = 0
                while first < n:
                    code, first = kernels.train(net, rows, first, n)
                    if code != kernels.DONE:
                        net = self._net = self._enlarge(code)
            done += n
            control._cycle = done
            spent = time.perf_counter() - began
            if spent > _PIECE_SECONDS:
                size = max(1, size // 2)
            elif spent < _PIECE_SECONDS / 4:
                size = min(most, size * 2)
        return done

    def _enlarge(self, code: int) -> Net:
        net = self._net
        node, block = int(net.state[kernels.NEED_NODE]), int(net.state[kernels.NEED_BLOCK])
        if code == kernels.NEEDS_SECTIONS:
            return storage.add_sections(net)
        if code == kernels.NEEDS_SLOT:
            return storage.add_slot(net, node - self._lattice.first_output, block)
        return storage.add_blocks(net, node, 1, len(self.template.inputs))


def _tables(given: Arrays, names: Mapping[str, Any], kind: str) -> dict[str, Array]:
    if not isinstance(given, Mapping):
        if len(names) != 1:
            raise ValueError(f"The cluster has {len(names)} {kind}s. Give a dict of {', '.join(names)}.")
        given = {next(iter(names)): given}
    tables = {}
    for name, values in given.items():
        if name not in names:
            raise ValueError(f"There is no {kind} '{name}'. The cluster has: {', '.join(names)}.")
        table = np.asarray(values)
        if table.ndim == 1:
            table = table[None, :]
        if table.dtype == np.bool_:
            table = table.view(np.uint8)
        if table.dtype not in (np.uint8, np.float32):
            table = table.astype(np.float32)
        tables[name] = table
    return tables


def _check(tables: dict[str, Array], rows: int, control: Control) -> None:
    for name, table in tables.items():
        if table.dtype != np.uint8 and not np.isfinite(table[:rows]).all():
            r, c = np.argwhere(~np.isfinite(table[:rows]))[0]
            raise ValueError(f"'{name}' is {table[r, c]} in row {r}, column {c}. Replace it by a number.")


@functools.cache
def _gather() -> Any:
    """Compile the gathering of rows for tables of any stride, one version for each of the two types."""

    def table(dtype: Any) -> Any:
        return nb.types.Array(dtype, 2, "A", readonly=True, aligned=dtype is nb.uint8)

    i32, i64 = nb.int32, nb.int64
    rest = (
        i64, i64, nb.types.Array(i32, 2, "A"), nb.boolean, nb.int8[::1], i64[::1], i32[::1], nb.float32[::1], i64,
    )  # fmt: skip
    signatures = [i64(table(dtype), *rest) for dtype in (nb.uint8, nb.float32)]
    return nb.njit(signatures, nogil=True, cache=True)(kernels.gather)


_WARMING = threading.Lock()
_TINY = """
version: 1
settings:
    refractory_time: 1
hexagons:
    1,1,1
    2,1,1
    3,1,1
inputs:
    in: 1,1,1
outputs:
    out: 3,1,1
"""


@functools.cache
def _warm() -> None:
    cluster = Cluster.from_template(_TINY)
    cluster.train(np.ones((2, 2), np.uint8), np.ones((2, 1), np.float32))
    cluster.request(np.ones((1, 2), np.float32))


def warm_up() -> None:
    """Compile every kernel, or load it from the cache; the first call pays, later ones cost nothing."""
    with _WARMING:
        _warm()
