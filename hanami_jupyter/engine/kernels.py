"""The loops of a cluster, compiled by Numba: gathering rows, forward, backward, growth and reduction."""

# A kernel is one loop over arrays whose types Numba finds, not mypy; cutting it up costs its speed.
# mypy: disable-error-code="arg-type,call-arg,assignment,return-value,unreachable"
# ruff: noqa: C901, PLR0912, SIM110

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numba as nb
import numpy as np
from numba.core.registry import cpu_target

from .vectors import BLOCK, add_rows, change_rows, pass_rows, weigh_rows

SECTIONS = 512
"""Sections that may end in one block."""

DRAWS = 2
"""Targets a source draws when it becomes active for the first time."""

FEW = 128
"""Inputs that count as few; single values of theirs matter more."""

MOST_PINS = 8
"""Blocks that may be pinned to a row of data where inputs are few."""

WIRED = 100
"""In `Net.wired`: this source has its connections."""

# What stands where in `Net.state`.
(CYCLES, PASS_DONE, PASS_LENGTH, SECTIONS_MADE, SECTIONS_FREE, NEED_NODE, NEED_BLOCK, RANDOM) = range(8)
(REFRACTORY, REDUCE, PINS_MOST, MET, PINS) = range(8, 13)
STATE_SIZE = 13

# Why a run over rows ended.
DONE, NEEDS_BLOCK, NEEDS_SLOT, NEEDS_SECTIONS = range(4)

# How it learns. None of this is fitted to a dataset: docs/engine.md shows how flat the optimum is.
RATE_HIDDEN = 0.6  # share of the way to the target that one step of a hidden neuron goes
RATE_OUTPUT = 3.0  # the same for an output, whose logistic flattens its steps
FALL = 0.01  # share of the rate that is left at the end of a pass
WEAR = 1024  # cycles that count as a pass at least, where the rate falls as 1 / sqrt(passes begun)
NEGLIGIBLE, NEGLIGIBLE_FEW = 0.1, 0.015  # errors below are taken up only now and then; if inputs are few
TRUSTED = 64  # values after which an input's range is known well enough to learn by
APART = 0.1  # mean square of the distance between pinned rows, in deviations of an input
GAIN = 0.2  # energy of the first weights into a block
LIMIT = 8.0  # largest normalised value of an input
SEED = np.float32(1e-6)  # first weight of a synapse into an output; zero means that there is none

# Reduction.
REDUCE_EVERY = 100
INFANCY = 1000  # cycles before a section is judged
RECALL, RECALL_FEW = 0.05, 0.4  # share of the cycles that look again at a remembered row, at least
FAINT = 0.15  # synapses weaker than this share of their block's usual strength fade
GONE = 0.02  # those weaker than this are removed

# Only sums over arrays that nothing is written to may be reordered. Elsewhere the compiler chooses between a
# vector loop and a scalar one by where the arrays happen to lie, and both must give the same bits.
FAST = {"reassoc", "contract", "nsz"}


class Net(NamedTuple):
    """Everything a cluster is, as arrays: ``G`` blocks of 128 neurons, ``S`` sections, ``O`` outputs.

    A *source* is one neuron of an input or hidden hexagon; its number is ``block * 128 + place``.
    """

    state: Any  # int64, single numbers, see above
    regret: Any  # float32 (1,): share of the rows remembered that still had to be learned
    keep: Any  # float32 (1,): share of a potential that is left after a cycle
    # blocks of neurons
    act: Any  # float32 (G, 128): what each neuron sends in this cycle
    bias: Any  # float32 (G, 128)
    drift: Any  # float32 (G, 128): sum of the steps since the last refit
    total: Any  # float32 (G, 128): sum of `act` over the cycles observed since the last refit
    usual: Any  # float32 (G, 128): mean of `act` at the last refit
    potential: Any  # float32 (G, 128): what the next cycle may find of this one
    rest: Any  # int32 (G, 128): cycles until the neuron may fire again
    delta: Any  # float32 (G, 128): the error that came back
    node: Any  # int32 (G,): node of each block
    room: Any  # int32 (G,): sections that may still end here
    pinned: Any  # int64 (G,): cycle in which the block was pinned to its row, counted from 1; 0 if it was not
    pending: Any  # int32 (G,): neurons without connections
    moment: Any  # float32 (G,): sum of the squares of `usual` over the sections that end here
    order: Any  # int32 (H,): the hidden blocks in the order of processing
    # sources
    fan: Any  # int32 (G * 128, F): sections of each source, -1 behind the last
    goal: Any  # int32 (G * 128, F): the blocks where they end
    wired: Any  # int8 (G * 128,): targets drawn so far; WIRED when it has its connections
    # sections
    weights: Any  # float32 (S, 128)
    source: Any  # int32 (S,): -1 when free
    pin: Any  # float32 (S,): what the source sent in the row its block is pinned to
    born: Any  # int64 (S,): cycle in which it was made
    spare: Any  # int32 (S,): numbers of freed sections
    # what ends in each block in this cycle
    live: Any  # int32 (G, 512)
    value: Any  # float32 (G, 512)
    count: Any  # int32 (G,)
    tilt: Any  # float32 (G,): sum of `value * usual`
    # inputs
    seen: (
        Any  # float64 (G * 128, 4): values that were not zero, their sum, that of their squares, first cycle
    )
    norm: Any  # float64 (G * 128, 2): centre and scale
    dense: Any  # int8 (G * 128,): whether zero is a value like any other
    # outputs
    slots: Any  # int32 (O, K): blocks an output hexagon reads
    used: Any  # int32 (O,): number of slots used
    width: Any  # int32 (O,): number of output neurons
    row: Any  # int32 (O,): the first of them in `synapses`
    mask: Any  # float32 (O, K * 128): 1 where a source is connected
    sight: Any  # float32 (O, K * 128): what an output hexagon reads in this cycle
    lean: Any  # float32 (O,): sum of `sight * usual`
    level: Any  # float32 (O,): sum of the squares of `usual` over what it reads
    synapses: Any  # float32 (rows, K * 128): one row for each output neuron
    threshold: Any  # float32 (rows,)
    swing: Any  # float32 (rows,): what `drift` is to a block
    error: Any  # float32 (rows,): expected minus answered in this cycle
    place: Any  # int32 (rows,): where a row of `synapses` begins, counted in blocks
    # template
    chance: Any  # float32 (nodes, nodes)
    leads: Any  # bool (nodes, O)
    sends: Any  # bool (nodes,): whether some target of a node is a hidden hexagon
    inputs: Any  # int64 (1,): number of input nodes
    direct: Any  # bool (nodes,): whether some target of a node is an output
    hears: Any  # bool (nodes,): whether some hidden hexagon sends to a node


