"""Five things that go wrong for a person, each told in one sentence, by a backend that goes on serving."""

import gzip
import http.server
import subprocess
import threading
from contextlib import suppress

import psutil
import pytest

import hanami_jupyter as hanami
from hanami_jupyter import launcher
from hanami_jupyter.client.hanami_exceptions import HanamiException

SMALL = 24 << 20  # bytes of the disk that will be full


def sentence(error):
    """Return what a person reads, after checking that it is one sentence without a traceback's marks."""
    text = str(error)
    assert "Traceback" not in text
    assert "\n" not in text.strip()
    return text


@pytest.fixture
def serves(session):
    """Check behind each failure that the backend still answers."""
    yield
    assert not session.hosts.list_hosts().empty


@pytest.mark.usefixtures("serves")
def test_wrong_password(server):
    with pytest.raises(hanami.hanami_exceptions.UnauthorizedException) as caught:
        hanami.connect(server.address, server.user, "not the password")
    assert "incorrect" in str(caught.value)
    assert "not the password" not in str(caught.value)


@pytest.mark.usefixtures("serves")
def test_unreachable_address():
    with pytest.raises(HanamiException, match=r"127\.0\.0\.1:9\b") as caught:
        hanami.connect("http://127.0.0.1:9", "somebody", "some password")
    sentence(caught.value)


@pytest.mark.usefixtures("serves")
def test_truncated_image_file(session, tmp_path):
    digits = hanami.data.sample()
    cut = tmp_path / "images"
    cut.write_bytes(gzip.decompress(digits.test_images.read_bytes())[:-1000])
    before = len(session.dataset.list_datasets())
    with pytest.raises((ValueError, HanamiException), match="images") as caught:
        session.dataset.upload_mnist_files("cut", cut, digits.test_labels)
    assert any(word in sentence(caught.value) for word in ("truncated", "short", "announces"))
    assert len(session.dataset.list_datasets()) == before


@pytest.mark.usefixtures("serves")
def test_template_with_a_syntax_error(session):
    text = "version: 1\nsettings:\n  refractory_time: 1\nhexagons:\n  1;1,1\n"
    with pytest.raises((ValueError, HanamiException), match="line 5") as caught:
        session.cluster.create_cluster("wrong", text)
    assert "Traceback" not in str(caught.value)


@pytest.fixture
def small_disk(tmp_path):
    """A backend with a small disk: a file system of its own where we may mount one, else a limit on files."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL},mode=700", "tmpfs", folder],
        check=False,
        capture_output=True,
    ).returncode
    try:
        running = launcher.started(launcher.start(folder / "data"))
        if not mounted:
            psutil.Process(running.pid).rlimit(psutil.RLIMIT_FSIZE, (SMALL // 2, SMALL // 2))
        with hanami.connect(running.address, running.user, running.password) as session:
            yield session
        launcher.stop(folder / "data")
    finally:
        with suppress(OSError):
            if mounted:
                subprocess.run(["umount", "-l", folder], check=True)


def test_full_disk(small_disk, tmp_path):
    table = tmp_path / "table.csv"
    row = b"0.25," * 99 + b"0.25\n"
    table.write_bytes(b",".join(b"c%d" % i for i in range(100)) + b"\n" + row * (2 * SMALL // len(row)))
    with pytest.raises(HanamiException, match=r"(?i)space|disk|too large") as caught:
        small_disk.dataset.upload_csv_files("too much", table)
    sentence(caught.value)
    assert small_disk.dataset.list_datasets().empty
    small = tmp_path / "small.csv"
    small.write_text("a,b\n" + "0.5,0.25\n" * 10)
    uuid = small_disk.dataset.upload_csv_files("little", small)
    assert small_disk.dataset.get_dataset(uuid)["number_of_rows"] == 10


def test_a_cell_that_creates_can_run_again(session, tmp_path):
    text = "version: 1\nsettings:\n  refractory_time: 1\nhexagons:\n  1,1,1\n  2,1,1\n"
    text += "inputs:\n  x: 1,1,1\noutputs:\n  y: 2,1,1\n"
    first = session.cluster.create_cluster("twice", text)
    with pytest.raises(hanami.hanami_exceptions.ConflictException, match="exists already"):
        session.cluster.create_cluster("twice", text)
    with pytest.raises((ValueError, HanamiException), match="line 1"):
        session.cluster.create_cluster("twice", text.replace("version: 1", "version: 2"), replace=True)
    assert session.cluster.get_cluster(first)["uuid"] == first["uuid"]  # an object stands for its uuid
    again = session.cluster.create_cluster("twice", text, replace=True)
    assert again["uuid"] != first["uuid"]
    session.cluster.delete_cluster(again)


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (
            lambda s: s.cluster.get_cluster("mine"),
            "'uuid' is 'mine', but has to be a uuid: 32 digits 0-9, a-f",
        ),
        (
            lambda s: s.dataset.upload_csv_files("1st table", b"a,b\n1,2\n"),
            "'name' is '1st table', .* letter",
        ),
        (lambda s: s.dataset.upload_csv_files("rosé", b"a,b\n1,2\n"), "letters, digits, '_', '-', spaces"),
        (
            lambda s: s.project.create_project("a b", "some name"),
            "'id' is 'a b', .* letters, digits, '_' \\(",
        ),
    ],
)
def test_what_names_and_uuids_look_like_is_said_in_words(session, act, says):
    with pytest.raises(hanami.hanami_exceptions.BadRequestException, match=says) as caught:
        act(session)
    assert "regex" not in sentence(caught.value)
    assert "regex" in caught.value.text  # what the server said is kept


def test_numbers_have_no_accuracy(session, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("x,species\n" + "0.5,2\n0.1,1\n" * 10)
    uuid = session.dataset.upload_csv_files("table", table)
    with pytest.raises(HanamiException, match="neither 0 nor 1"):
        session.dataset.check_mnist_dataset(uuid, uuid)


def test_a_web_server_is_no_hanami():
    class Page(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(hanami.hanami_exceptions.HanamiException, match="not a Hanami server"):
            hanami.connect(f"http://127.0.0.1:{server.server_port}", "somebody", "some password")
        server.shutdown()
