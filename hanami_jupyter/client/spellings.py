"""Keyword names that the reference misspells, accepted beside the correct ones."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def also(**spellings: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a function accept other names of its keywords.

    Examples
    --------
    >>> @also(colour="color")
    ... def paint(color):
    ...     return color
    >>> paint(colour="red")
    'red'
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for other, name in spellings.items():
                if other in kwargs:
                    if name in kwargs:
                        message = f"{function.__name__}() got '{name}' and '{other}', which mean the same"
                        raise TypeError(message)
                    kwargs[name] = kwargs.pop(other)
            try:
                return function(*args, **kwargs)
            finally:
                del args, kwargs  # may hold a password, and a detailed traceback shows what the frames hold

        return call

    return decorate
