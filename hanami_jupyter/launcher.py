"""Starts, finds and stops embedded backends: child processes that live as long as somebody uses them."""

from __future__ import annotations

import atexit
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import psutil

from hanami_jupyter.client import transport
from hanami_jupyter.client.hanami_exceptions import (
    ConflictException,
    ConnectionException,
    HanamiException,
    InvalidDataException,
    NotSupportedException,
)
from hanami_jupyter.protocol.extras import DASK
from hanami_jupyter.protocol.processes import lives, mark
from hanami_jupyter.session import Session, connect

if TYPE_CHECKING:
    import distributed

APP = "hanami-jupyter"
FOREVER = "forever"
START_LIMIT = 60.0  # seconds until a backend has to answer
STOP_LIMIT = 5.0  # seconds from SIGTERM to SIGKILL
LEFT_ALONE = 60.0  # seconds after which the folder of an ended backend may go
SHOWN_LINES = 15  # of the child's output that an error shows
_PRIVATE = ("HANAMI_PW", "HANAMI_PASSPHRASE", "HANAMI_USER", "HANAMI_ADDRESS")

_lock = threading.RLock()
_own: dict[int, Path] = {}  # folder of this process's ephemeral backend; by process id, because of fork
_leases: set[tuple[int, Path]] = set()
_children: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Running:
    """A backend that answers.

    Attributes
    ----------
    address, user : str
        Where it listens, and its admin.
    folder : Path
        Its data.
    pid : int
        Its process.
    started : datetime
        When, in UTC.
    version : str
        Of the package.
    persistent : bool
        Whether its data stays when it leaves.
    dask : str
        Where its Dask workers come from: the address of a scheduler, or how many it started.
    password : str
        The admin's; not in the repr.
    """

    address: str
    folder: Path
    pid: int
    started: datetime
    version: str
    user: str
    persistent: bool
    dask: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Failed:
    """A backend that did not start: one sentence, and what the child said."""

    reason: str
    output: str


def local(
    folder: str | os.PathLike[str] | None = None,
    *,
    dask: int | str | distributed.Client | None = None,
    timeout: float = START_LIMIT,
    log_level: str = "info",
) -> Session:
    """Start an embedded backend on this machine, or join the one that runs, and log in as its admin.

    Parameters
    ----------
    folder : path, optional
        Where its data stays. Other processes that name the same folder join the same backend. Without one
        the backend belongs to this process alone and its data goes with it; a second call joins it.
    dask : int, str or distributed.Client, optional
        Dask workers that become hosts beside this machine's cores: how many processes to start here, or the
        address of a scheduler, or a client of it.
    timeout : float
        Seconds until it has to answer.
    log_level : str
        How much it writes to ``backend.log``: ``debug``, ``info``, ``warning``, ``error``.

    Returns
    -------
    Session
        The connection. The backend leaves 5 s after the last process that uses it.

    Raises
    ------
    ConnectionException
        If it does not start; the message shows what it said.
    ConflictException
        If it runs already, without these Dask workers.
    NotSupportedException
        If Dask workers are asked for and the package `distributed` is not installed.

    Examples
    --------
    >>> import hanami_jupyter as hanami
    >>> hanami.local()
    <Session admin@admin at http://127.0.0.1:..., admin>
    """
    source, secured = _dask(dask)
    with _lock:
        place = _ephemeral() if folder is None else Path(folder).expanduser().resolve()
        options: dict[str, Any] = {"timeout": timeout, "log_level": log_level, "dask": source}
        for left in (True, False):
            running = started(start(place, persistent=folder is not None, environment=secured, **options))
            if source and running.dask != source:
                raise ConflictException(
                    "The backend runs already, without these Dask workers. Stop it with"
                    f" hanami_jupyter.launcher.stop({'' if folder is None else repr(str(folder))}) first."
                )
            try:
                return connect(running.address, running.user, running.password)
            except ConnectionException:
                if not left:
                    raise
    raise AssertionError  # the loop returns or raises


