"""Tokens: log in, renew, switch the project, check."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client import transport
from hanami_jupyter.client.hanami_exceptions import BadRequestException
from hanami_jupyter.client.tables import record
from hanami_jupyter.client.token import Token
from hanami_jupyter.client.transport import Concealed, Verify

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_token", "renew_token", "request_token", "switch_project"]


def request_token(address: str, user_id: str, password: str, verify_connection: Verify = True) -> Token:
    """Log in.

    Parameters
    ----------
    address : str
        The server, like ``http://127.0.0.1:11418``.
    user_id, password : str
        Who logs in.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    Token
        A ``str`` for the other functions that shows whose it is, never itself.

    Raises
    ------
    UnauthorizedException
        If user or password is wrong.

    Examples
    --------
    >>> from hanami_jupyter import hanami_token
    >>> token = hanami_token.request_token(address, user, password)
    >>> token.user_id
    'admin'
    """
    try:
        answer = with_password("/token", "", address, verify_connection, {"id": user_id}, password)
    finally:
        del password  # a detailed traceback shows what the frames hold
    return Token(answer["token"])


def with_password(
    path: str, token: str, address: str, verify: Verify, values: dict[str, Any], password: str
) -> Any:
    """POST values with a password in the way this server's generation wants it; remember which."""
    server = transport.peer(address)
    body = Concealed(values)
    body |= _passphrase(password) if server.passphrase else {"password": password}
    other = Concealed({"password": password} if server.passphrase else _passphrase(password))
    del password
    try:
        return transport.send("POST", path, token, address, verify, body)
    except BadRequestException as error:
        field = "passphrase" if server.passphrase else "password"
        if f"'{field}' is not in the list of allowed keys" not in error.text:
            raise
    answer = transport.send("POST", path, token, address, verify, Concealed(values | other))
    server.passphrase = not server.passphrase
    return answer


def _passphrase(password: str) -> dict[str, str]:
    return {"passphrase": base64.b64encode(password.encode()).decode()}


def switch_project(token: str, address: str, project_id: str, verify_connection: Verify = True) -> Token:
    """Get a token for another project of the same user.

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
        The new token; the old one stays valid.

    Raises
    ------
    UnauthorizedException
        If the user does not belong to the project.

    Examples
    --------
    >>> hanami_token.switch_project(token, address, "admin").project_id
    'admin'
    """
    answer = transport.call("PUT", "/token", token, address, verify_connection, project_id=project_id)
    return Token(answer["token"])


def renew_token(token: str, address: str, verify_connection: Verify = True) -> Token:
    """Get a fresh token for the same user and project, as long as the present one is valid.

    Parameters
    ----------
    token, address : str
        The present token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    Token
        A token that is valid for longer.

    Raises
    ------
    UnauthorizedException
        If the token has expired.

    Examples
    --------
    >>> hanami_token.renew_token(token, address).user_id
    'admin'
    """
    return switch_project(token, address, Token(token).project_id, verify_connection)


def check_token(token: str, address: str, verify_connection: Verify = True) -> pd.Series[Any]:
    """Ask the server what a token stands for.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``id``, ``name``, ``is_admin``, ``is_project_admin``, ``project_id``, ``role``.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> hanami_token.check_token(token, address)["role"]
    'admin'
    """
    return record(transport.call("GET", "/auth", token, address, verify_connection))
