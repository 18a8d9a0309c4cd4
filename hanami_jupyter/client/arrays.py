"""Arrays and DataFrames as the columns of a dataset, and as the file formats that servers take."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client.hanami_exceptions import InvalidDataException, NotSupportedException
from hanami_jupyter.protocol import idx

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

Columns = Mapping[str, "NDArray[Any]"]
"""Two-dimensional arrays of equal length by name, each uint8 or float32."""

DIGITS = 10  # labels that an IDX file of the original may hold
_CSV_LIMIT = 2.0**31  # the original dies on larger cells


def split(data: Any, labels: Any, test_size: float | None, seed: int) -> list[Any]:
    """Return the rows as one part, or as a training and a test part.

    Examples
    --------
    >>> [len(part["data"]) for part in split({"data": [1, 2, 3, 4]}, None, 0.25, 0)]
    [3, 1]
    """
    import numpy as np  # noqa: PLC0415 - importing the package stays cheap
    import pandas as pd  # noqa: PLC0415

    if not isinstance(data, pd.DataFrame):
        data = _named(data, labels)
        lengths = {name: len(array) for name, array in data.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"'{name}' {length:,}" for name, length in lengths.items())
            message = f"The columns have different numbers of rows: {told}. Give each the same."
            raise InvalidDataException(message)
        count = next(iter(lengths.values()), 0)
    else:
        if labels is not None:
            data = data.assign(label=np.asarray(labels))
        count = len(data)
    if not count:
        message = "There are no rows to upload."
        raise InvalidDataException(message)
    if test_size is None:
        return [data]
    tests = round(count * test_size)
    if not 0 < tests < count:
        message = (
            f"test_size {test_size} leaves {count - tests} of {count} rows to train. Give 0 < test_size < 1."
        )
        raise InvalidDataException(message)
    order = np.random.default_rng(seed).permutation(count)
    chosen = (np.sort(order[tests:]), np.sort(order[:tests]))
    if isinstance(data, pd.DataFrame):
        return [data.iloc[rows] for rows in chosen]
    return [{name: array[rows] for name, array in data.items()} for rows in chosen]


def _named(data: Any, labels: Any) -> dict[str, NDArray[Any]]:
    import numpy as np  # noqa: PLC0415

    given = dict(data) if isinstance(data, Mapping) else {"picture": data}
    columns = {name: np.asarray(values) for name, values in given.items()}
    if labels is not None:
        array = np.asarray(labels)
        columns["label"] = _classes(array) if array.ndim == 1 else array
    return columns


def _classes(labels: NDArray[Any]) -> NDArray[Any]:
    """Return classes one-hot; numbers keep their place, anything else is sorted."""
    import numpy as np  # noqa: PLC0415

    if np.issubdtype(labels.dtype, np.integer) and labels.min() >= 0:
        numbers: NDArray[Any] = np.eye(int(labels.max()) + 1, dtype=np.uint8)[labels]
        return numbers
    classes, places = np.unique(labels, return_inverse=True)
    return np.eye(len(classes), dtype=np.uint8)[places]


def arranged(
    parts: Sequence[Any],
    columns: Mapping[str, Sequence[str]] | None,
    one_hot: Iterable[str],
    scale: bool | Sequence[str],
) -> list[Columns]:
    """Return each part as columns; classes and limits of the scaling come from the first, the training part.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"a": [0, 5, 10]})
    >>> arranged([table], None, [], True)[0]["a"].ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    import pandas as pd  # noqa: PLC0415

    if not isinstance(parts[0], pd.DataFrame):
        return [{name: _checked(array, name) for name, array in part.items()} for part in parts]
    plan = _Plan(parts, columns, _listed(one_hot), scale if isinstance(scale, bool) else _listed(scale))
    return [plan.columns(part) for part in parts]


def _listed(names: Iterable[str]) -> list[str]:
    """Return names as a list; one name alone is a list of one."""
    return [names] if isinstance(names, str) else list(names)


