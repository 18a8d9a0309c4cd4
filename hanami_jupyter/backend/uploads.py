"""Uploads: which bytes of a file have arrived, datasets and checkpoints that come out of whole ones."""

from __future__ import annotations

import os
import threading
import uuid as uuids
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from hanami_jupyter.protocol.hanami_messages_pb2 import FileUpload_Message, FileUploadResponse_Message
from hanami_jupyter.protocol.packing import read_piece

from . import files, hosts, readers
from .errors import bad, disk_full, missing, sentence
from .store import Caller, CheckpointRow, DatasetRow, Store, UploadRow

_MOST_GAPS = 65_536  # between the pieces of one file
_SYNC = 1 << 23  # bytes of a file that stays which go to the disk together
_GOOD = FileUploadResponse_Message(success=True).SerializeToString()
_INVALID = "Got invalid FileUpload-Message"
_READERS = {"mnist": ("input", "label"), "csv": ("input",), "array": ("input",)}
_LABELS = {"input": "Input-data", "label": "Label-data"}


class Received:
    """The bytes of a file that have arrived, as sorted intervals that do not touch."""

    def __init__(self, intervals: Sequence[tuple[int, int]] = ()) -> None:
        self.intervals = list(intervals)

    def add(self, start: int, end: int) -> None:
        """Note the bytes from start to before end."""
        if end <= start:
            return
        first = last = bisect_left(self.intervals, (start, start))
        if first and self.intervals[first - 1][1] >= start:
            first -= 1
            start = self.intervals[first][0]
        while last < len(self.intervals) and self.intervals[last][0] <= end:
            last += 1
        if last > first:
            end = max(end, self.intervals[last - 1][1])
        self.intervals[first:last] = [(start, end)]

    def whole(self, size: int) -> bool:
        """Tell whether every byte of a file of that size has arrived."""
        return self.intervals == [(0, size)]


class OpenFile:
    """A file under way, shared by the connections that write to it; one that ``stays`` becomes a dataset."""

    def __init__(self, row: UploadRow, path: Path, *, stays: bool = False, taken: bool = False) -> None:
        self.size = row.size
        self.target = row.target_uuid
        self.taken = taken  # by its dataset
        self._stays = stays
        self._unsynced = 0
        self.received = Received(row.received)
        self.lock = threading.Lock()
        self.users = 0
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)

    def write_all(self, messages: Sequence[bytes]) -> list[bytes]:
        """Write the pieces of some messages and return an acknowledgement of each."""
        return [
            FileUploadResponse_Message(success=False, errorMessage=problem).SerializeToString()
            if (problem := self.write(message))
            else _GOOD
            for message in messages
        ]

    def write(self, message: bytes) -> str:
        """Write the piece of one message; return what is wrong with it, or an empty text."""
        piece = read_piece(message)
        if piece is None:
            try:
                other = FileUpload_Message.FromString(message)
            except (DecodeError, TypeError):
                return _INVALID
            piece = other.position, memoryview(other.data)
        position, data = piece
        if position + len(data) > self.size:
            return (
                f"Failed to write data to disc: the piece ends at byte {position + len(data)},"
                f" but the file has {self.size}."
            )
        with self.lock:
            if self.taken:
                return "The file is part of a dataset now. Begin another upload."
            return self._keep(position, data)

    def _keep(self, position: int, data: memoryview) -> str:
        try:
            self._put(position, data)
        except OSError as error:
            if not disk_full(error):
                return "Failed to write data to disc"
            self._make_room()
            return sentence(error)
        self._unsynced += len(data)
        self.received.add(position, position + len(data))
        if len(self.received.intervals) > _MOST_GAPS:
            self.received = Received()
            return "The pieces leave too many gaps between them. Send the file from its beginning on."
        return ""

    def _make_room(self) -> None:
        """Give back what the file takes, or nothing could be deleted on a full disk; it begins anew."""
        os.ftruncate(self._handle, 0)
        self.received = Received()

    @property
    def due(self) -> bool:
        """Whether there is enough to :meth:`sync`."""
        return self._stays and self._unsynced >= _SYNC

    def sync(self) -> None:
        """Put what has arrived on the disk while more arrives, so that little is left for the end."""
        self._unsynced = 0
        try:
            getattr(os, "fdatasync", os.fsync)(self._handle)
        except OSError:  # told once: nobody may take the file for whole
            with self.lock:
                if not self.taken:
                    self._make_room()

    def _put(self, position: int, data: memoryview) -> None:
        done = 0
        while done < len(data):
            rest = data[done:] if done else data
            if hasattr(os, "pwrite"):
                done += os.pwrite(self._handle, rest, position + done)
            else:  # pragma: no cover - Windows
                os.lseek(self._handle, position + done, os.SEEK_SET)
                done += os.write(self._handle, rest)

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)


