"""The dashboard: every panel under a tab, one selection for all, nothing done for what is not shown."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ipywidgets
import traitlets

from hanami_jupyter.panels.base import Cell, Panel, Snapshot, without_widgets
from hanami_jupyter.panels.datasets import Datasets
from hanami_jupyter.panels.feed import feed_of
from hanami_jupyter.panels.lists import Checkpoints, Clusters, Hosts, Log, Projects, Users
from hanami_jupyter.panels.login import Login
from hanami_jupyter.panels.machine import Machine
from hanami_jupyter.panels.results import Results
from hanami_jupyter.panels.task_progress import TaskProgress
from hanami_jupyter.panels.template_editor import TemplateEditor

if TYPE_CHECKING:
    from hanami_jupyter.session import Session

_ACCOUNT = "Account"


class Selection(traitlets.HasTraits):
    """What is selected in a dashboard, by uuid or id; ``""`` where nothing is.

    Observe it, or set it: the panels follow.

    Examples
    --------
    >>> Selection(cluster="5f3e").dataset
    ''
    """

    cluster = traitlets.Unicode()
    task = traitlets.Unicode()  # of that cluster
    dataset = traitlets.Unicode()
    checkpoint = traitlets.Unicode()
    host = traitlets.Unicode()
    user = traitlets.Unicode()
    project = traitlets.Unicode()

    def clear(self) -> None:
        """Select nothing."""
        for name in self.trait_names():
            setattr(self, name, "")


class Dashboard(ipywidgets.VBox):  # type: ignore[misc,unused-ignore]
    """Show everything a server has under tabs: clusters, datasets, tasks, results, hosts, logs, and more.

    What is selected under one tab is selected under the others. A panel that is not shown neither asks the
    server nor sends anything. Users, projects and errors are there for admins alone; an account, where a
    login is given.

    Parameters
    ----------
    session : Session or Login
        The connection to the server; of a login, whoever is signed in is followed.

    Examples
    --------
    >>> board = hanami_jupyter.Dashboard(session)  # doctest: +SKIP
    >>> board.selection.cluster  # doctest: +SKIP
    '0c5b4f4e-6d52-4ac5-a7a5-3e4b2a0f6d11'
    """

    def __init__(self, session: Session | Login) -> None:
        self._owner = session
        self._feed = feed_of(session)
        self._lock = threading.RLock()
        self._closed = False
        self._who: tuple[object, ...] = ()
        self._panels: dict[str, list[Panel]] = {}
        self._visited = ""  # the tab that was shown last
        self._waiting = False  # whether what is selected is to be handed on
        self._detail = ("", "")  # what is open below the clusters, and of which
        self.selection = Selection()
        self._tabs = ipywidgets.Tab()
        super().__init__([self._tabs])
        self.add_class("hanami-dashboard")
        self._cell = Cell(self)
        self._build()
        self.selection.observe(self._selection_changed)
        if isinstance(session, Login):
            self._who = self._account()
            session.observe(self._account_changed, "signed_in")

    def _soon(self, function: Callable[[], None]) -> None:
        """Run a function on the feed's thread: whoever changes a trait may hold a panel's lock."""

        def run() -> None:
            with self._lock:
                if not self._closed:
                    function()

        self._feed.call(run)

    # -- tabs

    @property
    def session(self) -> Session:
        """The session that the panels work with; of a login, the one of whoever is signed in now."""
        return self._owner.session if isinstance(self._owner, Login) else self._owner

    @property
    def shown(self) -> str:
        """The name of the tab that is shown; set it to show another."""
        titles, index = self._tabs.titles, self._tabs.selected_index
        return str(titles[index]) if index is not None and index < len(titles) else ""

    @shown.setter
    def shown(self, title: str) -> None:
        if title not in self._tabs.titles:
            message = f"There is no tab '{title}'. There are {', '.join(self._tabs.titles)}."
            raise ValueError(message)
        self._tabs.selected_index = self._tabs.titles.index(title)

    def _makers(self) -> dict[str, Callable[[], Sequence[Panel]]]:
        """Return what each tab shows for who is signed in."""
        makers: dict[str, Callable[[], Sequence[Panel]]] = {}
        owner, account = self._owner, isinstance(self._owner, Login)
        if not account or self._owner.signed_in:  # type: ignore[union-attr,unused-ignore]
            makers = {
                "Clusters": lambda: [Clusters(owner, self._open)],
                "Datasets": lambda: [Datasets(owner)],
                "Tasks": self._tasks,
                "Checkpoints": lambda: [Checkpoints(owner)],
                "Results": lambda: [Results(owner, self._compare)],
                "Hosts": lambda: [Hosts(owner)],
            }
            if self.session.is_admin:
                makers["Users and projects"] = lambda: [Users(owner), Projects(owner)]
                makers["Logs"] = lambda: [Log(owner, "audit"), Log(owner, "error")]
            else:
                makers["Logs"] = lambda: [Log(owner, "audit")]
            makers["Machine"] = lambda: [Machine(owner)]
        if isinstance(owner, Login):
            makers[_ACCOUNT] = lambda: [owner]
        return makers

    def _build(self) -> None:
        """Make the tabs anew, empty; what is shown of them is made when it is first looked at."""
        before, titles = self.shown, tuple(self._makers())
        self._close_panels()
        if titles == self._tabs.titles:
            for title, box in zip(titles, self._tabs.children, strict=True):
                if title != _ACCOUNT:
                    box.children = ()
        else:  # in their place: a slow front end mixes up tabs of which some come while others go
            old, boxes = self._tabs, [ipywidgets.VBox() for _ in titles]
            index = titles.index(before) if before in titles else 0
            self._tabs = ipywidgets.Tab(boxes, titles=titles, selected_index=index)
            self._tabs.observe(self._tab_changed, "selected_index")
            self.children = [self._tabs]
            _close(*old.children, old)
        self._visit()

    def _tab_changed(self, _: object) -> None:
        self._soon(self._visit)

    def _visit(self) -> None:
        """Let the panels of the tab that is shown work, and all others rest."""
        if self._tabs.selected_index is None:  # no person can do that, but a front end that gets other tabs
            self._tabs.selected_index = self._tabs.titles.index(self._visited)
        title = self._visited = self.shown
        for other, panels in self._panels.items():
            for panel in panels:
                if other != title and panel is not self._owner:
                    panel.rest()
        if title and title not in self._panels:
            with self._cell.adopt():
                self._panels[title] = list(self._makers()[title]())
            self._connect(self._panels[title])
            self._place(title)
        self._hand_on()
        for panel in self._panels.get(title, ()):
            panel.resume()

    def _place(self, title: str) -> None:
        self._tabs.children[self._tabs.titles.index(title)].children = self._panels[title]

    # -- one selection

    def _connect(self, panels: Sequence[Panel]) -> None:
        """Make the selection of lists the one of all."""
        for panel in panels:
            if panel.selects:
                panel.observe(self._row_selected, "selected")

    def _row_selected(self, change: dict[str, Any]) -> None:
        """Select a row, and what belongs to it, everywhere."""
        panel, key, chosen = change["owner"], change["new"], self.selection
        if key == getattr(chosen, panel.selects):
            return  # it was handed on to the panel
        values = panel.implies(key)
        if values.get("cluster", chosen.cluster) != chosen.cluster:
            values = {"task": "", **values}  # the one before is of the cluster before
        with chosen.hold_trait_notifications():
            for name, value in values.items():
                setattr(chosen, name, value)

    def _selection_changed(self, _: object) -> None:
        """Hand on what is selected, once for all changes that come before."""
        if not self._waiting:
            self._waiting = True
            self._soon(self._follow_selection)

    def _follow_selection(self) -> None:
        self._waiting = False
        self._hand_on()

    def _hand_on(self) -> None:
        """Tell the panels that are shown what is selected."""
        chosen = self.selection
        kind, uuid = self._detail
        if self.shown == "Clusters" and kind in {"picture", "tasks"} and uuid != chosen.cluster:
            if chosen.cluster:
                self._open(kind, chosen.cluster)
            else:
                self._below("Clusters")
        if self.shown == "Tasks":
            cluster = self._panels["Tasks"][0].cluster_uuid
            if cluster != (chosen.cluster or None) and (cluster or not chosen.task):  # all stay around one
                self._below("Tasks", *self._tasks(), keep=0)
        for panel in self._panels.get(self.shown, []):
            if panel.selects:
                panel.write(selected=getattr(chosen, panel.selects))
            panel.follow(chosen.trait_values())

    # -- panels that others open

    def _tasks(self) -> list[Panel]:
        """Return the tasks of the selected cluster, or of all."""
        with self._cell.adopt():
            panel = TaskProgress(self._owner, self.selection.cluster or None)
        panel.selectable = True
        return [panel]

    def _open(self, kind: str, cluster: str) -> None:
        """Show the editor, the picture or the tasks of a cluster below the list."""
        with self._cell.adopt():
            if kind == "tasks":
                panel: Panel = TaskProgress(self._owner, cluster)
            elif kind == "picture":
                panel = TemplateEditor.of_cluster(self._owner, cluster)
            else:
                panel = TemplateEditor(session=self._owner)
        if isinstance(panel, TemplateEditor):
            panel.observe(self._created, "created")
        self._detail = (kind, cluster)
        self._below("Clusters", panel)

    def _created(self, change: dict[str, Any]) -> None:
        """Select the cluster that the editor made."""
        uuid = str(change["owner"].cluster["uuid"])

        def select() -> None:
            self._detail = ("new", "")  # the editor stays, whatever is selected
            self._panels["Clusters"][0].turn()
            self.selection.cluster = uuid

        self._soon(select)

    def _compare(self, make: Callable[[], Panel]) -> None:
        """Show how right a result is, below the results."""
        with self._cell.adopt():
            self._below("Results", make())

    def _below(self, title: str, *panels: Panel, keep: int = 1) -> None:
        """Show other panels under a tab, below those that stay."""
        with self._lock:
            old, stay = self._panels.get(title, [])[keep:], self._panels.get(title, [])[:keep]
            for panel in [*old, *(panels if self._closed else ())]:
                panel.close()
            if not self._closed:
                self._panels[title] = [*stay, *panels]
                self._connect(panels)
                self._place(title)

    # -- whoever is signed in

    def _account(self) -> tuple[object, ...]:
        """Return what of an account decides what is shown."""
        signed = self._owner.signed_in if isinstance(self._owner, Login) else {}
        return tuple(signed.get(name) for name in ("address", "user", "admin", "project"))

    def _account_changed(self, _: object) -> None:
        self._soon(self._follow_account)

    def _follow_account(self) -> None:
        who = self._account()
        if who != self._who:
            self._who = who
            self.selection.clear()
            self._build()

    # -- the end, and how it looks without widgets

    def refresh(self) -> None:
        """Bring what is shown up to date, soon and without blocking."""
        for panel in self._panels.get(self.shown, ()):
            panel.refresh()

    def _close_panels(self) -> None:
        """Close what the tabs show; the login is not ours to close."""
        for panels in self._panels.values():
            for panel in panels:
                if panel is not self._owner:
                    panel.close()
        self._panels, self._detail = {}, ("", "")

    def close(self) -> None:
        """Close every panel and remove every view; a second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self.selection.unobserve_all()
            if isinstance(self._owner, Login):
                self._owner.unobserve(self._account_changed, "signed_in")
            self._cell.leave()
            self._close_panels()
            _close(*self._tabs.children, self._tabs)
            layout = self.layout
            super().close()
            layout.close()

    def __repr__(self) -> str:
        return "<hanami.Dashboard>"

    def _html(self) -> str:
        return "".join(panel._html() for panels in self._panels.values() for panel in panels)

    def snapshot(self) -> Snapshot:
        """Return what was looked at as a static picture, for a saved or exported notebook.

        Examples
        --------
        >>> board.snapshot()  # doctest: +SKIP
        <hanami.Dashboard snapshot>
        """
        panels = [panel for panels in self._panels.values() for panel in panels]
        return Snapshot("Dashboard", "".join(panel.snapshot()._repr_html_() for panel in panels))

    def _repr_html_(self) -> str:
        return self._html()

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        still = without_widgets(repr(self), self._html())
        live = super()._repr_mimebundle_(**kwargs)
        return still if live is None else {**live, **still}


def _close(*widgets: ipywidgets.Widget) -> None:
    """Close widgets with their layouts, which nobody else closes."""
    for widget in widgets:
        layout = widget.layout
        widget.close()
        layout.close()
