"""Uploads: every kind of source, and everything that is wrong with it said before anything is sent."""

from __future__ import annotations

import gzip
import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hanami_jupyter import hanami_exceptions as exceptions
from hanami_jupyter.client import arrays, dataset, transport
from hanami_jupyter.client.hanami_exceptions import InvalidDataException
from hanami_jupyter.client.uploads import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session


@pytest.fixture
def kept(session: Session) -> Iterator[Callable[[str], str]]:
    """Delete what a test uploads."""
    uuids: list[str] = []
    yield lambda uuid: uuids.append(uuid) or uuid
    for uuid in uuids:
        session.dataset.delete_dataset(uuid)


def test_sources(
    session: Session, idx: tuple[bytes, bytes], tmp_path: Path, kept: Callable[[str], str]
) -> None:
    images, labels = idx
    packed = tmp_path / "images.gz"
    packed.write_bytes(gzip.compress(images))
    plain = tmp_path / "labels"
    plain.write_bytes(labels)
    sources: list[tuple[Any, Any]] = [
        (images, labels),
        (str(packed), plain),
        (io.BytesIO(images), io.BytesIO(gzip.compress(labels))),
        (memoryview(images), bytearray(labels)),
    ]
    for pair in sources:
        uuid = kept(session.dataset.upload_mnist_files("from a source", *pair))
        found = session.dataset.download_dataset(uuid, "picture")
        assert found.astype(np.uint8).tobytes() == images[16:]


def test_a_plain_file_is_not_read_into_memory(files: tuple[Path, Path]) -> None:
    with opened(files[0]) as data:
        assert type(data.obj).__name__ == "mmap"


WRONG = [
    (lambda i, n: (i[:-1], n), "is cut short: it has 15,695 bytes, but its header promises 15,696"),
    (lambda i, n: (i + b"x", n), "is too long"),
    (lambda i, n: (i, n[:-3]), "is cut short"),
    (lambda i, n: (n, i), "holds labels, but an IDX file of images"),
    (lambda i, n: (i, i), "holds images, but an IDX file of labels"),
    (lambda i, n: (b"\x89PNG and more of that", n), "is not an IDX file"),
    (lambda i, n: (b"", n), "is not an IDX file"),
    (lambda i, n: (i, struct.pack(">II", 0x801, 3) + b"abc"), "holds 20 images, but .* 3 labels"),
    (lambda i, n: (gzip.compress(i)[:-20], n), "is a damaged gzip file"),
    (lambda i, n: (struct.pack(">IIII", 0x803, 0, 28, 28), struct.pack(">II", 0x801, 0)), "holds no images"),
]


@pytest.mark.parametrize(("spoil", "message"), WRONG, ids=[message[:20] for _, message in WRONG])
def test_wrong_idx_files_are_refused_before_sending(
    idx: tuple[bytes, bytes], spoil: Any, message: str, fake_peer: Any, canned: Any
) -> None:
    peer = fake_peer(canned())
    with pytest.raises(InvalidDataException, match=message) as caught:
        dataset.upload_mnist_files("token", peer.address, "wrong", *spoil(*idx))
    assert isinstance(caught.value, (exceptions.BadRequestException, ValueError))
    assert not peer.requests


@given(st.binary(max_size=40), st.binary(max_size=20))
def test_any_bytes_are_refused_or_right(images: bytes, labels: bytes) -> None:
    with pytest.raises(InvalidDataException):
        dataset.upload_mnist_files("token", "http://127.0.0.1:9", "wrong", images, labels)


def test_a_missing_file_is_named(session: Session) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-file"):
        session.dataset.upload_csv_files("missing", "/tmp/no-such-file")


def test_progress_is_told(session: Session, idx: tuple[bytes, bytes], kept: Callable[[str], str]) -> None:
    told: list[tuple[int, int]] = []
    kept(session.dataset.upload_mnist_files("told", *idx, callback=lambda *args: told.append(args)))
    assert told == [(len(idx[0]), len(idx[0]) + len(idx[1])), (len(idx[0]) + len(idx[1]),) * 2]


