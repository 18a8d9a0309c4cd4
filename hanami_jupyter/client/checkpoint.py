"""Checkpoints: saved states of clusters, on the server or as one file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client import transport
from hanami_jupyter.client.hanami_exceptions import (
    HanamiException,
    InternalServerErrorException,
    NotSupportedException,
)
from hanami_jupyter.client.tables import frame, record
from hanami_jupyter.client.transport import Verify, call
from hanami_jupyter.client.uploads import Source, opened, upload

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "delete_checkpoint",
    "download_checkpoint",
    "get_checkpoint",
    "list_checkpoints",
    "upload_checkpoint",
]

CHECKPOINT_FILES = "GET /checkpoint/file"


def get_checkpoint(
    token: str, address: str, checkpoint_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Get a checkpoint.

    Parameters
    ----------
    token, address : str
        The token and the server.
    checkpoint_uuid : str
        The checkpoint.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid``, ``name``, ``owner_id``, ``project_id``, ``visibility``, ``created_at``.

    Raises
    ------
    NotFoundException
        If there is no such checkpoint.

    Examples
    --------
    >>> from hanami_jupyter import checkpoint
    >>> checkpoint.get_checkpoint(token, address, checkpoint_uuid)["name"]
    'trained'
    """
    try:
        found = call("GET", "/checkpoint", token, address, verify_connection, uuid=checkpoint_uuid)
    except InternalServerErrorException:
        # the original cannot answer this: look in its list
        found = _in_list(token, address, checkpoint_uuid, verify_connection)
        if found is None:
            raise
    return record(found, kind="checkpoint")


def _in_list(token: str, address: str, checkpoint_uuid: str, verify: Verify) -> dict[str, Any] | None:
    try:
        listed = call("GET", "/checkpoint/all", token, address, verify)
    except HanamiException:
        return None
    rows = (dict(zip(listed["header"], row, strict=True)) for row in listed["body"])
    return next((row for row in rows if row["uuid"] == checkpoint_uuid), None)


def list_checkpoints(token: str, address: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List the checkpoints that the user may see.

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
    >>> checkpoint_uuid in set(checkpoint.list_checkpoints(token, address)["uuid"])
    True
    """
    return frame("/checkpoint/all", call("GET", "/checkpoint/all", token, address, verify_connection))


def delete_checkpoint(
    token: str, address: str, checkpoint_uuid: str, verify_connection: Verify = True
) -> None:
    """Delete a checkpoint.

    Parameters
    ----------
    token, address : str
        The token and the server.
    checkpoint_uuid : str
        The checkpoint.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Raises
    ------
    NotFoundException
        If there is no such checkpoint.

    Examples
    --------
    >>> path = checkpoint.download_checkpoint(token, address, checkpoint_uuid, folder / "trained")
    >>> back = checkpoint.upload_checkpoint(token, address, "taken along", path)
    >>> checkpoint.delete_checkpoint(token, address, back)
    """
    call("DELETE", "/checkpoint", token, address, verify_connection, uuid=checkpoint_uuid)


def download_checkpoint(
    token: str,
    address: str,
    checkpoint_uuid: str,
    path: str | os.PathLike[str],
    verify_connection: Verify = True,
) -> Path:
    """Download a checkpoint as one file, to take a trained network along.

    Parameters
    ----------
    token, address : str
        The token and the server.
    checkpoint_uuid : str
        The checkpoint.
    path : path
        File to write; replaced if it is there.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    NotFoundException
        If there is no such checkpoint.
    NotSupportedException
        If the server, an original, has no such files.

    Examples
    --------
    >>> checkpoint.download_checkpoint(token, address, checkpoint_uuid, folder / "trained").name
    'trained'
    """
    _need_files(address, verify_connection)
    values = {"uuid": checkpoint_uuid}
    body = transport.send("GET", "/checkpoint/file", token, address, verify_connection, values, binary=True)
    target = Path(path).expanduser()
    part = target.with_name(target.name + ".part")
    part.write_bytes(body)
    part.replace(target)
    return target


def upload_checkpoint(
    token: str, address: str, name: str, path: Source, verify_connection: Verify = True
) -> str:
    """Upload a checkpoint from a file that :func:`download_checkpoint` wrote.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Name of the checkpoint, 4 to 254 characters.
    path : path, bytes or binary file
        The file.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    str
        The uuid of the checkpoint, for ``cluster.create_cluster(…, checkpoint_uuid=…)``.

    Raises
    ------
    BadRequestException
        If the file is no checkpoint.
    NotSupportedException
        If the server, an original, takes no such files.

    Examples
    --------
    >>> path = checkpoint.download_checkpoint(token, address, checkpoint_uuid, folder / "trained")
    >>> uuid = checkpoint.upload_checkpoint(token, address, "taken along", path)
    >>> checkpoint.get_checkpoint(token, address, uuid)["name"]
    'taken along'
    """
    _need_files(address, verify_connection)
    with opened(path, unpack=False) as data:
        return upload(
            token, address, verify_connection, "/checkpoint/upload", {"input": data}, {"name": name},
            remove="/checkpoint",
        )  # fmt: skip


def _need_files(address: str, verify: Verify) -> None:
    if CHECKPOINT_FILES not in transport.features(address, verify):
        message = f"{address} has no checkpoint files; the embedded backend, hanami.local(), has."
        raise NotSupportedException(message)
