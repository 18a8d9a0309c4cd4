"""What panels and figures share: class numbers, their counts, pictures, and whether the notebook is dark."""

from __future__ import annotations

import base64
import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


_THEME = re.compile(r'^[\s{]*"theme"\s*:\s*"([^"]*)"', re.MULTILINE)
_ADAPTS = re.compile(r'^[\s{]*"adaptive-theme"\s*:\s*true', re.MULTILINE)


class Notebook:
    """What the front end told of itself; None until a panel was shown."""

    dark: bool | None = None


notebook = Notebook()


def dark_by_settings() -> bool | None:
    """Return whether the theme chosen in JupyterLab or Notebook 7 is dark; None where neither runs us.

    A front end tells its theme with the first panel, which is too late for the figures of a fast "run all".
    """
    if "JPY_SESSION_NAME" not in os.environ:  # which a Jupyter server gives to the kernels of notebooks
        return None
    from jupyter_core.paths import jupyter_config_dir  # noqa: PLC0415 - only needed here

    folder = os.environ.get("JUPYTERLAB_SETTINGS_DIR") or Path(jupyter_config_dir(), "lab", "user-settings")
    path = Path(folder, "@jupyterlab", "apputils-extension", "themes.jupyterlab-settings")
    try:
        settings = path.read_text(encoding="utf-8")
    except OSError:
        return None  # never changed, or not on this machine
    theme = _THEME.search(settings)
    return None if theme is None or _ADAPTS.search(settings) else "dark" in theme.group(1).lower()


def labels(values: ArrayLike) -> NDArray[np.int64]:
    """Return class numbers for labels ``(n,)`` or outputs and one-hot rows ``(n, classes)``.

    Parameters
    ----------
    values : array-like
        Class numbers, or one value for each class and row.

    Returns
    -------
    numpy.ndarray of int64
        Shape ``(n,)``.

    Raises
    ------
    ValueError
        If the shape is neither, if there is no row, or if a label is not a whole number of at least 0.

    Examples
    --------
    >>> labels([[0.1, 0.9], [0.8, 0.3]])
    array([1, 0])
    """
    array = np.asarray(values)
    if array.ndim not in {1, 2} or not array.size:
        message = (
            f"Labels have the shape {array.shape}. Give (rows,) class numbers or (rows, classes) values."
        )
        raise ValueError(message)
    if array.ndim == 2 and array.shape[1] > 1:
        if np.isnan(array).any():
            message = "Some outputs are not numbers. Leave out the rows with NaN."
            raise ValueError(message)
        return np.asarray(array.argmax(axis=1), dtype=np.int64)
    array = array.reshape(-1)
    numeric = np.issubdtype(array.dtype, np.number)
    wrong = array[(array < 0) | (array != np.floor(array))] if numeric else array
    if wrong.size:
        message = (
            f"Label {wrong[0]} is no class: those are words, or whole numbers from 0. "
            "Draw other numbers against what was expected: plt.scatter(true, predicted)."
        )
        raise ValueError(message)
    return np.asarray(array, dtype=np.int64)


def worded(
    true: ArrayLike, predicted: ArrayLike, class_names: Sequence[str] | None
) -> tuple[ArrayLike, ArrayLike, Sequence[str] | None]:
    """Return labels that are words as their numbers: in the order of the names, else sorted.

    Examples
    --------
    >>> worded(["dog", "cat"], [[0.1, 0.9], [0.8, 0.2]], None)
    ([1, 0], [[0.1, 0.9], [0.8, 0.2]], ['cat', 'dog'])
    """
    words = [_are_words(values) for values in (true, predicted)]
    if not any(words):
        return true, predicted, class_names
    given = [values for values, are in zip((true, predicted), words, strict=True) if are]
    found = sorted({str(word) for values in given for word in np.asarray(values)})
    known = found if class_names is None else [str(name) for name in class_names]
    width = max((np.shape(values)[1] for values in (true, predicted) if np.ndim(values) == 2), default=0)
    if class_names is None and not all(words) and width != len(known):
        against = f"{width} outputs" if width else "class numbers"
        told = f"The labels are {len(known)} words, which stand against {against}."
        message = f"{told} Give class_names in the order of the numbers."
        raise ValueError(message)
    if unknown := [word for word in found if word not in known]:
        message = f"Label '{unknown[0]}' is not among the class_names: {', '.join(known)}."
        raise ValueError(message)
    one, other = (
        [known.index(str(word)) for word in np.asarray(values)] if are else values
        for values, are in zip((true, predicted), words, strict=True)
    )
    return one, other, known


