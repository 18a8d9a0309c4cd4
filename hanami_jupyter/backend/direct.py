"""Direct messages: fills a cluster's buffers from frames, runs cycles, answers with the outputs."""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

from hanami_jupyter.protocol.hanami_messages_pb2 import (
    EXPECTED,
    INPUT,
    REQUEST,
    TRAIN,
    ClusterIO_Message,
)

from .clusters import MAX_WIDTH, Direct
from .errors import RefusalError, bad, sentence
from .service import Service

if TYPE_CHECKING:
    from .websockets import Socket

_LOOK = 0.05  # seconds between two looks whether the engine is ready
_SMALL = 65_536  # bytes of a frame that the event loop may take
_QUICK = 0.002  # seconds: longer rounds leave the event loop


def _raw_class() -> type[Message]:
    """Return the message class whose packed values are bytes: the same on the wire, no Python floats."""
    file = descriptor_pb2.FileDescriptorProto()
    ClusterIO_Message.DESCRIPTOR.file.CopyToProto(file)
    file.name, file.package = "hanami_messages_raw.proto", "hanami_raw"
    for message in file.message_type:
        for field in message.field:
            if field.type_name:
                field.type_name = field.type_name.replace(".hanami.", ".hanami_raw.")
            if message.name == "ClusterIO_Message" and field.name == "values":
                field.label = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
                field.type = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("hanami_raw.ClusterIO_Message"))


_Raw: Any = _raw_class()


def decode(frame: bytes) -> tuple[Any, npt.NDArray[np.float32]]:
    """Return a message and its values.

    Raises
    ------
    RefusalError
        If the frame is no such message, or its count is not that of its values.
    """
    try:
        message = _Raw.FromString(frame)
        values = np.frombuffer(message.values, "<f4") if len(message.values) % 4 == 0 else np.zeros(0, "<f4")
        if len(values) != message.numberOfValues:  # written otherwise: one by one, or in several packs
            message = ClusterIO_Message.FromString(frame)
            values = np.fromiter(message.values, np.float32, len(message.values))
    except (DecodeError, TypeError):
        raise bad("Got invalid ClusterIO-Message") from None
    if len(values) != message.numberOfValues:
        raise bad(f"The message says {message.numberOfValues} values, but holds {len(values)}.")
    return message, values


def encode(name: str, values: npt.NDArray[np.float32], *, last: bool) -> bytes:
    """Return the answer to a request for one output."""
    return _head(name, len(values), last=last) + np.ascontiguousarray(values, "<f4").tobytes()


@lru_cache(maxsize=256)
def _head(name: str, count: int, *, last: bool) -> bytes:
    """Return an answer up to its values, which are its last field and end it as they are."""
    message = _Raw(
        bufferName=name,
        isLast=last,
        processType=REQUEST,
        targetBufferType=INPUT,
        numberOfValues=count,
        values=bytes(4 * count),
    )
    data: bytes = message.SerializeToString()
    return data[: len(data) - 4 * count]


def _acknowledgement(*, last: bool) -> bytes:
    return ClusterIO_Message(
        isLast=last, processType=TRAIN, numberOfValues=1, values=[0.0]
    ).SerializeToString()


TAKEN, TRAINED = _acknowledgement(last=False), _acknowledgement(last=True)


def round_trip(link: Direct, frame: bytes) -> list[bytes]:
    """Do what one frame asks for and return the frames of the answer."""
    message, values = decode(frame)
    if len(values) > MAX_WIDTH:
        raise bad(f"{len(values)} values are too many for one hexagon. The limit is {MAX_WIDTH}.")
    if message.targetBufferType not in (INPUT, EXPECTED):
        raise bad("targetBufferType must be INPUT (0) or EXPECTED (2).")
    with link.session() as session:
        session.put(message.bufferName, values, expected=message.targetBufferType == EXPECTED)
        if not message.isLast:
            return [TAKEN]
        if message.processType == TRAIN:
            session.train()
            link.trained()
            return [TRAINED]
        outputs = session.request()
        count = len(outputs)
        # several outputs: one frame each, the last one marked; one output as the original sends it
        return [
            encode(name, answer, last=count > 1 and number == count)
            for number, (name, answer) in enumerate(outputs.items(), 1)
        ]


def timed(link: Direct, frame: bytes) -> tuple[list[bytes], float]:
    """Return the answer to a frame and how long it took."""
    began = time.perf_counter()
    return round_trip(link, frame), time.perf_counter() - began


async def talk(service: Service, uuid: str, socket: Socket) -> None:
    """Serve the direct connection of a cluster until it ends."""
    loop = asyncio.get_running_loop()
    try:
        with service.clusters.direct(uuid) as link:
            while not service.engine.ready.is_set():
                await asyncio.sleep(_LOOK)
            quick = False
            while True:
                frame, _text = await socket.read()
                try:
                    if quick and link.ready and len(frame) <= _SMALL:
                        answers, seconds = timed(link, frame)
                    else:
                        answers, seconds = await loop.run_in_executor(None, timed, link, frame)
                except (RefusalError, ValueError) as error:
                    await socket.write_error(sentence(error))
                    continue
                # a message that only fills a buffer says nothing of the cycle that follows
                quick = seconds < _QUICK and (quick or answers[0] is not TAKEN)
                for answer in answers:
                    await socket.write(answer)
    finally:
        await loop.run_in_executor(None, service.clusters.keep_direct, uuid)
