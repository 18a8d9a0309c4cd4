"""Draws the packaged sample from the MNIST set in HANAMI_DATA_DIR: as many of each digit, evenly spaced."""

import gzip
from pathlib import Path

import numpy as np

from hanami_jupyter.data import mnist, read_idx, sample

PER_DIGIT = {"train": 600, "test": 100}


def rows(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the rows to keep, in their order: ``count`` of each digit, evenly spaced over its rows."""
    kept = []
    for digit in range(10):
        of_digit = np.flatnonzero(labels == digit)
        kept.append(of_digit[np.linspace(0, len(of_digit) - 1, count).round().astype(int)])
    return np.sort(np.concatenate(kept))


def write(path: Path, values: np.ndarray) -> None:
    """Write values as a gzipped IDX file, the same bytes each time."""
    header = bytes([0, 0, 8, values.ndim]) + b"".join(n.to_bytes(4, "big") for n in values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes(), 9, mtime=0))


def main() -> None:
    """Write the four files."""
    full, into = mnist(), sample()
    for images, labels, count in (
        ("train_images", "train_labels", PER_DIGIT["train"]),
        ("test_images", "test_labels", PER_DIGIT["test"]),
    ):
        truth = read_idx(getattr(full, labels))
        keep = rows(truth, count)
        write(getattr(into, images), read_idx(getattr(full, images))[keep])
        write(getattr(into, labels), truth[keep])


if __name__ == "__main__":
    main()
