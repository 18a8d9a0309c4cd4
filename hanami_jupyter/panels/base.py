"""What all panels share: the bundle, commands with replies, the feed, static pictures, one panel a cell."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar, Protocol

import anywidget
import traitlets
from IPython.core.getipython import get_ipython

from hanami_jupyter import shown
from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels.feed import Feed, feed_of
from hanami_jupyter.panels.recipes import Step, recipe

STATIC = Path(__file__).parent.parent / "static"
_HEAD = re.compile(r'<h3>(.*?)</h3> <span class="hanami-pill">(.*?)</span>')
_RETRY = (1.0, 2.0, 5.0)  # seconds between attempts when the server does not answer
_SNAPSHOT_LIMIT = 10.0  # seconds to wait for the server; then the picture shows the state before


class PanelError(Exception):
    """A command that a panel cannot carry out; the text is shown in the panel."""


def bundle(name: str) -> str:
    """Return the text of a front-end bundle."""
    path = STATIC / name
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        message = f"The panels are not built: static/{name} is missing. Run `python js/build.py run build`."
        raise FileNotFoundError(message) from None


class Snapshot:
    """A panel's state as a static picture: HTML that needs no kernel and no widgets."""

    def __init__(self, name: str, picture: str) -> None:
        self._name = name
        self._picture = picture

    def __repr__(self) -> str:
        return f"<hanami.{self._name} snapshot>"

    def _repr_html_(self) -> str:
        return self._picture


class _Outbox:
    """The traits of a panel that are still to be sent; the feed gives its turns, at most every 250 ms."""

    def __init__(self, feed: Feed, send: Callable[[set[str]], None]) -> None:
        self._feed, self._send = feed, send
        self._lock = threading.Lock()
        self._names: set[str] = set()

    def put(self, names: set[str]) -> None:
        """Send these with the next message, as they stand then."""
        with self._lock:
            self._names.update(names)
        self._feed.wake(self)

    def turn(self) -> None:
        """Send what waits."""
        with self._lock:
            names, self._names = self._names, set()
        self._send(names)


