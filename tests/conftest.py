"""Fixtures for every test: isolated folders, one real embedded backend, a session of its admin."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session

settings.register_profile("timeless", deadline=None)  # no test fails because a machine is busy
settings.load_profile("timeless")

_OPEN: pytest.StashKey[Session] = pytest.StashKey()
_VARIABLES = ("HANAMI_ADDRESS", "HANAMI_USER", "HANAMI_PW", "HANAMI_PASSPHRASE", "HTTP_PROXY", "http_proxy")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home of its own, so that no test sees or leaves anything in the real one."""
    home = tmp_path_factory.mktemp("home")
    patch = pytest.MonkeyPatch()
    patch.setenv("HOME", str(home))
    for name in ("CONFIG_HOME", "DATA_HOME", "STATE_HOME", "RUNTIME_DIR"):
        folder = home / name.lower()
        folder.mkdir(mode=0o700)
        patch.setenv(f"XDG_{name}", str(folder))
    for name in _VARIABLES:
        patch.delenv(name, raising=False)
    patch.setenv("MPLCONFIGDIR", str(home / "mpl"))
    yield home
    patch.undo()


@pytest.fixture(scope="session")
def server(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A real embedded backend: ``address``, ``user``, ``password``."""
    from hanami_jupyter import launcher

    folder = tmp_path_factory.mktemp("backend")
    yield launcher.started(launcher.start(folder))
    launcher.stop(folder)


@pytest.fixture(scope="session")
def session(server: Running, request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session of the backend's admin."""
    from hanami_jupyter.session import connect

    with connect(server.address, server.user, server.password) as session:
        request.session.stash[_OPEN] = session
        yield session
        del request.session.stash[_OPEN]


@pytest.fixture(scope="module", autouse=True)
def tidy(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave the shared backend empty behind each module, so that their order does not matter."""
    yield
    session = request.session.stash.get(_OPEN, None)
    if session is not None:
        for kind in ("cluster", "dataset", "checkpoint"):
            resource = getattr(session, kind)
            for uuid in getattr(resource, f"list_{kind}s")()["uuid"]:
                getattr(resource, f"delete_{kind}")(uuid)
        for user in session.user.list_users()["id"]:
            if user != session.user_id:
                session.user.delete_user(user)
        for project in session.project.list_projects()["id"]:
            session.project.delete_project(project)
