"""Logs of the server, a page of 100 rows at a time, oldest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanami_jupyter.client.tables import frame
from hanami_jupyter.client.transport import Verify, call

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["list_audit_logs", "list_error_logs"]


def list_audit_logs(
    token: str, address: str, user_id: str | None = None, page: int = 0, verify_connection: Verify = True
) -> pd.DataFrame:
    """List the requests that changed something, failed ones too.

    Parameters
    ----------
    token, address : str
        The token and the server.
    user_id : str, optional
        Whose requests; only admins may ask for somebody else's.
    page : int
        Which page of 100 rows, from 0.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``created_at``, ``user_id``, ``endpoint``, ``request_type``.

    Raises
    ------
    InternalServerErrorException
        From an original server, for a page behind the end; ours answers an empty table.

    Examples
    --------
    >>> from hanami_jupyter import logs
    >>> logs.list_audit_logs(token, address, page=0).columns.to_list()
    ['created_at', 'user_id', 'endpoint', 'request_type']
    """
    answer = call("GET", "/audit_log", token, address, verify_connection, user_id=user_id, page=page)
    return frame("/audit_log", answer)


def list_error_logs(
    token: str, address: str, user_id: str | None = None, page: int = 0, verify_connection: Verify = True
) -> pd.DataFrame:
    """List the errors of the server. Only admins may.

    Parameters
    ----------
    token, address : str
        An admin's token, and the server.
    user_id : str, optional
        Whose errors; everybody's by default.
    page : int
        Which page of 100 rows, from 0.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``created_at``, ``user_id``, ``component``, ``context``, ``input_values``, ``message``.

    Raises
    ------
    UnauthorizedException
        If the token is not an admin's.

    Examples
    --------
    >>> logs.list_error_logs(token, address).empty
    True
    """
    answer = call("GET", "/error_log", token, address, verify_connection, user_id=user_id, page=page)
    return frame("/error_log", answer)
