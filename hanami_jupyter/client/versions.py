"""What runs here: for bug reports."""

from __future__ import annotations

import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client import transport
from hanami_jupyter.client.hanami_exceptions import HanamiException

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["show_versions"]

PACKAGES = (
    "hanami-jupyter", "anywidget", "ipykernel", "ipython", "ipywidgets", "jupyterlab", "matplotlib",
    "notebook", "numba", "numpy", "pandas", "protobuf", "requests", "starlette",
    "urllib3", "uvicorn", "websocket-client",
)  # fmt: skip


def show_versions(address: str | None = None, verify_connection: transport.Verify = True) -> pd.Series[Any]:
    """Return the versions of what runs here, and of a server.

    Parameters
    ----------
    address : str, optional
        A server to ask as well.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        Version by name; missing where a package is not installed.

    Examples
    --------
    >>> import hanami_jupyter as hanami
    >>> hanami.show_versions()["python"] == platform.python_version()
    True
    """
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    found: dict[str, Any] = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = pd.NA
    if address is not None:
        found["server"] = _server(address, verify_connection)
    return pd.Series(found, name="version", dtype="object")


def _server(address: str, verify: transport.Verify) -> str:
    try:
        return f"embedded backend {transport.call('GET', '/health', '', address, verify)['version']}"
    except HanamiException as error:
        return "an original" if error.status in {400, 401, 404} else str(error)
