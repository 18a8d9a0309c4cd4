"""Executes notebooks in place and keeps their outputs, without what belongs to one run."""

import sys
from pathlib import Path

import nbformat

from hanami_jupyter.demo import execute, without_views


def clean(node: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Remove widget state, live views and times from an executed notebook."""
    for cell in node.cells:
        cell.metadata.pop("execution", None)
    return without_views(node)


def main() -> None:
    """Refresh the notebooks named, or all."""
    folder = Path(__file__).parents[2] / "notebooks"
    for path in map(Path, sys.argv[1:] or sorted(folder.glob("*.ipynb"))):
        nbformat.write(clean(execute(path)), path)


if __name__ == "__main__":
    main()
