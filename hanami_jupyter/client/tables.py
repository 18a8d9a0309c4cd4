"""Lists of a server as typed DataFrames, single objects as Series."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hanami_jupyter.protocol.endpoints import BY_KEY, ENDPOINTS

if TYPE_CHECKING:
    import pandas as pd

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"  # UTC
_KINDS: dict[str, str] = (
    {
        name: kind
        for endpoint in ENDPOINTS
        for name, kind in (*endpoint.answer.items(), *endpoint.extra.items())
    }
    | dict.fromkeys(("queued", "start", "end"), "time")
    | {"percentage": "float"}
)
_MISSING = (None, "-", "")


def _kind(name: str) -> str:
    return "time" if name == "created_at" or name.endswith("_timestamp") else _KINDS.get(name, "str")


def frame(path: str, answer: Mapping[str, Any]) -> pd.DataFrame:
    """Return a list answer as a DataFrame.

    Parameters
    ----------
    path : str
        Path of the endpoint, whose columns are always there; what the server has beyond them follows.
    answer : mapping
        ``header`` and ``body`` as the server sent them; read by header, never by position.

    Returns
    -------
    pandas.DataFrame
        Times in UTC, whole numbers as Int64, flags as boolean, fractions as float64. ``-`` and null are
        missing.

    Examples
    --------
    >>> frame("/host/all", {"header": ["type", "uuid"], "body": [["cpu", "cc6120c7"]]})
           uuid type
    0  cc6120c7  cpu
    """
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    header, body = list(answer["header"]), answer["body"]
    values = dict(zip(header, zip(*body, strict=True), strict=True)) if body else {}
    fixed = BY_KEY["GET", path].columns
    names = [*fixed, *(name for name in header if name not in fixed)]
    blank = (None,) * len(body)
    return pd.DataFrame({name: column(_kind(name), values.get(name, blank)) for name in names})


def column(kind: str, values: Sequence[Any]) -> pd.Series[Any]:
    """Return the values of one column with the type of its kind (``time``, ``int``, ``bool``, …).

    Examples
    --------
    >>> column("int", [1, None, "-"]).to_list()
    [1, <NA>, <NA>]
    """
    import pandas as pd  # noqa: PLC0415

    if kind == "time":
        times = pd.to_datetime(
            pd.Series(values, dtype="object"), format=TIME_FORMAT, utc=True, errors="coerce"
        )
        return times.dt.as_unit("us")
    if kind == "float":
        return pd.to_numeric(pd.Series(values, dtype="object"), errors="coerce").astype("float64")
    if kind in {"int", "bool"}:
        known = [None if value in _MISSING else value for value in values]
        return pd.Series(known, dtype="Int64" if kind == "int" else "boolean")
    if kind == "str":
        return pd.Series(values, dtype="str" if pd.__version__ >= "3" else "object")
    return pd.Series(values, dtype="object")


_READ: Mapping[str, Callable[[Any], Any]] = {"int": int, "bool": bool, "float": float}


def record(
    answer: Mapping[str, Any], *, kind: str = "", label: str | None = None, fields: Sequence[str] = ()
) -> pd.Series[Any]:
    """Return a single object as a Series.

    Parameters
    ----------
    answer : mapping
        The object as the server sent it.
    kind : str
        ``cluster``, ``dataset``, ``task`` or ``checkpoint``: the Series is shown as a card then.
    label : str, optional
        Name of the Series; by default the object's name, else its id or uuid.
    fields : sequence of str
        Fields that are there even if the server does not send them, as missing values.

    Returns
    -------
    pandas.Series
        Times as UTC timestamps. ``-`` and null are missing.

    Examples
    --------
    >>> record({"name": "digits", "created_at": "2024-07-12 20:52:21"})["created_at"].year
    2024
    """
    import pandas as pd  # noqa: PLC0415

    def read(name: str) -> Any:
        type_, value = _kind(name), answer.get(name)
        if type_ == "time":
            return pd.to_datetime(str(value), format=TIME_FORMAT, utc=True, errors="coerce")
        if value is None or (isinstance(value, str) and value == "-"):
            return pd.NA
        return _READ[type_](value) if type_ in _READ and not isinstance(value, str) else value

    names = [*answer, *(name for name in fields if name not in answer)]
    label = label or next((str(answer[key]) for key in ("name", "id", "uuid") if answer.get(key)), None)
    values = pd.Series([read(name) for name in names], index=names, dtype="object", name=label)
    if not kind:
        return values
    from hanami_jupyter.client.objects import KINDS  # noqa: PLC0415 - it needs pandas

    return KINDS[kind](values)
