"""What holds for every panel: secrets, re-runs, rate, size, pictures, and what it says when all fails."""

from __future__ import annotations

import copy
import json
import re
import time
from datetime import datetime, timezone

import jwt
import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from hanami_jupyter import launcher
from hanami_jupyter.client import transport
from hanami_jupyter.demo import without_views
from hanami_jupyter.panels.base import STATIC
from hanami_jupyter.panels.login import Login
from hanami_jupyter.session import Session, connect
from tests.proxy import Proxy

from .cases import PANELS, SERVED, SETUP, name
from .conftest import until
from .kernel import LIMIT, environment, running

every = pytest.mark.parametrize("case", PANELS, ids=name)
served = pytest.mark.parametrize("case", SERVED, ids=name)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A backend of its own, whose clusters nobody else replaces."""
    folder = tmp_path_factory.mktemp("backend")
    yield launcher.started(launcher.start(folder))
    launcher.stop(folder)


def connected(server, address):
    """Return the environment variables that sign a kernel in."""
    return {"HANAMI_USER": server.user, "HANAMI_ADDRESS": address, "HANAMI_PW": server.password}


@every
def test_its_bundle_is_small(case):
    size = sum((STATIC / f"{case.bundle}.{end}").stat().st_size for end in ("js", "css"))
    assert 0 < size <= 1000 * case.kilobytes


# -- in a kernel: messages, and what re-runs leave

COUNT = """
import os, threading
import psutil
from comm import get_comm_manager

def counted():
    panel.snapshot()
    threads = [thread for thread in threading.enumerate() if thread.name != "hanami-feed"]
    files = [os.readlink(entry.path) for entry in os.scandir("/proc/self/fd") if os.path.lexists(entry.path)]
    files = [file for file in files if not file.startswith("socket:")]
    port = int(session.address.rpartition(":")[2])
    connections = [one for one in psutil.Process().net_connections() if one.raddr and one.raddr.port == port]
    return [len(get_comm_manager().comms), len(threads), len(files), len(connections)]
"""


@pytest.fixture(scope="module")
def kernel(server, tmp_path_factory):
    log = tmp_path_factory.mktemp("kernel") / "kernel.log"
    with running(log, **connected(server, server.address)) as kernel:
        kernel.run(f"import hanami\nowner = session = hanami.connect()\n{SETUP}\n{COUNT}")
        yield kernel


@every
def test_fifty_runs_of_its_cell_leave_as_many_comms_threads_files_and_connections(kernel, case):
    cell = f"{case.code}\npanel"
    for _ in range(3):
        kernel.run(cell, case.name)

    def counted():
        return json.loads(kernel.run("print(counted())", "count"))

    most = counted()
    most[-1] = 3  # a cell, the feed and the count itself may each hold a connection
    for _ in range(50):
        kernel.run(cell, case.name)
    deadline = time.monotonic() + LIMIT  # ipykernel frees the pipes of ended threads every ten seconds
    after = counted()
    while any(now > limit for now, limit in zip(after, most, strict=True)):
        assert time.monotonic() < deadline, f"comms, threads, files, connections: {most} became {after}"
        time.sleep(0.5)
        after = counted()
    kernel.run("panel.close()", "close")


@every
def test_it_sends_at_most_four_messages_a_second(kernel, case):
    kernel.run(f"{case.code}\npanel", case.name)
    kernel.updates.clear()
    loop = f"""
begin = time.monotonic()
while time.monotonic() < begin + 3:
    {case.stir}
    time.sleep(0.005)
panel.snapshot()
print(time.monotonic() - begin)
"""
    seconds = float(kernel.run(loop, "stir"))
    kernel.run("panel.close()", "close")
    most = max(map(len, kernel.updates.values()))
    assert 2 <= most <= 4 * seconds + 1


# -- a notebook with all of them, signed in with a password, and everywhere that could leave it

FIRST = """
import logging, os, threading, time
logging.basicConfig(filename=os.environ["HANAMI_TEST_LOG"], level=logging.DEBUG)
import hanami
%xmode Verbose
session = hanami.connect()
owner = hanami.Login(session.address)
secret = memoryview(os.environ["HANAMI_PW"].encode())
values = {"address": session.address, "user": session.user_id, "verify": True}
owner._handle_custom_msg({"id": 1, "command": "sign_in", **values}, [secret])
while not owner.signed_in:
    time.sleep(0.01)