def _dask(dask: int | str | distributed.Client | None) -> tuple[str, dict[str, str]]:
    """Return Dask workers as the backend's option names them, and where the client's TLS files are."""
    if dask is None:
        return "", {}
    if importlib.util.find_spec("distributed") is None:
        raise NotSupportedException(DASK)
    if isinstance(dask, (int, str)):
        return str(dask), {}
    address, security = str(dask.scheduler.address), dask.security
    if address.startswith("inproc:"):
        raise InvalidDataException(
            "The Dask scheduler runs inside this process, where the backend cannot reach it. Give a client of"
            " a LocalCluster with processes=True."
        )
    files = {
        "CA_FILE": security.tls_ca_file,
        "CLIENT__CERT": security.tls_client_cert,
        "CLIENT__KEY": security.tls_client_key,
    }
    return address, {f"DASK_DISTRIBUTED__COMM__TLS__{name}": file for name, file in files.items() if file}


def started(result: Running | Failed) -> Running:
    """Return a running backend, or raise what kept it from starting."""
    if isinstance(result, Running):
        return result
    output = f" It said:\n{result.output}" if result.output else ""
    raise ConnectionException(f"{result.reason}{output}")


def start(
    folder: Path,
    *,
    persistent: bool = True,
    timeout: float = START_LIMIT,
    log_level: str = "info",
    dask: str = "",
    environment: Mapping[str, str] | None = None,
) -> Running | Failed:
    """Join the backend of a folder, or start one; the result is a value.

    Parameters
    ----------
    folder : Path
        Its data folder; made if it is not there.
    persistent : bool
        Whether the data stays when it leaves.
    timeout : float
        Seconds until it has to answer.
    log_level : str
        How much it writes to ``backend.log``.
    dask : str
        Address of a Dask scheduler, or how many workers to start; nothing for none.
    environment : mapping of str to str, optional
        Variables for a process that is started, beside those of this one.

    Returns
    -------
    Running or Failed
        What became of it.

    Examples
    --------
    >>> running = start(folder / "data")
    >>> running.folder.name, stop(folder / "data")
    ('data', True)
    """
    try:
        _private(folder)
        _private(folder / "leases")
        _take_lease(folder)
        if persistent:
            _point_to(folder)
        with _locked(folder / "start.lock"):
            options = ["--log-level", log_level, *(["--dask", dask] if dask else [])]
            if not persistent:
                options.append("--ephemeral")
            return read(folder) or _launch(folder, options, environment or {}, timeout)
    except OSError as error:
        return Failed(f"The folder '{folder}' cannot be used: {error.strerror or error}.", "")


def start_forever(folder: str | os.PathLike[str] | None = None, **options: Any) -> Running | Failed:
    """Start a backend that runs until :func:`stop`, whoever uses it.

    Parameters
    ----------
    folder : path, optional
        Its data; by default the user's data folder.
    **options
        As of :func:`start`.

    Returns
    -------
    Running or Failed
        What became of it.

    Examples
    --------
    >>> running = start_forever(folder / "served")
    >>> running.persistent, stop(folder / "served")
    (True, True)
    """
    place = default_folder() if folder is None else Path(folder).expanduser().resolve()
    try:
        _private(place)
        _private(place / "leases")
        (place / "leases" / FOREVER).touch(mode=0o600)
    except OSError as error:
        return Failed(f"The folder '{place}' cannot be used: {error.strerror or error}.", "")
    result = start(place, **options)
    _give_lease(place)
    return result


def stop(folder: str | os.PathLike[str] | None = None) -> bool:
    """Stop a backend: this process's own, or the one of a folder.

    Parameters
    ----------
    folder : path, optional
        Its data folder.

    Returns
    -------
    bool
        Whether there was one.

    Examples
    --------
    >>> stop(folder / "nothing here")
    False
    """
    with _lock:
        place = _own.get(os.getpid()) if folder is None else Path(folder).expanduser().resolve()
        if place is None:
            return False
        (place / "leases" / FOREVER).unlink(missing_ok=True)
        _give_lease(place)
        process = _process(_info(place))
        if process is not None:
            _end(process)
        if folder is None:
            _own.pop(os.getpid(), None)
            shutil.rmtree(place, ignore_errors=True)
        else:
            _pointer(place).unlink(missing_ok=True)
        return process is not None


