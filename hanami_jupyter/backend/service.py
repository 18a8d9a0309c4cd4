"""One backend: its folder, its parts, their start and their end."""

from __future__ import annotations

import json
import logging
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from hanami_jupyter._version import __version__
from hanami_jupyter.protocol.extras import DASK

from . import files, hosts, policy
from .auth import Accounts
from .clusters import Clusters
from .config import Config, ConfigError, first_admin
from .measurements import Measurements
from .store import Store, StoreError
from .uploads import Uploads

if TYPE_CHECKING:
    from .dask_hosts import Workers

log = logging.getLogger(__name__)

CREATOR = "HANAMI_INIT"
_CONTENT = ("datasets", "clusters", "checkpoints")
_FOLDERS = (*_CONTENT, "uploads", "leases")


class Service:
    """Everything a running backend consists of, without its network side.

    Parameters
    ----------
    config : Config
        The settings.
    environment : mapping of str to str
        Where the first admin's account comes from.

    Raises
    ------
    ConfigError, StoreError
        In one sentence, if the folder or a file cannot be used.
    """

    def __init__(self, config: Config, environment: Mapping[str, str]) -> None:
        self.config = config
        self.version = __version__
        self.folder = config.data_dir
        self._lock = _prepare(self.folder, private=config.embedded)
        try:
            rules = policy.load(config.policies)
            _check_whole(self.folder)
            self.store = Store(self.folder / "hanami.db")
            self.accounts = Accounts(self.store, config, rules)
            self.admin = self._first_admin(environment)
            self.engine = hosts.Engine()
            places = hosts.local_hosts(self.store.secret("server", secrets.token_hex(16)), config.hosts)
            self.workers = _workers(config)
            self.uploads = Uploads(self.store, self.folder)
            self.clusters = Clusters(self.store, self.folder, places, self.engine)
            self.measurements = Measurements()
        except OSError as error:
            self._lock.close()
            raise ConfigError(f"The folder '{self.folder}' cannot be used: {error.strerror}.") from None
        except (ConfigError, StoreError):
            self._lock.close()
            raise

    def start(self) -> None:
        """Begin what runs in the background."""
        self.engine.start()
        if self.workers:
            self.workers.start(self.clusters)
        self.measurements.start()

    def close(self) -> None:
        """Stop computing and close every file."""
        self.measurements.stop()
        self.clusters.close()
        if self.workers:
            self.workers.close()
        self.accounts.passwords.close()
        self.store.close()
        self._lock.close()

    @property
    def status(self) -> str:
        """``ok``, or ``compiling`` while tasks have to wait for the engine."""
        return "ok" if self.engine.ready.is_set() else "compiling"

    def _first_admin(self, environment: Mapping[str, str]) -> tuple[str, str] | None:
        """Make the first account, or for an embedded backend renew its password; return it if it is new."""
        user, name, password = first_admin(environment)
        store, embedded = self.store, self.config.embedded
        admins = [found for found in store.users() if found.is_admin]
        if admins and not embedded:
            return None
        known = next((found for found in admins if found.id == user), None)
        secret = password or secrets.token_urlsafe(24)
        hashed = self.accounts.passwords.hash(secret)
        if not embedded and password is None and known is None:
            # before the account: an end in between must not leave one whose password nobody knows
            path = self.folder / "first-admin.json"
            files.write(path, json.dumps({"user": user, "password": secret}).encode(), private=True)
            log.warning("The first admin's password was generated", extra={"user": user, "file": path.name})
        if known is not None:
            store.set_password(user, hashed)
        elif not store.add_user(user, name, CREATOR, is_admin=True, password_hash=hashed):
            raise ConfigError(
                f"User '{user}' exists and is no admin. Set HANAMI_ADMIN_USER_ID to another name."
            )
        return user, secret


def _workers(config: Config) -> Workers | None:
    """Return the Dask workers, if there are to be any."""
    if not config.dask:
        return None
    try:
        from .dask_hosts import Workers  # noqa: PLC0415 - an extra of the package
    except ImportError:
        raise ConfigError(DASK) from None
    return Workers(config.dask, config.snapshot_seconds)


def _prepare(folder: Path, *, private: bool) -> IO[bytes]:
    """Make the folder, see that it can be written, and lock it against a second backend."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if private:
            folder.chmod(0o700)
        for name in _FOLDERS:
            (folder / name).mkdir(exist_ok=True, mode=0o700)
        lock = (folder / "lock").open("ab")
    except OSError as error:
        raise ConfigError(f"The folder '{folder}' cannot be used: {error.strerror}.") from None
    try:
        _lock(lock)
    except OSError:
        lock.close()
        raise ConfigError(
            f"The folder '{folder}' is in use by another backend. Stop that one first."
        ) from None
    return lock


def _check_whole(folder: Path) -> None:
    """Refuse a folder whose database is missing: what it does not know would be removed."""
    if not (folder / "hanami.db").exists() and any(any((folder / name).iterdir()) for name in _CONTENT):
        raise StoreError(
            f"The folder '{folder}' holds datasets, clusters or checkpoints, but no database 'hanami.db'."
            " Restore it, or start with an empty folder."
        )


def _lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed or the process ends."""
    if sys.platform == "win32":  # pragma: no cover - other systems
        import msvcrt  # noqa: PLC0415

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_folder(folder: Path) -> None:
    """Remove a data folder: what the backend has put there, and the folder if nothing else is in it."""
    for name in _FOLDERS:
        for path in (folder / name).glob("*"):
            with suppress(OSError):
                path.unlink()
        with suppress(OSError):
            (folder / name).rmdir()
    patterns = ("hanami.db*", "*.json", "*.part", "*.log", "*lock")  # the launcher's too
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        with suppress(OSError):
            path.unlink()
    with suppress(OSError):
        folder.rmdir()
