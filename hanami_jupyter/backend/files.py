"""Files that are either whole or not there: written aside, renamed; the matrices of datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hanami_jupyter.protocol import idx

from .errors import damaged

DIGITS = 10  # columns of the labels of an MNIST dataset


@contextmanager
def aside(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that takes the place of ``path`` at the end, or vanishes on an error."""
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise


def write(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a small file whole; ``private`` keeps it from other users from the first moment."""
    beside = path.with_name(path.name + ".part")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    beside.replace(path)


def sweep(folder: Path, known: Set[str]) -> None:
    """Remove what an end in the middle has left: files that were not whole yet, or no longer wanted."""
    for path in folder.iterdir():
        if path.name not in known:
            path.unlink()


def header(dtype: npt.DTypeLike, rows: int, columns: int) -> bytes:
    """Return the beginning of a .npy file of that shape."""
    descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': ({rows}, {columns}), }}"
    padding = -(10 + len(text) + 1) % 64
    body = text.encode("latin1") + b" " * padding + b"\n"
    return b"\x93NUMPY\x01\x00" + len(body).to_bytes(2, "little") + body


def reserve(file: IO[bytes], size: int) -> None:
    """Take the space of a file now, so that a full disk is an error and not a signal in a memory map."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, max(size, 1))
        return
    block = bytes(1 << 20)  # pragma: no cover - other systems
    for start in range(0, size, len(block)):
        file.write(block[: size - start])


@contextmanager
def new_matrix(path: Path, rows: int, columns: int) -> Iterator[npt.NDArray[np.float32]]:
    """Give a float32 memory map of a new .npy file that appears under ``path`` at the end."""
    start = header(np.float32, rows, columns)
    with aside(path) as file:
        reserve(file, len(start) + rows * columns * 4)
        file.seek(0)
        file.write(start)
        file.flush()
        matrix: npt.NDArray[np.float32] = np.zeros((rows, columns), np.float32)
        if matrix.size:
            with open(file.name, "r+b") as again:
                matrix = np.memmap(again, np.float32, "r+", len(start), (rows, columns))
        yield matrix
        if isinstance(matrix, np.memmap):
            matrix.flush()


@dataclass(frozen=True)
class Matrix:
    """The values of a dataset, memory-mapped: blocks of columns, one behind the other in its file."""

    blocks: tuple[npt.NDArray[Any], ...]

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self.blocks[0]), sum(block.shape[1] for block in self.blocks)

    def columns(self, start: int, end: int) -> npt.NDArray[Any]:
        """Return some columns; nothing is copied where one block has them."""
        at, found = 0, []
        for block in self.blocks:
            found.append(block[:, max(start - at, 0) : max(end - at, 0)])
            at += block.shape[1]
        filled = [part for part in found if part.shape[1]] or found[:1]
        return filled[0] if len(filled) == 1 else np.hstack(filled)


def matrix_file(folder: Path, uuid: str) -> Path:
    """Return where the matrix of a dataset is: uploaded pictures stay in their own file."""
    pictures = folder / f"{uuid}.idx"
    return pictures if pictures.exists() else folder / f"{uuid}.npy"


def _pictures(path: Path) -> tuple[npt.NDArray[Any], ...]:
    """Return the pictures of an IDX file and the labels behind them."""
    content = np.memmap(path, np.uint8, "r")
    rows, *size = (int(length) for length in content[4 : idx.MAX_HEADER].view(">u4"))
    pixels = size[0] * size[1]
    pictures, labels = np.split(content[idx.MAX_HEADER :], [rows * pixels])
    return pictures.reshape(rows, pixels), labels.reshape(rows, DIGITS)


def open_matrix(path: Path) -> Matrix:
    """Return the matrix of a dataset, read-only.

    Raises
    ------
    RefusalError
        With the name of what it belongs to, if the file is missing or damaged.
    """
    try:
        if path.suffix == ".idx":
            return Matrix(_pictures(path))
        matrix: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise damaged(path, "missing") from None
    except Exception:  # noqa: BLE001 - numpy reads the header as Python text, and fails in as many ways
        raise damaged(path) from None
    if not isinstance(matrix, np.ndarray) or matrix.ndim != 2:
        raise damaged(path)
    return Matrix((matrix,))
