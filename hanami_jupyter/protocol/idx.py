"""IDX files, the format of MNIST: reading and checking them."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

GZIP_MAGIC = b"\x1f\x8b"
Kind = Literal["images", "labels"]
KINDS: dict[Kind, bytes] = {"images": b"\0\0\x08\x03", "labels": b"\0\0\x08\x01"}
"""The first bytes of a file: unsigned bytes in three dimensions, and in one."""
MAX_HEADER = 16


def shape(header: bytes, size: int, name: str, kind: Kind | None = None) -> tuple[int, ...]:
    """Return the shape that the header of an MNIST file announces, checked against the size of the file.

    Parameters
    ----------
    header : bytes
        The beginning of the file, at least :data:`MAX_HEADER` bytes of it if it has as many.
    size : int
        Size of the whole file in bytes.
    name : str
        What to call the file in errors.
    kind : str, optional
        ``images`` or ``labels``, if only one of them will do.

    Returns
    -------
    tuple of int
        (count, rows, columns) of images, (count,) of labels.

    Raises
    ------
    ValueError
        If it is no such file, empty, or shorter or longer than it says.

    Examples
    --------
    >>> shape(bytes([0, 0, 8, 1, 0, 0, 0, 5]), 13, "labels.gz")
    (5,)
    """
    found = next((known for known, magic in KINDS.items() if header[:4] == magic), None)
    begin = MAX_HEADER if found == "images" else 8
    if found is None or len(header) < begin:
        found = None
    if found is None or kind not in {None, found}:
        what = f"holds {found}" if found else "is not an IDX file"
        wanted = f"an IDX file of {kind}" if kind else "an IDX file of images or labels"
        message = f"{name} {what}, but {wanted} is needed; it starts with {header[:4].hex(' ') or 'nothing'}."
        raise ValueError(message)
    lengths = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, begin, 4))
    row = math.prod(lengths[1:])
    if not lengths[0] or not row:
        message = f"{name} holds no {found}: its header says {' x '.join(map(str, lengths))}."
        raise ValueError(message)
    expected = begin + lengths[0] * row
    if size != expected:
        state, end = "too long", ""
        if size < expected:
            state, end = "cut short", f", and ends in row {(size - begin) // row}"
        message = f"{name} is {state}: it has {size:,} bytes, but its header promises {expected:,}{end}."
        raise ValueError(message)
    return lengths


def read(path: str | Path) -> NDArray[np.uint8]:
    """Read an IDX file, plain or gzipped.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    ndarray of uint8
        Images of shape (count, rows, columns), or labels of shape (count,).

    Raises
    ------
    ValueError
        If it is no IDX file of images or labels, or not as long as it says.
    """
    import numpy as np  # noqa: PLC0415 - the protocol is imported where no array is needed

    content = Path(path).read_bytes()
    if content[:2] == GZIP_MAGIC:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            message = f"{path} cannot be unpacked: {error}."
            raise ValueError(message) from None
    lengths = shape(content[:MAX_HEADER], len(content), str(path))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(lengths)).reshape(lengths)
