"""The REST endpoints, declared once: for the backend's checks, the OpenAPI document, the client, the docs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

BASE = "/v1.0alpha"
DEFAULT_ADDRESS = "http://127.0.0.1:11418"
TOKEN_HEADER = "X-Auth-Token"  # noqa: S105 - the header's name
UPLOAD_PIECE = 131_072  # bytes; the original counts pieces of exactly this size
MAX_BODY = 1 << 20  # bytes
MAX_CONTENT_ROWS = 10_000
LOG_PAGE = 100  # rows
DATASET_VERSION = "v1.0alpha"

Kind = Literal["str", "int", "bool", "array", "float", "object"]

ID = r"^[a-zA-Z][a-zA-Z_0-9]*$"
ID_EXT = r"^[a-zA-Z][a-zA-Z_0-9@]*$"
NAME = r"^[a-zA-Z][a-zA-Z_0-9\- ]*$"
_UUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
UUID = f"^{_UUID}$"


@dataclass(frozen=True)
class Field:
    """One field of a request.

    Attributes
    ----------
    name : str
        Key in the JSON body or in the query.
    kind : str
        JSON type.
    required : bool
        Whether a request without it is refused.
    pattern : str or None
        Regular expression the whole value has to match (text only).
    minimum, maximum : int or None
        Limits of the value of a number, of the length in bytes of a text.
    default : object
        Value where it is absent and not required.
    added : bool
        Ours beyond the original: not to be sent to a server that does not offer it.
    """

    name: str
    kind: Kind
    required: bool = True
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    default: Any = None
    added: bool = False

    def matches(self, value: str) -> bool:
        """Tell whether a text matches the field's pattern."""
        return self.pattern is None or re.fullmatch(self.pattern.strip("^$"), value, re.ASCII) is not None


@dataclass(frozen=True)
class Endpoint:
    """One method of one path.

    Attributes
    ----------
    method, path : str
        HTTP method and path below :data:`BASE`.
    summary : str
        What it does, in a few words.
    fields : tuple of Field
        JSON body of POST and PUT, query of GET and DELETE.
    answer : mapping of str to str
        Names and JSON types of the answer's fields; empty for ``{}``.
    columns : tuple of str
        Header of a list answer, in order.
    extra : mapping of str to str
        Further fields of our own answer, or columns of our list, which other servers lack.
    statuses : tuple of int
        Statuses it can answer besides 200.
    rights : str
        ``open`` (no token), ``role`` (the policy file decides) or ``admin`` (global admins only).
    added : bool
        Ours beyond the original.
    media : str
        Content type of a successful answer.
    """

    method: str
    path: str
    summary: str
    fields: tuple[Field, ...] = ()
    answer: Mapping[str, Kind] = field(default_factory=lambda: MappingProxyType({}))
    columns: tuple[str, ...] = ()
    extra: Mapping[str, Kind] = field(default_factory=lambda: MappingProxyType({}))
    statuses: tuple[int, ...] = (400, 401, 500)
    rights: Literal["open", "role", "admin"] = "role"
    added: bool = False
    media: str = "text/json"


def _id(name: str = "id", *, extended: bool = False, required: bool = True, maximum: int = 254) -> Field:
    return Field(name, "str", required, ID_EXT if extended else ID, 4, maximum)


def _name(name: str = "name") -> Field:
    return Field(name, "str", True, NAME, 4, 254)


def _uuid(name: str = "uuid", *, required: bool = True) -> Field:
    return Field(name, "str", required, UUID)


def _flag(name: str) -> Field:
    return Field(name, "bool", False, default=False)


def _size(name: str) -> Field:
    return Field(name, "int", True, minimum=1, maximum=10_000_000_000)


def _text(*names: str, **others: Kind) -> Mapping[str, Kind]:
    kinds: dict[str, Kind] = dict.fromkeys(names, "str")
    return MappingProxyType(dict(sorted((kinds | others).items())))


