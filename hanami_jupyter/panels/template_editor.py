"""The editor of cluster templates: text and hexagon grid side by side, one document."""

from __future__ import annotations

import html
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels.base import Panel, PanelError, card
from hanami_jupyter.panels.recipes import step
from hanami_jupyter.panels.task_progress import LIVE
from hanami_jupyter.protocol import template as grammar

if TYPE_CHECKING:
    import pandas as pd

    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session

PRESETS: dict[str, str] = json.loads((Path(__file__).parent / "presets.json").read_text(encoding="utf-8"))
MEASURES = ("blocks", "sections", "synapses")
_FOLLOW = 1.0  # seconds between looks at a cluster that trains
_RADIUS, _STEP = 14.0, 28.0


class TemplateEditor(Panel):
    """Draw and write a cluster template; text and picture are two sides of it.

    Parameters
    ----------
    template : str or Template, optional
        What to begin with: a text, a parsed template, or the name of a preset (``"three in a row"``,
        ``"wide"``, ``"deep"``, ``"three layers"``).
    session : Session or Login, optional
        Where clusters are created.

    Examples
    --------
    >>> editor = hanami_jupyter.TemplateEditor("wide", session=session)  # doctest: +SKIP
    >>> editor.template.hexagons  # doctest: +SKIP
    ((1, 2, 1), (2, 1, 1), (2, 2, 1), (2, 3, 1), (3, 2, 1))
    """

    bundle_name: ClassVar[str] = "template_editor"
    title = traitlets.Unicode("Template").tag(sync=True)
    text = traitlets.Unicode().tag(sync=True)
    connected = traitlets.Bool().tag(sync=True)
    created = traitlets.Unicode().tag(sync=True)
    grown: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    tint = traitlets.Enum(["", *MEASURES], "").tag(sync=True)

    def __init__(
        self,
        template: str | grammar.Template = "three in a row",
        *,
        session: Session | Login | None = None,
    ) -> None:
        self._cluster: pd.Series[Any] | None = None
        self._followed: str | None = None
        self._ended = -1
        text = template if isinstance(template, str) else template.text or template.canonical()
        super().__init__(session, text=PRESETS.get(text, text), connected=session is not None)

    @classmethod
    def of_cluster(cls, session: Session | Login, cluster_uuid: str) -> TemplateEditor:
        """Open the template of an existing cluster.

        Parameters
        ----------
        session : Session or Login
            The connection to the server.
        cluster_uuid : str
            The cluster.

        Returns
        -------
        TemplateEditor
            The editor; what is created in it is a new cluster. It can be tinted by what grew in this one.

        Raises
        ------
        PanelError
            If the server does not tell a cluster's template.

        Examples
        --------
        >>> hanami_jupyter.TemplateEditor.of_cluster(session, cluster["uuid"])  # doctest: +SKIP
        """
        text = getattr(session, "session", session).cluster.get_cluster(cluster_uuid).get("template")
        if not isinstance(text, str) or not text:
            message = (
                f"The server does not tell the template of cluster '{cluster_uuid}'. Open its file instead."
            )
            raise PanelError(message)
        editor = cls(text, session=session)
        editor._followed = str(cluster_uuid)
        editor.refresh()
        return editor

    @property
    def template(self) -> grammar.Template:
        """The parsed template; raises TemplateError with every problem while there is one."""
        return grammar.parse(self.text)

    @property
    def cluster(self) -> pd.Series[Any]:
        """The cluster that was created last."""
        if self._cluster is None:
            message = "No cluster was created yet. Press 'Create cluster' first."
            raise PanelError(message)
        return self._cluster

    def update(self) -> float | None:
        """Read what grew in the cluster; anew whenever one of its tasks ends."""
        if self._followed is None:
            self.write(grown=[])
            return None
        try:
            states = self.session.task.list_tasks(self._followed)["state"]
            ended, live = int((~states.isin(LIVE)).sum()), bool(states.isin(LIVE).any())
            if not live or ended != self._ended:
                rows = self.session.cluster.get_cluster(self._followed).get("hexagons")
                self.write(grown=[_grown(row) for row in rows] if isinstance(rows, list) else [])
        except exceptions.NotFoundException:  # somebody deleted it
            self._followed = None
            self.write(grown=[])
            return None
        self._ended = ended
        return _FOLLOW if live or self.cell_running else None

    # -- commands

    def do_create(self, name: str, text: str) -> None:
        """Create a cluster from the text as it stands in the browser."""
        if self.session is None:
            message = "The editor has no session. Make it with TemplateEditor(session=…)."
            raise PanelError(message)
        grammar.parse(text)
        name = name.strip()
        self._cluster = self.session.cluster.create_cluster(name, text)
        words = ("cluster", "create", name, "-t", "/dev/stdin")
        self.did(step("cluster.create_cluster", name, text, words=words, feed=text))
        self.write(created=f"Cluster '{name}' was created.")

    def do_save(self, name: str, text: str) -> str:
        """Write the text into the notebook's folder; a file that is there is left alone."""
        stem = "".join(letter if letter.isalnum() or letter in "-_ " else "_" for letter in name.strip())
        path = Path(f"{stem or 'template'}.hanami")
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            message = f"There is a file '{path}' already. Choose another name, or remove it first."
            raise PanelError(message) from None
        return str(path)

    # -- the static picture

    def picture(self) -> str:
        """Return the hexagons as a drawing, and the text."""
        try:
            template = self.template
            pill, picture = "valid", drawing(template)
        except grammar.TemplateError as error:
            count = len(error.problems)
            pill, picture = f"{count} problem{'s' if count > 1 else ''}", ""
        with card(self.title, pill, self.notice) as pieces:
            pieces.append(f"{picture}<pre>{html.escape(self.text)}</pre>")
            if self.grown:
                pieces.append(_table(self.grown))
        return "".join(pieces)


