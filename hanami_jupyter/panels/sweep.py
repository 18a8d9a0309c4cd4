"""The panel of a sweep: a row for each network, with its template, how far it is and how good."""

from __future__ import annotations

import html
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets
from IPython.display import display

from hanami_jupyter.panels.base import Panel, card
from hanami_jupyter.panels.template_editor import drawing

if TYPE_CHECKING:
    from hanami_jupyter.protocol.template import Template
    from hanami_jupyter.sweeps import Network

_SHOWN = 100  # rows; the others are counted
_ORDER = ("training", "finished", "waiting", "failed", "stopped")
_ICONS = {"training": "▸", "finished": "✓", "waiting": "…", "failed": "!", "stopped": "◼"}
_MINI = 26.0  # height of a template's drawing in the static picture, in pixels


class SweepProgress(Panel):
    """Show the networks of a sweep while they train: what runs first, then the best.

    ``session.sweep`` shows one by itself. Make your own where it is to stand in another cell, to compose it
    with widgets, or to keep its last state with ``snapshot()``.

    Examples
    --------
    >>> panel = hanami_jupyter.SweepProgress()  # doctest: +SKIP
    >>> session.sweep(templates, train, test, progress=panel)  # doctest: +SKIP
    """

    bundle_name: ClassVar[str] = "sweep"
    title = traitlets.Unicode("Sweep").tag(sync=True)
    rows: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    counts: traitlets.Dict[str, int] = traitlets.Dict().tag(sync=True)
    best = traitlets.Unicode().tag(sync=True)
    # hexagons of each template by its name: x, y, z and the kind; apart from the rows, as they do not change
    drawings: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def __init__(self) -> None:
        self._networks: Sequence[Network] = ()
        super().__init__()

    def __call__(self, networks: Sequence[Network]) -> None:
        """Take the networks as they are now; a sweep calls this."""
        self._networks = networks
        self.refresh()

    def update(self) -> None:
        """Write what the networks are at; the sweep's next call gives the next turn."""
        order = sorted(self._networks, key=_place)
        shown = order[:_SHOWN]
        templates = {network.name: network.template for network in shown if network.template}
        self.write(
            rows=[_row(network) for network in shown],
            counts=dict(Counter(network.state for network in self._networks)),
            best=_best(self._networks),
            drawings={name: _hexagons(template) for name, template in templates.items()},
        )

    # -- the static picture

    def picture(self) -> str:
        """Return the networks as a table."""
        with card(self.title, self._summary(), self.notice) as pieces:
            if not self.rows:
                pieces.append('<p class="hanami-quiet">The networks will be here.</p>')
                return "".join(pieces)
            heads = "".join(f"<th>{name}</th>" for name in ("network", "", "right", "synapses", "time"))
            pieces.append(f'<table class="hanami-sweep"><thead><tr>{heads}</tr></thead><tbody>')
            drawn = {network.name: network.template for network in self._networks if network.template}
            pieces.extend(_line(row, drawn.get(row["template"])) for row in self.rows)
            pieces.append("</tbody></table>")
            if more := sum(self.counts.values()) - len(self.rows):
                pieces.append(f'<p class="hanami-quiet">{more:,} more are not shown.</p>')
        return "".join(pieces)

    def _summary(self) -> str:
        if not self.rows:
            return "○ no networks yet"
        total, done = sum(self.counts.values()), self.counts.get("finished", 0)
        words = [f"{done:,} of {total:,} finished", self.best]
        words += [
            f"{self.counts[state]:,} {state}" for state in ("failed", "stopped") if state in self.counts
        ]
        return ", ".join(filter(None, words))


def shown() -> SweepProgress:
    """Show a panel below the cell that runs, and return it."""
    panel = SweepProgress()
    display(panel)
    return panel


def _place(network: Network) -> tuple[int, float]:
    """Return what rows are sorted by: what runs, then the best of what is finished, then the others."""
    return _ORDER.index(network.state), 0.0 if math.isnan(network.accuracy) else -network.accuracy


def _best(networks: Sequence[Network]) -> str:
    tested = [network.accuracy for network in networks if network.accuracy == network.accuracy]
    return f"best {max(tested):.1f} %" if tested else ""


def _row(network: Network) -> dict[str, Any]:
    return {
        "id": network.mark,
        "name": network.label,
        "template": network.name,
        "state": network.state,
        "epoch": network.epoch,
        "epochs": network.epochs,
        "share": round(network.share, 3),
        "accuracy": None if math.isnan(network.accuracy) else round(network.accuracy, 2),
        "synapses": network.sizes.get("synapses"),
        "seconds": round(network.seconds, 1) if network.seconds else None,
        "reason": network.reason,
    }


def _hexagons(template: Template) -> list[list[Any]]:
    kinds = dict.fromkeys(template.inputs.values(), "input") | dict.fromkeys(
        template.outputs.values(), "output"
    )
    return [[*place, kinds.get(place, "inner")] for place in template.hexagons]


def _line(row: dict[str, Any], template: Template | None) -> str:
    """Return a row of the static table."""
    picture = drawing(template, height=_MINI) if template else ""
    state = row["state"]
    if state == "failed":
        cells = f'<td colspan="4">{_ICONS[state]} {html.escape(row["reason"])}</td>'
    else:
        share = f" {100 * row['share']:.0f} %" if state in {"training", "stopped"} else ""
        right = "" if row["accuracy"] is None else f"{row['accuracy']:.1f} %"
        synapses = "" if row["synapses"] is None else f"{row['synapses']:,}"
        time = "" if row["seconds"] is None else f"{row['seconds']:.1f} s"
        words = (f"{_ICONS[state]} {state}{share}", right, synapses, time)
        cells = "".join(f"<td>{word}</td>" for word in words)
    return f"<tr><th>{picture}<span>{html.escape(row['name'])}</span></th>{cells}</tr>"