"""
FAULT = "raises-exception"
ARGUMENTS = "import psutil\n[process.info for process in psutil.process_iter(['cmdline'])]"


@pytest.fixture(scope="module")
def executed(server, tmp_path_factory):
    """Return an executed notebook, all places of the conventions as texts, and what they may not hold."""
    folder = tmp_path_factory.mktemp("executed")
    log, own = folder / "kernel.log", folder / "python.log"
    proxy = Proxy(server.address)
    node = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})

    def cell(code, *tags):
        node.cells.append(nbformat.v4.new_code_cell(code, metadata={"tags": list(tags)}))

    cell(f"{FIRST}\n{SETUP}")
    for case in PANELS:
        cell(f"{case.code}\npanel")
        cell("panel.snapshot()")
        cell("panel, vars(panel), panel.get_state(), panel._repr_mimebundle_()")
        cell("panel.do_nothing_of_this_name(session, owner, owner.session)", FAULT)
        cell("panel.close()\npanel")
    cell("owner, vars(owner), owner.get_state(), owner.snapshot(), session")
    cell("owner.session.cluster.get_cluster('00000000-0000-0000-0000-000000000000')", FAULT)
    cell(ARGUMENTS)
    cell("print(owner.session.token[::-1], session.token[::-1])")
    with log.open("wb") as output:
        client = NotebookClient(node, timeout=LIMIT, extra_arguments=["--debug"])
        variables = connected(server, proxy.address) | {"HANAMI_TEST_LOG": str(own)}
        client.execute(env=environment(**variables), stdout=output, stderr=output)
    proxy.close()
    tokens = [token[::-1] for token in node.cells.pop().outputs[0].text.split()]
    outputs = [output for cell in node.cells for output in cell.outputs]
    places = {
        "executed notebook": nbformat.writes(node),
        "page": HTMLExporter().from_notebook_node(node)[0],
        "log of the kernel": log.read_text("utf-8", "replace"),
        "log of Python": own.read_text("utf-8", "replace"),
        "tracebacks": json.dumps([output for output in outputs if output.output_type == "error"]),
        "addresses": "\n".join(proxy.requests),
        "arguments": json.dumps(node.cells[-1].outputs),
    }
    return node, places, [server.password, *tokens, *(token.rpartition(".")[2] for token in tokens)]


def test_a_secret_is_in_no_place_that_others_may_see(executed):
    _, places, secrets = executed
    assert all(len(secret) > 20 for secret in secrets)
    proofs = {  # that the place was really looked at
        "executed notebook": '"application/vnd.jupyter.widget-state+json"',
        "page": "hanami-pill",
        "log of the kernel": "execute_request",
        "log of Python": "/task",
        "tracebacks": "do_nothing_of_this_name",
        "addresses": "GET ",
        "arguments": "ipykernel",
    }
    assert [place for place, proof in proofs.items() if proof not in places[place]] == []
    assert [place for place, text in places.items() if any(secret in text for secret in secrets)] == []


@every
def test_a_page_of_the_notebook_shows_its_picture(executed, case):
    page, _ = HTMLExporter().from_notebook_node(without_views(copy.deepcopy(executed[0])))
    for words in case.shows:
        assert words in page


# -- when all fails: the server stops, the network goes, the sign-in ends


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a backend that is stopped now and then."""
    folder = tmp_path_factory.mktemp("failing")
    yield folder
    launcher.stop(folder)


@pytest.fixture
def workshop(folder, monkeypatch):
    """Return what ``SETUP`` leaves, made through a proxy, with short time limits."""
    running = launcher.started(launcher.start(folder))
    proxy = Proxy(running.address)
    with connect(proxy.address, running.user, running.password) as session:
        names = {"session": session, "owner": session, "proxy": proxy, "running": running}
        exec(SETUP, names)
        for limit in ("connect", "answer", "slot"):
            monkeypatch.setattr(transport.limits, limit, 2.0)
        yield names
    proxy.close()


class Served:
    """A panel of a case with its front end."""

    def __init__(self, case, names, front):
        exec(case.code, names)
        self.case, self.names, self.panel = case, names, names["panel"]
        self.front = front(self.panel)

    def ask(self):
        values = {key: eval(value, self.names) for key, value in self.case.values.items()}
        return self.front.ask(self.case.asks, **values)

    def says(self):
        """Return what the panel says is wrong: by itself, or to who asks."""
        if not self.case.watches:
            return str(self.ask()["error"])
        self.panel.refresh()
        until(lambda: self.panel.notice, self.panel)
        return self.panel.notice

    def mends(self):
        """Wait until the panel works again, without a new run of its cell."""
        until(lambda: not self.panel.notice and self.ask()["ok"], self.panel)


@served
@pytest.mark.parametrize("gone", ["network", "server"])
def test_without_a_server_it_says_so_and_goes_on_when_it_is_back(case, gone, workshop, front, folder):
    proxy = workshop["proxy"]
    panel = Served(case, workshop, front)
    panel.mends()
    if gone == "network":
        proxy.stall = True
    else:
        launcher.stop(folder)
    says = panel.says()
    assert proxy.address in says
    assert re.search(r"[a-z]\. [A-Z].+\.$", says), f"what to do is missing: {says}"
    if gone == "network":
        proxy.stall = False
    else:
        workshop["running"] = launcher.started(launcher.start(folder))
        proxy.target(workshop["running"].address)
    panel.mends()


ENDED = datetime(2020, 1, 1, tzinfo=timezone.utc)


@served
def test_when_the_sign_in_has_ended_it_follows_the_next_one(case, workshop, front):
    session, running = workshop["session"], workshop["running"]
    login = workshop["owner"] = Login(session.address)
    values = {"address": session.address, "user": running.user, "verify": True}

    def sign_in():
        assert front(login).ask("sign_in", attached=running.password.encode(), **values)["ok"]

    sign_in()
    panel = Served(case, workshop, front)
    panel.mends()
    claims = jwt.decode(session.token, options={"verify_signature": False})
    login._session = Session(session.address, jwt.encode(claims | {"exp": ENDED}, "a" * 32))
    login.refresh()
    until(lambda: "Sign in again." in login.notice, login)
    if case.name != "Login":
        assert "Sign in again." in panel.says()
    sign_in()
    until(lambda: not login.notice, login)
    panel.mends()
