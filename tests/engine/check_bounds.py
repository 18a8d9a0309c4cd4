"""Train random clusters on random data; run with NUMBA_BOUNDSCHECK=1, any index outside its array ends it.

Then forged snapshots of them, which are refused, or are clusters like any other.
"""

import itertools
import random as plain
import sys

import numpy as np

from hanami_jupyter.engine import Cluster
from tests.engine.forgery import forge

FORGERIES = int(sys.argv[1]) if len(sys.argv) > 1 else 12  # of each cluster

random, rng = np.random.default_rng(0), plain.Random(0)
GRID = list(itertools.product(range(3), range(3), range(2)))


def text():
    places = [GRID[i] for i in random.permutation(len(GRID))[: random.integers(2, 10)]]
    ends = [",".join(map(str, place)) for place in places]
    inputs = random.integers(1, max(2, len(places) // 2))
    outputs = random.integers(1, max(2, len(places) - inputs))
    return "\n".join(
        [
            "version: 1",
            "settings:",
            f"neuron_cooldown: {random.choice(['1.5', '100000000000.0'])}",
            f"refractory_time: {random.integers(1, 4)}",
            f"max_connection_distance: {random.integers(1, 4)}",
            f"enable_reduction: {random.choice(['true', 'false'])}",
            "hexagons:",
            *ends,
            "inputs:",
            *(f"in{n}: {ends[n]}" for n in range(inputs)),
            "outputs:",
            *(f"out{n}: {ends[-1 - n]}" for n in range(outputs)),
        ]
    )


taken = 0
for _ in range(25):
    cluster = Cluster.from_template(text(), seed=int(random.integers(1000)))
    for _ in range(3):
        rows, length = int(random.integers(1, 120)), int(random.integers(1, 4))
        x = {name: random.normal(0, 10, (rows, random.integers(1, 30))) for name in cluster.template.inputs}
        y = {name: random.random((rows, random.integers(1, 140))) for name in cluster.template.outputs}
        cluster.train(x, y, time_length=length)
        cluster.request(x, time_length=length)
        cluster = Cluster.from_bytes(cluster.to_bytes())
    snapshot = cluster.to_bytes()
    for _ in range(FORGERIES):
        try:
            forged = Cluster.from_bytes(forge(rng, snapshot))
        except ValueError:
            continue
        taken += 1
        forged.metrics()
        x = {name: random.normal(0, 10, (20, random.integers(1, 30))) for name in forged.template.inputs}
        y = {name: random.random((20, random.integers(1, 140))) for name in forged.template.outputs}
        for again in (x, {name: values[:5] for name, values in x.items()}):
            forged.request(again)
            forged.train(again, y)
assert 0.1 < taken / (25 * FORGERIES) < 0.6
