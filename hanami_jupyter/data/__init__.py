"""MNIST digits: a sample that ships with the package, and the full set, downloaded once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from hanami_jupyter.protocol.idx import read as read_idx

__all__ = ["Digits", "digits", "mnist", "read_idx", "sample"]

VARIABLE = "HANAMI_DATA_DIR"
MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
HASHES = {
    "train-images-idx3-ubyte.gz": "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}


class Digits(NamedTuple):
    """Paths of four IDX files, plain or gzipped.

    Attributes
    ----------
    train_images, train_labels, test_images, test_labels : Path
        Images are (count, 28, 28) bytes, 0 for white paper to 255 for ink; labels are (count,) bytes, 0 to 9.
    """

    train_images: Path
    train_labels: Path
    test_images: Path
    test_labels: Path


def sample() -> Digits:
    """Return the sample that ships with the package: 6,000 digits to train with, 1,000 to test with.

    Examples
    --------
    >>> read_idx(sample().train_images).shape
    (6000, 28, 28)
    """
    return Digits(*(Path(__file__).parent / f"sample-{name}" for name in HASHES))


def mnist(*, progress: bool = True) -> Digits:
    """Return the full MNIST set: 60,000 digits to train with, 10,000 to test with.

    The files in the folder that the environment variable ``HANAMI_DATA_DIR`` names are used if it is set.
    Otherwise they are downloaded once (11 MB), checked and kept in the user's cache.

    Parameters
    ----------
    progress : bool
        Whether to show a progress bar while downloading.

    Returns
    -------
    Digits
        The paths of the four files.

    Raises
    ------
    FileNotFoundError
        If ``HANAMI_DATA_DIR`` is set and a file is not there.
    ConnectionError
        If no mirror gave the right file.
    """
    folder = os.environ.get(VARIABLE)
    return _from_folder(Path(folder)) if folder else _download(progress=progress)


def digits() -> Digits:
    """Return the digits to begin with: those in ``HANAMI_DATA_DIR`` if it is set, otherwise the sample."""
    return mnist() if os.environ.get(VARIABLE) else sample()


def _from_folder(folder: Path) -> Digits:
    found = []
    for name in HASHES:
        choices = [folder / name, folder / name.removesuffix(".gz")]
        path = next((choice for choice in choices if choice.is_file()), None)
        if path is None:
            message = (
                f"{VARIABLE} is {folder}, but there is no {choices[1].name}, plain or gzipped, in it. "
                f"Put the four MNIST files there, or unset {VARIABLE}."
            )
            raise FileNotFoundError(message)
        found.append(path)
    return Digits(*found)


def _download(*, progress: bool) -> Digits:
    import platformdirs  # noqa: PLC0415 - only a download needs it

    cache = Path(platformdirs.user_cache_dir("hanami-jupyter")) / "mnist"
    return Digits(*(_fetch(cache, name, progress=progress) for name in HASHES))


def _fetch(cache: Path, name: str, *, progress: bool) -> Path:
    import pooch  # noqa: PLC0415 - only a download needs it

    pooch.get_logger().setLevel("WARNING")
    reasons = []
    for mirror in MIRRORS:
        try:
            return Path(pooch.retrieve(mirror + name, HASHES[name], name, cache, progressbar=progress))
        except OSError as error:  # every failure of requests is one
            reasons.append(f"{mirror}: {type(error).__name__}")
        except ValueError:
            reasons.append(f"{mirror}: not the right file")
    message = (
        f"{name} could not be downloaded ({'; '.join(reasons)}). Check the network, or put the four MNIST "
        f"files into a folder and name it in {VARIABLE}."
    )
    raise ConnectionError(message)