class _Plan:
    """How the columns of a DataFrame become those of a dataset."""

    def __init__(
        self,
        parts: Sequence[pd.DataFrame],
        columns: Mapping[str, Sequence[str]] | None,
        one_hot: list[str],
        scale: bool | Sequence[str],
    ) -> None:
        import pandas as pd  # noqa: PLC0415

        first = parts[0]
        names = [str(name) for name in first.columns]
        groups = dict(zip(names, names, strict=True)) if columns is None else columns
        self.groups = {group: _listed(members) for group, members in groups.items()}
        used = [name for group in self.groups.values() for name in group]
        scaled = (
            [] if scale is False else [n for n in used if n not in one_hot] if scale is True else list(scale)
        )
        for name in (*used, *one_hot, *scaled):
            if name not in names:
                message = f"There is no column '{name}' in the table. It has {', '.join(names)}."
                raise InvalidDataException(message)
        for part in parts:
            self._refuse_missing(part, used)
        everything = pd.concat(parts)
        self.classes = {name: sorted(everything[name].unique()) for name in one_hot}
        self.limits = {
            name: (values.min(), values.max()) for name in scaled for values in [_numbers(first[name], name)]
        }

    @staticmethod
    def _refuse_missing(part: pd.DataFrame, used: Sequence[str]) -> None:
        for name in used:
            missing = part.index[part[name].isna()]
            if len(missing):
                message = (
                    f"Column '{name}' has no value in row {missing[0]} ({len(missing):,} such rows). "
                    "Fill it, or drop the rows with dropna()."
                )
                raise InvalidDataException(message)

    def columns(self, part: pd.DataFrame) -> Columns:
        import numpy as np  # noqa: PLC0415

        return {
            group: _checked(np.concatenate([self._values(part, name) for name in names], axis=1), group)
            for group, names in self.groups.items()
        }

    def _values(self, part: pd.DataFrame, name: str) -> NDArray[Any]:
        import numpy as np  # noqa: PLC0415

        if name in self.classes:
            places = {value: place for place, value in enumerate(self.classes[name])}
            return np.eye(len(places), dtype=np.uint8)[[places[value] for value in part[name]]]
        values = _numbers(part[name], name)
        if name in self.limits:
            low, high = self.limits[name]
            values = (values - low) / ((high - low) or 1.0)
        return values.reshape(-1, 1)


def _numbers(values: pd.Series[Any], name: str, advice: str = "") -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values):
        message = (
            f"Column '{name}' holds times. Make a number of them first, for example days: "
            f"(table['{name}'] - table['{name}'].min()) / pd.Timedelta('1D')."
        )
        raise InvalidDataException(message)
    numbers = pd.to_numeric(values, errors="coerce")
    bad = values.index[numbers.isna().to_numpy(dtype=bool)]
    if len(bad):
        message = (
            f"Column '{name}' holds '{values.loc[[bad[0]]].iloc[0]}' in row {bad[0]}, which is no number. "
            + (advice or f"Name the column in one_hot=['{name}'], or leave it out.")
        )
        raise InvalidDataException(message)
    return numbers.to_numpy(dtype=np.float64)


def rows_of(values: Any, hexagon: str) -> NDArray[np.float32]:
    """Return rows for a hexagon as float32; say which column or row of them is no number.

    Examples
    --------
    >>> rows_of([[1, 2], [3, 4]], "picture").shape
    (2, 2)
    """
    import numpy as np  # noqa: PLC0415 - importing the package stays cheap

    try:
        return np.asarray(values, dtype="<f4")
    except (TypeError, ValueError):
        pass
    if hasattr(values, "columns"):
        advice = "Turn it into numbers as in the training data, or leave it out."
        for place, name in enumerate(values.columns):
            _numbers(values.iloc[:, place].dropna(), str(name), advice)
    message = f"The rows for hexagon '{hexagon}' are no numbers of one width. Give an array (rows, values)."
    raise InvalidDataException(message)


