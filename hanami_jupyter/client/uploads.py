"""Sending files to a server: where their bytes come from, what they must look like, how they travel."""

from __future__ import annotations

import gzip
import io
import mmap
import os
import stat
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, TypeGuard

from hanami_jupyter.client.hanami_exceptions import (
    BadRequestException,
    ConnectionException,
    HanamiException,
    InvalidDataException,
    TimeoutException,
    UnexpectedAnswerException,
)
from hanami_jupyter.client.transport import Socket, Verify, call, limits
from hanami_jupyter.protocol import idx
from hanami_jupyter.protocol.endpoints import UPLOAD_PIECE
from hanami_jupyter.protocol.packing import piece_head

Source = str | os.PathLike[str] | bytes | bytearray | memoryview | IO[bytes]
"""A path, the bytes themselves, or an open binary file; gzipped or not."""
Sent = Callable[[int, int], object]
"""Called with the bytes that have arrived and the bytes in all."""

WINDOW = 16  # pieces under way
CONNECTIONS = 3  # tries to send one file over a connection that breaks


@contextmanager
def opened(source: Source, *, unpack: bool = True) -> Iterator[memoryview]:
    """Give the bytes of a source, unpacked if they are gzipped; plain files are not read into memory.

    Examples
    --------
    >>> with opened(b"abc") as data:
    ...     bytes(data)
    b'abc'
    """
    if isinstance(source, (str, os.PathLike)):
        with Path(source).expanduser().open("rb") as file:
            yield _mapped(file, str(source), unpack=unpack)
    elif _on_disk(source):
        source.flush()
        yield _mapped(source, name_of(source, "the data"), unpack=unpack)
    else:
        data = source if isinstance(source, (bytes, bytearray, memoryview)) else source.read()
        yield memoryview(_unpacked(data, name_of(source, "the data")) if unpack else data)


def _on_disk(source: bytes | bytearray | memoryview | IO[bytes]) -> TypeGuard[IO[bytes]]:
    """Tell whether a source is an open file that can be mapped: on a disk, and not read yet."""
    file = getattr(source, "raw", source)
    if not isinstance(file, io.FileIO) or not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        return False
    return file.tell() == 0


def _mapped(file: IO[bytes], name: str, *, unpack: bool) -> memoryview:
    """Return the bytes of a file on a disk, mapped into memory unless they have to be unpacked."""
    if os.fstat(file.fileno()).st_size == 0:
        return memoryview(b"")
    # closed when the last slice is gone: an exception under way still holds some
    data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    return memoryview(_unpacked(data, name)) if unpack else data


def _unpacked(data: bytes | bytearray | memoryview, name: str) -> bytes | bytearray | memoryview:
    if bytes(data[:2]) != idx.GZIP_MAGIC:
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError) as error:
        reason = str(error)
    message = f"'{name}' is a damaged gzip file: {reason}. Fetch it again."
    raise InvalidDataException(message)


def check_idx(images: memoryview, labels: memoryview, names: tuple[str, str]) -> None:
    """Refuse IDX files that are cut short, of the wrong kind, or do not belong together."""
    try:
        counts = [
            idx.shape(bytes(data[: idx.MAX_HEADER]), len(data), f"'{name}'", kind)[0]
            for data, name, kind in zip((images, labels), names, idx.KINDS, strict=True)
        ]
    except ValueError as error:
        raise InvalidDataException(str(error)) from None
    if counts[0] != counts[1]:
        told = f"'{names[0]}' holds {counts[0]:,} images, but '{names[1]}' {counts[1]:,} labels"
        message = f"{told}. Give files that belong together."
        raise InvalidDataException(message)


def name_of(source: Source, otherwise: str) -> str:
    """Return how to call a source in a message."""
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    return str(getattr(source, "name", otherwise))


