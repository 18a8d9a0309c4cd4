"""Reads what users upload (IDX, CSV, .npy) into the file of a dataset, or says what is wrong in which row."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hanami_jupyter.protocol import idx
from hanami_jupyter.protocol.endpoints import NAME

from . import files

_CHUNK = 1 << 23  # bytes handled at once
_LABELS = 8  # bytes of an IDX file before its labels
_TEXT = 1 << 16  # bytes of text turned into numbers at once: the interpreter stands still meanwhile
MOST_COLUMNS = 1 << 20  # values a row
MAX_LINE = 1 << 24  # bytes of one line of a CSV file
_NAME = re.compile(NAME)
_NAMING = "A name begins with a letter and holds letters, digits, '_', '-' and spaces."
_NO_ARRAY = "The file is not a whole .npy file of numbers. Write it with numpy.save."
_WORDS = {"true": 1.0, "false": 0.0}


def describe(widths: Mapping[str, int], rows: int) -> dict[str, Any]:
    """Return description, columns and rows of a dataset whose columns have these widths, in order."""
    description, start = {}, 0
    for name, width in widths.items():
        description[name] = {"column_start": start, "column_end": start + width}
        start += width
    return {"description": description, "number_of_columns": start, "number_of_rows": rows}


def read_mnist(images: Path, labels: Path, target: Path) -> dict[str, Any]:
    """Make a dataset of two IDX files: the pictures stay in their file, one-hot labels follow them.

    Raises
    ------
    ValueError
        In one sentence, with the row where there is one.
    """
    with images.open("r+b") as file, labels.open("rb") as label_file:
        rows, height, width = _idx_header(file, images, "images")
        (digits,) = _idx_header(label_file, labels, "labels")
        if rows != digits:
            raise ValueError(
                f"There are {rows} images but {digits} labels. Upload two files that belong together."
            )
        pixels = height * width
        _check_width(pixels)
        file.seek(0, os.SEEK_END)
        label_file.seek(_LABELS)
        for first in range(0, rows, _TEXT):
            file.write(_one_hot(label_file.read(_TEXT), first))
        file.flush()
        os.fsync(file.fileno())
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(images)
    except OSError:  # a file system without links
        shutil.copyfile(images, target)
    return describe({"picture": pixels, "label": files.DIGITS}, rows)


def _one_hot(labels: bytes, first: int) -> bytes:
    """Return a row of ten bytes for each label; ``first`` is the row of the first one."""
    digits = np.frombuffer(labels, np.uint8)
    if digits.max() >= files.DIGITS:
        wrong = int(np.argmax(digits >= files.DIGITS))
        raise ValueError(
            f"The label of row {first + wrong} is {digits[wrong]}, but labels are 0 to {files.DIGITS - 1}."
        )
    return np.eye(files.DIGITS, dtype=np.uint8)[digits].tobytes()


def _idx_header(file: IO[bytes], path: Path, kind: idx.Kind) -> tuple[int, ...]:
    """Read the sizes of an IDX file and check that the file has as many bytes as they say."""
    start = file.read(idx.MAX_HEADER)
    if start[:2] == idx.GZIP_MAGIC:
        raise ValueError(f"The file of {kind} is compressed with gzip. Unpack it first.")
    return idx.shape(start, path.stat().st_size, f"The file of {kind}", kind)


def _check_width(columns: int) -> None:
    if columns > MOST_COLUMNS:
        raise ValueError(f"A row has {columns} values, and {MOST_COLUMNS} is the limit.")


class _Lines(io.FileIO):
    """A file of lines of bearable length: nobody makes the server read gigabytes to find the end of one."""

    _open = 0  # bytes since the last end of a line

    def readinto(self, buffer: Any) -> int:
        """Read, and look for ends of lines."""
        count = super().readinto(buffer) or 0
        data = bytes(memoryview(buffer)[:count])
        end = max(data.rfind(b"\n"), data.rfind(b"\r"))
        self._open = self._open + count if end < 0 else count - end - 1
        if self._open > MAX_LINE:
            raise ValueError(f"The CSV file has a line of more than {MAX_LINE} bytes.")
        return count


def read_csv(source: Path, target: Path) -> dict[str, Any]:
    """Write the columns of a CSV file with a header line as one float32 matrix.

    Raises
    ------
    ValueError
        In one sentence, with row (the first one behind the header is 1) and column.
    """
    try:
        source_lines = io.BufferedReader(_Lines(source), 1 << 18)
        with io.TextIOWrapper(source_lines, encoding="utf-8-sig", newline="") as file:
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
    first = file.readline()
    if not first.strip():
        raise ValueError("The CSV file does not begin with a header line.")
    names = [name.strip() for name in next(csv.reader([first], strict=True))]
    _check_width(len(names))
    seen: set[str] = set()
    for number, name in enumerate(names, 1):
        if not _NAME.fullmatch(name):
            raise ValueError(f"The header calls column {number} '{name[:80]}'. {_NAMING}")
        if name in seen:
            raise ValueError(f"The header names column '{name[:80]}' twice.")
        seen.add(name)
    return names


def _lines(file: IO[str]) -> Iterator[str]:
    """Give lines until enough for one block."""
    return iter(file.readlines(_TEXT))


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
        if width > MOST_COLUMNS:
            raise ValueError(f"Column '{name}' is too wide: {MOST_COLUMNS} values a row is the limit.")
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
    with source.open("rb", buffering=0) as file:
        array = _npy_header(file)
        rows, columns = array.shape[0], math.prod(array.shape[1:])
        if rows * columns == 0 or columns != sum(widths.values()):
            raise ValueError(
                f"The array has {rows} rows of {columns} values, but 'columns' names"
                f" {sum(widths.values())} values a row."
            )
        _check_width(columns)
        dtype = np.uint8 if array.dtype in (np.uint8, np.bool_) else np.float32
        step = max(1, _CHUNK // (columns * 4))
        with files.aside(target) as out:
            out.write(files.header(dtype, rows, columns))
            for first in range(0, rows, step):
                with np.errstate(over="ignore"):
                    block = np.ascontiguousarray(array.read(first, min(step, rows - first)), dtype)
                _check_finite(block, first, widths)
                out.write(block.data)
    return describe(widths, rows)


@dataclass(frozen=True)
class _Array:
    """The array of a .npy file, read by rows: a memory map would count as the server's memory."""

    file: io.FileIO
    start: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    by_column: bool

    def read(self, first: int, count: int) -> npt.NDArray[Any]:
        """Return some rows."""
        size, columns = self.dtype.itemsize, math.prod(self.shape[1:])
        if not self.by_column or len(self.shape) == 1:
            return self._values(first * columns * size, count * columns).reshape(count, columns)
        places = (size * (column * self.shape[0] + first) for column in range(columns))
        return np.stack([self._values(place, count) for place in places], axis=1)

    def _values(self, place: int, count: int) -> npt.NDArray[Any]:
        self.file.seek(self.start + place)
        data = self.file.read(count * self.dtype.itemsize)
        while len(data) < count * self.dtype.itemsize:  # an unbuffered file may give less than asked for
            more = self.file.read(count * self.dtype.itemsize - len(data))
            if not more:
                raise ValueError(_NO_ARRAY)
            data += more
        return np.frombuffer(data, self.dtype)


def _npy_header(file: io.FileIO) -> _Array:
    try:
        version = np.lib.format.read_magic(file)
        formats = np.lib.format
        read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
        shape, by_column, dtype = read(file)
        plain = not dtype.hasobject and all(type(length) is int and length >= 0 for length in shape)
    except Exception:  # noqa: BLE001 - numpy reads it as Python text, and fails in as many ways
        raise ValueError(_NO_ARRAY) from None
    if not plain:
        raise ValueError(_NO_ARRAY)
    if len(shape) not in (1, 2) or dtype.kind not in "biuf":
        raise ValueError("The array must hold real numbers in one or two dimensions (rows, columns).")
    start = file.tell()
    if start + math.prod(shape) * dtype.itemsize != os.fstat(file.fileno()).st_size:
        raise ValueError(_NO_ARRAY)
    return _Array(file, start, dtype, shape, by_column)


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
