"""What the package promises as a whole: cheap imports, one set of public names, a clean repository."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hanami
import hanami_jupyter

ROOT = Path(__file__).parents[1]
HEAVY = {
    "pandas",
    "matplotlib",
    "ipywidgets",
    "anywidget",
    "numba",
    "starlette",
    "uvicorn",
    "requests",
    "numpy",
}


def loaded_after(*lines):
    """Return the names of the modules that a fresh process has loaded after some lines."""
    code = "\n".join([*lines, "import json, sys", "print(json.dumps(sorted(sys.modules)))"])
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_is_cheap():
    assert not HEAVY & loaded_after("import hanami_jupyter", "import hanami", "dir(hanami)")


def test_loading_the_extension_is_cheap():
    shell = "from IPython.core.interactiveshell import InteractiveShell as I; shell = I.instance()"
    assert not HEAVY & loaded_after(shell, "shell.run_line_magic('load_ext', 'hanami')")


def test_every_public_name_is_there_under_both_names():
    for name in hanami_jupyter.__all__:
        assert getattr(hanami, name) is getattr(hanami_jupyter, name)
    assert set(hanami_jupyter.__all__) <= set(dir(hanami))
    with pytest.raises(AttributeError, match="no attribute 'clusters'"):
        hanami_jupyter.clusters  # noqa: B018


def test_client_modules_are_one_object_however_they_are_imported():
    code = (
        "from hanami_jupyter.cluster import create_cluster\n"
        "import hanami_jupyter.dataset\n"
        "from hanami_jupyter import cluster, dataset, request_result\n"
        "import hanami_jupyter.client.cluster as real\n"
        "assert cluster is real and create_cluster is real.create_cluster\n"
        "assert hanami_jupyter.dataset is dataset and real.__spec__.name == 'hanami_jupyter.client.cluster'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def tracked():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=False, capture_output=True, text=True)
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths or ROOT.rglob("*") if path.is_file()]


def test_bundles_are_not_in_the_repository_and_files_are_small():
    for path in tracked():
        assert (
            path.suffix not in {".js", ".css"} or "static" not in path.parts or not (ROOT / ".git").exists()
        )
        assert path.stat().st_size < 2 << 20, path


def test_the_lock_file_names_no_download_address():
    text = (ROOT / "js" / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in text
