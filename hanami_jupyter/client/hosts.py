"""Hosts: the places where clusters can live, the server's processors and what has joined it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hanami_jupyter.client.tables import frame
from hanami_jupyter.client.transport import Verify, call

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["list_hosts"]


def list_hosts(token: str, address: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List the hosts.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``uuid``, ``type`` (``cpu``, or ``dask`` for a worker of a Dask cluster). Ours adds ``name``,
        ``cores``, ``memory`` in bytes, and ``load``: the clusters at work or waiting for each core.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> from hanami_jupyter import hosts
    >>> hosts.list_hosts(token, address)["type"][0]
    'cpu'
    """
    return frame("/host/all", call("GET", "/host/all", token, address, verify_connection))
