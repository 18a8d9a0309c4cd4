"""The lists of the dashboard: clusters, checkpoints, hosts, users, projects, and the logs."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pandas as pd
import traitlets

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.panels.recipes import PASSWORD, step
from hanami_jupyter.panels.resources import Action, Field, Resources, offers
from hanami_jupyter.panels.table import Column, choices
from hanami_jupyter.panels.transfers import file_name
from hanami_jupyter.protocol.endpoints import LOG_PAGE

if TYPE_CHECKING:
    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session

_LOOKED_AT = 200  # clusters whose hosts are asked for, the latest
_MOMENT = 2.0  # seconds that an action waits for its task, while other panels wait too
_OWNED = (
    Column("name", "Name"),
    Column("created_at", "Created", "time"),
    Column("owner_id", "Owner"),
    Column("project_id", "Project"),
    Column("uuid", "Uuid", "uuid"),
)
_GROWN = {
    "number_of_neurons": "Neurons",
    "number_of_synapses": "Synapses",
    "number_of_sections": "Sections",
    "number_of_blocks": "Blocks",
}
Opens = Callable[[str, str], None]


class Clusters(Resources):
    """Show the clusters: what has grown in them; save, restore, move, delete.

    Parameters
    ----------
    session : Session or Login
        The connection to the server.
    opens : callable, optional
        Called with ``"new"``, ``"picture"`` or ``"tasks"`` and a cluster's uuid to show another panel.

    Examples
    --------
    >>> Clusters(session).selected
    ''
    """

    many = "clusters"
    selects = "cluster"
    source = ("cluster.list_clusters", ("cluster", "list"))
    empty = "The clusters will be here. Draw one with 'New cluster', or call create_cluster."
    detailed = True
    columns = _OWNED
    actions = (
        Action("new", "New cluster", row=False),
        Action("picture", "Picture"),
        Action("tasks", "Train and request"),
        Action("save", "Save", form=True),
        Action("restore", "Restore", form=True),
        Action("move", "Move", form=True),
        Action(
            "delete",
            "Delete",
            question="Delete cluster '{name}'? What it learned and its tasks are gone then.",
        ),
    )

    def __init__(self, session: Session | Login, opens: Opens | None = None) -> None:
        self._opens = opens
        self.checkpoint = ""  # what is offered first to restore
        super().__init__(session)
        if opens is None:
            self.offered = offers(self.actions, "new", "picture", "tasks")

    def follow(self, chosen: Mapping[str, str]) -> None:
        """Offer the selected checkpoint first."""
        self.checkpoint = chosen["checkpoint"]

    def read(self) -> pd.DataFrame:
        """Return the clusters, the latest first."""
        found: pd.DataFrame = self.session.cluster.list_clusters()
        return found[::-1]

    def about(self, key: str) -> Mapping[str, object]:
        """Return how a cluster is, and what has grown in it."""
        cluster = self.session.cluster.get_cluster(key)
        found: dict[str, object] = {}
        if isinstance(mode := cluster.get("mode"), str):
            found["Mode"] = {"TASK": "tasks", "DIRECT": "direct messages"}.get(mode, mode)
        if host := self._host_name(cluster.get("host_uuid")):
            found["Host"] = host
        for name, label in (("inputs", "Inputs"), ("outputs", "Outputs")):
            if isinstance(ends := cluster.get(name), Mapping):
                found[label] = ", ".join(ends)
        for name, label in _GROWN.items():
            if isinstance(number := cluster.get(name), int):
                found[label] = f"{number:,}"
        if isinstance(size := cluster.get("memory_bytes"), int):
            found["Memory"] = f"{size / 1e6:,.1f} MB"
        return found

    def _host_name(self, uuid: object) -> str:
        hosts = _hosts(self.session) if isinstance(uuid, str) else {}
        return hosts.get(str(uuid), "")

    def _open(self, what: str, key: str) -> None:
        if self._opens is not None:
            self._opens(what, key)

    def act_new(self, _: str) -> None:
        """Open the editor."""
        self._open("new", "")

    def act_picture(self, key: str) -> None:
        """Show what has grown."""
        self._open("picture", key)

    def act_tasks(self, key: str) -> None:
        """Open the cluster's tasks."""
        self._open("tasks", key)

    def form_save(self, key: str) -> list[Field]:
        """Ask for the checkpoint's name."""
        return [Field("name", "Checkpoint", value=f"{self.rows[key]['name']} saved")]

    def act_save(self, key: str, name: str) -> None:
        """Save the state of a cluster as a checkpoint."""
        saved = self.session.cluster.save_cluster(name.strip(), key)
        done = _soon(self.session, saved["uuid"], key)
        words = ("cluster", "save", key, "-n", name.strip())
        self.did(step("cluster.save_cluster", name.strip(), key, words=words))
        when = "is saved" if done else "will be saved when the tasks before it have ended"
        self.write(said=f"Checkpoint '{name.strip()}' {when}.")

    def form_restore(self, _: str) -> list[Field]:
        """Ask for the checkpoint."""
        saved = choices(self.session.checkpoint.list_checkpoints(), self.checkpoint)
        if not saved:
            message = "There is no checkpoint yet. Save a cluster first."
            raise PanelError(message)
        return [Field("checkpoint", "Checkpoint", "choice", saved[0][0], saved)]

    def act_restore(self, key: str, checkpoint: str) -> None:
        """Bring a cluster back to the state of a checkpoint."""
        task = self.session.cluster.restore_cluster(checkpoint, key)
        done = _soon(self.session, task["uuid"], key)
        words = ("cluster", "restore", key, "-c", checkpoint)
        self.did(step("cluster.restore_cluster", checkpoint, key, words=words))
        when = "is" if done else "will be, when the tasks before it have ended,"
        self.write(said=f"Cluster '{self.rows[key]['name']}' {when} as it was in the checkpoint.")

    def form_move(self, key: str) -> list[Field]:
        """Ask for the host."""
        return [_host_field(self.session, self.session.cluster.get_cluster(key).get("host_uuid"))]

    def act_move(self, key: str, host: str) -> None:
        """Move a cluster to another host."""
        _move(self, key, host, str(self.rows[key]["name"]))

    def act_delete(self, key: str) -> None:
        """Delete a cluster."""
        name = self.rows[key]["name"]
        self.session.cluster.delete_cluster(key)
        self.did(step("cluster.delete_cluster", key, words=("cluster", "delete", key)))
        self.write(said=f"Cluster '{name}' was deleted.")


