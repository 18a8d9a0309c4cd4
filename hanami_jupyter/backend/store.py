"""Everything the backend remembers in SQLite: all SQL of the project is in this module."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal

VERSION = 1
LOG_ROWS = 200_000  # rows kept of each log
LOG_STEP = 1000  # rows after which the oldest ones are dropped
Resource = Literal["clusters", "datasets", "checkpoints"]
Log = Literal["audit_log", "error_log"]

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE users (number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL,
  creator_id TEXT NOT NULL, created_at TEXT NOT NULL, is_admin INTEGER NOT NULL, password_hash TEXT NOT NULL);
CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL, creator_id TEXT NOT NULL,
  created_at TEXT NOT NULL);
CREATE TABLE assignments (number INTEGER PRIMARY KEY, user_id TEXT NOT NULL, project_id TEXT NOT NULL,
  role TEXT NOT NULL, is_project_admin INTEGER NOT NULL, UNIQUE (user_id, project_id));
CREATE TABLE clusters (number INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL,
  name TEXT NOT NULL, owner_id TEXT NOT NULL, project_id TEXT NOT NULL, mode TEXT NOT NULL DEFAULT 'TASK',
  host_uuid TEXT NOT NULL, info TEXT NOT NULL);
CREATE TABLE datasets (number INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL,
  name TEXT NOT NULL, owner_id TEXT NOT NULL, project_id TEXT NOT NULL, kind TEXT NOT NULL,
  complete INTEGER NOT NULL, info TEXT NOT NULL);
CREATE TABLE checkpoints (number INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL,
  name TEXT NOT NULL, owner_id TEXT NOT NULL, project_id TEXT NOT NULL, complete INTEGER NOT NULL);
CREATE TABLE uploads (uuid TEXT PRIMARY KEY, target_uuid TEXT NOT NULL, part TEXT NOT NULL,
  size INTEGER NOT NULL, owner_id TEXT NOT NULL, project_id TEXT NOT NULL, received TEXT NOT NULL);
CREATE INDEX uploads_target ON uploads (target_uuid);
CREATE TABLE tasks (number INTEGER PRIMARY KEY, uuid TEXT NOT NULL UNIQUE, cluster_uuid TEXT NOT NULL,
  name TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL, queued_at TEXT NOT NULL,
  started_at TEXT NOT NULL DEFAULT '-', ended_at TEXT NOT NULL DEFAULT '-', cycle INTEGER NOT NULL DEFAULT 0,
  total INTEGER NOT NULL, seconds REAL NOT NULL DEFAULT 0, error TEXT NOT NULL DEFAULT '',
  plan TEXT NOT NULL);
CREATE INDEX tasks_cluster ON tasks (cluster_uuid);
CREATE TABLE audit_log (number INTEGER PRIMARY KEY, created_at TEXT NOT NULL, user_id TEXT NOT NULL,
  endpoint TEXT NOT NULL, request_type TEXT NOT NULL);
CREATE INDEX audit_user ON audit_log (user_id);
CREATE TABLE error_log (number INTEGER PRIMARY KEY, created_at TEXT NOT NULL, user_id TEXT NOT NULL,
  component TEXT NOT NULL, context TEXT NOT NULL, input_values TEXT NOT NULL, message TEXT NOT NULL);
CREATE INDEX error_user ON error_log (user_id);
"""
# who may see a row: global admins all, project admins the project's, everybody else their own in it
_SCOPE = " (:all OR (project_id = :project AND (:whole OR owner_id = :user)))"


