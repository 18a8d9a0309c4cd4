"""Endpoints for logs, measurements, the machine, and what the server offers."""

from __future__ import annotations

import json
from typing import Any, Literal

from hanami_jupyter.backend import measurements, openapi
from hanami_jupyter.backend.errors import RefusalError
from hanami_jupyter.backend.service import Service
from hanami_jupyter.backend.store import Caller
from hanami_jupyter.protocol.endpoints import BY_KEY, ENDPOINTS, LOG_PAGE

from . import route, table


def _log(service: Service, name: Literal["audit_log", "error_log"], user_id: str | None, page: int) -> Any:
    rows = service.store.log(name, user_id, page, LOG_PAGE)
    return table(BY_KEY["GET", f"/{name}"].columns, rows)


@route("GET", "/audit_log")
def audit_log(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """List requests of the caller, for an admin of any user."""
    if values["user_id"] is not None and not caller.is_admin:
        raise RefusalError(401, "'user_id' can only be set by an admin")
    return _log(service, "audit_log", values["user_id"] or caller.user_id, values["page"])


@route("GET", "/error_log")
def error_log(service: Service, _caller: Caller, values: dict[str, Any]) -> Any:
    """List errors."""
    found = _log(service, "error_log", values["user_id"], values["page"])
    place = found["header"].index("input_values")
    for row in found["body"]:
        if row[place].startswith("{"):
            row[place] = json.loads(row[place])
    return found


@route("GET", "/system_info")
def system_info(_service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """Describe the machine."""
    return {"info": measurements.system_info()}


@route("GET", "/threading")
def threading(_service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """List threads and their cores."""
    return {"thread_map": measurements.thread_map()}


@route("GET", "/power_consumption")
def power(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """Return the power history."""
    return service.measurements.answer("power")


@route("GET", "/speed")
def speed(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """Return the clock history."""
    return service.measurements.answer("current_speed")


@route("GET", "/temperature_production")
def temperature(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """Return the temperature history."""
    return service.measurements.answer("temperature")


FEATURES = tuple(
    [f"{e.method} {e.path}" for e in ENDPOINTS if e.added]
    + [f"{e.method} {e.path} {f.name}" for e in ENDPOINTS for f in e.fields if f.added and not e.added]
)


@route("GET", "/health")
async def health(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """Tell that the server answers, and what it offers beyond the original."""
    return {"status": service.status, "version": service.version, "features": list(FEATURES)}


@route("GET", "/openapi.json")
async def describe(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """Return the OpenAPI document."""
    return openapi.document(service.version)
