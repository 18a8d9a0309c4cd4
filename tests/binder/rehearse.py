"""Installs what a person would install, in empty environments and homes without Node, and uses it.

``python tests/binder/rehearse.py`` builds wheel and sdist of this clone and checks what they hold, installs
each and runs the demo, then does what repo2docker does with binder/, runs a tutorial there in a JupyterLab
and measures the memory. All installations share one package cache. ``--notebook NAME`` chooses the tutorial.
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
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]
LARGEST = 1 << 30  # bytes of server, kernel and backend together
EVERY = 0.2  # seconds between samples
NODE = {"node", "nodejs", "npm", "npx", "corepack"}
PASSED_ON = ("LANG", "LC_ALL", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CONFIG_FILE")


def run(words: list[str], environment: Mapping[str, str], folder: Path) -> str:
    """Run a command and return what it said; end with it if it fails."""
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


class Place:
    """An empty virtual environment and home, with no Node on the PATH and only pip's settings and cache."""

    def __init__(self, folder: Path) -> None:
        self.home, venv, system = folder / "home", folder / "venv", folder / "system"
        self.home.mkdir(parents=True)
        system.mkdir()
        for tool in Path("/usr/bin").iterdir():
            if tool.name not in NODE:
                (system / tool.name).symlink_to(tool)
        run([sys.executable, "-m", "venv", str(venv)], os.environ, folder)
        chosen = {k: v for k, v in os.environ.items() if k in PASSED_ON or k.startswith(("PIP_", "UV_"))}
        settings = Path.home() / ".config" / "pip" / "pip.conf"
        if settings.exists():
            chosen.setdefault("PIP_CONFIG_FILE", str(settings))
        self.environment = {
            "PIP_CACHE_DIR": str(Path.home() / ".cache" / "pip"),
            **chosen,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(venv / "bin"), str(system)]),
            "VIRTUAL_ENV": str(venv),
        }
        assert shutil.which("node", path=self.environment["PATH"]) is None

    def run(self, *words: str, folder: Path | None = None) -> str:
        """Run a command here."""
        return run(list(words), self.environment, folder or self.home)

    def install(self, *words: str, folder: Path | None = None) -> None:
        """Install packages; that pip compiles them too would only take time."""
        self.run("python", "-m", "pip", "install", "--quiet", "--no-compile", *words, folder=folder)


def bundles() -> set[str]:
    """Return the bundles that pyproject.toml names."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    targets = re.search(r"ensured-targets = \[(.*?)\]", text, re.S)
    assert targets
    return set(re.findall(r'"([^"]+)"', targets[1]))


def cloned(clone: Path) -> Path:
    """Copy what a clone of this work tree would hold: no bundle is built yet."""
    names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], os.environ, ROOT)
    for name in filter(None, names.split("\0")):
        if (ROOT / name).exists():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    return clone


def build(clone: Path, folder: Path) -> tuple[Path, Path]:
    """Build sdist and wheel of a clone, check what they hold, and return them."""
    run([sys.executable, "-m", "build", "--outdir", str(folder), str(clone)], os.environ, folder)
    wheel, sdist = next(folder.glob("*.whl")), next(folder.glob("*.tar.gz"))
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = bundles() | {"hanami_jupyter/quickstart.ipynb", "hanami.py", "hanami_jupyter/py.typed"}
    assert needed <= names, f"the wheel lacks {needed - names}"
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = bundles() | {"notebooks/quickstart.ipynb", "pyproject.toml", "hanami.py", "js/package.json"}
    assert needed <= names, f"the sdist lacks {needed - names}"
    return wheel, sdist


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


def binder(place: Place, clone: Path, notebook: str) -> int:
    """Install, prepare and start as repo2docker does, run a tutorial, and return the most memory it took."""
    place.install("-r", "binder/requirements.txt", folder=clone)
    place.run("bash", "binder/postBuild", folder=clone)
    words = ["bash", "binder/start", "python", "-c", SESSION, f"notebooks/{notebook}.ipynb"]
    session = subprocess.Popen(words, cwd=clone, env=place.environment)
    sampler = Sampler(session.pid)
    sampler.start()
    code = session.wait(600)
    peak = sampler.stop()
    if code:
        sys.exit(f"{notebook} failed on Binder")
    return peak


def main() -> int:
    """Rehearse, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebook", default="quickstart")
    notebook = parser.parse_args().notebook
    began = time.monotonic()
    if hasattr(os, "nice"):
        os.nice(10)  # the tests beside it go first

    def say(text: str) -> None:
        sys.stdout.write(f"{text} ({time.monotonic() - began:.0f} s)\n")
        sys.stdout.flush()

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clone = cloned(folder / "clone")
        wheel, sdist = build(clone, folder)
        say(f"built {wheel.name} and {sdist.name}; both hold every bundle")
        for package in (wheel, sdist):
            place = Place(folder / package.suffix)
            place.install(f"{package}[demo]")
            said = place.run("python", "-m", "hanami_jupyter.demo", "--output", "demo")
            say(f"the demo from {package.name}: {re.search('accuracy.*', said)[0]}")
        peak = binder(Place(folder / "binder"), clone, notebook)
    say(f"{notebook} on Binder: {peak / (1 << 20):.0f} MB of server, kernel and backend together at most")
    return int(peak > LARGEST)


if __name__ == "__main__":
    sys.exit(main())
