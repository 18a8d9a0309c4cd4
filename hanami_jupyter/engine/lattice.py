"""Which hexagon may send to which: the trellis a template spans, as small tables for the kernels."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hanami_jupyter.protocol.template import Position, Template, within


@dataclass(frozen=True)
class Lattice:
    """The nodes of a template and the draws between them.

    A hexagon that is input and output at once is two nodes, so that each node has one role. Nodes are
    numbered inputs first, then hidden hexagons in the order of processing, then outputs.

    Attributes
    ----------
    places : list of tuple
        The position of each node.
    inputs, outputs : dict of str to int
        The node of each named input and output.
    chance : ndarray of float32, shape (nodes, nodes)
        ``chance[a, b]`` is the probability that a neuron of ``a`` draws ``b`` as its target.
    leads : ndarray of bool, shape (nodes, outputs)
        Whether a path leads from a node to an output (a node of an output leads to itself).
    """

    places: list[Position]
    inputs: dict[str, int]
    outputs: dict[str, int]
    chance: npt.NDArray[np.float32]
    leads: npt.NDArray[np.bool_]

    @property
    def first_output(self) -> int:
        """The number of the first output node."""
        return len(self.places) - len(self.outputs)

    @classmethod
    def of(cls, template: Template) -> Lattice:
        """Lay out a template.

        Connections never close a circle: they lead away from the inputs, measured in steps along allowed
        connections, and the order of the template settles ties. Only what lies on the way from an input to
        an output takes part; every further step halves the chance of a target.
        """
        steps = template.settings.max_connection_distance
        fed, read = set(template.inputs.values()), set(template.outputs.values())
        known = set(template.hexagons)
        near = {a: within(a, steps, known) for a in template.hexagons}
        depth = _depths(near, fed, read)
        order = {place: number for number, place in enumerate(template.hexagons)}
        hidden = [place for place in template.hexagons if place not in fed | read and place in depth]
        hidden.sort(key=lambda place: (depth[place], order[place]))
        places = [*template.inputs.values(), *hidden, *template.outputs.values()]
        first_hidden, first_output = len(template.inputs), len(template.inputs) + len(hidden)
        chance = np.zeros((len(places), len(places)), np.float32)
        leads = np.zeros((len(places), len(template.outputs)), np.bool_)
        leads[first_output:] = np.eye(len(template.outputs), dtype=np.bool_)
        useful = [node >= first_output for node in range(len(places))]
        nodes: dict[Position, list[int]] = {}
        for b in range(first_hidden, len(places)):
            nodes.setdefault(places[b], []).append(b)
        for a in range(first_output - 1, -1, -1):
            for place, length in near[places[a]].items():
                for b in nodes.get(place, ()):
                    if b > a and useful[b]:
                        chance[a, b] = 0.5 ** min(length - 1, 60)
                        leads[a] |= leads[b]
                        useful[a] = True
        total = chance.sum(axis=1, keepdims=True)
        np.divide(chance, total, out=chance, where=total > 0)
        return cls(
            places,
            {name: node for node, name in enumerate(template.inputs)},
            {name: first_output + number for number, name in enumerate(template.outputs)},
            chance,
            leads,
        )


def _depths(
    near: dict[Position, dict[Position, int]], fed: set[Position], read: set[Position]
) -> dict[Position, int]:
    """Return the steps from the inputs to every hexagon that a signal can reach."""
    depth: dict[Position, int] = {}
    waiting = [(0, place) for place in sorted(fed)]
    while waiting:
        length, place = heapq.heappop(waiting)
        if place in depth:
            continue
        depth[place] = length
        if place in fed or place not in read:
            for other, step in near[place].items():
                heapq.heappush(waiting, (length + step, other))
    return depth
