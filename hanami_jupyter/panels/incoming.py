"""Files on their way from the browser: what they are, received in pieces, never left behind on the disk."""

from __future__ import annotations

import codecs
import re
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.protocol import idx

Kind = Literal["csv", "images", "labels"]
HEAD = 4096  # bytes that tell what a file is
SILENCE = 120.0  # seconds without a piece after which the browser is taken for gone
_FORMATS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"PK\x03\x04": "a ZIP archive (or a spreadsheet)",
    b"\x93NUMPY": "a NumPy array",
    b"PAR1": "a Parquet table",
    b"\x89HDF": "an HDF5 file",
    b"%PDF": "a PDF document",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet",
}
_WANTED = "Choose a CSV file with a header line, or the IDX files of images and of labels, gzipped or not."
_IDX_PARTS = re.compile(r"(images?|labels?|idx[13]?|ubyte)", re.IGNORECASE)


def kind_of(head: bytes, name: str) -> Kind:
    """Tell from its first bytes what a file is.

    Raises
    ------
    PanelError
        If it is nothing that can be uploaded, with what it seems to be.

    Examples
    --------
    >>> kind_of(b"width,height", "flowers.csv")
    'csv'
    """
    start = _unpacked(head, name)
    if not start.strip():
        message = f"'{name}' is empty. {_WANTED}"
        raise PanelError(message)
    for kind, magic in idx.KINDS.items():
        if start.startswith(magic):
            return kind
    known = next((what for magic, what in _FORMATS.items() if start.startswith(magic)), None)
    if known or b"\0" in start or not _is_text(start):
        message = f"'{name}' is {known or 'neither a table nor an IDX file'}. {_WANTED}"
        raise PanelError(message)
    return "csv"


def _unpacked(head: bytes, name: str) -> bytes:
    if not head.startswith(idx.GZIP_MAGIC):
        return head[:HEAD]
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD)
    except zlib.error as error:
        reason = error
    message = f"'{name}' is a damaged gzip file: {reason}. Fetch it again."
    raise PanelError(message)


def _is_text(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return True


def suggested(name: str) -> str:
    """Return a name for a dataset out of that of its file; files that belong together get the same one.

    Examples
    --------
    >>> suggested("t10k-images-idx3-ubyte.gz"), suggested("2024 iris.csv")
    ('t10k', 'data 2024 iris')
    """
    stem = re.sub(r"(\.(gz|csv|txt|idx|bin))+$", "", Path(name).name, flags=re.IGNORECASE)
    words = [word for word in re.split(r"[^a-zA-Z0-9_]+", _IDX_PARTS.sub(" ", stem)) if word.strip("_")]
    found = " ".join(words) or "data"
    if not found[0].isalpha():
        found = f"data {found}"
    return found[:254] if len(found) >= 4 else f"{found} data"


class Received:
    """A file that arrives in pieces. It has no name on the disk, so the system frees it whatever happens.

    Parameters
    ----------
    name : str
        What the file is called where it comes from.
    size : int
        Its bytes.
    """

    def __init__(self, name: str, size: int) -> None:
        self.name, self.size, self.arrived = name, size, 0
        file: Any = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by its upload
        file.name = name  # errors of the upload call it so
        self.file: IO[bytes] = file

    def add(self, offset: int, checksum: int, piece: bytes) -> None:
        """Write the next piece, if it is the next and whole."""
        whole = zlib.crc32(piece) == checksum and offset == self.arrived
        if not whole or self.arrived + len(piece) > self.size:
            message = f"A piece of '{self.name}' arrived damaged or twice. Upload the file again."
            raise PanelError(message)
        self.file.write(piece)
        self.arrived += len(piece)


class CancelledError(Exception):
    """The upload is not wanted any more."""


@dataclass
class Upload:
    """A dataset on its way to the server.

    Attributes
    ----------
    id, name : str
        Which upload it is; what the dataset will be called.
    sources : sequence of Received or Path
        One table, or images and then labels.
    state : str
        ``receiving`` from the browser, ``sending`` to the server, ``failed``.
    """

    id: str
    name: str
    sources: Sequence[Received | Path]
    state: Literal["receiving", "sending", "failed"] = "receiving"
    error: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    _heard: float = field(default_factory=time.monotonic)
    _sent: float = 0.0

    @property
    def received(self) -> list[Received]:
        """The files that come from the browser."""
        return [source for source in self.sources if isinstance(source, Received)]

    def piece(self, file: int, offset: int, checksum: int, piece: bytes) -> None:
        """Take a piece from the browser."""
        self._heard = time.monotonic()
        self.received[file].add(offset, checksum, piece)

    @property
    def silent(self) -> bool:
        """Whether the browser that sends the pieces is gone."""
        return self.state == "receiving" and time.monotonic() - self._heard > SILENCE

    def shown(self) -> dict[str, Any]:
        """Return what the panel shows of it; what comes from the browser is half the way."""
        share = self._sent
        if files := self.received:
            share = (
                share + sum(file.arrived for file in files) / max(1, sum(file.size for file in files))
            ) / 2
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "share": round(share, 3),
            "error": self.error,
        }

    def send(self, session: Any) -> str:
        """Send the files to the server; return the dataset's uuid.

        Raises
        ------
        CancelledError
            If that was asked for meanwhile; the server keeps nothing.
        """

        def sent(done: int, total: int) -> None:
            self._sent = done / max(total, 1)
            if self.cancelled.is_set():
                raise CancelledError

        files = [source.file if isinstance(source, Received) else source for source in self.sources]
        for file in self.received:
            file.file.seek(0)
        call: Callable[..., str] = (
            session.dataset.upload_mnist_files if len(files) == 2 else session.dataset.upload_csv_files
        )
        uuid = call(self.name, *files, callback=sent)
        if self.cancelled.is_set():
            session.dataset.delete_dataset(uuid)
            raise CancelledError
        return uuid

    def close(self) -> None:
        """Free the files."""
        for file in self.received:
            file.file.close()
