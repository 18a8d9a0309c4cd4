"""Whole trainings and predictions in one call, on top of tasks and direct messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client import cluster as clusters
from hanami_jupyter.client import dataset as datasets
from hanami_jupyter.client import task as tasks
from hanami_jupyter.client.arrays import refuse_missing
from hanami_jupyter.client.direct_io import DirectIO
from hanami_jupyter.client.hanami_exceptions import (
    BadRequestException,
    ConflictException,
    InvalidDataException,
)
from hanami_jupyter.client.transport import Verify, call, plain
from hanami_jupyter.protocol.spelling import meant

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    Outputs = NDArray[Any] | dict[str, NDArray[Any]]

__all__ = ["fit", "predict"]

Links = Mapping[str, str]
"""Column of the dataset by hexagon."""
Widths = Mapping[str, int]
"""Number of values by hexagon or column."""
_LOOKED_AT = 100  # rows of a dataset that are looked at before a training


def fit(
    token: str,
    address: str,
    cluster_uuid: str,
    train: str,
    epochs: int = 1,
    verify_connection: Verify = True,
    *,
    test: str | None = None,
    inputs: Links | None = None,
    outputs: Links | None = None,
    callback: tasks.Progress | None = None,
) -> pd.DataFrame:
    """Train a cluster for some epochs and check it after each.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid, train : str
        The cluster, and the dataset to learn.
    epochs : int
        Passes over the dataset.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    test : str, optional
        Dataset to check the cluster with after each epoch. Where it expects 0 and 1 alone, these are classes.
    inputs, outputs : mapping of str to str, optional
        Column of the dataset by hexagon. By default the column of the hexagon's name; with one input, one
        output and two columns, the first and the second column.
    callback : callable, optional
        Called with the running task after each look at it.

    Returns
    -------
    pandas.DataFrame
        By ``epoch``: with ``test`` the ``accuracy`` in percent of its rows, or, if it expects other numbers
        than classes, the mean absolute ``error``; ``seconds`` of training.

    Raises
    ------
    BadRequestException
        If it is not clear which column belongs to which hexagon, if a column has another width than the
        cluster has learned or than the same one of ``test``, or (`InvalidDataException`) if the first rows
        expect an output that is not within 0..1.
    ConflictException
        If the cluster is in direct mode, as inside ``with session.direct(cluster_uuid)``.
    TaskAbortedException
        If a task was aborted.

    Examples
    --------
    >>> fit(token, address, cluster_uuid, dataset_uuid, epochs=2, test=dataset_uuid).index.to_list()
    [1, 2]
    """
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    where = (token, address)
    cluster_uuid, train, test = plain(cluster_uuid), _uploaded("train", train), _uploaded("test", test)
    hexagons = _cluster(*where, cluster_uuid, verify_connection)
    about = datasets.get_dataset(*where, train, verify_connection)
    fed, expected = linked(hexagons, about["description"], inputs, outputs)
    _check_learned(hexagons, (fed, expected), about["description"])
    if test is not None:
        tested = datasets.get_dataset(*where, test, verify_connection)["description"]
        _check_test(about["description"], tested, (*fed.values(), *expected.values()))
    looked_at = min(int(about["number_of_rows"]), _LOOKED_AT)
    classes = _check_targets(*where, train, expected.values(), looked_at, verify_connection)
    figure, compare = ("accuracy", _accuracy) if classes else ("error", _error)
    rows: list[dict[str, float]] = []
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        task = tasks.create_train_task(
            *where, f"epoch {epoch}", cluster_uuid,
            sources(train, fed), sources(train, expected), 1, verify_connection,
        )  # fmt: skip
        tasks.wait(*where, task["uuid"], cluster_uuid, verify_connection, callback=callback)
        row = {"epoch": epoch, "seconds": time.perf_counter() - start}
        if test is not None:
            result = _request(*where, cluster_uuid, test, fed, expected, verify_connection, callback)
            try:
                row[figure] = compare(*where, result, test, expected, verify_connection)
            finally:
                datasets.delete_dataset(*where, result, verify_connection)
        rows.append(row)
    columns = ["epoch", figure, "seconds"] if test is not None else ["epoch", "seconds"]
    return pd.DataFrame(rows, columns=columns).set_index("epoch")


def predict(
    token: str,
    address: str,
    cluster_uuid: str,
    data: ArrayLike | str,
    verify_connection: Verify = True,
    *,
    inputs: Links | None = None,
    callback: tasks.Progress | None = None,
) -> Outputs:
    """Ask a cluster for its outputs.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        The cluster.
    data : array_like of shape (k,) or (n, k), DataFrame, mapping of str to array_like, or str
        Rows, or the uuid of a dataset. The columns of a DataFrame stand in the order in which they were
        uploaded; a mapping brings the rows of each input hexagon.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    inputs : mapping of str to str, optional
        Column of the dataset by hexagon, as of :func:`fit`.
    callback : callable, optional
        Called with the running task after each look at it, where the data is a dataset.

    Returns
    -------
    numpy.ndarray of float32, shape (m,) or (n, m)
        The outputs; of a cluster with several, a dictionary of them by name.

    Raises
    ------
    ConflictException
        If rows are given while the cluster has queued tasks or a direct connection, or a dataset while it is
        in direct mode.
    BadRequestException
        If the cluster has learned nothing yet, if the rows are not as wide as those it has learned (a cluster
        on an original server does not tell), or (`InvalidDataException`) hold what is no number, or nothing:
        row and column are named.

    Examples
    --------
    >>> predict(token, address, cluster_uuid, [[0.0] * 784] * 2).shape
    (2, 10)
    >>> predict(token, address, cluster_uuid, dataset_uuid).shape
    (20, 10)
    """
    cluster_uuid, data = plain(cluster_uuid), _uploaded("data", data) if _is_pair(data) else plain(data)
    if not isinstance(data, str):
        answer = call("GET", "/cluster", token, address, verify_connection, uuid=cluster_uuid)
        with clusters.direct(token, address, cluster_uuid, verify_connection) as io:
            rows, _ = io.rows(data, 0)
            known, _ = _widths(answer, cluster_uuid)
            check_widths(known, {name: array.shape[1] for name, array in rows.items()})
            refuse_missing(data, rows)
            return _learned(io.request(data))
    hexagons = _cluster(token, address, cluster_uuid, verify_connection)
    described = datasets.get_dataset(token, address, data, verify_connection)["description"]
    fed, outputs = linked(hexagons, described, inputs, None, optional=True)
    check_widths(hexagons[0], {hexagon: _width(described[column]) for hexagon, column in fed.items()})
    results = {hexagon: hexagon for hexagon in outputs}
    uuid = _request(token, address, cluster_uuid, data, fed, results, verify_connection, callback)
    try:
        found = {
            name: datasets.download_dataset(token, address, uuid, name, verify_connection) for name in results
        }
        return _learned(found if len(found) > 1 else next(iter(found.values())))
    finally:
        datasets.delete_dataset(token, address, uuid, verify_connection)


def _learned(found: Outputs) -> Outputs:
    """Refuse outputs without a value: those of a cluster that was never trained."""
    if any(0 in array.shape[-1:] for array in (found.values() if isinstance(found, dict) else [found])):
        message = "The cluster has learned nothing yet, so it has no outputs. Train it first, with fit."
        raise BadRequestException(message)
    return found


def _width(place: Mapping[str, Any]) -> int:
    return int(place["column_end"]) - int(place["column_start"])


def _check_learned(
    known: tuple[Widths, Widths], links: tuple[Links, Links], described: Mapping[str, Any]
) -> None:
    """Refuse columns of another width than the cluster has learned with: it would begin anew with some."""
    for word, widths, columns in zip(("input", "output"), known, links, strict=True):
        for hexagon, column in columns.items():
            learned, width = widths.get(hexagon, 0), _width(described[column])
            if learned not in {0, width}:
                message = (
                    f"Column '{column}' has {width:,} values a row, but the cluster has learned {word} "
                    f"'{hexagon}' with {learned:,}. Give it as many, or train a new cluster."
                )
                raise BadRequestException(message, method="POST", path="/task/train")


def _check_test(train: Mapping[str, Any], test: Mapping[str, Any], columns: Iterable[str]) -> None:
    """Refuse a test dataset whose columns are not those of the training dataset."""
    for column in columns:
        if column not in test:
            message = f"The test dataset has no column '{column}'. {meant(column, test)}"
            raise BadRequestException(message)
        if _width(test[column]) != _width(train[column]):
            message = (
                f"Column '{column}' has {_width(test[column]):,} values a row in the test dataset, but "
                f"{_width(train[column]):,} in the training dataset. Upload both at once: "
                "upload_data(..., test_size=0.2)."
            )
            raise BadRequestException(message)


def _check_targets(
    token: str, address: str, train: str, columns: Iterable[str], rows: int, verify: Verify
) -> bool:
    """Refuse, after a look at the first rows, what no output can learn; return whether they are classes."""
    classes = True
    for column in columns:
        values = datasets.download_dataset_content(token, address, train, column, rows, 0, verify)
        classes = classes and bool(((values == 0) | (values == 1)).all())
        for row, line in enumerate(values):
            if line.min() < 0 or line.max() > 1:
                wrong = line.min() if line.min() < 0 else line.max()
                message = (
                    f"Column '{column}' has the value {wrong:g} in row {row}, but outputs are numbers from 0 "
                    "to 1. Upload classes as one column each (one_hot=), or scale the column."
                )
                raise InvalidDataException(message)
    return classes


def _uploaded(word: str, given: Any) -> Any:
    """Return the uuid of a dataset, or None; refuse data that was not uploaded, and the pair of a split."""
    given = plain(given)
    if given is None or isinstance(given, str):
        return given
    if _is_pair(given):
        message = (
            f"{word} is a pair of datasets. Take it apart: train, test = upload_data(..., test_size=0.2)."
        )
    else:
        message = (
            f"{word} is a {type(given).__name__}, but has to be the uuid of a dataset. "
            "Upload it first: upload_data('a name', …)."
        )
    raise BadRequestException(message)


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and all(isinstance(one, str) for one in given)


def sources(dataset_uuid: str, links: Links) -> list[dict[str, str]]:
    """Return columns of a dataset and their hexagons, as tasks take them."""
    return [
        {"dataset_uuid": dataset_uuid, "dataset_column": column, "hexagon_name": hexagon}
        for hexagon, column in links.items()
    ]


def _request(
    token: str, address: str, cluster_uuid: str, dataset_uuid: str, fed: Links, asked: Links,
    verify: Verify, callback: tasks.Progress | None,
) -> str:  # fmt: skip
    """Run a request, remove its task, and return the uuid of its result, its columns named by hexagon."""
    results = [{"dataset_column": column, "hexagon_name": hexagon} for hexagon, column in asked.items()]
    task = tasks.create_request_task(
        token, address, "request", cluster_uuid, sources(dataset_uuid, fed), results, 1, verify
    )
    tasks.wait(token, address, task["uuid"], cluster_uuid, verify, callback=callback)
    tasks.delete_task(token, address, task["uuid"], cluster_uuid, verify)
    return str(task["uuid"])


def _accuracy(token: str, address: str, result: str, test: str, _: Links, verify: Verify) -> float:
    return float(datasets.check_mnist_dataset(token, address, result, test, verify)["accuracy"])


def _error(token: str, address: str, result: str, test: str, expected: Links, verify: Verify) -> float:
    """Return the mean absolute error over all outputs, each with the same weight."""
    errors = [
        abs(
            datasets.download_dataset(token, address, result, column, verify)
            - datasets.download_dataset(token, address, test, column, verify)
        ).mean()
        for column in expected.values()
    ]
    return float(sum(errors) / len(errors))


def linked(
    hexagons: tuple[Iterable[str], Iterable[str]],
    described: Mapping[str, Any],
    inputs: Links | None,
    outputs: Links | None,
    *,
    optional: bool = False,
) -> tuple[Links, Links]:
    """Return which column belongs to which input and which to which output.

    ``hexagons`` are the names of inputs and of outputs, ``described`` is a dataset's description; with
    ``optional``, outputs need no column.
    """
    named = [list(names) for names in hexagons]
    columns = sorted(described, key=lambda name: int(described[name]["column_start"]))
    pairs = len(columns) == 2 and all(len(names) == 1 for names in named)
    found: list[Links] = []
    for side, given in enumerate((inputs, outputs)):
        word = ("inputs", "outputs")[side]
        if given is not None:
            links = _given(word, named[side], columns, given)
        else:
            links = {n: n if n in columns else columns[side] if pairs else "" for n in named[side]}
        for name, column in links.items():
            if not column and not (optional and side):
                raise BadRequestException(_no_column(word, name, columns))
        if not links:
            message = (
                f"The {word} of the cluster are not known. Say which: {word}={{'hexagon': '{columns[0]}'}}."
            )
            raise BadRequestException(message)
        found.append(links)
    return found[0], found[1]


def _given(word: str, hexagons: Sequence[str], columns: Sequence[str], links: Mapping[str, Any]) -> Links:
    """Return the links that the caller gave, after a look whether all they name is there."""
    for hexagon, column in links.items():
        if hexagons and hexagon not in hexagons:
            message = f"The cluster has no {word[:-1]} '{hexagon}'. {meant(hexagon, hexagons)}"
            raise BadRequestException(message)
        if not isinstance(column, str):
            message = (
                f"Hexagon '{hexagon}' takes one column of the dataset, not {column!r}. "
                f"{_joined(hexagon, columns)}"
            )
            raise BadRequestException(message)
        if column not in columns:
            told = f"The dataset has no column '{column}' for hexagon '{hexagon}'."
            message = f"{told} {meant(column, columns)}"
            raise BadRequestException(message)
    return dict(links)


def _no_column(word: str, hexagon: str, columns: Sequence[str]) -> str:
    listed = ", ".join(columns)
    told = f"Hexagon '{hexagon}' has no column of its name in the dataset: {listed}."
    if len(columns) > 2:  # probably a table
        return f"{told} {_joined(hexagon, columns)}"
    return f"{told} Say which: {word}={{'{hexagon}': '{columns[0]}'}}."


def _joined(hexagon: str, columns: Sequence[str]) -> str:
    """Return how a hexagon gets several columns of a table."""
    some = ", ".join(f"'{name}'" for name in columns[:2])
    return (
        f"Join columns when you upload the table as a DataFrame: "
        f"upload_data(name, table, columns={{'{hexagon}': [{some}], …}})."
    )


def _cluster(token: str, address: str, cluster_uuid: str, verify: Verify) -> tuple[Widths, Widths]:
    """Return inputs and outputs of a cluster with their widths (0 if not known); it must take tasks."""
    answer = call("GET", "/cluster", token, address, verify, uuid=cluster_uuid)
    if answer.get("mode") == "DIRECT" or DirectIO.holds(cluster_uuid):
        message = (
            f"Cluster '{answer['name']}' is in direct mode, in which no task begins. Leave the "
            "'with session.direct(…)' block first, or call cluster.switch_to_task_mode."
        )
        raise ConflictException(message, method="POST", path="/task/train")
    return _widths(answer, cluster_uuid)


def _widths(answer: Mapping[str, Any], cluster_uuid: str) -> tuple[Widths, Widths]:
    """Return inputs and outputs, from what the server tells or from the template."""
    known = DirectIO.templates.get(cluster_uuid)
    inputs = answer.get("inputs") or dict.fromkeys(known.inputs if known else (), 0)
    outputs = answer.get("outputs") or dict.fromkeys(known.outputs if known else (), 0)
    return inputs, outputs


def check_widths(known: Widths, given: Widths) -> None:
    """Refuse rows of another width than the inputs of a cluster have learned.

    Examples
    --------
    >>> check_widths({"picture": 784}, {"picture": 784})
    """
    for hexagon, width in given.items():
        learned = known.get(hexagon, 0)
        if learned not in {0, width}:
            message = (
                f"The rows have {width:,} values for input '{hexagon}', but the cluster has learned with "
                f"{learned:,}. Give it as many, in the same order."
            )
            raise BadRequestException(message, method="GET", path="/cluster")
