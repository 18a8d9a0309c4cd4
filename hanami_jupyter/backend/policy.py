"""Which role may use which endpoint: the built-in policy from the endpoint table, or a file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from hanami_jupyter.protocol.endpoints import BASE, ENDPOINTS

from .config import ConfigError

METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD")
_RULE = re.compile(r"-\s*([A-Z]+)\s*:\s*(.*)")
_ENDPOINT = re.compile(r"[a-zA-Z][a-zA-Z._/0-9]*")

Policy = Mapping[tuple[str, str], frozenset[str]]  # (method, path below the root) -> roles


def built_in() -> dict[tuple[str, str], frozenset[str]]:
    """Return the default: ``member`` may use everything but users, projects and error logs."""
    root = BASE.strip("/")
    return {
        (e.method, root + e.path): frozenset({"admin"} if e.rights == "admin" else {"admin", "member"})
        for e in ENDPOINTS
        if e.rights != "open"
    }


def parse(text: str) -> dict[tuple[str, str], frozenset[str]]:
    r"""Read a policy: an endpoint a line, below it ``- GET: admin, member``.

    Parameters
    ----------
    text : str
        The policy; empty lines and ``#`` comments are skipped.

    Returns
    -------
    dict
        Roles by method and endpoint.

    Raises
    ------
    ConfigError
        With the number of the first line that is neither.

    Examples
    --------
    >>> sorted(parse("v1.0alpha/cluster\n- GET: admin, member\n")["GET", "v1.0alpha/cluster"])
    ['admin', 'member']
    """
    policy: dict[tuple[str, str], frozenset[str]] = {}
    endpoint = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.split("#", 1)[0].strip()
        if not stripped:
            continue
        rule = _RULE.fullmatch(stripped)
        if rule and endpoint and rule[1] in METHODS:
            roles = frozenset(role.strip() for role in rule[2].split(",") if role.strip())
            policy[rule[1], endpoint] = roles
        elif not rule and _ENDPOINT.fullmatch(stripped.rstrip(":")):
            endpoint = stripped.rstrip(":")
        else:
            raise ConfigError(
                f"Line {number} of the policy file is {stripped[:80]!r}. Write an endpoint, such as"
                " 'v1.0alpha/cluster', or below one a rule, such as '- GET: admin, member'."
            )
    return policy


def load(path: Path | None) -> Policy:
    """Return the policy of a file, or the built-in one."""
    if path is None:
        return built_in()
    try:
        return parse(path.read_text("utf-8"))
    except (OSError, ValueError):  # no text, or no path
        raise ConfigError(f"The policy file '{path}' cannot be read.") from None
