"""Grow neural networks in a notebook: client, panels, magics and an embedded server for OpenHanami.

Every public name is loaded when it is first used, so that importing the package stays cheap. The names and
where they live stand in ``__init__.pyi``, for type checkers and for this module alike.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from IPython.core.interactiveshell import InteractiveShell

_CLIENT = f"{__name__}.client"
_HOMES = {
    alias.name: node.module
    for node in ast.parse(Path(__file__).with_suffix(".pyi").read_text("utf-8")).body
    if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(__name__)
    for alias in node.names
}
__all__ = sorted(_HOMES)  # noqa: PLE0605 - the names stand in __init__.pyi


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        message = f"module '{__name__}' has no attribute '{name}'"
        raise AttributeError(message)
    home = _HOMES[name]
    value: object
    if home in {__name__, _CLIENT}:
        value = importlib.import_module(f"{home}.{name}")
    else:
        value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


class _ClientModules:  # importlib.abc would cost more than all the rest of this module
    """Lets ``from hanami_jupyter.cluster import …`` find the module in the client, as the same object."""

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        if package == __name__ and _HOMES.get(name) == _CLIENT:
            return importlib.machinery.ModuleSpec(fullname, self)  # type: ignore[arg-type] # by its methods, a loader
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(f"{_CLIENT}.{spec.name.rpartition('.')[2]}")
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Give the module back the identity that the import system has just replaced."""
        if module.__spec__ is not None:
            module.__spec__ = module.__spec__.loader_state


if not any(type(finder).__qualname__ == _ClientModules.__qualname__ for finder in sys.meta_path):
    sys.meta_path.append(_ClientModules())  # type: ignore[arg-type] # by its methods, a finder


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register the ``%hanami`` magics; called by ``%load_ext hanami``."""
    from hanami_jupyter import magics  # noqa: PLC0415 - importing the package stays cheap

    magics.load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Remove what loading the extension added; called by ``%unload_ext hanami``."""
    from hanami_jupyter import magics  # noqa: PLC0415

    magics.unload(shell)
