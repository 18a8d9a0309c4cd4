"""Clusters: the networks. Create, look, save, restore, move, and switch between tasks and direct messages."""

from __future__ import annotations

import asyncio
import base64
import warnings
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client import task, transport
from hanami_jupyter.client.direct_io import Connection, DirectIO
from hanami_jupyter.client.hanami_exceptions import (
    BadRequestException,
    ConflictException,
    NotSupportedException,
)
from hanami_jupyter.client.tables import frame, record
from hanami_jupyter.client.transport import Verify, call, plain
from hanami_jupyter.protocol import template as grammar

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "create_cluster",
    "delete_cluster",
    "direct",
    "get_cluster",
    "list_clusters",
    "restore_cluster",
    "save_cluster",
    "switch_host",
    "switch_to_direct_mode",
    "switch_to_task_mode",
]

# what a cluster is made from before a checkpoint replaces it
_SMALLEST = "version: 1\nsettings:\n    refractory_time: 1\nhexagons:\n    1,1,1\n    2,1,1\n" \
    "inputs:\n    input: 1,1,1\noutputs:\n    output: 2,1,1\n"  # fmt: skip


def _clear(
    token: str, address: str, name: str, parsed: grammar.Template | grammar.TemplateError, verify: Verify
) -> None:
    """Delete the clusters of a name, one or none, if a right template is to follow."""
    if isinstance(parsed, grammar.TemplateError):
        raise BadRequestException(str(parsed), method="POST", path="/cluster")
    known = list_clusters(token, address, verify)
    for uuid in known.loc[known["name"] == name, "uuid"]:
        delete_cluster(token, address, uuid, verify)


def _check_offered(address: str, verify: Verify, **given: object) -> None:
    """Refuse what is ours beyond the original and not offered by this server."""
    for name, value in given.items():
        if value is not None and f"POST /cluster {name}" not in transport.features(address, verify):
            message = f"{address} takes no {name}. Leave it out; the server chooses."
            raise NotSupportedException(message)


def create_cluster(
    token: str,
    address: str,
    name: str,
    template: str | None = None,
    verify_connection: Verify = True,
    *,
    checkpoint_uuid: str | None = None,
    seed: int | None = None,
    host: str | None = None,
    replace: bool = False,
) -> pd.Series[Any]:
    """Create a cluster from a template, or from a checkpoint, or from both.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Its name, 4 to 254 characters, unique.
    template : str
        Text of the cluster template; ``#`` comments are removed before it is sent. Not needed with a
        checkpoint.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    checkpoint_uuid : str, optional
        Checkpoint to restore in the new cluster; the call waits until that is done.
    seed : int, optional
        Seed of the random numbers, 0 to 2³¹-1, where the server takes one; else derived from the template.
    host : str, optional
        Where it shall live, from ``hosts.list_hosts``; ``"auto"`` takes the least loaded of all. By default
        the server chooses among its own processors.
    replace : bool
        Whether to delete the cluster that bears the name, with what it has learned, once the template is
        found to be right: a cell that says so can run again.

    Returns
    -------
    pandas.Series
        ``uuid``, ``name``, ``owner_id``, ``project_id``, ``visibility``, ``created_at``.

    Raises
    ------
    BadRequestException
        If the template is wrong; the message lists every fault with its line.
    ConflictException
        If the name is taken, and it is not to be replaced or not yours.
    NotFoundException
        If there is no such host.
    NotSupportedException
        If a seed or a host is given and the server, an original, takes none.

    Warns
    -----
    UserWarning
        If the template is accepted but probably not what was meant.

    Examples
    --------
    >>> from hanami_jupyter import cluster
    >>> small = cluster.create_cluster(token, address, "small one", template)
    >>> small["name"]
    'small one'
    """
    if template is None and checkpoint_uuid is None:
        message = "create_cluster() needs a template or a checkpoint_uuid."
        raise TypeError(message)
    _check_offered(address, verify_connection, seed=seed, host=host)
    text = grammar.strip(_SMALLEST if template is None else template)
    encoded = base64.b64encode(text.encode()).decode()
    values: dict[str, Any] = {"name": name, "template": encoded, "seed": seed, "host": host}
    parsed = _parse(text)
    if replace:
        _clear(token, address, name, parsed, verify_connection)
    try:
        made = record(call("POST", "/cluster", token, address, verify_connection, **values), kind="cluster")
    except BadRequestException as error:
        if not isinstance(parsed, grammar.TemplateError) or "item 'name'" in error.text:
            raise
        refused = BadRequestException(str(parsed), error.status, error.text, error.method, error.path)
    else:
        for problem in parsed.problems if isinstance(parsed, grammar.TemplateError) else parsed.warnings:
            warnings.warn(f"Template of cluster '{name}', {problem}", stacklevel=2)
        if template is not None and isinstance(parsed, grammar.Template):
            DirectIO.templates[made["uuid"]] = parsed
        if checkpoint_uuid is not None:
            _fill(token, address, made["uuid"], checkpoint_uuid, verify_connection)
        return made
    raise refused


