"""Tasks: training and requests, queued for a cluster and run one after another."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client.hanami_exceptions import TaskAbortedException, TimeoutException
from hanami_jupyter.client.spellings import also
from hanami_jupyter.client.tables import frame, record
from hanami_jupyter.client.transport import Verify, call

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Self

__all__ = [
    "create_request_task",
    "create_train_task",
    "delete_task",
    "get_task",
    "list_tasks",
    "wait",
    "wait_async",
]

_MORE = ("percentage_finished", "queue_position", "cycles_per_second")
Progress = Callable[["pd.Series[Any]"], object]


def _task(answer: Mapping[str, Any]) -> pd.Series[Any]:
    """Return a task with the fields of newer and older answers."""
    values = dict(answer)
    if values.get("percentage_finished") is None:
        done, total = values.get("current_cycle"), values.get("total_number_of_cycles")
        if values.get("state") == "finished":
            values["percentage_finished"] = 1.0
        elif isinstance(done, int) and isinstance(total, int):
            values["percentage_finished"] = done / total if total else 0.0
    return record(values, kind="task", fields=("current_cycle", "total_number_of_cycles", *_MORE))


def duration(task: pd.Series[Any]) -> float | None:
    """Return the seconds a finished task took: by its rate, or by its timestamps, which are whole seconds."""
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    rate = task.get("cycles_per_second")
    if isinstance(rate, float) and rate > 0:
        return float(task["total_number_of_cycles"]) / rate
    span = task["end_timestamp"] - task["start_timestamp"]
    return None if pd.isna(span) or not span else float(span.total_seconds())


@also(timeLength="time_length")
def create_train_task(
    token: str,
    address: str,
    name: str,
    cluster_uuid: str,
    inputs: Sequence[Mapping[str, str]],
    outputs: Sequence[Mapping[str, str]],
    time_length: int = 1,
    verify_connection: Verify = True,
) -> pd.Series[Any]:
    """Queue the training of a cluster, one cycle for each row.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Name of the task, 4 to 254 characters.
    cluster_uuid : str
        The cluster to train.
    inputs, outputs : sequence of mapping
        Each with ``dataset_uuid``, ``dataset_column`` and ``hexagon_name``: what goes where.
    time_length : int
        Rows of the inputs that one cycle sees, 1 to 1000. A bool in this place is taken as
        ``verify_connection``, as the reference writes it; ``timeLength`` is accepted as keyword too.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid``, ``name``, ``state`` (queued, active, finished, aborted), ``current_cycle``,
        ``total_number_of_cycles``, ``percentage_finished`` (0..1), three timestamps.

    Raises
    ------
    NotFoundException
        If the cluster, a dataset, a column or a hexagon does not exist.

    Examples
    --------
    >>> from hanami_jupyter import task
    >>> inputs = [{"dataset_uuid": dataset_uuid, "dataset_column": "picture", "hexagon_name": "picture"}]
    >>> outputs = [{"dataset_uuid": dataset_uuid, "dataset_column": "label", "hexagon_name": "label"}]
    >>> training = task.create_train_task(token, address, "training", cluster_uuid, inputs, outputs)
    >>> task.wait(token, address, training["uuid"], cluster_uuid)["state"]
    'finished'
    """
    return _create(
        "/task/train", token, address, verify_connection, time_length,
        name=name, cluster_uuid=cluster_uuid, inputs=list(inputs), outputs=list(outputs),
    )  # fmt: skip


@also(timeLength="time_length")
def create_request_task(
    token: str,
    address: str,
    name: str,
    cluster_uuid: str,
    inputs: Sequence[Mapping[str, str]],
    results: Sequence[Mapping[str, str]],
    time_length: int = 1,
    verify_connection: Verify = True,
) -> pd.Series[Any]:
    """Queue a request: feed rows to a cluster and keep its outputs as a dataset.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Name of the task and of the resulting dataset, 4 to 254 characters.
    cluster_uuid : str
        The cluster to ask.
    inputs : sequence of mapping
        Each with ``dataset_uuid``, ``dataset_column`` and ``hexagon_name``.
    results : sequence of mapping
        Each with ``dataset_column``, the name in the resulting dataset, and ``hexagon_name``.
    time_length : int
        Rows of the inputs that one cycle sees, 1 to 1000. A bool in this place is taken as
        ``verify_connection``, as the reference writes it; ``timeLength`` is accepted as keyword too.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        The task, as from :func:`create_train_task`; the resulting dataset has the task's uuid.

    Raises
    ------
    NotFoundException
        If the cluster, a dataset, a column or a hexagon does not exist.

    Examples
    --------
    >>> results = [{"dataset_column": "answers", "hexagon_name": "label"}]
    >>> request = task.create_request_task(token, address, "request", cluster_uuid, inputs, results)
    >>> task.wait(token, address, request["uuid"], cluster_uuid)["percentage_finished"]
    1.0
    """
    return _create(
        "/task/request", token, address, verify_connection, time_length,
        name=name, cluster_uuid=cluster_uuid, inputs=list(inputs), results=list(results),
    )  # fmt: skip


def _create(
    path: str, token: str, address: str, verify: Verify, time_length: int, **values: Any
) -> pd.Series[Any]:
    more = {} if time_length == 1 else {"time_length": time_length}
    if isinstance(time_length, bool):
        more, verify = {}, time_length
    return _task(call("POST", path, token, address, verify, **values, **more))


def get_task(
    token: str, address: str, task_uuid: str, cluster_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Get a task and its progress.

    Parameters
    ----------
    token, address : str
        The token and the server.
    task_uuid, cluster_uuid : str
        The task, and its cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        The task, as from :func:`create_train_task`.

    Raises
    ------
    NotFoundException
        If there is no such task or cluster.

    Examples
    --------
    >>> task.get_task(token, address, training["uuid"], cluster_uuid)["state"]
    'finished'
    """
    return _task(
        call("GET", "/task", token, address, verify_connection, uuid=task_uuid, cluster_uuid=cluster_uuid)
    )