class Panel(anywidget.AnyWidget):
    """An anywidget whose traits are written by a feed thread and whose commands always get a reply.

    A panel shown again by the same cell replaces, and closes, the one that cell showed before.
    """

    bundle_name: ClassVar[str]
    prompt: ClassVar[frozenset[str]] = frozenset()  # commands so short that they do not wait for the feed
    selects: ClassVar[str] = ""  # what its trait ``selected`` is in a dashboard's selection, if it has one
    _cell: Cell | None = None
    title = traitlets.Unicode().tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)
    recipe: traitlets.Dict[str, str] = traitlets.Dict().tag(sync=True)  # what was done last, as code
    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)

    def __init__(self, owner: object = None, **traits: Any) -> None:
        self._failures = 0
        self._resting = False
        self._owner = owner
        self._closing = threading.Lock()
        self._feed: Feed = feed_of(self if owner is None else owner)
        self._outbox = _Outbox(self._feed, self._send_traits)
        super().__init__(**traits)
        self.on_msg(self._receive)
        self._layout = self.layout
        self._cell = Cell(self)
        if isinstance(owner, Panel):  # a login: whoever signs in there is followed
            owner.observe(self._owner_changed, "signed_in")
        self.refresh()

    @traitlets.default("_esm")
    def _default_esm(self) -> str:
        return bundle(f"{self.bundle_name}.js")

    @traitlets.default("_css")
    def _default_css(self) -> str:
        return bundle(f"{self.bundle_name}.css")

    @property
    def session(self) -> Any:
        """The session that the panel works with; of a login, the one of whoever is signed in now."""
        return self._owner.session if isinstance(self._owner, Panel) else self._owner

    def _owner_changed(self, _: object) -> None:
        self.refresh()

    # -- what a panel brings

    def update(self) -> float | None:
        """Read the server and write the traits; return the seconds to the next time, None for the last."""
        return None

    def picture(self) -> str:
        """Return the body of the static picture, as HTML."""
        return ""

    def implies(self, key: str) -> dict[str, str]:
        """Return what is selected in all of a dashboard with a row of this panel; ``""`` is no row."""
        return {self.selects: key}

    def follow(self, chosen: Mapping[str, str]) -> None:
        """Take note of what is selected elsewhere, by kind of thing; by default it does not matter."""

    # -- the feed

    @property
    def cell_running(self) -> bool | None:
        """Whether a cell runs now; None outside of IPython."""
        return None if self._cell is None or self._cell.shell is None else self._cell.running

    def refresh(self) -> None:
        """Bring the panel up to date, soon and without blocking."""
        if not self.closed and not self._resting:
            self._feed.wake(self)

    def rest(self) -> None:
        """Neither poll nor send until :meth:`resume`, because nobody sees the panel."""
        self._resting = True
        self._feed.drop(self)

    def resume(self) -> None:
        """Go on after a rest, with what is news since."""
        self._resting = False
        self.refresh()

    def turn(self) -> float | None:
        """Give the panel its turn; called by the feed."""
        if self.closed or self._resting:
            return None
        try:
            delay = self.update()
        except Exception as error:  # noqa: BLE001 - whatever went wrong is the panel's news, not a traceback
            self._failures += 1
            self.write(notice=sentence(error))
            return _RETRY[min(self._failures, len(_RETRY)) - 1] if is_passing(error) else None
        self._failures = 0
        self.write(notice="")
        return delay

    def write(self, **values: object) -> None:
        """Write traits as one message; nothing is sent where nothing changed."""
        with self._closing:
            if not self.closed:
                with self.hold_sync():
                    for name, value in values.items():
                        setattr(self, name, value)

    def send_state(self, key: str | Iterable[str] | None = None) -> None:
        """Send traits, at most four times a second: what changes meanwhile goes with the next message."""
        names = set(self.keys if key is None else {key} if isinstance(key, str) else key)
        if names and not self.closed:
            self._outbox.put(names)

    def _send_traits(self, names: set[str]) -> None:
        with self._closing:
            if names and not self.closed:
                super().send_state(names)

    # -- commands

    def did(self, *steps: Step) -> None:
        """Show what was done as code: the calls and commands that would do the same."""
        self.write(recipe=recipe(self.session, steps))

    def _receive(self, _: object, content: dict[str, Any], buffers: list[memoryview] | None) -> None:
        """Take a command from the front end; it runs on the feed's thread, so the kernel stays free.

        A secret comes as a buffer: the kernel's debug log shows a message's content, but not its buffers.
        """
        if "command" not in content or "id" not in content:
            return
        # the kernel is free: what may be slow from here on is the server
        self._answer({"id": content["id"], "taken": True})
        values = dict(content)
        if buffers:
            values["attached"] = bytes(buffers[0])
        number, command = values.pop("id"), str(values.pop("command"))
        if command in self.prompt:
            self._reply(number, command, values)
        else:
            self._feed.call(lambda: self._reply(number, command, values))

    def _reply(self, number: object, command: str, values: dict[str, Any]) -> None:
        answer: dict[str, object] = {"id": number, "ok": True}
        buffers: list[bytes] | None = None
        try:
            method = getattr(self, f"do_{command}", None)
            if method is None:
                message = f"This panel knows no command '{command}'. Reload the page."
                raise PanelError(message)
            result = method(**values)
            if isinstance(result, bytes):  # a file's piece goes beside the message's text
                buffers = [result]
            else:
                answer["result"] = result
        except Exception as error:  # noqa: BLE001 - the front end shows it where the person clicked
            answer = {"id": number, "ok": False, "error": sentence(error)}
        self._answer(answer, buffers)

    def _answer(self, answer: dict[str, object], buffers: list[bytes] | None = None) -> None:
        with self._closing:
            if not self.closed:
                self.send(answer, buffers)

    def do_refresh(self, *, dark: bool | None = None) -> None:
        """Bring a view that was just drawn up to date; it tells how the notebook looks."""
        if dark is not None:
            shown.notebook.dark = dark
        self.refresh()

    # -- the end

    @property
    def closed(self) -> bool:
        """Whether the panel was closed."""
        return self.comm is None

    def close(self) -> None:
        """End the feed and remove every view; a second call does nothing."""
        if self._cell is None or self.closed:
            return  # closed already, or never opened because its arguments were wrong
        self._feed.drop(self)
        self._feed.drop(self._outbox)
        self._cell.leave()
        if isinstance(self._owner, Panel):
            self._owner.unobserve(self._owner_changed, "signed_in")
        with self._closing:
            super().close()
            self._layout.close()  # a widget of its own, which nobody else closes

    # -- how it looks without widgets

    def __repr__(self) -> str:
        return f"<hanami.{type(self).__name__}>"

    def _html(self) -> str:
        return f"<style>{self._css}</style>{self.picture()}"

    def snapshot(self) -> Snapshot:
        """Return the current state as a static picture, for a saved or exported notebook.

        Examples
        --------
        >>> panel.snapshot()  # doctest: +SKIP
        <hanami.TaskProgress snapshot>
        """
        if not self.closed:
            done = threading.Event()

            def turn() -> None:
                self.turn()
                done.set()

            self._feed.call(turn)
            done.wait(_SNAPSHOT_LIMIT)
        return Snapshot(type(self).__name__, self._html())

    def _repr_html_(self) -> str:
        return self._html()  # what a closed panel shows: ipywidgets takes its mimebundle away

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        still = without_widgets(repr(self), self._html())
        live = super()._repr_mimebundle_(**kwargs)
        return still if live is None else ({**live[0], **still}, live[1])


