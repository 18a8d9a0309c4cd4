"""Figures in matplotlib: accuracy, confusion, wrong digits, training history, cluster templates."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.patches import RegularPolygon
from matplotlib.ticker import EngFormatter, MaxNLocator

from hanami_jupyter import shown
from hanami_jupyter.protocol import template as grammar
from hanami_jupyter.shown import confusion, named, names, pair, pictures, worded

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

_PALETTE = json.loads((Path(__file__).parent / "palette.json").read_text(encoding="utf-8"))
CATEGORIES: list[str] = _PALETTE["categories"]
QUANTITIES = LinearSegmentedColormap.from_list("hanami", _PALETTE["quantities"])
_IMAGE_ROW = 5  # images side by side
_FEW = 3  # classes that occur in data that may have ten columns for another reason than ten digits
_LONGEST = 80  # letters of a class name in a title
_LENGTHS = (_LONGEST, 32, 24, 16, 12, 8, 4)  # and where it does not fit
_LABEL = 24  # letters of a class name beside a matrix, so that room is left for the matrix
_VARIED = ("depth", "width", "max_connection_distance")  # what the templates of a grid differ in
_MARKS = "osD^vPX"
_SIZES = {"memory_bytes": "bytes of memory", "seconds": "seconds of training"}
_ON_DARK = {"text": "#e0e0e0", "ground": "#111111"}
_ON_LIGHT = {"text": "#212121", "ground": "#ffffff"}


# -- what the notebook looks like


def is_dark() -> bool:
    """Return whether figures are drawn for a dark notebook.

    The environment variable ``HANAMI_THEME`` (``dark`` or ``light``) goes first, then what a panel told that
    the notebook shows, then the theme in the settings of JupyterLab and Notebook 7, and last matplotlib's own
    style (``plt.style.use("dark_background")``).

    Examples
    --------
    >>> is_dark()
    False
    """
    theme = os.environ.get("HANAMI_THEME", "").lower()
    if theme in {"dark", "light"}:
        return theme == "dark"
    told = shown.dark_by_settings() if shown.notebook.dark is None else shown.notebook.dark
    if told is not None:
        return told
    red, green, blue = mpl.colors.to_rgb(mpl.rcParams["axes.facecolor"])
    return 0.299 * red + 0.587 * green + 0.114 * blue < 0.5


@contextmanager
def _style() -> Iterator[dict[str, str]]:
    """Draw without chart junk, in the colours of the notebook; give those colours."""
    colours = _ON_DARK if is_dark() else _ON_LIGHT
    text, ground = colours["text"], colours["ground"]
    lines = (
        "text.color",
        "axes.labelcolor",
        "axes.edgecolor",
        "axes.titlecolor",
        "xtick.color",
        "ytick.color",
    )
    rules: dict[Any, Any] = dict.fromkeys(lines, text)
    rules |= {
        "axes.facecolor": ground,
        "figure.facecolor": ground,
        "savefig.facecolor": ground,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 11,
        "font.size": 9,
    }
    # rc_context would also undo what the first figure of a notebook sets: that cells show their figures
    before = {name: mpl.rcParams[name] for name in rules}
    mpl.rcParams.update(rules)
    try:
        yield colours
    finally:
        mpl.rcParams.update(before)


def _axes(ax: Axes | None, width: float, height: float) -> Axes:
    """Return the axes to draw on: the caller's, or those of a new figure."""
    if ax is not None:
        return ax
    return plt.subplots(figsize=(width, height), layout="constrained")[1]


# -- the figures


def _noun(class_names: Sequence[str] | None, counts: NDArray[np.int64]) -> str:
    """Return what the rows are: ten columns with a few classes in them are not yet digits."""
    occur = np.count_nonzero(counts.sum(axis=1))
    return "digits" if class_names is None and len(counts) == 10 and occur > _FEW else "rows"


