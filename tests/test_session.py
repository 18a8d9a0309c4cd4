"""Sessions: bound functions, renewal, threads, and secrets that stay hidden."""

from __future__ import annotations

import getpass
import inspect
import io
import logging
import pickle
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import hanami_jupyter
from hanami_jupyter import hanami_exceptions, launcher
from hanami_jupyter import session as sessions
from hanami_jupyter.client import hanami_token
from hanami_jupyter.client.token import Token
from hanami_jupyter.session import Session, connect

if TYPE_CHECKING:
    from hanami_jupyter.launcher import Running


def test_functions_are_bound_without_token_and_address(session: Session) -> None:
    bound = session.cluster.get_cluster
    assert list(inspect.signature(bound).parameters) == ["cluster_uuid"]
    assert list(inspect.signature(session.task.wait).parameters) == [
        "task_uuid", "cluster_uuid", "timeout", "callback", "poll",
    ]  # fmt: skip
    assert '>>> session.cluster.get_cluster(small["uuid"])' in bound.__doc__
    assert bound is session.cluster.get_cluster
    assert "get_cluster" in dir(session.cluster)
    assert {"cluster", "task", "dataset", "hosts", "logs"} <= set(dir(session))
    with pytest.raises(AttributeError, match=r"'cluster' has no function 'lst'. It has create_cluster, "):
        session.cluster.lst  # noqa: B018


def test_every_function_of_the_modules_is_there(session: Session) -> None:
    for name in sessions.MODULES:
        module = getattr(hanami_jupyter, name)
        for function in module.__all__:
            kept = inspect.signature(getattr(getattr(session, name), function)).parameters
            assert not {"token", "address", "verify_connection"} & set(kept)
            told = getattr(getattr(session, name), function).__doc__
            assert "(token, address" not in told
            assert "\nverify_connection :" not in told


def test_ipython_completes_and_explains_a_session(session: Session) -> None:
    shell = InteractiveShell()
    shell.user_ns["session"] = session
    with provisionalcompleter():
        for text, expected in (
            ("session.", {"cluster", "dataset", "fit"}),
            ("session.cluster.", {"create_cluster"}),
            ("session.fit(clus", {"cluster_uuid="}),
        ):
            assert expected <= {found.text for found in shell.Completer.completions(text, len(text))}
    for name, first in (
        ("session.fit", "Train a cluster for some epochs"),
        ("session.dataset.upload_data", "Upload arrays or a DataFrame"),
    ):
        told = shell.object_inspect(name)
        assert told["docstring"].startswith(first)
        assert "token" not in told["definition"] + told["docstring"]


def test_identity(session: Session, server: Running) -> None:
    assert (session.user_id, session.project_id, session.is_admin) == (server.user, "admin", True)
    assert session.address == server.address
    assert session.valid_until is not None
    assert session.valid_until > datetime.now(timezone.utc)


