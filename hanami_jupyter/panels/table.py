"""Lists in panels: the whole list stays in the kernel, each view asks for the page that it shows."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pandas as pd
import traitlets

from hanami_jupyter.panels.base import Panel, PanelError, card

Kind = Literal["text", "number", "time", "uuid", "flag"]
MAX_PAGE = 200  # rows of one answer
_STILL = 10  # rows of the static picture


@dataclass(frozen=True)
class Column:
    """A column of a list.

    Attributes
    ----------
    name : str
        Its name in the DataFrame.
    label : str
        Its heading.
    kind : str
        ``text``, ``number``, ``time``, ``uuid`` or ``flag``: how it is written, sorted and aligned.
    """

    name: str
    label: str
    kind: Kind = "text"


class Rows:
    """A list of which one page at a time is asked for; the page is sorted and filtered as its view wants.

    Parameters
    ----------
    columns : sequence of Column
        What is shown, from left to right.
    key : str
        The column that tells the rows apart; without one they go by their number.

    Examples
    --------
    >>> users = Rows([Column("id", "User"), Column("age", "Age", "number")], key="id")
    >>> users.set([{"id": "fern", "age": 9}, {"id": "oak", "age": 70}])
    True
    >>> users.page(sort="age", descending=True, limit=1)["rows"]
    [{'id': 'oak', 'age': 70}]
    """

    def __init__(self, columns: Sequence[Column], key: str = "uuid") -> None:
        self.columns = tuple(columns)
        self._key = key
        self._frame: pd.DataFrame | None = None
        # replaced as a whole: the feed writes while a view's question is answered on another thread
        self._held: tuple[list[str], list[dict[str, Any]], list[str]] = ([], [], [])

    def __len__(self) -> int:
        return len(self._held[0])

    def __contains__(self, key: str) -> bool:
        return key in self._held[0]

    def __getitem__(self, key: str) -> dict[str, Any]:
        keys, rows, _ = self._held
        try:
            return rows[keys.index(key)]
        except ValueError:
            message = f"'{key}' is not in the list any more."
            raise PanelError(message) from None

    def set(self, data: pd.DataFrame | Iterable[Mapping[str, Any]]) -> bool:
        """Take a new list; return whether it differs from the last one."""
        frame = data if isinstance(data, pd.DataFrame) else pd.DataFrame(list(data), dtype=object)
        if self._frame is not None and frame.equals(self._frame):
            return False
        self._frame = frame
        blank = pd.Series([None] * len(frame), dtype=object)
        values = [_plain(column.kind, frame.get(column.name, blank)) for column in self.columns]
        names = [column.name for column in self.columns]
        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
        keys = [str(key) for key in (frame[self._key] if self._key in frame else range(len(frame)))]
        read = [name for column, name in zip(self.columns, names, strict=True) if column.kind != "time"]
        texts = [" ".join(str(row[name]) for name in read if row[name] is not None).lower() for row in rows]
        self._held = (keys, rows, texts)
        return True

    def page(
        self,
        *,
        offset: int = 0,
        limit: int = _STILL,
        sort: str = "",
        descending: bool = False,
        search: str = "",
        key: str = "",
        jump: bool = False,
    ) -> dict[str, Any]:
        """Return one page.

        Parameters
        ----------
        offset, limit : int
            The first row and how many; an offset behind the end gives the last page.
        sort : str
            Column to sort by; by default the order of the list. Missing values come last.
        descending : bool
            Whether the greatest comes first.
        search : str
            Words that all have to occur in a row, in any case.
        key : str
            The selected row, which is answered too, wherever it stands.
        jump : bool
            Whether to give the page on which that row stands.

        Returns
        -------
        dict
            ``columns``, ``offset``, ``total`` (rows that match), ``keys``, ``rows``, and ``selected`` (a row,
            or None).
        """
        keys, rows, texts = self._held
        words = search.lower().split()
        order = [place for place, text in enumerate(texts) if all(word in text for word in words)]
        if sort:
            order = _sorted(order, rows, sort, descending=descending)
        limit = min(max(limit, 1), MAX_PAGE)
        place = keys.index(key) if key in keys else None
        if jump and place in order:
            offset = order.index(place)
        last = max(0, len(order) - 1)
        offset = min(max(offset, 0), last) // limit * limit
        shown = order[offset : offset + limit]
        return {
            "columns": [vars(column) for column in self.columns],
            "offset": offset,
            "total": len(order),
            "keys": [keys[place] for place in shown],
            "rows": [rows[place] for place in shown],
            "selected": None if place is None else rows[place],
        }

    def picture(self, limit: int = _STILL) -> str:
        """Return the first rows as a table that needs no kernel."""
        page = self.page(limit=limit)
        if not page["rows"]:
            return ""
        head = "".join(f'<th scope="col">{html.escape(column.label)}</th>' for column in self.columns)
        body = "".join(
            "<tr>" + "".join(_cell(column, row[column.name]) for column in self.columns) + "</tr>"
            for row in page["rows"]
        )
        more = page["total"] - len(page["rows"])
        rest = f'<p class="hanami-quiet">{more:,} more are not shown.</p>' if more else ""
        return (
            f'<div class="hanami-scroll"><table class="hanami-table"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>{rest}"
        )


def _plain(kind: Kind, values: pd.Series[Any]) -> list[Any]:
    """Return a column as JSON knows it: times in milliseconds since 1970, None for what is missing."""
    plain: list[Any]
    if kind == "time":
        values = pd.to_datetime(values, utc=True, errors="coerce").dt.as_unit("ms")
        plain = values.astype("int64").to_list()
    elif kind == "number":
        plain = [value if isinstance(value, int) else _number(value) for value in values.to_list()]
    else:
        plain = [bool(value) if kind == "flag" else str(value) for value in values.fillna("").to_list()]
    return [None if none else value for value, none in zip(plain, values.isna(), strict=True)]


def _number(value: Any) -> float | int | None:
    number = math.nan if pd.isna(value) else float(value)
    if not math.isfinite(number):
        return None
    return int(number) if number.is_integer() else number


def _sorted(order: list[int], rows: list[dict[str, Any]], sort: str, *, descending: bool) -> list[int]:
    """Return places sorted by a column, equal ones in the order of the list, missing ones last."""
    values = {place: rows[place].get(sort) for place in order}
    known = [place for place in order if values[place] is not None]
    text = any(isinstance(values[place], str) for place in known)
    known.sort(
        key=lambda place: str(values[place]).lower() if text else values[place],  # type: ignore[return-value, arg-type]
        reverse=descending,
    )
    return [*known, *(place for place in order if values[place] is None)]


def _cell(column: Column, value: Any) -> str:
    """Return a cell of the static picture."""
    if value is None:
        return "<td></td>"
    if column.kind == "number":
        return f'<td class="hanami-number">{value:,}</td>'
    if column.kind == "time":
        return f"<td>{pd.Timestamp(value, unit='ms'):%Y-%m-%d %H:%M} UTC</td>"
    if column.kind == "uuid":
        return f'<td title="{html.escape(value)}"><code>{html.escape(value[:8])}</code></td>'
    if column.kind == "flag":
        return f"<td>{'yes' if value else 'no'}</td>"
    return f"<td>{html.escape(value)}</td>"


class TablePanel(Panel):
    """A panel around a list: its length and version are traits, its pages are asked for.

    ``selected`` is the key of the selected row, or ``""``: link it (``traitlets.link``) to select the same
    row elsewhere, observe it to do something with it. A row that leaves the list is selected no longer.
    """

    prompt = frozenset({"rows"})
    columns: ClassVar[Sequence[Column]]
    key: ClassVar[str] = "uuid"
    # {"version", "total"}: the version counts the lists seen so far, the total is None before the first
    listing: traitlets.Dict[str, int | None] = traitlets.Dict({"version": 0, "total": None}).tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)

    def __init__(self, owner: object = None, **traits: Any) -> None:
        self.rows = Rows(self.columns, self.key)
        self._version = 0
        super().__init__(owner, **traits)

    def show(self, data: pd.DataFrame | Iterable[Mapping[str, Any]], **traits: object) -> None:
        """Take a list as the server has it now, and write further traits with it."""
        held = self.selected in self.rows
        if self.rows.set(data):
            self._version += 1
            traits["listing"] = {"version": self._version, "total": len(self.rows)}
            if held and self.selected not in self.rows:
                traits["selected"] = ""
        self.write(**traits)

    def do_rows(self, **view: Any) -> dict[str, Any]:
        """Return the page that a view shows; see ``Rows.page``."""
        return self.rows.page(**view)

    def picture(self) -> str:
        """Return the first rows as a table."""
        total = self.listing["total"]
        pill = f"{total:,}" if total is not None else "unknown" if self.notice else "looking…"
        with card(self.title, pill, self.notice) as pieces:
            pieces.append(self.rows.picture())
        return "".join(pieces)


def choices(table: pd.DataFrame, first: str = "") -> list[tuple[str, str]]:
    """Return uuids and names to choose from, the latest first, and before them the one that is meant."""
    pairs = [(str(uuid), str(name)) for uuid, name in zip(table["uuid"], table["name"], strict=True)][::-1]
    return sorted(pairs, key=lambda pair: pair[0] != first)