def status(folder: str | os.PathLike[str] | None = None) -> Running | None:
    """Return the backend of a folder, or this process's own, if it answers.

    Parameters
    ----------
    folder : path, optional
        Its data folder.

    Returns
    -------
    Running or None
        The backend.

    Examples
    --------
    >>> status(folder / "nothing here") is None
    True
    """
    place = _own.get(os.getpid()) if folder is None else Path(folder).expanduser().resolve()
    return None if place is None else read(place)


def find() -> list[Running]:
    """Return the running backends of this user, newest first.

    Examples
    --------
    >>> all(running.address.startswith("http://127.0.0.1:") for running in find())
    True
    """
    runtime = runtime_folder()
    places = {path.parent for path in runtime.glob("own-*/info.json")}
    for pointer in runtime.glob("folder-*"):
        with suppress(OSError, UnicodeDecodeError):
            places.add(Path(pointer.read_text("utf-8")))
    found = [running for place in places if (running := read(place)) is not None]
    return sorted(found, key=lambda running: running.started, reverse=True)


def logs(folder: str | os.PathLike[str] | None = None, lines: int = 100) -> str:
    """Return the last lines of a backend's log.

    Parameters
    ----------
    folder : path, optional
        Its data folder; by default that of this process's own backend.
    lines : int
        How many.

    Returns
    -------
    str
        The lines; empty if there is no log.

    Examples
    --------
    >>> logs(folder / "nothing here")
    ''
    """
    place = _own.get(os.getpid()) if folder is None else Path(folder).expanduser().resolve()
    return _tail(place / "backend.log", lines) if place else ""


def read(folder: Path) -> Running | None:
    """Return the backend of a folder if its process lives and it answers."""
    info = _info(folder)
    if _process(info) is None:
        return None
    with suppress(HanamiException):
        if transport.exchange("GET", "/health", "", info["address"], True, {}).status == 200:
            return Running(
                address=info["address"],
                folder=folder,
                pid=info["pid"],
                started=datetime.fromtimestamp(_time(info["started"]), timezone.utc),
                version=str(info.get("version", "")),
                user=info["user"],
                persistent=folder.parent != runtime_folder(),
                dask=str(info.get("dask", "")),
                password=info["password"],
            )
    return None