def test_environment(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HANAMI_ADDRESS", server.address)
    monkeypatch.setenv("HANAMI_USER", server.user)
    monkeypatch.setenv("HANAMI_PASSPHRASE", "wrong password")
    with pytest.raises(hanami_exceptions.UnauthorizedException, match="incorrect"):
        connect()
    monkeypatch.setenv("HANAMI_PW", server.password)  # comes first
    assert connect().user_id == server.user


def test_a_missing_password_is_asked_for_or_explained(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(
        hanami_exceptions.UnauthorizedException, match="Set the environment variable HANAMI_PW"
    ):
        connect(server.address, server.user)
    with pytest.raises(hanami_exceptions.UnauthorizedException, match="HANAMI_USER"):
        connect(server.address)
    monkeypatch.setattr(sessions, "_interactive", lambda: True)
    monkeypatch.setattr(getpass, "getpass", lambda _question: server.password)
    assert connect(server.address, server.user).user_id == server.user


def test_projects_can_be_switched(session: Session, server: Running) -> None:
    session.project.create_project("garden_x", "The garden")
    session.user.create_user("gardener", "Gardener", "gardening", False)
    with pytest.raises(hanami_exceptions.UnauthorizedException):
        connect(server.address, "gardener", "gardening")  # belongs to no project yet
    session.user.add_project_to_user("gardener", "garden_x", "member", False)
    with connect(server.address, "gardener", "gardening", project="garden_x") as gardener:
        assert gardener.project_id == "garden_x"
        assert not gardener.is_admin
        assert gardener.switch_project("garden_x") is gardener
        with pytest.raises(hanami_exceptions.UnauthorizedException, match="401, GET /project/all"):
            gardener.project.list_projects()
        own = gardener.user.list_projects_of_user()
        assert own["project_id"].to_list() == ["garden_x"]
    session.user.remove_project_from_user("gardener", "garden_x")
    session.user.delete_user("gardener")
    session.project.delete_project("garden_x")


class Clock:
    """Stands in for ``datetime`` in the session, some time later."""

    def __init__(self, later: timedelta) -> None:
        self.later = later

    def now(self, zone: timezone) -> datetime:
        return datetime.now(zone) + self.later


def test_the_token_is_renewed_before_it_ends(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    session = connect(server.address, server.user, server.password)
    calls: list[str] = []
    renew = hanami_token.renew_token
    monkeypatch.setattr(hanami_token, "renew_token", lambda *a: calls.append("renewed") or renew(*a))
    assert session.valid_until is not None
    left = session.valid_until - datetime.now(timezone.utc)
    monkeypatch.setattr(sessions, "datetime", Clock(left - timedelta(seconds=30)))
    session.hosts.list_hosts()
    assert calls == ["renewed"]


def test_after_a_long_sleep_it_logs_in_again(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    session = connect(server.address, server.user, server.password)
    monkeypatch.setattr(sessions, "datetime", Clock(timedelta(days=2)))
    assert len(session.hosts.list_hosts()) >= 1
    bare = Session(server.address, session.token)
    with pytest.raises(hanami_exceptions.UnauthorizedException, match=r"Log in again with hanami\.login\(\)"):
        bare.hosts.list_hosts()


def test_a_token_that_the_server_refuses_is_replaced_once(server: Running) -> None:
    session = connect(server.address, server.user, server.password)
    head, _, tail = str(session.token).rpartition(".")
    session._token = Token(f"{head}.{'A' * len(tail)}")
    assert len(session.hosts.list_hosts()) >= 1


def test_a_long_call_outlives_its_token_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANAMI_BACKEND_TOKEN_LIFETIME", "1")
    session = launcher.local(tmp_path / "short")
    try:
        rows = session.dataset.upload_data("rows", {"a": np.ones((9, 2)), "b": np.ones((9, 1))})
        text = (
            "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1 inputs: a: 1,1,1 outputs: b: 2,1,1"
        )
        cluster = session.cluster.create_cluster("patient", text)
        first = session.token
        session.fit(cluster, rows, epochs=2, callback=lambda _task: time.sleep(0.6))
        assert session.token != first
        assert len(session.task.list_tasks(cluster)) == 2
    finally:
        session.close()
        launcher.stop(tmp_path / "short")


def test_threads_share_a_session(session: Session) -> None:
    before = threading.active_count()
    with ThreadPoolExecutor(8) as pool:
        tables = list(pool.map(lambda _: session.hosts.list_hosts(), range(40)))
    assert {len(table) for table in tables} == {len(tables[0])}
    assert threading.active_count() <= before


def test_closing(server: Running) -> None:
    session = connect(server.address, server.user, server.password)
    session.close()
    assert repr(session) == f"<Session {server.address}, closed>"
    with pytest.raises(hanami_exceptions.UnauthorizedException, match="session is closed"):
        session.hosts.list_hosts()
    assert "signed out" in session._repr_html_()


SECRET = "a-very-secret-word"


def _all_of(error: BaseException) -> str:
    """A traceback with the values of every frame but the test's own."""
    assert error.__traceback__ is not None
    error = error.with_traceback(error.__traceback__.tb_next)
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_a_password_is_in_no_error_and_no_log(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    session = connect(server.address, server.user, server.password)
    attempts: list[Any] = [
        lambda secret: connect(server.address, server.user, secret),
        lambda secret: hanami_token.request_token(server.address, server.user, secret),
        lambda secret: connect("http://127.0.0.1:9", server.user, secret),
        lambda secret: session.user.create_user(server.user, "Taken name", secret, False),
        lambda secret: session.user.create_user("someone_z", "No name", passwort=secret, is_admin="?"),
    ]
    for attempt in attempts:
        with pytest.raises(hanami_exceptions.HanamiException) as caught:
            attempt(SECRET)
        text = _all_of(_without_first(caught.value))
        assert SECRET not in text
        assert SECRET not in repr(caught.value.args)
    assert SECRET not in caplog.text
    assert server.password not in caplog.text


def _without_first(error: BaseException) -> BaseException:
    """Without the frame of the lambda, which holds the secret as the user's own cell would."""
    assert error.__traceback__ is not None
    return error.with_traceback(error.__traceback__.tb_next)


def test_a_token_is_shown_nowhere(session: Session, server: Running) -> None:
    token = session.token
    shown = [repr(session), session._repr_html_(), repr(token), repr([token]), token._repr_html_()]
    shown += [repr(session.cluster), repr(session.cluster.list_clusters)]
    with pytest.raises(hanami_exceptions.NotFoundException) as caught:
        session.cluster.get_cluster("6f2bbcd2-7081-4b08-ae1d-16e6cd6f54c4")
    shown += [_all_of(caught.value)]
    for text in shown:
        assert str(token) not in text
        assert server.password not in text
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(session)
    assert f"{token}" == str(token)
    assert type(pickle.loads(pickle.dumps(token))) is Token


def test_an_address_with_a_password_is_refused() -> None:
    with pytest.raises(ValueError, match="'server:1' is no address") as caught:
        connect(f"http://me:{SECRET}@server:1", "someone", "password")
    assert SECRET not in str(caught.value)


HEAVY = ("pandas", "matplotlib", "ipywidgets", "numba", "starlette")


@pytest.mark.parametrize(
    "statement", ["import hanami_jupyter", "import hanami_jupyter.session, hanami_jupyter.launcher"]
)
def test_importing_stays_cheap(statement: str) -> None:
    program = f"{statement}\nimport sys\nprint([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_show_versions(server: Running) -> None:
    versions = hanami_jupyter.show_versions(server.address)
    assert versions["server"].startswith("embedded backend ")
    assert versions["pandas"]
