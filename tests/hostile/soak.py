"""``make soak``: a hundred thousand hostile requests and frames, and a report on how the backend bore it."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil

from tests.backend.conftest import Backend, running
from tests.hostile.attacks import Attacker
from tests.hostile.world import World

REPORT = Path(__file__).parents[2] / "docs" / "soak.md"
LOG = REPORT.parents[1] / "build" / "soak.log"  # of a run in which something went wrong
SAMPLES = 40  # looks at the process, spread over the run
SWEEP = 20.0  # seconds: longer than an attack has something in hand
FLAT = 1.05  # memory of the last quarter's median, in that of the third
QUIET = 40.0  # seconds until what attacks have left open has met the server's time limits


@dataclass
class Look:
    """The process at one moment."""

    done: int
    seconds: float
    memory: float  # in MB, of its own: pages of files come and go as the system likes
    threads: int
    files: int


@dataclass
class Tally:
    """What has happened so far."""

    kinds: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    waits: list[tuple[int, float]] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> int:
        """Requests and frames sent."""
        return sum(self.kinds.values())

    def add(self, kind: str, outcomes: list[str]) -> None:
        """Count one attack."""
        with self.lock:
            self.kinds[kind] += len(outcomes)
            for outcome in outcomes:
                self.outcomes[outcome.partition(":")[0]] += 1
                if outcome == "hang" or outcome[:1] == "5":
                    self.faults.append(f"{kind}: {outcome}")


def attack(world: World, seed: int, tally: Tally, end: threading.Event) -> None:
    """Attack until told to stop."""
    attacker = Attacker(world, seed)
    while not end.is_set():
        kind = "?"
        try:
            kind, outcomes = attacker.attack()
        except Exception:  # noqa: BLE001 - a time-out, or an attacker's own fault: both are to be seen
            outcomes, told = ["fault"], traceback.format_exc(limit=-4)
            with tally.lock:
                tally.faults.append(f"{kind}: {told}")
        tally.add(kind, outcomes)


def probe(world: World, tally: Tally, end: threading.Event) -> None:
    """Ask what every panel asks, ten times a second, and note how long it takes."""
    while not end.wait(0.1):
        began = time.perf_counter()
        answer = world.admin.call("GET", "/cluster/all")
        tally.waits.append((tally.done, time.perf_counter() - began))
        if answer.status != 200:
            tally.faults.append(f"probe: {answer.status}")


def look(process: psutil.Process, tally: Tally, began: float) -> None:
    """Note the size of the server's process."""
    with process.oneshot():
        info, threads, files = process.memory_info(), process.num_threads(), process.num_fds()
    memory = (info.rss - info.shared) / 2**20
    tally.looks.append(Look(tally.done, time.monotonic() - began, memory, threads, files))


def run(backend: Backend, count: int, seconds: float, threads: int, seed: int) -> tuple[Tally, Look, float]:
    """Attack a backend; return the tally, a look at it after some quiet, and the seconds it took."""
    world, tally, end = World(backend.admin()), Tally(), threading.Event()
    process, began = psutil.Process(backend.process.pid), time.monotonic()
    workers = [
        threading.Thread(target=attack, args=(world, seed + number, tally, end)) for number in range(threads)
    ]
    workers.append(threading.Thread(target=probe, args=(world, tally, end)))
    for worker in workers:
        worker.start()
    swept = began
    while tally.done < count and time.monotonic() - began < seconds and backend.process.poll() is None:
        if tally.done >= count * len(tally.looks) / SAMPLES:
            look(process, tally, began)
        if time.monotonic() - swept > SWEEP:
            world.sweep()
            swept = time.monotonic()
        time.sleep(0.05)
    end.set()
    for worker in workers:
        worker.join()
    took = time.monotonic() - began
    world.tidy()
    time.sleep(QUIET if count >= 10_000 else 0)
    look(process, tally, began)
    return tally, tally.looks.pop(), took


def median(looks: list[Look], what: str) -> float:
    """Return the median of a quantity over some looks."""
    return statistics.median(getattr(one, what) for one in looks)


