"""Every code block of the README and the guide runs, and every relative link leads somewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from hanami_jupyter.demo import execute
from tests.docs import commands, pictures

if TYPE_CHECKING:
    from hanami_jupyter.launcher import Running

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LONG = re.compile(r"^(make|pip|git|cd|python -m (pip|venv)|jupyter|\. |source )")
FENCE = re.compile(r"^( *)```(\w+)[^\n]*\n(.*?)^\1```", re.M | re.S)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")

# What the examples take for granted: an address, a user and the things that they name.
BEFORE = """\
%load_ext hanami
import os
import hanami
import hanami as _hanami
_local, _connect = _hanami.local, _hanami.connect
address, user, password = (os.environ[name] for name in ("HANAMI_ADDRESS", "HANAMI_USER", "HANAMI_PW"))
_hanami.connect = lambda *_, **more: _connect(address, user, password)
import hanami_jupyter
hanami_jupyter.connect = _hanami.connect
session = _connect(address, user, password)
digits = hanami.data.sample()
template = '''version: 1
settings:
    max_connection_distance: 1
hexagons:
    1,1,1
    2,1,1
    3,1,1
inputs:
    picture: 1,1,1
outputs:
    label: 3,1,1
'''
_pages = session.cluster.create_cluster(f"page {os.getpid()}", template)
cluster, cluster_uuid = _pages, _pages["uuid"]
train = session.dataset.upload_mnist_files("digits to learn", digits.test_images, digits.test_labels)
test = session.dataset.upload_mnist_files("digits to test", digits.test_images, digits.test_labels)
labels, pictures = (session.dataset.download_dataset(test, name) for name in ("label", "picture"))
task = session.task.create_train_task(
    "begin",
    cluster_uuid,
    [{"dataset_uuid": train, "dataset_column": "picture", "hexagon_name": "picture"}],
    [{"dataset_uuid": train, "dataset_column": "label", "hexagon_name": "label"}],
)
session.task.wait(task["uuid"], cluster_uuid)


def _login(*_, **more):
    panel = hanami_jupyter.Login(address, user)
    panel._adopt(session, True)  # what a click on the button does
    return panel


hanami_jupyter.login = _hanami.login = _login
"""


def blocks(language: str) -> list[pytest.param]:
    """Return the blocks of a language on each page, one list a page."""
    found = []
    for page in PAGES:
        texts = [
            textwrap.dedent(m[3]) for m in FENCE.finditer(page.read_text("utf-8")) if m[2] in language.split()
        ]
        if texts:
            found.append(pytest.param(texts, id=page.stem))
    return found


@pytest.mark.parametrize("texts", blocks("python"))
def test_python_blocks_run(texts: list[str], server: Running, monkeypatch: pytest.MonkeyPatch, tmp_path):
    for name, value in [("ADDRESS", server.address), ("USER", server.user), ("PW", server.password)]:
        monkeypatch.setenv(f"HANAMI_{name}", value)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    node = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(text) for text in (BEFORE, *texts)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python", "language": "python"}},
    )
    path = tmp_path / "page.ipynb"
    nbformat.write(node, path)
    execute(path)


@pytest.fixture
def objects(tmp_path: Path) -> None:
    """Make the files that commands read."""
    (tmp_path / "table.csv").write_text("x,y\n0,0\n1,1\n0.5,0.5\n")
    (tmp_path / "row.template").write_text(
        "version: 1\nsettings:\n    max_connection_distance: 1\nhexagons:\n    1,1,1\n    2,1,1\n    3,1,1\n"
        "inputs:\n    input_hexagon: 1,1,1\noutputs:\n    output_hexagon: 3,1,1\n"
    )


@pytest.mark.parametrize("texts", blocks("sh bash"))
@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.usefixtures("objects")
def test_shell_blocks_run(texts: list[str], tmp_path: Path, home: Path):
    """Run what is ours; of make, pip and the like only the syntax is checked here."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    words = {
        "cwd": tmp_path,
        "env": environment,
        "capture_output": True,
        "text": True,
        "timeout": 120,
    }
    for text in texts:
        subprocess.run(["bash", "-n"], input=text, text=True, check=True)
        ours = "\n".join(line for line in text.splitlines() if not LONG.match(line))
        try:
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", ours], check=False, **words)
        finally:
            subprocess.run(["hanamictl", "local", "stop"], check=False, **words)
        assert done.returncode == 0, f"{ours}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_relative_links_lead_somewhere(page: Path):
    targets = [link for link in LINK.findall(page.read_text("utf-8")) if ":" not in link]
    assert not [link for link in targets if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pictures_are_there(page: Path):
    shown = re.findall(r"(?:src|srcset)=\"([^\"]+)\"", page.read_text("utf-8"))
    assert not [name for name in shown if not (page.parent / name).exists()]


def test_every_kept_picture_is_shown_and_small():
    assert {path.stem for path in (ROOT / "docs" / "images").glob("*.png")} == pictures.wanted()
    assert all(path.stat().st_size < 400_000 for path in (ROOT / "docs" / "images").iterdir())


def test_the_guide_lists_every_command():
    page = commands.PAGE.read_text("utf-8")
    assert page == commands.renewed(page)
    assert page.count("\n| `") == len(list(commands.leaves(commands.root)))


def test_make_targets_named_in_the_readme_exist():
    named = set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text("utf-8"), re.M))
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert named
    assert named <= rules


def test_badges_lead_to_the_repository_that_the_package_names():
    home = re.search(
        r'^Source = "https://github.com/([^"]+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.M
    )
    badges = re.findall(
        r"mybinder\.org/v2/gh/([\w-]+/[\w-]+)/HEAD\?urlpath=lab/tree/([^)]+)", PAGES[0].read_text("utf-8")
    )
    assert home
    assert badges
    for repository, notebook in badges:
        assert repository == home[1]
        assert (ROOT / notebook).exists()


def test_spelling(tmp_path: Path):
    if not shutil.which("codespell", path=str(Path(sys.executable).parent)):
        pytest.skip("codespell is not installed")
    texts = [
        str(path) for path in (*PAGES, ROOT / "CHANGELOG.md", ROOT / "hanami_jupyter", ROOT / "js" / "src")
    ]
    for path in (ROOT / "notebooks").glob("*.ipynb"):  # what was written, without the outputs
        text = tmp_path / f"{path.stem}.txt"
        text.write_text("\n".join(cell.source for cell in nbformat.read(path, 4).cells), "utf-8")
        texts.append(str(text))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("codespell")),
            "--skip",
            "static,*.gz,__pycache__,*_pb2.*",
            *texts,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