class Rows(NamedTuple):
    """Some rows of a dataset: the values of the inputs that are not zero, what is expected, the answers."""

    step: Any  # int: 1 if a row ends where the next one begins, 2 if `start` holds both places
    start: Any  # int64 (inputs, ...): where each row of each input begins and ends
    source: Any  # int32
    value: Any  # float32
    taught: Any  # bool (O,): outputs for which something is expected
    expected: Any  # float32 (rows, width of all outputs)
    answer: Any  # float32 (rows, width of all outputs)


# Numba reads its own tables when it first loads a kernel; done here, the first training does not wait for it.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()

_inner = functools.partial(nb.njit, nogil=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""For what only other kernels call; half of the time a kernel takes to compile is the way in from Python."""


# ---- sums


@_inner(fastmath=FAST)
def _product(a: Any, b: Any, size: int) -> float:
    """Return the scalar product of two rows."""
    total = np.float32(0)
    for j in range(size):
        total += a[j] * b[j]
    return total


# ---- rows of data


def gather(
    table: Any,
    first: int,
    rows: int,
    sources: Any,
    flat: bool,
    dense: Any,
    start: Any,
    source: Any,
    value: Any,
    at: int,
) -> int:
    """Write the values of ``rows`` windows that are not zero, and those of dense columns, behind ``at``.

    ``sources[k, c]`` is the source of column ``c`` of the ``k``-th row of a window; ``flat`` says that each
    row of the table holds a whole window.
    """
    length, columns = sources.shape
    some_dense = False
    for k in range(length):
        for c in range(columns):
            some_dense |= dense[sources[k, c]] != 0
    start[0] = at
    for r in range(rows):
        for k in range(length):
            line = table[first + r] if flat else table[first + r + k]
            offset = k * columns if flat else 0
            end = min(columns, line.shape[0] - offset)
            for c in range(0, end, 8):
                if not some_dense and c + 8 <= end:
                    zero = True
                    for i in range(8):
                        zero &= line[np.uintp(offset + c + i)] == 0
                    if zero:
                        continue
                for i in range(c, min(c + 8, end)):
                    x = np.float32(line[np.uintp(offset + i)])
                    source[np.uintp(at)] = sources[k, i]
                    value[np.uintp(at)] = x
                    at += x != 0
                    if some_dense:
                        at += (x == 0) & (dense[sources[k, i]] != 0)
        start[r + 1] = at
    return at


def find_bad(table: Any) -> int:
    """Return the place of the first value that is not finite, counted along the rows, or -1."""
    for r in range(table.shape[0]):
        bad = 0
        for c in range(table.shape[1]):
            bad += not abs(table[r, c]) <= np.float32(3.4028235e38)
        if bad:
            for c in range(table.shape[1]):
                if not abs(table[r, c]) <= np.float32(3.4028235e38):
                    return int(r * table.shape[1] + c)
    return -1


# ---- growth


@nb.njit(inline="always")
def _random(state: Any) -> float:
    """Return the next number of the cluster's own sequence, uniform in 0..1 (splitmix64)."""
    state[RANDOM] += np.int64(-7046029254386353131)
    z = np.uint64(state[RANDOM])
    z = (z ^ (z >> np.uint64(30))) * np.uint64(13787848793156543929)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(10723151780598845931)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@_inner()
def _reaches(goal: Any, source: int, block: int) -> bool:
    """Return whether a source has a section in a block."""
    for f in range(goal.shape[1]):
        if goal[source, f] == block:
            return True
    return False


@_inner()
def _slot(net: Net, o: int, block: int) -> int:
    """Return where an output hexagon reads a block, -1 if it does not."""
    for k in range(net.used[o]):
        if net.slots[o, k] == block:
            return k
    return -1


@_inner()
def _spent(net: Net, source: int) -> bool:
    """Return whether a source has as many sections as it can have."""
    return bool(net.fan[source, net.fan.shape[1] - 1] >= 0)


@_inner()
def _full(net: Net) -> bool:
    """Return whether no section is left to be given away."""
    return bool(net.state[SECTIONS_FREE] == 0 and net.state[SECTIONS_MADE] == net.weights.shape[0])


@_inner()
def _add_section(net: Net, source: int, block: int, spread: float) -> int:
    """Give a source a section in a block, of which one is left (see `_full`); return its number."""
    state = net.state
    if state[SECTIONS_FREE] > 0:
        state[SECTIONS_FREE] -= 1
        section = np.int64(net.spare[state[SECTIONS_FREE]])
    else:
        section = state[SECTIONS_MADE]
        state[SECTIONS_MADE] += 1
    usual = net.usual[source // BLOCK, source % BLOCK]
    net.room[block] -= 1
    net.moment[block] += usual * usual
    net.source[section] = source
    net.born[section] = state[CYCLES]
    for j in range(BLOCK):
        net.weights[section, j] = (2 * _random(state) - 1) * spread + usual * net.drift[block, j]
    f = 0
    while net.fan[source, f] >= 0:
        f += 1
    net.fan[source, f] = section
    net.goal[source, f] = block
    return section


@_inner()
def _connect(net: Net, source: int, target: int, spread: float) -> int:
    """Give a source a section in a hidden hexagon, or its synapses in an output hexagon."""
    state = net.state
    state[NEED_NODE] = target
    state[NEED_BLOCK] = source // BLOCK
    usual = net.usual[source // BLOCK, source % BLOCK]
    o = target - (net.chance.shape[0] - net.leads.shape[1])
    if o >= 0:
        k = _slot(net, o, source // BLOCK)
        if k < 0:
            return NEEDS_SLOT
        i = k * BLOCK + source % BLOCK
        if net.mask[o, i] == 0:
            net.mask[o, i] = 1
            net.level[o] += usual * usual
            for row in range(net.row[o], net.row[o] + net.width[o]):
                net.synapses[row, i] = SEED + usual * net.swing[row]
        return DONE
    if _spent(net, source):
        return DONE
    free = 0
    fitting = 0
    for b in net.order:
        if net.node[b] == target and not net.pinned[b]:
            free += net.room[b]
            if not _reaches(net.goal, source, np.int64(b)):
                fitting += net.room[b]
    if free < SECTIONS // 2 or fitting == 0:
        return NEEDS_BLOCK
    if _full(net):
        return NEEDS_SECTIONS
    ticket = np.int64(_random(state) * fitting)
    block = np.int64(-1)
    for b in net.order:
        fits = net.node[b] == target and not net.pinned[b]
        if ticket >= 0 and fits and not _reaches(net.goal, source, np.int64(b)):
            ticket -= net.room[b]
            block = b
    _add_section(net, source, block, spread)
    return DONE


@_inner()
def _covers(net: Net, source: int, o: int) -> bool:
    """Return whether what a source sends can reach an output."""
    for f in range(net.fan.shape[1]):
        if net.fan[source, f] >= 0 and net.leads[net.node[net.goal[source, f]], o]:
            return True
    k = _slot(net, o, source // BLOCK)
    return k >= 0 and net.mask[o, k * BLOCK + source % BLOCK] > 0


@_inner()
def _draw(net: Net, source: int, o: int) -> int:
    """Draw a target for a source, one on the way to output ``o`` unless that is -1; -1 if there is none."""
    chance = net.chance[net.node[source // BLOCK]]
    total = 0.0
    for t in range(chance.shape[0]):
        if o < 0 or net.leads[t, o]:
            total += chance[t]
    ticket = _random(net.state) * total
    drawn = -1
    for t in range(chance.shape[0]):
        if ticket >= 0 and chance[t] > 0 and (o < 0 or net.leads[t, o]):
            drawn = t
            ticket -= chance[t]
    return drawn


@_inner()
def _wire(net: Net, source: int, energy: float) -> int:
    """Connect a source that is active for the first time, so that it reaches every output it can."""
    spread = np.sqrt(3 * GAIN / energy)
    node = net.node[source // BLOCK]
    outputs = net.leads.shape[1]
    for o in range(-DRAWS, outputs):
        if o < 0 and net.wired[source] >= DRAWS + o + 1:
            continue
        if o >= 0 and (not net.leads[node, o] or _covers(net, source, o)):
            continue
        target = _draw(net, source, max(o, -1))
        if target >= 0:
            code = _connect(net, source, target, spread)
            if code != DONE:
                return code
        if o < 0:
            net.wired[source] += 1
    net.wired[source] = WIRED
    net.pending[source // BLOCK] -= 1
    return DONE


@nb.njit(inline="always")
def _complete(net: Net, rows: Rows, r: int) -> bool:
    """Return whether every source that is active, or was in the cycle before, has its connections."""
    missing = False
    for h in range(rows.start.shape[0]):
        for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
            missing |= net.wired[np.uintp(rows.source[np.uintp(e)])] != WIRED
    if missing:
        return False
    for b in net.order:
        if net.pending[b] > 0:
            for j in range(BLOCK):
                if net.act[b, j] > 0 and net.wired[b * BLOCK + j] != WIRED:
                    return False
    return True


@_inner()
def _grow(net: Net, rows: Rows, r: int) -> int:
    """Connect the inputs active for the first time in this row and the hidden neurons that just were."""
    for b in net.order:
        if net.pending[b] > 0:
            energy = 1.0
            for other in net.order:
                if net.node[other] == net.node[b]:
                    for j in range(BLOCK):
                        energy += net.act[other, j] * net.act[other, j]
            for j in range(BLOCK):
                if net.act[b, j] > 0 and net.wired[b * BLOCK + j] != WIRED:
                    code = _wire(net, np.int64(b) * BLOCK + j, energy)
                    if code != DONE:
                        return code
    energy = 1.0
    for h in range(rows.start.shape[0]):
        energy += rows.start[h, rows.step * r + 1] - rows.start[h, rows.step * r]
    for h in range(rows.start.shape[0]):
        for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
            s = np.int64(rows.source[e])
            if net.wired[s] != WIRED:
                if net.norm[s, 1] == 0:
                    net.norm[s, 1] = 1 / max(abs(np.float64(rows.value[e])), 1e-30)
                    net.seen[s, 3] = _observed(net.state[CYCLES])
                code = _wire(net, s, energy)
                if code != DONE:
                    return code
    return DONE


# ---- blocks pinned to rows


@_inner()
def _novel(net: Net, rows: Rows, r: int) -> bool:
    """Return whether a row is unlike every row that a block is pinned to."""
    far, common = net.tilt, net.count
    novel = False
    for h in range(rows.start.shape[0]):
        for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
            s = np.int64(rows.source[e])
            novel = True
            for f in range(net.fan.shape[1]):
                if net.fan[s, f] >= 0 and net.pinned[net.goal[s, f]]:
                    off = (np.float64(rows.value[e]) - net.pin[net.fan[s, f]]) * net.norm[s, 1]
                    far[net.goal[s, f]] += off * off
                    common[net.goal[s, f]] += 1
    for b in net.order:
        novel &= not net.pinned[b] or far[b] > APART * common[b]
        far[b] = common[b] = 0
    return novel


@_inner()
def _pinning(net: Net) -> int:
    """Return the block that is being pinned to the row at hand, -1 if none is."""
    for b in net.order:
        if net.pinned[b] == net.state[CYCLES] + 1:
            return np.int64(b)
    return -1


@_inner()
def _pin(net: Net, rows: Rows, r: int) -> int:
    """Give a block of its own to a row: its neurons are just about to fire there, whatever their weights.

    What a block answers then turns at a value the data has, and not somewhere between two of them.
    """
    state = net.state
    inputs = rows.start.shape[0]
    target = -1
    energy = 1.0
    for h in range(inputs):
        energy += rows.start[h, rows.step * r + 1] - rows.start[h, rows.step * r]
    block = _pinning(net)
    if block < 0:
        before = state[RANDOM]
        ticket = np.int64(_random(state) * (energy - 1))
        for h in range(inputs):
            first, last = rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]
            if 0 <= ticket < last - first:
                target = _draw(net, np.int64(rows.source[first + ticket]), -1)
            ticket -= last - first
        for b in net.order:
            if block < 0 and net.node[b] == target and net.room[b] == SECTIONS and not net.pinned[b]:
                block = np.int64(b)
        if target < 0 or target >= net.chance.shape[0] - net.leads.shape[1]:
            state[PINS] += 1
            return DONE
        if block < 0:
            state[NEED_NODE], state[RANDOM] = target, before
            return NEEDS_BLOCK
        net.pinned[block] = state[CYCLES] + 1
    for h in range(inputs):
        if net.chance[h, net.node[block]] > 0:
            for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
                s = np.int64(rows.source[e])
                if net.room[block] == 0 or _reaches(net.goal, s, block) or _spent(net, s):
                    continue
                if _full(net):
                    return NEEDS_SECTIONS
                section = _add_section(net, s, block, np.sqrt(3 * GAIN / energy))
                net.pin[section] = rows.value[e]
                x = (np.float64(rows.value[e]) - net.norm[s, 0]) * net.norm[s, 1]
                usual = net.usual[s // BLOCK, s % BLOCK]
                for j in range(BLOCK):
                    drawn = net.weights[section, j] - usual * net.drift[block, j]
                    net.bias[block, j] -= drawn * x
    state[PINS] += 1
    return DONE


# ---- what is usual


@nb.njit(inline="always")
def _observed(cycle: int) -> int:
    """Return in how many of the cycles before this one the neurons were observed: all at first, then some."""
    return cycle if cycle < 1024 else 1024 + (cycle - 1024 + 7) // 8


@_inner()
def _observe(net: Net, rows: Rows, r: int) -> None:
    """Take note of what the inputs bring and what the hidden neurons send."""
    for h in range(rows.start.shape[0]):
        for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
            x = np.float64(rows.value[e])
            seen = net.seen[rows.source[e]]
            seen[0] += x != 0
            seen[1] += x
            seen[2] += x * x
    for b in net.order:
        total = net.total[b]
        a = net.act[b]
        for j in range(BLOCK):
            total[j] += a[j]


@_inner()
def _renorm(net: Net, s: int, centre: float, scale: float, usual: float) -> None:
    """Change how an input is normalised, and its usual value, without changing what the network answers.

    An input that came only some times has learned little, and its first values say little about its range:
    it keeps its weights as they were drawn.
    """
    b, place = s // BLOCK, s % BLOCK
    old = net.usual[b, place]
    shift, ratio = np.float32(0), np.float32(1)
    if net.seen[s, 0] > TRUSTED:
        shift = np.float32(net.norm[s, 1] * (centre - net.norm[s, 0]))
        ratio = np.float32(net.norm[s, 1] / scale)
    new = np.float32(usual)
    for f in range(net.fan.shape[1]):
        if net.fan[s, f] >= 0:
            goal = net.goal[s, f]
            w, bias, drift = net.weights[net.fan[s, f]], net.bias[goal], net.drift[goal]
            net.moment[goal] += new * new - old * old
            for j in range(BLOCK):
                if w[j] != 0:
                    effect = w[j] - old * drift[j]
                    bias[j] += shift * effect
                    w[j] = ratio * effect + new * drift[j]
    for o in range(net.used.shape[0]):
        k = _slot(net, o, b)
        if k >= 0 and net.mask[o, k * BLOCK + place] > 0:
            net.level[o] += new * new - old * old
            for row in range(net.row[o], net.row[o] + net.width[o]):
                w1 = net.synapses[row, k * BLOCK + place]
                if w1 != 0:
                    effect = w1 - old * net.swing[row]
                    net.threshold[row] += shift * effect
                    net.synapses[row, k * BLOCK + place] = ratio * effect + new * net.swing[row]
    net.norm[s, 0] = centre
    net.norm[s, 1] = scale
    net.usual[b, place] = new


@_inner()
def _refit(net: Net, inputs: int, cycles: int) -> None:
    """Fit centre, scale and usual value of every source to what was observed; ``cycles`` were, of `total`."""
    _settle(net)
    now = _observed(net.state[CYCLES])
    for s in range(net.norm.shape[0]):
        if net.node[s // BLOCK] >= inputs:
            _renorm(net, s, 0.0, 1.0, net.total[s // BLOCK, s % BLOCK] / cycles)
            net.total[s // BLOCK, s % BLOCK] = 0
        elif net.seen[s, 0] > 0:
            count = max(now - net.seen[s, 3], net.seen[s, 0])
            mean = net.seen[s, 1] / count
            square = net.seen[s, 2]
            centre, scale = 0.0, 1 / np.sqrt(square / net.seen[s, 0])
            net.dense[s] = net.seen[s, 0] >= 0.9 * count
            if net.dense[s]:
                centre = mean
                variance = square / count - mean * mean
                if variance > 1e-12 * square / count:
                    scale = 1 / np.sqrt(variance)
            _renorm(net, s, centre, scale, (mean - centre) * scale)


@_inner()
def _settle(net: Net) -> None:
    """Put the drift of every neuron into its synapses."""
    for s in range(net.fan.shape[0]):
        usual = net.usual[s // BLOCK, s % BLOCK]
        for f in range(net.fan.shape[1]):
            if net.fan[s, f] >= 0:
                w, drift = net.weights[net.fan[s, f]], net.drift[net.goal[s, f]]
                for j in range(BLOCK):
                    w[j] -= usual * drift[j] if w[j] != 0 else np.float32(0)
    net.drift[:] = 0
    for o in range(net.used.shape[0]):
        for k in range(net.used[o]):
            common = net.usual[net.slots[o, k]]
            for row in range(net.row[o], net.row[o] + net.width[o]):
                w = net.synapses[row]
                for j in range(BLOCK):
                    if w[k * BLOCK + j] != 0:
                        w[k * BLOCK + j] -= common[j] * net.swing[row]
    net.swing[:] = 0


# ---- forward


@nb.njit(inline="always")
def _spread(net: Net, s: Any, x: float) -> None:
    """Put what a source sends before every block it has a section in."""
    lean = x * net.usual[s // np.uintp(BLOCK), s % np.uintp(BLOCK)]
    for f in range(net.fan.shape[1]):
        section = net.fan[s, np.uintp(f)]
        if section < 0:
            break
        b = np.uintp(net.goal[s, np.uintp(f)])
        n = np.uintp(net.count[b])
        net.live[b, n] = section
        net.value[b, n] = x
        net.count[b] = n + np.uintp(1)
        net.tilt[b] += lean


@_inner()
def _linger(net: Net, b: int) -> None:
    """Add what is left of the potentials of a block, and silence the neurons that have to rest."""
    a, p, rest = net.act[b], net.potential[b], net.rest[b]
    keep = net.keep[0]
    silence = net.state[REFRACTORY] - 1
    for j in range(BLOCK):
        a[j] += keep * p[j]
        p[j] = a[j]
        if rest[j] > 0:
            rest[j] -= 1
            a[j] = 0
        elif a[j] > 0:
            rest[j] = silence


@nb.njit(inline="always")
def _forward(net: Net, rows: Rows, r: int, learn: bool) -> None:
    """Carry one row from the inputs to the answers."""
    for h in range(rows.start.shape[0]):
        for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
            s = np.uintp(rows.source[np.uintp(e)])
            x = (np.float64(rows.value[np.uintp(e)]) - net.norm[s, 0]) * net.norm[s, 1]
            if learn and abs(x) > LIMIT:
                ratio = LIMIT / abs(x)
                usual = net.usual[s // np.uintp(BLOCK), s % np.uintp(BLOCK)]
                _renorm(net, np.int64(s), net.norm[s, 0], net.norm[s, 1] * ratio, usual * ratio)
                x *= ratio
            _spread(net, s, np.float32(x))
            if net.direct[h]:
                net.act[s // np.uintp(BLOCK), s % np.uintp(BLOCK)] = x
    lingers = net.keep[0] > 0 or net.state[REFRACTORY] > 1
    for b in net.order:
        a, drift, tilt = net.act[b], net.drift[b], net.tilt[b]
        add_rows(a, net.bias[b], net.weights, net.live[b], net.value[b], net.count[b])
        if lingers:
            for j in range(BLOCK):
                a[j] -= tilt * drift[j]
            _linger(net, b)
            for j in range(BLOCK):
                a[j] = max(a[j], np.float32(0))
        else:
            for j in range(BLOCK):
                a[j] = max(a[j] - tilt * drift[j], np.float32(0))
        if net.sends[net.node[b]]:
            for j in range(BLOCK):
                if a[j] > 0:
                    _spread(net, np.uintp(b * BLOCK + j), a[j])
    answer = rows.answer[r]
    for o in range(net.used.shape[0]):
        sight, mask = net.sight[o], net.mask[o]
        lean = np.float32(0)
        for k in range(net.used[o]):
            a = net.act[net.slots[o, k]]
            for j in range(BLOCK):
                sight[k * BLOCK + j] = a[j] * mask[k * BLOCK + j]
            lean += _product(sight[k * BLOCK :], net.usual[net.slots[o, k]], BLOCK)
        net.lean[o] = lean
        first, last = net.row[o], net.row[o] + net.width[o]
        weigh_rows(answer[first:], sight, net.synapses[first:], net.place, net.width[o], net.used[o])
        for row in range(first, last):
            answer[row] += net.threshold[row] - lean * net.swing[row]
    for i in range(answer.shape[0]):
        answer[i] = np.float32(1) / (np.float32(1) + np.exp(-answer[i]))


# ---- backward


@nb.njit(inline="always")
def _urgency(net: Net, rows: Rows, r: int) -> float:
    """Return the factor by which the rate of this row is raised, 0 to leave the row out.

    Small errors are taken up as seldom as they are small, then with the weight of a larger one.
    """
    negligible = NEGLIGIBLE_FEW if net.state[PINS_MOST] else NEGLIGIBLE
    largest = np.float32(0)
    for o in range(net.used.shape[0]):
        if rows.taught[o]:
            for i in range(net.row[o], net.row[o] + net.width[o]):
                largest = max(largest, abs(rows.expected[r, i] - rows.answer[r, i]))
    if largest >= negligible:
        return 1.0
    return negligible / largest if _random(net.state) * negligible < largest else 0.0


@nb.njit(inline="always")
def _backward(net: Net, rows: Rows, r: int, rate: float) -> None:
    """Let the errors of one row flow back and change the synapses they come by."""
    inputs = rows.start.shape[0]
    reduce = net.state[REDUCE] != 0
    for b in net.order:
        d = net.delta[b]
        for j in range(BLOCK):
            d[j] = 0
    for o in range(net.used.shape[0]):
        if not rows.taught[o]:
            continue
        size = net.used[o] * BLOCK
        sight = net.sight[o]
        energy = 1 + _product(sight, sight, size)
        energy = max(energy + net.level[o] - 2 * net.lean[o], np.float32(1))
        step = np.float32(RATE_OUTPUT * rate) / energy
        level = 1 + net.level[o] - net.lean[o]
        swing = np.float32(0)
        first, number = net.row[o], net.width[o]
        error = net.error[first:]
        for i in range(number):
            error[i] = rows.expected[r, first + i] - rows.answer[r, first + i]
            swing += error[i] * net.swing[first + i]
            net.swing[first + i] += step * error[i]
            net.threshold[first + i] += step * error[i] * level
        for j in range(size):
            sight[j] *= step
        for k in range(net.used[o]):
            d, usual = net.delta[net.slots[o, k]], net.usual[net.slots[o, k]]
            part, seen = net.synapses[first:, k * BLOCK :], sight[k * BLOCK :]
            if reduce:
                add_rows(d, d, part, net.place, error, number)
                for i in range(number):
                    for j in range(BLOCK):
                        part[i, j] += error[i] * seen[j] if part[i, j] != 0 else np.float32(0)
            else:
                pass_rows(d, seen, part, net.place, error, number)
            for j in range(BLOCK):
                d[j] -= swing * usual[j]
    for n in range(net.order.shape[0] - 1, -1, -1):
        b = net.order[n]
        a, d, bias, drift = net.act[b], net.delta[b], net.bias[b], net.drift[b]
        live, value = net.live[b], net.value[b]
        energy = 1 + _product(value, value, net.count[b])
        energy = max(energy + net.moment[b] - 2 * net.tilt[b], np.float32(1))
        step = np.float32(RATE_HIDDEN * rate) / energy
        level = 1 + net.moment[b] - net.tilt[b]
        if net.hears[net.node[b]]:
            for j in range(BLOCK):
                d[j] = d[j] if a[j] > 0 else np.float32(0)
            _send_back(net, b, inputs)
        for j in range(BLOCK):
            d[j] = d[j] * step if a[j] > 0 else np.float32(0)
            bias[j] += level * d[j]
            drift[j] += d[j]
        if reduce:
            for i in range(net.count[b]):
                w, x = net.weights[live[i]], value[i]
                for j in range(BLOCK):
                    w[j] += x * d[j] if w[j] != 0 else np.float32(0)
        else:
            change_rows(d, net.weights, live, value, net.count[b])


@nb.njit(inline="always")
def _send_back(net: Net, b: int, inputs: int) -> None:
    """Give the hidden neurons that send to a block their share of its error."""
    d = net.delta[b]
    drift = net.drift[b]
    swing = np.float32(0)
    known = False
    for i in range(net.count[b]):
        s = net.source[net.live[b, i]]
        if net.node[s // BLOCK] >= inputs:
            if not known:
                swing = _product(d, drift, BLOCK)
                known = True
            back = _product(net.weights[net.live[b, i]], d, BLOCK)
            net.delta[s // BLOCK, s % BLOCK] += back - swing * net.usual[s // BLOCK, s % BLOCK]


# ---- reduction


@_inner()
def _reduce(net: Net) -> None:
    """Let weak synapses fade, remove those that are gone, and free sections without synapses."""
    _settle(net)
    state = net.state
    usual = np.zeros(net.node.shape[0], np.float64)
    number = np.zeros(net.node.shape[0], np.int64)
    for s in range(net.fan.shape[0]):
        for f in range(net.fan.shape[1]):
            if net.fan[s, f] >= 0:
                w = net.weights[net.fan[s, f]]
                for j in range(BLOCK):
                    usual[net.goal[s, f]] += w[j] * w[j]
                    number[net.goal[s, f]] += w[j] != 0
    for s in range(net.fan.shape[0]):
        f = 0
        while f < net.fan.shape[1] and net.fan[s, f] >= 0:
            section, goal = net.fan[s, f], net.goal[s, f]
            f += 1
            if state[CYCLES] - net.born[section] < INFANCY:
                continue
            strength = np.sqrt(usual[goal] / max(number[goal], 1))
            if _fade(net.weights[section], 0, BLOCK, strength) == 0:
                f -= 1
                _release(net, s, f)
    for row in range(net.synapses.shape[0] if state[CYCLES] >= INFANCY else 0):
        w = net.synapses[row]
        square = 0.0
        alive = 0
        for j in range(w.shape[0]):
            square += w[j] * w[j]
            alive += w[j] != 0
        _fade(w, 0, w.shape[0], np.sqrt(square / max(alive, 1)))


@_inner()
def _fade(w: Any, first: int, last: int, strength: float) -> int:
    """Weaken the weak among some synapses; return how many are left."""
    alive = 0
    for j in range(first, last):
        size = abs(w[j])
        if size < GONE * strength:
            w[j] = 0
        elif size < FAINT * strength:
            w[j] *= np.float32(0.7)
        alive += w[j] != 0
    return alive


@_inner()
def _release(net: Net, s: int, f: int) -> None:
    """Free a section of a source; a source without any may connect anew."""
    state = net.state
    section, goal = net.fan[s, f], net.goal[s, f]
    last = net.fan.shape[1] - 1
    for g in range(f, last):
        net.fan[s, g], net.goal[s, g] = net.fan[s, g + 1], net.goal[s, g + 1]
    net.fan[s, last] = net.goal[s, last] = -1
    usual = net.usual[s // BLOCK, s % BLOCK]
    net.moment[goal] -= usual * usual
    net.room[goal] += 1
    net.source[section] = -1
    net.spare[state[SECTIONS_FREE]] = section
    state[SECTIONS_FREE] += 1
    if net.fan[s, 0] < 0 and net.wired[s] == WIRED:
        net.wired[s] = 0
        net.pending[s // BLOCK] += 1


# ---- runs over rows


@nb.njit(inline="always")
def _clear(net: Net, rows: Rows, r: int) -> None:
    """Forget what one row left in the lists and in the inputs."""
    for b in net.order:
        net.count[b] = 0
        net.tilt[b] = 0
    for h in range(rows.start.shape[0]):
        if net.direct[h]:
            for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
                net.act[rows.source[e] // BLOCK, rows.source[e] % BLOCK] = 0


@nb.njit(nogil=True, cache=True)
def run(net: Net, rows: Rows, memory: Rows, first: int, last: int, learn: bool) -> tuple[int, int]:
    """Train on rows ``first`` to ``last``, or only answer them; return why it ended and at which row."""
    state = net.state
    recalls = learn and net.keep[0] == 0 and state[REFRACTORY] == 1
    least = np.float32(RECALL_FEW if state[PINS_MOST] else RECALL)
    for r in range(first, last):
        if learn and not _complete(net, rows, r):
            code = _grow(net, rows, r)
            if code != DONE:
                return code, r
        if learn and state[PINS] < state[PINS_MOST] and state[CYCLES] >= TRUSTED:
            code = _pin(net, rows, r) if _pinning(net) >= 0 or _novel(net, rows, r) else DONE
            if code != DONE:
                return code, r
        for turn in range(2):
            now, at = rows, r
            if turn == 1:
                known = min(state[MET], memory.answer.shape[0])
                if not recalls or known == 0 or _random(state) >= max(net.regret[0], least):
                    break
                now, at = memory, np.int64(_random(state) * known)
            _forward(net, now, at, learn)
            if learn:
                if turn == 0 and (state[CYCLES] < 1024 or state[CYCLES] % 8 == 0):
                    _observe(net, rows, r)
                urgency = _urgency(net, now, at)
                if urgency > 0:
                    fall = 1 - state[PASS_DONE] / state[PASS_LENGTH]
                    pace = (FALL + (1 - FALL) * fall) / np.sqrt(
                        1 + (state[CYCLES] - state[PASS_DONE]) / max(state[PASS_LENGTH], WEAR)
                    )
                    _backward(net, now, at, urgency * pace)
                if turn == 1:
                    net.regret[0] += np.float32(0.02) * (np.float32(urgency > 0) - net.regret[0])
            _clear(net, now, at)
        if recalls:
            _remember(state, memory, rows, r)
        if learn:
            _count(net, rows.start.shape[0])
    return DONE, last


@_inner()
def _remember(state: Any, memory: Rows, rows: Rows, r: int) -> None:
    """Keep some rows, each of all that came with the same chance, to learn them again between others."""
    size = memory.answer.shape[0]
    state[MET] += 1
    place = state[MET] - 1
    if place >= size:
        place = np.int64(_random(state) * state[MET])
        if place >= size:
            return
    at = memory.start[0, 2 * place]
    for h in range(rows.start.shape[0]):
        memory.start[h, 2 * place] = at
        for e in range(rows.start[h, rows.step * r], rows.start[h, rows.step * r + 1]):
            memory.source[at] = rows.source[e]
            memory.value[at] = rows.value[e]
            at += 1
        memory.start[h, 2 * place + 1] = at
    for i in range(memory.expected.shape[1]):
        memory.expected[place, i] = rows.expected[r, i]


@nb.njit(inline="always")
def _count(net: Net, inputs: int) -> None:
    """Count a cycle, and do what is due from time to time."""
    state = net.state
    state[CYCLES] += 1
    state[PASS_DONE] += 1
    cycle = state[CYCLES]
    if cycle >= 8 and cycle & (cycle - 1) == 0:
        _refit(net, inputs, _observed(cycle) - (_observed(cycle // 2) if cycle > 8 else 0))
    if state[REDUCE] and cycle % REDUCE_EVERY == 0:
        _reduce(net)