def _parse(text: str) -> grammar.Template | grammar.TemplateError:
    try:
        return grammar.parse(text)
    except grammar.TemplateError as error:
        return error


def _fill(token: str, address: str, cluster_uuid: str, checkpoint_uuid: str, verify: Verify) -> None:
    """Restore a checkpoint in a new cluster; take the cluster back if that fails."""
    try:
        restoring = restore_cluster(token, address, checkpoint_uuid, cluster_uuid, verify)
        task.wait(token, address, restoring["uuid"], cluster_uuid, verify)
    except BaseException:
        delete_cluster(token, address, cluster_uuid, verify)
        raise


def get_cluster(
    token: str, address: str, cluster_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Get a cluster.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        The cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid``, ``name``, ``owner_id``, ``project_id``, ``visibility``, ``created_at``; newer servers and
        ours add what has grown in it.

    Raises
    ------
    NotFoundException
        If there is no such cluster.

    Examples
    --------
    >>> cluster.get_cluster(token, address, small["uuid"])["visibility"]
    'private'
    """
    answer = call("GET", "/cluster", token, address, verify_connection, uuid=cluster_uuid)
    return record(answer, kind="cluster")


def list_clusters(token: str, address: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List the clusters that the user may see.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``created_at``, ``uuid``, ``project_id``, ``owner_id``, ``visibility``, ``name``.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> "small one" in set(cluster.list_clusters(token, address)["name"])
    True
    """
    return frame("/cluster/all", call("GET", "/cluster/all", token, address, verify_connection))


def delete_cluster(token: str, address: str, cluster_uuid: str, verify_connection: Verify = True) -> None:
    """Delete a cluster with its tasks; its checkpoints stay.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        The cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Raises
    ------
    NotFoundException
        If there is no such cluster.

    Examples
    --------
    >>> cluster.delete_cluster(token, address, small["uuid"])
    """
    call("DELETE", "/cluster", token, address, verify_connection, uuid=cluster_uuid)


def save_cluster(
    token: str, address: str, name: str, cluster_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Queue the saving of a cluster as a checkpoint.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Name of the checkpoint, 4 to 254 characters.
    cluster_uuid : str
        The cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid``, of the checkpoint and of the task that makes it, and ``name``.

    Raises
    ------
    NotFoundException
        If there is no such cluster.

    Examples
    --------
    >>> from hanami_jupyter import task
    >>> saved = cluster.save_cluster(token, address, "as it was", cluster_uuid)
    >>> task.wait(token, address, saved["uuid"], cluster_uuid)["state"]
    'finished'
    """
    values = {"name": name, "cluster_uuid": cluster_uuid}
    return record(
        call("POST", "/cluster/save", token, address, verify_connection, **values), kind="checkpoint"
    )


def restore_cluster(
    token: str, address: str, checkpoint_uuid: str, cluster_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Queue the restoring of a cluster from a checkpoint, which may be another cluster's.

    Parameters
    ----------
    token, address : str
        The token and the server.
    checkpoint_uuid, cluster_uuid : str
        The checkpoint, and the cluster that becomes as it says.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid`` of the task that does it.

    Raises
    ------
    NotFoundException
        If there is no such checkpoint or cluster.

    Examples
    --------
    >>> restoring = cluster.restore_cluster(token, address, saved["uuid"], cluster_uuid)
    >>> task.wait(token, address, restoring["uuid"], cluster_uuid)["state"]
    'finished'
    """
    DirectIO.templates.pop(transport.plain(cluster_uuid), None)
    values = {"checkpoint_uuid": checkpoint_uuid, "cluster_uuid": cluster_uuid}
    return record(call("POST", "/cluster/load", token, address, verify_connection, **values))


def switch_host(
    token: str,
    address: str,
    cluster_uuid: str,
    host_uuid: str,
    verify_connection: Verify = True,
    *,
    hexagon_id: int | None = None,
) -> pd.Series[Any]:
    """Move a cluster to another host.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid, host_uuid : str
        The cluster, and the host from ``hosts.list_hosts``.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    hexagon_id : int, optional
        The hexagon to move, where the server, of the following release, moves them one by one.

    Returns
    -------
    pandas.Series
        The cluster, as from :func:`get_cluster`.

    Raises
    ------
    NotFoundException
        If there is no such cluster or host.
    ConflictException
        If the cluster has queued tasks, or is there already.

    Examples
    --------
    >>> from hanami_jupyter import hosts
    >>> here = hosts.list_hosts(token, address)["uuid"][0]
    >>> try:
    ...     cluster.switch_host(token, address, cluster_uuid, here)["uuid"] == cluster_uuid
    ... except hanami_exceptions.ConflictException:
    ...     True
    True
    """
    values = {"cluster_uuid": cluster_uuid, "host_uuid": host_uuid, "hexagon_id": hexagon_id}
    return record(call("PUT", "/cluster/switch_host", token, address, verify_connection, **values))


def switch_to_task_mode(
    token: str, address: str, cluster_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Let a cluster take tasks again.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        The cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid``, ``name``, ``new_state``, ``created_at``.

    Raises
    ------
    ConflictException
        If it is in task mode already.

    Examples
    --------
    >>> try:
    ...     cluster.switch_to_task_mode(token, address, cluster_uuid)
    ... except hanami_exceptions.ConflictException as error:
    ...     error.status
    409
    """
    return _mode(token, address, cluster_uuid, "TASK", verify_connection)


def _mode(token: str, address: str, cluster_uuid: str, mode: str, verify: Verify) -> pd.Series[Any]:
    answer = call("PUT", "/cluster/set_mode", token, address, verify, uuid=cluster_uuid, new_state=mode)
    return record(answer, kind="cluster")


async def switch_to_direct_mode(
    token: str, address: str, cluster_uuid: str, verify_connection: Verify = True
) -> Connection:
    """Open a direct connection to a cluster, for ``direct_io``; its task queue must be empty.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        The cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    Connection
        The websocket, with ``await ws.close()``. :func:`switch_to_task_mode` ends the mode.

    Raises
    ------
    ConflictException
        If the cluster has queued tasks, or is in direct mode already.

    Examples
    --------
    >>> import asyncio
    >>> async def main():
    ...     ws = await cluster.switch_to_direct_mode(token, address, cluster_uuid)
    ...     await ws.close()
    ...     return cluster.switch_to_task_mode(token, address, cluster_uuid)["new_state"]
    >>> asyncio.run(main())
    'TASK'
    """
    return Connection(await asyncio.to_thread(direct, token, address, cluster_uuid, verify_connection))


def direct(token: str, address: str, cluster_uuid: str, verify_connection: Verify = True) -> DirectIO:
    """Open a direct connection to a cluster, as a context manager for whole arrays.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        The cluster; its task queue must be empty.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    DirectIO
        With ``train(inputs, outputs)`` and ``request(inputs)``; leaving it ends the direct mode.

    Raises
    ------
    ConflictException
        If the cluster has queued tasks, or is in direct mode already.

    Examples
    --------
    >>> import numpy as np
    >>> with cluster.direct(token, address, cluster_uuid) as io:
    ...     io.request(np.zeros((3, 784))).shape
    (3, 10)
    """
    try:
        _mode(token, address, cluster_uuid, "DIRECT", verify_connection)
    except ConflictException as error:
        if not DirectIO.holds(plain(cluster_uuid)):
            raise
        message = (
            "The cluster has a direct connection in this process already. Use its train and request, or "
            "leave the 'with session.direct(…)' block first."
        )
        raise ConflictException(message, error.status, error.text, error.method, error.path) from None
    try:
        return DirectIO(token, address, cluster_uuid, verify_connection)
    except BaseException:
        _mode(token, address, cluster_uuid, "TASK", verify_connection)
        raise
