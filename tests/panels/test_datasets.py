"""The panel of datasets against a real server: pieces, wrong files, cancelling, looking, no leftovers."""

from __future__ import annotations

import gzip
import io
import os
import tempfile
import threading
import zlib

import numpy as np
import pytest

from hanami_jupyter.panels import incoming
from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.panels.datasets import Datasets
from hanami_jupyter.panels.incoming import Received, kind_of, suggested

from .conftest import flush, until

PIECE = 512 * 1024
CSV = b"width,height\n1,2\n3,4.5\n"


def idx_pair(count=20, side=4):
    rng = np.random.default_rng(0)
    sizes = b"".join(size.to_bytes(4, "big") for size in (count, side, side))
    images = b"\0\0\x08\x03" + sizes + rng.integers(0, 255, count * side * side, dtype=np.uint8).tobytes()
    labels = b"\0\0\x08\x01" + count.to_bytes(4, "big") + (np.arange(count, dtype=np.uint8) % 10).tobytes()
    return images, labels


@pytest.fixture
def panel(session):
    panel = Datasets(session)
    flush(panel)
    yield panel
    panel.close()
    for uuid in session.dataset.list_datasets()["uuid"]:
        session.dataset.delete_dataset(uuid)


def open_files():
    """Files that this process holds open on the disk, among them those without a name."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    folder = tempfile.gettempdir()
    return {name for name in (os.readlink(link) for link in links if os.path.lexists(link)) if folder in name}


@pytest.fixture
def left():
    """What is open beyond what was before the test."""
    before = open_files()
    return lambda: open_files() - before


def send(ask, upload, files):
    for number, content in enumerate(files):
        for offset in range(0, len(content), PIECE):
            piece = content[offset : offset + PIECE]
            values = {"upload": upload, "file": number, "offset": offset, "checksum": zlib.crc32(piece)}
            answer = ask("piece", piece, **values)
            if not answer["ok"]:
                return answer
    return ask("finish", upload=upload)


def begin(ask, name, *files):
    about = [{"name": f"file {number}", "size": len(content)} for number, content in enumerate(files)]
    return ask("begin", name=name, files=about)["result"]


def names(panel):
    return [row["name"] for row in panel.rows.page(limit=100)["rows"]]


def test_a_file_from_the_browser_becomes_a_dataset_and_is_selected(session, panel, front, left):
    ask = front(panel).ask
    table = b"x,y\n" + b"0.25,1\n" * 200_000  # three pieces
    assert len(table) > 2 * PIECE
    assert send(ask, begin(ask, "from browser", table), [table])["ok"]
    until(lambda: panel.selected, panel)
    about = session.dataset.get_dataset(panel.selected)
    assert (about["name"], about["number_of_rows"]) == ("from browser", 200_000)
    assert panel.uploads == []
    assert left() == set()
    until(lambda: panel.recipe, panel)
    assert panel.recipe["python"] == "session.dataset.upload_csv_files('from browser', 'file 0')"


def test_gzipped_images_and_labels_become_one_dataset(session, panel, front):
    ask = front(panel).ask
    files = [gzip.compress(content) for content in idx_pair()]
    assert send(ask, begin(ask, "digits", *files), files)["ok"]
    until(lambda: panel.selected, panel)
    assert set(session.dataset.get_dataset(panel.selected)["description"]) == {"picture", "label"}


def test_a_path_of_the_kernel_is_not_copied(session, panel, front, tmp_path):
    ask = front(panel).ask
    file = tmp_path / "some flowers.csv.gz"
    file.write_bytes(gzip.compress(CSV))
    looked = ask("look", path=str(file))["result"]
    assert looked == {
        "name": "some flowers.csv.gz",
        "kind": "csv",
        "suggested": "some flowers",
        "size": file.stat().st_size,
    }
    upload = ask("begin", name="some flowers", files=[{"path": str(file)}])["result"]
    assert ask("finish", upload=upload)["ok"]
    until(lambda: panel.selected, panel)
    assert session.dataset.download_dataset(panel.selected).tolist() == [[1, 2], [3, 4.5]]
    until(lambda: panel.recipe, panel)
    exec(panel.recipe["python"], {"session": session})
    assert list(session.dataset.list_datasets()["name"]) == ["some flowers"] * 2
    assert panel.recipe["shell"].endswith(f"dataset create csv 'some flowers' -i '{file}'")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\x89PNG\r\n\x1a\n", "is a PNG picture"),
        (b"PK\x03\x04", "is a ZIP archive"),
        (b"\x93NUMPY\x01", "is a NumPy array"),
        (b"\0\0\x0d\x03", "neither a table nor an IDX file"),
        (b"", "is empty"),
        (b"\xff\xfe\x00", "neither a table"),
        (b"\x1f\x8b\x08 not gzip at all", "damaged gzip"),
        (gzip.compress(b"\x89PNG"), "is a PNG picture"),
    ],
)
def test_a_wrong_file_is_refused_by_its_first_bytes(head, said):
    with pytest.raises(PanelError, match=said):
        kind_of(head, "file")


def test_the_first_bytes_tell_what_a_file_is():
    images, labels = idx_pair()
    assert [kind_of(content, "file") for content in (images, labels, CSV)] == ["images", "labels", "csv"]
    assert [kind_of(gzip.compress(content), "file") for content in (images, labels)] == ["images", "labels"]
    assert kind_of(("größe," * 700).encode()[: incoming.HEAD], "file") == "csv"  # a letter is cut at the end
    assert kind_of(gzip.compress(b"a,b\n1,2\n" * 10**5)[:100], "file") == "csv"


def test_suggested_names_are_names_and_bring_pairs_together():
    assert suggested("train-images-idx3-ubyte.gz") == suggested("train-labels.idx1-ubyte") == "train"
    for name in ("1.csv", "größe.csv", "-.csv", "/a/b/iris.CSV.gz", "x" * 300):
        upload = [{"name": name, "size": 1}]
        assert Datasets.do_begin.__get__(_Bare())(suggested(name), upload)


class _Bare:
    """As much of a panel as do_begin needs."""

    def __init__(self):
        self._uploads, self._feed = {}, self

    def wake(self, _):
        pass


def test_a_name_that_the_server_refuses_is_refused_before_anything_is_sent(panel, front):
    ask = front(panel).ask
    for name in ("abc", "2024 iris", "größe"):
        answer = ask("begin", name=name, files=[{"name": "a.csv", "size": 3}])
        assert "is no name for a dataset" in answer["error"]
    assert panel._uploads == {}


def test_a_file_larger_than_the_disk_is_refused(panel, front):
    answer = front(panel).ask("begin", name="huge", files=[{"name": "a.csv", "size": 10**18}])
    assert "1,000,000,000,000,000,000 bytes" in answer["error"]


def test_a_damaged_or_repeated_piece_is_refused(panel, front):
    ask = front(panel).ask
    upload = begin(ask, "damaged", CSV)
    values = {"upload": upload, "file": 0, "offset": 0}
    assert "arrived damaged" in ask("piece", CSV, checksum=1, **values)["error"]
    assert ask("piece", CSV, checksum=zlib.crc32(CSV), **values)["ok"]
    assert not ask("piece", CSV, checksum=zlib.crc32(CSV), **values)["ok"]
    late = values | {"offset": len(CSV)}
    assert not ask("piece", b"more", checksum=zlib.crc32(b"more"), **late)["ok"]


def test_an_upload_that_is_not_whole_is_not_sent(session, panel, front):
    ask = front(panel).ask
    upload = begin(ask, "half of it", CSV)
    assert "have not arrived" in ask("finish", upload=upload)["error"]
    assert session.dataset.list_datasets().empty


def test_what_the_server_refuses_is_told_with_the_file_and_put_away(session, panel, front, left):
    ask = front(panel).ask
    wrong = b"width,height\n1,two\n"
    upload = begin(ask, "wrong cells", wrong)
    assert send(ask, upload, [wrong])["ok"]
    until(lambda: panel.uploads and panel.uploads[0]["state"] == "failed", panel)
    assert "two" in panel.uploads[0]["error"]
    assert session.dataset.list_datasets().empty
    images, labels = idx_pair()
    upload = begin(ask, "cut short", images[:-5], labels)
    assert send(ask, upload, [images[:-5], labels])["ok"]
    until(lambda: [one["state"] for one in panel.uploads] == ["failed", "failed"], panel)
    assert panel.uploads[1]["error"].startswith("'file 0' is cut short")
    for one in panel.uploads:
        assert ask("cancel", upload=one["id"])["ok"]
    until(lambda: panel.uploads == [], panel)
    assert left() == set()


def test_cancelling_while_pieces_arrive_frees_the_file(session, panel, front, left):
    ask = front(panel).ask
    upload = begin(ask, "cancelled", CSV)
    assert len(left()) == 1
    assert ask("cancel", upload=upload)["ok"]
    assert left() == set()
    answer = send(ask, upload, [CSV])
    assert "This upload was cancelled." in answer["error"]
    assert session.dataset.list_datasets().empty


def test_cancelling_while_the_server_receives_leaves_nothing_there(session, panel, front, monkeypatch, left):
    ask = front(panel).ask
    table = b"x,y\n" + b"0.25,1\n" * 400_000
    reached, go = threading.Event(), threading.Event()
    real = session.dataset.upload_csv_files

    def slow(name, file, *, callback):
        def told(done, total):
            reached.set()
            assert go.wait(30)
            callback(done, total)

        return real(name, file, callback=told)

    monkeypatch.setitem(session.dataset.__dict__, "upload_csv_files", slow)
    upload = begin(ask, "cancelled late", table)
    assert send(ask, upload, [table])["ok"]
    assert reached.wait(30)
    assert ask("cancel", upload=upload)["ok"]
    go.set()
    until(lambda: not panel._uploads, panel)
    until(lambda: not any(thread.name == "hanami-upload" for thread in threading.enumerate()))
    assert session.dataset.list_datasets().empty
    assert left() == set()


def test_closing_the_panel_ends_uploads_and_frees_their_files(panel, front, left):
    ask = front(panel).ask
    begin(ask, "left behind", CSV)
    assert len(left()) == 1
    panel.close()
    panel.close()
    assert left() == set()
    assert panel._uploads == {}


def test_a_browser_that_falls_silent_is_given_up(panel, front, monkeypatch, left):
    ask = front(panel).ask
    begin(ask, "silent", CSV)
    until(lambda: panel.uploads, panel)
    monkeypatch.setattr(incoming, "SILENCE", 0.0)
    until(lambda: panel.uploads == [], panel)
    assert left() == set()


def test_an_arriving_file_has_no_name_on_the_disk_but_one_in_errors():
    file = Received("iris.csv", 10)
    try:
        assert file.file.name == "iris.csv"
        assert os.fstat(file.file.fileno()).st_nlink == 0
    finally:
        file.file.close()


def test_a_dataset_is_described_and_its_rows_are_shown(session, panel, front):
    ask = front(panel).ask
    rng = np.random.default_rng(0)
    columns = {
        "picture": rng.integers(0, 255, (30, 16)),
        "size": rng.random(30),
        "label": np.eye(3)[[0, 1, 2] * 10],
    }
    uuid = session.dataset.upload_data("mixed", columns)
    about = ask("describe", dataset=uuid)["result"]
    assert about == {
        "name": "mixed",
        "rows": 30,
        "columns": [
            {"name": "picture", "width": 16},
            {"name": "size", "width": 1},
            {"name": "label", "width": 3},
        ],
    }
    values = {"dataset": uuid, "columns": list(columns), "offset": 28, "limit": 2}
    first, _ = ask("preview", widths={"picture": 4}, **values)["result"]
    assert first[0]["image"].startswith("data:image/png;base64,")
    assert float(first[1]["value"]) == pytest.approx(columns["size"][28], rel=1e-3)
    assert first[2] == {"class": 1}
    first, _ = ask("preview", widths={"picture": 0}, **values)["result"]
    assert first[0]["value"].endswith(" …")
    assert "hanami" not in repr(first)


def test_figures_of_a_column_come_from_several_places(session, panel, front):
    ask = front(panel).ask
    count = 40_000
    sorted_values = np.arange(count, dtype=np.float32)
    uuid = session.dataset.upload_data(
        "sorted", {"value": sorted_values, "label": np.eye(2)[[0, 1] * (count // 2)]}
    )
    figures = ask("statistics", dataset=uuid, column="value", rows=count, width=1)["result"]
    assert (figures["low"], figures["high"], figures["rows"]) == (0, count - 1, 8000)
    assert figures["mean"] == pytest.approx((count - 1) / 2, rel=0.01)
    assert (len(figures["counts"]), sum(figures["counts"])) == (20, 8000)
    figures = ask("statistics", dataset=uuid, column="label", rows=count, width=2)["result"]
    assert figures["classes"]
    assert figures["counts"] == [4000, 4000]
    few = session.dataset.upload_data("few rows", {"value": np.float32([1, 1, 1])})
    assert ask("statistics", dataset=few, column="value", rows=3, width=1)["result"]["rows"] == 3


def test_deleting_takes_the_rows_away_and_closes_what_was_open(session, panel, front):
    ask = front(panel).ask
    uuids = [session.dataset.upload_data(f"set {number}", np.ones((3, 2))) for number in range(3)]
    panel.refresh()
    until(lambda: panel.listing["total"] == 3, panel)
    panel.selected = uuids[1]
    assert ask("delete", datasets=uuids[:2])["ok"]
    assert names(panel) == ["set 2"]
    assert panel.selected == ""
    assert panel.recipe["python"].count("session.dataset.delete_dataset(") == 2
    answer = ask("delete", datasets=uuids[:1])
    assert answer["ok"] is False


def test_progress_is_not_a_reason_to_list_the_datasets_anew(session, panel, front, monkeypatch):
    ask = front(panel).ask
    counted = []
    real = session.dataset.list_datasets
    monkeypatch.setitem(session.dataset.__dict__, "list_datasets", lambda: counted.append(1) or real())
    table = b"x,y\n" + b"0.25,1\n" * 200_000
    upload = begin(ask, "counted", table)
    until(lambda: panel.uploads, panel)
    flush(panel)
    assert counted == []
    assert send(ask, upload, [table])["ok"]
    until(lambda: panel.selected, panel)
    assert len(counted) == 1


def test_the_static_picture_shows_the_datasets(session, panel):
    session.dataset.upload_data("some rows", np.ones((3, 2)))
    panel.refresh()
    html = panel.snapshot()._repr_html_()
    assert "some rows" in html
    assert "<th scope=" in html


def test_a_mapped_file_is_read_from_its_beginning_and_a_read_one_from_where_it_is(session, tmp_path):
    path = tmp_path / "flowers.csv"
    path.write_bytes(b"junk\n" + CSV)
    with path.open("rb") as file:
        file.readline()
        uuid = session.dataset.upload_csv_files("from the middle", file)
    assert session.dataset.get_dataset(uuid)["number_of_rows"] == 2
    uuid = session.dataset.upload_csv_files("from memory", io.BytesIO(CSV))
    assert session.dataset.get_dataset(uuid)["number_of_rows"] == 2
