"""What requests answered: curves of outputs, the comparison with a dataset's labels, files."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import traitlets

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels.accuracy import Accuracy
from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.panels.recipes import Expression, step
from hanami_jupyter.panels.resources import Action, Field, Resources, offers
from hanami_jupyter.panels.table import Column
from hanami_jupyter.panels.transfers import file_name

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from hanami_jupyter.panels.base import Panel
    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session

_LOOKED_AT = 100  # clusters and datasets that are looked into, the latest
_POINTS = 300  # of a curve
_LINES = 7  # curves of a wide column: as many as there are colours
_SMALLEST_PICTURE = 16  # pixels


class Results(Resources):
    """Show the results of requests: their curves, how right they are, as files.

    Parameters
    ----------
    session : Session or Login
        The connection to the server.
    opens : callable, optional
        Called with a function that makes the panel of a comparison, to show it.

    Examples
    --------
    >>> Results(session).selected
    ''
    """

    many = "results"
    selects = "dataset"
    empty = "The results of requests will be here. Train a cluster, then request its outputs for a dataset."
    source = ("dataset.list_datasets", ("dataset", "list"))
    plotted: ClassVar[bool] = True
    columns = (
        Column("name", "Name"),
        Column("created_at", "Created", "time"),
        Column("owner_id", "Owner"),
        Column("uuid", "Uuid", "uuid"),
    )
    actions = (
        Action("all", "Show all datasets", row=False),
        Action("results", "Show results alone", row=False),
        Action("compare", "Compare with labels", form=True),
        Action("csv", "Download CSV"),
        Action("npy", "Download NPY"),
        Action("delete", "Delete", question="Delete '{name}'? Its rows cannot be brought back."),
    )
    every = traitlets.Bool()

    def __init__(
        self, session: Session | Login, opens: Callable[[Callable[[], Panel]], None] | None = None
    ) -> None:
        self._opens = opens
        self._clusters: dict[str, str] = {}  # of the tasks, which bear the uuid of their result
        self._task = ""
        self._followed = True
        super().__init__(session)
        self.offered = offers(self.actions, "results")

    def implies(self, key: str) -> dict[str, str]:
        """Select the task that left a result, and its cluster."""
        task = {"task": key, "cluster": self._clusters[key]} if key in self._clusters else {}
        return super().implies(key) | task

    def follow(self, chosen: Mapping[str, str]) -> None:
        """Select the result of the selected task."""
        if chosen["task"] != self._task:
            self._task, self._followed = chosen["task"], False
            self.refresh()

    def update(self) -> float | None:
        """Read the results; select the one of the task that is followed."""
        delay = super().update()
        if not self._followed:
            self._followed = True
            if self._task in self.rows:
                self.write(selected=self._task)
        return delay

    def read(self) -> pd.DataFrame:
        """Return the datasets that a request left, the latest first; or all of them."""
        session = self.session
        found: pd.DataFrame = session.dataset.list_datasets()[::-1]
        tasks: dict[str, str] = {}
        for cluster in session.cluster.list_clusters()["uuid"][-_LOOKED_AT:]:
            try:
                tasks |= dict.fromkeys(map(str, session.task.list_tasks(cluster)["uuid"]), str(cluster))
            except exceptions.NotFoundException:
                continue  # deleted meanwhile
        self._clusters = tasks
        return found if self.every else found[found["uuid"].isin(tasks)]

    def act_all(self, _: str) -> None:
        """Show datasets too that no request left, or none that is known any more."""
        self._show_every(True)

    def act_results(self, _: str) -> None:
        """Show what requests left alone."""
        self._show_every(False)

    def _show_every(self, every: bool) -> None:
        self.every = every
        self.write(offered=offers(self.actions, "all" if every else "results"))

    # -- looking into a result

    def do_plot(self, key: str, column: str = "") -> dict[str, Any]:
        """Return curves of a column; of the first one where none is named."""
        about = self.session.dataset.get_dataset(key)
        widths = _widths(about)
        column = column if column in widths else next(iter(widths), "")
        if not column:
            return {"columns": [], "column": "", "rows": 0, "lines": [], "more": 0}
        values = self._content(key, column)
        return {
            "columns": list(widths),
            "column": column,
            "rows": len(values),
            "lines": [
                {"name": column if widths[column] == 1 else f"{column} {place}", "values": _thinned(line)}
                for place, line in enumerate(values.T[:_LINES])
            ],
            "more": max(widths[column] - _LINES, 0),
        }

    def _content(self, key: str, column: str) -> NDArray[Any]:
        values: NDArray[Any] = self.session.dataset.download_dataset(key, column)
        return values

    def form_compare(self, key: str) -> list[Field]:
        """Ask for the column, and for a dataset's labels that fit it: as many rows, as many classes."""
        dataset = self.session.dataset
        about = dataset.get_dataset(key)
        widths, rows = _widths(about), int(about["number_of_rows"])
        fitting = []
        for uuid in dataset.list_datasets()["uuid"].astype(str)[::-1][:_LOOKED_AT]:
            try:
                other = dataset.get_dataset(uuid)
            except exceptions.HanamiException:
                continue  # deleted meanwhile, or still on its way
            if uuid == key or int(other["number_of_rows"]) != rows:
                continue
            for name, width in _widths(other).items():
                if width == 1 or width in widths.values():
                    fitting.append((f"{uuid} {name}", f"{other['name']}: {name}"))
        if not fitting:
            message = (
                f"No dataset has {rows:,} rows and labels for this result. Upload the one it was made from."
            )
            raise PanelError(message)
        fitting.sort(key=lambda pair: "label" not in pair[0])
        columns = [(name, name) for name in widths]
        return [
            Field("column", "Column", "choice", columns[0][0], columns),
            Field("labels", "Labels", "choice", fitting[0][0], fitting),
        ]

    def act_compare(self, key: str, column: str, labels: str) -> None:
        """Compare the outputs with labels: how many are right, and which are not."""
        reference, _, label = labels.partition(" ")
        outputs = self._content(key, column)
        true = self._content(reference, label)
        right = float((_classes(outputs) == _classes(true)).mean())
        name = str(self.rows[key]["name"])
        if self._opens is not None:
            pictures = self._pictures(reference, label)

            def made() -> Panel:
                panel = Accuracy(_classes(true), pictures)
                panel.title = f"Accuracy of {name}"
                panel.add(outputs if outputs.shape[1] > 1 else _classes(outputs), run=name)
                return panel

            self._opens(made)
        true_shown, shown = (
            Expression(f"session.dataset.download_dataset({uuid!r}, {name!r})", "hanami")
            for uuid, name in ((reference, label), (key, column))
        )
        words = ("dataset", "check", key, "-r", reference)
        self.did(step("hanami.plot_accuracy", true_shown, shown, words=words))
        self.write(said=f"'{name}': {100 * right:.1f} % of {len(true):,} are right.")

    def _pictures(self, reference: str, label: str) -> NDArray[Any] | None:
        """Return a column that looks like square pictures, if the dataset has one."""
        for name, width in _widths(self.session.dataset.get_dataset(reference)).items():
            if name != label and width >= _SMALLEST_PICTURE and int(width**0.5) ** 2 == width:
                return self._content(reference, name)
        return None

    # -- files

    def act_csv(self, key: str) -> dict[str, Any]:
        """Give a result as a table."""
        name = file_name(str(self.rows[key]["name"]), "csv")
        table = self.session.dataset.download_dataset(key, as_frame=True)
        self.did(step("dataset.download_dataset", key, as_frame=True, tail=f".to_csv({name!r}, index=False)"))
        return self.offer(name, table.to_csv(index=False).encode())

    def act_npy(self, key: str) -> dict[str, Any]:
        """Give a result as a NumPy file."""
        name = file_name(str(self.rows[key]["name"]), "npy")
        target = io.BytesIO()
        np.save(target, self.session.dataset.download_dataset(key))
        content = Expression(f"session.dataset.download_dataset({key!r})", "numpy")
        self.did(step("numpy.save", name, content, words=("dataset", "download", key, "-o", name)))
        return self.offer(name, target.getvalue())

    def act_delete(self, key: str) -> None:
        """Delete a result."""
        name = self.rows[key]["name"]
        self.session.dataset.delete_dataset(key)
        self.did(step("dataset.delete_dataset", key, words=("dataset", "delete", key)))
        self.write(said=f"'{name}' was deleted.")


def _widths(about: Mapping[str, Any] | pd.Series[Any]) -> dict[str, int]:
    """Return the columns of a dataset with their widths, from left to right."""
    spans = sorted(about["description"].items(), key=lambda item: int(item[1]["column_start"]))
    return {str(name): int(span["column_end"]) - int(span["column_start"]) for name, span in spans}


def _classes(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the classes that outputs or labels mean: the greatest of several, else the nearest number."""
    if values.shape[1] > 1:
        return np.asarray(values.argmax(axis=1), dtype=np.int64)
    return np.asarray(np.rint(np.clip(values[:, 0], 0, None)), dtype=np.int64)


def _thinned(values: NDArray[Any]) -> list[float | None]:
    """Return a line with so many points that the eye sees no fewer, each the mean of its rows."""
    numbers = values.astype(np.float64)
    if len(numbers) > _POINTS:
        edges = np.linspace(0, len(numbers), _POINTS + 1).astype(int)
        numbers = np.add.reduceat(numbers, edges[:-1]) / np.diff(edges)
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in numbers]