def upload(
    token: str,
    address: str,
    verify: Verify,
    path: str,
    files: Mapping[str, memoryview],
    values: Mapping[str, Any],
    callback: Sent | None = None,
    *,
    remove: str = "/dataset",
) -> str:
    """Begin an upload, send its files, finish it, and take it back if anything fails.

    Parameters
    ----------
    token, address, verify
        As everywhere.
    path : str
        Endpoint that begins (POST) and finishes (PUT) the upload.
    files : mapping of str to memoryview
        Bytes by kind, ``input`` and ``label``: ``KIND_data_size`` in the request, ``uuid_KIND_file`` in the
        answer.
    values : mapping
        Further values of the request.
    callback : callable, optional
        Called with the bytes that have arrived and the bytes in all.
    remove : str
        Endpoint that deletes what is not finished.

    Returns
    -------
    str
        The uuid.
    """
    sizes = {f"{kind}_data_size": len(data) for kind, data in files.items()}
    for kind, data in files.items():
        if not len(data):
            message = f"The {kind} file is empty; there is nothing to upload."
            raise InvalidDataException(message)
    begun = call("POST", path, token, address, verify, **values, **sizes)
    uuid = str(begun["uuid"])
    try:
        total, before = sum(sizes.values()), 0
        for kind, data in files.items():
            start = before

            def sent(count: int, start: int = start) -> None:
                if callback is not None:
                    callback(start + count, total)

            _send_file(token, address, verify, str(begun[f"uuid_{kind}_file"]), data, sent)
            before += len(data)
        if remove == "/dataset":
            _await_complete(token, address, verify, uuid)
        finals = {f"uuid_{kind}_file": begun[f"uuid_{kind}_file"] for kind in files}
        call("PUT", path, token, address, verify, uuid=uuid, **finals)
    except BaseException:
        with suppress(HanamiException):
            call("DELETE", remove, token, address, verify, uuid=uuid)
        raise
    return uuid


def _send_file(
    token: str, address: str, verify: Verify, file_uuid: str, data: memoryview, sent: Callable[[int], None]
) -> None:
    """Send one file; where the connection breaks, go on behind the last piece that has arrived."""
    arrived = 0
    for left in reversed(range(CONNECTIONS)):
        before = arrived
        try:
            with _closing(Socket(token, address, "file_upload", file_uuid, verify)) as socket:
                for arrived in _pieces(socket, data, before):
                    sent(arrived)
        except ConnectionException as error:
            if not left or error.status == 0:
                reason = str(error)
            else:
                continue
        else:
            return
        break
    message = f"The upload broke off after {arrived:,} of {len(data):,} bytes: {reason}"
    raise ConnectionException(message, None, "", "WEBSOCKET", "/")


@contextmanager
def _closing(socket: Socket) -> Iterator[Socket]:
    try:
        yield socket
    finally:
        socket.close()


def _pieces(socket: Socket, data: memoryview, start: int) -> Iterator[int]:
    """Send the pieces from ``start`` on, several under way, and yield how far the server has them."""
    waiting: deque[int] = deque()
    for position in range(start, len(data), UPLOAD_PIECE):
        piece = data[position : position + UPLOAD_PIECE]
        socket.send(b"".join((piece_head(position, len(piece)), piece)))
        waiting.append(position + len(piece))
        if len(waiting) >= WINDOW:
            yield _acknowledged(socket, waiting)
    while waiting:
        yield _acknowledged(socket, waiting)


def _acknowledged(socket: Socket, waiting: deque[int]) -> int:
    from google.protobuf.message import DecodeError  # noqa: PLC0415 - importing the package stays cheap

    from hanami_jupyter.protocol.hanami_messages_pb2 import FileUploadResponse_Message  # noqa: PLC0415

    answer = socket.receive_message()
    try:
        response = FileUploadResponse_Message.FromString(answer)
    except DecodeError:
        response = None
    if response is None:
        message = f"The server acknowledged a piece of the upload with {len(answer)} bytes that say nothing."
        raise UnexpectedAnswerException(message, method="WEBSOCKET", path="/")
    if not response.success:
        said = response.errorMessage or "it gives no reason"
        message = f"The server refused a piece of the upload: {said.rstrip('.')}."
        raise BadRequestException(message, None, response.errorMessage, "WEBSOCKET", "/")
    return waiting.popleft()


def _await_complete(token: str, address: str, verify: Verify, uuid: str) -> None:
    """Wait until the server has written all pieces."""
    until, pause = time.monotonic() + limits.answer, 0.005
    while not call("GET", "/dataset/progress", token, address, verify, uuid=uuid)["complete"]:
        if time.monotonic() > until:
            message = f"The server has all pieces but calls the upload incomplete for {limits.answer:g} s."
            raise TimeoutException(message, None, "", "GET", "/dataset/progress")
        time.sleep(pause)
        pause = min(2 * pause, 0.5)