class Shown(Protocol):
    """What a cell knows of the panels it made."""

    def refresh(self) -> None:
        """Bring it up to date."""

    def close(self) -> None:
        """End it."""


class Cell:
    """The cell that made a panel: a new run of it closes the panel, every cell's start and end wake it."""

    _panels: ClassVar[dict[str, set[Cell]]] = {}
    _adopting: ClassVar[ContextVar[Cell | None]] = ContextVar("hanami_cell", default=None)

    def __init__(self, panel: Shown) -> None:
        self.panel = panel
        self.shell = get_ipython()
        self.running = self.shell is not None
        adopting = self._adopting.get()
        place = _current_cell(self.shell) if adopting is None else (adopting.key, adopting.run)
        self.key: str = place[0]
        self.run: str = place[1]
        if self.shell is None:
            return
        if adopting is not None:
            self.running = adopting.running
        elif self.key:  # a panel that no cell made, but a message, replaces none
            for older in list(self._panels.get(self.key, ())):
                if older.run != self.run:
                    older.panel.close()
        self._panels.setdefault(self.key, set()).add(self)
        self.shell.events.register("pre_run_cell", self._started)
        self.shell.events.register("post_run_cell", self._ended)

    @contextmanager
    def adopt(self) -> Iterator[None]:
        """Count the panels made meanwhile as made by this cell, although a message asks for them."""
        mark = self._adopting.set(self)
        try:
            yield
        finally:
            self._adopting.reset(mark)

    def _started(self, *_: object) -> None:
        self.running = True
        self.panel.refresh()

    def _ended(self, *_: object) -> None:
        self.running = False
        self.panel.refresh()

    def leave(self) -> None:
        """Forget the panel."""
        mine = self._panels.get(self.key, set())
        if self.shell is None or self not in mine:
            return
        mine.discard(self)
        if not mine:
            del self._panels[self.key]
        self.shell.events.unregister("pre_run_cell", self._started)
        self.shell.events.unregister("post_run_cell", self._ended)


def _current_cell(shell: Any) -> tuple[str, str]:
    """Return which cell runs now and which run of it this is; front ends that name no cell go by its text."""
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    code = str(parent.get("content", {}).get("code", ""))
    return parent.get("metadata", {}).get("cellId") or code, parent.get("header", {}).get("msg_id", "")


@contextmanager
def card(title: str, pill: str, notice: str = "") -> Iterator[list[str]]:
    """Collect the pieces of a static card: its head first, then what the caller appends, then the notice."""
    pieces = [
        f'<section class="hanami"><header class="hanami-head"><h3>{html.escape(title)}</h3> '
        f'<span class="hanami-pill">{html.escape(pill)}</span></header>'
    ]
    yield pieces
    if notice:
        pieces.append(f'<p class="hanami-notice">{html.escape(notice)}</p>')
    pieces.append("</section>")


def without_widgets(name: str, page: str) -> dict[str, str]:
    """Return what is shown of static cards: a page, and on a terminal what their heads say, a line for each.

    Examples
    --------
    >>> with card("Tasks", "1 running") as pieces:
    ...     pass
    >>> without_widgets("<hanami.TaskProgress>", "".join(pieces))["text/plain"]
    'Tasks: 1 running'
    """
    if getattr(get_ipython(), "kernel", None) is None:
        found = _HEAD.findall(page)
        name = "\n".join(html.unescape(f"{title}: {pill}") for title, pill in found)
    return {"text/plain": name, "text/html": page}


def sentence(error: Exception) -> str:
    """Return an error as one sentence for the panel."""
    if isinstance(error, exceptions.UnauthorizedException):
        return "The sign-in is no longer valid, or its rights do not suffice. Sign in again."
    if isinstance(error, (exceptions.ConnectionException, exceptions.TimeoutException)):
        return f"{error} The panel keeps trying."
    return str(error).strip() or f"{type(error).__name__} without a message. Try again."


def is_passing(error: Exception) -> bool:
    """Return whether a later attempt may succeed: all but what is wrong with the question itself."""
    final = (exceptions.NotFoundException, exceptions.BadRequestException)
    return isinstance(error, exceptions.HanamiException) and not isinstance(error, final)