class StoreError(Exception):
    """The database cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class Caller:
    """Who asks, as the token and the accounts say.

    Attributes
    ----------
    user_id, name : str
        The account.
    is_admin : bool
        Global admin: sees and changes everything.
    project_id, role : str
        Project of the token and the role in it.
    is_project_admin : bool
        Sees all rows of the project.
    created_at, creator_id : str
        Origin of the account.
    expires : float
        When the token ends, in seconds since the epoch.
    """

    user_id: str
    name: str
    is_admin: bool
    project_id: str
    role: str
    is_project_admin: bool
    created_at: str = "-"
    creator_id: str = ""
    expires: float = float("inf")

    @property
    def scope(self) -> dict[str, Any]:
        """Values for the condition that a row is visible."""
        return {
            "all": self.is_admin,
            "project": self.project_id,
            "whole": self.is_project_admin,
            "user": self.user_id,
        }


@dataclass(frozen=True)
class User:
    """An account."""

    number: int
    id: str
    name: str
    creator_id: str
    created_at: str
    is_admin: bool
    password_hash: str
    projects: tuple[Mapping[str, Any], ...] = ()

    def answer(self) -> dict[str, Any]:
        """Return the account as the wire shows it."""
        return {
            "created_at": self.created_at,
            "creator_id": self.creator_id,
            "id": self.id,
            "is_admin": self.is_admin,
            "name": self.name,
            "projects": list(self.projects),
        }


@dataclass(frozen=True)
class Owned:
    """A cluster, dataset or checkpoint."""

    uuid: str
    created_at: str
    name: str
    owner_id: str
    project_id: str

    def answer(self, **more: Any) -> dict[str, Any]:
        """Return the row as the wire shows it."""
        return {
            "created_at": self.created_at,
            "name": self.name,
            "owner_id": self.owner_id,
            "project_id": self.project_id,
            "uuid": self.uuid,
            "visibility": "private",
            **more,
        }


@dataclass(frozen=True)
class ClusterRow(Owned):
    """A cluster: its mode, its host, and what has grown."""

    mode: str
    host_uuid: str
    info: Mapping[str, Any]


@dataclass(frozen=True)
class DatasetRow(Owned):
    """A dataset; ``info`` holds description, rows and columns once it is complete."""

    kind: str
    complete: bool
    info: Mapping[str, Any]


@dataclass(frozen=True)
class CheckpointRow(Owned):
    """A checkpoint."""

    complete: bool


@dataclass(frozen=True)
class UploadRow:
    """A file under way."""

    uuid: str
    target_uuid: str
    part: str
    size: int
    owner_id: str
    project_id: str
    received: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TaskRow:
    """A task; progress of an active one is kept by its cluster, not here."""

    uuid: str
    cluster_uuid: str
    name: str
    kind: str
    state: str
    queued_at: str
    started_at: str
    ended_at: str
    cycle: int
    total: int
    seconds: float
    error: str
    plan: Mapping[str, Any]


def now() -> str:
    """Return the present UTC time as the wire writes it."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


