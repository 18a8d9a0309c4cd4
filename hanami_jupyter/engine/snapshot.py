"""A cluster as one portable block of bytes, and back; what is read is checked before it is believed."""

from __future__ import annotations

import json
import math
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from . import kernels, storage
from .kernels import SECTIONS, Net, Rows
from .lattice import Lattice
from .vectors import BLOCK

MAGIC = b"hanami-cluster-2\n"
FIELDS = (
    "state",
    "act",
    "bias",
    "drift",
    "total",
    "usual",
    "potential",
    "rest",
    "node",
    "room",
    "pending",
    "pinned",
    "moment",
    "fan",
    "goal",
    "wired",
    "weights",
    "source",
    "born",
    "pin",
    "spare",
    "seen",
    "norm",
    "dense",
    "slots",
    "used",
    "width",
    "mask",
    "level",
    "synapses",
    "threshold",
    "swing",
    "regret",
)

MEMORY = ("start", "source", "value", "taught", "expected")

TYPES = ("<f4", "<f8", "|b1", "|i1", "<i4", "<i8")
MOST_HEADER = 1 << 22  # bytes: read as JSON, a longer one would take many times its size
_LARGEST = 1e100  # of a number of 64 bits: what comes of those of 32 bits is far below

Array = npt.NDArray[Any]


def pack(template: str, seed: int, sources: dict[str, Array], net: Net, memory: Rows) -> bytes:
    """Write a cluster: magic, checksum, length of the header, header in JSON, arrays one behind the other."""
    arrays = {name: getattr(net, name) for name in FIELDS}
    arrays.update({f"source of {name}": table for name, table in sources.items()})
    arrays.update({f"memory {name}": getattr(memory, name) for name in MEMORY})
    header = {
        "template": template,
        "seed": seed,
        "arrays": [[name, array.dtype.newbyteorder("<").str, array.shape] for name, array in arrays.items()],
    }
    text = json.dumps(header).encode()
    body = b"".join(
        [
            len(text).to_bytes(8, "little"),
            text,
            *(array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes() for array in arrays.values()),
        ]
    )
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def unpack(data: bytes) -> tuple[str, int, dict[str, Array]]:
    """Read what `pack` wrote.

    Returns
    -------
    tuple
        Text of the template, seed, and the arrays by name, not yet checked against each other.

    Raises
    ------
    ValueError
        If the bytes are not a whole, undamaged snapshot.
    """
    if not data.startswith(MAGIC):
        raise ValueError("This is no snapshot of a cluster that this version can read.")
    at = len(MAGIC) + 4
    if zlib.crc32(data[at:]) != int.from_bytes(data[at - 4 : at], "little"):
        raise ValueError("The snapshot is damaged: its checksum does not match. Take another copy.")
    try:
        begin = at + 8
        end = begin + int.from_bytes(data[at:begin], "little")
        if end - begin > MOST_HEADER:
            raise ValueError
        header = json.loads(data[begin:end])
        arrays = {}
        for name, dtype, shape in header["arrays"]:
            if dtype not in TYPES or not all(isinstance(n, int) and n >= 0 for n in shape):
                raise ValueError
            kind = np.dtype(dtype)
            array = np.frombuffer(data, kind, math.prod(shape), end).reshape(shape)
            arrays[str(name)] = array.astype(kind.newbyteorder("="))
            end += array.nbytes
        return str(header["template"]), int(header["seed"]), arrays
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ValueError("The snapshot is damaged: its header does not describe its content.") from error


def restore(arrays: dict[str, Array], lattice: Lattice, net: Net) -> tuple[dict[str, Array], Net, Rows]:
    """Return the tables of inputs and the arrays of a cluster; ``net`` is that of an empty one."""
    wanted = {
        *FIELDS,
        *(f"source of {name}" for name in lattice.inputs),
        *(f"memory {name}" for name in MEMORY),
    }
    if set(arrays) != wanted or not _fits(arrays, net, lattice):
        raise ValueError("The snapshot is damaged: its arrays do not fit each other.")
    sources = {name: arrays.pop(f"source of {name}") for name in lattice.inputs}
    kept = {name: arrays.pop(f"memory {name}") for name in MEMORY}
    memory = Rows(step=2, **kept, answer=np.zeros_like(kept["expected"]))
    settings = [kernels.REFRACTORY, kernels.REDUCE]
    arrays["state"][settings] = net.state[settings]
    new = {name: storage.aligned(array.shape, array.dtype) for name, array in arrays.items()}
    for name, array in arrays.items():
        new[name][...] = array
    return sources, storage.derive(net._replace(**new), lattice), memory


def _fits(a: dict[str, Array], empty: Net, lattice: Lattice) -> bool:
    """Return whether every array has the type and size the others imply and every index points inside."""
    return (
        _shapes_fit(a, empty, len(lattice.outputs))
        and _numbers_fit(a, lattice)
        and _sections_fit(a, lattice)
        and all(
            _sources_fit(a[f"source of {name}"], a["node"], node) for name, node in lattice.inputs.items()
        )
        and _memory_fits(a, len(lattice.inputs), len(lattice.outputs))
    )


