"""A wait outside of notebooks: a bar on a terminal, silence in a pipe."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

CODE = """
import numpy as np, hanami
session = hanami.connect()
inputs = np.random.default_rng(0).random((60_000, 200), dtype="float32")
rows = session.dataset.upload_data("to wait for", {"a": inputs, "b": inputs[:, :10] > 0.5})
template = "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1 inputs: a: 1,1,1 outputs: b: 2,1,1"
cluster = session.cluster.create_cluster("waits", template, replace=True)["uuid"]
session.fit(cluster, rows)
"""


def waiting(server, stderr):
    environment = os.environ | {
        "HANAMI_ADDRESS": server.address,
        "HANAMI_USER": server.user,
        "HANAMI_PW": server.password,
    }
    command = [sys.executable, "-c", CODE]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=stderr)


def test_a_terminal_shows_a_bar_that_vanishes(server, session):
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    with waiting(server, its) as process:
        os.close(its)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal is gone with the process
            while piece := os.read(mine, 65536):
                shown += piece
        os.close(mine)
        assert process.stdout.read() == b""
    assert process.returncode == 0
    assert b"cycles/s" in shown
    assert b"(active)" in shown
    assert b"100%" in shown
    assert shown.rstrip(b"\r").endswith(b" ")  # wiped


def test_a_pipe_stays_silent(server, session):
    with waiting(server, subprocess.PIPE) as process:
        assert process.communicate() == (b"", b"")
    assert process.returncode == 0
