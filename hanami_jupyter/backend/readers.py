"""Reads what users upload (IDX, CSV, .npy) into one matrix file, or says what is wrong in which row."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hanami_jupyter.protocol import idx
from hanami_jupyter.protocol.endpoints import NAME

from . import files

DIGITS = 10
_CHUNK = 1 << 23  # bytes handled at once
_NAME = re.compile(NAME)
_NAMING = "A name begins with a letter and holds letters, digits, '_', '-' and spaces."
_WORDS = {"true": 1.0, "false": 0.0}


def describe(widths: Mapping[str, int], rows: int) -> dict[str, Any]:
    """Return description, columns and rows of a dataset whose columns have these widths, in order."""
    description, start = {}, 0
    for name, width in widths.items():
        description[name] = {"column_start": start, "column_end": start + width}
        start += width
    return {"description": description, "number_of_columns": start, "number_of_rows": rows}


def read_mnist(images: Path, labels: Path, target: Path) -> dict[str, Any]:
    """Write pictures and one-hot labels of two IDX files as one uint8 matrix.

    Raises
    ------
    ValueError
        In one sentence, with the row where there is one.
    """
    with images.open("rb") as picture_file, labels.open("rb") as label_file:
        rows, height, width = _idx_header(picture_file, images, "images")
        (count,) = _idx_header(label_file, labels, "labels")
        if rows != count:
            raise ValueError(
                f"There are {rows} images but {count} labels. Upload two files that belong together."
            )
        digits = np.frombuffer(label_file.read(), np.uint8)
        if digits.max(initial=0) >= DIGITS:
            row = int(np.argmax(digits >= DIGITS))
            raise ValueError(f"The label of row {row} is {digits[row]}, but labels are 0 to 9.")
        pixels = height * width
        with files.aside(target) as out:
            out.write(files.header(np.uint8, rows, pixels + DIGITS))
            step = max(1, _CHUNK // (pixels + DIGITS))
            for first in range(0, rows, step):
                part = digits[first : first + step]
                block = np.zeros((len(part), pixels + DIGITS), np.uint8)
                block[:, :pixels] = np.frombuffer(picture_file.read(len(part) * pixels), np.uint8).reshape(
                    len(part), pixels
                )
                block[np.arange(len(part)), pixels + part.astype(np.int64)] = 1
                out.write(block.data)
    return describe({"picture": pixels, "label": DIGITS}, rows)


def _idx_header(file: IO[bytes], path: Path, kind: idx.Kind) -> tuple[int, ...]:
    """Read the sizes of an IDX file and check that the file has as many bytes as they say."""
    start = file.read(idx.MAX_HEADER)
    if start[:2] == idx.GZIP_MAGIC:
        raise ValueError(f"The file of {kind} is compressed with gzip. Unpack it first.")
    sizes = idx.shape(start, path.stat().st_size, f"The file of {kind}", kind)
    file.seek(4 + 4 * len(sizes))
    return sizes


def read_csv(source: Path, target: Path) -> dict[str, Any]:
    """Write the columns of a CSV file with a header line as one float32 matrix.

    Raises
    ------
    ValueError
        In one sentence, with row (the first one behind the header is 1) and column.
    """
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            names = _csv_header(file)
            with files.aside(target) as out:
                start = files.header(np.float32, 10**12, len(names))
                out.write(start)
                rows = 0
                while lines := list(_lines(file)):
                    block = _numbers(lines, names, rows)
                    out.write(block.data)
                    rows += len(block)
                if rows == 0:
                    raise ValueError("The CSV file has a header line but no rows.")
                out.seek(0)
                end = files.header(np.float32, rows, len(names))
                out.write(_padded(end, len(start)))
    except UnicodeDecodeError:
        raise ValueError("The CSV file is not UTF-8 text.") from None
    except csv.Error as error:
        raise ValueError(f"The CSV file cannot be read: {error}.") from None
    return describe(dict.fromkeys(names, 1), rows)


def _padded(start: bytes, size: int) -> bytes:
    """Lengthen the beginning of a .npy file by blanks."""
    body = start[10:-1] + b" " * (size - len(start)) + b"\n"
    return start[:8] + len(body).to_bytes(2, "little") + body


def _csv_header(file: IO[str]) -> list[str]:
    first = file.readline(1 << 20)
    if not first.strip():
        raise ValueError("The CSV file does not begin with a header line.")
    names = [name.strip() for name in next(csv.reader([first], strict=True))]
    for number, name in enumerate(names, 1):
        if not _NAME.fullmatch(name):
            raise ValueError(f"The header calls column {number} '{name[:80]}'. {_NAMING}")
        if names.index(name) != number - 1:
            raise ValueError(f"The header names column '{name}' twice.")
    return names


def _lines(file: IO[str]) -> Iterator[str]:
    """Give lines until enough for one block."""
    return iter(file.readlines(_CHUNK))


def _numbers(lines: Sequence[str], names: Sequence[str], before: int) -> npt.NDArray[np.float32]:
    """Return the rows of some lines; fast where all is plain, else cell by cell."""
    try:
        block = np.loadtxt(lines, np.float32, comments=None, delimiter=",", quotechar='"', ndmin=2)
        if (
            block.shape[1] == len(names)
            and np.isfinite(block).all()
            and not any("_" in line for line in lines)
        ):
            return np.ascontiguousarray(block)
    except ValueError:
        pass
    cells: list[list[float]] = []
    for row in csv.reader(lines, strict=True):
        if not row or (len(row) == 1 and not row[0].strip()):
            continue
        number = before + len(cells) + 1
        if len(row) != len(names):
            raise ValueError(f"Row {number} has {len(row)} cells, but the header names {len(names)} columns.")
        cells.append([_cell(text, number, name) for text, name in zip(row, names, strict=True)])
    return np.array(cells, np.float32).reshape(len(cells), len(names))


def _cell(text: str, row: int, name: str) -> float:
    plain = text.strip()
    value = _WORDS.get(plain.lower())
    if value is not None:
        return value
    try:
        number = float(plain) if "_" not in plain else float("nan")
        with np.errstate(over="ignore"):
            if np.isfinite(np.float32(number)):
                return number
    except ValueError:
        pass
    raise ValueError(f"Row {row}, column '{name}' is '{plain[:80]}'. Write a number, true or false.")


def check_columns(columns: Sequence[Any]) -> dict[str, int]:
    """Return the widths of ``[{"name": ..., "width": ...}]`` by name.

    Raises
    ------
    ValueError
        In one sentence, if they are not that.
    """
    widths: dict[str, int] = {}
    for number, column in enumerate(columns, 1):
        name = column.get("name") if isinstance(column, dict) else None
        width = column.get("width") if isinstance(column, dict) else None
        if not isinstance(name, str) or not isinstance(width, int) or isinstance(width, bool) or width < 1:
            raise ValueError(f'Entry {number} of \'columns\' is not of the form {{"name": "x", "width": 1}}.')
        if not _NAME.fullmatch(name) or not name.isascii() or len(name) > 254:
            raise ValueError(f"Column {number} is called '{name[:80]}'. {_NAMING}")
        if name in widths:
            raise ValueError(f"Column '{name}' is named twice.")
        widths[name] = width
    if not widths:
        raise ValueError("'columns' is empty. Name at least one column.")
    return widths


def read_array(source: Path, widths: Mapping[str, int], target: Path) -> dict[str, Any]:
    """Write a .npy file as one matrix, uint8 or float32.

    Raises
    ------
    ValueError
        In one sentence, with row and column where there is one.
    """
    try:
        array: npt.NDArray[Any] = np.load(source, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, SyntaxError):
        raise ValueError("The file is not a whole .npy file of numbers. Write it with numpy.save.") from None
    if not isinstance(array, np.ndarray) or array.ndim not in (1, 2) or array.dtype.kind not in "biuf":
        raise ValueError("The array must hold real numbers in one or two dimensions (rows, columns).")
    array = array.reshape(len(array), -1) if array.size else array.reshape(0, 0)
    if len(array) == 0 or array.shape[1] != sum(widths.values()):
        raise ValueError(
            f"The array has {len(array)} rows of {array.shape[1]} values, but 'columns' names"
            f" {sum(widths.values())} values a row."
        )
    dtype = np.uint8 if array.dtype in (np.uint8, np.bool_) else np.float32
    step = max(1, _CHUNK // (array.shape[1] * 4))
    with files.aside(target) as out:
        out.write(files.header(dtype, *array.shape))
        for first in range(0, len(array), step):
            with np.errstate(over="ignore"):
                block = np.ascontiguousarray(array[first : first + step], dtype)
            _check_finite(block, first, widths)
            out.write(block.data)
    return describe(widths, len(array))


def _check_finite(block: npt.NDArray[Any], first: int, widths: Mapping[str, int]) -> None:
    if block.dtype == np.uint8 or np.isfinite(block).all():
        return
    row, column = np.argwhere(~np.isfinite(block))[0]
    ends = itertools.accumulate(widths.values())
    name = next(name for name, end in zip(widths, ends, strict=True) if column < end)
    raise ValueError(f"Row {first + row}, column '{name}' is {block[row, column]}. Replace it by a number.")


def names_of(description: Iterable[str]) -> str:
    """Return names as a list for a sentence."""
    return ", ".join(f"'{name}'" for name in description) or "none"