def refuse_missing(given: Any, rows: Mapping[str, NDArray[np.float32]]) -> None:
    """Refuse rows, by hexagon, with a value that is missing or infinite; ``given`` is what they come from.

    Examples
    --------
    >>> import numpy as np
    >>> refuse_missing([[1.0, 2.0]], {"picture": np.array([[1.0, 2.0]])})
    """
    import numpy as np  # noqa: PLC0415 - importing the package stays cheap

    for hexagon, array in rows.items():
        finite = np.isfinite(array)
        if finite.all():
            continue
        row, value = np.argwhere(~finite)[0]
        place = f"Row {row}, value {value}"
        values = given[hexagon] if isinstance(given, Mapping) else given
        if hasattr(values, "columns"):
            place = f"Row {values.index[row]}, column '{values.columns[value]}'"
        message = f"{place} for hexagon '{hexagon}' is missing or infinite. Fill it, or leave the row out."
        raise InvalidDataException(message)


def _checked(array: NDArray[Any], name: str) -> NDArray[Any]:
    """Return rows of bytes or float32; refuse what is neither or not finite."""
    import numpy as np  # noqa: PLC0415

    flat = array.reshape(len(array), -1)
    if flat.dtype == np.uint8:
        return flat
    try:
        flat = flat.astype(np.float32)
    except (TypeError, ValueError):
        message = f"Column '{name}' is of type {array.dtype}, but numbers are needed."
        raise InvalidDataException(message) from None
    rows = np.flatnonzero(~np.isfinite(flat).all(axis=1))
    if len(rows):
        message = (
            f"Column '{name}' has a missing or infinite value in row {rows[0]} ({len(rows):,} such rows)."
        )
        raise InvalidDataException(message)
    return flat


def as_npy(columns: Columns) -> bytearray:
    """Return the columns side by side as an .npy file: bytes if all are, else float32."""
    import numpy as np  # noqa: PLC0415

    out = io.BytesIO()
    np.save(out, np.concatenate(list(columns.values()), axis=1), allow_pickle=False)
    return bytearray(out.getbuffer())


def as_idx(columns: Columns) -> tuple[bytes, bytes] | None:
    """Return images and labels as IDX files, or None if the columns are not that."""
    import numpy as np  # noqa: PLC0415

    if list(columns) != ["picture", "label"]:
        return None
    pictures, labels = columns["picture"], columns["label"]
    one_hot = (
        labels.shape[1] <= DIGITS and (labels.sum(axis=1) == 1).all() and (labels.max(axis=1) == 1).all()
    )
    if not one_hot or not np.array_equal(pictures, pictures.astype(np.uint8)):
        return None
    side = int(pictures.shape[1] ** 0.5)
    shape = (side, side) if side * side == pictures.shape[1] else (1, pictures.shape[1])
    head = idx.KINDS["images"] + b"".join(number.to_bytes(4, "big") for number in (len(pictures), *shape))
    images = head + pictures.astype(np.uint8).tobytes()
    digits = labels.argmax(axis=1).astype(np.uint8).tobytes()
    return images, idx.KINDS["labels"] + len(labels).to_bytes(4, "big") + digits


def as_csv(columns: Columns) -> bytearray:
    """Return narrow columns as a CSV file that the original reads rightly; say why where it would not."""
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    wide = next((name for name, array in columns.items() if array.shape[1] != 1), None)
    reason = None
    if wide is not None:
        reason = f"column '{wide}' is {columns[wide].shape[1]} values wide"
    elif len(columns) == 1:
        reason = "it reads no table of a single column"
    else:
        large = next((name for name in columns if (np.abs(columns[name]) >= _CSV_LIMIT).any()), None)
        reason = f"column '{large}' holds values of 2^31 or more" if large else None
    if reason:
        message = (
            f"This server takes no arrays, and {reason}. It takes images of bytes with ten labels, and "
            "tables of two or more columns; the embedded backend, hanami.local(), takes all."
        )
        raise NotSupportedException(message)
    table = pd.DataFrame({name: array[:, 0] for name, array in columns.items()})
    return bytearray(table.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode())
