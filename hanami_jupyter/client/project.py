"""Projects: logical separation of users who are no admins. Only admins manage them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hanami_jupyter.client.tables import frame, record
from hanami_jupyter.client.transport import Verify, call

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["create_project", "delete_project", "get_project", "list_projects"]


def create_project(
    token: str, address: str, project_id: str, project_name: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Create an empty project.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    project_id, project_name : str
        Id (a letter, then letters, digits and ``_``) and name, 4 to 254 characters.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``created_at``, ``creator_id``, ``id``, ``name``.

    Raises
    ------
    ConflictException
        If the id is taken.

    Examples
    --------
    >>> from hanami_jupyter import project
    >>> project.create_project(token, address, "flowers", "Flower shop")["id"]
    'flowers'
    """
    return record(
        call("POST", "/project", token, address, verify_connection, id=project_id, name=project_name)
    )


def get_project(
    token: str, address: str, project_id: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Get a project.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    project_id : str
        Its id.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``created_at``, ``creator_id``, ``id``, ``name``.

    Raises
    ------
    NotFoundException
        If there is no such project.

    Examples
    --------
    >>> project.get_project(token, address, "flowers")["name"]
    'Flower shop'
    """
    return record(call("GET", "/project", token, address, verify_connection, id=project_id))


def list_projects(token: str, address: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List all projects.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``created_at``, ``id``, ``name``, ``creator_id``.

    Raises
    ------
    UnauthorizedException
        If the token is not an admin's.

    Examples
    --------
    >>> "flowers" in set(project.list_projects(token, address)["id"])
    True
    """
    return frame("/project/all", call("GET", "/project/all", token, address, verify_connection))


def delete_project(token: str, address: str, project_id: str, verify_connection: Verify = True) -> None:
    """Delete a project.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    project_id : str
        Its id.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Raises
    ------
    NotFoundException
        If there is no such project.
    ConflictException
        From our backend, while the project holds resources.

    Examples
    --------
    >>> project.delete_project(token, address, "flowers")
    """
    call("DELETE", "/project", token, address, verify_connection, id=project_id)
