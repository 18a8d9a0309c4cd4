"""The panel of datasets: a table, uploads from browser or disk, a look into rows and columns."""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import numpy as np
import traitlets

from hanami_jupyter import shown
from hanami_jupyter.panels.base import PanelError, sentence
from hanami_jupyter.panels.incoming import HEAD, CancelledError, Received, Upload, kind_of, suggested
from hanami_jupyter.panels.recipes import Step, step
from hanami_jupyter.panels.table import Column, TablePanel
from hanami_jupyter.protocol.endpoints import BY_KEY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session

_COLUMNS = 6  # columns of a dataset looked at at once
_BINS = 20
_SAMPLE_VALUES, _SAMPLE_ROWS = 100_000, 8_000  # what the figures of a column rest on, at most
_PARTS = 4  # places that these come from: a dataset may be sorted
_SHOWN = 8  # values of a wide column written out
_PROGRESS = 0.25  # seconds between looks at an upload
_NAME = next(field for field in BY_KEY["POST", "/dataset/upload/csv"].fields if field.name == "name")


class Datasets(TablePanel):
    """Show the datasets: upload files, look into rows, pictures and columns, delete.

    Files come from the browser (chosen or dropped on the panel) or from the kernel's own disk (by their
    path): CSV with a header line, or IDX files of images and of labels, gzipped or not. ``selected`` is the
    uuid of the dataset that is open, or ``""``.

    Parameters
    ----------
    session : Session or Login
        The connection to the server; of a login, whoever is signed in is followed.

    Examples
    --------
    >>> panel = hanami_jupyter.Datasets(session)  # doctest: +SKIP
    >>> panel.selected  # doctest: +SKIP
    '0c5b4f4e-6d52-4ac5-a7a5-3e4b2a0f6d11'
    """

    bundle_name: ClassVar[str] = "datasets"
    selects = "dataset"
    prompt = TablePanel.prompt | {"look", "begin", "piece", "finish", "cancel"}
    columns: ClassVar[Sequence[Column]] = (
        Column("name", "Name"),
        Column("created_at", "Created", "time"),
        Column("owner_id", "Owner"),
        Column("uuid", "Uuid", "uuid"),
    )
    title = traitlets.Unicode("Datasets").tag(sync=True)
    # what is on its way, or failed: {"id", "name", "state", "share", "error"}
    uploads: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)

    def __init__(self, session: Session | Login) -> None:
        self._uploads: dict[str, Upload] = {}
        self._stale = True
        self._opening: dict[str, str] = {}
        super().__init__(session)

    # -- reading

    def refresh(self) -> None:
        """Read the list anew, soon and without blocking."""
        self._stale = True
        super().refresh()

    def update(self) -> float | None:
        """Write how far uploads are, and the list where it may have changed."""
        for upload in [upload for upload in self._uploads.values() if upload.silent]:
            self.do_cancel(upload.id)
        self.write(uploads=[upload.shown() for upload in list(self._uploads.values())])
        if self._stale:
            opening, self._stale, self._opening = self._opening, False, {}
            try:
                self.show(self.session.dataset.list_datasets(), **opening)
            except Exception:
                self._stale, self._opening = True, opening
                raise
        return _PROGRESS if any(upload.state != "failed" for upload in self._uploads.values()) else None

    # -- uploads

    def do_look(self, name: str = "", path: str = "", attached: bytes = b"") -> dict[str, Any]:
        """Tell what a file is, by its first bytes from the browser or its path on the kernel's disk."""
        size = 0
        if path:
            file = _file(path)
            name, size = file.name, file.stat().st_size
            with file.open("rb") as opened:
                attached = opened.read(HEAD)
        return {"name": name, "size": size, "kind": kind_of(attached, name), "suggested": suggested(name)}

    def do_begin(self, name: str, files: list[dict[str, Any]]) -> str:
        """Begin an upload of a table, or of images and labels: each a path, or a name and a size to come."""
        name = name.strip()
        if not 4 <= len(name) <= 254 or not _NAME.matches(name):
            message = (
                f"'{name}' is no name for a dataset. Take 4 to 254 letters, digits, '_', '-' and spaces, "
                "and begin with a letter."
            )
            raise PanelError(message)
        coming = sum(file["size"] for file in files if "path" not in file)
        free = shutil.disk_usage(tempfile.gettempdir()).free
        if coming >= free:
            message = (
                f"The files have {coming:,} bytes, but the kernel's disk has {free:,} left. Free some, or "
                "give the path of a file that the kernel can read."
            )
            raise PanelError(message)
        sources = [_file(file["path"]) if "path" in file else Received(**file) for file in files]
        upload = Upload(uuid4().hex, name, sources)
        self._uploads[upload.id] = upload
        self._feed.wake(self)
        return upload.id

    def do_piece(self, upload: str, file: int, offset: int, checksum: int, attached: bytes) -> None:
        """Take a piece of a file from the browser."""
        self._upload(upload).piece(file, offset, checksum, attached)

    def do_finish(self, upload: str) -> None:
        """Send what has arrived to the server, beside everything else."""
        found = self._upload(upload)
        if any(file.arrived < file.size for file in found.received):
            message = f"The files of '{found.name}' have not arrived as a whole. Upload them again."
            raise PanelError(message)
        found.state = "sending"
        threading.Thread(target=self._deliver, args=(found,), name="hanami-upload", daemon=True).start()

    def do_cancel(self, upload: str) -> None:
        """End an upload, or put away one that failed; the server keeps nothing of it."""
        found = self._uploads.get(upload)
        if found is None:
            return
        found.cancelled.set()
        if found.state != "sending":  # who sends frees it
            self._forget(found)

    def _upload(self, number: str) -> Upload:
        found = self._uploads.get(number)
        if found is None or found.state != "receiving":
            message = "This upload was cancelled. Begin it again."
            raise PanelError(message)
        return found

    def _deliver(self, upload: Upload) -> None:
        try:
            uuid = upload.send(self.session)
        except CancelledError:
            self._forget(upload)
        except Exception as error:  # noqa: BLE001 - shown where the person uploads
            upload.state, upload.error = "failed", sentence(error)
            self._feed.wake(self)
        else:
            self._opening, self._stale = {"selected": uuid}, True
            self._forget(upload)
            self._feed.call(lambda: self.did(_as_code(upload)))
        finally:
            upload.close()

    def _forget(self, upload: Upload) -> None:
        upload.close()
        self._uploads.pop(upload.id, None)
        if not self.closed:
            self._feed.wake(self)

    def close(self) -> None:
        """End uploads and feed and remove every view; a second call does nothing."""
        super().close()
        for upload in list(self._uploads.values()):
            self.do_cancel(upload.id)

    # -- looking into a dataset

    def do_describe(self, dataset: str) -> dict[str, Any]:
        """Return what a dataset is: rows, and its columns with their widths."""
        about = self.session.dataset.get_dataset(dataset)
        columns = [
            {"name": name, "width": int(span["column_end"]) - int(span["column_start"])}
            for name, span in sorted(about["description"].items(), key=lambda item: item[1]["column_start"])
        ]
        return {"name": str(about["name"]), "rows": int(about["number_of_rows"]), "columns": columns}

    def do_preview(
        self, dataset: str, columns: list[str], offset: int, limit: int, widths: dict[str, int]
    ) -> list[list[dict[str, Any]]]:
        """Return rows of some columns; ``widths`` tells which columns are pictures, and how wide."""
        found = [
            self.session.dataset.download_dataset_content(dataset, name, limit, offset)
            for name in columns[:_COLUMNS]
        ]
        cells = [
            [_cell(row, widths.get(name, 0)) for row in values]
            for name, values in zip(columns, found, strict=False)
        ]
        return [list(row) for row in zip(*cells, strict=True)]

    def do_statistics(self, dataset: str, column: str, rows: int, width: int) -> dict[str, Any]:
        """Return histogram, limits and mean of a column, from rows out of several places."""
        wanted = max(_PARTS, min(_SAMPLE_ROWS, _SAMPLE_VALUES // max(width, 1)))
        size = wanted // _PARTS
        pages = [(part * (rows - size) // (_PARTS - 1), size) for part in range(_PARTS)]
        download = self.session.dataset.download_dataset_content
        parts = [
            download(dataset, column, size, offset)
            for offset, size in ([(0, rows)] if rows <= wanted else pages)
        ]
        return _statistics(np.concatenate(parts))

    def do_delete(self, datasets: list[str]) -> None:
        """Delete datasets."""
        steps = []
        try:
            for uuid in datasets:
                self.session.dataset.delete_dataset(uuid)
                steps.append(step("dataset.delete_dataset", uuid, words=("dataset", "delete", uuid)))
        finally:
            self.did(*steps)
            self.show(self.session.dataset.list_datasets())


def _as_code(upload: Upload) -> Step:
    """Return the upload as a call; a file of the browser is named as if it lay beside the notebook."""
    files = [source.name if isinstance(source, Received) else str(source) for source in upload.sources]
    kind, options = ("mnist", ("-i", "-l")) if len(files) == 2 else ("csv", ("-i",))
    words = ["dataset", "create", kind, upload.name]
    words += [word for pair in zip(options, files, strict=True) for word in pair]
    return step(f"dataset.upload_{kind}_files", upload.name, *files, words=words)


def _file(path: str) -> Path:
    """Return a file on the kernel's disk."""
    file = Path(path.strip()).expanduser()
    if file.is_file():
        return file
    what = "is a folder" if file.is_dir() else "is not on the kernel's disk"
    message = f"'{path.strip()}' {what}. Give the path of a CSV or IDX file; it begins in '{Path.cwd()}'."
    raise PanelError(message)


def _one_hot(values: NDArray[Any]) -> bool:
    """Tell whether each row is a class: one 1 among zeros."""
    return bool(values.shape[1] > 1 and np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def _cell(row: NDArray[Any], width: int) -> dict[str, Any]:
    """Return what is shown of a row in one column: a picture, a number, a class, or the first values."""
    if len(row) == 1:
        return {"value": _short(row[0])}
    if _one_hot(row[None]):
        return {"class": int(row.argmax())}
    if width and not len(row) % width:
        return {"image": shown.png(row.reshape(-1, width))}
    more = " …" if len(row) > _SHOWN else ""
    return {"value": ", ".join(map(_short, row[:_SHOWN])) + more}


def _short(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "not a number"


def _statistics(values: NDArray[Any]) -> dict[str, Any]:
    """Return what is told of a column: counts of classes, or a histogram with its limits and mean."""
    about: dict[str, Any] = {"rows": len(values), "classes": False}
    if _one_hot(values):
        return about | {"classes": True, "counts": values.sum(axis=0).astype(int).tolist()}
    known = values[np.isfinite(values)]
    if not known.size:
        return about | {"counts": [], "low": None, "high": None, "mean": None}
    counts, _ = np.histogram(known, bins=_BINS)
    return about | {
        "counts": counts.tolist(),
        "low": float(known.min()),
        "high": float(known.max()),
        "mean": float(known.mean(dtype=np.float64)),
    }
