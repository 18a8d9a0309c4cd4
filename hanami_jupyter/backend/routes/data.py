"""Endpoints for datasets and checkpoints."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from starlette.responses import Response, StreamingResponse

from hanami_jupyter.backend import files, readers
from hanami_jupyter.backend.errors import RefusalError, bad, damaged, missing, sentence
from hanami_jupyter.backend.service import Service
from hanami_jupyter.backend.store import Caller, CheckpointRow, DatasetRow
from hanami_jupyter.protocol.endpoints import BY_KEY, DATASET_VERSION, OWNED_COLUMNS

from . import route, table, text_json

_ROWS = 100  # rows of content if nothing is said
MAX_CHECKPOINT = 1 << 30  # bytes: it is read into memory
MOST_VALUES = 20_000_000  # in one answer
_PIECE = 50_000  # values turned into JSON at once
_BYTES = 1 << 18  # of a file read at once
_AT_ONCE = 1_000_000  # values: a longer answer goes out as it is made


def dataset(
    service: Service, uuid: str, caller: Caller, word: str = "Data-set", *, else_: int = 409
) -> DatasetRow:
    """Return a complete dataset the caller may see; ``else_`` is the status for one that is not complete."""
    row = service.store.dataset(uuid, caller)
    if row is None:
        raise missing(word, uuid)
    if not row.complete:
        raise RefusalError(
            else_, f"Dataset '{row.name}' is not finished. Upload its files and finish it first."
        )
    return row


def matrix(service: Service, row: DatasetRow) -> files.Matrix:
    """Return the values of a dataset, memory-mapped."""
    path = files.matrix_file(service.uploads.datasets, row.uuid)
    try:
        found = files.open_matrix(path)
    except RefusalError:
        if service.store.dataset(row.uuid) is None:  # deleted meanwhile
            raise missing("Data-set", row.uuid) from None
        raise
    if found.shape != (row.info["number_of_rows"], row.info["number_of_columns"]):
        raise damaged(path)
    return found


def _begin(kind: str, *parts: str) -> Callable[[Service, Caller, dict[str, Any]], Any]:
    def begin(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
        info: dict[str, Any] = {}
        if "columns" in values:
            try:
                info = {"widths": readers.check_columns(values["columns"])}
            except ValueError as error:
                raise bad(sentence(error)) from None
        sizes = {part: values[f"{part}_data_size"] for part in parts}
        if kind == "checkpoint" and sizes["input"] > MAX_CHECKPOINT:
            raise bad(f"A checkpoint of {sizes['input']} bytes is too large. The limit is {MAX_CHECKPOINT}.")
        return service.uploads.begin(caller, kind, values["name"], sizes, info)

    return begin


def _finish(kind: str, *parts: str) -> Callable[[Service, Caller, dict[str, Any]], Any]:
    def finish(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
        given = {part: values[f"uuid_{part}_file"] for part in parts}
        return service.uploads.finish(caller, kind, values["uuid"], given)

    return finish


for _kind, _parts in (("mnist", ("input", "label")), ("csv", ("input",)), ("array", ("input",))):
    route("POST", f"/dataset/upload/{_kind}")(_begin(_kind, *_parts))
    route("PUT", f"/dataset/upload/{_kind}", slow=True)(_finish(_kind, *_parts))
route("POST", "/checkpoint/upload")(_begin("checkpoint", "input"))
route("PUT", "/checkpoint/upload", slow=True)(_finish("checkpoint", "input"))


@route("GET", "/dataset")
def get_dataset(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Return a dataset with its columns."""
    row = dataset(service, values["uuid"], caller)
    return row.answer(**row.info, version=DATASET_VERSION)


