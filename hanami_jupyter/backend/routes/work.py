"""Endpoints for clusters, tasks and hosts."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from hanami_jupyter.backend.clusters import MAX_WIDTH, check_hexagons
from hanami_jupyter.backend.errors import bad
from hanami_jupyter.backend.service import Service
from hanami_jupyter.backend.store import Caller
from hanami_jupyter.protocol.endpoints import BY_KEY, OWNED_COLUMNS

from . import data, route, table

MAX_TEMPLATE = 300_000
_COLUMN = next(field for field in BY_KEY["GET", "/dataset/content"].fields if field.name == "column_name")


@route("POST", "/cluster", slow=True)
def create_cluster(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Create a cluster."""
    if not values["template"]:
        raise bad("The template is empty. Send a cluster template in base64.")
    if len(values["template"]) > MAX_TEMPLATE:
        raise bad(f"The template is longer than {MAX_TEMPLATE} characters of base64.")
    try:
        template = base64.b64decode(values["template"], validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        raise bad("Uploaded template is not a valid base64-String.") from None
    made = service.clusters.create(caller, values["name"], template, values["seed"], values["host"])
    return made.answer()


@route("GET", "/cluster")
def get_cluster(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Return a cluster with what has grown."""
    return service.clusters.answer(service.clusters.row(values["uuid"], caller))


@route("DELETE", "/cluster", slow=True)
def delete_cluster(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Delete a cluster with its tasks."""
    service.clusters.delete(values["uuid"], caller)
    return {}


@route("GET", "/cluster/all")
def list_clusters(service: Service, caller: Caller, _values: dict[str, Any]) -> Any:
    """List clusters."""
    return table(OWNED_COLUMNS, service.store.visible("clusters", caller))


@route("PUT", "/cluster/set_mode", slow=True)
def set_mode(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Switch between tasks and direct messages."""
    row = service.clusters.set_mode(values["uuid"], caller, values["new_state"])
    return {
        "created_at": row.created_at,
        "name": row.name,
        "new_state": values["new_state"],
        "uuid": row.uuid,
    }


@route("PUT", "/cluster/switch_host")
def switch_host(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Move a cluster to another host."""
    return service.clusters.switch_host(values["cluster_uuid"], caller, values["host_uuid"]).answer()


@route("POST", "/cluster/save")
def save(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Queue the saving of a checkpoint."""
    row = service.clusters.row(values["cluster_uuid"], caller)
    task = service.clusters.add(caller, row.uuid, kind="save", name=values["name"], total=1, plan={})
    return {"name": values["name"], "uuid": task["uuid"]}


@route("POST", "/cluster/load")
def load(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Queue the loading of a checkpoint."""
    row = service.clusters.row(values["cluster_uuid"], caller)
    checkpoint = data.checkpoint(service, values["checkpoint_uuid"], caller)
    task = service.clusters.add(
        caller, row.uuid, kind="load", name="", total=1, plan={"checkpoint": checkpoint.uuid}
    )
    return {"uuid": task["uuid"]}


def _entries(given: Sequence[Any], field: str, *keys: str) -> list[list[str]]:
    """Return the named texts of every entry of an array."""
    entries = []
    for number, entry in enumerate(given):
        if not isinstance(entry, dict):
            raise bad(f"Entry {number} of '{field}' is no object with {', '.join(keys)}.")
        for key in keys:
            if key not in entry:
                raise bad(f"'{key}' is missing in entry {number} of '{field}'")
            if not isinstance(entry[key], str):
                raise bad(f"'{key}' in entry {number} of '{field}' is no text")
        entries.append([entry[key] for key in keys])
    return entries


def _columns(
    service: Service, caller: Caller, given: Sequence[Any], field: str, length: int = 1
) -> tuple[dict[str, list[Any]], int]:
    """Return dataset and place of a column by hexagon, and the smallest number of rows."""
    found: dict[str, list[Any]] = {}
    rows = []
    for uuid, name, hexagon in _entries(given, field, "dataset_uuid", "dataset_column", "hexagon_name"):
        row = data.dataset(service, uuid, caller, else_=400)
        if hexagon in found:
            raise bad(f"Hexagon '{hexagon}' stands twice in '{field}'. Give it one column.")
        start, end = data.column(row, name)
        if start == end:
            raise bad(f"Column '{name}' of dataset '{row.name}' is empty.")
        if (end - start) * length > MAX_WIDTH:
            raise bad(
                f"Column '{name}' of dataset '{row.name}' brings {(end - start) * length} values a cycle."
                f" A hexagon takes {MAX_WIDTH} at most."
            )
        found[hexagon] = [row.uuid, start, end]
        rows.append(row.info["number_of_rows"])
    if not found:
        raise bad(f"'{field}' is empty. Name at least one dataset column and its hexagon.")
    return found, min(rows)


def _cycles(rows: int, time_length: int) -> int:
    if rows < time_length:
        raise bad(f"time_length is {time_length}, but the shortest column has {rows} rows.")
    return rows - time_length + 1


@route("POST", "/task/train")
def train(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Queue a training."""
    settled = service.clusters.settled(values["cluster_uuid"])
    row = service.clusters.row(values["cluster_uuid"], caller)
    inputs, rows = _columns(service, caller, values["inputs"], "inputs", values["time_length"])
    outputs, more = _columns(service, caller, values["outputs"], "outputs")
    if settled:
        check_hexagons(row, "input", list(inputs))
        check_hexagons(row, "output", list(outputs))
    time_length = values["time_length"]
    plan = {"inputs": inputs, "outputs": outputs, "time_length": time_length}
    total = _cycles(min(rows, more), time_length)
    return service.clusters.add(caller, row.uuid, kind="train", name=values["name"], total=total, plan=plan)


@route("POST", "/task/request")
def request(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Queue a request."""
    settled = service.clusters.settled(values["cluster_uuid"])
    row = service.clusters.row(values["cluster_uuid"], caller)
    inputs, rows = _columns(service, caller, values["inputs"], "inputs", values["time_length"])
    results = _entries(values["results"], "results", "dataset_column", "hexagon_name")
    for name, _ in results:
        if not _COLUMN.matches(name):
            raise bad(f"The result column '{name[:80]}' doesn't match with regex \"{_COLUMN.pattern}\"")
    if settled:
        check_hexagons(row, "input", list(inputs))
        check_hexagons(row, "output", [hexagon for _, hexagon in results])
    time_length = values["time_length"]
    plan = {"inputs": inputs, "results": results, "time_length": time_length}
    total = _cycles(rows, time_length)
    return service.clusters.add(caller, row.uuid, kind="request", name=values["name"], total=total, plan=plan)


@route("GET", "/task")
def get_task(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Return a task as it is now."""
    return service.clusters.task(values["uuid"], values["cluster_uuid"], caller)


@route("DELETE", "/task")
def delete_task(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Abort or delete a task."""
    service.clusters.delete_task(values["uuid"], values["cluster_uuid"], caller)
    return {}


@route("GET", "/task/all", slow=True)
def list_tasks(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """List the tasks of a cluster."""
    body = [
        [
            task["uuid"],
            task["state"],
            f"{task['percentage_finished']:.6f}",
            task["queue_timestamp"],
            task["start_timestamp"],
            task["end_timestamp"],
        ]
        for task in service.clusters.tasks(values["cluster_uuid"], caller)
    ]
    return table(BY_KEY["GET", "/task/all"].columns, body)


@route("GET", "/host/all")
def list_hosts(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """List hosts."""
    endpoint = BY_KEY["GET", "/host/all"]
    return table((*endpoint.columns, *endpoint.extra), service.clusters.host_rows())