def _are_words(values: ArrayLike) -> bool:
    array = np.asarray(values)
    return array.ndim == 1 and bool(array.size) and isinstance(array[0], str)


def pair(true: ArrayLike, predicted: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return true and predicted class numbers, of one length."""
    one, other = labels(true), labels(predicted)
    if len(one) != len(other):
        message = f"{len(one)} true labels stand against {len(other)} predictions. Give as many of each."
        raise ValueError(message)
    return one, other


def confusion(true: ArrayLike, predicted: ArrayLike, classes: int | None = None) -> NDArray[np.int64]:
    """Count how often each true class was taken for each class.

    Parameters
    ----------
    true, predicted : array-like
        Class numbers ``(n,)``, or values ``(n, classes)``.
    classes : int, optional
        How many classes there are; by default as many as occur.

    Returns
    -------
    numpy.ndarray of int64
        Shape ``(classes, classes)``, true classes down, predicted ones across.

    Examples
    --------
    >>> confusion([0, 1, 1], [0, 1, 0])
    array([[1, 0],
           [1, 1]])
    """
    one, other = pair(true, predicted)
    size = max(int(one.max()), int(other.max())) + 1
    size = max(
        size, classes or 0, *(np.shape(values)[1] for values in (true, predicted) if np.ndim(values) == 2)
    )
    return np.bincount(one * size + other, minlength=size * size).reshape(size, size).astype(np.int64)


def names(class_names: Sequence[str] | None, count: int) -> list[str]:
    """Return the names of so many classes: those given, or their numbers."""
    if class_names is None:
        return [str(number) for number in range(count)]
    if len(class_names) < count:
        message = f"{len(class_names)} class names stand against {count} classes. Give one for each."
        raise ValueError(message)
    return list(map(str, class_names[:count]))


def named(
    counts: NDArray[np.int64], class_names: Sequence[str] | None
) -> tuple[NDArray[np.int64], list[str]]:
    """Return counts and the names of their classes; columns beyond the names are left out if none occurs."""
    known = len(counts) if class_names is None else len(class_names)
    if not counts[known:].any() and not counts[:, known:].any():
        counts = counts[:known, :known]
    return counts, names(class_names, len(counts))


def pictures(images: ArrayLike, rows: int, shape: tuple[int, int] | None) -> NDArray[Any]:
    """Return images as ``(rows, height, width)``; rows of pixels become square unless a shape is given."""
    array = np.asarray(images)
    if array.ndim not in {2, 3} or len(array) != rows:
        message = f"Images have the shape {array.shape} for {rows} labels. Give ({rows}, pixels)."
        raise ValueError(message)
    if array.ndim == 3:
        return array
    side = int(np.sqrt(array.shape[1]))
    height, width = shape or (side, side)
    if height * width != array.shape[1]:
        message = f"{array.shape[1]} pixels are no image of {height} by {width}. Say the size with shape=."
        raise ValueError(message)
    return array.reshape(rows, height, width)


def png(pixels: NDArray[Any]) -> str:
    """Return a grey picture as a data address, its darkest value black and its brightest white."""
    from matplotlib import image  # noqa: PLC0415 - only panels with pictures need it

    low, high = float(pixels.min()), float(pixels.max())
    grey = ((pixels - low) * (255 / (high - low or 1.0))).astype(np.uint8)
    target = io.BytesIO()
    image.imsave(target, grey, cmap="gray", vmin=0, vmax=255, format="png")
    return "data:image/png;base64," + base64.b64encode(target.getvalue()).decode()