def _grown(row: dict[str, Any]) -> dict[str, Any]:
    """Return what grew in a hexagon, as the front end takes it."""
    return {"place": ",".join(map(str, row["position"]))} | {
        measure: int(row[f"number_of_{measure}"]) for measure in MEASURES
    }


def _table(grown: list[dict[str, Any]]) -> str:
    """Return what grew as a table."""
    heads = "".join(f"<th>{measure}</th>" for measure in MEASURES)
    rows = "".join(
        f"<tr><th>{row['place']}</th>{''.join(f'<td>{row[measure]:,}</td>' for measure in MEASURES)}</tr>"
        for row in grown
    )
    return f'<table class="hanami-still"><tbody><tr><th>hexagon</th>{heads}</tr>{rows}</tbody></table>'


def drawing(template: grammar.Template, *, height: float | None = None) -> str:
    """Return an SVG of all layers side by side; with a height in pixels a small one, without names."""
    ends = {place: ("input", name) for name, place in template.inputs.items()}
    ends |= {place: ("output", name) for name, place in template.outputs.items()}
    layers = sorted({z for _, _, z in template.hexagons})
    columns = [x for x, _, _ in template.hexagons]
    rows = [y for _, y, _ in template.hexagons]
    wide = (max(columns) - min(columns) + 2.5) * _STEP
    tall = (max(rows) - min(rows)) * _STEP * 0.87 + 2.4 * _STEP
    shapes = []
    for x, y, z in template.hexagons:
        left = (x - min(columns) + 0.5 * (y % 2) + 0.8) * _STEP + layers.index(z) * wide
        top = (y - min(rows)) * _STEP * 0.87 + 0.8 * _STEP
        kind, name = ends.get((x, y, z), ("inner", ""))
        label = f'<text y="{_RADIUS + 11:.0f}">{html.escape(name)}</text>' if name and height is None else ""
        shapes.append(
            f'<g class="hanami-hexagon hanami-{kind}" transform="translate({left:.1f} {top:.1f})">'
            f'<polygon points="{_CORNERS}"/>{label}</g>'
        )
    width, scale = wide * len(layers), 1.0 if height is None else height / tall
    return (
        f'<svg viewBox="0 0 {width:.0f} {tall:.0f}" width="{width * scale:.0f}" '
        f'height="{tall * scale:.0f}" role="img" '
        f'aria-label="{len(template.hexagons)} hexagons" style="max-width:100%">{"".join(shapes)}</svg>'
    )


_ANGLES = [math.pi / 3 * corner + math.pi / 6 for corner in range(6)]
_CORNERS = " ".join(f"{_RADIUS * math.cos(angle):.1f},{_RADIUS * math.sin(angle):.1f}" for angle in _ANGLES)
