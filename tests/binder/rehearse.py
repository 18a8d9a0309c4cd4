"""Does what repo2docker does with binder/, in an empty environment and home, and measures the memory.

``python tests/binder/rehearse.py`` builds wheel and sdist, installs the wheel without Node, runs the demo,
then plays the Binder session with the same environment. ``--notebook NAME`` chooses another tutorial.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LARGEST = 1 << 30  # bytes of server, kernel and backend together
EVERY = 0.2  # seconds between samples
PASSED_ON = ("LANG", "LC_ALL", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CACHE_DIR", "PIP_CONFIG_FILE")


def surroundings(venv: Path, home: Path) -> dict[str, str]:
    """Return an environment with an empty home, this virtual environment, and no Node on the PATH."""
    chosen = {k: v for k, v in os.environ.items() if k in PASSED_ON or k.startswith(("PIP_", "UV_"))}
    system = home.with_name("system")
    system.mkdir()
    for tool in Path("/usr/bin").iterdir():
        if tool.name not in {"node", "nodejs", "npm", "npx", "corepack"}:
            (system / tool.name).symlink_to(tool)
    cache = os.environ.get("PIP_CACHE_DIR", str(Path.home() / ".cache" / "pip"))
    settings = Path.home() / ".config" / "pip" / "pip.conf"
    if settings.exists():
        chosen.setdefault("PIP_CONFIG_FILE", str(settings))
    return chosen | {
        "HOME": str(home),
        "PIP_CACHE_DIR": cache,
        "PATH": os.pathsep.join([str(venv / "bin"), str(system)]),
        "VIRTUAL_ENV": str(venv),
    }


def run(words: list[str], environment: Mapping[str, str], folder: Path) -> str:
    """Run a command and return what it said; end with it if it fails."""
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def bundles() -> set[str]:
    """Return the bundles that pyproject.toml names."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    targets = re.search(r"ensured-targets = \[(.*?)\]", text, re.S)
    assert targets
    return set(re.findall(r'"([^"]+)"', targets[1]))


def build(folder: Path) -> Path:
    """Build wheel and sdist of this clone, check what they hold, and return the wheel."""
    copy = folder / "clone"
    ignored = shutil.ignore_patterns(".venv*", ".git", "node_modules", "build", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=ignored)
    words = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--no-deps", "-q"]
    run([*words, "-w", str(folder), str(copy)], os.environ, folder)
    wheel = next(folder.glob("hanami_jupyter-*.whl"))
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = bundles() | {"hanami_jupyter/quickstart.ipynb", "hanami.py", "hanami_jupyter/py.typed"}
    assert needed <= names, f"the wheel lacks {needed - names}"
    code = "from hatchling.builders.sdist import SdistBuilder; print(next(SdistBuilder('.').build()))"
    tools = folder / "tools"
    run([sys.executable, "-m", "pip", "install", "-q", "--target", str(tools),
         "hatchling>=1.27", "hatch-jupyter-builder>=0.9.1"], os.environ, folder)  # fmt: skip
    path = os.pathsep.join([str(tools), str(copy)])
    said = run([sys.executable, "-c", code], os.environ | {"PYTHONPATH": path}, copy)
    with tarfile.open(copy / said.split()[-1]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = bundles() | {"notebooks/quickstart.ipynb", "pyproject.toml", "hanami.py", "js/package.json"}
    assert needed <= names, f"the sdist lacks {needed - names}"
    return wheel


def together(root: psutil.Process) -> int:
    """Return the memory of a process and all below it, shared pages counted once."""
    total = 0
    for process in [root, *root.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.Error:
            continue
    return total


class Sampler(threading.Thread):
    """Looks at the memory of a process tree until it is told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._root = psutil.Process(pid)
        self._end = threading.Event()

    def run(self) -> None:
        """Sample."""
        while not self._end.wait(EVERY):
            try:
                self.peak = max(self.peak, together(self._root))
            except psutil.Error:
                return

    def stop(self) -> int:
        """Stop, and return the largest sum seen."""
        self._end.set()
        self.join()
        return self.peak


# Starts JupyterLab, runs the notebook in a kernel of that server as a front end would, and stops it.
SESSION = """
import json, os, secrets, socket, subprocess, sys, time, urllib.request
import nbformat, websocket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0)); port = probe.getsockname()[1]
token = secrets.token_hex(8)
lab = subprocess.Popen(["jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.log_level=ERROR",
                        f"--port={port}", f"--IdentityProvider.token={token}"])
def ask(path, body=None):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}?token={token}", data=body)
    return json.load(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10))
for _ in range(300):
    try:
        ask("api"); break
    except OSError:
        time.sleep(0.2)
kernel = ask("api/kernels", b"{}")["id"]
channels = f"ws://127.0.0.1:{port}/api/kernels/{kernel}/channels?token={token}"
ws = websocket.create_connection(channels, timeout=300)
for cell in nbformat.read(sys.argv[1], 4).cells:
    if cell.cell_type != "code":
        continue
    head = {"msg_id": secrets.token_hex(8), "msg_type": "execute_request", "username": "", "session": "s",
            "date": "", "version": "5.3"}
    ws.send(json.dumps({"header": head, "parent_header": {}, "metadata": {}, "channel": "shell", "content": {
        "code": cell.source, "silent": False, "store_history": True, "user_expressions": {},
        "allow_stdin": False, "stop_on_error": True}}))
    while True:
        message = json.loads(ws.recv())
        mine = message["parent_header"].get("msg_id") == head["msg_id"]
        if mine and message["msg_type"] == "execute_reply":
            break
    if message["content"]["status"] != "ok":
        lab.terminate(); sys.exit("\\n".join(message["content"].get("traceback", [])))
lab.terminate(); lab.wait(20)
"""


def main() -> int:
    """Rehearse, and print the peak."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebook", default="quickstart")
    notebook = ROOT / "notebooks" / f"{parser.parse_args().notebook}.ipynb"
    say = sys.stdout.write
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home, venv = folder / "home", folder / "venv"
        home.mkdir()
        wheel = build(folder)
        say(f"built {wheel.name} and the sdist; both hold every bundle\n")
        run([sys.executable, "-m", "venv", str(venv)], os.environ, folder)
        environment = surroundings(venv, home)
        assert shutil.which("node", path=environment["PATH"]) is None
        wanted = (ROOT / "binder" / "requirements.txt").read_text("utf-8").split()
        packages = [f"{wheel}[notebook,demo]" if word.startswith(".") else word for word in wanted]
        run(["python", "-m", "pip", "install", "-q", *packages], environment, folder)
        said = run(["python", "-m", "hanami_jupyter.demo", "--output", "demo"], environment, folder)
        say(f"the demo in the empty environment: {said.splitlines()[0]}\n")
        run(["bash", str(ROOT / "binder" / "postBuild")], environment, home)
        words = ["bash", str(ROOT / "binder" / "start"), "python", "-c", SESSION, str(notebook)]
        session = subprocess.Popen(words, cwd=home, env=environment)
        sampler = Sampler(session.pid)
        sampler.start()
        code = session.wait(600)
        peak = sampler.stop()
    say(f"{notebook.stem} on Binder: peak {peak / (1 << 20):.0f} MB of server, kernel and backend together\n")
    return int(code != 0 or peak > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
