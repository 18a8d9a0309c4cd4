"""How answers look on a terminal: the ASCII tables of the reference document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TIME = "%Y-%m-%d %H:%M:%S"
NOT_YET = frozenset({"queue_timestamp", "start_timestamp", "end_timestamp", "queued", "start", "end"})


def cell(value: Any, field: str = "") -> str:
    """Return one value as the tables write it.

    Examples
    --------
    >>> cell(True), cell(60000), cell({"b": 1, "a": []})
    ('true', '60000', '{"a":[],"b":1}')
    """
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, sort_keys=True, separators=(",", ":"))
    if value is None or value != value or str(value) in {"NaT", "<NA>"}:  # noqa: PLR0124 - NaN
        return "-" if field in NOT_YET else ""
    if isinstance(value, bool) or type(value).__name__ == "bool":  # numpy's too
        return str(bool(value)).lower()
    if hasattr(value, "strftime"):
        return str(value.strftime(TIME))
    return str(value)


def title(field: str) -> str:
    """Return a field's name as the tables write it.

    Examples
    --------
    >>> title("created_at")
    'CREATED AT'
    """
    return field.replace("_", " ").upper()


def grid(rows: Iterable[Sequence[str]], header: Sequence[str] | None = None) -> str:
    """Return rows of cells as an ASCII grid, with a centred header line if one is given.

    Examples
    --------
    >>> print(grid([("a", "b")], ("ONE", "TWO")))
    +-----+-----+
    | ONE | TWO |
    +-----+-----+
    | a   | b   |
    +-----+-----+
    """
    lines = [tuple(row) for row in rows]
    everything = [*lines, tuple(header)] if header else lines
    widths = [max(map(len, column)) for column in zip(*everything, strict=True)]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"

    def line(cells: Sequence[str], place: Any) -> str:
        return "| " + " | ".join(place(text, width) for text, width in zip(cells, widths, strict=True)) + " |"

    head = [line(header, _centre), border] if header else []
    return "\n".join([border, *head, *(line(row, str.ljust) for row in lines), border])


def _centre(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return (" " * left + text).ljust(width)


def one(fields: Mapping[str, Any], shows: Sequence[str]) -> str:
    """Return an object as a grid, one row a field."""
    return grid((title(name), cell(fields.get(name), name)) for name in shows)


def many(records: Iterable[Mapping[str, Any]], shows: Sequence[str]) -> str:
    """Return a list of objects as a table."""
    rows = [tuple(cell(record.get(name), name) for name in shows) for record in records]
    return grid(rows, tuple(map(title, shows)))


def values(data: NDArray[np.generic], offset: int) -> str:
    """Return rows of a dataset: the row's number, then its values with six decimals."""
    rows = [(str(offset + number), *(f"{float(x):.6f}" for x in row)) for number, row in enumerate(data)]
    return grid(rows, ("", *map(str, range(data.shape[1]))))
