"""The settings of a backend: command line over environment over TOML file over defaults."""

from __future__ import annotations

import argparse
import importlib
import ipaddress
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

PREFIX = "HANAMI_BACKEND_"


class ConfigError(ValueError):
    """A setting that cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class Config:
    """How a backend runs.

    Attributes
    ----------
    host, port : str, int
        Where it listens; port 0 takes a free one.
    data_dir : Path
        Where it keeps everything.
    embedded : bool
        Private folder, info file, gone with the last process that holds a lease.
    ephemeral : bool
        Remove the folder when leaving.
    certfile, keyfile : Path or None
        TLS certificate and key.
    policies : Path or None
        Policy file; the built-in one if None.
    token_lifetime : float
        Seconds a token is valid.
    login_delay : float
        Longest wait in seconds for a user after repeated failed logins.
    password_cost : int
        Argon2 passes over `password_memory` KiB.
    password_memory : int
        Memory of one password hash in KiB.
    hosts : int
        Number of logical hosts; 0 for one to each group of CPU cores.
    names : str
        Names, separated by commas, under which a proxy on this machine shows the backend to browsers.
    dask : str
        Address of a Dask scheduler whose workers become hosts, or how many workers to start here.
    snapshot_seconds : float
        Between two snapshots of a cluster at work on a Dask worker.
    log_level : str
        ``debug``, ``info``, ``warning`` or ``error``.
    """

    host: str = "127.0.0.1"
    port: int = 11418
    data_dir: Path = Path("hanami-data")
    embedded: bool = False
    ephemeral: bool = False
    certfile: Path | None = None
    keyfile: Path | None = None
    policies: Path | None = None
    token_lifetime: float = 3600.0
    login_delay: float = 2.0
    password_cost: int = 2
    password_memory: int = 19456
    hosts: int = 0
    dask: str = ""
    snapshot_seconds: float = 30.0
    names: str = ""
    log_level: str = "info"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the backend."""
        return is_loopback(self.host)

    @property
    def known(self) -> frozenset[str]:
        """The names it answers to besides its own."""
        return frozenset(name.strip().lower() for name in self.names.split(",") if name.strip())


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


_HELP = {
    "host": "address to listen on",
    "port": "port to listen on, 0 for a free one",
    "data_dir": "folder for accounts, datasets, clusters",
    "embedded": "serve one person's notebooks and leave 5 s after the last of them",
    "ephemeral": "remove the data folder when leaving",
    "certfile": "TLS certificate chain (PEM)",
    "keyfile": "TLS key (PEM)",
    "policies": "policy file",
    "token_lifetime": "seconds a token is valid",
    "login_delay": "longest wait in seconds after failed logins",
    "password_cost": "argon2 passes",
    "password_memory": "argon2 memory in KiB",
    "hosts": "number of logical hosts, 0 for one to each group of cores",
    "names": "names under which a proxy shows it to browsers, separated by commas",
    "dask": "address of a Dask scheduler, or number of Dask workers to start here",
    "snapshot_seconds": "seconds between two snapshots of a cluster at work on a Dask worker",
    "log_level": "debug, info, warning or error",
}


def load(argv: Sequence[str], environment: Mapping[str, str]) -> Config:
    """Read the settings.

    Parameters
    ----------
    argv : sequence of str
        Command line without the program's name.
    environment : mapping of str to str
        Environment variables.

    Returns
    -------
    Config
        The settings.

    Raises
    ------
    ConfigError
        If a value cannot be used.
    """
    given = {name: value for name, value in vars(_parser().parse_args(argv)).items() if value is not None}
    file = given.pop("config", None) or environment.get(f"{PREFIX}CONFIG")
    values: dict[str, Any] = _read_toml(Path(file)) if file else {}
    for field in fields(Config):
        name = f"{PREFIX}{field.name.upper()}"
        if name in environment:
            values[field.name] = environment[name]
    values.update(given)
    config = Config(**{name: _convert(name, value) for name, value in values.items()})
    _check(config)
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hanami_jupyter.backend",
        description="An embedded Hanami server. Every option is also a variable HANAMI_BACKEND_...",
    )
    for field in fields(Config):
        option = "--" + field.name.replace("_", "-")
        if field.type == "bool":
            parser.add_argument(
                option, action=argparse.BooleanOptionalAction, default=None, help=_HELP[field.name]
            )
        else:
            parser.add_argument(option, default=None, metavar="X", help=_HELP[field.name])
    parser.add_argument("--config", default=None, metavar="FILE.toml", help="file with these settings")
    return parser


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
        values: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"The settings file '{path}' cannot be read: {error.strerror}.") from None
    except ValueError as error:
        raise ConfigError(f"The settings file '{path}' is not TOML: {error}.") from None
    known = {field.name for field in fields(Config)}
    values = {name.replace("-", "_"): value for name, value in values.items()}
    for name in values:
        if name not in known:
            raise ConfigError(f"Setting '{name}' in '{path}' is not known. Use one of {', '.join(known)}.")
    return values


_FLAGS = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
_KINDS = {field.name: str(field.type) for field in fields(Config)}


def _convert(name: str, value: Any) -> Any:
    """Turn a text into the type of a setting."""
    kind = _KINDS[name]
    try:
        if kind == "bool":
            return value if isinstance(value, bool) else _FLAGS[str(value).lower()]
        if kind == "int":
            return int(value)
        if kind == "float":
            return float(value)
    except (ValueError, KeyError):
        raise ConfigError(f"Setting '{name}' is '{value}', which is no {kind}.") from None
    return Path(value) if kind.startswith("Path") else str(value)


def _check(config: Config) -> None:
    if not 0 <= config.port <= 65535:
        raise ConfigError(f"Port {config.port} does not exist. Give one of 1 to 65535, or 0 for a free one.")
    if bool(config.certfile) != bool(config.keyfile):
        raise ConfigError("TLS needs both a certificate (--certfile) and its key (--keyfile).")
    if config.token_lifetime <= 0 or config.login_delay < 0:
        raise ConfigError("token_lifetime must be greater than 0, login_delay at least 0.")
    if config.snapshot_seconds <= 0:
        raise ConfigError("snapshot_seconds must be greater than 0.")
    if config.password_cost < 1 or config.password_memory < 8:
        raise ConfigError("password_cost must be at least 1, password_memory at least 8.")
    if config.log_level not in {"debug", "info", "warning", "error"}:
        raise ConfigError(f"Log level '{config.log_level}' is not known. Use debug, info, warning or error.")


def first_admin(environment: Mapping[str, str]) -> tuple[str, str, str | None]:
    """Return id, name and password (None if it is to be generated) of the first admin."""
    user = environment.get("HANAMI_ADMIN_USER_ID", "admin")
    return (
        user,
        environment.get("HANAMI_ADMIN_USER_NAME", user),
        environment.get("HANAMI_ADMIN_PASSWORD") or environment.get("HANAMI_ADMIN_PASSPHRASE"),
    )


def take_secrets() -> dict[str, str]:
    """Return the environment and drop the password from it, so that no child process inherits it."""
    environment = dict(os.environ)
    for name in ("HANAMI_ADMIN_PASSWORD", "HANAMI_ADMIN_PASSPHRASE"):
        os.environ.pop(name, None)
    return environment
