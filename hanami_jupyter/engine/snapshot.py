"""A cluster as one portable block of bytes, and back; what is read is checked before it is believed."""

# ruff: noqa: PLR0911

from __future__ import annotations

import json
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
        header = json.loads(data[begin:end])
        arrays = {}
        for name, dtype, shape in header["arrays"]:
            kind = np.dtype(dtype)
            count = int(np.prod(shape, dtype=object))
            if kind.kind not in "fib" or min(shape, default=0) < 0:
                raise ValueError
            array = np.frombuffer(data, kind, count, end).reshape(shape)
            arrays[str(name)] = array.astype(kind.newbyteorder("="))
            end += array.nbytes
        return str(header["template"]), int(header["seed"]), arrays
    except (ValueError, KeyError, TypeError, OverflowError) as error:
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
    blocks, sections, slots = len(a["node"]), len(a["source"]), a["slots"].shape[-1]
    outputs, rows = len(lattice.outputs), int(a["width"].sum())
    lengths = {
        **{name: (blocks, *getattr(empty, name).shape[1:]) for name in storage.BY_BLOCK if name in a},
        **{
            name: (blocks * BLOCK, *getattr(empty, name).shape[1:])
            for name in (*storage.BY_SOURCE, "fan", "goal")
        },
        **{name: (sections, *getattr(empty, name).shape[1:]) for name in storage.BY_SECTION},
        **dict.fromkeys(("used", "width", "level"), (outputs,)),
        "state": empty.state.shape,
        "regret": (1,),
        "slots": (outputs, slots),
        "mask": (outputs, slots * BLOCK),
        "synapses": (rows, slots * BLOCK),
        "threshold": (rows,),
        "swing": (rows,),
    }
    for name, shape in lengths.items():
        if a[name].shape != shape or a[name].dtype != getattr(empty, name).dtype:
            return False
        if a[name].dtype.kind == "f" and not np.isfinite(a[name]).all():
            return False
    state = a["state"]
    made, free = int(state[kernels.SECTIONS_MADE]), int(state[kernels.SECTIONS_FREE])
    hidden = (a["node"] >= len(lattice.inputs)) & (a["node"] < lattice.first_output)
    inside = (
        0 <= free <= made <= sections,
        _within(a["node"], 0, lattice.first_output),
        _within(a["room"], 0, SECTIONS + 1),
        _within(a["fan"], -1, sections),
        _within(a["source"], -1, blocks * BLOCK),
        _within(a["goal"], -1, blocks),
        _within(a["spare"], 0, max(sections, 1)),
        _within(a["slots"], -1, blocks),
        _within(a["used"], 0, slots + 1),
        _within(a["width"], 0, 2**31),
        _within(state[[kernels.CYCLES, kernels.PASS_DONE, kernels.PASS_LENGTH]], 0, 2**62),
    )
    if not all(inside) or any((a["slots"][o, : a["used"][o]] < 0).any() for o in range(outputs)):
        return False
    fan, goal = a["fan"], a["goal"]
    owner = np.arange(len(fan))[:, None]
    used = fan >= 0
    if used.any() and not (
        (a["source"][fan] == owner)[used].all() and hidden[goal[used]].all() and (fan < made)[used].all()
    ):
        return False
    ends = np.bincount(goal[used], minlength=blocks)
    if (ends[hidden] + a["room"][hidden] != SECTIONS).any() or len(np.unique(fan[used])) != used.sum():
        return False
    if (used[:, 1:] & ~used[:, :-1]).any() or ((goal >= 0) != used).any():
        return False
    if not _memory_fits(a, len(lattice.inputs), outputs, rows):
        return False
    return all(_sources_fit(a[f"source of {name}"], a["node"], node) for name, node in lattice.inputs.items())


def _memory_fits(a: dict[str, Array], inputs: int, outputs: int, width: int) -> bool:
    start, source, value, taught, expected = (a[f"memory {name}"] for name in MEMORY)
    size = len(expected)
    kinds = (
        (start, np.int64),
        (source, np.int32),
        (value, np.float32),
        (taught, np.bool_),
        (expected, np.float32),
    )
    if any(array.dtype != kind for array, kind in kinds) or expected.ndim != 2:
        return False
    if (
        start.shape != (inputs, 2 * size)
        or source.ndim != 1
        or source.shape != value.shape
        or taught.shape != (outputs,)
        or (size and (expected.shape[1] != width or len(source) % size))
    ):
        return False
    if not np.isfinite(value).all() or not np.isfinite(expected).all():
        return False
    first, last = start[:, ::2], start[:, 1::2]
    node = a["node"]
    return (
        _within(source, 0, max(len(node) * BLOCK, 1))
        and bool((node[source[: int(last.max(initial=0))] // BLOCK] < inputs).all())
        and _within(first, 0, len(source) + 1)
        and _within(last, 0, len(source) + 1)
        and (first[0] == np.arange(size) * (len(source) // max(size, 1))).all()
    )


def _sources_fit(table: Array, node: Array, wanted: int) -> bool:
    return (
        table.ndim == 2
        and table.dtype == np.int32
        and _within(table, 0, len(node) * BLOCK)
        and bool((node[table // BLOCK] == wanted).all())
    )


def _within(array: Array, low: int, high: int) -> bool:
    return bool(((array >= low) & (array < high)).all())
