"""Turns a request into checked values, in the order of checks of the original server."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus

from hanami_jupyter.protocol.endpoints import Endpoint, Field

from .errors import bad

METHODS = frozenset({"GET", "POST", "PUT", "DELETE"})
MIN_PATH = 5
TOKEN_PATTERN = re.compile(r"[a-zA-Z_.\-0-9]*")
_PATH = re.compile(r"[a-zA-Z][a-zA-Z._/0-9]*")
_WHOLE = re.compile(r"-?[0-9]{1,30}")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "array": (list,),
    "object": (dict,),
    "float": (int, float),
}


def check_target(method: str, path: str, query: str) -> None:
    """Refuse a method or target that no endpoint can have."""
    if method not in METHODS:
        raise bad(f"Invalid request-method '{method[:20]}'")
    if len(path.strip("/")) < MIN_PATH and len(path) <= MIN_PATH:
        raise bad("Uri is too short.")
    if not path.startswith("/") or ".." in path or ".." in query or "#" in query:
        raise bad("A URI begins with '/' and holds neither '..' nor '#'.")
    if not _PATH.fullmatch(path.lstrip("/")):
        raise bad(f"Given item 'endpoint' doesn't match with regex \"^{_PATH.pattern}$\"")


def parse_query(query: str) -> dict[str, Any]:
    """Return the values of a query string; the last one of a name wins."""
    values: dict[str, Any] = {}
    if query:
        for part in query.split("?", 1)[0].split("&"):
            name, _, value = part.partition("=")
            if part or len(query) > 1:
                values[unquote_plus(name)] = unquote_plus(value)
    return values


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the JSON object of a body."""
    try:
        text = body.decode("utf-8")
        values = json.loads(text, parse_constant=_refuse, parse_float=_finite)
        if "\\u" in text:  # half a surrogate pair is no text
            json.dumps(values, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise bad(f"Failed to parse input-values, because of json-parser error: {reason}"[:300]) from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise bad("Failed to parse input-values: the body is no JSON object.")
    return values


def is_json(body: bytes) -> bool:
    """Tell whether a text is JSON at all, of whatever kind."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(name: str) -> float:
    raise ValueError(f"'{name}' is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"number {text[:40]} is too large")
    return value


def check_values(endpoint: Endpoint, values: dict[str, Any], texts: frozenset[str]) -> dict[str, Any]:
    """Check the values of a request against its endpoint's fields.

    Parameters
    ----------
    endpoint : Endpoint
        The endpoint.
    values : dict
        What came, by name.
    texts : frozenset of str
        Names that came as text in the query: whole numbers in them become integers where one is expected.

    Returns
    -------
    dict
        The values, defaults filled in; optional fields without default are None if absent.

    Raises
    ------
    RefusalError
        400: unknown keys, then missing ones, then each field in alphabetical order.
    """
    fields = sorted(endpoint.fields, key=lambda field: field.name)
    known = {field.name for field in fields}
    for name in sorted(values):
        if name not in known:
            raise bad(f"Validation failed, because item '{name[:80]}' is not in the list of allowed keys")
    for field in fields:
        if field.required and field.name not in values:
            raise bad(f"Validation failed, because variable '{field.name}' is required, but is not set.")
    checked: dict[str, Any] = {}
    for field in fields:
        if field.name in values:
            value = values[field.name]
            if field.name in texts:
                value = _from_text(field, value)
            _check(field, value)
            checked[field.name] = value
        else:
            checked[field.name] = field.default
    return checked


def _from_text(field: Field, value: str) -> Any:
    if field.kind == "int" and _WHOLE.fullmatch(value):
        return int(value)
    if field.kind == "bool" and value in ("true", "false"):
        return value == "true"
    return value


def _check(field: Field, value: Any) -> None:
    name = field.name
    right = isinstance(value, _TYPES[field.kind]) and (field.kind == "bool" or not isinstance(value, bool))
    if not right:
        raise bad(
            f"Value-validation failed, because item '{name}' has the false type: expected {field.kind}."
        )
    if isinstance(value, str):
        if not field.matches(value):
            raise bad(f"Given item '{name}' doesn't match with regex \"{field.pattern}\"")
        size = len(value.encode("utf-8"))
        if field.minimum is not None and size < field.minimum:
            raise bad(f"Given item '{name}' is shorter than {field.minimum} characters")
        if field.maximum is not None and size > field.maximum:
            raise bad(f"Given item '{name}' is longer than {field.maximum} characters")
    elif isinstance(value, int):
        if field.minimum is not None and value < field.minimum:
            raise bad(f"Given item '{name}' is smaller than {field.minimum}")
        if field.maximum is not None and value > field.maximum:
            raise bad(f"Given item '{name}' is bigger than {field.maximum}")
