"""What Tab offers behind ``%hanami``: commands, flags, files, and names known from earlier answers."""

from __future__ import annotations

import shlex
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client.hanami_exceptions import HanamiException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hanami_jupyter.session import Session

KINDS = ("dataset", "cluster", "checkpoint")
FRESH = 5.0  # seconds after which the names are asked for again


class Names:
    """Names and uuids of remote objects. Reading never waits: what is old is asked for in the background."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, str]]] = {}
        self._asked = 0.0
        self._thread: threading.Thread | None = None

    def of(self, kind: str, session: Session | None) -> list[tuple[str, str]]:
        """Return what is known of a kind, as pairs of uuid and name."""
        if session is not None and time.monotonic() - self._asked > FRESH:
            self.refresh(session)
        return self._known.get(kind, [])

    def refresh(self, session: Session) -> None:
        """Ask the server in the background, unless that is under way."""
        if self._thread is None or not self._thread.is_alive():
            self._asked = time.monotonic()
            self._thread = threading.Thread(
                target=self._ask, args=(session,), name="hanami-names", daemon=True
            )
            self._thread.start()

    def settle(self) -> None:
        """Wait until nothing is being asked."""
        if self._thread is not None:
            self._thread.join()

    def _ask(self, session: Session) -> None:
        for kind in KINDS:
            with suppress(HanamiException):
                found = getattr(getattr(session, kind), f"list_{kind}s")()
                self._known[kind] = list(zip(found["uuid"], found["name"], strict=True))


def complete(text: str, context: Any) -> tuple[str, list[str]]:
    """Return what may follow a beginning of a command line.

    Parameters
    ----------
    text : str
        The words behind ``hanami`` up to the cursor.
    context : Context
        Settings of the run, with the known names.

    Returns
    -------
    str
        The word that is being written.
    list of str
        What it may become.

    Examples
    --------
    >>> from hanami_jupyter.commands.context import Context
    >>> complete("dataset cr", Context())
    ('cr', ['create'])
    """
    from click.shell_completion import ShellComplete  # noqa: PLC0415 - only Tab needs these

    from hanami_jupyter.commands.tree import root  # noqa: PLC0415

    try:
        words = shlex.split(text)
    except ValueError:
        return "", []
    unfinished = "" if not words or text[-1:].isspace() else words.pop()
    found = ShellComplete(root, {"obj": context}, "hanami", "").get_completions(words, unfinished)
    offered: list[str] = []
    for item in found:
        offered += _files(unfinished) if item.type in {"file", "dir"} else [item.value]
    return unfinished, offered


def _files(beginning: str) -> Iterable[str]:
    folder, _, start = beginning.rpartition("/")
    base = Path(folder or ("/" if beginning.startswith("/") else "."))
    prefix = f"{folder}/" if folder or beginning.startswith("/") else ""
    with suppress(OSError):
        for path in sorted(base.iterdir()):
            if path.name.startswith(start) and (start or not path.name.startswith(".")):
                yield prefix + path.name + ("/" if path.is_dir() else "")
