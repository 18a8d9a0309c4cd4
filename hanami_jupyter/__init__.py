"""Grow neural networks in a notebook: client, panels, magics and an embedded server for OpenHanami.

Every public name is loaded when it is first used, so that importing the package stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from hanami_jupyter._version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MODULES = {
    "checkpoint": "client.checkpoint",
    "cluster": "client.cluster",
    "data": "data",
    "dataset": "client.dataset",
    "direct_io": "client.direct_io",
    "hanami_exceptions": "client.hanami_exceptions",
    "hanami_token": "client.hanami_token",
    "hosts": "client.hosts",
    "plots": "plots",
    "project": "client.project",
    "request_result": "client.request_result",
    "task": "client.task",
    "user": "client.user",
}
_NAMES = {
    "Session": "session",
    "TaskProgress": "panels.task_progress",
    "connect": "session",
    "local": "launcher",
    "parse_template": "protocol.template",
    "plot_accuracy": "plots",
    "plot_confusion_matrix": "plots",
    "plot_misclassified": "plots",
    "show_template": "plots",
}

__all__ = sorted(["__version__", *_MODULES, *_NAMES])


def __getattr__(name: str) -> object:
    if name in _MODULES:
        value: object = importlib.import_module(f"hanami_jupyter.{_MODULES[name]}")
    elif name in _NAMES:
        module = importlib.import_module(f"hanami_jupyter.{_NAMES[name]}")
        value = getattr(module, "parse" if name == "parse_template" else name)
    else:
        message = f"module 'hanami_jupyter' has no attribute '{name}'"
        raise AttributeError(message)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the ``%hanami`` magics; called by ``%load_ext hanami``."""
    from hanami_jupyter import magics  # noqa: PLC0415 - importing the package stays cheap

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove what loading the extension added; called by ``%unload_ext hanami``."""
    from hanami_jupyter import magics  # noqa: PLC0415

    magics.unload(shell)