class Checkpoints(Resources):
    """Show the checkpoints: make a cluster of one, take it along as a file, bring one, delete.

    Examples
    --------
    >>> Checkpoints(session).selected
    ''
    """

    many = "checkpoints"
    selects = "checkpoint"
    source = ("checkpoint.list_checkpoints", ("checkpoint", "list"))
    empty = "The checkpoints will be here. Save a cluster, or upload a file that was downloaded from one."
    columns = _OWNED
    actions = (
        Action("upload", "Upload", row=False, file=True, form=True),
        Action("cluster", "New cluster", form=True),
        Action("download", "Download"),
        Action("delete", "Delete", question="Delete checkpoint '{name}'? It cannot be brought back."),
    )

    def read(self) -> pd.DataFrame:
        """Return the checkpoints, the latest first."""
        found: pd.DataFrame = self.session.checkpoint.list_checkpoints()
        return found[::-1]

    def form_cluster(self, key: str) -> list[Field]:
        """Ask for the cluster's name."""
        return [Field("name", "Cluster", value=f"{self.rows[key]['name']} again")]

    def act_cluster(self, key: str, name: str) -> None:
        """Make a cluster that begins in the state of a checkpoint."""
        self.session.cluster.create_cluster(name.strip(), checkpoint_uuid=key)
        words = ("cluster", "create", name.strip(), "--checkpoint", key)
        self.did(step("cluster.create_cluster", name.strip(), checkpoint_uuid=key, words=words))
        self.write(said=f"Cluster '{name.strip()}' was created.")

    def act_download(self, key: str) -> dict[str, Any]:
        """Give a checkpoint as one file."""
        name = file_name(str(self.rows[key]["name"]), "checkpoint")
        with tempfile.TemporaryDirectory() as folder:
            path = self.session.checkpoint.download_checkpoint(key, Path(folder) / "checkpoint")
            data = path.read_bytes()
        self.did(step("checkpoint.download_checkpoint", key, name))
        return self.offer(name, data)

    def form_upload(self, _: str) -> list[Field]:
        """Ask for the checkpoint's name."""
        return [Field("name", "Checkpoint")]

    def act_upload(self, _: str, name: str, file: int) -> None:
        """Make a checkpoint of a file from the browser."""
        source = self.taken(file)
        with source.file:
            self.session.checkpoint.upload_checkpoint(name.strip(), source.file)
        self.did(step("checkpoint.upload_checkpoint", name.strip(), source.name))
        self.write(said=f"Checkpoint '{name.strip()}' was uploaded.")

    def act_delete(self, key: str) -> None:
        """Delete a checkpoint."""
        name = self.rows[key]["name"]
        self.session.checkpoint.delete_checkpoint(key)
        self.did(step("checkpoint.delete_checkpoint", key, words=("checkpoint", "delete", key)))
        self.write(said=f"Checkpoint '{name}' was deleted.")


