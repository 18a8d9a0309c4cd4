"""A cluster: trains and answers on NumPy arrays, counts what has grown, goes into one file and back."""

from __future__ import annotations

import functools
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

from hanami_jupyter.protocol.template import Template, parse

from . import kernels, snapshot, storage
from .kernels import Net, Rows
from .lattice import Lattice
from .vectors import BLOCK

Array = npt.NDArray[Any]
Arrays = Mapping[str, Array] | Array
Feed = list[tuple[Array, Array, bool]]
"""For each input its table, the sources of its columns, and whether a row holds a whole window."""

_ENTRIES = 1 << 19  # values gathered at once
_OPENED = 4  # blocks a hexagon begins with
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

    def advance(self, cycle: int) -> None:
        """Note how many cycles are done; called between two pieces of work, when the cluster is whole."""
        self._cycle = cycle

    def abort(self) -> None:
        """End the running call after the piece of work it is at."""
        self._aborted = True


class Cluster:
    """A network that grows on the hexagons of a template."""

    def __init__(self, template: Template, seed: int) -> None:
        self.template = template
        self.seed = seed
        self._lattice = Lattice.of(template)
        self._net = storage.empty(self._lattice, template.settings, seed)
        self._memory = self._forget(0, 0)
        self._sources = {name: np.zeros((0, 0), np.int32) for name in template.inputs}

    @classmethod
    def from_template(cls, template: str | Template, *, seed: int | None = None) -> Cluster:
        """Make an empty cluster.

        Parameters
        ----------
        template : str or Template
            The template, as text or parsed.
        seed : int, optional
            Where the cluster's random numbers begin; derived from the template by default.

        Examples
        --------
        >>> Cluster.from_template(EXAMPLE, seed=1).outputs
        {'out': 0}
        """
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
        """Train on rows of data, one cycle a row.

        Parameters
        ----------
        inputs, outputs : mapping of str to ndarray, or ndarray
            For each input and output hexagon its rows, shape (rows, columns), read in place if uint8 or
            float32, from memory maps too. A bare array does where there is one hexagon. An array of one
            dimension is one row. Outputs are learned as values of 0 to 1, others are cut to that range.
        time_length : int
            Rows presented side by side: cycle ``c`` reads rows ``c`` to ``c + time_length - 1`` of the
            inputs and expects row ``c`` of the outputs.
        total_cycles : int, optional
            Length of the pass over which the learning rate falls, for a pass that comes in several calls;
            the length of this call by default.
        control : Control, optional
            Progress and abort, shared with another thread.

        Returns
        -------
        int
            Cycles done, fewer than there are if aborted.

        Raises
        ------
        ValueError
            For unknown hexagons and values that are no numbers; nothing has been learned then.

        Examples
        --------
        >>> import numpy as np
        >>> cluster = Cluster.from_template(EXAMPLE, seed=1)
        >>> cluster.train(np.eye(4, dtype=np.float32), np.eye(4, dtype=np.float32))
        4
        """
        given = _tables(inputs, self.template.inputs, "input")
        expected = _tables(outputs, self.template.outputs, "output")
        if time_length < 1:
            raise ValueError(f"time_length is {time_length}, but must be at least 1.")
        cycles = min(*(len(x) - time_length + 1 for x in given.values()), *map(len, expected.values()))
        control = control or Control()
        control.advance(0)
        if cycles <= 0:
            return 0
        if not (check(given, cycles + time_length - 1, control) and check(expected, cycles, control)):
            return 0
        feed = self._feed(given, time_length, grow=True)
        for output, name in enumerate(self.template.outputs):
            if name in expected and expected[name].shape[1] > self._net.width[output]:
                self._net = storage.widen(self._net, output, expected[name].shape[1])
        self._prepare(expected)
        self._begin_pass(cycles, total_cycles)
        done = self._run(feed, cycles, control, expected, {})
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
        """Answer rows of data; nothing in the cluster changes.

        Every request begins at rest: potentials and refractory times are those of its own rows only.

        Parameters
        ----------
        inputs : mapping of str to ndarray, or ndarray
            As for `train`. Columns that were never trained are ignored, missing ones count as absent.
        time_length : int
            Rows presented side by side.
        control : Control, optional
            Progress and abort, shared with another thread.
        out : mapping of str to ndarray, or ndarray, optional
            float32 arrays of shape (cycles, width of the output) to fill, memory maps for example.

        Returns
        -------
        dict of str to ndarray, or ndarray
            For each output float32 answers in 0..1, shape (cycles, width); the bare array if ``inputs`` was
            bare and there is one output. An output that was never trained has width 0; one that is known
            but not connected answers 0.5.

        Examples
        --------
        >>> import numpy as np
        >>> cluster = Cluster.from_template(EXAMPLE, seed=1)
        >>> cluster.request(np.zeros((3, 4), np.float32)).shape
        (3, 0)
        """
        given = _tables(inputs, self.template.inputs, "input")
        if time_length < 1:
            raise ValueError(f"time_length is {time_length}, but must be at least 1.")
        cycles = max(min(len(x) - time_length + 1 for x in given.values()), 0)
        control = control or Control()
        control.advance(0)
        if out is None:
            answers = {name: np.zeros((cycles, width), np.float32) for name, width in self.outputs.items()}
        else:
            answers = _named(out, self.template.outputs, "output")
            for name, array in answers.items():
                if array.shape != (cycles, self.outputs[name]) or array.dtype != np.float32:
                    raise ValueError(
                        f"The array for '{name}' must be float32 of shape {(cycles, self.outputs[name])}, "
                        f"but is {array.dtype} of shape {array.shape}."
                    )
        if cycles and check(given, cycles + time_length - 1, control):
            self._run(self._feed(given, time_length, grow=False), cycles, control, None, answers)
        if not isinstance(inputs, Mapping) and len(self.template.outputs) == 1:
            return next(iter(answers.values()))
        return answers

    def metrics(self) -> dict[str, Any]:
        """Count what has grown.

        Returns
        -------
        dict
            ``number_of_neurons``, ``number_of_blocks``, ``number_of_sections``, ``number_of_synapses``,
            ``memory_bytes``, and ``hexagons``, a list of ``position`` and the same counts, sections and
            synapses where they start.
        """
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
            **dict(zip(names, map(int, np.sum(list(counts.values()), axis=0)), strict=True)),
            "memory_bytes": sum(array.nbytes for array in (*net, *self._memory[1:], *self._sources.values())),
            "hexagons": [
                {"position": list(place), **dict(zip(names, map(int, count), strict=True))}
                for place, count in counts.items()
            ],
        }

    def to_bytes(self) -> bytes:
        """Return the whole cluster as one portable block of bytes."""
        return snapshot.pack(self.template.text, self.seed, self._sources, self._net, self._memory)

    @classmethod
    def from_bytes(cls, data: bytes, *, allow: Callable[[Template], None] | None = None) -> Cluster:
        """Rebuild a cluster; it continues bit for bit where the other one was.

        Parameters
        ----------
        data : bytes
            What `to_bytes` returned.
        allow : callable, optional
            Gets the template before anything is made of it; raises ValueError for one that is not wanted.

        Raises
        ------
        ValueError
            If the bytes are no snapshot, or a damaged one.
        """
        text, seed, arrays = snapshot.unpack(data)
        try:
            template = parse(text)
        except ValueError as error:
            raise ValueError("The snapshot is damaged: its template is not valid.") from error
        if allow:
            allow(template)
        cluster = cls(template, seed)
        cluster._sources, cluster._net, cluster._memory = snapshot.restore(
            arrays, cluster._lattice, cluster._net
        )
        return cluster

    def save(self, path: str | Path) -> None:
        """Write the cluster to a file."""
        Path(path).write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: str | Path) -> Cluster:
        """Read a cluster from a file."""
        return cls.from_bytes(Path(path).read_bytes())

    def _forget(self, span: int, width: int) -> Rows:
        size = min(512, max(65536 // span, 4)) if span else 0
        start = np.zeros((len(self.template.inputs), 2 * size), np.int64)
        start[:, ::2] = np.arange(size) * span
        return Rows(
            2,
            start,
            np.zeros(size * span, np.int32),
            np.zeros(size * span, np.float32),
            np.zeros(len(self.template.outputs), np.bool_),
            np.zeros((size, width), np.float32),
            np.zeros((size, width), np.float32),
        )

    def _prepare(self, expected: dict[str, Array]) -> None:
        """Fit to the present widths how many blocks may be pinned, and what memory of rows there is."""
        span = sum(table.size for table in self._sources.values())
        taught = np.array([name in expected for name in self.template.outputs], np.bool_)
        width = int(self._net.width.sum())
        memory = self._memory
        known = memory.source.size // max(len(memory.expected), 1)
        if known != span or memory.expected.shape[1] != width or (memory.taught != taught).any():
            self._memory = self._forget(span, width)
            self._memory.taught[:] = taught
            self._net.state[kernels.MET] = 0
        few = 0 < span <= kernels.FEW
        self._net.state[kernels.PINS_MOST] = min(kernels.MOST_PINS, 4 * kernels.FEW // span) if few else 0

    def _begin_pass(self, cycles: int, total: int | None) -> None:
        state = self._net.state
        if total is None or total != state[kernels.PASS_LENGTH] or state[kernels.PASS_DONE] >= total:
            state[kernels.PASS_LENGTH] = max(total or cycles, cycles)
            state[kernels.PASS_DONE] = 0

    def _feed(self, given: dict[str, Array], length: int, *, grow: bool) -> Feed:
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
        feed: Feed,
        cycles: int,
        control: Control,
        expected: dict[str, Array] | None,
        answers: dict[str, Array],
    ) -> int:
        """Train, or answer if nothing is expected, in pieces short enough to be aborted between them."""
        rows = self._room(feed, cycles, expected or {})
        resting = self._resting()
        most = len(rows.answer)
        done, size = 0, min(most, 64)
        while done < cycles and not control.aborted:
            n = min(size, cycles - done)
            began = time.perf_counter()
            if expected is None:
                self._gather(feed, done, n, rows)
                kernels.run(resting, rows, self._memory, 0, n, False)
                for part, name in self._parts(answers):
                    answers[name][done : done + n] = rows.answer[:n, part]
            else:
                # which columns are dense is looked at anew in cycles that are powers of two
                n = min(n, (1 << max(self.cycles, 7).bit_length()) - self.cycles)
                self._gather(feed, done, n, rows)
                for part, name in self._parts(expected):
                    table = expected[name][done : done + n]
                    np.clip(table, 0, 1, out=rows.expected[:n, part][:, : table.shape[1]], casting="unsafe")
                self._learn(rows, n)
            done += n
            control.advance(done)
            spent = time.perf_counter() - began
            if spent > _PIECE_SECONDS:
                size = max(1, size // 2)
            elif spent < _PIECE_SECONDS / 4:
                size = min(most, size * 2)
        return done

    def _room(self, feed: Feed, cycles: int, expected: Mapping[str, Any]) -> Rows:
        """Return room for as many rows as are gathered at once."""
        width = int(self._net.width.sum())
        span = max(1, sum(min(x.shape[1] * len(known), known.size) for x, known, _ in feed))
        most = max(1, min(cycles, 4096, _ENTRIES // span))
        return Rows(
            1,
            np.zeros((len(feed), most + 1), np.int64),
            np.zeros(most * span + 1, np.int32),
            np.zeros(most * span + 1, np.float32),
            np.array([name in expected for name in self.template.outputs]),
            np.zeros((most, width), np.float32),
            np.zeros((most, width), np.float32),
        )

    def _resting(self) -> Net:
        """Return the network as it is before any row, to answer without a change."""
        net = self._net
        return net._replace(
            act=storage.aligned(net.act.shape, np.float32),
            potential=np.zeros_like(net.potential),
            rest=np.zeros_like(net.rest),
        )

    def _parts(self, names: Mapping[str, Any]) -> list[tuple[slice, str]]:
        """Return where the outputs named stand in a row of all outputs."""
        net = self._net
        return [
            (slice(int(net.row[o]), int(net.row[o] + net.width[o])), name)
            for o, name in enumerate(self.template.outputs)
            if name in names
        ]

    def _gather(self, feed: Feed, first: int, number: int, rows: Rows) -> None:
        at = 0
        for h, (table, sources, flat) in enumerate(feed):
            start, dense = rows.start[h], self._net.dense
            at = _compiled().gather(
                table, first, number, sources, flat, dense, start, rows.source, rows.value, at
            )

    def _learn(self, rows: Rows, number: int) -> None:
        """Train on gathered rows, making room whenever something has grown full."""
        first = 0
        while first < number:
            code, first = kernels.run(self._net, rows, self._memory, first, number, True)
            if code != kernels.DONE:
                self._net = self._enlarge(code)

    def _enlarge(self, code: int) -> Net:
        net = self._net
        node, block = int(net.state[kernels.NEED_NODE]), int(net.state[kernels.NEED_BLOCK])
        if code == kernels.NEEDS_SECTIONS:
            return storage.add_sections(net)
        if code == kernels.NEEDS_SLOT:
            return storage.add_slot(net, node - self._lattice.first_output, block)
        number = 1 if (net.node == node).any() else _OPENED
        return storage.add_blocks(net, node, number, len(self.template.inputs))


def _named(given: Arrays, names: Mapping[str, Any], kind: str) -> dict[str, Array]:
    """Return arrays by the name of their hexagon."""
    if not isinstance(given, Mapping):
        if len(names) != 1:
            raise ValueError(f"The cluster has {len(names)} {kind}s. Give a dict of {', '.join(names)}.")
        given = {next(iter(names)): given}
    if not given:
        raise ValueError(f"No {kind} is given. The cluster has: {', '.join(names)}.")
    for name in given:
        if name not in names:
            raise ValueError(f"There is no {kind} '{name}'. The cluster has: {', '.join(names)}.")
    return dict(given)


def _tables(given: Arrays, names: Mapping[str, Any], kind: str) -> dict[str, Array]:
    """Return tables of two dimensions, uint8 or float32, by the name of their hexagon."""
    tables = {}
    for name, values in _named(given, names, kind).items():
        table = np.asarray(values)
        if table.dtype == np.bool_:
            table = table.view(np.uint8)
        elif table.dtype.kind not in "iuf":
            raise ValueError(f"The values of '{name}' are of type {table.dtype}. Give numbers.")
        elif table.dtype not in (np.uint8, np.float32):
            with np.errstate(over="ignore"):
                table = table.astype(np.float32)
        if table.ndim not in {1, 2}:
            raise ValueError(f"The array for '{name}' has {table.ndim} dimensions. Give rows and columns.")
        tables[name] = table[None, :] if table.ndim == 1 else table
    return tables


def check(tables: Mapping[str, Array], rows: int, control: Control) -> bool:
    """Refuse values that are no numbers; return whether the check came to its end before an abort."""
    for name, table in tables.items():
        if table.dtype == np.uint8:
            continue
        piece = max(1, (1 << 22) // max(table.shape[1], 1))
        for first in range(0, rows, piece):
            if control.aborted:
                return False
            part = table[first : min(first + piece, rows)]
            place = _compiled().find_bad(part)
            if place >= 0:
                row, column = divmod(place, table.shape[1])
                raise ValueError(
                    f"'{name}' has the value {part[row, column]} in row {first + row}, column {column}. "
                    "Replace it by a number."
                )
    return True


class _Compiled(NamedTuple):
    gather: Any
    find_bad: Any


@functools.cache
def _compiled() -> _Compiled:
    """Compile what reads tables, once for each of the two types and for any stride and alignment."""
    i32, i64, f32 = nb.int32, nb.int64, nb.float32

    def table(dtype: Any) -> Any:
        return nb.types.Array(dtype, 2, "A", readonly=True, aligned=dtype is nb.uint8)

    rest = (
        i64,
        i64,
        nb.types.Array(i32, 2, "A"),
        nb.boolean,
        nb.int8[::1],
        i64[::1],
        i32[::1],
        f32[::1],
        i64,
    )
    compiled = functools.partial(nb.njit, nogil=True, cache=True)
    return _Compiled(
        compiled([i64(table(dtype), *rest) for dtype in (nb.uint8, f32)])(kernels.gather),
        compiled(i64(table(f32)))(kernels.find_bad),
    )


_WARMING = threading.Lock()
EXAMPLE = """
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
    cluster = Cluster.from_template(EXAMPLE)
    cluster.train(np.ones((2, 2), np.uint8), np.ones((2, 1), np.float32))
    cluster.request(np.ones((1, 2), np.float32))


def warm_up() -> None:
    """Compile every kernel, or load it from the cache; the first call pays, later ones cost nothing."""
    with _WARMING:
        _warm()
