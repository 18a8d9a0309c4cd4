"""Whatever reads bytes of others, fed with changed ones.

``python -m tests.hostile.fuzz`` follows with Atheris which code they reach; without it, it changes them at
random, as the tests do.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hanami_jupyter.backend import direct, policy, readers, uploads, validation
from hanami_jupyter.backend.config import ConfigError
from hanami_jupyter.backend.errors import RefusalError
from hanami_jupyter.backend.store import UploadRow
from hanami_jupyter.engine import Cluster
from hanami_jupyter.protocol import template
from hanami_jupyter.protocol.hanami_messages_pb2 import ClusterIO_Message, FileUpload_Message
from tests.backend.conftest import TEMPLATE, digits, idx
from tests.engine import forgery
from tests.hostile.attacks import mutated
from tests.hostile.world import CSV, npy

BUILD = Path(__file__).parents[2] / "build" / "fuzz"  # inputs that have broken something
REFUSALS = (ValueError, RefusalError, ConfigError)
FOLLOWED = ["hanami_jupyter", "csv", "json"]
CHILD = f"""
import sys, atheris
with atheris.instrument_imports(include={FOLLOWED}):
    from tests.hostile import fuzz
fuzz.follow(sys.argv.pop(1))
"""
POLICY = "v1.0alpha/cluster:\n- GET: admin, member # all\n\n- POST: admin\nv1.0alpha/user\n- DELETE: admin\n"
BODY = {
    "name": "a",
    "inputs": [{"dataset_uuid": "b", "hexagon_name": "c"}],
    "time_length": 1,
    "t": [1.5, None],
}
SIZE = 1000  # bytes of a file under way
PLACE = tempfile.TemporaryDirectory()
FOLDER = Path(PLACE.name)


def _file(name: str, data: bytes) -> Path:
    path = FOLDER / name
    path.unlink(missing_ok=True)  # it may be linked
    path.write_bytes(data)
    return path


def _csv(data: bytes) -> None:
    readers.read_csv(_file("table", data), FOLDER / "csv.npy")


def _mnist(data: bytes) -> None:
    size = int.from_bytes(data[:2], "little")
    pictures, labels = _file("pictures", data[2 : 2 + size]), _file("labels", data[2 + size :])
    readers.read_mnist(pictures, labels, FOLDER / "mnist.npy")


def _array(data: bytes) -> None:
    readers.read_array(_file("array", data), {"a": 1, "b": 1}, FOLDER / "array.npy")


def _template(data: bytes) -> None:
    template.parse(data.decode("utf-8", "replace"))


def _snapshot(data: bytes) -> None:
    Cluster.from_bytes(forgery.seal(data))


def _policy(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    for (method, endpoint), roles in policy.parse(text).items():  # nobody gets in whom nobody has named
        assert endpoint in text
        assert method in policy.METHODS
        assert all(role and role in text for role in roles)


def _direct(data: bytes) -> None:
    _, values = direct.decode(data)
    assert values.dtype == np.float32


def _piece(data: bytes) -> None:
    row = UploadRow("u", "t", "input", SIZE, "o", "p", ())
    file = uploads.OpenFile(row, FOLDER / "piece")
    said = file.write(data)
    file.close()
    assert (FOLDER / "piece").stat().st_size <= SIZE
    if said:
        raise ValueError(said)


def _body(data: bytes) -> None:
    json.dumps(validation.parse_body(data), allow_nan=False).encode()


def _trained() -> bytes:
    cluster = Cluster.from_template(TEMPLATE, seed=1)
    cluster.train(np.eye(9, dtype=np.float32), np.eye(9, dtype=np.float32))
    return cluster.to_bytes()[len(forgery.MAGIC) + 4 :]


def _pictures() -> bytes:
    pictures, labels = idx(*digits(3))
    return len(pictures).to_bytes(2, "little") + pictures + labels


READERS: dict[str, tuple[Callable[[bytes], None], Callable[[], bytes]]] = {
    "csv": (_csv, (CSV + "0.5,true\n" * 3).encode),
    "mnist": (_mnist, _pictures),
    "array": (_array, npy),
    "template": (_template, TEMPLATE.encode),
    "snapshot": (_snapshot, _trained),
    "policy": (_policy, POLICY.encode),
    "direct": (
        _direct,
        ClusterIO_Message(bufferName="in", isLast=True, numberOfValues=3, values=[0, 1, 2]).SerializeToString,
    ),
    "piece": (_piece, FileUpload_Message(position=10, data=b"abcdef").SerializeToString),
    "body": (_body, json.dumps(BODY).encode),
}


def taken(name: str, data: bytes) -> bool:
    """Feed a reader; tell whether it took the bytes or refused them in a sentence. All else is a fault."""
    try:
        READERS[name][0](data)
    except REFUSALS as error:
        if not str(error).strip():
            raise
        return False
    return True


def at_random(name: str, seed: int, seconds: float = 0.0, least: int = 1) -> tuple[int, int]:
    """Feed a reader changed bytes, so many at least; return how many there were, and how many it took."""
    rng, right = random.Random(seed), READERS[name][1]()
    assert taken(name, right)
    end, fed, good = time.monotonic() + seconds, 0, 0
    while fed < least or time.monotonic() < end:
        good += taken(name, mutated(rng, right))
        fed += 1
    return fed, good


def follow(name: str) -> None:
    """Fuzz a reader with Atheris, as the rest of the command line says; ends the process."""
    import atheris

    def feed(data: bytes) -> None:
        taken(name, data)

    atheris.Setup(sys.argv, feed)
    atheris.Fuzz()


def guided(name: str, seconds: int) -> str:
    """Fuzz a reader in a process of its own; return what is wrong, or nothing."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        Path(corpus, "right").write_bytes(READERS[name][1]())
        options = [f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=8192"]
        done = subprocess.run(
            [sys.executable, "-c", CHILD, name, *options, f"-artifact_prefix={BUILD / name}-", corpus],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    lines = done.stderr.splitlines()
    sys.stdout.write(f"{name}: {next((line for line in lines[::-1] if 'cov:' in line), '')}\n")
    return "\n".join(lines[-40:]) if done.returncode else ""


def main(argv: list[str]) -> int:
    """Fuzz every reader; return 1 if one breaks."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="for each reader")
    parser.add_argument("names", nargs="*", default=list(READERS))
    given: Any = parser.parse_args(argv)
    wrong = []
    for name in given.names:
        if importlib.util.find_spec("atheris"):
            wrong += [f"{name}: {fault}\n" for fault in [guided(name, given.seconds)] if fault]
        else:
            fed, good = at_random(name, int(time.time()), given.seconds)
            sys.stdout.write(f"{name}: {fed:,} changed at random, {good:,} of them right\n")
    sys.stdout.write("".join(wrong) or "nothing wrong\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