class Hosts(Resources):
    """Show the hosts: their cores, what lives on them; move a cluster to one.

    Examples
    --------
    >>> Hosts(session).selected
    ''
    """

    many = "hosts"
    selects = "host"
    source = ("hosts.list_hosts", ("host", "list"))
    empty = "The server names no hosts."
    detailed = True
    columns = (
        Column("name", "Name"),
        Column("type", "Type"),
        Column("cores", "Cores", "number"),
        Column("gigabytes", "Memory (GB)", "number"),
        Column("load", "Load", "number"),
        Column("clusters", "Clusters", "number"),
        Column("uuid", "Uuid", "uuid"),
    )
    actions = (Action("move", "Move a cluster here", form=True),)

    def __init__(self, session: Session | Login) -> None:
        self.cluster = ""  # what is offered first to be moved
        self._followed = True
        self._living: dict[str, list[str]] = {}
        self._where: dict[str, str] = {}
        super().__init__(session)

    def follow(self, chosen: Mapping[str, str]) -> None:
        """Select the host of the selected cluster, and offer the cluster first to be moved."""
        if chosen["cluster"] != self.cluster:
            self.cluster = chosen["cluster"]
            self._followed = False
            self.refresh()

    def update(self) -> float | None:
        """Read the hosts; select the one of the cluster that is followed."""
        delay = super().update()
        if not self._followed and self.cluster in self._where:
            self._followed = True
            self.write(selected=self._where[self.cluster])
        return delay

    def read(self) -> pd.DataFrame:
        """Return the hosts with the number of clusters on each."""
        session = self.session
        table = session.hosts.list_hosts()
        living: dict[str, list[str]] = defaultdict(list)
        where: dict[str, str] = {}
        for uuid in session.cluster.list_clusters()["uuid"][-_LOOKED_AT:]:
            try:
                cluster = session.cluster.get_cluster(uuid)
            except exceptions.NotFoundException:
                continue  # deleted meanwhile
            if isinstance(cluster.get("host_uuid"), str):
                living[cluster["host_uuid"]].append(str(cluster["name"]))
                where[str(uuid)] = cluster["host_uuid"]
        self._living, self._where = living, where
        if "memory" in table:
            table["gigabytes"] = (table["memory"].astype("float64") / 1e9).round(1)
        counted: pd.DataFrame = table.assign(clusters=[len(living.get(uuid, ())) for uuid in table["uuid"]])
        return counted

    def about(self, key: str) -> Mapping[str, object]:
        """Return the clusters that live on a host."""
        return {"Clusters": ", ".join(self._living.get(key, ())) or "none"}

    def form_move(self, _: str) -> list[Field]:
        """Ask for the cluster."""
        clusters = choices(self.session.cluster.list_clusters(), self.cluster)
        if not clusters:
            message = "There is no cluster yet. Create one first."
            raise PanelError(message)
        return [Field("cluster", "Cluster", "choice", clusters[0][0], clusters)]

    def act_move(self, key: str, cluster: str) -> None:
        """Move a cluster to the host."""
        _move(self, cluster, key, str(self.session.cluster.get_cluster(cluster)["name"]))