def test_a_frame_with_wide_scaled_and_one_hot_columns(session: Session, kept: Callable[[str], str]) -> None:
    table = pd.DataFrame(
        {
            "width": [1.0, 2, 3, 5],
            "height": [10, 20, 30, 40],
            "ripe": [True, False, True, True],
            "kind": list("abac"),
        }
    )
    uuid = kept(
        session.dataset.upload_data(
            "flowers", table, one_hot=["kind"], scale="width",
            columns={"flower": ["width", "height", "ripe"], "kind": "kind"},
        )
    )  # fmt: skip
    assert list(session.dataset.get_dataset(uuid)["description"]) == ["flower", "kind"]
    assert session.dataset.download_dataset(uuid, "flower").tolist() == [
        [0, 10, 1], [0.25, 20, 0], [0.5, 30, 1], [1, 40, 1],
    ]  # fmt: skip
    back = session.dataset.download_dataset(uuid, as_frame=True)
    assert list(back.columns) == ["flower_0", "flower_1", "flower_2", "kind_0", "kind_1", "kind_2"]
    assert back["kind_2"].to_list() == [0, 0, 0, 1]


def test_a_train_and_a_test_part(session: Session, kept: Callable[[str], str]) -> None:
    table = pd.DataFrame({"a": np.arange(10), "b": np.arange(10) % 2})
    parts = session.dataset.upload_data("parted", table, test_size=0.3, scale=["a"], seed=1)
    train, test = (session.dataset.download_dataset(kept(uuid), "a").ravel() for uuid in parts)
    assert (len(train), len(test)) == (7, 3)
    assert (train.min(), train.max()) == (0.0, 1.0)  # scaled by the training part's limits
    names = session.dataset.list_datasets()["name"].to_list()
    assert {"parted", "parted_test"} <= set(names)
    with pytest.raises(InvalidDataException, match="leaves 0 of 10 rows"):
        session.dataset.upload_data("parted", table, test_size=1.0)


def test_images_with_labels(session: Session, kept: Callable[[str], str]) -> None:
    pictures = np.arange(3 * 4 * 4, dtype=np.uint8).reshape(3, 4, 4)
    uuid = kept(session.dataset.upload_data("pictures", pictures, [2, 0, 9]))
    about = session.dataset.get_dataset(uuid)["description"]
    assert about["label"] == {"column_start": 16, "column_end": 26}
    whole = session.dataset.download_dataset(uuid)
    assert whole.dtype == np.uint8
    assert whole[:, 16:].argmax(axis=1).tolist() == [2, 0, 9]
    assert np.array_equal(whole[:, :16], pictures.reshape(3, -1))
    for classes, width in (([0, 1, 1], 2), ([0, 11, 3], 12), (["a", "c", "b"], 3)):
        uuid = kept(session.dataset.upload_data("classes", pictures, classes))
        assert session.dataset.download_dataset(uuid, "label").shape == (3, width)


BAD_TABLES = [
    ({"a": [1.0, None], "b": [1, 2]}, {}, r"Column 'a' has no value in row 1 \(1 such rows\)"),
    ({"a": ["x", "y"], "b": [1, 2]}, {}, r"Column 'a' holds 'x' in row 0.*one_hot=\['a'\]"),
    ({"a": [1, 2]}, {"one_hot": "zone"}, "There is no column 'zone'"),
    ({"a": pd.date_range("2024-01-01", periods=2)}, {}, "Column 'a' holds times. Make a number of them"),
    ({"a": [1, np.inf], "b": [1, 2]}, {}, "missing or infinite value in row 1"),
    ({"a": []}, {}, "no rows"),
]


@pytest.mark.parametrize(("table", "options", "message"), BAD_TABLES)
def test_bad_tables(table: Any, options: Any, message: str, fake_peer: Any, canned: Any) -> None:
    peer = fake_peer(canned())
    with pytest.raises(InvalidDataException, match=message):
        dataset.upload_data("token", peer.address, "bad table", pd.DataFrame(table), **options)
    assert not [request for request in peer.requests if request.method != "GET"]


def test_bad_arrays() -> None:
    for data, labels, message in (
        (np.zeros((3, 2)), [1, 2], "different numbers of rows: 'picture' 3, 'label' 2"),
        (np.array([["x"], ["y"]]), None, "numbers are needed"),
        (np.array([[1.0], [np.nan]]), None, "row 1"),
    ):
        with pytest.raises(InvalidDataException, match=message):
            dataset.upload_data("token", "http://127.0.0.1:9", "bad arrays", data, labels)


