"""How the engine's speed follows blocks, active inputs, outputs and clusters in parallel; with a plot."""

# ruff: noqa: D103
from __future__ import annotations

import functools
import sys
import time
from pathlib import Path

import numpy as np
from engine import in_parallel, spin

from hanami_jupyter.engine import Cluster, warm_up

OUTPUTS = 10
TEXT = """
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


def grown(columns: int, outputs: int = 10) -> Cluster:
    """Return a cluster in which every column has its connections."""
    cluster = Cluster.from_template(TEXT, seed=0)
    random = np.random.default_rng(0)
    x = random.random((20, columns), dtype=np.float32) + 0.1
    cluster.train(x, random.random((20, outputs), dtype=np.float32))
    return cluster


def rows(
    columns: int, active: int, outputs: int, number: int, patterns: int = 40
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows of some patterns, in each of which some columns are active, and coin flips as targets.

    The same pattern comes with other targets again and again, so that no row is ever known: every cycle
    learns, and learns a remembered row too.
    """
    random = np.random.default_rng(1)
    x = np.zeros((patterns, columns), np.float32)
    for line in x:
        line[random.permutation(columns)[:active]] = random.random(active) + 0.1
    return x[random.integers(0, patterns, number)], coins(random, number, outputs)


def coins(random: np.random.Generator, number: int, outputs: int) -> np.ndarray:
    return random.integers(0, 2, (number, outputs)).astype(np.float32)


def speeds(clusters: list[Cluster], tables: list[np.ndarray], outputs: int, turns: int = 16) -> list[float]:
    """Return the best cycles per second of processor time, taken in turns so that all meet the same noise."""
    random = np.random.default_rng(2)
    best = [np.inf] * len(clusters)
    for _ in range(turns):
        for i, (cluster, x) in enumerate(zip(clusters, tables, strict=True)):
            y = coins(random, len(x), outputs)
            began = time.thread_time()
            cluster.train(x, y)
            best[i] = min(best[i], time.thread_time() - began)
    return [len(x) / spent for x, spent in zip(tables, best, strict=True)]


def speed(cluster: Cluster, x: np.ndarray, y: np.ndarray) -> float:
    return speeds([cluster], [x], y.shape[1], turns=4)[0]


def caches() -> dict[str, int]:
    """Return the bytes of each cache of data, as the system tells them."""
    found = {}
    for cache in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (cache / "type").read_text().strip() != "Instruction":
            size = (cache / "size").read_text().strip()
            found["L" + (cache / "level").read_text().strip()] = int(size.rstrip("K")) * 1024
    return found


def by_blocks(narrow: bool) -> tuple[list[int], list[float]]:
    """Print synapse updates a second against hidden blocks; rows have 256 columns, or all there are.

    A cycle changes two sections of each active input and, for each output, a row of each block; the
    remembered row that is learned with each makes it twice the work. What a cycle touches: the sections of
    the columns that occur, the rows of the outputs, and seven arrays of each block.
    """
    grid = [256, 1024, 2048, 4096, 8192, 16384]
    clusters = [grown(columns) for columns in grid]
    tables = [rows(256 if narrow else columns, 100, OUTPUTS, 600)[0] for columns in grid]
    blocks, rates, touched = [], [], []
    for cluster, x, rate in zip(clusters, tables, speeds(clusters, tables, OUTPUTS), strict=True):
        size = int(cluster.metrics()["hexagons"][1]["number_of_blocks"])
        blocks.append(size)
        rates.append(2 * rate * (100 * 256 + size * 128 * OUTPUTS) / 1e9)
        touched.append(4 * 128 * (2 * np.count_nonzero(x.any(axis=0)) + (OUTPUTS + 7) * size))
        inside = [name for name, room in caches().items() if touched[-1] <= room]
        print(
            f"{size:4} blocks: {rate:9,.0f} cycles/s, {rates[-1]:.2f} G updates/s, working set "
            f"{touched[-1] / 1e6:5.2f} MB, fits {inside[0] if inside else 'no cache'}"
        )
    room = caches().get("L2", 0)
    judged = [rate for rate, size in zip(rates, touched, strict=True) if size <= room]
    if len(judged) > 1:
        print(
            f"within L2 ({room // 1024} KiB), {blocks[0]} to {blocks[len(judged) - 1]} blocks: the slowest "
            f"{100 * (1 - min(judged) / max(judged)):.0f} % below the fastest (bar: 20 %)"
        )
    return blocks, rates


def by_clusters() -> tuple[list[int], list[float]]:
    """Print the cycles a second of one and of two clusters, beside what a loop without memory gains."""
    x, y = rows(784, 150, 10, 4000)
    clusters = [grown(784) for _ in range(2)]
    train = [functools.partial(cluster.train, x, y) for cluster in clusters]
    turn = [functools.partial(spin, 100_000_000)] * 2
    spin(1)
    spent = np.array(
        [[in_parallel(jobs) for jobs in (train[:1], train, turn[:1], turn)] for _ in range(7)]
    ).min(axis=0)
    rates = [len(x) / spent[0], 2 * len(x) / spent[1]]
    print(
        f"clusters in parallel: {rates[0]:,.0f} cycles/s alone, {rates[1]:,.0f} two together, "
        f"{rates[1] / rates[0]:.2f} times; a loop without memory {2 * spent[2] / spent[3]:.2f} times"
    )
    return [1, 2], rates


def main() -> None:
    warm_up()
    print(f"caches: {', '.join(f'{name} {size // 1024} KiB' for name, size in caches().items())}")
    figures: dict[str, tuple[list[int], list[float]]] = {}
    print("rows of 256 columns:")
    figures["hidden blocks, 256 columns"] = by_blocks(narrow=True)
    print("any column active:")
    figures["hidden blocks, any column"] = by_blocks(narrow=False)
    sizes = [10, 30, 100, 300, 1000]
    rates = []
    for active in sizes:
        rates.append(speed(grown(1024), *rows(1024, active, 10, 2000)))
        print(f"{active:4} active inputs: {rates[-1]:9,.0f} cycles/s")
    figures["active inputs of 1024"] = (sizes, rates)
    sizes, rates = [1, 10, 100, 1000], []
    for outputs in sizes:
        rates.append(speed(grown(256, outputs), *rows(256, 50, outputs, 1000)))
        print(f"{outputs:4} outputs: {rates[-1]:9,.0f} cycles/s")
    figures["outputs"] = (sizes, rates)
    figures["clusters in parallel"] = by_clusters()
    plot(figures, Path(sys.argv[1] if len(sys.argv) > 1 else "build/scaling.png"))


def plot(figures: dict[str, tuple[list[int], list[float]]], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(14, 3), layout="constrained")
    for axes, (name, (x, y)) in zip(figure.subplots(1, len(figures)), figures.items(), strict=True):
        blocks = "blocks" in name
        axes.plot(x, y, "o-")
        axes.set(xlabel=name, ylabel="G updates/s" if blocks else "cycles/s", xscale="log")
        axes.set_xticks(x, x)
        axes.minorticks_off()
        if blocks or "clusters" in name:
            axes.set_ylim(0, 1.1 * max(y))
        else:
            axes.set_yscale("log")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main()
