"""What a command runs in: where the server is, who asks, and which face shows the answer."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from hanami_jupyter.commands.completion import Names
    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session


@dataclass
class Context:
    """Settings of one run of a command.

    Attributes
    ----------
    address, user, project : str or None
        Where and as whom; what is missing comes from the notebook's session or the environment.
    defaults : dict of str to str
        ``address`` and ``project`` to use where nothing else names one.
    insecure : bool
        Whether TLS certificates are not checked.
    json : bool
        Whether the server's own JSON is asked for.
    interactive : bool
        Whether somebody is there to answer a prompt.
    body : str or None
        The lines below ``%%hanami``, a cluster template.
    names : Names or None
        What Tab knows of the server's objects.
    found : callable or None
        Gives the notebook's session, for commands that name no address of their own.
    keep : callable or None
        Takes the session that a command opened into the notebook.
    follow : callable or None
        Shows the progress of a task, called with session, cluster and task, before a wait.
    poll : float
        Seconds between two looks at a task that is waited for.
    answers : deque
        The server's last answer, where its own JSON is asked for.
    """

    address: str | None = None
    user: str | None = None
    project: str | None = None
    defaults: dict[str, str] = field(default_factory=dict)
    insecure: bool = False
    json: bool = False
    interactive: bool = field(default_factory=lambda: sys.stdin is not None and sys.stdin.isatty())
    body: str | None = None
    names: Names | None = None
    found: Callable[[], Session | None] | None = None
    keep: Callable[[Session], None] | None = None
    follow: Callable[[Session, str, str], None] | None = None
    poll: float = 0.2
    answers: deque[Any] = field(default_factory=lambda: deque(maxlen=1))
    _session: Session | None = None

    @property
    def session(self) -> Session:
        """The connection to the server, opened when a command first needs it."""
        if self._session is None:
            self._session = self._open()
        return self._session

    def _open(self) -> Session:
        from hanami_jupyter import session  # noqa: PLC0415 - the help needs no client
        from hanami_jupyter.client import transport  # noqa: PLC0415

        if self.json:
            transport.answers.set(self.answers)
        explicit = self.address or self.user or self.project
        known = self.found() if self.found and not explicit else None
        if known is not None:
            return known
        address = self.address or os.environ.get("HANAMI_ADDRESS") or self.defaults.get("address")
        project = self.project or os.environ.get("HANAMI_PROJECT") or self.defaults.get("project")
        if address is None:
            running = the_backend()
            return session.connect(running.address, running.user, running.password, project=project)
        return session.connect(address, self.user, project=project, verify=not self.insecure)

    def close(self) -> None:
        """Close the session if this run opened it and nobody keeps it."""
        if self._session is not None and self.keep is None:
            self._session.close()


def the_backend() -> Running:
    """Return the local backend that is meant where no server is named.

    The one of ``local start`` goes first, then one that keeps its data, then one of a notebook.

    Raises
    ------
    click.UsageError
        If there is none, or more than one that could be meant.
    """
    from hanami_jupyter import launcher  # noqa: PLC0415 - the help needs no client

    found = launcher.find()
    staying = [running for running in found if running.persistent]
    started = [running for running in staying if running.folder == launcher.default_folder()]
    candidates = started or staying or found
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        listed = ", ".join(f"{running.address} ({running.folder})" for running in candidates)
        message = f"Several local backends run: {listed}. Say which with --address or HANAMI_ADDRESS."
    else:
        message = (
            "No server is named and no local backend runs. Set HANAMI_ADDRESS, give --address, "
            "or start a backend with 'local start'."
        )
    raise click.UsageError(message)


@dataclass(frozen=True)
class Answer:
    """What a command gives back: the value for a notebook, and how a terminal shows it.

    Attributes
    ----------
    value : object
        DataFrame, Series, ndarray, text or None.
    text : callable
        Returns the layout of the reference document.
    raw : object
        What ``-j`` prints; by default the server's last answer.
    """

    value: Any
    text: Callable[[], str]
    raw: Any = ...
