"""The loops of a cluster, compiled by Numba: gathering rows, forward, backward, growth and reduction."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np
import numpy.typing as npt

BLOCK = 128
"""Neurons of a block, and synapses of a section."""

SECTIONS = 512
"""Sections that may end in one block."""

# Where the numbers of `Net.state` stand.
CYCLES, PASS_DONE, PASS_LENGTH, SECTIONS_MADE, SECTIONS_FREE, NEED_NODE, NEED_BLOCK, RANDOM, REFRACTORY = range(9)
(REDUCE,) = (9,)
STATE_SIZE = 16

# Why a run over rows ended.
DONE, NEEDS_BLOCK, NEEDS_SLOT, NEEDS_SECTIONS = range(4)

# Where the numbers of `Net.rates` stand.
(RATE_HIDDEN, RATE_OUTPUT, FALL, NEGLIGIBLE, GAIN, LIMIT, KEEP, RATE_DECAY) = range(8)
RATES_SIZE = 16

WIRED = 100
"""In `Net.wired`: this source has its connections."""

DRAWS = 2
"""Targets a source draws when it becomes active for the first time."""

LANES = 8
"""Sections added to a block at once."""

FAST = {"reassoc", "contract", "nsz", "arcp"}

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]


class Net(NamedTuple):
    """Everything a cluster is, as arrays. ``G`` blocks of 128 neurons, ``S`` sections, ``O`` outputs.

    A *source* is one neuron of an input or hidden hexagon; its number is ``block * 128 + place``.
    """

    state: Any  # int64, single numbers, see above
    rates: Any  # float64, settings of learning, see above
    # blocks of neurons
    act: Any  # float32 (G, 128): what each neuron sends in this cycle
    bias: Any  # float32 (G, 128)
    potential: Any  # float32 (G, 128): what remains of it is carried to the next cycle
    rest: Any  # int32 (G, 128): cycles until the neuron may fire again
    delta: Any  # float32 (G, 128): the error that came back
    node: Any  # int32 (G,): node of each block
    room: Any  # int32 (G,): sections that may still end here
    pending: Any  # int32 (G,): neurons without connections
    order: Any  # int32 (H,): the hidden blocks in the order of processing
    # sources
    fan: Any  # int32 (G * 128, F): sections of each source, -1 behind the last
    wired: Any  # int8 (G * 128,): targets drawn so far, WIRED when it has got its connections
    # sections
    weights: Any  # float32 (S, 128)
    source: Any  # int32 (S,): source of a section, -1 when free
    target: Any  # int32 (S,): block where it ends
    spare: Any  # int32 (S,): numbers of freed sections
    # sections that carry something in this cycle, by target block
    live: Any  # int32 (G, 512 + 8)
    value: Any  # float32 (G, 512 + 8)
    count: Any  # int32 (G,)
    energy: Any  # float32 (G,)
    # inputs
    seen: Any  # float64 (G * 128, 4): values that were not zero, their sum, that of their squares, first cycle
    centre: Any  # float64 (G * 128,)
    scale: Any  # float64 (G * 128,)
    dense: Any  # int8 (G * 128,): whether zero is a value like any other
    # outputs
    slots: Any  # int32 (O, K): blocks an output hexagon reads, -1 for none
    used: Any  # int32 (O,): number of slots used
    width: Any  # int32 (O,): number of output neurons
    begin: Any  # int32 (O,): first of them in a row of expected values
    row: Any  # int32 (O,): first row in `synapses`
    mask: Any  # float32 (O, K * 128): 1 where a source is connected
    sight: Any  # float32 (O, K * 128): what an output hexagon reads in this cycle
    synapses: Any  # float32 (rows, K * 128): one row for each output neuron
    threshold: Any  # float32 (rows,)
    # template
    chance: Any  # float32 (nodes, nodes)
    leads: Any  # bool (nodes, O)


class Rows(NamedTuple):
    """Some rows of a dataset: the values of the inputs that are not zero, what is expected, the answers."""

    start: Any  # int64 (inputs, rows + 1): where each row of each input begins
    source: Any  # int32
    value: Any  # float32
    expected: Any  # float32 (rows, width of all outputs)
    answer: Any  # float32 (rows, width of all outputs)


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _random(state: Any) -> float:
    """Return the next number of the cluster's own sequence, uniform in 0..1 (splitmix64)."""
    state[RANDOM] += np.int64(-7046029254386353131)
    z = np.uint64(state[RANDOM])
    z = (z ^ (z >> np.uint64(30))) * np.uint64(13787848793156543929)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(10723151780598845931)
    z = z ^ (z >> np.uint64(31))
    return np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


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

    ``sources[k, c]`` is the source of column ``c`` of the ``k``-th row of a window, -1 if it has none;
    ``flat`` says that each row of the table holds a whole window.
    """
    length, columns = sources.shape
    start[0] = at
    for r in range(rows):
        for k in range(length):
            line = table[first + r] if flat else table[first + r + k]
            offset = k * columns if flat else 0
            for c in range(min(columns, line.shape[0] - offset)):
                number = sources[k, c]
                x = np.float32(line[offset + c])
                source[at] = number
                value[at] = x
                if x != 0 or (number >= 0 and dense[number]):
                    at += number >= 0
        start[r + 1] = at
    return at


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _connect(net: Net, source: int, target: int, spread: float) -> int:
    """Give a source a section in a hidden hexagon, or its synapses in an output hexagon."""
    outputs = net.leads.shape[1]
    o = target - (net.chance.shape[0] - outputs)
    state = net.state
    state[NEED_NODE] = target
    state[NEED_BLOCK] = source // BLOCK
    if o >= 0:
        for k in range(net.used[o]):
            if net.slots[o, k] == source // BLOCK:
                net.mask[o, k * BLOCK + source % BLOCK] = 1
                return DONE
        return NEEDS_SLOT
    free = 0
    fitting = 0
    for b in net.order:
        if net.node[b] == target:
            free += net.room[b]
            if not _reaches(net, source, b):
                fitting += net.room[b]
    if free < SECTIONS // 2 or fitting == 0:
        return NEEDS_BLOCK
    if state[SECTIONS_FREE] > 0:
        state[SECTIONS_FREE] -= 1
        section = np.int64(net.spare[state[SECTIONS_FREE]])
    elif state[SECTIONS_MADE] < net.weights.shape[0]:
        section = state[SECTIONS_MADE]
        state[SECTIONS_MADE] += 1
    else:
        return NEEDS_SECTIONS
    ticket = np.int64(_random(state) * fitting)
    for b in net.order:
        if net.node[b] == target and not _reaches(net, source, b):
            ticket -= net.room[b]
            if ticket < 0:
                net.room[b] -= 1
                net.target[section] = b
                break
    net.source[section] = source
    for j in range(BLOCK):
        net.weights[section, j] = (2 * _random(state) - 1) * spread
    f = 0
    while net.fan[source, f] >= 0:
        f += 1
    net.fan[source, f] = section
    return DONE


@nb.njit(nogil=True, cache=True)
def _reaches(net: Net, source: int, block: int) -> bool:
    """Return whether a source has a section in a block."""
    for f in range(net.fan.shape[1]):
        section = net.fan[source, f]
        if section < 0:
            return False
        if net.target[section] == block:
            return True
    return False


@nb.njit(nogil=True, cache=True)
def _covers(net: Net, source: int, o: int) -> bool:
    """Return whether what a source sends can reach an output."""
    for f in range(net.fan.shape[1]):
        section = net.fan[source, f]
        if section < 0:
            break
        if net.leads[net.node[net.target[section]], o]:
            return True
    for k in range(net.used[o]):
        if net.slots[o, k] == source // BLOCK:
            return net.mask[o, k * BLOCK + source % BLOCK] > 0
    return False


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _draw(net: Net, source: int, o: int, spread: float) -> int:
    """Connect a source to a target drawn at random, one on the way to output ``o`` unless that is -1."""
    chance = net.chance[net.node[source // BLOCK]]
    total = 0.0
    for t in range(chance.shape[0]):
        if o < 0 or net.leads[t, o]:
            total += chance[t]
    ticket = _random(net.state) * total
    last = -1
    for t in range(chance.shape[0]):
        if chance[t] > 0 and (o < 0 or net.leads[t, o]):
            last = t
            ticket -= chance[t]
            if ticket < 0:
                break
    return _connect(net, source, last, spread) if last >= 0 else DONE


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _wire(net: Net, source: int, energy: float) -> int:
    """Connect a source that is active for the first time, so that it reaches every output it can."""
    spread = np.sqrt(3.0 * net.rates[GAIN] / energy)
    while net.wired[source] < DRAWS:
        code = _draw(net, source, -1, spread)
        if code != DONE:
            return code
        net.wired[source] += 1
    node = net.node[source // BLOCK]
    for o in range(net.leads.shape[1]):
        if net.leads[node, o] and not _covers(net, source, o):
            code = _draw(net, source, o, spread)
            if code != DONE:
                return code
    net.wired[source] = WIRED
    net.pending[source // BLOCK] -= 1
    return DONE


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _grow(net: Net, rows: Rows, r: int) -> int:
    """Connect the inputs active for the first time in this row and the hidden neurons that just were."""
    energy = 1.0
    for h in range(rows.start.shape[0]):
        energy += rows.start[h, r + 1] - rows.start[h, r]
    for h in range(rows.start.shape[0]):
        for e in range(rows.start[h, r], rows.start[h, r + 1]):
            s = rows.source[e]
            if net.wired[s] != WIRED:
                if net.scale[s] == 0:
                    net.scale[s] = 1 / max(abs(np.float64(rows.value[e])), 1e-30)
                    net.seen[s, 3] = net.state[CYCLES]
                code = _wire(net, s, energy)
                if code != DONE:
                    return code
    for b in net.order:
        if net.pending[b] > 0:
            for j in range(BLOCK):
                if net.act[b, j] > 0 and net.wired[b * BLOCK + j] != WIRED:
                    energy = 1.0
                    for other in net.order:
                        if net.node[other] == net.node[b]:
                            for i in range(BLOCK):
                                energy += net.act[other, i] * net.act[other, i]
                    code = _wire(net, b * BLOCK + j, energy)
                    if code != DONE:
                        return code
    return DONE


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _rescale(net: Net, s: int, centre: float, scale: float) -> None:
    """Change how the values of an input are normalised without changing what the network answers.

    An input that came only some times has learned little, and its first values say little about its range:
    it keeps its weights as they were drawn.
    """
    if net.seen[s, 0] > 64:
        shift = np.float32(net.scale[s] * (centre - net.centre[s]))
        ratio = np.float32(net.scale[s] / scale)
        b = s // BLOCK
        for f in range(net.fan.shape[1]):
            section = net.fan[s, f]
            if section < 0:
                break
            w = net.weights[section]
            bias = net.bias[net.target[section]]
            for j in range(BLOCK):
                bias[j] += shift * w[j]
                w[j] *= ratio
        for o in range(net.used.shape[0]):
            for k in range(net.used[o]):
                if net.slots[o, k] == b:
                    i = k * BLOCK + s % BLOCK
                    for row in range(net.row[o], net.row[o] + net.width[o]):
                        net.threshold[row] += shift * net.synapses[row, i]
                        net.synapses[row, i] *= ratio
    net.centre[s] = centre
    net.scale[s] = scale


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def refit(net: Net) -> None:
    """Fit centre and scale of every input to what has been seen of it."""
    for s in range(net.scale.shape[0]):
        count = net.seen[s, 0]
        if count == 0:
            continue
        cycles = net.state[CYCLES] - net.seen[s, 3]
        square = net.seen[s, 2]
        centre = 0.0
        scale = 1 / np.sqrt(square / count)
        net.dense[s] = count >= 0.9 * cycles
        if net.dense[s]:
            centre = net.seen[s, 1] / cycles
            variance = square / cycles - centre * centre
            if variance > 1e-12 * square / cycles:
                scale = 1 / np.sqrt(variance)
        _rescale(net, s, centre, scale)


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _spread(net: Net, s: int, x: float) -> None:
    """Put what a source sends before every block it has a section in."""
    for f in range(net.fan.shape[1]):
        section = net.fan[s, f]
        if section < 0:
            break
        b = net.target[section]
        n = net.count[b]
        net.live[b, n] = section
        net.value[b, n] = x
        net.count[b] = n + 1
        net.energy[b] += x * x


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _fire(net: Net, b: int, sends: bool) -> None:
    """Compute what the neurons of a block send in this cycle."""
    a = net.act[b]
    bias = net.bias[b]
    keep = np.float32(net.rates[KEEP])
    live = net.live[b]
    value = net.value[b]
    n = net.count[b]
    for i in range(n, n + (-n) % LANES):
        live[i] = 0
        value[i] = 0
    for j in range(BLOCK):
        a[j] = bias[j]
    if keep > 0:
        p = net.potential[b]
        for j in range(BLOCK):
            a[j] += keep * p[j]
    for i in range(0, n, LANES):
        w0, w1, w2, w3 = (
            net.weights[live[i]],
            net.weights[live[i + 1]],
            net.weights[live[i + 2]],
            net.weights[live[i + 3]],
        )
        w4, w5, w6, w7 = (
            net.weights[live[i + 4]],
            net.weights[live[i + 5]],
            net.weights[live[i + 6]],
            net.weights[live[i + 7]],
        )
        v0, v1, v2, v3 = value[i], value[i + 1], value[i + 2], value[i + 3]
        v4, v5, v6, v7 = value[i + 4], value[i + 5], value[i + 6], value[i + 7]
        for j in range(BLOCK):
            a[j] += (v0 * w0[j] + v1 * w1[j] + v2 * w2[j] + v3 * w3[j]) + (
                v4 * w4[j] + v5 * w5[j] + v6 * w6[j] + v7 * w7[j]
            )
    if keep > 0:
        p = net.potential[b]
        for j in range(BLOCK):
            p[j] = a[j]
    for j in range(BLOCK):
        a[j] = max(a[j], np.float32(0))
    silence = net.state[REFRACTORY] - 1
    if silence > 0:
        rest = net.rest[b]
        for j in range(BLOCK):
            if rest[j] > 0:
                rest[j] -= 1
                a[j] = 0
            elif a[j] > 0:
                rest[j] = silence
    if sends:
        for j in range(BLOCK):
            if a[j] > 0:
                _spread(net, b * BLOCK + j, a[j])


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _forward(net: Net, rows: Rows, r: int, learn: bool) -> None:
    """Carry one row from the inputs to the answers."""
    outputs = net.leads.shape[1]
    first_output = net.chance.shape[0] - outputs
    limit = net.rates[LIMIT]
    for h in range(rows.start.shape[0]):
        direct = net.chance[h, first_output:].any()
        for e in range(rows.start[h, r], rows.start[h, r + 1]):
            s = rows.source[e]
            x = np.float64(rows.value[e])
            if learn:
                net.seen[s, 0] += x != 0
                net.seen[s, 1] += x
                net.seen[s, 2] += x * x
            x = (x - net.centre[s]) * net.scale[s]
            if abs(x) > limit:
                if learn:
                    _rescale(net, s, net.centre[s], net.scale[s] * limit / abs(x))
                    x = limit if x > 0 else -limit
            _spread(net, s, np.float32(x))
            if direct:
                net.act[s // BLOCK, s % BLOCK] = x
    for b in net.order:
        _fire(net, b, net.chance[net.node[b], :first_output].any())
    for o in range(outputs):
        sight = net.sight[o]
        mask = net.mask[o]
        for k in range(net.used[o]):
            a = net.act[net.slots[o, k]]
            for j in range(BLOCK):
                sight[k * BLOCK + j] = a[j] * mask[k * BLOCK + j]
        size = net.used[o] * BLOCK
        for i in range(net.width[o]):
            w = net.synapses[net.row[o] + i]
            total = np.float32(0)
            for j in range(size):
                total += w[j] * sight[j]
            total += net.threshold[net.row[o] + i]
            rows.answer[r, net.begin[o] + i] = np.float32(1) / (np.float32(1) + np.exp(-total))


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def _backward(net: Net, rows: Rows, r: int, rate: float) -> None:
    """Let the errors of one row flow back and change the synapses they come by."""
    state = net.state
    inputs = rows.start.shape[0]
    largest = np.float32(0)
    for i in range(rows.expected.shape[1]):
        largest = max(largest, abs(rows.expected[r, i] - rows.answer[r, i]))
    negligible = net.rates[NEGLIGIBLE]
    if largest < negligible:
        # small errors are taken up as seldom as they are small, then with the weight of a larger one
        if _random(state) * negligible >= largest:
            return
        rate *= negligible / largest
    for b in net.order:
        net.delta[b, :] = 0
    for o in range(net.used.shape[0]):
        size = net.used[o] * BLOCK
        sight = net.sight[o]
        energy = np.float32(1)
        for j in range(size):
            energy += sight[j] * sight[j]
        step = np.float32(net.rates[RATE_OUTPUT] * rate / energy)
        for i in range(net.width[o]):
            w = net.synapses[net.row[o] + i]
            error = rows.expected[r, net.begin[o] + i] - rows.answer[r, net.begin[o] + i]
            change = step * error
            for k in range(net.used[o]):
                d = net.delta[net.slots[o, k]]
                for j in range(BLOCK):
                    d[j] += error * w[k * BLOCK + j]
            for j in range(size):
                w[j] += change * sight[j]
            net.threshold[net.row[o] + i] += change
    for n in range(net.order.shape[0] - 1, -1, -1):
        b = net.order[n]
        d = net.delta[b]
        a = net.act[b]
        bias = net.bias[b]
        step = np.float32(net.rates[RATE_HIDDEN] * rate / (net.energy[b] + 1))
        for j in range(BLOCK):
            d[j] = d[j] if a[j] > 0 else np.float32(0)
            bias[j] += step * d[j]
        for i in range(net.count[b]):
            section = net.live[b, i]
            w = net.weights[section]
            s = net.source[section]
            change = step * net.value[b, i]
            if net.node[s // BLOCK] >= inputs:
                back = np.float32(0)
                for j in range(BLOCK):
                    back += w[j] * d[j]
                net.delta[s // BLOCK, s % BLOCK] += back
            for j in range(BLOCK):
                w[j] += change * d[j]


@nb.njit(nogil=True, cache=True)
def _clear(net: Net, rows: Rows, r: int) -> None:
    """Forget what one row left in the lists and in the inputs."""
    for b in net.order:
        net.count[b] = 0
        net.energy[b] = 0
    for h in range(rows.start.shape[0]):
        if net.chance[h, net.chance.shape[0] - net.leads.shape[1] :].any():
            for e in range(rows.start[h, r], rows.start[h, r + 1]):
                net.act[rows.source[e] // BLOCK, rows.source[e] % BLOCK] = 0


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def train(net: Net, rows: Rows, first: int, last: int) -> tuple[int, int]:
    """Train on rows ``first`` to ``last``; return why it ended and at which row."""
    state = net.state
    rates = net.rates
    for r in range(first, last):
        code = _grow(net, rows, r)
        if code != DONE:
            return code, r
        _forward(net, rows, r, True)
        fall = 1 - state[PASS_DONE] / state[PASS_LENGTH]
        rate = (rates[FALL] + (1 - rates[FALL]) * fall) / np.sqrt(1 + state[CYCLES] * rates[RATE_DECAY])
        _backward(net, rows, r, rate)
        _clear(net, rows, r)
        state[CYCLES] += 1
        state[PASS_DONE] += 1
        cycle = state[CYCLES]
        if cycle >= 8 and cycle & (cycle - 1) == 0:
            refit(net)
    return DONE, last


@nb.njit(nogil=True, cache=True, fastmath=FAST)
def request(net: Net, rows: Rows, last: int) -> None:
    """Answer rows 0 to ``last``."""
    for r in range(last):
        _forward(net, rows, r, False)
        _clear(net, rows, r)
