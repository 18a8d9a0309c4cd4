"""The life of an embedded backend: its info file, and the leases of the processes that use it."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from hanami_jupyter.protocol.processes import lives

from . import files
from .service import Service

GRACE = 30.0  # seconds at the start without a lease
LINGER = 5.0  # seconds after the last lease
_LOOK = 0.5  # seconds between two looks
FOREVER = "forever"


def write_info(service: Service, address: str) -> None:
    """Tell the launcher where the backend is and how to log in."""
    user, password = service.admin or ("", "")
    info = {
        "address": address,
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "version": service.version,
        "dask": service.config.dask,
        "user": user,
        "password": password,
    }
    files.write(service.folder / "info.json", json.dumps(info).encode(), private=True)


def living(folder: Path) -> bool:
    """Tell whether anybody holds a lease; leases of processes that are gone are removed."""
    found = False
    for path in folder.iterdir() if folder.is_dir() else ():  # whoever deletes it has no use for us
        if path.name == FOREVER or lives(path.name):
            found = True
        else:
            with suppress(OSError):
                path.unlink()
    return found


async def watch(folder: Path, leave: Callable[[], None]) -> None:
    """Call ``leave`` once nobody has held a lease for long enough."""
    last, wait = time.monotonic(), GRACE
    loop = asyncio.get_running_loop()
    while True:
        if await loop.run_in_executor(None, living, folder):
            last, wait = time.monotonic(), LINGER
        elif time.monotonic() - last >= wait:
            leave()
            return
        await asyncio.sleep(_LOOK)
