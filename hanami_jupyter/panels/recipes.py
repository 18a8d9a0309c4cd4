"""What a panel did, as the Python lines and the ``hanamictl`` line that would do the same."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hanami_jupyter.session import Session

_MODULES = frozenset({"hanami", "numpy"})  # whose functions a call may name beside the session's
_LINE = 88  # columns; a longer call is written with one argument a line


@dataclass(frozen=True)
class Expression:
    """Python that stands for a value which is not to be shown, or has no literal."""

    text: str
    module: str = ""

    def __repr__(self) -> str:
        return self.text


PASSWORD = Expression("getpass.getpass()", "getpass")  # asked for again, never written down


@dataclass(frozen=True)
class Step:
    """One call of a session, and the command that does the same.

    Attributes
    ----------
    function : str
        What is called, as ``"cluster.save_cluster"`` of the session, or a function of a module.
    args, kwargs
        Its arguments.
    words : sequence of str
        The command after ``hanamictl``; empty where there is none.
    feed : str
        What the command reads from its standard input.
    tail : str
        What follows the call in Python.
    """

    function: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    words: Sequence[str] = ()
    feed: str = ""
    tail: str = ""

    def python(self) -> str:
        """Return the call as Python."""
        shown = [_literal(value) for value in self.args]
        shown += [f"{name}={_literal(value)}" for name, value in self.kwargs.items()]
        own = self.function.partition(".")[0] in _MODULES
        call = self.function if own else f"session.{self.function}"
        line = f"{call}({', '.join(shown)}){self.tail}"
        if len(line.partition("\n")[0]) <= _LINE:
            return line
        return f"{call}(\n" + "".join(f"    {value},\n" for value in shown) + f"){self.tail}"

    def shell(self, session: Session) -> str:
        """Return the command with where it runs, and as whom."""
        if not self.words:
            return ""
        where = ["--address", session.address, "--user", session.user_id, "--project", session.project_id]
        if session.verify is False:
            where.append("--insecure")
        line = shlex.join(["hanamictl", *where, *map(str, self.words)])
        return f"{line} <<'END'\n{self.feed.rstrip()}\nEND" if self.feed else line

    def modules(self) -> set[str]:
        """Return what the call needs imported."""
        return {value.module for value in self.args if isinstance(value, Expression) and value.module}


def step(
    function: str, *args: Any, words: Sequence[str] = (), feed: str = "", tail: str = "", **kwargs: Any
) -> Step:
    """Return a step, written as the call it is.

    Examples
    --------
    >>> step("cluster.delete_cluster", "5f3e", words=("cluster", "delete", "5f3e")).python()
    "session.cluster.delete_cluster('5f3e')"
    """
    return Step(function, args, kwargs, words, feed, tail)


def recipe(session: Session, steps: Sequence[Step]) -> dict[str, str]:
    """Return the steps as text, for a panel's trait.

    Examples
    --------
    >>> recipe(session, [step("renew")])
    {'python': 'session.renew()', 'shell': ''}
    """
    modules = sorted(set().union(*(part.modules() for part in steps)))
    lines = [f"import {module}" for module in modules] + [part.python() for part in steps]
    commands = [part.shell(session) for part in steps]
    return {"python": "\n".join(lines), "shell": "\n".join(commands) if all(commands) else ""}


def _literal(value: Any) -> str:
    """Return a value as Python writes it; a text of several lines keeps them."""
    if isinstance(value, str) and "\n" in value and '"""' not in value and "\\" not in value:
        return f'"""{value}"""' if not value.endswith('"') else repr(value)
    return repr(value)