def quarters(tally: Tally) -> tuple[list[Look], list[Look]]:
    """Return the looks of the third and of the last quarter."""
    half = [one for one in tally.looks if one.done >= tally.done / 2]
    return half[: len(half) // 2], half[len(half) // 2 :]


def slope(tally: Tally) -> float:
    """Return how many MB the process has grown for each 100,000 requests of the last half."""
    half = [one for quarter in quarters(tally) for one in quarter]
    return float(np.polyfit([one.done / 1e5 for one in half], [one.memory for one in half], 1)[0])


def judge(tally: Tally, quiet: Look, backend: Backend) -> list[str]:
    """Return what is wrong; nothing if all went well."""
    wrong = [f"{len(tally.faults)} faults; the first: {tally.faults[0]}"] if tally.faults else []
    if backend.process.poll() is not None:
        return [*wrong, f"the server ended with {backend.process.returncode}"]
    before, after = quarters(tally)
    for what, share, more in (("memory", FLAT, 0.0), ("threads", 1.0, 4.0), ("files", 1.1, 16.0)):
        first, last = median(before, what), median(after, what)
        if last > first * share + more:
            wrong.append(f"{what} grew from {first:.0f} to {last:.0f} over the last half")
    if quiet.files > tally.looks[0].files + 8:
        wrong.append(f"{quiet.files} files are open after it, {tally.looks[0].files} were at the start")
    tracebacks = backend.log.read_text().count("Traceback")
    if tracebacks:
        wrong.append(f"{tracebacks} tracebacks in the log")
    return wrong


def report(tally: Tally, quiet: Look, took: float, wrong: list[str], threads: int) -> str:
    """Return the page of the documentation."""
    waits = sorted(wait for _, wait in tally.waits)
    usual, most = statistics.median(waits), waits[int(len(waits) * 0.99)]
    early, late = (
        statistics.median(wait for done, wait in tally.waits if (done < tally.done / 2) == first)
        for first in (True, False)
    )
    memory, running, files = (
        " and ".join(f"{median(quarter, what):.0f}" for quarter in quarters(tally))
        for what in ("memory", "threads", "files")
    )
    lines = [
        "# Soak",
        "",
        "The last report of `make soak`, written by `tests/hostile/soak.py`: hostile requests and frames on a"
        f" backend of its own, from {threads} attackers at once.",
        "",
        f"**{tally.done:,} requests and frames in {took / 60:.0f} minutes: "
        + ("; ".join(wrong) if wrong else "no 5xx, no hang, no traceback, no leak")
        + ".**",
        "",
        "| attack | sent |",
        "|---|---:|",
        *(f"| {kind} | {number:,} |" for kind, number in sorted(tally.kinds.items())),
        "",
        "| outcome | times |",
        "|---|---:|",
        *(f"| {outcome} | {number:,} |" for outcome, number in sorted(tally.outcomes.items())),
        "",
        "`frame`: a websocket frame, or the pieces of a file. `no answer`: bytes that are no whole request,"
        " or a connection that the server has closed. `not sent`: Python's own client refuses to send it.",
        "",
        "## Answers to others meanwhile",
        "",
        f"`GET cluster/all`, ten times a second beside the attacks, {len(waits):,} times: the 99th percentile"
        f" took {most / usual:.1f} times as long as the median, the longest {waits[-1] / usual:.0f} times;"
        f" the median of the second half was {late / early:.2f} times that of the first.",
        "",
        "## The process",
        "",
        "Memory is what the process has of its own, without pages of files.",
        "",
        "| sent | memory in MB | threads | open files |",
        "|---:|---:|---:|---:|",
        *(
            f"| {one.done:,} | {one.memory:.0f} | {one.threads} | {one.files} |"
            for one in tally.looks[:: max(1, len(tally.looks) // 20)]
        ),
        f"| after {QUIET:.0f} s of quiet | {quiet.memory:.0f} | {quiet.threads} | {quiet.files} |",
        "",
        f"Medians of the third and the last quarter: {memory} MB, {running} threads, {files} files. The line"
        f" through the memory of the last half rises by {slope(tally):.1f} MB in 100,000 requests. Flat is a"
        f" last quarter of at most {FLAT} times the third.",
    ]
    return "\n".join(lines) + "\n"


def main(argv: list[str]) -> int:
    """Run the soak; return 1 if anything went wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.soak", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="requests and frames")
    parser.add_argument("--seconds", type=float, default=1800, help="longest time")
    parser.add_argument("--threads", type=int, default=8, help="attackers at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, default=REPORT)
    given = parser.parse_args(argv)
    environment = {"HANAMI_BACKEND_LOGIN_DELAY": "0", "HANAMI_BACKEND_TOKEN_LIFETIME": "86400"}
    with tempfile.TemporaryDirectory() as folder, running(Path(folder) / "data", **environment) as backend:
        tally, quiet, took = run(backend, given.count, given.seconds, given.threads, given.seed)
        wrong = judge(tally, quiet, backend)
        if tally.done < given.count:
            wrong.append(f"only {tally.done:,} of {given.count:,} were sent in time")
        if wrong:
            LOG.parent.mkdir(exist_ok=True)
            LOG.write_text("\n\n".join([*tally.faults[:50], backend.log.read_text()[-1_000_000:]]))
    given.report.write_text(report(tally, quiet, took, wrong, given.threads))
    sys.stdout.write(f"{tally.done:,} in {took:.0f} s: {'; '.join(wrong) or 'nothing wrong'}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