def plot_accuracy(
    true: ArrayLike,
    predicted_or_outputs: ArrayLike,
    *,
    ax: Axes | None = None,
    class_names: Sequence[str] | None = None,
) -> Axes:
    """Draw the share of right answers, overall and for each class.

    Parameters
    ----------
    true : array-like
        Class numbers or words ``(n,)``, or one-hot rows ``(n, classes)``.
    predicted_or_outputs : array-like
        Class numbers or words ``(n,)``, or the network's outputs ``(n, classes)``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.
    class_names : sequence of str, optional
        Names of the classes, by default their numbers, or the words in the order of the alphabet.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; the title says the finding.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> plot_accuracy([0, 1, 1, 0], [0, 1, 0, 0]).get_title()
    '75.0 % of 4 rows right'
    """
    true, predicted_or_outputs, class_names = worded(true, predicted_or_outputs, class_names)
    counts, classes = named(confusion(true, predicted_or_outputs), class_names)
    rows, right = counts.sum(axis=1), counts.diagonal()
    overall = right.sum() / rows.sum()
    shares = 100 * np.divide(right, rows, out=np.full(len(rows), np.nan), where=rows > 0)
    with _style():
        ax = _axes(ax, 6, 3.2)
        bars = ax.bar(classes, np.nan_to_num(shares), color=CATEGORIES[0], width=0.7)
        for bar, share in zip(bars, shares, strict=True):
            middle = bar.get_x() + bar.get_width() / 2
            word = "" if np.isnan(share) else f"{share:.1f}"
            inside = ax.get_xaxis_transform()
            ax.text(middle, 0.03, word, ha="center", fontsize=8, color="white", transform=inside)
        ax.axhline(100 * overall, color=CATEGORIES[1], linewidth=1.5)
        beside = ax.get_yaxis_transform()
        ax.text(1.01, 100 * overall, f"all\n{100 * overall:.1f}", va="center", fontsize=8, transform=beside)
        ax.set_ylim(0, 102)
        ax.set(xlabel="true class", ylabel="right (%)")
        ax.set_title(f"{100 * overall:.1f} % of {rows.sum():,} {_noun(class_names, counts)} right")
    return ax


def plot_confusion_matrix(
    true: ArrayLike,
    predicted: ArrayLike,
    *,
    ax: Axes | None = None,
    class_names: Sequence[str] | None = None,
) -> Axes:
    """Draw how often each class was taken for each other one.

    Colours are on a logarithmic scale over the mistakes; the diagonal is muted so that they stand out.

    Parameters
    ----------
    true, predicted : array-like
        Class numbers or words ``(n,)``, or values ``(n, classes)``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.
    class_names : sequence of str, optional
        Names of the classes, by default their numbers, or the words in the order of the alphabet.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; the title says the finding.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> plot_confusion_matrix([0, 1, 1], [0, 1, 0]).get_title()
    '1 of 3 wrong, most often 1 taken for 0'
    """
    true, predicted, class_names = worded(true, predicted, class_names)
    counts, classes = named(confusion(true, predicted), class_names)
    mistakes = counts - np.diag(counts.diagonal())
    with _style() as colours:
        size = min(3.2 + 0.32 * len(counts), 9)
        ax = _axes(ax, size, size * 0.95)
        shown = np.ma.masked_equal(mistakes, 0)
        norm = LogNorm(vmin=0.8, vmax=max(float(mistakes.max()), 2.0))
        ax.imshow(shown, cmap=QUANTITIES, norm=norm, interpolation="nearest")
        _write_counts(ax, counts, norm, colours["text"])
        ticks = _short(classes, _LABEL)
        ax.set_xticks(range(len(classes)), ticks, rotation=0 if max(map(len, classes)) < 4 else 90)
        ax.set_yticks(range(len(classes)), ticks)
        ax.tick_params(length=0)
        ax.set(xlabel="predicted", ylabel="true")
        _entitle(ax, lambda length: _worst(mistakes, int(counts.sum()), _short(classes, length)))
    return ax


def _short(names: list[str], length: int) -> list[str]:
    return [name if len(name) <= length else f"{name[: length - 1]}…" for name in names]


def _entitle(ax: Axes, words: Callable[[int], str]) -> None:
    """Set the title, with names of so many letters: in lines, then with shorter names, until it fits."""
    first = words(_LONGEST)
    lines = first.replace(", ", ",\n")
    broken = [words(length).replace(", ", ",\n").replace(" taken", "\ntaken") for length in _LENGTHS]
    for title in (first, lines, *broken):
        ax.set_title(title)
        figure = ax.figure.canvas.figure  # the whole one, also where the axes stand in a part
        figure.draw_without_rendering()  # lays the figure out
        extent = ax.title.get_window_extent()
        if extent.x0 >= 0 and extent.x1 <= figure.bbox.width:
            return


def _write_counts(ax: Axes, counts: NDArray[np.int64], norm: LogNorm, text: str) -> None:
    for row, column in zip(*np.nonzero(counts), strict=True):
        count = counts[row, column]
        if row == column:
            colour = mpl.colors.to_rgba(text, 0.6)
        else:
            red, green, blue, _ = QUANTITIES(norm(count))
            light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
            colour = mpl.colors.to_rgba("black" if light else "white")
        ax.text(column, row, f"{count:,}", ha="center", va="center", fontsize=8, color=colour)


