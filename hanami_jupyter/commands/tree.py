"""Every command: its arguments, what it calls, and which fields its table shows."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from hanami_jupyter._version import __version__
from hanami_jupyter.commands import layout
from hanami_jupyter.commands.context import Answer, Context
from hanami_jupyter.protocol import template as grammar
from hanami_jupyter.protocol.endpoints import UUID

if TYPE_CHECKING:
    import pandas as pd

    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session

PROJECT = ("id", "name", "creator_id", "created_at")
USER = ("id", "name", "is_admin", "projects", "creator_id", "created_at")
OWNED = ("uuid", "name", "visibility", "owner_id", "project_id", "created_at")
DATASET = (
    "uuid",
    "name",
    "version",
    "number_of_columns",
    "number_of_rows",
    "description",
    "visibility",
    "owner_id",
    "project_id",
    "created_at",
)
TASK = (
    "uuid",
    "state",
    "current_cycle",
    "total_number_of_cycles",
    "queue_timestamp",
    "start_timestamp",
    "end_timestamp",
)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


def _store(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value is not None and value is not False:
            setattr(ctx.ensure_object(Context), name, value)

    return callback


def _global_options() -> list[click.Option]:
    """Return fresh options that every command and group takes."""
    described = (
        (("--address",), {"help": "Address of the server.", "metavar": "URL"}, "address"),
        (("--user",), {"help": "Id of the user.", "metavar": "ID"}, "user"),
        (("--project",), {"help": "Project to work in.", "metavar": "ID"}, "project"),
        (("--insecure",), {"is_flag": True, "help": "Accept self-signed certificates."}, "insecure"),
        (("-j", "--json_output"), {"is_flag": True, "help": "Print the server's JSON."}, "json"),
    )
    return [
        click.Option([*flags, f"_{name}"], expose_value=False, callback=_store(name), **extra)
        for flags, extra, name in described
    ]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hanamictl")
def root() -> None:
    """Drive a Hanami server: projects, users, datasets, clusters, tasks and checkpoints."""


def group(parent: click.Group, name: str, text: str, **settings: Any) -> click.Group:
    """Add a group of commands."""
    made = click.Group(name, params=[*_global_options()], help=text, **settings)
    parent.add_command(made)
    return made


root.params.extend(_global_options())

project = group(root, "project", "Projects separate the work of users (admins only).")
user = group(root, "user", "Users and their projects (admins only).")
dataset = group(root, "dataset", "Data to train with and results.")
dataset_create = group(dataset, "create", "Upload a dataset.")
cluster = group(root, "cluster", "Clusters hold the neural networks.")
task = group(root, "task", "Trainings and requests in the queue of a cluster.")
task_create = group(task, "create", "Queue a training or a request.")
checkpoint = group(root, "checkpoint", "Saved states of clusters.")
host = group(root, "host", "Where clusters can live.")
logs = group(root, "logs", "What was asked of the server, and what failed.")
system = group(root, "system", "The machine the server runs on.")
local = group(root, "local", "A backend of your own on this machine.", invoke_without_command=True)


def command(parent: click.Group, name: str) -> Callable[[Callable[..., Answer]], click.Command]:
    """Make a function a command of a group; it is called with the session first."""

    def decorate(function: Callable[..., Answer]) -> click.Command:
        def call(**parameters: Any) -> Answer:
            return function(click.get_current_context().ensure_object(Context), **parameters)

        vars(call)["__click_params__"] = getattr(function, "__click_params__", [])
        made = click.command(name, help=function.__doc__)(call)
        made.params.extend(_global_options())
        parent.add_command(made)
        return made

    return decorate


class Reference(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A uuid, or the name of the one object that bears it."""

    name = "uuid"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def convert(self, value: str, _: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the uuid."""
        if re.fullmatch(UUID.strip("^$"), value) or ctx is None:
            return value
        resource = getattr(ctx.ensure_object(Context).session, self.kind)
        known: pd.DataFrame = getattr(resource, f"list_{self.kind}s")()
        named = known.loc[known["name"] == value, "uuid"]
        if len(named) != 1:
            found = f"No {self.kind} has" if named.empty else f"{len(named)} {self.kind}s have"
            message = f"{found} the name '{value}'. Give the name of one, or a uuid."
            raise click.BadParameter(message)
        return str(named.iloc[0])

    def shell_complete(self, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Offer the names and uuids that are known."""
        context = ctx.ensure_object(Context)
        if context.names is None:
            return []
        known = context.names.of(self.kind, context.found() if context.found else None)
        return [
            CompletionItem(text)
            for uuid, name in known
            for text in (name, uuid)
            if " " not in text and text.startswith(incomplete)
        ]


def _uuid_argument(kind: str) -> Callable[[Any], Any]:
    return click.argument("uuid", type=Reference(kind), metavar=f"{kind.upper()}_UUID")


_cluster_option = click.option(
    "-c", "--cluster", "cluster_uuid", required=True, type=Reference("cluster"), metavar="UUID"
)
_name_option = click.option("-n", "--name", required=True)
_task_argument = click.argument("uuid", metavar="TASK_UUID")


def _one(value: pd.Series[Any], shows: Sequence[str]) -> Answer:
    fields = {str(name): field for name, field in value.items()}
    return Answer(value, lambda: layout.one(fields, shows))


def _many(value: pd.DataFrame, shows: Sequence[str]) -> Answer:
    return Answer(value, lambda: layout.many(_records(value), shows))


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _said(text: str) -> Answer:
    return Answer(None, lambda: text, {})


# -- projects and users


@command(project, "create")
@click.argument("project_id")
@_name_option
def project_create(context: Context, project_id: str, name: str) -> Answer:
    """Create a project."""
    return _one(context.session.project.create_project(project_id, name), PROJECT)


@command(project, "get")
@click.argument("project_id")
def project_get(context: Context, project_id: str) -> Answer:
    """Show a project."""
    return _one(context.session.project.get_project(project_id), PROJECT)


@command(project, "list")
def project_list(context: Context) -> Answer:
    """List all projects."""
    return _many(context.session.project.list_projects(), PROJECT)


@command(project, "delete")
@click.argument("project_id")
def project_delete(context: Context, project_id: str) -> Answer:
    """Delete a project."""
    context.session.project.delete_project(project_id)
    return _said(f"successfully deleted project '{project_id}'")


@command(user, "create")
@click.argument("user_id")
@_name_option
@click.option("-p", "--password", help="Visible to others; '-' reads standard input.")
@click.option("--is_admin", is_flag=True)
def user_create(context: Context, user_id: str, name: str, password: str | None, is_admin: bool) -> Answer:
    """Create a user; the password is asked for where it is not given."""
    secret = _password(context, password)
    return _one(context.session.user.create_user(user_id, name, secret, is_admin), USER)


def _password(context: Context, given: str | None) -> str:
    if given == "-":
        return sys.stdin.readline().rstrip("\n")
    if given is not None:
        if context.keep is None:
            click.echo("The password stands in the command line, where others may see it.", err=True)
        return given
    if not context.interactive:
        message = "There is nobody to ask for the password. Give '-p -' and send it through standard input."
        raise click.UsageError(message)
    answer: str = click.prompt(
        "Enter Password", hide_input=True, confirmation_prompt="Enter Password again", err=True
    )
    return answer


@command(user, "get")
@click.argument("user_id")
def user_get(context: Context, user_id: str) -> Answer:
    """Show a user."""
    return _one(context.session.user.get_user(user_id), USER)


@command(user, "list")
def user_list(context: Context) -> Answer:
    """List all users."""
    return _many(context.session.user.list_users(), USER)


@command(user, "delete")
@click.argument("user_id")
def user_delete(context: Context, user_id: str) -> Answer:
    """Delete a user."""
    context.session.user.delete_user(user_id)
    return _said(f"successfully deleted user '{user_id}'")


@command(user, "add-project")
@click.argument("user_id")
@click.argument("project_id")
@click.option("--role", default="member", show_default=True, help="Role in the project.")
@click.option("--is_project_admin", is_flag=True, help="Whether he sees all of the project.")
def user_add_project(
    context: Context, user_id: str, project_id: str, role: str, is_project_admin: bool
) -> Answer:
    """Assign a project to a user."""
    resource = context.session.user
    return _one(resource.add_project_to_user(user_id, project_id, role, is_project_admin), USER)


@command(user, "remove-project")
@click.argument("user_id")
@click.argument("project_id")
def user_remove_project(context: Context, user_id: str, project_id: str) -> Answer:
    """Take a project from a user."""
    return _one(context.session.user.remove_project_from_user(user_id, project_id), USER)


@command(user, "projects")
def user_projects(context: Context) -> Answer:
    """List your own projects."""
    found = context.session.user.list_projects_of_user()
    return _many(found, ("project_id", "role", "is_project_admin"))


# -- datasets


@contextmanager
def _bar(context: Context, unit: str = "B") -> Iterator[Callable[[int, int], None] | None]:
    """Give what a terminal shows of progress, called with what is done and the whole; elsewhere None."""
    if not context.interactive:
        yield None
        return
    from tqdm import tqdm  # noqa: PLC0415 - only a terminal shows a bar

    with tqdm(unit=unit, unit_scale=True, leave=False) as bar:

        def show(done: int, whole: int) -> None:
            bar.total = whole
            bar.update(done - bar.n)

        yield show


def _created_dataset(session: Session, uuid: str) -> Answer:
    return _one(session.dataset.get_dataset(uuid), DATASET)


@command(dataset_create, "mnist")
@click.argument("name")
@click.option("-i", "--input", "images", required=True, type=FILE, help="File of images (IDX).")
@click.option("-l", "--label", "labels", required=True, type=FILE, help="File of labels (IDX).")
def dataset_create_mnist(context: Context, name: str, images: Path, labels: Path) -> Answer:
    """Upload images and labels in MNIST's format, plain or gzipped."""
    session = context.session
    with _bar(context) as sent:
        uuid = session.dataset.upload_mnist_files(name, images, labels, callback=sent)
    return _created_dataset(session, uuid)


@command(dataset_create, "csv")
@click.argument("name")
@click.option("-i", "--input", "table", required=True, type=FILE, help="CSV file with a header line.")
def dataset_create_csv(context: Context, name: str, table: Path) -> Answer:
    """Upload a table."""
    session = context.session
    with _bar(context) as sent:
        uuid = session.dataset.upload_csv_files(name, table, callback=sent)
    return _created_dataset(session, uuid)


@command(dataset, "get")
@_uuid_argument("dataset")
def dataset_get(context: Context, uuid: str) -> Answer:
    """Show a dataset."""
    return _created_dataset(context.session, uuid)


@command(dataset, "list")
def dataset_list(context: Context) -> Answer:
    """List all datasets you may see."""
    return _many(context.session.dataset.list_datasets(), OWNED)


@command(dataset, "delete")
@_uuid_argument("dataset")
def dataset_delete(context: Context, uuid: str) -> Answer:
    """Delete a dataset."""
    context.session.dataset.delete_dataset(uuid)
    return _said(f"successfully deleted dataset '{uuid}'")


@command(dataset, "check")
@_uuid_argument("dataset")
@click.option("-r", "--reference", required=True, type=Reference("dataset"), metavar="UUID")
def dataset_check(context: Context, uuid: str, reference: str) -> Answer:
    """Compare a result with the labels of a dataset, in percent."""
    return _one(context.session.dataset.check_mnist_dataset(uuid, reference), ("accuracy",))


@command(dataset, "content")
@_uuid_argument("dataset")
@click.option("-c", "--column", required=True, help="Name of the column.")
@click.option("-n", "--rows", required=True, type=click.IntRange(1), help="Number of rows.")
@click.option("-o", "--offset", default=0, type=click.IntRange(0), help="First row.")
def dataset_content(context: Context, uuid: str, column: str, rows: int, offset: int) -> Answer:
    """Show rows of one column."""
    data = context.session.dataset.download_dataset_content(uuid, column, rows, offset)
    return Answer(data, lambda: layout.values(data, offset), data.tolist())


@command(dataset, "download")
@_uuid_argument("dataset")
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File (.npy)."
)
@click.option("-c", "--column", help="Name of one column instead of the whole dataset.")
def dataset_download(context: Context, uuid: str, output: Path, column: str | None) -> Answer:
    """Write a dataset, or one column of it, to a NumPy file."""
    import numpy as np  # noqa: PLC0415 - the help needs no arrays

    data = context.session.dataset.download_dataset(uuid, column)
    np.save(output, data)
    text = f"{data.shape[0]} rows of {data.shape[1]} values in {output}"
    return Answer(data, lambda: text, {"file": str(output), "shape": list(data.shape)})