@pytest.fixture
def original(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The backend as one that offers nothing beyond the original."""
    monkeypatch.setattr(transport.peer(server.address), "features", frozenset())


@pytest.mark.usefixtures("original")
def test_an_original_gets_idx_or_csv_or_a_reason(
    session: Session, idx: tuple[bytes, bytes], kept: Callable[[str], str]
) -> None:
    images = np.frombuffer(idx[0], np.uint8, offset=16).reshape(-1, 28, 28)
    digits = np.frombuffer(idx[1], np.uint8, offset=8)
    uuid = kept(session.dataset.upload_data("as idx", images, digits))
    assert set(session.dataset.get_dataset(uuid)["description"]) == {"label", "picture"}
    assert session.dataset.download_dataset(uuid, "label").argmax(axis=1).tolist() == digits.tolist()

    uuid = kept(session.dataset.upload_data("two classes", images, digits % 2))
    labels = session.dataset.download_dataset(uuid, "label")
    assert labels.shape == (len(digits), 10)
    assert labels.argmax(axis=1).tolist() == (digits % 2).tolist()

    table = pd.DataFrame({"a": [1.5, -2e9, 3], "b": [0.1, 1e-7, 7]})
    uuid = kept(session.dataset.upload_data("as csv", table))
    assert np.array_equal(session.dataset.download_dataset(uuid), table.to_numpy(np.float32))

    uuid = kept(session.dataset.upload_csv_files("tidied", b'"a", "b"\r\n1,true\r\n2,false\r\n'))
    assert session.dataset.download_dataset(uuid).tolist() == [[1, 1], [2, 0]]

    for data, reason in (
        (np.zeros((2, 3)), "column 'picture' is 3 values wide"),
        (pd.DataFrame({"a": [1, 2]}), "no table of a single column"),
        (pd.DataFrame({"a": [1e10, 2], "b": [1, 2]}), "column 'a' holds values of 2.31 or more"),
    ):
        with pytest.raises(exceptions.NotSupportedException, match=reason):
            session.dataset.upload_data("impossible", data)
    with pytest.raises(exceptions.NotSupportedException, match="no checkpoint files"):
        session.checkpoint.upload_checkpoint("impossible", b"x")
    with pytest.raises(exceptions.NotSupportedException, match="takes no seed"):
        session.cluster.create_cluster("impossible", "version: 1", seed=1)


numbers = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=st.floats(-1e6, 1e6, width=32)
)


@given(numbers, st.sampled_from([np.float32, np.float64]))
def test_npy_holds_what_was_given(values: Any, kind: Any) -> None:
    columns = arrays.arranged([{"a": values.astype(kind), "b": values.astype(kind)[:, :1]}], None, [], False)[
        0
    ]
    back = np.load(io.BytesIO(arrays.as_npy(columns)))
    assert np.array_equal(back[:, : values.shape[1]], values)
    assert back.dtype == np.float32


@given(numbers)
def test_csv_holds_what_was_given(values: Any) -> None:
    columns = dict.fromkeys(("a", "b"), values[:, :1])
    back = pd.read_csv(io.BytesIO(arrays.as_csv(columns)), dtype=np.float32)
    assert np.array_equal(back["a"].to_numpy(), values[:, 0])


@given(st.lists(st.integers(0, 9), min_size=1, max_size=20), st.integers(1, 6))
def test_idx_holds_what_was_given(digits: list[int], side: int) -> None:
    pictures = np.arange(len(digits) * side * side).reshape(len(digits), side, side).astype(np.uint8)
    parts = arrays.split(pictures, digits, None, 0)
    pair = arrays.as_idx(arrays.arranged(parts, None, [], False)[0])
    assert pair is not None
    assert pair[0][16:] == pictures.tobytes()
    assert list(pair[1][8:]) == digits


def test_a_whole_dataset_page_by_page(
    session: Session, dataset_uuid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = session.dataset.download_dataset(dataset_uuid)
    monkeypatch.setattr(dataset, "MAX_CONTENT_ROWS", 7)
    monkeypatch.setattr(dataset, "FILE_DOWNLOAD", "not offered")
    told: list[tuple[int, int]] = []
    paged = session.dataset.download_dataset(dataset_uuid, callback=lambda *args: told.append(args))
    assert np.array_equal(paged, whole)
    assert told[-1] == (20 * 794, 20 * 794)
    with pytest.raises(exceptions.NotFoundException):
        session.dataset.download_dataset(dataset_uuid, "nothing")
