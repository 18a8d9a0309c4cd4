"""How a process is told from another one of the same id, also after the clock was set: names of leases."""

from __future__ import annotations

from pathlib import Path

import psutil


def mark(pid: int) -> str:
    """Return ``PID-STARTED``, which no other process bears since the machine was started.

    Parameters
    ----------
    pid : int
        Id of a process that exists.

    Returns
    -------
    str
        Where the system counts the start in ticks of its own, in these: a time of day is computed from
        the clock, and becomes another one when the clock is set.

    Raises
    ------
    psutil.Error
        If there is no such process.

    Examples
    --------
    >>> import os
    >>> mark(os.getpid()) == mark(os.getpid())
    True
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        return f"{pid}-{text.rpartition(')')[2].split()[19]}"
    except (OSError, IndexError):  # no Linux, or no such process
        return f"{pid}-{psutil.Process(pid).create_time():.2f}"


def lives(name: str) -> bool:
    """Tell whether the process of a mark still exists, and is no zombie.

    Examples
    --------
    >>> import os
    >>> lives(mark(os.getpid())), lives("1-0"), lives("nonsense")
    (True, False, False)
    """
    try:
        pid = int(name.partition("-")[0])
        return mark(pid) == name and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, ValueError, OverflowError):
        return False
