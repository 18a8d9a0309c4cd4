"""Frames of all kinds, cut anywhere: the short way of whole messages and the library's own agree."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import websocket
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanami_jupyter.protocol.hanami_messages_pb2 import (
    TRAIN,
    ClusterIO_Message,
    FileUpload_Message,
    FileUploadResponse_Message,
)

from .conftest import Client

MASK = b"\x11\x22\x33\x44"
TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode: int, content: bytes, *, last: bool = True, mask: bytes = MASK) -> bytes:
    """A client's frame; without a mask, one that no client may send."""
    size = len(content)
    head = bytes([opcode | 0x80 * last])
    bit = 0x80 if mask else 0
    if size < 126:
        head += bytes([bit | size])
    elif size < 1 << 16:
        head += bytes([bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", size)
    return head + mask + bytes(c ^ mask[i % 4] for i, c in enumerate(content)) if mask else head + content


def fragments(content: bytes, cuts: list[int], ping: bool) -> bytes:
    """A message in several frames, perhaps with a ping in its middle."""
    ends = sorted({cut % (len(content) + 1) for cut in cuts})
    parts = [content[a:b] for a, b in zip([0, *ends], [*ends, len(content)], strict=True)]
    out = b""
    for number, part in enumerate(parts):
        out += frame(0 if number else BINARY, part, last=number == len(parts) - 1)
        out += frame(PING, b"inside") if ping and number == 0 else b""
    return out


PIECES = st.lists(
    st.tuples(
        st.integers(0, 70_000),
        st.sampled_from(["whole", "whole", "whole", "fragments", "ping"]),
        st.lists(st.integers(0, 70_000), max_size=3),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=PIECES, cuts=st.lists(st.integers(1, 200_000), max_size=8))
def test_messages_arrive_whole_however_they_come(
    admin: Client, pieces: list[tuple[int, str, list[int]]], cuts: list[int]
) -> None:
    data = np.random.default_rng(len(pieces)).integers(0, 255, 16 + sum(p[0] for p in pieces))
    start = io.BytesIO()
    np.save(start, data.astype(np.uint8)[:, None])
    file = start.getvalue()
    begun = admin.post(
        "/dataset/upload/array", name="cut up", input_data_size=len(file), columns=[{"name": "a", "width": 1}]
    )
    link = admin.websocket("file_upload", begun["uuid_input_file"])
    stream, position, pings = b"", 0, 0
    ends = [*np.cumsum([p[0] for p in pieces[:-1]]).tolist(), len(file)]
    for end, (_, how, places) in zip(ends, pieces, strict=True):
        content = FileUpload_Message(position=position, data=file[position:end]).SerializeToString()
        pings += how == "ping"
        stream += frame(PING, b"p" * 9) if how == "ping" else b""
        stream += frame(BINARY, content) if how != "fragments" else fragments(content, places, True)
        pings += how == "fragments"
        position = end
    bounds = sorted({cut % len(stream) for cut in cuts})
    for a, b in zip([0, *bounds], [*bounds, len(stream)], strict=True):
        link.sock.sendall(stream[a:b])
    answers, pongs = 0, 0
    while answers < len(pieces) or pongs < pings:
        opcode, answer = link.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_BINARY:
            assert FileUploadResponse_Message.FromString(answer).success
            answers += 1
        else:
            assert opcode == websocket.ABNF.OPCODE_PONG
            pongs += 1
    link.close()
    admin.put("/dataset/upload/array", uuid=begun["uuid"], uuid_input_file=begun["uuid_input_file"])
    whole = np.load(io.BytesIO(admin.call("GET", "/dataset/file", {"uuid": begun["uuid"]}).body))
    assert (whole[:, 0] == data).all()
    admin.delete("/dataset", uuid=begun["uuid"])


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (frame(BINARY, b"not masked", mask=b""), 1002),
        (bytes([0xC2]) + frame(BINARY, b"reserved bit")[1:], 1002),
        (frame(0x3, b"unknown"), 1002),
        (frame(0, b"nothing to go on with"), 1002),
        (frame(BINARY, b"begun", last=False) + frame(BINARY, b"another"), 1002),
        (frame(PING, b"too long" * 20), 1002),
        (b"\x82\xff" + struct.pack(">Q", 1 << 40) + MASK, 1009),
    ],
)
def test_wrong_frames_end_the_connection_behind_the_good_ones(admin: Client, wrong: bytes, code: int) -> None:
    uuid = admin.cluster("framed")
    link = admin.websocket("cluster", uuid)
    good = ClusterIO_Message(
        bufferName="picture_hex", processType=TRAIN, numberOfValues=2, values=[1, 2]
    ).SerializeToString()
    link.sock.sendall(frame(BINARY, good) * 3)
    assert [ClusterIO_Message.FromString(link.recv()).processType for _ in range(3)] == [TRAIN] * 3
    link.sock.sendall(wrong)
    opcode, reason = link.recv_data(control_frame=True)
    assert opcode == websocket.ABNF.OPCODE_CLOSE
    assert struct.unpack(">H", reason[:2])[0] == code
    link.close()
    admin.delete("/cluster", uuid=uuid)


def test_answers_keep_the_order_of_right_and_wrong_messages(admin: Client) -> None:
    uuid = admin.cluster("mixed")
    link = admin.websocket("cluster", uuid)

    def message(name: str, **more: object) -> bytes:
        values = {"numberOfValues": 2, "values": [1, 2], **more}
        return ClusterIO_Message(bufferName=name, processType=TRAIN, **values).SerializeToString()

    rounds = [message("picture_hex"), message("label_hex", targetBufferType=2, isLast=True)]
    wrong = [message("nobody"), message("picture_hex", numberOfValues=3), b"\xff\xff"]
    sent = [*rounds, wrong[0], *rounds, wrong[1], wrong[2], *rounds] * 5
    link.sock.sendall(b"".join(frame(BINARY, content) for content in sent))
    for content in sent:
        opcode, answer = link.recv_data()
        assert (opcode == TEXT) == (content in wrong)
        if opcode == BINARY:
            assert ClusterIO_Message.FromString(answer).isLast == (content == rounds[1])
    link.close()
    admin.delete("/cluster", uuid=uuid)