class Users(Resources):
    """Show the users, for admins: create one, assign projects with a role, take them away, delete.

    Examples
    --------
    >>> Users(session).selected
    ''
    """

    many = "users"
    selects = "user"
    source = ("user.list_users", ("user", "list"))
    empty = "The users will be here."
    key = "id"
    columns = (
        Column("id", "Id"),
        Column("name", "Name"),
        Column("is_admin", "Admin", "flag"),
        Column("roles", "Projects"),
        Column("creator_id", "Created by"),
        Column("created_at", "Created", "time"),
    )
    actions = (
        Action("create", "New user", row=False, form=True),
        Action("assign", "Assign project", form=True),
        Action("remove", "Remove from project", form=True),
        Action(
            "delete", "Delete", question="Delete user '{id}'? Who has this login cannot sign in any more."
        ),
    )

    def __init__(self, session: Session | Login) -> None:
        self.project = ""  # what is offered first to be assigned
        self._projects: dict[str, list[str]] = {}
        super().__init__(session)

    def follow(self, chosen: Mapping[str, str]) -> None:
        """Offer the selected project first."""
        self.project = chosen["project"]

    def read(self) -> pd.DataFrame:
        """Return the users with their projects in words."""
        table = self.session.user.list_users()
        held = [list(entry or ()) for entry in table["projects"]]
        pairs = zip(table["id"], held, strict=True)
        self._projects = {
            str(user): [str(entry["project_id"]) for entry in entries] for user, entries in pairs
        }
        found: pd.DataFrame = table.assign(roles=[", ".join(map(_role, entries)) for entries in held])
        return found

    def form_create(self, _: str) -> list[Field]:
        """Ask for who it is."""
        return [
            Field("user", "Id"),
            Field("name", "Name"),
            Field("password", "Password", "password"),
            Field("admin", "Admin of everything", "flag", value=False),
        ]

    def act_create(self, _: str, user: str, name: str, admin: bool, password: str = "") -> None:
        """Create a user."""
        user, name = user.strip(), name.strip()
        try:
            self.session.user.create_user(user, name, password, admin)
        finally:
            del password
        words = ["user", "create", user, "-n", name, *(["--is_admin"] if admin else [])]
        self.did(step("user.create_user", user, name, PASSWORD, admin, words=words))
        self.write(said=f"User '{user}' was created.")

    def form_assign(self, key: str) -> list[Field]:
        """Ask for the project and the role."""
        listed = self.session.project.list_projects()["id"].astype(str)
        free = [project for project in listed if project not in self._projects.get(key, ())]
        if not free:
            message = f"There is no project that '{key}' does not have. Create one first."
            raise PanelError(message)
        free.sort(key=lambda project: project != self.project)
        return [
            Field("project", "Project", "choice", free[0], [(name, name) for name in free]),
            Field("role", "Role", value="member"),
            Field("leads", "Sees all of the project", "flag", value=False),
        ]

    def act_assign(self, key: str, project: str, role: str, leads: bool) -> None:
        """Assign a project to a user."""
        self.session.user.add_project_to_user(key, project, role.strip(), leads)
        words = ["user", "add-project", key, project, "--role", role.strip()]
        words += ["--is_project_admin"] if leads else []
        self.did(step("user.add_project_to_user", key, project, role.strip(), leads, words=words))
        self.write(said=f"User '{key}' is in project '{project}' now.")

    def form_remove(self, key: str) -> list[Field]:
        """Ask for the project."""
        held = self._projects.get(key)
        if not held:
            message = f"User '{key}' has no project. Assign one first."
            raise PanelError(message)
        return [Field("project", "Project", "choice", held[0], [(name, name) for name in held])]

    def act_remove(self, key: str, project: str) -> None:
        """Take a project from a user."""
        self.session.user.remove_project_from_user(key, project)
        words = ("user", "remove-project", key, project)
        self.did(step("user.remove_project_from_user", key, project, words=words))
        self.write(said=f"User '{key}' is not in project '{project}' any more.")

    def act_delete(self, key: str) -> None:
        """Delete a user."""
        self.session.user.delete_user(key)
        self.did(step("user.delete_user", key, words=("user", "delete", key)))
        self.write(said=f"User '{key}' was deleted.")