class Store:
    """The database of one data folder, safe to use from any thread.

    Parameters
    ----------
    path : Path
        The SQLite file; made if it does not exist.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.row_factory = sqlite3.Row
        try:
            if self._db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._open()
        except sqlite3.DatabaseError as error:
            self._db.close()
            if "full" in str(error) or isinstance(error, sqlite3.OperationalError):
                raise StoreError(f"The database '{path.name}' cannot be opened: {error}.") from None
            raise StoreError(
                f"The database '{path.name}' is damaged. Restore a copy, or start with an empty folder."
            ) from None

    def _open(self) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found == 0:
            self._db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
        elif found != VERSION:
            raise StoreError(
                f"The database has version {found}, this program reads {VERSION}. Use the one that wrote it."
            )
        self._shorten("audit_log")
        self._shorten("error_log")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the statements inside one unit: all of them or none."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _run(self, statement: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> int:
        with self._lock:
            return self._db.execute(statement, values).rowcount

    def _all(self, statement: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _one(self, statement: str, values: Mapping[str, Any] | tuple[Any, ...] = ()) -> sqlite3.Row | None:
        rows = self._all(statement, values)
        return rows[0] if rows else None

    # -- what the server keeps for itself

    def secret(self, key: str, make: str) -> str:
        """Return a kept value; ``make`` becomes it the first time."""
        self._run("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, make))
        row = self._one("SELECT value FROM meta WHERE key = ?", (key,))
        assert row is not None  # noqa: S101 - just inserted
        return str(row["value"])

    # -- users

    def add_user(self, user_id: str, name: str, creator: str, *, is_admin: bool, password_hash: str) -> bool:
        """Add an account; tell whether the id was free."""
        return bool(
            self._run(
                "INSERT OR IGNORE INTO users (id, name, creator_id, created_at, is_admin, password_hash)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (user_id, name, creator, now(), is_admin, password_hash),
            )
        )

    def set_password(self, user_id: str, password_hash: str) -> None:
        """Replace the password hash of an account."""
        self._run("UPDATE users SET password_hash = ? WHERE id = ?", (password_hash, user_id))

    def user(self, user_id: str) -> User | None:
        """Return an account with its projects."""
        row = self._one("SELECT * FROM users WHERE id = ?", (user_id,))
        return None if row is None else self._user(row, self._assignments(user_id).get(user_id, []))

    def users(self) -> list[User]:
        """Return all accounts, oldest first."""
        projects = self._assignments()
        return [
            self._user(row, projects.get(row["id"], []))
            for row in self._all("SELECT * FROM users ORDER BY number")
        ]

    @staticmethod
    def _user(row: sqlite3.Row, projects: Iterable[Mapping[str, Any]]) -> User:
        values = dict(row)
        values["is_admin"] = bool(values["is_admin"])
        return User(**values, projects=tuple(projects))

    def _assignments(self, user_id: str | None = None) -> dict[str, list[Mapping[str, Any]]]:
        found: dict[str, list[Mapping[str, Any]]] = {}
        for row in self._all(
            "SELECT * FROM assignments WHERE :user IS NULL OR user_id = :user ORDER BY number",
            {"user": user_id},
        ):
            found.setdefault(row["user_id"], []).append(
                {
                    "is_project_admin": bool(row["is_project_admin"]),
                    "project_id": row["project_id"],
                    "role": row["role"],
                }
            )
        return found

    def delete_user(self, user_id: str) -> bool:
        """Delete an account and its assignments; tell whether it existed."""
        with self.transaction():
            self._run("DELETE FROM assignments WHERE user_id = ?", (user_id,))
            return bool(self._run("DELETE FROM users WHERE id = ?", (user_id,)))

    def assign(self, user_id: str, project_id: str, role: str, *, is_project_admin: bool) -> bool:
        """Give a project to a user; tell whether it was new."""
        return bool(
            self._run(
                "INSERT OR IGNORE INTO assignments (user_id, project_id, role, is_project_admin)"
                " VALUES (?, ?, ?, ?)",
                (user_id, project_id, role, is_project_admin),
            )
        )

    def unassign(self, user_id: str, project_id: str) -> bool:
        """Take a project from a user; tell whether he had it."""
        return bool(
            self._run("DELETE FROM assignments WHERE user_id = ? AND project_id = ?", (user_id, project_id))
        )

    # -- projects

    def add_project(self, project_id: str, name: str, creator: str) -> bool:
        """Add a project; tell whether the id was free."""
        return bool(
            self._run(
                "INSERT OR IGNORE INTO projects VALUES (?, ?, ?, ?)", (project_id, name, creator, now())
            )
        )

    def project(self, project_id: str) -> dict[str, Any] | None:
        """Return a project as the wire shows it."""
        row = self._one("SELECT * FROM projects WHERE id = ?", (project_id,))
        return None if row is None else dict(row)

    def projects(self) -> list[dict[str, Any]]:
        """Return all projects, oldest first."""
        return [dict(row) for row in self._all("SELECT * FROM projects ORDER BY rowid")]

    def delete_project(self, project_id: str) -> list[str]:
        """Delete an empty project and its assignments; return what it still holds otherwise."""
        with self.transaction():
            held = self._held("project_id", project_id)
            if not held:
                self._run("DELETE FROM assignments WHERE project_id = ?", (project_id,))
                self._run("DELETE FROM projects WHERE id = ?", (project_id,))
            return held

    def owned(self, user_id: str) -> list[str]:
        """Return what belongs to an id that is no user's any more."""
        return [] if self.user(user_id) else self._held("owner_id", user_id)

    def _held(self, column: Literal["project_id", "owner_id"], value: str) -> list[str]:
        """Return kinds and names of what belongs to a project or user."""
        kinds = ("cluster", "dataset", "checkpoint")
        return [
            f"{kind} '{row['name']}'"
            for kind in kinds
            for row in self._all(
                f"SELECT name FROM {kind}s WHERE {column} = ? ORDER BY number",  # noqa: S608 - fixed names
                (value,),
            )
        ]

    # -- clusters, datasets, checkpoints

    def visible(self, table: Resource, caller: Caller) -> list[list[Any]]:
        """Return the list rows of what the caller may see, oldest first."""
        done = " AND complete" if table == "checkpoints" else ""
        columns = "created_at, uuid, project_id, owner_id, 'private', name"
        statement = f"SELECT {columns} FROM {table} WHERE{_SCOPE}{done} ORDER BY number"  # noqa: S608 - fixed names
        return [list(row) for row in self._all(statement, caller.scope)]

    def uuids(self, table: Resource) -> list[str]:
        """Return the ids of all clusters, datasets or checkpoints."""
        return [row["uuid"] for row in self._all(f"SELECT uuid FROM {table}")]  # noqa: S608 - fixed names

    def _resource(self, table: Resource, uuid: str, caller: Caller | None) -> sqlite3.Row | None:
        if caller is None:
            return self._one(f"SELECT * FROM {table} WHERE uuid = ?", (uuid,))  # noqa: S608 - fixed names
        return self._one(
            f"SELECT * FROM {table} WHERE uuid = :uuid AND{_SCOPE}",  # noqa: S608 - fixed names
            {"uuid": uuid, **caller.scope},
        )

    def delete(self, table: Resource, uuid: str) -> None:
        """Delete the row of a cluster (with its tasks), dataset or checkpoint."""
        with self.transaction():
            self._run(f"DELETE FROM {table} WHERE uuid = ?", (uuid,))  # noqa: S608 - fixed names
            self._run("DELETE FROM uploads WHERE target_uuid = ?", (uuid,))
            if table == "clusters":
                self._run("DELETE FROM tasks WHERE cluster_uuid = ?", (uuid,))

    @staticmethod
    def _owned(row: sqlite3.Row) -> dict[str, Any]:
        return {key: row[key] for key in ("uuid", "created_at", "name", "owner_id", "project_id")}

    def add_cluster(self, uuid: str, name: str, caller: Caller, host: str, info: Mapping[str, Any]) -> bool:
        """Add a cluster unless the caller already sees one of that name."""
        return bool(
            self._run(
                "INSERT INTO clusters (uuid, created_at, name, owner_id, project_id, host_uuid, info)"
                " SELECT :uuid, :now, :name, :user, :project, :host, :info"
                " WHERE NOT EXISTS (SELECT 1 FROM clusters WHERE name = :name AND"
                " (:all OR (project_id = :project AND (:whole OR owner_id = :user))))",
                {
                    "uuid": uuid,
                    "now": now(),
                    "name": name,
                    "host": host,
                    "info": json.dumps(info),
                    **caller.scope,
                },
            )
        )

    def cluster(self, uuid: str, caller: Caller | None = None) -> ClusterRow | None:
        """Return a cluster the caller may see (any without a caller)."""
        row = self._resource("clusters", uuid, caller)
        return None if row is None else self._cluster(row)

    def clusters(self) -> list[ClusterRow]:
        """Return all clusters."""
        return [self._cluster(row) for row in self._all("SELECT * FROM clusters ORDER BY number")]

    def _cluster(self, row: sqlite3.Row) -> ClusterRow:
        return ClusterRow(
            **self._owned(row), mode=row["mode"], host_uuid=row["host_uuid"], info=json.loads(row["info"])
        )

    def cluster_named(self, name: str, caller: Caller) -> bool:
        """Tell whether the caller sees a cluster of that name."""
        return bool(
            self._all(
                f"SELECT 1 FROM clusters WHERE name = :name AND{_SCOPE}",  # noqa: S608 - fixed text
                {"name": name, **caller.scope},
            )
        )

    def update_cluster(
        self,
        uuid: str,
        *,
        mode: str | None = None,
        host: str | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        """Change what is given of a cluster."""
        self._run(
            "UPDATE clusters SET mode = coalesce(?, mode), host_uuid = coalesce(?, host_uuid),"
            " info = coalesce(?, info) WHERE uuid = ?",
            (mode, host, None if info is None else json.dumps(info), uuid),
        )

    def add_dataset(
        self,
        uuid: str,
        name: str,
        owner: Sequence[str],
        *,
        kind: str,
        info: Mapping[str, Any],
        complete: bool,
    ) -> None:
        """Add a dataset; ``owner`` is user and project."""
        self._run(
            "INSERT INTO datasets (uuid, created_at, name, owner_id, project_id, kind, complete, info)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (uuid, now(), name, *owner, kind, complete, json.dumps(info)),
        )

    def dataset(self, uuid: str, caller: Caller | None = None) -> DatasetRow | None:
        """Return a dataset the caller may see (any without a caller)."""
        row = self._resource("datasets", uuid, caller)
        if row is None:
            return None
        return DatasetRow(
            **self._owned(row),
            kind=row["kind"],
            complete=bool(row["complete"]),
            info=json.loads(row["info"]),
        )

    def complete_dataset(self, uuid: str, info: Mapping[str, Any]) -> bool:
        """Finish a dataset and forget its files; tell whether it still exists."""
        with self.transaction():
            self._run("DELETE FROM uploads WHERE target_uuid = ?", (uuid,))
            return bool(
                self._run(
                    "UPDATE datasets SET complete = 1, info = ? WHERE uuid = ?", (json.dumps(info), uuid)
                )
            )

    def add_checkpoint(self, uuid: str, name: str, owner: Sequence[str], *, complete: bool) -> None:
        """Add a checkpoint; ``owner`` is user and project."""
        self._run(
            "INSERT INTO checkpoints (uuid, created_at, name, owner_id, project_id, complete)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (uuid, now(), name, *owner, complete),
        )

    def checkpoint(self, uuid: str, caller: Caller | None = None) -> CheckpointRow | None:
        """Return a checkpoint the caller may see (any without a caller)."""
        row = self._resource("checkpoints", uuid, caller)
        return None if row is None else CheckpointRow(**self._owned(row), complete=bool(row["complete"]))

    def complete_checkpoint(self, uuid: str) -> None:
        """Finish a checkpoint and forget its file."""
        with self.transaction():
            self._run("DELETE FROM uploads WHERE target_uuid = ?", (uuid,))
            self._run("UPDATE checkpoints SET complete = 1 WHERE uuid = ?", (uuid,))

    # -- uploads

    def add_upload(self, uuid: str, target: str, part: str, size: int, owner: Sequence[str]) -> None:
        """Add a file that is to come; ``owner`` is user and project."""
        self._run("INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?, '[]')", (uuid, target, part, size, *owner))

    def upload(self, uuid: str, caller: Caller | None = None) -> UploadRow | None:
        """Return a file under way if it belongs to the caller's user and project."""
        row = self._one("SELECT * FROM uploads WHERE uuid = ?", (uuid,))
        owner = None if caller is None else (caller.user_id, caller.project_id)
        if row is None or (owner is not None and (row["owner_id"], row["project_id"]) != owner):
            return None
        return self._upload(row)

    def uploads(self, target: str | None = None) -> list[UploadRow]:
        """Return the files under way, of one target or all."""
        return [
            self._upload(row)
            for row in self._all(
                "SELECT * FROM uploads WHERE :target IS NULL OR target_uuid = :target", {"target": target}
            )
        ]

    @staticmethod
    def _upload(row: sqlite3.Row) -> UploadRow:
        values = dict(row)
        values["received"] = tuple((a, b) for a, b in json.loads(values["received"]))
        return UploadRow(**values)

    def set_received(self, uuid: str, received: Iterable[tuple[int, int]]) -> None:
        """Note which bytes of a file have arrived."""
        self._run("UPDATE uploads SET received = ? WHERE uuid = ?", (json.dumps(list(received)), uuid))

    # -- tasks

    def add_task(
        self, uuid: str, cluster: str, *, name: str, kind: str, total: int, plan: Mapping[str, Any]
    ) -> TaskRow:
        """Add a queued task."""
        self._run(
            "INSERT INTO tasks (uuid, cluster_uuid, name, kind, state, queued_at, total, plan)"
            " VALUES (?, ?, ?, ?, 'queued', ?, ?, ?)",
            (uuid, cluster, name, kind, now(), total, json.dumps(plan)),
        )
        task = self.task(uuid, cluster)
        assert task is not None  # noqa: S101 - just inserted
        return task

    def task(self, uuid: str, cluster: str) -> TaskRow | None:
        """Return a task of a cluster."""
        row = self._one("SELECT * FROM tasks WHERE uuid = ? AND cluster_uuid = ?", (uuid, cluster))
        return None if row is None else self._task(row)

    def tasks(self, cluster: str) -> list[TaskRow]:
        """Return the tasks of a cluster, oldest first."""
        return [
            self._task(row)
            for row in self._all("SELECT * FROM tasks WHERE cluster_uuid = ? ORDER BY number", (cluster,))
        ]

    def loads(self, cluster: str) -> bool:
        """Tell whether a cluster is going to become another one by a checkpoint."""
        return bool(
            self._all(
                "SELECT 1 FROM tasks WHERE cluster_uuid = ? AND kind = 'load'"
                " AND state IN ('queued', 'active')",
                (cluster,),
            )
        )

    @staticmethod
    def _task(row: sqlite3.Row) -> TaskRow:
        values = dict(row)
        del values["number"]
        values["plan"] = json.loads(values["plan"])
        return TaskRow(**values)

    def begin_task(self, uuid: str) -> None:
        """Note that a task has begun."""
        self._run("UPDATE tasks SET state = 'active', started_at = ? WHERE uuid = ?", (now(), uuid))

    def end_task(self, uuid: str, state: str, cycle: int, seconds: float, error: str = "") -> None:
        """Note how a task has ended."""
        self._run(
            "UPDATE tasks SET state = ?, cycle = ?, seconds = ?, error = ?, ended_at = ? WHERE uuid = ?",
            (state, cycle, seconds, error, now(), uuid),
        )

    def delete_task(self, uuid: str) -> None:
        """Delete the row of a task."""
        self._run("DELETE FROM tasks WHERE uuid = ?", (uuid,))

    def abort_unfinished(self, reason: str) -> None:
        """Note that what was queued or active when the backend stopped will not run."""
        self._run(
            "UPDATE tasks SET state = 'aborted', error = ?, ended_at = ? WHERE state IN ('queued', 'active')",
            (reason, now()),
        )

    # -- logs

    def audit(self, user_id: str, endpoint: str, method: str) -> None:
        """Note a request."""
        self._note(
            "audit_log",
            "INSERT INTO audit_log (created_at, user_id, endpoint, request_type) VALUES (?, ?, ?, ?)",
            (now(), user_id, endpoint, method),
        )

    def error(self, user_id: str, component: str, context: str, values: str, message: str) -> None:
        """Note an error."""
        self._note(
            "error_log",
            "INSERT INTO error_log (created_at, user_id, component, context, input_values, message)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (now(), user_id, component, context, values, message),
        )

    def _note(self, table: Log, statement: str, values: tuple[str, ...]) -> None:
        """Add a row to a log; now and then drop the oldest ones."""
        with self._lock:
            number = self._db.execute(statement, values).lastrowid or 0
            if number % LOG_STEP == 0:
                self._shorten(table)

    def _shorten(self, table: Log) -> None:
        self._db.execute(
            f"DELETE FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?",  # noqa: S608 - fixed names
            (LOG_ROWS,),
        )

    def log(self, table: Log, user_id: str | None, page: int, size: int) -> Any:
        """Return a page of a log, oldest first, without the row numbers."""
        rows = self._all(
            f"SELECT * FROM {table} WHERE :user IS NULL OR user_id = :user"  # noqa: S608 - fixed names
            " ORDER BY number LIMIT :size OFFSET :start",
            {"user": user_id, "size": size, "start": page * size},
        )
        return [list(row)[1:] for row in rows]