def _time(value: Any) -> float:
    """Return seconds since 1970 from a number or an ISO text."""
    if isinstance(value, (int, float)):
        return float(value)
    text = str(value).replace("Z", "+00:00")
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def _info(folder: Path) -> dict[str, Any]:
    """Return what a backend says about itself; empty if it says nothing."""
    try:
        info = json.loads((folder / "info.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    known = isinstance(info, dict) and {"address", "pid", "started", "user", "password"} <= set(info)
    return info if known else {}


def _process(info: dict[str, Any]) -> psutil.Process | None:
    """Return the process of a backend if it is the same that wrote the file."""
    if not info:
        return None
    try:
        process = psutil.Process(int(info["pid"]))
        if process.status() == psutil.STATUS_ZOMBIE or "hanami_jupyter.backend" not in process.cmdline():
            return None
    except (psutil.Error, ValueError):
        return None
    return process


def _launch(
    folder: Path, options: Sequence[str], variables: Mapping[str, str], timeout: float
) -> Running | Failed:
    """Start the child and wait until it answers."""
    (folder / "info.json").unlink(missing_ok=True)
    log = folder / "backend.log"
    command = [
        sys.executable, "-m", "hanami_jupyter.backend", "--host", "127.0.0.1", "--port", "0",
        "--data-dir", str(folder), "--embedded", *options,
    ]  # fmt: skip
    inherited = {name: value for name, value in os.environ.items() if name not in _PRIVATE}
    with open(os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "ab") as output:
        offset = output.tell()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=inherited | dict(variables),
            cwd=folder,
            close_fds=True,
            **_detached(),
        )
    _children[child.pid] = child
    until, pause = time.monotonic() + timeout, 0.02
    while time.monotonic() < until:
        if child.poll() is not None:
            reason = f"The embedded backend ended with exit code {child.returncode} while it started."
            return Failed(reason, _tail(log, SHOWN_LINES, offset))
        if _info(folder).get("pid") == child.pid:
            transport.forget(_info(folder)["address"])  # another server may have had this port
            if (running := read(folder)) is not None:
                return running
        time.sleep(pause)
        pause = min(0.2, pause * 1.2)
    _end(psutil.Process(child.pid))
    reason = f"The embedded backend did not answer within {timeout:g} s."
    return Failed(reason, _tail(log, SHOWN_LINES, offset))


def _detached() -> dict[str, Any]:
    """Return what keeps Ctrl-C in the notebook away from the child."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        return {"creationflags": flags}
    return {"start_new_session": True}


def _end(process: psutil.Process) -> None:
    """End a process: SIGTERM, then SIGKILL."""
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(STOP_LIMIT)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(STOP_LIMIT)
    child = _children.pop(process.pid, None)
    if child is not None:
        with suppress(subprocess.TimeoutExpired):
            child.wait(STOP_LIMIT)


def _tail(path: Path, lines: int, offset: int = 0) -> str:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


# -- folders and leases


def runtime_folder() -> Path:
    """Return the folder for what lives as long as processes do, private to this user."""
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # that XDG_RUNTIME_DIR is not set: _private() checks what it falls back to
        return _private(platformdirs.user_runtime_path(APP, appauthor=False))


def default_folder() -> Path:
    """Return where a backend keeps its data unless told otherwise."""
    return platformdirs.user_data_path(APP, appauthor=False) / "backend"


def _private(folder: Path) -> Path:
    """Make a folder that only this user can look into; refuse one that is somebody else's."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        about = folder.stat()
        if about.st_uid != os.getuid():
            raise PermissionError(1, "it belongs to another user", str(folder))
        if about.st_mode & 0o077:
            folder.chmod(0o700)
    return folder


def _ephemeral() -> Path:
    """Return the folder of this process's own backend."""
    folder = _own.get(os.getpid())
    if folder is None or not folder.is_dir():
        _sweep()
        folder = Path(tempfile.mkdtemp(prefix="own-", dir=runtime_folder()))
        _own[os.getpid()] = folder
    return folder


def _sweep() -> None:
    """Remove what ended backends have left: their logs, kept until now for whoever asks why they ended."""
    for folder in runtime_folder().glob("own-*"):
        with suppress(OSError):
            old = time.time() - folder.stat().st_mtime > LEFT_ALONE
            used = any(lives(lease.name) for lease in (folder / "leases").glob("*-*"))
            if old and not used and _process(_info(folder)) is None:
                shutil.rmtree(folder, ignore_errors=True)


def _pointer(folder: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return runtime_folder() / f"folder-{digest}"


def _point_to(folder: Path) -> None:
    _pointer(folder).write_text(str(folder), "utf-8")


def _lease(folder: Path) -> Path:
    return folder / "leases" / mark(os.getpid())


def _take_lease(folder: Path) -> None:
    _lease(folder).touch(mode=0o600)
    _leases.add((os.getpid(), folder))


def _give_lease(folder: Path) -> None:
    with suppress(OSError):
        _lease(folder).unlink(missing_ok=True)
    _leases.discard((os.getpid(), folder))


@atexit.register
def _leave() -> None:
    """Give the leases back, and end this process's own backend."""
    own = _own.pop(os.getpid(), None)
    for pid, folder in list(_leases):
        if pid == os.getpid():
            _give_lease(folder)
    if own is not None and (process := _process(_info(own))) is not None:
        with suppress(psutil.Error):
            process.terminate()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between processes; it is free again when its holder ends, however."""
    with path.open("a+b") as file:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - only there

            file.seek(0)
            while True:
                with suppress(OSError):
                    msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
                    break
            yield
        else:
            import fcntl  # noqa: PLC0415 - only there

            fcntl.flock(file, fcntl.LOCK_EX)
            yield
