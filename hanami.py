"""The module that ``%load_ext hanami`` imports: everything of hanami_jupyter under a short name."""

from __future__ import annotations

import hanami_jupyter as _package
from hanami_jupyter import load_ipython_extension, unload_ipython_extension

__all__ = ["load_ipython_extension", "unload_ipython_extension"]
__all__ += _package.__all__


def __getattr__(name: str) -> object:
    return getattr(_package, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_package)})