@route("DELETE", "/dataset")
def delete_dataset(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Delete a dataset."""
    service.uploads.delete_dataset(values["uuid"], caller)
    return {}


@route("GET", "/dataset/all")
def list_datasets(service: Service, caller: Caller, _values: dict[str, Any]) -> Any:
    """List datasets."""
    return table(OWNED_COLUMNS, service.store.visible("datasets", caller))


@route("GET", "/dataset/progress")
def progress(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Tell whether the files have arrived."""
    return {"complete": service.uploads.progress(values["uuid"], caller), "uuid": values["uuid"]}


def column(row: DatasetRow, name: str) -> tuple[int, int]:
    """Return where a column begins and ends."""
    place = row.info["description"].get(name)
    if place is None:
        known = readers.names_of(row.info["description"])
        raise RefusalError(404, f"Dataset '{row.name}' has no column '{name}'. It has {known}.")
    return place["column_start"], place["column_end"]


@route("GET", "/dataset/content", slow=True)
def content(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Return rows of one column."""
    row = dataset(service, values["uuid"], caller, "Dataset")
    start, end = column(row, values["column_name"])
    total, first = row.info["number_of_rows"], values["row_offset"]
    count = values["number_of_rows"] or max(min(_ROWS, total - first), 1)
    if first + count > total:
        raise bad(
            f"Rows {first} to {first + count - 1} were asked for, but dataset '{row.name}' has {total} rows."
        )
    if count * (end - start) > MOST_VALUES:
        raise bad(f"{count} rows of {end - start} values are too many at once. Ask for fewer rows.")
    pieces = _pieces(matrix(service, row).columns(start, end)[first : first + count])
    if count * (end - start) <= _AT_ONCE:
        return text_json("".join(pieces))
    return StreamingResponse(pieces, headers={"content-type": "text/json"})


def _pieces(part: npt.NDArray[Any]) -> Iterator[str]:
    """Give the JSON of some rows in pieces: the interpreter can turn to other requests in between."""
    step = max(1, _PIECE // max(1, part.shape[1]))
    yield '{"data":['
    for i in range(0, len(part), step):
        text = json.dumps(part[i : i + step].astype(np.float64).tolist(), separators=(",", ":"))[1:-1]
        yield f",{text}" if i else text
    yield "]}"


@route("GET", "/dataset/check", slow=True)
def check(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Compare a result with labels: the share of rows with the same largest value, in percent."""
    result = dataset(service, values["uuid"], caller, "Dataset")
    reference = dataset(service, values["reference_uuid"], caller, "Dataset")
    (a, b), (c, d) = _pair(result, reference)
    rows = result.info["number_of_rows"]
    if rows > reference.info["number_of_rows"]:
        raise bad(
            f"Result '{result.name}' has {rows} rows, but '{reference.name}' only"
            f" {reference.info['number_of_rows']}. Compare with the dataset of the request."
        )
    got = matrix(service, result).columns(a, b)[:rows]
    wanted = matrix(service, reference).columns(c, d)[:rows]
    if b - a == 1 and not np.isin(wanted, (0, 1)).all():
        raise bad(
            f"The column of '{reference.name}' holds one number a row that is neither 0 nor 1, which has no"
            " accuracy. Upload classes as one column each (one-hot)."
        )
    same = (got[:, 0] >= 0.5) == (wanted[:, 0] >= 0.5) if b - a == 1 else got.argmax(1) == wanted.argmax(1)
    return {"accuracy": float(same.mean() * 100)}


def _pair(result: DatasetRow, reference: DatasetRow) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the columns to compare: of one name, else with the labels, else the first of one width."""
    there = {name: column(reference, name) for name in reference.info["description"]}
    for name in result.info["description"]:
        a, b = column(result, name)
        if name in there and there[name][1] - there[name][0] != b - a:
            raise bad(
                f"Column '{name}' has {b - a} values a row in '{result.name}', but"
                f" {there[name][1] - there[name][0]} in '{reference.name}'."
            )
        for other in (name, "label", *there):
            if other in there and there[other][1] - there[other][0] == b - a > 0:
                return (a, b), there[other]
    raise bad(
        f"No column of '{result.name}' has as many values a row as one of '{reference.name}'."
        " Compare with a dataset that holds the labels."
    )


@route("GET", "/dataset/file")
def dataset_file(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Return a whole dataset as .npy."""
    row = dataset(service, values["uuid"], caller)
    found = matrix(service, row)
    start = files.header(found.blocks[0].dtype, *found.shape)
    size = len(start) + math.prod(found.shape) * found.blocks[0].itemsize

    def pieces() -> Iterator[bytes]:
        yield start
        step = max(1, _BYTES * found.shape[0] // size)
        for first in range(0, found.shape[0], step):
            yield np.hstack([block[first : first + step] for block in found.blocks]).tobytes()

    media = BY_KEY["GET", "/dataset/file"].media
    return StreamingResponse(pieces(), headers={"content-type": media, "content-length": str(size)})


def _download(path: Path, media: str) -> Response:
    """Return a file, held open: who deletes it meanwhile takes nothing from the answer."""
    file = path.open("rb")

    def pieces() -> Iterator[bytes]:
        with file:
            while piece := file.read(_BYTES):
                yield piece

    size = os.fstat(file.fileno()).st_size
    return StreamingResponse(pieces(), headers={"content-type": media, "content-length": str(size)})


def checkpoint(service: Service, uuid: str, caller: Caller) -> CheckpointRow:
    """Return a complete checkpoint the caller may see."""
    row = service.store.checkpoint(uuid, caller)
    if row is None or not row.complete:
        raise missing("Checkpoint", uuid)
    return row


@route("GET", "/checkpoint")
def get_checkpoint(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Return a checkpoint."""
    return checkpoint(service, values["uuid"], caller).answer()


@route("DELETE", "/checkpoint")
def delete_checkpoint(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Delete a checkpoint."""
    service.uploads.delete_checkpoint(values["uuid"], caller)
    return {}


@route("GET", "/checkpoint/all")
def list_checkpoints(service: Service, caller: Caller, _values: dict[str, Any]) -> Any:
    """List checkpoints."""
    return table(OWNED_COLUMNS, service.store.visible("checkpoints", caller))


@route("GET", "/checkpoint/file")
def checkpoint_file(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Return a checkpoint as one file."""
    row = checkpoint(service, values["uuid"], caller)
    path = service.uploads.checkpoints / f"{row.uuid}.cluster"
    try:
        return _download(path, BY_KEY["GET", "/checkpoint/file"].media)
    except FileNotFoundError:
        if service.store.checkpoint(row.uuid) is None:  # deleted meanwhile
            raise missing("Checkpoint", row.uuid) from None
        raise damaged(path, "missing") from None
