"""Making and enlarging the arrays of a cluster; the kernels ask for it when something has grown full."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hanami_jupyter.protocol.template import Settings

from . import kernels
from .kernels import SECTIONS, Net
from .lattice import Lattice
from .vectors import BLOCK

NO_MEMORY = 1e-6
"""A potential of which less is left after a cycle counts as gone."""

BY_BLOCK: dict[str, tuple[Any, ...]] = {
    "act": (np.float32, BLOCK),
    "bias": (np.float32, BLOCK),
    "drift": (np.float32, BLOCK),
    "total": (np.float32, BLOCK),
    "usual": (np.float32, BLOCK),
    "potential": (np.float32, BLOCK),
    "rest": (np.int32, BLOCK),
    "delta": (np.float32, BLOCK),
    "live": (np.int32, SECTIONS),
    "value": (np.float32, SECTIONS),
    "node": (np.int32,),
    "room": (np.int32,),
    "pending": (np.int32,),
    "pinned": (np.int64,),
    "moment": (np.float32,),
    "count": (np.int32,),
    "tilt": (np.float32,),
}
BY_SOURCE: dict[str, tuple[Any, ...]] = {
    "wired": (np.int8,),
    "seen": (np.float64, 4),
    "norm": (np.float64, 2),
    "dense": (np.int8,),
}
BY_SECTION: dict[str, tuple[Any, ...]] = {
    "weights": (np.float32, BLOCK),
    "source": (np.int32,),
    "born": (np.int64,),
    "pin": (np.float32,),
    "spare": (np.int32,),
}
BY_OUTPUT = {"used": np.int32, "width": np.int32, "row": np.int32, "lean": np.float32, "level": np.float32}
SCRATCH = ("delta", "live", "value", "count", "tilt")


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return zeros that begin on a cache line, so that no vector of 64 bytes straddles two."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    at = -raw.ctypes.data % 64
    return raw[at : at + size].view(dtype).reshape(shape)


def _longer(old: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    new = aligned((rows, *old.shape[1:]), old.dtype)
    new[: len(old)] = old
    return new


def empty(lattice: Lattice, settings: Settings, seed: int) -> Net:
    """Return the arrays of a cluster in which nothing has grown."""
    state = np.zeros(kernels.STATE_SIZE, np.int64)
    state[kernels.RANDOM] = np.uint64(seed % 2**64).astype(np.int64)
    state[kernels.REFRACTORY] = settings.refractory_time
    state[kernels.REDUCE] = settings.enable_reduction
    keep = 1 / settings.neuron_cooldown
    outputs = len(lattice.outputs)
    first_output = lattice.first_output
    fan = kernels.DRAWS + kernels.MOST_PINS + outputs
    fields: dict[str, npt.NDArray[Any]] = {
        name: aligned((0, *shape), dtype)
        for name, (dtype, *shape) in {**BY_BLOCK, **BY_SOURCE, **BY_SECTION}.items()
    }
    fields.update({name: np.zeros(outputs, dtype) for name, dtype in BY_OUTPUT.items()})
    return Net(
        state=state,
        keep=np.array([keep if keep > NO_MEMORY else 0], np.float32),
        order=np.zeros(0, np.int32),
        fan=np.zeros((0, fan), np.int32),
        goal=np.zeros((0, fan), np.int32),
        slots=np.zeros((outputs, 0), np.int32),
        mask=aligned((outputs, 0), np.float32),
        sight=aligned((outputs, 0), np.float32),
        synapses=aligned((0, 0), np.float32),
        threshold=np.zeros(0, np.float32),
        swing=np.zeros(0, np.float32),
        error=np.zeros(0, np.float32),
        place=np.zeros(0, np.int32),
        chance=lattice.chance,
        leads=lattice.leads,
        inputs=np.array([len(lattice.inputs)]),
        sends=(lattice.chance[:, :first_output] > 0).any(axis=1),
        direct=(lattice.chance[:, first_output:] > 0).any(axis=1),
        hears=(lattice.chance[len(lattice.inputs) : first_output] > 0).any(axis=0),
        regret=np.ones(1, np.float32),
        **fields,
    )


def add_blocks(net: Net, node: int, number: int, inputs: int) -> Net:
    """Add blocks of neurons to a hexagon; the first ``inputs`` nodes are inputs."""
    old = len(net.node)
    new = old + number
    changed = {name: _longer(getattr(net, name), new) for name in BY_BLOCK}
    changed.update({name: _longer(getattr(net, name), new * BLOCK) for name in BY_SOURCE})
    for name in ("fan", "goal"):
        changed[name] = _longer(getattr(net, name), new * BLOCK)
        changed[name][old * BLOCK :] = -1
    changed["node"][old:] = node
    changed["pending"][old:] = BLOCK
    if node >= inputs:
        changed["room"][old:] = SECTIONS
    net = net._replace(**changed)
    return net._replace(order=_order(net, inputs))


def _order(net: Net, inputs: int) -> npt.NDArray[np.int32]:
    """Return the hidden blocks in the order of processing."""
    hidden = np.flatnonzero(net.node >= inputs)
    return hidden[np.argsort(net.node[hidden], kind="stable")].astype(np.int32)


def derive(net: Net, lattice: Lattice) -> Net:
    """Make the arrays that follow from those of a snapshot."""
    blocks = len(net.node)
    net.row[1:] = np.cumsum(net.width)[:-1]
    scratch = {name: aligned((blocks, *shape), dtype) for name, (dtype, *shape) in BY_BLOCK.items()}
    return net._replace(
        order=_order(net, len(lattice.inputs)),
        sight=aligned(net.mask.shape, np.float32),
        error=np.zeros(len(net.synapses), np.float32),
        place=_places(net.synapses),
        **{name: scratch[name] for name in SCRATCH},
    )


def _places(synapses: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Return where each row begins, counted in blocks."""
    return np.arange(len(synapses), dtype=np.int32) * np.int32(synapses.shape[1] // BLOCK)


def add_sections(net: Net) -> Net:
    """Make room for half as many sections again."""
    new = len(net.source) * 3 // 2 + 64
    changed = {name: _longer(getattr(net, name), new) for name in BY_SECTION}
    changed["source"][len(net.source) :] = -1
    return net._replace(**changed)


def add_slot(net: Net, output: int, block: int) -> Net:
    """Let an output hexagon read one more block."""
    slot = int(net.used[output])
    if slot == net.slots.shape[1]:
        outputs = len(net.used)
        slots = np.full((outputs, slot + 1), -1, np.int32)
        slots[:, :slot] = net.slots
        wide = {}
        for name in ("mask", "sight", "synapses"):
            old = getattr(net, name)
            wide[name] = aligned((len(old), (slot + 1) * BLOCK), np.float32)
            wide[name][:, : slot * BLOCK] = old
        net = net._replace(slots=slots, place=_places(wide["synapses"]), **wide)
    net.slots[output, slot] = block
    net.used[output] += 1
    return net


def widen(net: Net, output: int, width: int) -> Net:
    """Give an output hexagon as many neurons."""
    at = int(net.row[output] + net.width[output])
    more = width - int(net.width[output])
    synapses = aligned((len(net.synapses) + more, net.synapses.shape[1]), np.float32)
    synapses[:at], synapses[at + more :] = net.synapses[:at], net.synapses[at:]
    new = np.zeros(more, np.float32)
    synapses[at : at + more] = net.mask[output] * kernels.SEED
    net.width[output] = width
    net.row[1:] = np.cumsum(net.width)[:-1]
    return net._replace(
        synapses=synapses,
        threshold=np.insert(net.threshold, at, new),
        swing=np.insert(net.swing, at, new),
        error=np.zeros(len(synapses), np.float32),
        place=_places(synapses),
    )