class Projects(Resources):
    """Show the projects, for admins: create one, delete one.

    Examples
    --------
    >>> Projects(session).selected
    ''
    """

    many = "projects"
    selects = "project"
    source = ("project.list_projects", ("project", "list"))
    empty = "The projects will be here. They separate the work of users."
    key = "id"
    columns = (
        Column("id", "Id"),
        Column("name", "Name"),
        Column("creator_id", "Created by"),
        Column("created_at", "Created", "time"),
    )
    actions = (
        Action("create", "New project", row=False, form=True),
        Action(
            "delete",
            "Delete",
            question="Delete project '{id}'? Users that have no other cannot sign in any more.",
        ),
    )

    def read(self) -> pd.DataFrame:
        """Return the projects."""
        found: pd.DataFrame = self.session.project.list_projects()
        return found

    def form_create(self, _: str) -> list[Field]:
        """Ask for id and name."""
        return [Field("project", "Id"), Field("name", "Name")]

    def act_create(self, _: str, project: str, name: str) -> None:
        """Create a project."""
        project, name = project.strip(), name.strip()
        self.session.project.create_project(project, name)
        words = ("project", "create", project, "-n", name)
        self.did(step("project.create_project", project, name, words=words))
        self.write(said=f"Project '{project}' was created.")

    def act_delete(self, key: str) -> None:
        """Delete a project."""
        self.session.project.delete_project(key)
        self.did(step("project.delete_project", key, words=("project", "delete", key)))
        self.write(said=f"Project '{key}' was deleted.")


