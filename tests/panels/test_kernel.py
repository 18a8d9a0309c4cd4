"""Commands in a real kernel: a sign-in without a secret in the log, an answer beside a busy cell."""

from __future__ import annotations

import os

import pytest

from .kernel import running


@pytest.fixture
def kernel(tmp_path, server):
    with running(tmp_path / "kernel.log", HANAMI_USER=server.user, HANAMI_ADDRESS=server.address) as kernel:
        yield kernel


def test_signing_in_leaves_no_secret_in_the_debug_log_or_the_messages(kernel, server):
    kernel.run("import hanami\nlogin = hanami.Login()\nlogin")
    values = {"address": server.address, "user": server.user, "verify": True}
    wrong = kernel.reply(kernel.command("sign_in", secret=b"not-the-password", **values))
    assert "password is wrong" in wrong["error"]
    assert kernel.reply(kernel.command("sign_in", secret=server.password.encode(), **values))["ok"]
    token = kernel.run("print(str(login.session.token)[-20:][::-1])").strip()[::-1]
    assert len(token) == 20
    log = kernel.log.read_text("utf-8", "replace")
    assert "sign_in" in log  # the log does show what commands say
    for secret in (server.password, "not-the-password", token):
        assert secret not in log
        assert secret not in repr(kernel.comms)
        assert secret not in repr(kernel.replies)


def test_the_kernel_is_of_the_version_that_is_to_be_tested(kernel):
    major = kernel.run("import ipykernel\nprint(ipykernel.version_info[0])").strip()
    assert major == os.environ.get("HANAMI_IPYKERNEL", "7")
    assert (kernel.subshell() is None) == (major == "6")  # where messages arrive


def test_a_command_is_answered_beside_a_busy_cell_or_right_after_it(kernel):
    kernel.run("import hanami, time\nlogin = hanami.Login()\nlogin")
    subshell = kernel.subshell()
    kernel.start("time.sleep(2)\nended = time.monotonic()", "busy")
    number = kernel.command("known", subshell=subshell)
    assert kernel.reply(number)["ok"]
    beside = kernel.run("print('ended' in dir())", "after")
    assert beside.strip() == "True"
    states = [kernel.reply(kernel.command("known", subshell=subshell))["ok"] for _ in range(3)]
    assert states == [True] * 3