def _shapes_fit(a: dict[str, Array], empty: Net, outputs: int) -> bool:
    likes = {name: getattr(empty, name) for name in FIELDS}
    if any((a[name].dtype, a[name].ndim) != (like.dtype, like.ndim) for name, like in likes.items()):
        return False
    blocks, sections, slots = len(a["node"]), len(a["source"]), a["slots"].shape[1]
    rows = int(a["width"].sum())
    lengths = {
        **{name: (blocks, *likes[name].shape[1:]) for name in storage.BY_BLOCK if name in a},
        **{name: (blocks * BLOCK, *likes[name].shape[1:]) for name in (*storage.BY_SOURCE, "fan", "goal")},
        **{name: (sections, *likes[name].shape[1:]) for name in storage.BY_SECTION},
        **dict.fromkeys(("used", "width", "level"), (outputs,)),
        "state": empty.state.shape,
        "regret": (1,),
        "slots": (outputs, slots),
        "mask": (outputs, slots * BLOCK),
        "synapses": (rows, slots * BLOCK),
        "threshold": (rows,),
        "swing": (rows,),
    }
    return all(a[name].shape == shape and _finite(a[name]) for name, shape in lengths.items())


def _numbers_fit(a: dict[str, Array], lattice: Lattice) -> bool:
    blocks, slots, state, seen = len(a["node"]), a["slots"], a["state"], a["seen"]
    counts = state[[kernels.CYCLES, kernels.PASS_DONE, kernels.PASS_LENGTH, kernels.MET]]
    return (
        _within(counts, 0, 2**62)
        and state[kernels.PASS_DONE] <= state[kernels.CYCLES]
        and 0 <= state[kernels.PINS] <= kernels.MOST_PINS
        and bool((seen[:, 0] >= 0).all() and (seen[seen[:, 0] > 0, 2] > 0).all())
        and _within(a["node"], 0, lattice.first_output)
        and _within(a["room"], 0, SECTIONS + 1)
        and _within(a["source"], -1, blocks * BLOCK)
        and _within(a["width"], 0, 2**31)
        and _within(slots, -1, blocks)
        and _within(a["used"], 0, slots.shape[1] + 1)
        and not (slots[np.arange(slots.shape[1]) < a["used"][:, None]] < 0).any()
    )


def _sections_fit(a: dict[str, Array], lattice: Lattice) -> bool:
    """Return whether each section is free or one of its source's, and no more end in a block than may."""
    fan, goal, node, sections = a["fan"], a["goal"], a["node"], len(a["source"])
    made, free = (int(a["state"][place]) for place in (kernels.SECTIONS_MADE, kernels.SECTIONS_FREE))
    used = fan >= 0
    if not (0 <= free <= made <= sections and _within(fan, -1, sections) and _within(goal, -1, len(node))):
        return False
    if ((goal >= 0) != used).any() or (used[:, 1:] & ~used[:, :-1]).any():
        return False
    numbers = np.sort(np.append(fan[used], a["spare"][:free]))
    hidden = node >= len(lattice.inputs)
    ends = np.bincount(goal[used], minlength=len(node))
    owner = np.broadcast_to(np.arange(len(fan))[:, None], fan.shape)
    return (
        np.array_equal(numbers, np.arange(made))
        and bool((a["source"][fan[used]] == owner[used]).all())
        and bool(hidden[goal[used]].all())
        and bool((ends[hidden] + a["room"][hidden] == SECTIONS).all())
    )


def _sources_fit(table: Array, node: Array, wanted: int) -> bool:
    """Return whether each column of an input has a source of its own, taken in order."""
    if table.ndim != 2 or table.dtype != np.int32:
        return False
    numbers = (np.flatnonzero(node == wanted)[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    return max(table.shape) <= max(len(numbers), 64) and np.array_equal(
        np.sort(table, axis=None), numbers[: table.size]
    )


def _memory_fits(a: dict[str, Array], inputs: int, outputs: int) -> bool:
    """Return whether each row remembered has its own place and no source twice."""
    start, source, value, taught, expected = (a[f"memory {name}"] for name in MEMORY)
    kinds = [f"{array.dtype} {array.ndim}" for array in (start, source, value, taught, expected)]
    if kinds != ["int64 2", "int32 1", "float32 1", "bool 1", "float32 2"]:
        return False
    size, width, blocks = *expected.shape, len(a["node"])
    span = len(source) // max(size, 1)
    if (
        (start.shape, value.shape, taught.shape) != ((inputs, 2 * size), source.shape, (outputs,))
        or (size and (width != len(a["synapses"]) or not span or len(source) != size * span))
        or not (_finite(value) and _finite(expected))
    ):
        return False
    known = min(int(a["state"][kernels.MET]), size)
    begin = np.arange(size) * span
    first, last = start[:, : 2 * known : 2], start[:, 1 : 2 * known : 2]
    if (
        (start[0, ::2] != begin).any()
        or (first > last).any()
        or (first[1:] != last[:-1]).any()
        or (last[-1] > begin[:known] + span).any()
    ):
        return False
    taken = np.arange(span) < (last[-1] - begin[:known])[:, None]
    sources = source[: known * span].reshape(known, span)
    pairs = (sources + np.arange(known)[:, None] * (blocks * BLOCK))[taken]
    return (
        _within(sources[taken], 0, blocks * BLOCK)
        and bool((a["node"][sources[taken] // BLOCK] < inputs).all())
        and len(np.unique(pairs)) == len(pairs)
    )


def _finite(array: Array) -> bool:
    if array.dtype == np.float64:
        return bool((np.abs(array) <= _LARGEST).all())
    return bool(np.isfinite(array).all())


def _within(array: Array, low: int, high: int) -> bool:
    return bool(((array >= low) & (array < high)).all())