class Log(Resources):
    """Show a log, a page of the server at a time, the last one first.

    Parameters
    ----------
    session : Session or Login
        The connection to the server.
    kind : str
        ``"audit"``: what was changed; ``"error"``: what failed, for admins.

    Examples
    --------
    >>> Log(session, "audit").title
    'What was changed'
    """

    many = "entries"
    empty = "Nothing yet."
    key = ""
    page = traitlets.Int(-1)  # -1 is the last
    user = traitlets.Unicode(allow_none=True, default_value=None)
    _SHOWN: ClassVar[Mapping[str, Sequence[Column]]] = {
        "audit": (
            Column("created_at", "When", "time"),
            Column("user_id", "User"),
            Column("request_type", "Request"),
            Column("endpoint", "Endpoint"),
        ),
        "error": (
            Column("created_at", "When", "time"),
            Column("user_id", "User"),
            Column("component", "Component"),
            Column("message", "Message"),
        ),
    }
    actions = (
        Action("earlier", "Earlier page", row=False),
        Action("later", "Later page", row=False),
        Action("whose", "Of a user", row=False, form=True),
    )

    def __init__(self, session: Session | Login, kind: Literal["audit", "error"]) -> None:
        self.columns = self._SHOWN[kind]  # type: ignore[misc]
        self.source = (f"logs.list_{kind}_logs", ("logs", kind))  # type: ignore[misc]
        self.detailed = kind == "error"  # type: ignore[misc]
        self._kind = kind
        self._table = pd.DataFrame()
        title = "What was changed" if kind == "audit" else "What failed"
        super().__init__(session, title=title)
        if not self.session.is_admin:
            self.offered = offers(self.actions, "whose")

    def follow(self, chosen: Mapping[str, str]) -> None:
        """Show the entries of the user who is selected elsewhere."""
        user = chosen["user"]
        if user and user != self.user and self.session.is_admin:
            self.user, self.page = user, -1
            self.refresh()

    def _page(self, number: int) -> pd.DataFrame:
        """Return a page; behind the end the original fails, and ours has nothing."""
        listed = getattr(self.session.logs, f"list_{self._kind}_logs")
        try:
            found: pd.DataFrame = listed(self.user, number)
        except exceptions.InternalServerErrorException:
            if not number:
                raise
            return self._table.iloc[:0]
        return found

    def _last(self) -> int:
        """Return the number of the last page, found with few questions."""
        step, low = 1, 0
        while len(self._page(low + step)):
            low, step = low + step, step * 2
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if len(self._page(middle)) else (low, middle)
        return low

    def read(self) -> pd.DataFrame:
        """Return the page that is shown, the latest entry first."""
        if self.page < 0:
            self.page = self._last()
        self._table = self._page(self.page)[::-1].reset_index(drop=True)
        whose = f" · {self.user}" if self.user else ""
        self.write(said=f"Page {self.page + 1}, {LOG_PAGE} entries a page{whose}")
        return self._table

    def about(self, key: str) -> Mapping[str, object]:
        """Return all of an entry."""
        row = self._table.iloc[int(key)]
        return {
            str(name).replace("_", " ").capitalize(): value
            for name, value in row.items()
            if name != "created_at"
        }

    def act_earlier(self, _: str) -> None:
        """Go to the page before."""
        if not self.page:
            message = "This is the first page."
            raise PanelError(message)
        self.page -= 1
        self._looked()

    def act_later(self, _: str) -> None:
        """Go to the next page, if there is one."""
        if not len(self._page(self.page + 1)):
            message = "This is the last page. Later entries are not there yet."
            raise PanelError(message)
        self.page += 1
        self._looked()

    def form_whose(self, _: str) -> list[Field]:
        """Ask for the user."""
        users = [(str(user), str(user)) for user in self.session.user.list_users()["id"]]
        others = [("", "everybody" if self._kind == "error" else "yourself")]
        return [Field("user", "User", "choice", self.user or "", [*others, *users])]

    def act_whose(self, _: str, user: str) -> None:
        """Show the entries of one user."""
        self.user, self.page = user or None, -1
        self.page = self._last()
        self._looked()

    def _looked(self) -> None:
        words = ["logs", self._kind, "--page", str(self.page)]
        words += ["--user_id", self.user] if self.user else []
        self.did(step(f"logs.list_{self._kind}_logs", self.user, self.page, words=words))


def _soon(session: Session, task: str, cluster: str) -> bool:
    """Wait a moment for a task; return whether it has ended."""
    try:
        session.task.wait(task, cluster, timeout=_MOMENT)
    except exceptions.TimeoutException:
        return False
    return True


def _role(entry: Mapping[str, Any]) -> str:
    leads = ", sees all" if entry.get("is_project_admin") else ""
    return f"{entry['project_id']} ({entry['role']}{leads})"


def _hosts(session: Session) -> dict[str, str]:
    """Return what the hosts are called, by uuid."""
    table = session.hosts.list_hosts()
    names: Iterable[object] = table["name"] if "name" in table else table["type"]
    return {str(uuid): str(name) for uuid, name in zip(table["uuid"], names, strict=True)}


def _host_field(session: Session, present: object) -> Field:
    others = [(uuid, name) for uuid, name in _hosts(session).items() if uuid != present]
    if not others:
        message = "There is no other host. A server with more processors, or with workers, has several."
        raise PanelError(message)
    return Field("host", "To host", "choice", others[0][0], others)


def _move(panel: Resources, cluster: str, host: str, name: str) -> None:
    panel.session.cluster.switch_host(cluster, host)
    words = ("cluster", "switch-host", cluster, "--host", host)
    panel.did(step("cluster.switch_host", cluster, host, words=words))
    panel.write(said=f"Cluster '{name}' is on {_hosts(panel.session).get(host, host)} now.")