# -- clusters


@command(cluster, "create")
@click.argument("name")
@click.option("-t", "--template", type=FILE, help="File of the cluster template.")
@click.option(
    "--checkpoint", "saved", type=Reference("checkpoint"), metavar="UUID", help="State to begin with."
)
@click.option("--host", metavar="UUID", help="Where it shall live; 'auto' takes the least loaded host.")
def cluster_create(
    context: Context, name: str, template: Path | None, saved: str | None, host: str | None
) -> Answer:
    """Create a cluster from a template, from a checkpoint, or from both."""
    text = _template(context, template, needed=saved is None)
    resource = context.session.cluster
    made = resource.create_cluster(name, text, checkpoint_uuid=saved, host=host)
    return _one(resource.get_cluster(made["uuid"]) if context.json else made, OWNED)


def _template(context: Context, path: Path | None, *, needed: bool) -> str | None:
    if path is not None:
        return grammar.parse(path.read_text("utf-8")).text
    if context.body is not None:
        return grammar.parse(context.body).text
    if needed:
        message = "Missing option '-t' / '--template'."
        raise click.UsageError(message)
    return None


@command(cluster, "get")
@_uuid_argument("cluster")
def cluster_get(context: Context, uuid: str) -> Answer:
    """Show a cluster."""
    return _one(context.session.cluster.get_cluster(uuid), OWNED)