_TIME = Field("time_length", "int", False, minimum=1, maximum=1000, default=1)
_PAGE = (
    Field("page", "int", True, minimum=0, maximum=1_000_000_000),
    _id("user_id", extended=True, required=False),
)
_TOKEN = _text("id", "name", "token", is_admin="bool")
_USER = _text("created_at", "creator_id", "id", "name", is_admin="bool", projects="array")
_PROJECT = _text("created_at", "creator_id", "id", "name")
_OWNED = _text("created_at", "name", "owner_id", "project_id", "uuid", "visibility")
_CLUSTER_MORE: Mapping[str, Kind] = MappingProxyType(
    {
        "template": "str",
        "mode": "str",
        "host_uuid": "str",
        "inputs": "object",
        "outputs": "object",
        "seed": "int",
        "number_of_neurons": "int",
        "number_of_blocks": "int",
        "number_of_sections": "int",
        "number_of_synapses": "int",
        "memory_bytes": "int",
        "hexagons": "array",
    }
)
_HOST_MORE: Mapping[str, Kind] = MappingProxyType(
    {"name": "str", "cores": "int", "memory": "int", "load": "float"}
)
_TASK = _text(
    "end_timestamp",
    "name",
    "queue_timestamp",
    "start_timestamp",
    "state",
    "uuid",
    current_cycle="int",
    total_number_of_cycles="int",
)
_TASK_MORE: Mapping[str, Kind] = MappingProxyType(
    {"percentage_finished": "float", "queue_position": "int", "cycles_per_second": "float", "error": "str"}
)
_TASK_STATUSES = (400, 401, 404, 500)
OWNED_COLUMNS = ("created_at", "uuid", "project_id", "owner_id", "visibility", "name")
TASK_STATES = ("queued", "active", "aborted", "finished")
CONFLICT = (400, 401, 409, 500)
MISSING = (400, 401, 404, 500)
BOTH = (400, 401, 404, 409, 500)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/token",
        "Log in",
        (_id(extended=True), Field("password", "str", True, None, 8, 4096)),
        _TOKEN,
        rights="open",
    ),
    Endpoint("PUT", "/token", "Get a token for another project", (_id("project_id"),), _TOKEN),
    Endpoint(
        "GET",
        "/auth",
        "Check a token and a right",
        (
            Field("endpoint", "str", False, r"^[a-zA-Z][a-zA-Z._/0-9]*$", 4, 256),
            Field("http_type", "int", False, minimum=1, maximum=5),
            Field("token", "str", True, r"^[a-zA-Z_.\-0-9]*$"),
        ),
        _text("id", "name", "project_id", "role", is_admin="bool", is_project_admin="bool"),
    ),
    Endpoint(
        "POST",
        "/user",
        "Create a user",
        (
            _id(extended=True),
            _flag("is_admin"),
            _name(),
            Field("password", "str", True, None, 8, 4096),
        ),
        _USER,
        statuses=CONFLICT,
        rights="admin",
    ),
    Endpoint(
        "GET",
        "/user",
        "Get a user",
        (_id(extended=True, maximum=256),),
        _USER,
        statuses=MISSING,
        rights="admin",
    ),
    Endpoint("DELETE", "/user", "Delete a user", (_id(extended=True),), statuses=BOTH, rights="admin"),
    Endpoint(
        "GET",
        "/user/all",
        "List users",
        columns=("created_at", "id", "name", "creator_id", "projects", "is_admin"),
        statuses=(401, 500),
        rights="admin",
    ),
    Endpoint(
        "POST",
        "/user/project",
        "Assign a project to a user",
        (_id(extended=True), _flag("is_project_admin"), _id("project_id"), _id("role")),
        _USER,
        statuses=BOTH,
        rights="admin",
    ),
    Endpoint(
        "GET",
        "/user/project",
        "List the projects of a user",
        (_id("user_id", extended=True),),
        MappingProxyType({"projects": "array"}),
        statuses=MISSING,
    ),
    Endpoint(
        "DELETE",
        "/user/project",
        "Take a project from a user",
        (_id(extended=True), _id("project_id")),
        _USER,
        statuses=MISSING,
        rights="admin",
    ),
    Endpoint(
        "POST", "/project", "Create a project", (_id(), _name()), _PROJECT, statuses=CONFLICT, rights="admin"
    ),
    Endpoint("GET", "/project", "Get a project", (_id(),), _PROJECT, statuses=MISSING, rights="admin"),
    Endpoint("DELETE", "/project", "Delete a project", (_id(),), statuses=BOTH, rights="admin"),
    Endpoint(
        "GET",
        "/project/all",
        "List projects",
        columns=("created_at", "id", "name", "creator_id"),
        statuses=(401, 500),
        rights="admin",
    ),
    Endpoint(
        "POST",
        "/cluster",
        "Create a cluster from a template",
        (
            Field("host", "str", False, f"^(auto|{_UUID})$", added=True),
            _name(),
            Field("seed", "int", False, minimum=0, maximum=2**31 - 1, added=True),
            Field("template", "str", False),
        ),
        _OWNED,
        statuses=BOTH,
    ),
    Endpoint("GET", "/cluster", "Get a cluster", (_uuid(),), _OWNED, extra=_CLUSTER_MORE, statuses=MISSING),
    Endpoint("DELETE", "/cluster", "Delete a cluster", (_uuid(),), statuses=MISSING),
    Endpoint("GET", "/cluster/all", "List clusters", columns=OWNED_COLUMNS, statuses=(401, 500)),
    Endpoint(
        "POST",
        "/cluster/save",
        "Save a cluster as a checkpoint",
        (_uuid("cluster_uuid"), _name()),
        _text("name", "uuid"),
        statuses=MISSING,
    ),
    Endpoint(
        "POST",
        "/cluster/load",
        "Restore a cluster from a checkpoint",
        (_uuid("checkpoint_uuid"), _uuid("cluster_uuid")),
        _text("uuid"),
        statuses=MISSING,
    ),
    Endpoint(
        "PUT",
        "/cluster/set_mode",
        "Switch a cluster between tasks and direct messages",
        (
            _uuid("connection_uuid", required=False),
            Field("new_state", "str", True, r"^(TASK|DIRECT)$"),
            _uuid(),
        ),
        _text("created_at", "name", "new_state", "uuid"),
        statuses=BOTH,
    ),
    Endpoint(
        "PUT",
        "/cluster/switch_host",
        "Move a cluster to another host",
        (_uuid("cluster_uuid"), _uuid("host_uuid")),
        _OWNED,
        statuses=BOTH,
    ),
    Endpoint(
        "POST",
        "/task/train",
        "Queue a training",
        (
            _uuid("cluster_uuid"),
            Field("inputs", "array"),
            _name(),
            Field("outputs", "array"),
            _TIME,
        ),
        _TASK,
        extra=_TASK_MORE,
        statuses=_TASK_STATUSES,
    ),
    Endpoint(
        "POST",
        "/task/request",
        "Queue a request",
        (
            _uuid("cluster_uuid"),
            Field("inputs", "array"),
            _name(),
            Field("results", "array"),
            _TIME,
        ),
        _TASK,
        extra=_TASK_MORE,
        statuses=_TASK_STATUSES,
    ),
    Endpoint(
        "GET",
        "/task",
        "Get a task",
        (_uuid("cluster_uuid"), _uuid()),
        _TASK,
        extra=_TASK_MORE,
        statuses=_TASK_STATUSES,
    ),
    Endpoint(
        "DELETE", "/task", "Abort or delete a task", (_uuid("cluster_uuid"), _uuid()), statuses=_TASK_STATUSES
    ),
    Endpoint(
        "GET",
        "/task/all",
        "List the tasks of a cluster",
        (_uuid("cluster_uuid"),),
        columns=("uuid", "state", "percentage", "queued", "start", "end"),
        statuses=_TASK_STATUSES,
    ),
    Endpoint(
        "POST",
        "/dataset/upload/mnist",
        "Begin the upload of an MNIST dataset",
        (_size("input_data_size"), _size("label_data_size"), _name()),
        _text(*_OWNED, "uuid_input_file", "uuid_label_file"),
    ),
    Endpoint(
        "PUT",
        "/dataset/upload/mnist",
        "Finish the upload of an MNIST dataset",
        (_uuid(), _uuid("uuid_input_file"), _uuid("uuid_label_file")),
        _text("uuid"),
        statuses=MISSING,
    ),
    Endpoint(
        "POST",
        "/dataset/upload/csv",
        "Begin the upload of a CSV dataset",
        (_size("input_data_size"), _name()),
        _text(*_OWNED, "uuid_input_file"),
    ),
    Endpoint(
        "PUT",
        "/dataset/upload/csv",
        "Finish the upload of a CSV dataset",
        (_uuid(), _uuid("uuid_input_file")),
        _text("uuid"),
        statuses=MISSING,
    ),
    Endpoint(
        "POST",
        "/dataset/upload/array",
        "Begin the upload of an array: one .npy file, columns named by their widths",
        (Field("columns", "array"), _size("input_data_size"), _name()),
        _text(*_OWNED, "uuid_input_file"),
        added=True,
    ),
    Endpoint(
        "PUT",
        "/dataset/upload/array",
        "Finish the upload of an array",
        (_uuid(), _uuid("uuid_input_file")),
        _text("uuid"),
        statuses=MISSING,
        added=True,
    ),
    Endpoint(
        "GET",
        "/dataset",
        "Get a dataset",
        (_uuid(),),
        _text(*_OWNED, "version", description="object", number_of_columns="int", number_of_rows="int"),
        statuses=BOTH,
    ),
    Endpoint("DELETE", "/dataset", "Delete a dataset", (_uuid(),), statuses=MISSING),
    Endpoint("GET", "/dataset/all", "List datasets", columns=OWNED_COLUMNS, statuses=(401, 500)),
    Endpoint(
        "GET",
        "/dataset/progress",
        "Tell whether an upload has arrived",
        (_uuid(),),
        _text("uuid", complete="bool"),
        statuses=MISSING,
    ),
    Endpoint(
        "GET",
        "/dataset/content",
        "Read rows of one column",
        (
            Field("column_name", "str", True, NAME),
            Field("number_of_rows", "int", False, minimum=1, maximum=MAX_CONTENT_ROWS),
            Field("row_offset", "int", False, minimum=0, maximum=1_000_000_000, default=0),
            _uuid(),
        ),
        MappingProxyType({"data": "array"}),
        statuses=BOTH,
    ),
    Endpoint(
        "GET",
        "/dataset/check",
        "Compare a result with the labels of a dataset",
        (_uuid("reference_uuid"), _uuid()),
        MappingProxyType({"accuracy": "float"}),
        statuses=BOTH,
    ),
    Endpoint(
        "GET",
        "/dataset/file",
        "Download a whole dataset as .npy",
        (_uuid(),),
        statuses=BOTH,
        added=True,
        media="application/octet-stream",
    ),
    Endpoint(
        "GET",
        "/checkpoint",
        "Get a checkpoint",
        (_uuid(),),
        _OWNED,
        statuses=MISSING,
    ),
    Endpoint("DELETE", "/checkpoint", "Delete a checkpoint", (_uuid(),), statuses=MISSING),
    Endpoint("GET", "/checkpoint/all", "List checkpoints", columns=OWNED_COLUMNS, statuses=(401, 500)),
    Endpoint(
        "GET",
        "/checkpoint/file",
        "Download a checkpoint as one file",
        (_uuid(),),
        statuses=MISSING,
        added=True,
        media="application/octet-stream",
    ),
    Endpoint(
        "POST",
        "/checkpoint/upload",
        "Begin the upload of a checkpoint file",
        (_size("input_data_size"), _name()),
        _text(*_OWNED, "uuid_input_file"),
        added=True,
    ),
    Endpoint(
        "PUT",
        "/checkpoint/upload",
        "Finish the upload of a checkpoint file",
        (_uuid(), _uuid("uuid_input_file")),
        _text("uuid"),
        statuses=MISSING,
        added=True,
    ),
    Endpoint(
        "GET",
        "/audit_log",
        "List requests, a page of 100 at a time",
        _PAGE,
        columns=("created_at", "user_id", "endpoint", "request_type"),
    ),
    Endpoint(
        "GET",
        "/error_log",
        "List errors, a page of 100 at a time",
        _PAGE,
        columns=("created_at", "user_id", "component", "context", "input_values", "message"),
        rights="admin",
    ),
    Endpoint(
        "GET", "/host/all", "List hosts", columns=("uuid", "type"), extra=_HOST_MORE, statuses=(401, 500)
    ),
    Endpoint(
        "GET",
        "/system_info",
        "Describe the machine",
        answer=MappingProxyType({"info": "object"}),
        statuses=(401, 500),
    ),
    Endpoint(
        "GET",
        "/threading",
        "List threads and their cores",
        answer=MappingProxyType({"thread_map": "object"}),
        statuses=(401, 500),
    ),
    Endpoint(
        "GET",
        "/power_consumption",
        "Power over the last minute, hour, day and year, in watts",
        answer=MappingProxyType({"power": "object"}),
        statuses=(401, 500),
    ),
    Endpoint(
        "GET",
        "/speed",
        "Clock over the last minute, hour, day and year, in megahertz",
        answer=MappingProxyType({"current_speed": "object"}),
        statuses=(401, 500),
    ),
    Endpoint(
        "GET",
        "/temperature_production",
        "Temperature over the last minute, hour, day and year, in degrees Celsius",
        answer=MappingProxyType({"temperature": "object"}),
        statuses=(401, 500),
    ),
    Endpoint(
        "GET",
        "/health",
        "Tell that the server answers, and what it offers",
        answer=_text("status", "version", features="array"),
        statuses=(500,),
        rights="open",
        added=True,
    ),
    Endpoint(
        "GET",
        "/openapi.json",
        "Describe every endpoint",
        statuses=(500,),
        rights="open",
        added=True,
    ),
)

BY_KEY: Mapping[tuple[str, str], Endpoint] = MappingProxyType({(e.method, e.path): e for e in ENDPOINTS})
