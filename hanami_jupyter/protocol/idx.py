"""IDX files, the format of MNIST: reading and checking them."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNSIGNED_BYTE = 0x08
GZIP_MAGIC = b"\x1f\x8b"


def shape(header: bytes, size: int, name: str = "The file") -> tuple[int, ...]:
    """Return the shape an IDX header announces, after checking it against the size of the file.

    Parameters
    ----------
    header : bytes
        The beginning of the file, at least 4 bytes and 4 for each dimension.
    size : int
        Size of the whole file in bytes.
    name : str
        What to call the file in errors.

    Returns
    -------
    tuple of int
        Length of each dimension.

    Raises
    ------
    ValueError
        If it is no IDX file of unsigned bytes, or shorter or longer than it says.

    Examples
    --------
    >>> shape(bytes([0, 0, 8, 1, 0, 0, 0, 5]), 13)
    (5,)
    """
    if len(header) < 4 or header[:2] != b"\0\0" or header[2] != UNSIGNED_BYTE or not 1 <= header[3] <= 4:
        message = f"{name} is no IDX file of bytes: it starts with {header[:4].hex(' ') or 'nothing'}."
        raise ValueError(message)
    dimensions = header[3]
    begin = 4 + 4 * dimensions
    if len(header) < begin:
        message = f"{name} ends within its header."
        raise ValueError(message)
    lengths = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, begin, 4))
    expected = begin + math.prod(lengths)
    if size != expected:
        shorter = "truncated" if size < expected else "too long"
        message = f"{name} is {shorter}: its header announces {expected:,} bytes, but it has {size:,}."
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
        If it is no IDX file of bytes, truncated or too long.
    """
    import numpy as np  # noqa: PLC0415 - the protocol is imported where no array is needed

    content = Path(path).read_bytes()
    if content[:2] == GZIP_MAGIC:
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            message = f"{path} cannot be unpacked: {error}."
            raise ValueError(message) from None
    lengths = shape(content[:20], len(content), str(path))
    return np.frombuffer(content, np.uint8, offset=4 + 4 * len(lengths)).reshape(lengths)
