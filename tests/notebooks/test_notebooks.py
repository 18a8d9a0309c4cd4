"""The rules that the notebooks keep, and a second execution of each, without comparing outputs."""

from pathlib import Path

import nbformat
import pytest

from hanami_jupyter.demo import execute

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LARGEST_IGNORED = 1 / 4


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def test_can_be_read_without_running(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert any(output for cell in code for output in cell.outputs)
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


def test_keeps_no_widget_state(notebook, path):
    assert "widgets" not in notebook.metadata
    assert "widget-view" not in path.read_text("utf-8")
    assert notebook.metadata.kernelspec.name == "python3"


def test_ignores_few_outputs_and_asserts_its_finding(notebook):
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    ignored = [cell for cell in code if "nbval-ignore-output" in cell.metadata.get("tags", [])]
    assert len(ignored) <= LARGEST_IGNORED * len(code)
    assert any("assert " in cell.source for cell in code)


def test_runs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    executed = execute(path)
    assert not [
        output
        for cell in executed.cells
        for output in cell.get("outputs", ())
        if output.get("name") == "stderr"
    ]
