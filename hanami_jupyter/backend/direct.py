"""Direct messages: fills a cluster's buffers from frames, runs cycles, answers with the outputs."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError

from hanami_jupyter.protocol.hanami_messages_pb2 import (
    EXPECTED,
    INPUT,
    REQUEST,
    TRAIN,
    ClusterIO_Message,
)
from hanami_jupyter.protocol.packing import values_head

from .clusters import MAX_WIDTH, Direct
from .errors import RefusalError, bad, sentence
from .hosts import DirectSession
from .http_protocol import TEXT, framed
from .service import Service

if TYPE_CHECKING:
    from .websockets import Socket

_LOOK = 0.05  # seconds between two looks whether the engine is ready
_SMALL = 65_536  # bytes of a frame that the event loop may take
_QUICK = 0.002  # seconds: longer cycles leave the event loop, which takes as many as fit into this time
_SLICE = 0.02  # seconds: what is done elsewhere before the answers so far are sent
_FORMS = 8  # of messages that are known again


def decode(frame: bytes) -> tuple[ClusterIO_Message, npt.NDArray[np.float32]]:
    """Return a message and its values.

    Raises
    ------
    RefusalError
        If the frame is no such message, or its count is not that of its values.
    """
    try:
        message = ClusterIO_Message.FromString(frame)
    except (DecodeError, TypeError):
        raise bad("Got invalid ClusterIO-Message") from None
    values = np.fromiter(message.values, np.float32, len(message.values))
    if len(values) != message.numberOfValues:
        raise bad(f"The message says {message.numberOfValues} values, but holds {len(values)}.")
    if len(values) > MAX_WIDTH:
        raise bad(f"{len(values)} values are too many for one hexagon. The limit is {MAX_WIDTH}.")
    if message.targetBufferType not in (INPUT, EXPECTED):
        raise bad("targetBufferType must be INPUT (0) or EXPECTED (2).")
    return message, values


@lru_cache(maxsize=256)
def _head(name: str, count: int, *, last: bool) -> bytes:
    return values_head(name, count, last=last, process=REQUEST, target=INPUT)


def encode(name: str, values: npt.NDArray[np.float32], *, last: bool) -> bytes:
    """Return the answer to a request for one output."""
    return _head(name, len(values), last=last) + np.ascontiguousarray(values, "<f4").tobytes()


def _acknowledgement(*, last: bool) -> bytes:
    message = ClusterIO_Message(isLast=last, processType=TRAIN, numberOfValues=1, values=[0.0])
    return framed(message.SerializeToString())


TAKEN, TRAINED = _acknowledgement(last=False), _acknowledgement(last=True)


@dataclass(frozen=True)
class Form:
    """What messages say that differ in nothing but their values, which end them."""

    head: bytes
    size: int
    count: int
    name: str
    expected: bool
    last: bool
    trains: bool


class Exchange:
    """The messages of one connection.

    Parameters
    ----------
    link : Direct
        The direct connection of the cluster.
    """

    def __init__(self, link: Direct) -> None:
        self._link = link
        self._forms: deque[Form] = deque(maxlen=_FORMS)
        self.quick = False  # whether the last cycle was short enough for the event loop

    def read(self, frame: bytes) -> tuple[Form, npt.NDArray[np.float32]]:
        """Return what a message says, and its values.

        Raises
        ------
        RefusalError
            If the frame is no such message.
        """
        size = len(frame)
        for form in self._forms:
            if form.size == size and frame.startswith(form.head):
                return form, np.frombuffer(frame, "<f4", form.count, len(form.head))
        message, values = decode(frame)
        name, last, count = message.bufferName, message.isLast, len(values)
        target, process = message.targetBufferType, message.processType
        head = values_head(name, count, last=last, process=process, target=target)
        form = Form(head, size, count, name, target == EXPECTED, last, process == TRAIN)
        if count and size == len(head) + 4 * count and frame.startswith(head):
            self._forms.append(form)
        return form, values

    def take(self, frames: Sequence[bytes], seconds: float, largest: int) -> tuple[list[bytes], int]:
        """Do what some messages ask for.

        Parameters
        ----------
        frames : sequence of bytes
            The messages; the first one is taken in any case.
        seconds : float
            None is begun after this time.
        largest : int
            Bytes of the messages that may follow the first one.

        Returns
        -------
        answers : list of bytes
            Frames to send.
        taken : int
            How many messages they answer.
        """
        answers: list[bytes] = []
        taken, until = 0, time.perf_counter() + seconds
        try:
            with self._link.session() as session:
                for frame in frames:
                    if taken and (len(frame) > largest or time.perf_counter() > until):
                        break
                    answers += self._answers(session, frame)
                    taken += 1
        except (RefusalError, ValueError) as error:
            answers.append(error_frame(sentence(error)))
            taken += 1
        return answers, taken

    def _answers(self, session: DirectSession, frame: bytes) -> Sequence[bytes]:
        form, values = self.read(frame)
        session.put(form.name, values, expected=form.expected)
        if not form.last:
            return (TAKEN,)
        began = time.perf_counter()
        if form.trains:
            session.train()
            self._link.trained()
            answers: Sequence[bytes] = (TRAINED,)
        else:
            outputs = session.request()
            count = len(outputs)
            # several outputs: one frame each, the last one marked; one output as the original sends it
            answers = [
                framed(encode(name, answer, last=count > 1 and number == count))
                for number, (name, answer) in enumerate(outputs.items(), 1)
            ]
        self.quick = time.perf_counter() - began < _QUICK
        return answers


def error_frame(message: str) -> bytes:
    """Return a sentence as JSON in a text frame: the protocol's messages have no room for one."""
    return framed(json.dumps({"error": message, "success": False}, separators=(",", ":")).encode(), TEXT)


async def talk(service: Service, uuid: str, socket: Socket) -> None:
    """Serve the direct connection of a cluster until it ends."""
    loop = asyncio.get_running_loop()
    try:
        with service.clusters.direct(uuid) as link:
            while not service.engine.ready.is_set():
                await asyncio.sleep(_LOOK)
            exchange = Exchange(link)
            while True:
                frames = await socket.read_all()
                while frames:
                    if exchange.quick and link.ready and len(frames[0]) <= _SMALL:
                        answers, taken = exchange.take(frames, _QUICK, _SMALL)
                    else:
                        answers, taken = await loop.run_in_executor(
                            None, exchange.take, frames, _SLICE, sys.maxsize
                        )
                    await socket.write_frames(answers)
                    frames = frames[taken:]
                    await asyncio.sleep(0)  # others have their turn
    finally:
        await loop.run_in_executor(None, service.clusters.keep_direct, uuid)