@command(cluster, "list")
def cluster_list(context: Context) -> Answer:
    """List all clusters you may see."""
    return _many(context.session.cluster.list_clusters(), OWNED)


@command(cluster, "delete")
@_uuid_argument("cluster")
def cluster_delete(context: Context, uuid: str) -> Answer:
    """Delete a cluster."""
    context.session.cluster.delete_cluster(uuid)
    return _said(f"successfully deleted cluster '{uuid}'")


@command(cluster, "save")
@_uuid_argument("cluster")
@_name_option
def cluster_save(context: Context, uuid: str, name: str) -> Answer:
    """Save the state of a cluster as a checkpoint."""
    return _one(context.session.cluster.save_cluster(name, uuid), ("uuid", "name"))


@command(cluster, "restore")
@_uuid_argument("cluster")
@click.option("-c", "--checkpoint", "saved", required=True, type=Reference("checkpoint"), metavar="UUID")
def cluster_restore(context: Context, uuid: str, saved: str) -> Answer:
    """Bring a cluster back to the state of a checkpoint."""
    return _one(context.session.cluster.restore_cluster(saved, uuid), ("uuid",))


@command(cluster, "switch-host")
@_uuid_argument("cluster")
@click.option("--host", "host_uuid", required=True, metavar="UUID", help="Where it shall live.")
def cluster_switch_host(context: Context, uuid: str, host_uuid: str) -> Answer:
    """Move a cluster to another host."""
    return _one(context.session.cluster.switch_host(uuid, host_uuid), OWNED)


