"""A sweep over two cores against half the time of the same networks one after another, in one run."""

# ruff: noqa: D103
from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

import hanami_jupyter as hanami
from hanami_jupyter.client import transport
from hanami_jupyter.sweeps import cores

if TYPE_CHECKING:
    from hanami_jupyter.session import Session

EPOCHS, RUNS = 6, 4
BOUND = 1.15


def data(session: Session) -> tuple[str, str]:
    digits = hanami.data.sample()
    return (
        session.dataset.upload_mnist_files("to learn", digits.train_images, digits.train_labels),
        session.dataset.upload_mnist_files("to test", digits.test_images, digits.test_labels),
    )


def fitted(session: Session, grid: dict[str, str], train: str, test: str) -> list[float]:
    """Train the networks one after another with ``fit``, each tested once; return their accuracies."""
    accuracies = []
    for number, text in enumerate(grid.values()):
        cluster = session.cluster.create_cluster(f"alone {number}", text, replace=True)["uuid"]
        session.fit(cluster, train, epochs=EPOCHS - 1)
        accuracies.append(session.fit(cluster, train, test=test)["accuracy"].iloc[-1])
    return accuracies


def main() -> None:
    grid = hanami.template_grid(width=[1, 2], depth=[3, 4], max_connection_distance=[1, 2])
    asked = 0
    send = transport.send

    def counted(*arguments: object, **named: object) -> object:
        nonlocal asked
        asked += 1
        return send(*arguments, **named)  # type: ignore[arg-type]

    with hanami.local() as session:
        train, test = data(session)
        places = cores(session)
        first = {"first": grid["1 wide 3 deep reach 1"]}
        session.sweep(first, train, test, keep=False, progress=False)  # compiles the kernels
        seconds: dict[str, list[float]] = {"fit": [], "in turn": [], "at once": []}
        began = time.perf_counter()
        expected = fitted(session, grid, train, test)
        seconds["fit"].append(time.perf_counter() - began)
        for name, parallel in (("in turn", 1), ("at once", None)) * RUNS:
            transport.send, asked = counted, 0  # type: ignore[assignment]
            began = time.perf_counter()
            found = session.sweep(
                grid, train, test, epochs=EPOCHS, replace=True, parallel=parallel, progress=False
            )
            seconds[name].append(time.perf_counter() - began)
            transport.send = send
            assert np.array_equal(found["accuracy"], expected)
        began = time.perf_counter()
        session.sweep(grid, train, test, epochs=EPOCHS, progress=False)
        again = time.perf_counter() - began
    number = sum(places.values())
    best = {name: min(values) for name, values in seconds.items()}
    alone = min(best["fit"], best["in turn"])  # whichever way is faster
    ratio = best["at once"] / (alone / 2)
    print(f"{len(grid)} networks, {EPOCHS} epochs each, {number} cores on {len(places)} hosts")
    print(
        f"one after another: {best['fit']:6.2f} s by fit, {best['in turn']:.2f} s as a sweep with parallel=1"
    )
    print(f"as a sweep:        {best['at once']:6.2f} s, {ratio:.2f} times half of that (bound {BOUND})")
    print(f"requests:          {asked}, {asked / seconds['at once'][-1]:.0f} a second")
    print(f"found again:       {again:6.2f} s")
    if number != 2:
        print(f"the bound is for 2 cores, not for {number}")
    elif ratio > BOUND:
        raise SystemExit(f"The sweep takes {ratio:.2f} times half of the time, and {BOUND} is the bound.")


if __name__ == "__main__":
    main()