class Uploads:
    """Files under way and what becomes of them.

    Parameters
    ----------
    store : Store
        The database.
    folder : Path
        The data folder.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self._uploads = folder / "uploads"
        self.datasets = folder / "datasets"
        self.checkpoints = folder / "checkpoints"
        self._open: dict[str, OpenFile] = {}
        self._finishing: set[str] = set()
        self._lock = threading.Lock()
        files.sweep(self._uploads, {row.uuid for row in store.uploads()})
        files.sweep(
            self.datasets, {uuid + end for uuid in store.uuids("datasets") for end in (".npy", ".idx")}
        )
        files.sweep(self.checkpoints, {f"{uuid}.cluster" for uuid in store.uuids("checkpoints")})

    # -- beginning

    def begin(
        self, caller: Caller, kind: str, name: str, sizes: Mapping[str, int], info: Mapping[str, Any]
    ) -> Any:
        """Announce the files of a dataset (or checkpoint); return the answer with their ids."""
        uuid, owner = str(uuids.uuid4()), (caller.user_id, caller.project_id)
        parts = {part: str(uuids.uuid4()) for part in sizes}
        with self.store.transaction():
            if kind == "checkpoint":
                self.store.add_checkpoint(uuid, name, owner, complete=False)
            else:
                self.store.add_dataset(uuid, name, owner, kind=kind, info=info, complete=False)
            for part, size in sizes.items():
                self.store.add_upload(parts[part], uuid, part, size, owner)
        row = self._target(uuid, caller)
        return row.answer(**{f"uuid_{part}_file": file for part, file in parts.items()})

    def _target(self, uuid: str, caller: Caller) -> DatasetRow | CheckpointRow:
        row = self.store.dataset(uuid, caller) or self.store.checkpoint(uuid, caller)
        if row is None:
            raise missing("Data-set", uuid)
        return row

    # -- writing

    def open(self, row: UploadRow) -> OpenFile:
        """Open a file for a connection."""
        target = self.store.dataset(row.target_uuid)
        stays = row.part == "input" and target is not None and target.kind == "mnist"
        with self._lock:
            if row.uuid not in self._open:
                taken = row.target_uuid in self._finishing
                self._open[row.uuid] = OpenFile(row, self._uploads / row.uuid, stays=stays, taken=taken)
            file = self._open[row.uuid]
            file.users += 1
            return file

    def leave(self, uuid: str) -> None:
        """Close a file for a connection; what has arrived is noted."""
        with self._lock:
            file = self._open[uuid]
            file.users -= 1
            if file.users == 0:
                del self._open[uuid]
                file.close()
                self.store.set_received(uuid, file.received.intervals)

    def _arrived(self, row: UploadRow) -> bool:
        with self._lock:
            file = self._open.get(row.uuid)
            if file is None:  # what its last connection has noted, not what the row said before
                kept = self.store.upload(row.uuid)
                return kept is not None and Received(kept.received).whole(kept.size)
            with file.lock:
                return file.received.whole(row.size)

    def progress(self, uuid: str, caller: Caller) -> bool:
        """Tell whether every file of a dataset has arrived."""
        row = self._target(uuid, caller)
        if row.complete:
            return True
        return all(self._arrived(file) for file in self.store.uploads(uuid))

    # -- finishing

    def finish(self, caller: Caller, kind: str, uuid: str, given: Mapping[str, str]) -> dict[str, Any]:
        """Make a dataset or checkpoint of the files that have arrived."""
        checkpoint = kind == "checkpoint"
        row = self.store.checkpoint(uuid, caller) if checkpoint else self.store.dataset(uuid, caller)
        if row is None:
            raise missing("Checkpoint" if checkpoint else "Data-set", uuid)
        with self._lock:
            if uuid in self._finishing:
                raise bad(f"'{row.name}' is being finished already. Ask for its progress.")
            self._finishing.add(uuid)
            self._take(uuid, taken=True)
        done = False
        try:
            paths = {part: self._part(uuid, part, file, caller) for part, file in given.items()}
            if isinstance(row, DatasetRow) and row.kind != kind:
                raise bad(f"Dataset '{row.name}' was begun as {row.kind}. Finish it as {row.kind}.")
            if checkpoint:
                self._finish_checkpoint(uuid, paths["input"])
            elif isinstance(row, DatasetRow):
                self._finish_dataset(row, paths)
            for path in paths.values():
                path.unlink(missing_ok=True)
            done = True
        except ValueError as error:
            raise bad(sentence(error)) from None
        finally:
            with self._lock:
                self._finishing.discard(uuid)
                self._take(uuid, taken=done)
        return {"uuid": uuid}

    def _take(self, target: str, *, taken: bool) -> None:
        """Keep connections that still have its files open from writing, or let them go on."""
        for file in self._open.values():
            if file.target == target:
                with file.lock:
                    file.taken = taken

    def _part(self, target: str, part: str, file: str, caller: Caller) -> Path:
        """Return the path of a whole file."""
        row = self.store.upload(file, caller)
        if row is None or (row.target_uuid, row.part) != (target, part):
            raise missing(_LABELS[part], file)
        if not self._arrived(row):
            raise incomplete(row)
        os.truncate(self._uploads / file, row.size)  # what a finish that was cut short has written behind it
        return self._uploads / file

    def _finish_dataset(self, row: DatasetRow, paths: Mapping[str, Path]) -> None:
        target = self.datasets / f"{row.uuid}.{'idx' if row.kind == 'mnist' else 'npy'}"
        if row.kind == "mnist":
            info = readers.read_mnist(paths["input"], paths["label"], target)
        elif row.kind == "csv":
            info = readers.read_csv(paths["input"], target)
        else:
            info = readers.read_array(paths["input"], row.info["widths"], target)
        try:
            kept = self.store.complete_dataset(row.uuid, info)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        if not kept:  # deleted meanwhile
            target.unlink(missing_ok=True)
            raise missing("Data-set", row.uuid)

    def _finish_checkpoint(self, uuid: str, path: Path) -> None:
        with path.open("rb") as file:  # before gigabytes of something else are read
            hosts.check_start(file.read(64))
        data = path.read_bytes()
        hosts.read_snapshot(data)
        files.write(self.checkpoints / f"{uuid}.cluster", data)
        self.store.complete_checkpoint(uuid)

    # -- deleting

    def delete_dataset(self, uuid: str, caller: Caller) -> None:
        """Delete a dataset, its matrix and its files under way."""
        if self.store.dataset(uuid, caller) is None:
            raise missing("Data-set", uuid)
        self._delete("datasets", uuid, files.matrix_file(self.datasets, uuid))

    def delete_checkpoint(self, uuid: str, caller: Caller) -> None:
        """Delete a checkpoint and its file."""
        if self.store.checkpoint(uuid, caller) is None:
            raise missing("Checkpoint", uuid)
        self._delete("checkpoints", uuid, self.checkpoints / f"{uuid}.cluster")

    def _delete(self, table: Any, uuid: str, path: Path) -> None:
        rows = self.store.uploads(uuid)
        self.store.delete(table, uuid)
        for row in rows:
            (self._uploads / row.uuid).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


def incomplete(row: UploadRow) -> Exception:
    """Return the refusal of a file that is not whole."""
    return bad(f"The {row.part} file has not arrived completely. Its size was announced as {row.size} bytes.")
