"""A list with what can be done to it: the panel behind clusters, hosts, users, projects and logs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import traitlets

from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.panels.recipes import step
from hanami_jupyter.panels.table import TablePanel
from hanami_jupyter.panels.transfers import Transfers

if TYPE_CHECKING:
    import pandas as pd

    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session


@dataclass(frozen=True)
class Field:
    """A field of a form.

    Attributes
    ----------
    name, label : str
        The value's name for Python, and what stands before the field.
    kind : str
        ``text``, ``password`` (sent as bytes, never written down), ``choice`` or ``flag``.
    value : str or bool
        What it begins with.
    choices : sequence of (str, str)
        Values and how they are shown, of a ``choice``.
    """

    name: str
    label: str
    kind: Literal["text", "password", "choice", "flag"] = "text"
    value: str | bool = ""
    choices: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Action:
    """What a button does: the method ``act_NAME(key, …)`` of its panel.

    Attributes
    ----------
    name, label : str
        The method, and the verb on the button.
    row : bool
        Whether it acts on the selected row; else on the list.
    form : bool
        Whether ``form_NAME(key)`` gives fields to be filled in first.
    question, keep : str
        What is asked before, with ``{column}`` for the row's values, and the button that does nothing.
    file : bool
        Whether a file is chosen in the browser first.
    """

    name: str
    label: str
    row: bool = True
    form: bool = False
    question: str = ""
    keep: str = "Keep"
    file: bool = False


class Resources(Transfers, TablePanel):
    """Show a list; do something with the selected row, or with the list.

    ``selected`` is the key of the selected row, or ``""``; ``said`` is what the last action came to.

    Parameters
    ----------
    session : Session or Login
        The connection to the server; of a login, whoever is signed in is followed.
    """

    bundle_name: ClassVar[str] = "resources"
    actions: ClassVar[Sequence[Action]] = ()
    many: ClassVar[str]
    empty: ClassVar[str]
    source: ClassVar[tuple[str, Sequence[str]]]  # the call that gives the list, and the command
    detailed: ClassVar[bool] = False
    plotted: ClassVar[bool] = False  # whether do_plot gives curves of the selected row
    offered: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    words: traitlets.Dict[str, str | bool] = traitlets.Dict().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)

    def __init__(self, session: Session | Login, **traits: Any) -> None:
        words = {"many": self.many, "empty": self.empty, "detailed": self.detailed, "plotted": self.plotted}
        traits.setdefault("title", self.many.capitalize())
        super().__init__(session, offered=offers(self.actions), words=words, **traits)

    # -- what a list brings

    def read(self) -> pd.DataFrame | Iterable[Mapping[str, Any]]:
        """Return the list as the server has it now; empty by default."""
        return ()

    def about(self, _: str, /) -> Mapping[str, object]:
        """Return more about a row than the list shows, by its headings; nothing by default."""
        return {}

    # -- reading and doing

    def update(self) -> float | None:
        """Read the list once; what cells and actions may have changed is read after them."""
        self.show(self.read())
        if not self.recipe:
            function, words = self.source
            self.did(step(function, words=words))
        return None

    def do_about(self, key: str) -> list[tuple[str, str]]:
        """Return more about the selected row, as pairs of heading and text."""
        return [(name, str(value)) for name, value in self.about(key).items()]

    def _action(self, name: str, kind: str) -> Callable[..., Any]:
        if not any(action.name == name for action in self.actions):
            message = f"This panel knows no action '{name}'. Reload the page."
            raise PanelError(message)
        found: Callable[..., Any] = getattr(self, f"{kind}_{name}")
        return found

    def do_form(self, action: str, key: str) -> list[dict[str, Any]]:
        """Return the fields to be filled in before an action."""
        return [asdict(field) for field in self._action(action, "form")(key)]

    def do_act(
        self, action: str, key: str, values: dict[str, Any] | None = None, attached: bytes = b""
    ) -> dict[str, Any]:
        """Do an action; return a file to fetch, or nothing."""
        more = {"password": attached.decode()} if attached else {}
        try:
            answer = self._action(action, "act")(key, **(values or {}), **more)
        finally:
            del attached, more  # may hold a password
        self.show(self.read())
        return answer or {}


def offers(actions: Sequence[Action], *without: str) -> list[dict[str, Any]]:
    """Return actions as the front end takes them."""
    return [asdict(action) for action in actions if action.name not in without]