# -- tasks


def _triples(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> list[dict[str, str]]:
    dataset = Reference("dataset")
    return [
        {
            "dataset_uuid": dataset.convert(uuid, param, ctx),
            "dataset_column": column,
            "hexagon_name": hexagon,
        }
        for uuid, column, hexagon in _split(given, "DATASET_UUID:COLUMN:HEXAGON")
    ]


def _pairs(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> list[dict[str, str]]:
    return [
        {"dataset_column": column, "hexagon_name": hexagon}
        for hexagon, column in _split(given, "HEXAGON:COLUMN")
    ]


def _split(given: tuple[str, ...], form: str) -> list[list[str]]:
    entries = [entry.split(":") for part in given for entry in part.split(",")]
    for entry in entries:
        if len(entry) != form.count(":") + 1 or not all(entry):
            message = f"'{':'.join(entry)}' is not of the form {form}."
            raise click.BadParameter(message)
    return entries


_input_option = click.option(
    "-i",
    "--input",
    "inputs",
    required=True,
    multiple=True,
    callback=_triples,
    metavar="DATASET_UUID:COLUMN:HEXAGON",
)
_time_option = click.option(
    "-t",
    "--time",
    "time_length",
    default=1,
    type=click.IntRange(1, 1000),
    help="Rows side by side as one input.",
)

_wait_option = click.option("--wait", is_flag=True, help="Wait until it is finished.")


@command(task_create, "train")
@click.argument("name")
@_input_option
@click.option(
    "-o",
    "--output",
    "outputs",
    required=True,
    multiple=True,
    callback=_triples,
    metavar="DATASET_UUID:COLUMN:HEXAGON",
)
@_cluster_option
@_time_option
@_wait_option
def task_create_train(context: Context, name: str, cluster_uuid: str, **parts: Any) -> Answer:
    """Queue a training."""
    made = context.session.task.create_train_task(
        name, cluster_uuid, parts["inputs"], parts["outputs"], parts["time_length"]
    )
    return _one(_wait(context, made["uuid"], cluster_uuid) if parts["wait"] else made, TASK)


@command(task_create, "request")
@click.argument("name")
@_input_option
@click.option(
    "-r", "--result", "results", required=True, multiple=True, callback=_pairs, metavar="HEXAGON:COLUMN"
)
@_cluster_option
@_time_option
@_wait_option
def task_create_request(context: Context, name: str, cluster_uuid: str, **parts: Any) -> Answer:
    """Queue a request; its result is a dataset with the uuid of the task."""
    made = context.session.task.create_request_task(
        name, cluster_uuid, parts["inputs"], parts["results"], parts["time_length"]
    )
    return _one(_wait(context, made["uuid"], cluster_uuid) if parts["wait"] else made, TASK)


@command(task, "get")
@_task_argument
@_cluster_option
def task_get(context: Context, uuid: str, cluster_uuid: str) -> Answer:
    """Show a task."""
    return _one(context.session.task.get_task(uuid, cluster_uuid), TASK)


@command(task, "list")
@_cluster_option
def task_list(context: Context, cluster_uuid: str) -> Answer:
    """List the tasks of a cluster."""
    found = context.session.task.list_tasks(cluster_uuid)
    shown = found.rename(columns={"percentage": "progress"})
    shows = ("uuid", "state", "progress", "queued", "start", "end")
    return Answer(found, lambda: layout.many(_records(shown), shows))


@command(task, "delete")
@_task_argument
@_cluster_option
def task_delete(context: Context, uuid: str, cluster_uuid: str) -> Answer:
    """Delete a task; one that runs is aborted."""
    context.session.task.delete_task(uuid, cluster_uuid)
    return _said(f"successfully deleted task '{uuid}'")


@command(task, "wait")
@_task_argument
@_cluster_option
def task_wait(context: Context, uuid: str, cluster_uuid: str) -> Answer:
    """Wait until a task is finished; interrupting the wait leaves the task alone."""
    return _one(_wait(context, uuid, cluster_uuid), TASK)


def _wait(context: Context, uuid: str, cluster_uuid: str) -> pd.Series[Any]:
    if context.follow:
        context.follow(context.session, cluster_uuid, uuid)
    with _bar(context, " cycles") as show:

        def look(found: pd.Series[Any]) -> None:
            if show:
                show(int(found["current_cycle"]), int(found["total_number_of_cycles"]))

        done: pd.Series[Any] = context.session.task.wait(uuid, cluster_uuid, callback=look, poll=context.poll)
    return done


# -- checkpoints and hosts


@command(checkpoint, "get")
@_uuid_argument("checkpoint")
def checkpoint_get(context: Context, uuid: str) -> Answer:
    """Show a checkpoint."""
    return _one(context.session.checkpoint.get_checkpoint(uuid), OWNED)


@command(checkpoint, "list")
def checkpoint_list(context: Context) -> Answer:
    """List all checkpoints you may see."""
    return _many(context.session.checkpoint.list_checkpoints(), OWNED)


@command(checkpoint, "delete")
@_uuid_argument("checkpoint")
def checkpoint_delete(context: Context, uuid: str) -> Answer:
    """Delete a checkpoint."""
    context.session.checkpoint.delete_checkpoint(uuid)
    return _said(f"successfully deleted checkpoint '{uuid}'")


@command(host, "list")
def host_list(context: Context) -> Answer:
    """List the hosts that clusters can live on."""
    return _many(context.session.hosts.list_hosts(), ("uuid", "type"))


# -- logs and the machine


def _log(name: str, function: str, shows: Sequence[str], text: str) -> None:
    @command(logs, name)
    @click.option("--user_id", help="Whose; only admins may ask for somebody else's.")
    @click.option("--page", default=0, type=click.IntRange(0), show_default=True, help="100 rows a page.")
    def show(context: Context, user_id: str | None, page: int) -> Answer:
        return _many(getattr(context.session.logs, function)(user_id, page), shows)

    show.help = text


_log(
    "audit",
    "list_audit_logs",
    ("created_at", "user_id", "endpoint", "request_type"),
    "List what was changed.",
)
_log(
    "error",
    "list_error_logs",
    ("created_at", "user_id", "component", "context", "input_values", "message"),
    "List what failed (admins only).",
)


@command(system, "info")
def system_info(context: Context) -> Answer:
    """Describe the machine the server runs on."""
    found = context.session.measurements.get_system_info()
    return _one(found, tuple(found.index))


# -- a backend on this machine

RUNNING = ("address", "user", "folder", "pid", "version", "started")
_folder_argument = click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))


