"""The panel of what a network gets right and wrong: epochs, confusion matrix, the rows behind each cell."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets

from hanami_jupyter import shown
from hanami_jupyter.panels.base import Panel, PanelError, card

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session

_GALLERY = 20  # rows shown at once
_MOST_CLASSES = 100  # a matrix larger than this cannot be read


@dataclass(frozen=True)
class _Answers:
    """What one epoch of a run answered: the class, its value, and the lead over the second best."""

    predicted: NDArray[np.int64]
    sure: NDArray[np.float64]
    lead: NDArray[np.float64]


class Accuracy(Panel):
    """Show how accurate one or several runs are, epoch by epoch, and which rows went wrong.

    Clicking a cell of the confusion matrix shows its rows. The same as figures: :func:`plot_history`,
    :func:`plot_confusion_matrix`, :func:`plot_accuracy`, :func:`plot_misclassified`.

    Parameters
    ----------
    labels : array-like
        The true classes: numbers ``(n,)`` or one-hot rows ``(n, classes)``, as
        ``session.dataset.download_dataset_content`` returns them.
    images : array-like, optional
        Pictures of the rows, ``(n, pixels)`` or ``(n, height, width)``.
    class_names : sequence of str, optional
        Names of the classes, by default their numbers.
    shape : (int, int), optional
        Height and width of a picture; by default square.

    Raises
    ------
    ValueError
        If labels or images do not fit together.

    Examples
    --------
    >>> panel = hanami_jupyter.Accuracy(labels, pictures)  # doctest: +SKIP
    >>> panel.add(outputs)  # doctest: +SKIP
    """

    bundle_name: ClassVar[str] = "accuracy"
    title = traitlets.Unicode("Accuracy").tag(sync=True)
    headline = traitlets.Unicode().tag(sync=True)
    classes: traitlets.List[str] = traitlets.List().tag(sync=True)
    runs: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    selected = traitlets.Unicode().tag(sync=True)
    matrix: traitlets.List[list[int]] = traitlets.List().tag(sync=True)

    def __init__(
        self,
        labels: ArrayLike,
        images: ArrayLike | None = None,
        *,
        class_names: Sequence[str] | None = None,
        shape: tuple[int, int] | None = None,
    ) -> None:
        self._true = shown.labels(labels)
        named, count = len(class_names or ()), int(self._true.max()) + 1
        if np.ndim(labels) == 2 and named < count:  # names for all that occur say how many there are
            count = max(count, np.shape(labels)[1])
        self._count = max(count, named)
        if self._count > _MOST_CLASSES:
            message = (
                f"There are {self._count} classes, and the panel shows {_MOST_CLASSES} at most. Group some."
            )
            raise ValueError(message)
        self._images = None if images is None else shown.pictures(images, len(self._true), shape)
        self._answers: dict[str, _Answers] = {}
        super().__init__(classes=shown.names(class_names, self._count))

    @classmethod
    def of_dataset(
        cls,
        session: Session | Login,
        dataset_uuid: str,
        *,
        labels: str = "label",
        images: str | None = "picture",
        class_names: Sequence[str] | None = None,
        shape: tuple[int, int] | None = None,
    ) -> Accuracy:
        """Make the panel for a dataset on the server.

        Parameters
        ----------
        session : Session or Login
            The connection to the server.
        dataset_uuid : str
            The dataset with the true classes.
        labels : str
            Its column with the true classes.
        images : str, optional
            Its column with pictures; None if it has none.
        class_names, shape
            As of :class:`Accuracy`.

        Returns
        -------
        Accuracy
            The panel; add results with :meth:`add`.

        Examples
        --------
        >>> panel = hanami_jupyter.Accuracy.of_dataset(session, test)  # doctest: +SKIP
        """
        dataset = getattr(session, "session", session).dataset
        rows = int(dataset.get_dataset(dataset_uuid)["number_of_rows"])

        def content(column: str) -> NDArray[Any]:
            values: NDArray[Any] = dataset.download_dataset_content(dataset_uuid, column, rows, 0)
            return values

        pixels = None if images is None else content(images)
        return cls(content(labels), pixels, class_names=class_names, shape=shape)

    # -- adding

    def add(self, outputs: ArrayLike, run: str = "training", *, seconds: float | None = None) -> None:
        """Add what a run answered after one more epoch.

        Parameters
        ----------
        outputs : array-like
            The network's outputs ``(n, classes)``, or class numbers ``(n,)``.
        run : str
            Which run this epoch belongs to; a name not yet seen starts a new one.
        seconds : float, optional
            How long the epoch trained.

        Raises
        ------
        ValueError
            If the outputs do not fit the labels.

        Examples
        --------
        >>> panel.add(outputs, run="wide", seconds=0.6)  # doctest: +SKIP
        """
        answers = self._read(outputs)
        share = float((answers.predicted == self._true).mean())
        self._feed.call(lambda: self._added(run, answers, {"right": share, "seconds": seconds}))

    def _read(self, outputs: ArrayLike) -> _Answers:
        predicted = shown.labels(outputs)
        if len(predicted) != len(self._true):
            message = f"{len(predicted)} answers stand against {len(self._true)} labels. Give one for each."
            raise ValueError(message)
        if int(predicted.max()) >= self._count:
            message = (
                f"An answer is class {predicted.max()}, but there are {self._count} classes. Name them all."
            )
            raise ValueError(message)
        values = np.asarray(outputs, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] < 2:
            nothing = np.full(len(predicted), np.nan)
            return _Answers(predicted, nothing, nothing)
        second, first = np.partition(values, -2, axis=1)[:, -2:].T
        return _Answers(predicted, first, first - second)

    def _added(self, run: str, answers: _Answers, epoch: dict[str, Any]) -> None:
        self._answers[run] = answers
        known = {entry["name"]: entry["epochs"] for entry in self.runs}
        known[run] = [*known.get(run, []), epoch]
        self._select(run, runs=[{"name": name, "epochs": epochs} for name, epochs in known.items()])

    def _select(self, run: str, **traits: object) -> None:
        predicted = self._answers[run].predicted
        rows, wrong = len(self._true), int((predicted != self._true).sum())
        counts = shown.confusion(self._true, predicted, self._count)
        self.write(
            selected=run,
            matrix=counts.tolist(),
            headline=f"{100 * (rows - wrong) / rows:.1f} % of {rows:,}, {wrong:,} wrong",
            **traits,
        )

    # -- commands

    def do_select(self, run: str) -> None:
        """Show another run in the matrix."""
        if run not in self._answers:
            message = f"There is no run '{run}'. Add one first."
            raise PanelError(message)
        self._select(run)

    def do_gallery(
        self, order: str = "wrong", true: int | None = None, predicted: int | None = None
    ) -> dict[str, Any]:
        """Return the rows of a cell, the surest mistakes (``wrong``) or the least certain (``uncertain``)."""
        rows = self._rows(order, true, predicted)
        return {"count": len(rows), "rows": [self._row(int(index)) for index in rows[:_GALLERY]]}

    def _rows(self, order: str, true: int | None, predicted: int | None) -> NDArray[np.intp]:
        if self.selected not in self._answers:
            return np.empty(0, dtype=np.intp)
        answers = self._answers[self.selected]
        if true is not None and predicted is not None:
            rows = np.flatnonzero((self._true == true) & (answers.predicted == predicted))
        elif order == "wrong":
            rows = np.flatnonzero(self._true != answers.predicted)
        else:
            rows = np.arange(len(self._true))
        least = order == "uncertain" and true is None
        return rows[np.argsort(answers.lead[rows] if least else -answers.sure[rows], kind="stable")]

    def _row(self, index: int) -> dict[str, Any]:
        answers = self._answers[self.selected]
        sure = answers.sure[index]
        return {
            "index": index,
            "true": int(self._true[index]),
            "predicted": int(answers.predicted[index]),
            "sure": None if np.isnan(sure) else round(min(max(float(sure), 0.0), 1.0), 3),
            "image": None if self._images is None else shown.png(self._images[index]),
        }

    # -- the static picture

    def picture(self) -> str:
        """Return the headline, the accuracy of each class, and the surest mistakes."""
        with card(self.title, self.headline or "no results yet", self.notice) as pieces:
            if self.matrix:
                pieces.append(self._class_table())
                mistakes = "".join(self._mistake(row) for row in self.do_gallery()["rows"][:10])
                pieces.append(f'<div class="hanami-digits">{mistakes}</div>')
        return "".join(pieces)

    def _class_table(self) -> str:
        counts = np.array(self.matrix)
        rows = counts.sum(axis=1)
        shares = 100 * np.divide(counts.diagonal(), rows, out=np.full(len(rows), np.nan), where=rows > 0)
        heads = "".join(f"<th>{html.escape(name)}</th>" for name in self.classes)
        cells = "".join("<td></td>" if np.isnan(share) else f"<td>{share:.1f}</td>" for share in shares)
        return (
            '<table class="hanami-still"><tbody>'
            f"<tr><th>class</th>{heads}</tr><tr><th>right (%)</th>{cells}</tr></tbody></table>"
        )

    def _mistake(self, row: dict[str, Any]) -> str:
        words = f"{html.escape(self.classes[row['true']])} → {html.escape(self.classes[row['predicted']])}"
        shown = f'<img src="{row["image"]}" alt="row {row["index"]}" width="48">' if row["image"] else ""
        return f'<figure class="hanami-digit">{shown}<figcaption>{words}</figcaption></figure>'