def list_tasks(token: str, address: str, cluster_uuid: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List the tasks of a cluster.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        The cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``uuid``, ``state``, ``percentage`` (0..1), ``queued``, ``start``, ``end``.

    Raises
    ------
    NotFoundException
        If there is no such cluster.

    Examples
    --------
    >>> task.list_tasks(token, address, cluster_uuid)["percentage"].dtype
    dtype('float64')
    """
    answer = call("GET", "/task/all", token, address, verify_connection, cluster_uuid=cluster_uuid)
    return frame("/task/all", answer)


def delete_task(
    token: str, address: str, task_uuid: str, cluster_uuid: str, verify_connection: Verify = True
) -> None:
    """Delete a task; an active one is aborted. The dataset that a request made is kept.

    Parameters
    ----------
    token, address : str
        The token and the server.
    task_uuid, cluster_uuid : str
        The task, and its cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Raises
    ------
    NotFoundException
        If there is no such task or cluster.

    Examples
    --------
    >>> task.delete_task(token, address, training["uuid"], cluster_uuid)
    """
    call("DELETE", "/task", token, address, verify_connection, uuid=task_uuid, cluster_uuid=cluster_uuid)


def wait(
    token: str,
    address: str,
    task_uuid: str,
    cluster_uuid: str,
    verify_connection: Verify = True,
    *,
    timeout: float | None = None,
    callback: Progress | None = None,
    poll: float = 0.2,
) -> pd.Series[Any]:
    """Wait until a task is finished. Ctrl-C ends the wait, not the task.

    Parameters
    ----------
    token, address : str
        The token and the server.
    task_uuid, cluster_uuid : str
        The task, and its cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    timeout : float, optional
        Longest wait in seconds; endless by default.
    callback : callable, optional
        Called with the task after each look; without one, a terminal shows a bar.
    poll : float
        Seconds between two looks; the first ones come sooner.

    Returns
    -------
    pandas.Series
        The finished task, as from :func:`create_train_task`.

    Raises
    ------
    TaskAbortedException
        If the task was aborted.
    NotFoundException
        If it was deleted.
    TimeoutException
        If it is not finished in time; it goes on.

    Examples
    --------
    >>> request = task.create_request_task(token, address, "again", cluster_uuid, inputs, results)
    >>> task.wait(token, address, request["uuid"], cluster_uuid, timeout=60)["current_cycle"]
    20
    """
    with _Looks(timeout, poll, callback) as looks:
        for pause in looks:
            if looks.end(get_task(token, address, task_uuid, cluster_uuid, verify_connection)):
                break
            time.sleep(pause)
    return looks.last


async def wait_async(
    token: str,
    address: str,
    task_uuid: str,
    cluster_uuid: str,
    verify_connection: Verify = True,
    *,
    timeout: float | None = None,
    callback: Progress | None = None,
    poll: float = 0.2,
) -> pd.Series[Any]:
    """Wait as :func:`wait` does, with ``await``: the event loop stays free.

    Parameters
    ----------
    token, address : str
        The token and the server.
    task_uuid, cluster_uuid : str
        The task, and its cluster.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    timeout, callback, poll
        As of :func:`wait`.

    Returns
    -------
    pandas.Series
        The finished task, as from :func:`create_train_task`.

    Raises
    ------
    TaskAbortedException
        If the task was aborted.
    NotFoundException
        If it was deleted.
    TimeoutException
        If it is not finished in time; it goes on.

    Examples
    --------
    >>> import asyncio
    >>> waiting = task.wait_async(token, address, request["uuid"], cluster_uuid)
    >>> asyncio.run(waiting)["state"]
    'finished'
    """
    with _Looks(timeout, poll, callback) as looks:
        for pause in looks:
            now = await asyncio.to_thread(
                get_task, token, address, task_uuid, cluster_uuid, verify_connection
            )
            if looks.end(now):
                break
            await asyncio.sleep(pause)
    return looks.last


class _Bar:
    """How far a task is, as a line on a terminal that vanishes in the end."""

    def __init__(self) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - only a terminal shows a bar

        self._bar = tqdm(unit=" cycles", unit_scale=True, leave=False, delay=0.2)
        self.close = self._bar.close

    def __call__(self, now: pd.Series[Any]) -> None:
        self._bar.set_description(f"{now['name']} ({now['state']})", refresh=False)
        if not now[["current_cycle", "total_number_of_cycles"]].isna().any():
            self._bar.total = int(now["total_number_of_cycles"])
            self._bar.update(int(now["current_cycle"]) - self._bar.n)
            if self._bar.n == self._bar.total:
                self._bar.refresh()  # or the last steps, being quick, would not be seen


class _Looks:
    """The rhythm of a wait, and when it ends."""

    last: pd.Series[Any]

    def __init__(self, timeout: float | None, poll: float, callback: Progress | None) -> None:
        self.until = None if timeout is None else time.monotonic() + timeout
        self.timeout, self.poll = timeout, poll
        shows = callback is None and sys.stderr is not None and sys.stderr.isatty()
        self._bar = _Bar() if shows else None
        self.callback = self._bar or callback

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __iter__(self) -> Iterator[float]:
        """Yield pauses in seconds, short ones first."""
        for count in itertools.count():
            pause = min(self.poll, 0.01 * 1.5 ** min(count, 20))
            yield pause if self.until is None else max(0.0, min(pause, self.until - time.monotonic()))

    def end(self, now: pd.Series[Any]) -> bool:
        """Note the task as it is now and tell whether the wait is over."""
        self.last = now
        if self.callback is not None:
            self.callback(now)
        name, state = now["name"], now["state"]
        if state == "aborted":
            message = f"Task '{name}' was aborted in cycle {now['current_cycle']}. Queue it again to go on."
            raise TaskAbortedException(message, method="GET", path="/task")
        if state != "finished" and self.until is not None and time.monotonic() >= self.until:
            message = (
                f"Task '{name}' is {state} after {self.timeout:g} s. It goes on; wait longer, or delete it."
            )
            raise TimeoutException(message, method="GET", path="/task")
        return bool(state == "finished")