def _worst(mistakes: NDArray[np.int64], rows: int, names: list[str]) -> str:
    wrong = int(mistakes.sum())
    if not wrong:
        return f"None of {rows:,} wrong"
    row, column = np.unravel_index(int(mistakes.argmax()), mistakes.shape)
    return f"{wrong:,} of {rows:,} wrong, most often {names[row]} taken for {names[column]}"


def plot_misclassified(
    images: ArrayLike,
    true: ArrayLike,
    outputs: ArrayLike,
    *,
    count: int = 10,
    shape: tuple[int, int] | None = None,
    class_names: Sequence[str] | None = None,
) -> NDArray[Any]:
    """Draw the images that were answered wrongly, the surest mistakes first.

    Parameters
    ----------
    images : array-like
        Shape ``(n, pixels)`` or ``(n, height, width)``.
    true : array-like
        Class numbers ``(n,)`` or one-hot rows ``(n, classes)``.
    outputs : array-like
        The network's outputs ``(n, classes)``; class numbers ``(n,)`` do too, without an order.
    count : int
        How many images at most.
    shape : (int, int), optional
        Height and width of an image; by default square.
    class_names : sequence of str, optional
        Names of the classes, by default their numbers.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        One small image for each mistake, entitled ``true → predicted`` with the output's value below.

    Raises
    ------
    ValueError
        If shapes do not fit.

    Examples
    --------
    >>> axes = plot_misclassified(np.zeros((2, 4)), [0, 1], [[0.9, 0.1], [0.8, 0.2]])
    >>> axes[0].figure.get_suptitle()
    '1 of 2 wrong'
    """
    one, other = pair(true, outputs)
    stack = pictures(images, len(one), shape)
    classes = names(class_names, int(max(one.max(), other.max())) + 1)
    wrong = np.flatnonzero(one != other)
    values = np.asarray(outputs, dtype=float)
    sure = values.max(axis=1) if values.ndim == 2 and values.shape[1] > 1 else np.full(len(one), np.nan)
    chosen = wrong[np.argsort(-sure[wrong], kind="stable")][:count]
    columns = min(max(len(chosen), 1), _IMAGE_ROW)
    rows = max(-(-len(chosen) // columns), 1)
    with _style() as colours:
        figure, grid = plt.subplots(
            rows, columns, figsize=(6, 0.6 + 1.55 * rows), squeeze=False, layout="constrained"
        )
        figure.suptitle(f"{len(wrong):,} of {len(one):,} wrong", fontsize=11)
        for ax in grid.flat:
            ax.set_axis_off()
        for ax, index in zip(grid.flat, chosen, strict=False):
            ax.imshow(stack[index], cmap="gray" if is_dark() else "gray_r")
            ax.set_title(f"{classes[one[index]]} → {classes[other[index]]}", loc="center")
            if not np.isnan(sure[index]):
                _bar(ax, sure[index], colours)
    return grid.ravel()


def _bar(ax: Axes, value: float, colours: dict[str, str]) -> None:
    """Draw a thin bar below an image: how sure the network was."""
    value = min(max(value, 0.0), 1.0)
    track = mpl.colors.to_rgba(colours["text"], 0.15)
    for end, colour in ((1.0, track), (value, mpl.colors.to_rgba(CATEGORIES[1]))):
        ax.plot([0, end], [-0.06, -0.06], color=colour, linewidth=2.5, transform=ax.transAxes, clip_on=False)
    ax.text(0.5, -0.11, f"{100 * value:.0f} %", ha="center", va="top", fontsize=7, transform=ax.transAxes)


def plot_history(
    history: pd.DataFrame | Mapping[str, Sequence[float] | pd.DataFrame] | Sequence[float],
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw the accuracy, or the error, after each epoch, one line for each run.

    Parameters
    ----------
    history : sequence of float, pandas.DataFrame, or mapping of str to one of them
        Accuracies in percent, one for each epoch, or what ``session.fit`` returned, whose column ``accuracy``
        or ``error`` is drawn; a mapping compares several runs by name.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; the title says the finding.

    Raises
    ------
    ValueError
        If a run has no epoch, if a table has neither accuracies nor errors, or if one run has these and
        another one those.

    Examples
    --------
    >>> plot_history([91.5, 94.0, 95.2]).get_title()
    '95.2 % after 3 epochs'
    """
    given = history if isinstance(history, Mapping) else {"": history}
    kinds = {_measure(values) for values in given.values()}
    if len(kinds) > 1:
        message = "Some runs have accuracies and others errors. Draw them apart."
        raise ValueError(message)
    errors = kinds == {"error"}
    runs = {
        name: list(values["error" if errors else "accuracy"] if isinstance(values, pd.DataFrame) else values)
        for name, values in given.items()
    }
    if not runs or not all(len(values) for values in runs.values()):
        message = "A run has no epoch. Give at least one accuracy for each run."
        raise ValueError(message)
    with _style() as colours:
        ax = _axes(ax, 6, 3.2)
        for number, (name, values) in enumerate(runs.items()):
            colour = CATEGORIES[number % (len(CATEGORIES) - 1)]
            ax.plot(range(1, len(values) + 1), values, marker="o", markersize=4, color=colour, label=name)
        ax.set(xlabel="epoch", ylabel="mean absolute error" if errors else "right (%)")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        best = (min if errors else max)(runs, key=lambda name: runs[name][-1])
        found = f"error {runs[best][-1]:.3g}" if errors else f"{runs[best][-1]:.1f} %"
        last = f"{found} after {len(runs[best])} epoch{'s' if len(runs[best]) > 1 else ''}"
        ax.set_title(f"{best}: {last}" if len(runs) > 1 else last)
        if len(runs) > 1:
            ax.legend(frameon=False, labelcolor=colours["text"])
    return ax


def _measure(values: Sequence[float] | pd.DataFrame) -> str:
    """Return what a run was measured by."""
    if not isinstance(values, pd.DataFrame):
        return "accuracy"
    for name in ("accuracy", "error"):
        if name in values and not (len(values) and values[name].isna().all()):
            return name
    message = "The table has no accuracies. Give session.fit a dataset to test with: fit(..., test=...)."
    raise ValueError(message)


def plot_sweep(
    sweep: pd.DataFrame, *, size: str = "synapses", by: str | None = None, ax: Axes | None = None
) -> Axes:
    """Draw the accuracy of each network of a sweep against its size.

    The mean over seeds stands for a template. A line joins those that no smaller one surpasses. Close to the
    best is what lies within one percentage point of it.

    Parameters
    ----------
    sweep : pandas.DataFrame
        What ``session.sweep`` returned; only finished and tested networks are drawn.
    size : str
        Column to draw against, such as ``synapses``, ``blocks``, ``memory_bytes`` or ``seconds``.
    by : str, optional
        Column that colours and shapes the marks, by default the first parameter of a grid that varies.
    ax : matplotlib.axes.Axes, optional
        Where to draw; by default a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The axes drawn on; the title says which is best, and which small one comes near.

    Raises
    ------
    ValueError
        If a column is not there, or if no network was tested.

    Examples
    --------
    >>> table = pd.DataFrame(
    ...     {"template": ["small", "large"], "accuracy": [93.5, 94.0], "synapses": [100, 400]}
    ... )
    >>> plot_sweep(table).get_title()
    'large is best with 94.0 %, small comes close with 25 % of its synapses'
    """
    means = _means(sweep, size, by)
    known = [name for name in _VARIED if name in means and means[name].nunique() > 1]
    by = by or next(iter(known), None)
    best = str(means["accuracy"].idxmax())
    near = means[means["accuracy"] >= means["accuracy"].max() - 1]
    small = str(near[size].idxmin())
    with _style() as colours:
        ax = _axes(ax, 6, 3.6)
        groups = [("", means)] if by is None else list(means.groupby(by))
        for number, (value, group) in enumerate(groups):
            colour = CATEGORIES[number % (len(CATEGORIES) - 1)]
            mark = _MARKS[number % len(_MARKS)]
            ax.scatter(group[size], group["accuracy"], s=28, color=colour, marker=mark, label=value, zorder=2)
        steps = means.sort_values([size, "accuracy"], ascending=[True, False])
        front = steps[steps["accuracy"] >= steps["accuracy"].cummax()]
        ax.plot(front[size], front["accuracy"], color=colours["text"], alpha=0.4, linewidth=1, zorder=1)
        what = _SIZES.get(size, size.replace("_", " "))
        ax.set(xlabel=what, ylabel="right (%)")
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
        if by is not None:
            ax.legend(
                title=by.replace("_", " "), frameon=False, labelcolor=colours["text"],
                loc="upper left", bbox_to_anchor=(1, 1),
            )  # fmt: skip
        sizes = means[size].to_dict()
        share = sizes[small] / (sizes[best] or 1.0)
        _entitle(ax, lambda length: _finding(means, _short([best, small], length), share, what))
    return ax


def _means(sweep: pd.DataFrame, size: str, by: str | None) -> pd.DataFrame:
    """Return accuracy, size and parameters of each template, over its seeds."""
    for name in filter(None, ("template", "accuracy", size, by)):
        if name not in sweep:
            message = f"The table has no column '{name}'. It has {', '.join(map(str, sweep.columns))}."
            raise ValueError(message)
    tested = sweep[sweep["accuracy"].notna() & sweep[size].notna()]
    if tested.empty:
        message = "No network was tested. Give session.sweep a dataset to test with: sweep(..., test=...)."
        raise ValueError(message)
    columns = dict.fromkeys(("accuracy", size), "mean") | {
        name: "first" for name in (*_VARIED, by) if name in tested and name != size
    }
    means = tested.groupby("template", sort=False).agg(columns).astype({"accuracy": float, size: float})
    return means.rename_axis(None)


def _finding(means: pd.DataFrame, names: list[str], share: float, what: str) -> str:
    """Return which network is best, and which small one comes near."""
    first = f"{names[0]} is best with {means['accuracy'].max():.1f} %"
    if names[0] == names[1]:
        return f"{first}, nothing smaller comes close"
    return f"{first}, {names[1]} comes close with {100 * share:.0f} % of its {what}"


# -- templates


def show_template(template_or_text: grammar.Template | str) -> NDArray[Any]:
    """Draw a cluster template: its hexagons layer by layer, inputs and outputs coloured and named.

    Parameters
    ----------
    template_or_text : Template or str
        A parsed template, or its text.

    Returns
    -------
    numpy.ndarray of matplotlib.axes.Axes
        One drawing for each layer z; thin lines show which hexagons may connect.

    Raises
    ------
    TemplateError
        If the text is not a template; every fault is listed with its place.

    Examples
    --------
    >>> head = "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1"
    >>> show_template(f"{head} inputs: a: 1,1,1 outputs: b: 2,1,1")[0].get_title()
    'layer z = 1'
    """
    text = template_or_text
    template = grammar.parse(text) if isinstance(text, str) else text
    layers = sorted({z for _, _, z in template.hexagons})
    points = np.array([_centre(position) for position in template.hexagons])
    low, high = points.min(axis=0) - 0.9, points.max(axis=0) + 0.9
    low[1] -= 0.3
    wide, tall = high - low
    scale = min(0.75, 6 / (wide * len(layers)))
    with _style() as colours:
        _, grid = plt.subplots(
            1,
            len(layers),
            figsize=(max(wide * len(layers) * scale, 3), max(tall * scale, 1.0) + 0.5),
            squeeze=False,
            layout="constrained",
        )
        for ax, layer in zip(grid.flat, layers, strict=True):
            _draw_layer(ax, template, layer, colours)
            ax.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]), aspect="equal")
            ax.set_axis_off()
            ax.set_title(f"layer z = {layer}")
    return grid.ravel()


def _centre(position: grammar.Position) -> tuple[float, float]:
    """Return the middle of a hexagon in its layer: odd rows stand half a step to the right."""
    x, y, _ = position
    return x + 0.5 * (y % 2), y * np.sqrt(3) / 2


def _draw_layer(ax: Axes, template: grammar.Template, layer: int, colours: dict[str, str]) -> None:
    known = set(template.hexagons)
    behind = {"facecolor": colours["ground"], "edgecolor": "none", "alpha": 0.8, "pad": 0.5}
    ends = {place: (name, 0) for name, place in template.inputs.items()}
    ends |= {place: (name, 1) for name, place in template.outputs.items()}
    for position in template.hexagons:
        if position[2] != layer:
            continue
        x, y = _centre(position)
        for other, steps in grammar.within(
            position, template.settings.max_connection_distance, known
        ).items():
            if other[2] == layer and other > position:
                ends_x, ends_y = zip((x, y), _centre(other), strict=True)
                ax.plot(ends_x, ends_y, color=colours["text"], alpha=0.35, linewidth=2 / steps, zorder=1)
        name, number = ends.get(position, ("", -1))
        face = CATEGORIES[number] if name else colours["ground"]
        ax.add_patch(
            RegularPolygon(
                (x, y), 6, radius=0.42, facecolor=face, edgecolor=colours["text"], linewidth=1, zorder=2
            )
        )
        if name:
            ax.text(x, y + 0.62, name, ha="center", va="center", fontsize=8, zorder=3, bbox=behind)
