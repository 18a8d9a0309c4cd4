"""How the engine's speed follows blocks, active inputs, outputs and clusters in parallel; with a plot."""

# ruff: noqa: D103
from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import numpy as np

from hanami_jupyter.engine import Cluster, warm_up

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
    columns: int, active: int, outputs: int, number: int, among: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows in which some columns are active, drawn from the first ``among`` or from all."""
    random = np.random.default_rng(1)
    x = np.zeros((number, columns), np.float32)
    for line in x:
        line[random.permutation(among or columns)[:active]] = random.random(active) + 0.1
    return x, random.random((number, outputs), dtype=np.float32)


def speed(cluster: Cluster, x: np.ndarray, y: np.ndarray) -> float:
    """Return the best cycles per second of processor time; noise as target makes every cycle learn."""
    cluster.train(x, y)
    best = np.inf
    for _ in range(3):
        began = time.thread_time()
        cluster.train(x, y)
        best = min(best, time.thread_time() - began)
    return len(x) / best


def caches() -> str:
    """Return the sizes of the caches, where the system tells them."""
    found = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))
    return ", ".join(
        f"L{(c / 'level').read_text().strip()} {(c / 'size').read_text().strip()}" for c in found
    )


def by_blocks(among: int) -> tuple[list[int], list[float]]:
    """Print synapse updates a second against hidden blocks; rows draw from the first columns, or from all.

    A cycle changes two sections of each active input and, for each output, a row of each block. As the
    targets are noise, no row is ever known and a remembered one is learned with each: twice the work.
    """
    blocks, rates = [], []
    for columns in (256, 1024, 2048, 4096, 8192, 16384):
        cluster = grown(columns)
        size = int(cluster.metrics()["hexagons"][1]["number_of_blocks"])
        rate = speed(cluster, *rows(columns, 100, 10, 500, among))
        work = 2 * rate * (100 * 256 + size * 128 * 10) / 1e9
        touched = 4 * 128 * (2 * (among or columns) + 10 * size) / 1e6
        print(f"{size:4} blocks: {rate:9,.0f} cycles/s, {work:.2f} G updates/s, {touched:5.1f} MB of weights")
        blocks.append(size)
        rates.append(rate)
    return blocks, rates


def main() -> None:
    warm_up()
    print(f"caches: {caches()}")
    figures: dict[str, tuple[list[int], list[float]]] = {}
    print("the same 256 columns active:")
    figures["hidden blocks, same columns"] = by_blocks(256)
    print("any column active:")
    figures["hidden blocks, any column"] = by_blocks(0)
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
    sizes, rates = [1, 2], []
    for number in sizes:
        x, y = rows(784, 150, 10, 4000)
        clusters = [grown(784) for _ in range(number)]
        threads = [threading.Thread(target=cluster.train, args=(x, y)) for cluster in clusters]
        began = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        rates.append(number * len(x) / (time.perf_counter() - began))
        print(f"{number:4} clusters in parallel: {rates[-1]:9,.0f} cycles/s together")
    figures["clusters in parallel"] = (sizes, rates)
    plot(figures, Path(sys.argv[1] if len(sys.argv) > 1 else "build/scaling.png"))


def plot(figures: dict[str, tuple[list[int], list[float]]], path: Path) -> None:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(14, 3), layout="constrained")
    for axes, (name, (x, y)) in zip(figure.subplots(1, len(figures)), figures.items(), strict=True):
        axes.loglog(x, y, "o-")
        axes.set(xlabel=name, ylabel="cycles/s")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"plot: {path}")


if __name__ == "__main__":
    main()
