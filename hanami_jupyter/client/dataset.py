"""Datasets: upload, look, download, compare, delete."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from hanami_jupyter.client import transport
from hanami_jupyter.client.arrays import Columns, arranged, as_csv, as_idx, as_npy, split
from hanami_jupyter.client.hanami_exceptions import InvalidDataException
from hanami_jupyter.client.spellings import also
from hanami_jupyter.client.tables import frame, record
from hanami_jupyter.client.transport import Verify, call
from hanami_jupyter.client.uploads import Sent, Source, check_idx, name_of, opened, upload
from hanami_jupyter.protocol.endpoints import MAX_CONTENT_ROWS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "check_mnist_dataset",
    "delete_dataset",
    "download_dataset",
    "download_dataset_content",
    "get_dataset",
    "get_dataset_progress",
    "list_datasets",
    "upload_csv_files",
    "upload_data",
    "upload_mnist_files",
]


def upload_mnist_files(
    token: str,
    address: str,
    name: str,
    input_file_path: Source,
    label_file_path: Source,
    verify_connection: Verify = True,
    *,
    callback: Sent | None = None,
) -> str:
    """Upload images and labels in the IDX format of MNIST.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Name of the dataset, 4 to 254 characters.
    input_file_path, label_file_path : path, bytes or binary file
        Images (n, rows, columns) and labels (n,), as unsigned bytes; gzipped or not.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    callback : callable, optional
        Called with the bytes that have arrived and the bytes in all.

    Returns
    -------
    str
        The uuid of the dataset, with the columns ``picture`` (0..255) and ``label`` (ten, one-hot).

    Raises
    ------
    InvalidDataException
        If a file is cut short, is no IDX file, or the two do not belong together; nothing is sent.
    ConnectionException, TimeoutException
        If the upload breaks off; what has arrived is deleted.

    Examples
    --------
    >>> from hanami_jupyter import dataset
    >>> digits = dataset.upload_mnist_files(token, address, "digits", images_path, labels_path)
    >>> dataset.get_dataset(token, address, digits)["number_of_rows"]
    20
    """
    names = name_of(input_file_path, "the images"), name_of(label_file_path, "the labels")
    with opened(input_file_path) as images, opened(label_file_path) as labels:
        check_idx(images, labels, names)
        files = {"input": images, "label": labels}
        return upload(
            token, address, verify_connection, "/dataset/upload/mnist", files, {"name": name}, callback
        )


def upload_csv_files(
    token: str,
    address: str,
    name: str,
    input_file_path: Source,
    verify_connection: Verify = True,
    *,
    callback: Sent | None = None,
) -> str:
    r"""Upload a table of numbers with a header line.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Name of the dataset, 4 to 254 characters.
    input_file_path : path, bytes or binary file
        Comma-separated values; numbers, ``true`` and ``false``; gzipped or not.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    callback : callable, optional
        Called with the bytes that have arrived and the bytes in all.

    Returns
    -------
    str
        The uuid of the dataset, with a column for each of the table.

    Raises
    ------
    BadRequestException
        If a cell is no number.
    ConnectionException, TimeoutException
        If the upload breaks off; what has arrived is deleted.

    Examples
    --------
    >>> flowers = dataset.upload_csv_files(token, address, "flowers", b"width,height\n1,2\n3,4.5\n")
    >>> dataset.download_dataset(token, address, flowers, "height").tolist()
    [[2.0], [4.5]]
    """
    with opened(input_file_path) as data:
        if not transport.features(address, verify_connection):
            # the original takes cells that are no numbers as 0.0 and stumbles over quotes and \r
            table = _read_csv(data, name_of(input_file_path, "the table"))
            return upload_data(token, address, name, table, None, verify_connection, callback=callback)
        files = {"input": data}
        return upload(
            token, address, verify_connection, "/dataset/upload/csv", files, {"name": name}, callback
        )


def _read_csv(data: memoryview, name: str) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415 - importing the package stays cheap

    try:
        return pd.read_csv(io.BytesIO(data), skipinitialspace=True)
    except ValueError as error:
        reason = str(error)
    message = f"'{name}' cannot be read as a table: {reason}."
    raise InvalidDataException(message)


@overload
def upload_data(
    token: str, address: str, name: str, data: Any, labels: Any = ..., verify_connection: Verify = ..., *,
    columns: Mapping[str, Sequence[str]] | None = ..., one_hot: Sequence[str] = ...,
    scale: bool | Sequence[str] = ..., test_size: None = ..., seed: int = ..., callback: Sent | None = ...,
) -> str: ...  # fmt: skip
@overload
def upload_data(
    token: str, address: str, name: str, data: Any, labels: Any = ..., verify_connection: Verify = ..., *,
    columns: Mapping[str, Sequence[str]] | None = ..., one_hot: Sequence[str] = ...,
    scale: bool | Sequence[str] = ..., test_size: float, seed: int = ..., callback: Sent | None = ...,
) -> tuple[str, str]: ...  # fmt: skip
def upload_data(
    token: str,
    address: str,
    name: str,
    data: pd.DataFrame | ArrayLike | Mapping[str, ArrayLike],
    labels: ArrayLike | None = None,
    verify_connection: Verify = True,
    *,
    columns: Mapping[str, Sequence[str]] | None = None,
    one_hot: Sequence[str] = (),
    scale: bool | Sequence[str] = False,
    test_size: float | None = None,
    seed: int = 0,
    callback: Sent | None = None,
) -> str | tuple[str, str]:
    """Upload arrays or a DataFrame.

    Parameters
    ----------
    token, address : str
        The token and the server.
    name : str
        Name of the dataset, 4 to 254 characters.
    data : DataFrame, array_like of shape (n, …), or mapping of str to array_like
        The rows. An array becomes the column ``picture``; a mapping names columns of any width; a DataFrame
        brings a column for each of its own.
    labels : array_like of shape (n,) or (n, k), optional
        Becomes the column ``label``. Classes are written one-hot: numbers from 0 on as wide as the largest
        says, anything else sorted. An original server makes ten columns of them.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    columns : mapping of str to sequence of str, optional
        Wider columns out of those of a DataFrame: ``{"flower": ["width", "height"], "label": ["species"]}``.
        What is not named is left out.
    one_hot : sequence of str
        Columns of a DataFrame whose sorted distinct values become one 0/1 value each.
    scale : bool or sequence of str
        Whether to bring the numbers of a DataFrame's columns, or of those named, to 0..1; with a test part,
        by the limits of the training part.
    test_size : float, optional
        Fraction of the rows, 0..1, drawn at random for a second dataset ``NAME_test``.
    seed : int
        Seed of that draw.
    callback : callable, optional
        Called with the bytes that have arrived and the bytes in all.

    Returns
    -------
    str or tuple of str
        The uuid of the dataset; with ``test_size``, of the training and of the test dataset.

    Raises
    ------
    InvalidDataException
        If values are missing (the row is named), are no numbers, or lengths differ; nothing is sent.
    NotSupportedException
        If the server takes neither arrays nor this in one of its formats.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"width": [1, 2, 4], "height": [2, 3, 5], "species": ["a", "b", "a"]})
    >>> flowers = dataset.upload_data(
    ...     token, address, "some flowers", table, one_hot=["species"], scale=["width", "height"],
    ...     columns={"flower": ["width", "height"], "label": ["species"]},
    ... )
    >>> dataset.download_dataset(token, address, flowers, "label").tolist()
    [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    parts = split(data, labels, test_size, seed)
    arrangements = arranged(parts, columns, one_hot, scale)
    uuids = []
    try:
        for suffix, part in zip(("", "_test"), arrangements, strict=False):
            uuids.append(_upload_columns(token, address, name + suffix, part, verify_connection, callback))
    except BaseException:
        for uuid in uuids:
            delete_dataset(token, address, uuid, verify_connection)
        raise
    return uuids[0] if len(uuids) == 1 else (uuids[0], uuids[1])


def _upload_columns(
    token: str, address: str, name: str, columns: Columns, verify: Verify, callback: Sent | None
) -> str:
    """Upload arrays by the way that this server knows."""
    if ARRAY_UPLOAD in transport.features(address, verify):
        widths = [{"name": column, "width": array.shape[1]} for column, array in columns.items()]
        files = {"input": memoryview(as_npy(columns))}
        values = {"name": name, "columns": widths}
        return upload(token, address, verify, "/dataset/upload/array", files, values, callback)
    pair = as_idx(columns)
    if pair is not None:
        return upload_mnist_files(token, address, name, *pair, verify, callback=callback)
    files = {"input": memoryview(as_csv(columns))}
    return upload(token, address, verify, "/dataset/upload/csv", files, {"name": name}, callback)


ARRAY_UPLOAD = "POST /dataset/upload/array"


def get_dataset(
    token: str, address: str, dataset_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Get a dataset.

    Parameters
    ----------
    token, address : str
        The token and the server.
    dataset_uuid : str
        The dataset.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid``, ``name``, ``number_of_rows``, ``number_of_columns``, ``description`` (``{column:
        {"column_start": a, "column_end": b}}``, end exclusive), ``version``, owner, project, ``created_at``.

    Raises
    ------
    NotFoundException
        If there is no such dataset.
    ConflictException, InternalServerErrorException
        If its upload is not finished, from our server and from an original one.

    Examples
    --------
    >>> dataset.get_dataset(token, address, dataset_uuid)["number_of_columns"]
    794
    """
    answer = call("GET", "/dataset", token, address, verify_connection, uuid=dataset_uuid)
    return record(answer, kind="dataset")


def get_dataset_progress(
    token: str, address: str, dataset_uuid: str, verify_connection: Verify = True
) -> pd.Series[Any]:
    """Tell whether all files of an upload have arrived.

    Parameters
    ----------
    token, address : str
        The token and the server.
    dataset_uuid : str
        The dataset.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``uuid`` and ``complete``.

    Raises
    ------
    NotFoundException
        If there is no such dataset.

    Examples
    --------
    >>> dataset.get_dataset_progress(token, address, dataset_uuid)["complete"]
    True
    """
    return record(call("GET", "/dataset/progress", token, address, verify_connection, uuid=dataset_uuid))


def list_datasets(token: str, address: str, verify_connection: Verify = True) -> pd.DataFrame:
    """List the datasets that the user may see.

    Parameters
    ----------
    token, address : str
        The token and the server.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.DataFrame
        ``created_at``, ``uuid``, ``project_id``, ``owner_id``, ``visibility``, ``name``.

    Raises
    ------
    UnauthorizedException
        If the token is not valid.

    Examples
    --------
    >>> dataset_uuid in set(dataset.list_datasets(token, address)["uuid"])
    True
    """
    return frame("/dataset/all", call("GET", "/dataset/all", token, address, verify_connection))


@also(checkpoint_uuid="dataset_uuid")
def delete_dataset(token: str, address: str, dataset_uuid: str, verify_connection: Verify = True) -> None:
    """Delete a dataset.

    Parameters
    ----------
    token, address : str
        The token and the server.
    dataset_uuid : str
        The dataset; ``checkpoint_uuid`` is accepted as keyword too.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Raises
    ------
    NotFoundException
        If there is no such dataset.

    Examples
    --------
    >>> dataset.delete_dataset(token, address, flowers)
    """
    call("DELETE", "/dataset", token, address, verify_connection, uuid=dataset_uuid)


def check_mnist_dataset(
    token: str,
    address: str,
    dataset_uuid: str,
    reference_dataset_uuid: str,
    verify_connection: Verify = True,
) -> pd.Series[Any]:
    """Compare the answers of a cluster with the labels of a dataset.

    Parameters
    ----------
    token, address : str
        The token and the server.
    dataset_uuid : str
        Result of a request task.
    reference_dataset_uuid : str
        The dataset with the labels.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    pandas.Series
        ``accuracy``: percent of the rows whose largest output stands where the label is.

    Raises
    ------
    NotFoundException
        If there is no such dataset.
    BadRequestException
        If the two cannot be compared.

    Examples
    --------
    >>> from hanami_jupyter import request_result
    >>> result = request_result.check_mnist_dataset(token, address, dataset_uuid, dataset_uuid)
    >>> 0 <= result["accuracy"] <= 100
    True
    """
    answer = call(
        "GET", "/dataset/check", token, address, verify_connection,
        uuid=dataset_uuid, reference_uuid=reference_dataset_uuid,
    )  # fmt: skip
    return record(answer)


def download_dataset_content(
    token: str,
    address: str,
    dataset_uuid: str,
    column_name: str,
    number_of_rows: int = 100,
    row_offset: int = 0,
    verify_connection: Verify = True,
) -> NDArray[np.float32]:
    """Download some rows of one column.

    Parameters
    ----------
    token, address : str
        The token and the server.
    dataset_uuid, column_name : str
        The dataset and its column.
    number_of_rows : int
        How many rows, 1 to 10,000.
    row_offset : int
        The first of them, from 0.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.

    Returns
    -------
    numpy.ndarray of float32, shape (number_of_rows, width)
        The values.

    Raises
    ------
    NotFoundException
        If there is no such dataset or column.
    BadRequestException
        If the rows lie behind the end.

    Examples
    --------
    >>> dataset.download_dataset_content(token, address, dataset_uuid, "label", 2, 5).shape
    (2, 10)
    """
    import numpy as np  # noqa: PLC0415 - importing the package stays cheap

    answer = call(
        "GET", "/dataset/content", token, address, verify_connection,
        uuid=dataset_uuid, column_name=column_name, row_offset=row_offset, number_of_rows=number_of_rows,
    )  # fmt: skip
    return np.array(answer["data"], dtype=np.float32)


@overload
def download_dataset(
    token: str, address: str, dataset_uuid: str, column_name: str | None = ...,
    verify_connection: Verify = ..., *, as_frame: None = ...,
    callback: Callable[[int, int], object] | None = ...,
) -> NDArray[Any]: ...  # fmt: skip
@overload
def download_dataset(
    token: str, address: str, dataset_uuid: str, column_name: str | None = ...,
    verify_connection: Verify = ..., *, as_frame: bool, callback: Callable[[int, int], object] | None = ...,
) -> Any: ...  # fmt: skip
def download_dataset(
    token: str,
    address: str,
    dataset_uuid: str,
    column_name: str | None = None,
    verify_connection: Verify = True,
    *,
    as_frame: bool | None = None,
    callback: Callable[[int, int], object] | None = None,
) -> NDArray[Any] | pd.DataFrame:
    """Download a whole dataset, or one column of it.

    Parameters
    ----------
    token, address : str
        The token and the server.
    dataset_uuid : str
        The dataset.
    column_name : str, optional
        The column; all of them, side by side, by default.
    verify_connection : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    as_frame : bool
        Whether to return a DataFrame, with ``NAME_0``, ``NAME_1``, … for columns wider than one value.
    callback : callable, optional
        Called with the values that have arrived and the values in all.

    Returns
    -------
    numpy.ndarray of float32 or uint8, shape (n, width), or DataFrame
        The values; bytes only where the server offers whole files.

    Raises
    ------
    NotFoundException
        If there is no such dataset or column.

    Examples
    --------
    >>> dataset.download_dataset(token, address, dataset_uuid).shape
    (20, 794)
    >>> dataset.download_dataset(token, address, dataset_uuid, "label", as_frame=True).columns[3]
    'label_3'
    """
    about = get_dataset(token, address, dataset_uuid, verify_connection)
    spans = {
        name: (span["column_start"], span["column_end"])
        for name, span in sorted(about["description"].items(), key=lambda item: item[1]["column_start"])
    }
    if column_name is not None:
        spans = {name: span for name, span in spans.items() if name == column_name} or {column_name: (0, 0)}
    width = sum(end - start for start, end in spans.values())
    rows = int(about["number_of_rows"])
    if _file_is_less(width, about) and FILE_DOWNLOAD in transport.features(address, verify_connection):
        values = _from_file(token, address, dataset_uuid, verify_connection, spans)
    else:
        values = _from_pages(token, address, dataset_uuid, verify_connection, spans, rows, callback)
    return _as_frame(values, spans) if as_frame else values


FILE_DOWNLOAD = "GET /dataset/file"
_JSON_BYTES = 10  # a value's length in JSON, about


def _file_is_less(width: int, about: pd.Series[Any]) -> bool:
    return 0 < int(about["number_of_columns"]) <= width * _JSON_BYTES


def _from_file(
    token: str, address: str, uuid: str, verify: Verify, spans: Mapping[str, tuple[int, int]]
) -> NDArray[Any]:
    import numpy as np  # noqa: PLC0415

    body = transport.send("GET", "/dataset/file", token, address, verify, {"uuid": uuid}, binary=True)
    whole: NDArray[Any] = np.load(io.BytesIO(body), allow_pickle=False)
    if sum(end - start for start, end in spans.values()) == whole.shape[1]:
        return whole
    return np.concatenate([whole[:, start:end] for start, end in spans.values()], axis=1)


def _from_pages(
    token: str,
    address: str,
    uuid: str,
    verify: Verify,
    spans: Mapping[str, tuple[int, int]],
    rows: int,
    callback: Callable[[int, int], object] | None,
) -> NDArray[np.float32]:
    """Read page by page; wide columns in smaller pages, so that an answer stays at some megabytes."""
    import numpy as np  # noqa: PLC0415

    parts, done = [], 0
    total = rows * sum(end - start for start, end in spans.values())
    for name, (start, end) in spans.items():
        page = max(1, min(MAX_CONTENT_ROWS, 1_000_000 // max(1, end - start)))
        pages = [np.empty((0, end - start), np.float32)]
        for offset in range(0, max(rows, 1), page):
            count = min(page, rows - offset) or 1
            pages.append(download_dataset_content(token, address, uuid, name, count, offset, verify))
            done += pages[-1].size
            if callback is not None:
                callback(done, total)
        parts.append(np.concatenate(pages))
    return np.concatenate(parts, axis=1)


def _as_frame(values: NDArray[Any], spans: Mapping[str, tuple[int, int]]) -> pd.DataFrame:
    import pandas as pd  # noqa: PLC0415

    names = [
        name if end - start == 1 else f"{name}_{at}"
        for name, (start, end) in spans.items()
        for at in range(end - start)
    ]
    return pd.DataFrame(values, columns=names)
