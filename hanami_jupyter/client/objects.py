"""Clusters, datasets, tasks and checkpoints: pandas Series that a notebook shows as cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from hanami_jupyter.client.cards import Tone, Uuid, card

if TYPE_CHECKING:
    _Series = pd.Series[Any]
else:
    _Series = pd.Series

_STATES: dict[str, tuple[str, Tone]] = {
    "queued": ("… queued", "quiet"),
    "active": ("▸ running", "accent"),
    "finished": ("✓ finished", "good"),
    "aborted": ("◼ aborted", "warn"),
}


def _count(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


class _Object(_Series):
    """A Series with a card for notebooks and one line for terminals; ``print`` shows it whole.

    What is taken out of it (``cluster[["name", "mode"]]``), changed or copied is a plain Series.
    """

    @property
    def _constructor(self) -> Any:
        return pd.Series

    def _has(self, name: str) -> Any:
        """Return a value, None for one that is missing or not told."""
        value = self.get(name)
        if isinstance(value, (dict, list)):
            return value
        return None if value is None or pd.isna(value) else value

    def _listed(self, name: str) -> dict[str, Any] | list[Any]:
        """Return a value that is a list or a mapping, an empty one for any other."""
        value = self._has(name)
        return value if isinstance(value, (dict, list)) else []

    def _uuid(self, name: str = "uuid") -> Uuid | None:
        value = self._has(name)
        return None if value is None else Uuid(str(value))

    def _common(self) -> dict[str, object]:
        owner, project = self._has("owner_id"), self._has("project_id")
        told = owner and (f"{owner}, project {project}" if project else owner)
        return {"Owner": told, "Created": self._has("created_at"), "Uuid": self._uuid()}

    def _pill(self) -> tuple[str, Tone]:
        return "", "quiet"

    def _facts(self) -> dict[str, object]:
        """Return what the card tells beyond name, owner, time and uuid."""
        return {}

    def _short(self) -> list[str]:
        """Return what the one line tells beyond name and uuid."""
        return []

    def _repr_html_(self) -> str:
        pill, tone = self._pill()
        return card(f"{type(self).__name__} {self.name}", pill, self._facts() | self._common(), tone)

    def __repr__(self) -> str:
        uuid = self._uuid()
        about = ", ".join([*([uuid.value] if uuid else []), *self._short()])
        return f"<{type(self).__name__} {str(self.name)!r} {about}>".replace("\n", " ")

    def __str__(self) -> str:
        return pd.Series.__repr__(self)


class Cluster(_Object):
    """A cluster as the server describes it."""

    def _pill(self) -> tuple[str, Tone]:
        mode = self._has("mode") or self._has("new_state")
        return (f"● {str(mode).lower()} mode", "good") if mode else super()._pill()

    def _ends(self) -> str | None:
        hexagons = self._has("hexagons")
        if not isinstance(hexagons, list):
            return None
        named = [f"{kind} {', '.join(map(str, self._listed(kind)))}" for kind in ("inputs", "outputs")]
        return f"{len(hexagons):,}: {'; '.join(named)}"

    def _facts(self) -> dict[str, object]:
        counts = {name.capitalize(): self._has(f"number_of_{name}") for name in ("neurons", "synapses")}
        return {"Hexagons": self._ends()} | counts | {"Host": self._uuid("host_uuid")}

    def _short(self) -> list[str]:
        neurons = self._has("number_of_neurons")
        if neurons is None:
            return []
        return [f"{len(self._listed('hexagons')):,} hexagons", f"{_count(neurons)} neurons"]


class Dataset(_Object):
    """A dataset as the server describes it."""

    def _pill(self) -> tuple[str, Tone]:
        rows = self._has("number_of_rows")
        return super()._pill() if rows is None else (f"{_count(rows)} rows", "quiet")

    def _widths(self) -> str:
        spans = self._has("description")
        try:
            order = sorted(spans.items(), key=lambda item: int(item[1]["column_start"]))
            widths = [f"{name} {span['column_end'] - span['column_start']:,}" for name, span in order]
        except (AttributeError, KeyError, TypeError, ValueError):  # another server's description
            return ""
        more = f" and {len(widths) - 8:,} more" if len(widths) > 8 else ""
        return ", ".join(widths[:8]) + more

    def _facts(self) -> dict[str, object]:
        return {"Columns": self._widths()}

    def _short(self) -> list[str]:
        rows = self._has("number_of_rows")
        return [] if rows is None else [f"{_count(rows)} rows"]


class Task(_Object):
    """A task as the server describes it."""

    def _pill(self) -> tuple[str, Tone]:
        state = str(self._has("state") or "")
        return _STATES.get(state, (state or "task", "quiet"))

    def _progress(self) -> str | None:
        done, total = self._has("current_cycle"), self._has("total_number_of_cycles")
        return None if done is None or total is None else f"{_count(done)} of {_count(total)} cycles"

    def _facts(self) -> dict[str, object]:
        rate, error = self._has("cycles_per_second"), self._has("error")
        return {
            "Progress": self._progress(),
            "Speed": f"{_count(rate)} cycles/s" if rate else None,
            "Error": error,
            "Queued": self._has("queue_timestamp"),
            "Started": self._has("start_timestamp"),
            "Ended": self._has("end_timestamp"),
        }

    def _short(self) -> list[str]:
        return [str(word) for word in (self._has("state"), self._progress()) if word]


class Checkpoint(_Object):
    """A checkpoint as the server describes it."""


KINDS: Mapping[str, type[_Object]] = {
    kind.__name__.lower(): kind for kind in (Cluster, Dataset, Task, Checkpoint)
}
