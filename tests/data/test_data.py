"""The digits: the packaged sample, the user's own files, the download with its mirrors and checks."""

import functools
import gzip
import hashlib
import http.server
import threading
from pathlib import Path

import numpy as np
import pytest

from hanami_jupyter import data
from hanami_jupyter.protocol import idx


def test_sample_is_evenly_drawn_and_licensed():
    digits = data.sample()
    for images, labels, each in (
        (digits.train_images, digits.train_labels, 600),
        (digits.test_images, digits.test_labels, 100),
    ):
        pixels, truth = data.read_idx(images), data.read_idx(labels)
        assert pixels.shape == (10 * each, 28, 28)
        assert np.bincount(truth).tolist() == [each] * 10
        assert pixels.max() == 255
        assert pixels.reshape(len(pixels), -1).any(axis=1).all()
    assert "Attribution-Share Alike" in (digits.train_images.parent / "LICENSE").read_text()


@pytest.mark.parametrize("zipped", [True, False])
def test_own_files_win(tmp_path, monkeypatch, zipped):
    for name, source in zip(data.HASHES, data.sample(), strict=True):
        if zipped:
            (tmp_path / name).write_bytes(source.read_bytes())
        else:
            (tmp_path / name.removesuffix(".gz")).write_bytes(gzip.decompress(source.read_bytes()))
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    assert data.digits() == data.mnist()
    assert {path.parent for path in data.mnist()} == {tmp_path}
    assert data.read_idx(data.mnist().test_labels).shape == (1000,)


def test_a_missing_own_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(data.VARIABLE, str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"no train-images-idx3-ubyte, plain or gzipped"):
        data.mnist()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """Two mirrors on this machine: the first has damaged files, the second the right ones."""
    for folder in ("bad", "good"):
        (tmp_path / folder).mkdir()
    hashes = {}
    for name, source in zip(data.HASHES, data.sample(), strict=True):
        content = source.read_bytes()
        (tmp_path / "good" / name).write_bytes(content)
        (tmp_path / "bad" / name).write_bytes(content[:-1])
        hashes[name] = f"sha256:{hashlib.sha256(content).hexdigest()}"
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, _format, *values):
            asked.append(values[0])

    handler = functools.partial(Handler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(data, "MIRRORS", (f"{address}/bad/", f"{address}/good/"))
        monkeypatch.setattr(data, "HASHES", hashes)
        monkeypatch.delenv(data.VARIABLE, raising=False)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        yield asked
        server.shutdown()


def test_download_is_checked_goes_on_with_the_next_mirror_and_is_kept(mirror):
    first = data.mnist(progress=False)
    assert [Path(path).read_bytes() for path in first] == [path.read_bytes() for path in data.sample()]
    count = len(mirror)
    assert data.mnist(progress=False) == first
    assert len(mirror) == count


def test_no_mirror_is_one_sentence(mirror, monkeypatch):
    monkeypatch.setattr(data, "MIRRORS", data.MIRRORS[:1])
    with pytest.raises(ConnectionError, match=r"not the right file.*name it in HANAMI_DATA_DIR\.$"):
        data.mnist(progress=False)


def test_reading_checks_the_header(tmp_path):
    good = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 3]) + bytes(range(6))
    path = tmp_path / "file"
    path.write_bytes(good)
    assert idx.read(path).tolist() == [[[0, 1, 2]], [[3, 4, 5]]]
    for content, words in (
        (good[:-1], "cut short: it has 21 bytes, but its header promises 22, and ends in row 1"),
        (good + b"x", "too long"),
        (b"\x89PNG" + good, "is not an IDX file"),
        (good[:9], "is not an IDX file"),
        (good[:4] + bytes(12), "holds no images: its header says 0 x 0 x 0"),
        (b"", "starts with nothing"),
        (gzip.compress(good)[:-4], "cannot be unpacked"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=words):
            idx.read(path)
    with pytest.raises(ValueError, match="holds images, but an IDX file of labels is needed"):
        idx.shape(good, len(good), "it", "labels")
