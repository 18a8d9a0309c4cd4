"""Forged snapshots: their checksum is right, what stands in them is not."""

import json
import zlib

import numpy as np

from hanami_jupyter.engine.snapshot import MAGIC

WHOLE = [-1, 0, 1, 2, 127, 128, 511, 512, 513, 2**31 - 1, -(2**31), 2**62, -(2**62), 2**63 - 1, -(2**63)]
REAL = [0.0, -0.0, 1.0, -1.0, 1e-45, 5e-324, 3e38, -3e38, 1e39, 1e308, np.inf, -np.inf, np.nan]
STRANGE = [
    None, True, -1, 2**40, 2**64, 1e300, "", "x", "version: 1", [], {}, [[]], [-1], [2**40], [1.5], ["1"],
    "<f4", "|O", "<f2", "<c8", "((((", "f4,f4", "|V0", "|S9", [["a", "<f4"]],
]  # fmt: skip


def read(data):
    """Return the header of a snapshot, and its arrays by name."""
    at = len(MAGIC) + 12
    end = at + int.from_bytes(data[at - 8 : at], "little")
    header, arrays = json.loads(data[at:end]), {}
    for name, dtype, shape in header["arrays"]:
        arrays[name] = np.frombuffer(data, dtype, int(np.prod(shape)), end).reshape(shape).copy()
        end += arrays[name].nbytes
    return header, arrays


def write(header, arrays, *, described=False):
    """Return a snapshot with a right checksum; ``described`` says that the header tells of the arrays."""
    if not described:
        header = {**header, "arrays": [[n, a.dtype.str, a.shape] for n, a in arrays.items()]}
    text = json.dumps(header).encode()
    return seal(len(text).to_bytes(8, "little") + text + b"".join(a.tobytes() for a in arrays.values()))


def seal(body):
    """Return what follows the checksum with one in front of it."""
    return MAGIC + zlib.crc32(body).to_bytes(4, "little") + body


def forge(rng, data):
    """Return a snapshot that differs from a true one in some places."""
    header, arrays = read(data)
    what = rng.random()
    if what < 0.1:
        _lie(rng, header)
        return write(header, arrays, described=True)
    if what < 0.15:
        place = rng.choice([0, 1, 4, 7])
        body = bytearray(data[len(MAGIC) + 4 :])
        body[place] = rng.randrange(256)
        return seal(bytes(body[: rng.choice([4, 8, 100, len(body), len(body)])]))
    for _ in range(rng.choice([1, 1, 2, 5])):
        name = rng.choice(list(arrays))
        arrays[name] = _resized(rng, arrays[name]) if what < 0.25 else _changed(rng, arrays[name])
    return write(header, arrays)


def _lie(rng, header):
    """Let the header say something else of an array, or of the cluster."""
    if rng.random() < 0.3:
        header[rng.choice(list(header))] = rng.choice(STRANGE)
        return
    entry = rng.choice(header["arrays"])
    place = rng.randrange(3)
    if place == 2 and entry[2] and rng.random() < 0.7:
        shape = list(entry[2])
        shape[rng.randrange(len(shape))] = rng.choice([*WHOLE, 2**32, 10**30])
        entry[2] = shape
    else:
        entry[place] = rng.choice(STRANGE)


def _resized(rng, array):
    shape = list(array.shape)
    if shape:
        place = rng.randrange(len(shape))
        shape[place] = rng.choice([0, 1, shape[place] + 1, max(shape[place] - 1, 0), 2 * shape[place]])
    if rng.random() < 0.1:
        shape = rng.choice([[], [0], [0, 2**40], [2**40, 0], [*shape, 1]])
    return np.resize(array, shape) if array.size else np.zeros(shape if 0 in shape else [0], array.dtype)


def _changed(rng, array):
    array, flat = array.copy(), np.arange(array.size)
    if not array.size:
        return array
    at = rng.sample(list(flat), min(len(flat), rng.choice([1, 2, 3, 200])))
    what = rng.random()
    if what < 0.35:  # what stands elsewhere, so that something is there twice
        array.flat[at] = array.flat[rng.randrange(array.size)]
    elif what < 0.55:
        array.flat[at] = array.flat[at[::-1]]
    elif what < 0.65 and array.dtype != bool:
        array.flat[at] += array.dtype.type(rng.choice([1, -1]))
    elif array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array.flat[at] = np.array(rng.choice(REAL)).astype(array.dtype)
    else:
        array.flat[at] = np.array(rng.choice(WHOLE)).astype(array.dtype)
    return array
