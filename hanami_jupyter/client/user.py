"""Users, and the projects they belong to. Only admins manage them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client import hanami_token
from hanami_jupyter.client.hanami_exceptions import (
    HanamiException,
    InternalServerErrorException,
    UnauthorizedException,
)
from hanami_jupyter.client.spellings import also
from hanami_jupyter.client.tables import column, frame, record
from hanami_jupyter.client.token import Token
from hanami_jupyter.client.transport import Verify, call

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "add_project_to_user",
    "add_roject_to_user",
    "create_user",
    "delete_user",
    "get_user",
    "list_projects_of_user",
    "list_users",
    "remove_project_fromUser",
    "remove_project_from_user",
    "switch_project",
]


@also(passwort="password")
def create_user(
    token: str,
    address: str,
    user_id: str,
    user_name: str,
    password: str,
    is_admin: bool,
    verify_connection: Verify = True,
) -> pd.Series[Any]:
    """Create a user.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    user_id, user_name : str
        Id (a letter, then letters, digits, ``_`` and ``@``) and name, 4 to 254 characters.
    password : str
        8 to 4096 characters; ``passwort`` is accepted as keyword too.
    is_admin : bool
        Whether the user becomes a global admin.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``created_at``, ``creator_id``, ``id``, ``is_admin``, ``name``, ``projects``.

    Raises
    ------
    ConflictException
        If the id is taken.

    Examples
    --------
    >>> from hanami_jupyter import user
    >>> user.create_user(token, address, "tsugumi", "Tsugumi", "a long password", False)["is_admin"]
    False
    """
    values = {"id": user_id, "name": user_name, "is_admin": is_admin}
    try:
        return record(
            hanami_token.with_password("/user", token, address, verify_connection, values, password)
        )
    finally:
        del password  # a detailed traceback shows what the frames hold


def get_user(token: str, address: str, user_id: str, verify_connection: Verify = True) -> pd.Series[Any]:
    """Get a user.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    user_id : str
        The user's id.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``created_at``, ``creator_id``, ``id``, ``is_admin``, ``name``, ``projects`` (a list of dictionaries
        with ``project_id``, ``role``, ``is_project_admin``).

    Raises
    ------
    NotFoundException
        If there is no such user.

    Examples
    --------
    >>> user.get_user(token, address, "tsugumi")["name"]
    'Tsugumi'
    """
    return record(call("GET", "/user", token, address, verify_connection, id=user_id))


def list_users(token: str, address: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List all users.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``created_at``, ``id``, ``name``, ``creator_id``, ``projects``, ``is_admin``.

    Raises
    ------
    UnauthorizedException
        If the token is not an admin's.

    Examples
    --------
    >>> "tsugumi" in set(user.list_users(token, address)["id"])
    True
    """
    return frame("/user/all", call("GET", "/user/all", token, address, verify_connection))


def delete_user(token: str, address: str, user_id: str, verify_connection: Verify = True) -> None:
    """Delete a user.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    user_id : str
        Who is deleted; nobody can delete himself.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Raises
    ------
    NotFoundException
        If there is no such user.
    ConflictException
        If it is the token's own user.

    Examples
    --------
    >>> user.delete_user(token, address, "tsugumi")
    """
    call("DELETE", "/user", token, address, verify_connection, id=user_id)


def add_project_to_user(
    token: str,
    address: str,
    user_id: str,
    project_id: str,
    role: str,
    is_project_admin: bool,
    verify_connection: Verify = True,
) -> pd.Series[Any]:
    """Let a user work in a project.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    user_id, project_id : str
        Who, and where.
    role : str
        ``admin`` or ``member``, unless the server's policy file knows others.
    is_project_admin : bool
        Whether the user may see and change what belongs to others in the project.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        The user, as from :func:`get_user`.

    Raises
    ------
    ConflictException
        If the user is in the project already.

    Examples
    --------
    >>> someone = user.add_project_to_user(token, address, "someone", "garden", "member", False)
    >>> [entry["project_id"] for entry in someone["projects"]]
    ['garden']
    """
    values = {
        "id": user_id,
        "project_id": project_id,
        "role": role,
        "is_project_admin": is_project_admin,
    }
    try:
        return record(call("POST", "/user/project", token, address, verify_connection, **values))
    except InternalServerErrorException:
        # the original answers 500 although it has done it
        present = _look(token, address, user_id, verify_connection)
        wanted = {k: v for k, v in values.items() if k != "id"}
        if present is None or _entry(present, project_id) != wanted:
            raise
    return present


def _look(token: str, address: str, user_id: str, verify: Verify) -> pd.Series[Any] | None:
    """Return a user, or None if that fails: then the first failure tells more."""
    try:
        return get_user(token, address, user_id, verify)
    except HanamiException:
        return None


def _entry(user: pd.Series[Any], project_id: str) -> dict[str, Any] | None:
    """Return what ties a user to a project."""
    return next((entry for entry in user["projects"] if entry["project_id"] == project_id), None)


def remove_project_from_user(
    token: str, address: str, user_id: str, project_id: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Take a project from a user.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    user_id, project_id : str
        Who, and from where.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        The user, as from :func:`get_user`.

    Raises
    ------
    NotFoundException
        If the user is not in the project.

    Examples
    --------
    >>> user.remove_project_from_user(token, address, "someone", "garden")["projects"]
    []
    """
    try:
        answer = call(
            "DELETE", "/user/project", token, address, verify_connection, project_id=project_id, id=user_id
        )
        return record(answer)
    except InternalServerErrorException:
        # the original answers 500 although it has done it
        present = _look(token, address, user_id, verify_connection)
        if present is None or _entry(present, project_id) is not None:
            raise
    return present


def list_projects_of_user(token: str, address: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List the projects of the token's own user.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``project_id``, ``role``, ``is_project_admin``.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Warns
    -----
    UserWarning
        If the server, an original, tells a user without admin rights only the project of the token.

    Examples
    --------
    >>> user.list_projects_of_user(token, address).columns.to_list()
    ['project_id', 'role', 'is_project_admin']
    """
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    projects = _own_projects(token, address, verify_connection)
    return pd.DataFrame(
        {
            name: column(kind, [entry.get(name) for entry in projects])
            for name, kind in (("project_id", "str"), ("role", "str"), ("is_project_admin", "bool"))
        }
    )


def _own_projects(token: str, address: str, verify: Verify) -> list[dict[str, Any]]:
    claims = Token(token).claims
    user_id = claims.get("id")
    try:
        answer = call("GET", "/user/project", token, address, verify, user_id=user_id)
        return list(answer["projects"])
    except (InternalServerErrorException, UnauthorizedException) as error:
        if claims.get("is_admin"):
            return list(call("GET", "/user", token, address, verify, id=user_id)["projects"])
        if "JWT" in error.text or not claims:
            raise  # the token is the reason
    warnings.warn(
        "This server tells only admins all projects of a user; the list holds the token's project alone.",
        stacklevel=3,
    )
    return [claims]


def switch_project(token: str, address: str, project_id: str, verify_connection: Verify = True) -> Token:
    """Get a token for another project of the same user; see :func:`hanami_token.switch_project`.

    Parameters
    ----------
    token, address : str
        The present token and the server.
    project_id : str
        The project to open.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    Token
        The new token.

    Raises
    ------
    UnauthorizedException
        If the user does not belong to the project.

    Examples
    --------
    >>> user.switch_project(token, address, "admin").project_id
    'admin'
    """
    return hanami_token.switch_project(token, address, project_id, verify_connection)


add_roject_to_user = add_project_to_user
remove_project_fromUser = remove_project_from_user  # noqa: N816 - the reference's spelling
