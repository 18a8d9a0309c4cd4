"""Starts a backend: ``python -m hanami_jupyter.backend``."""

from __future__ import annotations

import asyncio
import ctypes
import json
import logging
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn

from . import config as settings
from . import embedded
from .app import App
from .config import Config, ConfigError
from .http_protocol import Protocol, SocketProtocol
from .service import Service, remove_folder
from .store import StoreError

log = logging.getLogger("hanami_jupyter.backend")

PATIENCE = 60  # seconds until a peer that takes nothing is given up
_M_ARENA_MAX = -8  # of glibc's malloc.h
_GIVE_BACK = 20.0  # seconds between two returns of memory
MAX_FILES = 65_536  # open at once, if the system allows it
MAX_MESSAGE = (16 << 20) + 1024  # bytes of one websocket message
_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record with what was given as ``extra``."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _STANDARD},
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _start_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("hanami_jupyter.backend").setLevel(level.upper())
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _allow_files() -> None:
    """Raise the limit of open files as far as it may be: each connection is one."""
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - only there

        now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = MAX_FILES if most == resource.RLIM_INFINITY else min(most, MAX_FILES)
        if now != resource.RLIM_INFINITY and now < wanted:
            with suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def _share_memory() -> None:
    """Let all threads take memory from two places: glibc's one a thread keep much that nobody uses."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 2)


async def _give_back() -> None:
    """Give memory that nobody uses back to the system, again and again: glibc keeps what lies in between."""
    if sys.platform != "linux":
        return
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # another C library has none
    while trim:
        await asyncio.sleep(_GIVE_BACK)
        await asyncio.get_running_loop().run_in_executor(None, trim, 0)


def listen(config: Config) -> socket.socket:
    """Take the port; nothing is accepted before the server listens.

    Raises
    ------
    ConfigError
        If it is taken or not ours.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM
        )[0]
        found = socket.socket(family, kind, protocol)
        if os.name != "nt":
            found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted connections inherit it
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PATIENCE * 1000)
        found.bind(address)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"Port {config.port} of '{config.host}' cannot be used: {reason}.") from None
    return found


class Server(uvicorn.Server):
    """A server that stops on signals without raising them again, and says when it answers."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to whoever runs the server."""
        yield


def make_server(config: Config, service: Service) -> Server:
    """Return the server of a service, not yet running.

    Raises
    ------
    ConfigError
        If certificate or key cannot be used.
    """
    options = uvicorn.Config(
        App(service),
        log_config=None,
        access_log=False,
        http=Protocol,
        ws=SocketProtocol,
        ws_max_size=MAX_MESSAGE,
        ws_per_message_deflate=False,
        ws_ping_timeout=60,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        ssl_certfile=str(config.certfile) if config.certfile else None,
        ssl_keyfile=str(config.keyfile) if config.keyfile else None,
    )
    try:
        options.load()
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"Certificate or key cannot be used: {error.strerror or error}.") from None
    return Server(options)


async def _serve(config: Config, service: Service, server: Server, taken: socket.socket) -> None:
    loop = asyncio.get_running_loop()

    def stop(*_: object) -> None:
        service.clusters.stop()
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # pragma: no cover - Windows
            signal.signal(number, stop)
    service.start()
    running = asyncio.ensure_future(server.serve(sockets=[taken]))
    while not server.started and not running.done():
        await asyncio.sleep(0.01)
    host, port = taken.getsockname()[:2]
    scheme = "https" if config.certfile else "http"
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    log.info("answering", extra={"address": address, "pid": os.getpid()})
    tasks = [asyncio.ensure_future(_give_back())]
    if config.embedded:
        embedded.write_info(service, address)
        tasks.append(asyncio.ensure_future(embedded.watch(service.folder / "leases", stop)))
    await running
    for task in tasks:
        task.cancel()


def _run_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run on uvloop where it exists: half the time of a direct message goes into the event loop."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:  # pragma: no cover - Windows
        asyncio.run(work)
    else:
        uvloop.run(work)


def run(config: Config, environment: dict[str, str]) -> None:
    """Run a backend until it is told to stop.

    Raises
    ------
    ConfigError, StoreError
        In one sentence, if it cannot start.
    """
    taken = listen(config)
    service = Service(config, environment)
    try:
        _run_loop(_serve(config, service, make_server(config, service), taken))
    finally:
        taken.close()
        with suppress(OSError):
            (service.folder / "info.json").unlink(missing_ok=True)
        service.close()
        if config.ephemeral:
            remove_folder(service.folder)
        log.info("stopped")


def main() -> int:
    """Start a backend from the command line; return the exit code."""
    environment = settings.take_secrets()
    try:
        config = settings.load(sys.argv[1:], environment)
        _start_logging(config.log_level)
        _allow_files()
        _share_memory()
        os.umask(0o077)  # what is written is for the server's own user
        if not config.loopback and not config.certfile:
            log.warning("passwords and tokens travel readable: give --certfile and --keyfile")
        run(config, environment)
    except (ConfigError, StoreError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