@local.result_callback()
@click.pass_obj
def _local_alone(context: Context, answer: Answer | None) -> Answer:
    """Start a backend where ``local`` stands alone."""
    return answer or _start(context, None)


@command(local, "start")
@_folder_argument
def local_start(context: Context, folder: Path | None) -> Answer:
    """Start a backend; with a folder its data stays there."""
    return _start(context, folder)


def _start(context: Context, folder: Path | None) -> Answer:
    from hanami_jupyter import launcher  # noqa: PLC0415 - the help needs no client

    if context.keep is not None:
        session = launcher.local(folder)
        context.keep(session)
        return Answer(session, lambda: repr(session))
    running = launcher.started(launcher.start_forever(folder))
    return Answer(running, lambda: layout.one(vars(running), RUNNING), _plain(running))


def _plain(running: Running) -> dict[str, str]:
    return {name: layout.cell(getattr(running, name)) for name in RUNNING}


@command(local, "stop")
@_folder_argument
def local_stop(context: Context, folder: Path | None) -> Answer:
    """Stop a backend."""
    from hanami_jupyter import launcher  # noqa: PLC0415

    if not launcher.stop(_place(context, folder)):
        others = ", ".join(f"'{running.folder}'" for running in launcher.find() if running.persistent)
        hint = f" Others run in {others}; name the folder to stop one." if others else ""
        message = f"No local backend of 'local start' runs.{hint}"
        raise click.ClickException(message)
    return _said("successfully stopped the local backend")


