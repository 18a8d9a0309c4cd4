"""What the server measures about its machine: power, clock, temperature, processors, threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hanami_jupyter.client.tables import record
from hanami_jupyter.client.transport import Verify, call

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "get_power_consumption",
    "get_speed",
    "get_system_info",
    "get_temperature",
    "get_threads",
]


def _history(values: dict[str, list[float]], name: str) -> pd.Series[Any]:
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    spans = {span: pd.Series(values[span], dtype="float64") for span in values}
    if not spans:
        return pd.Series(dtype="float64", name=name)
    return pd.concat(spans, names=["span", "position"]).rename(name)


def get_power_consumption(token: str, address: str, verify_connection: Verify = True) -> pd.Series[Any]:
    """Get the power over the last minute, hour, day and year.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        Watts, by span (``seconds``, ``minutes``, ``hours``, ``days``) and position; 0.0 where not measured.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> from hanami_jupyter import measurements
    >>> len(measurements.get_power_consumption(token, address)["seconds"])
    60
    """
    return _history(call("GET", "/power_consumption", token, address, verify_connection)["power"], "power")


def get_speed(token: str, address: str, verify_connection: Verify = True) -> pd.Series[Any]:
    """Get the clock over the last minute, hour, day and year.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        Megahertz, by span (``seconds``, ``minutes``, ``hours``, ``days``) and position.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> len(measurements.get_speed(token, address)["hours"])
    24
    """
    return _history(call("GET", "/speed", token, address, verify_connection)["current_speed"], "speed")


def get_temperature(token: str, address: str, verify_connection: Verify = True) -> pd.Series[Any]:
    """Get the temperature over the last minute, hour, day and year.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        Degrees Celsius, by span (``seconds``, ``minutes``, ``hours``, ``days``) and position.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> len(measurements.get_temperature(token, address)["minutes"])
    60
    """
    answer = call("GET", "/temperature_production", token, address, verify_connection)
    return _history(answer["temperature"], "temperature")


def get_system_info(token: str, address: str, verify_connection: Verify = True) -> pd.Series[Any]:
    """Describe the server's machine.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``hostname``, ``has_hyperthreading``, and ``packages`` with their cores, threads and clocks.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> "packages" in measurements.get_system_info(token, address)
    True
    """
    info = call("GET", "/system_info", token, address, verify_connection)["info"]
    return record(info, label=info.get("hostname"))


def get_threads(token: str, address: str, verify_connection: Verify = True) -> pd.Series[Any]:
    """List the server's threads.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        The core ids of each thread, by the thread's name.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> measurements.get_threads(token, address).name
    'cores'
    """
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    threads = call("GET", "/threading", token, address, verify_connection)["thread_map"]
    return pd.Series(list(threads.values()), index=list(threads), dtype="object", name="cores")
