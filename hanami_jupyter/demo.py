"""Executes the quick-start notebook without a browser: ``python -m hanami_jupyter.demo``."""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hanami_jupyter.data import VARIABLE

if TYPE_CHECKING:
    from nbformat import NotebookNode

NAME = "quickstart"
TIME_LIMIT = 600  # seconds a cell


def notebook() -> Path:
    """Return the path of the quick-start notebook, in the installed package or in a clone."""
    here = Path(__file__).parent
    inside = here / f"{NAME}.ipynb"
    return inside if inside.exists() else here.parent / "notebooks" / f"{NAME}.ipynb"


def execute(path: Path) -> NotebookNode:
    """Run every cell of a notebook in an empty folder and return the notebook with its outputs."""
    import nbformat  # noqa: PLC0415 - an optional dependency
    from nbclient import NotebookClient  # noqa: PLC0415

    node = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            node,
            timeout=TIME_LIMIT,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        return client.execute()


def without_views(node: NotebookNode) -> NotebookNode:
    """Take the live views out of an executed notebook; the pictures of the panels need no kernel."""
    node.metadata.pop("widgets", None)
    for cell in node.cells:
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
    return node


def accuracy(node: NotebookNode) -> float:
    """Return the number that the cell tagged ``accuracy`` shows, in percent.

    Raises
    ------
    ValueError
        If there is none.
    """
    for cell in node.cells:
        if "accuracy" in cell.metadata.get("tags", []):
            for output in cell.outputs:
                found = re.search(r"\d+(\.\d+)?", output.get("data", {}).get("text/plain", ""))
                if found:
                    return float(found.group())
    message = "The notebook shows no accuracy."
    raise ValueError(message)


def main(arguments: list[str] | None = None) -> int:
    """Run the demo.

    Returns
    -------
    int
        Exit code: 0 only if the notebook ran, showed its accuracy, and both files were written.
    """
    parser = argparse.ArgumentParser(prog="python -m hanami_jupyter.demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/demo"), help="folder for what it leaves")
    output: Path = parser.parse_args(arguments).output
    say = sys.stdout.write
    try:
        import nbformat  # noqa: PLC0415
        from nbconvert import HTMLExporter  # noqa: PLC0415
    except ImportError as error:
        sys.stderr.write(f"The demo needs {error.name}: pip install 'hanami-jupyter[demo]'\n")
        return 1
    if VARIABLE in os.environ:  # the notebook runs in a folder of its own
        os.environ[VARIABLE] = str(Path(os.environ[VARIABLE]).absolute())
    output.mkdir(parents=True, exist_ok=True)
    say("training on handwritten digits\n")
    sys.stdout.flush()
    node = without_views(execute(notebook()))
    nbformat.write(node, output / f"{NAME}.ipynb")
    page, _ = HTMLExporter().from_notebook_node(node)
    (output / f"{NAME}.html").write_text(page, "utf-8")
    say(f"accuracy: {accuracy(node):.2f} %\n")
    say(f"executed notebook: {output / NAME}.ipynb\npage to open:      {output / NAME}.html\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