def _place(context: Context, folder: Path | None) -> Path | None:
    """Return the folder that is meant: in a notebook its own backend, in a shell the one that stays."""
    from hanami_jupyter import launcher  # noqa: PLC0415

    return folder if folder or context.keep else launcher.default_folder()


@command(local, "status")
def local_status(_: Context) -> Answer:
    """List the backends of yours that run."""
    import pandas as pd  # noqa: PLC0415

    from hanami_jupyter import launcher  # noqa: PLC0415

    found = [_plain(running) for running in launcher.find()]
    table = pd.DataFrame(found, columns=list(RUNNING))
    return Answer(table, lambda: layout.many(found, RUNNING), found)


@command(local, "logs")
@_folder_argument
@click.option("-n", "--lines", default=100, show_default=True, type=click.IntRange(1))
def local_logs(context: Context, folder: Path | None, lines: int) -> Answer:
    """Show the last lines of a backend's log."""
    from hanami_jupyter import launcher  # noqa: PLC0415

    text = launcher.logs(_place(context, folder), lines)
    return Answer(None, lambda: text, text.splitlines())


# -- what only a notebook has


@command(root, "login")
def login(context: Context) -> Answer:
    """Log in; the notebook keeps the connection as 'session'."""
    from hanami_jupyter.session import connect  # noqa: PLC0415

    session = connect(context.address, context.user, project=context.project, verify=not context.insecure)
    if context.keep:
        context.keep(session)
    return Answer(session, lambda: repr(session), {"user": session.user_id, "project": session.project_id})


@command(root, "logout")
def logout(context: Context) -> Answer:
    """Log out; the connection forgets its token and password."""
    session = context.found() if context.found else None
    if session is None:
        message = "Nobody is logged in."
        raise click.ClickException(message)
    session.close()
    return _said(f"logged out from {session.address}")


@command(project, "switch")
@click.argument("project_id")
def project_switch(context: Context, project_id: str) -> Answer:
    """Go on in another project (in a notebook)."""
    return _switch(context, project_id)


@command(root, "use")
@click.argument("project_id")
def use(context: Context, project_id: str) -> Answer:
    """Go on in another project, as 'project switch' does."""
    return _switch(context, project_id)


def _switch(context: Context, project_id: str) -> Answer:
    session = context.session.switch_project(project_id)
    return Answer(session, lambda: repr(session), {"project": session.project_id})


@command(root, "help")
@click.argument("words", nargs=-1, metavar="[COMMAND]")
def show_help(_: Context, words: tuple[str, ...]) -> Answer:
    """Show what a command does and takes."""
    current: click.Command = root
    context = click.get_current_context().find_root()
    for word in words:
        found = current.get_command(context, word) if isinstance(current, click.Group) else None
        if found is None:
            message = f"No such command '{' '.join(words)}'."
            raise click.UsageError(message)
        current, context = found, click.Context(found, parent=context, info_name=word)
    text = current.get_help(context)
    return Answer(None, lambda: text, text.splitlines())
