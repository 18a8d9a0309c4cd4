"""Direct messages to a cluster over a websocket, one row a message: faster than tasks for single requests."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Union
from weakref import WeakSet

from hanami_jupyter.client.arrays import rows_of
from hanami_jupyter.client.hanami_exceptions import (
    BadRequestException,
    ConnectionException,
    HanamiException,
    UnexpectedAnswerException,
)
from hanami_jupyter.client.transport import Socket, Verify, call, features, plain
from hanami_jupyter.protocol.packing import values_head
from hanami_jupyter.protocol.template import Template

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["send_request_input", "send_train_input"]

Rows = Union["ArrayLike", Mapping[str, "ArrayLike"]]

WINDOW = 64  # messages under way
ANSWERS_UNDER_WAY = 1 << 16  # bytes: a server that waits for us to read must not stop reading itself
INPUT, EXPECTED = 0, 2
REQUEST, TRAIN = 0, 1


class DirectIO:
    """A direct connection to one cluster; a context manager that ends the direct mode when it is left.

    Parameters
    ----------
    token, address : str
        The token and the server.
    cluster_uuid : str
        A cluster that is in direct mode.
    verify : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Examples
    --------
    >>> import numpy as np
    >>> with session.direct(cluster_uuid) as io:
    ...     io.train(np.zeros(784), np.eye(10)[3])
    ...     io.request(np.zeros(784)).shape
    (10,)
    """

    templates: ClassVar[dict[str, Template]] = {}  # of clusters that this process created

    _alive: ClassVar[WeakSet[DirectIO]] = WeakSet()

    @classmethod
    def holds(cls, cluster_uuid: str) -> bool:
        """Tell whether this process has a direct connection to a cluster."""
        return any(io.cluster_uuid == cluster_uuid and io._socket is not None for io in list(cls._alive))

    def __init__(self, token: str, address: str, cluster_uuid: str, verify: Verify = True) -> None:
        self._login = (token, address, verify)
        self.cluster_uuid: str = plain(cluster_uuid)
        self._names: tuple[list[str], list[str]] | None = None
        self._socket: Socket | None = self._connect()
        self._alive.add(self)

    def __repr__(self) -> str:
        return f"<DirectIO cluster {self.cluster_uuid[:8]}, {'open' if self._socket else 'closed'}>"

    def __enter__(self) -> DirectIO:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        token, address, verify = self._login
        try:
            call("PUT", "/cluster/set_mode", token, address, verify, uuid=self.cluster_uuid, new_state="TASK")
        except HanamiException:
            if error is None:
                raise

    def close(self) -> None:
        """Close the connection; the cluster stays in direct mode."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _connect(self) -> Socket:
        token, address, verify = self._login
        return Socket(token, address, "cluster", self.cluster_uuid, verify)

    def names(self) -> tuple[list[str], list[str]]:
        """Return the names of the cluster's inputs and outputs; empty lists if nothing tells them."""
        if self._names is None:
            token, address, verify = self._login
            answer = call("GET", "/cluster", token, address, verify, uuid=self.cluster_uuid)
            known = self.templates.get(self.cluster_uuid)
            inputs = answer.get("inputs") or (known.inputs if known else {})
            outputs = answer.get("outputs") or (known.outputs if known else {})
            self._names = (list(inputs), list(outputs))
        return self._names

    def train(self, inputs: Rows, outputs: Rows) -> None:
        """Train the cluster, one cycle for each row.

        Parameters
        ----------
        inputs : array_like of shape (k,) or (n, k), or mapping of str to array_like
            Values for the input hexagon, used as they are; a mapping names several hexagons.
        outputs : array_like of shape (m,) or (n, m), or mapping of str to array_like
            Expected values, usually 0..1.

        Raises
        ------
        TimeoutException, ConnectionException
            If the server stops answering. Which rows it has learned is not known; the next call
            connects anew.
        """
        fed, _ = self.rows(inputs, 0)
        expected, _ = self.rows(outputs, 1)
        count = _same_length({**fed, **expected})
        parts = [(name, rows, INPUT) for name, rows in fed.items()]
        parts += [(name, rows, EXPECTED) for name, rows in expected.items()]
        for _ in self._pipeline(parts, TRAIN, count):
            pass

    def request(self, inputs: Rows) -> NDArray[np.float32] | dict[str, NDArray[np.float32]]:
        """Return what the cluster answers, one cycle for each row.

        Parameters
        ----------
        inputs : array_like of shape (k,) or (n, k), or mapping of str to array_like
            Values for the input hexagon, used as they are; a mapping names several hexagons.

        Returns
        -------
        numpy.ndarray of float32, shape (m,) or (n, m)
            The values of the output hexagon; of a cluster with several, a dictionary of them by name.

        Raises
        ------
        TimeoutException, ConnectionException
            If the server stops answering; the next call connects anew.
        """
        import numpy as np  # noqa: PLC0415 - importing the package stays cheap

        fed, single = self.rows(inputs, 0)
        count = _same_length(fed)
        parts = [(name, rows, INPUT) for name, rows in fed.items()]
        found: dict[str, list[NDArray[np.float32]]] = {}
        for answers in self._pipeline(parts, REQUEST, count, self.frames()):
            for name, values in map(_values, answers):
                found.setdefault(name, []).append(values)
        arrays = {name: rows[0] if single else np.stack(rows) for name, rows in found.items()}
        if len(arrays) > 1:
            return arrays
        return next(iter(arrays.values()), np.empty((0, 0), np.float32))

    def frames(self) -> int:
        """Return how many frames answer a request: ours sends one for each output."""
        outputs = len(self.names()[1])
        if outputs <= 1:
            return 1
        _, address, verify = self._login
        return outputs if features(address, verify) else 1

    def rows(self, values: Rows, side: int) -> tuple[dict[str, NDArray[np.float32]], bool]:
        """Return the rows for each hexagon, and whether a single row was given."""
        import numpy as np  # noqa: PLC0415

        named: Mapping[str, Any] = values if isinstance(values, Mapping) else {self._only(side): values}
        rows, single = {}, False
        for name, given in named.items():
            array = rows_of(given, name)
            single = array.ndim <= 1
            rows[name] = np.ascontiguousarray(
                array.reshape(1 if single else len(array), math.prod(array.shape[not single :]))
            )
        return rows, single

    def _only(self, side: int) -> str:
        names, word = self.names()[side], ("input", "output")[side]
        if len(names) != 1:
            listed = ", ".join(names) or "not known"
            message = (
                f"The cluster's {word}s are {listed}. Say which array is whose: {{'{word}_hexagon': array}}."
            )
            raise BadRequestException(message)
        return names[0]

    def _pipeline(
        self, parts: list[tuple[str, NDArray[np.float32], int]], process: int, count: int, frames: int = 1
    ) -> Iterator[list[bytes]]:
        """Send ``count`` rows, several messages under way, and yield the last answers of each row."""
        last = len(parts) - 1
        heads = [
            values_head(name, rows.shape[1], last=part == last, process=process, target=target)
            for part, (name, rows, target) in enumerate(parts)
        ]
        views = [
            (rows.reshape(-1).data.cast("B") if rows.size else memoryview(b""), 4 * rows.shape[1])
            for _, rows, _ in parts
        ]
        waiting: deque[int] = deque()  # parts whose answer is still to come
        room, batch = WINDOW, list[bytes]()
        try:
            for row in range(count):
                for part, (view, width) in enumerate(views):
                    batch.append(heads[part] + view[row * width : (row + 1) * width])
                    waiting.append(part)
                if len(waiting) < room and row + 1 < count:
                    continue
                self._send(*batch, first=len(waiting) == len(batch))
                batch.clear()
                # down to half the window: many messages then travel, and wake the other side, at once
                while len(waiting) > (room // 2 if row + 1 < count else 0):
                    answers = self._answers(frames if waiting[0] == last else 1)
                    room = min(WINDOW, max(1, ANSWERS_UNDER_WAY // sum(len(a) + 16 for a in answers)))
                    if waiting.popleft() == last:
                        yield answers
        finally:
            if waiting and self._socket is not None:
                self._socket.close()  # answers under way would be taken for those of the next call

    def _answers(self, frames: int) -> list[bytes]:
        return [self._receive() for _ in range(frames)]

    def exchange(self, name: str, values: ArrayLike, *, last: bool, process: int, target: int) -> list[bytes]:
        """Send one message and return its answers."""
        import numpy as np  # noqa: PLC0415

        row = np.ascontiguousarray(values, dtype="<f4").ravel()
        frames = self.frames() if last and process == REQUEST else 1
        message = values_head(name, len(row), last=last, process=process, target=target) + row.tobytes()
        self._send(message, first=True)
        try:
            return self._answers(frames)
        except BaseException:
            if self._socket is not None:
                self._socket.close()
            raise

    def _send(self, *messages: bytes, first: bool) -> None:
        """Send; if nothing is under way and the connection has gone meanwhile, connect anew."""
        if self._socket is None:
            fault = "The direct connection is closed. Open another one with session.direct(cluster_uuid)."
            raise ConnectionException(fault, method="WEBSOCKET", path="/")
        if first and self._socket.closed:
            self._socket = self._connect()
        try:
            self._socket.send(*messages)
        except ConnectionException:
            if not first:
                raise
            self._socket = self._connect()
            self._socket.send(*messages)

    def _receive(self) -> bytes:
        assert self._socket is not None  # noqa: S101 - for the type checker
        return self._socket.receive_message()


def _same_length(rows: Mapping[str, NDArray[np.float32]]) -> int:
    lengths = {name: len(values) for name, values in rows.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length:,}" for name, length in lengths.items())
        message = f"The arrays have different numbers of rows: {told}. Give each the same."
        raise BadRequestException(message)
    return next(iter(lengths.values()), 0)


def _values(answer: bytes) -> tuple[str, NDArray[np.float32]]:
    """Return the name and the values of an answer."""
    import numpy as np  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    from hanami_jupyter.protocol.hanami_messages_pb2 import ClusterIO_Message  # noqa: PLC0415

    try:
        message = ClusterIO_Message.FromString(answer)
    except DecodeError:
        message = None
    if message is None:
        text = answer[:100].decode("ascii", "replace")
        fault = f"The server answered '{text}' where values were expected. Is the direct mode still on?"
        raise UnexpectedAnswerException(fault, method="WEBSOCKET", path="/")
    return message.bufferName, np.fromiter(message.values, np.float32, len(message.values))


class Connection:
    """What ``cluster.switch_to_direct_mode`` returns, for the functions of this module."""

    def __init__(self, io: DirectIO) -> None:
        self.io = io

    def __repr__(self) -> str:
        return repr(self.io)

    async def close(self) -> None:
        """Close the connection; the cluster stays in direct mode."""
        await asyncio.to_thread(self.io.close)


async def send_train_input(
    ws: Connection,
    hexagon_name: str,
    values: ArrayLike,
    is_input: bool,
    is_last: bool | None = None,
    verify_connection: Verify = True,  # noqa: ARG001 - the connection has decided
) -> None:
    """Send one row for training: first the inputs, then what is expected.

    Parameters
    ----------
    ws : Connection
        From ``cluster.switch_to_direct_mode``.
    hexagon_name : str
        Input or output hexagon.
    values : array_like of shape (k,)
        Values, used as they are.
    is_input : bool
        Whether the values are inputs. Where ``is_last`` is left out, as the reference document writes it,
        this is ``is_last``, and the side follows from the cluster's hexagons.
    is_last : bool
        Whether all is sent and the cycle runs.
    verify_connection : bool or str
        Without effect; the connection has been checked already.

    Raises
    ------
    TimeoutException, ConnectionException
        If the server stops answering.

    Examples
    --------
    >>> import asyncio
    >>> from hanami_jupyter import cluster, direct_io
    >>> async def main():
    ...     ws = await cluster.switch_to_direct_mode(token, address, cluster_uuid)
    ...     await direct_io.send_train_input(ws, "picture", [0.0] * 784, True, False)
    ...     await direct_io.send_train_input(ws, "label", [1.0] + [0.0] * 9, False, True)
    ...     answer = await direct_io.send_request_input(ws, "picture", [0.0] * 784, True)
    ...     await ws.close()
    ...     cluster.switch_to_task_mode(token, address, cluster_uuid)
    ...     return len(answer)
    >>> asyncio.run(main())
    10
    """
    if is_last is None:
        is_last = bool(is_input)
        inputs, outputs = await asyncio.to_thread(ws.io.names)
        is_input = not is_last if hexagon_name not in {*inputs, *outputs} else hexagon_name in inputs
    await asyncio.to_thread(
        ws.io.exchange, hexagon_name, values,
        last=is_last, process=TRAIN, target=INPUT if is_input else EXPECTED,
    )  # fmt: skip


async def send_request_input(
    ws: Connection,
    hexagon_name: str,
    values: ArrayLike,
    is_last: bool,
    verify_connection: Verify = True,  # noqa: ARG001 - the connection has decided
) -> NDArray[np.float32] | dict[str, NDArray[np.float32]] | None:
    """Send one row and get the cluster's answer.

    Parameters
    ----------
    ws : Connection
        From ``cluster.switch_to_direct_mode``.
    hexagon_name : str
        Input hexagon.
    values : array_like of shape (k,)
        Values, used as they are.
    is_last : bool
        Whether all is sent and the cycle runs.
    verify_connection : bool or str
        Without effect; the connection has been checked already.

    Returns
    -------
    numpy.ndarray of float32, shape (m,), or None
        The values of the output hexagon; of a cluster with several, a dictionary of them by name; None if
        more is to be sent.

    Raises
    ------
    TimeoutException, ConnectionException
        If the server stops answering.

    Examples
    --------
    See :func:`send_train_input`.
    """
    answers = await asyncio.to_thread(
        ws.io.exchange, hexagon_name, values, last=is_last, process=REQUEST, target=INPUT
    )
    if not is_last:
        return None
    found = dict(map(_values, answers))
    return found if len(found) > 1 else next(iter(found.values()))
