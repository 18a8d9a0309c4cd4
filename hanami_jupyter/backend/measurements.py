"""Power, clock and temperature of the machine: a sampler thread and its histories."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

import psutil

_LENGTHS = {"seconds": 60, "minutes": 60, "hours": 24, "days": 365}
_RATIOS = (60, 60, 24)  # seconds in a minute, minutes in an hour, hours in a day
_RAPL = Path("/sys/class/powercap")
KINDS = ("power", "current_speed", "temperature")


class History:
    """A quantity over the last minute, hour, day and year; zero where nothing was measured."""

    def __init__(self) -> None:
        self._rings = {name: deque([0.0] * size, maxlen=size) for name, size in _LENGTHS.items()}
        self._count = 0

    def add(self, value: float) -> None:
        """Add the value of one second; a full minute adds its mean to the hour, and so on."""
        names = list(_LENGTHS)
        self._rings["seconds"].append(value)
        self._count += 1
        step = 1
        for ratio, finer, coarser in zip(_RATIOS, names, names[1:], strict=False):
            step *= ratio
            if self._count % step:
                break
            last = list(self._rings[finer])[-ratio:]
            self._rings[coarser].append(sum(last) / len(last))

    def answer(self) -> dict[str, list[float]]:
        """Return the histories, oldest first."""
        return {name: list(ring) for name, ring in self._rings.items()}


class Measurements:
    """Measures once a second until stopped."""

    def __init__(self) -> None:
        self._histories = {kind: History() for kind in KINDS}
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="Measurements", daemon=True)
        self._energy: tuple[float, float] | None = None

    def start(self) -> None:
        """Begin to measure."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._end.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(1.0):
            values = {"power": self._power(), "current_speed": _clock(), "temperature": _temperature()}
            with self._lock:
                for kind, value in values.items():
                    self._histories[kind].add(value)

    def _power(self) -> float:
        """Return the watts of the processor packages, 0.0 where the machine does not tell."""
        total, found = 0.0, False
        for path in _RAPL.glob("intel-rapl:[0-9]*/energy_uj"):
            if path.parent.name.count(":") == 1:
                try:
                    total, found = total + int(path.read_text()) / 1e6, True
                except (OSError, ValueError):
                    continue
        before, self._energy = self._energy, (time.monotonic(), total) if found else None
        if before is None or self._energy is None:
            return 0.0
        return max((self._energy[1] - before[1]) / (self._energy[0] - before[0]), 0.0)

    def answer(self, kind: str) -> dict[str, Any]:
        """Return one quantity as the wire shows it."""
        with self._lock:
            return {kind: self._histories[kind].answer()}


def _clock() -> float:
    """Return the mean clock in megahertz, 0.0 where the machine does not tell."""
    try:
        found = psutil.cpu_freq()
    except (OSError, NotImplementedError):  # containers and some ARM machines
        return 0.0
    return float(found.current) if found else 0.0


def _temperature() -> float:
    """Return the highest processor temperature in degrees Celsius, 0.0 where the machine does not tell."""
    if not hasattr(psutil, "sensors_temperatures"):
        return 0.0
    try:
        sensors = psutil.sensors_temperatures()
    except (OSError, ValueError):
        return 0.0
    return max(
        (s.current for name in ("coretemp", "k10temp", "cpu_thermal") for s in sensors.get(name, [])),
        default=0.0,
    )


def system_info() -> dict[str, Any]:
    """Return host name and processor packages with cores and threads, as the wire shows them."""
    packages: dict[int, dict[int, list[int]]] = {}
    for thread in range(os.cpu_count() or 1):
        packages.setdefault(_topology(thread, "physical_package_id", 0), {}).setdefault(
            _topology(thread, "core_id", thread), []
        ).append(thread)
    return {
        "has_hyperthreading": any(
            len(threads) > 1 for cores in packages.values() for threads in cores.values()
        ),
        "hostname": socket.gethostname(),
        "packages": [
            {
                "id": package,
                "power": 0.0,
                "thermal_spec": 0.0,
                "cores": [{"id": core, **_speeds(threads)} for core, threads in sorted(cores.items())],
            }
            for package, cores in sorted(packages.items())
        ],
    }


def _topology(thread: int, name: str, otherwise: int) -> int:
    try:
        return int(Path(f"/sys/devices/system/cpu/cpu{thread}/topology/{name}").read_text())
    except (OSError, ValueError):
        return otherwise


def _speeds(threads: list[int]) -> dict[str, Any]:
    try:
        every = psutil.cpu_freq(percpu=True)
    except (OSError, NotImplementedError):
        every = []
    now = every[threads[0]] if len(every) > threads[0] else None
    low, high, current = (int(now.min), int(now.max), int(now.current)) if now else (0, 0, 0)
    return {
        "current_maximum_speed": high,
        "current_minimum_speed": low,
        "current_speed": current,
        "maximum_speed": high,
        "minimum_speed": low,
        "threads": [{"id": thread} for thread in threads],
    }


def thread_map() -> dict[str, list[int]]:
    """Return the cores every thread of this process may run on, by thread name."""
    cores: dict[str, list[int]] = {}
    every = list(range(os.cpu_count() or 1))
    for thread in threading.enumerate():
        where = every
        if hasattr(os, "sched_getaffinity") and thread.native_id is not None:
            try:
                where = sorted(os.sched_getaffinity(thread.native_id))
            except OSError:
                continue
        cores[thread.name] = where
    return cores
