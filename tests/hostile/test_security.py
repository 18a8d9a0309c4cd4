"""Forged tokens, foreign objects, paths in names, permissions, a folder that cannot be written."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from hanami_jupyter.backend import auth
from hanami_jupyter.backend.config import Config
from hanami_jupyter.backend.errors import RefusalError
from hanami_jupyter.backend.service import Service
from hanami_jupyter.protocol.endpoints import ENDPOINTS, UUID
from tests.backend.conftest import PASSWORD, Backend, Client, running
from tests.backend.test_process import refusal
from tests.hostile import audit
from tests.hostile.attacks import TEXTS
from tests.hostile.world import CSV, World, known

UUIDS = [(e, field.name) for e in ENDPOINTS for field in e.fields if field.pattern == UUID]
NESTED = [
    (e, f"{field}.dataset_uuid")
    for e in ENDPOINTS
    for field in ("inputs", "outputs")
    if field in [f.name for f in e.fields]
]


# -- tokens


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(head: Any, claims: Any, key: bytes = b"k" * 32, digest: str = "sha256") -> str:
    text = f"{part(head)}.{part(claims)}"
    mark = hmac.new(key, text.encode(), digest).digest()
    return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def forged(token: str) -> Iterator[str]:
    """Give tokens that look like one and are none."""
    head, body, mark = token.split(".")
    claims = jwt.decode(token, options={"verify_signature": False})
    user = json.loads(claims["user"])
    later = {**claims, "exp": time.time() + 10**6}
    other = {**claims, "user": json.dumps({**user, "id": "somebody", "is_admin": True})}
    for changed in (later, other):
        yield f"{head}.{part(changed)}.{mark}"
        yield f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(changed)}."
        yield f"{part({'alg': 'None'})}.{part(changed)}.{mark}"
        yield signed({"alg": "HS256", "typ": "JWT"}, changed)
        yield signed({"alg": "HS256", "typ": "JWT"}, changed, b"")
        yield signed({"alg": "HS512", "typ": "JWT"}, changed, digest="sha512")
        yield f"{part({'alg': 'RS256', 'jwk': {'kty': 'oct', 'k': 'AA'}})}.{part(changed)}.{mark}"
        yield signed({"alg": "HS256", "kid": "../../dev/null"}, changed, b"")
    yield f"{head}.{body}."
    yield f"{head}.{body}.{mark[:-4]}AAAA"
    yield f"{head}.{body}.{mark}.{mark}"
    yield f"{head}..{mark}"
    yield f"{part([[[]]])}.{body}.{mark}"
    yield base64.urlsafe_b64encode(b"[" * 4000).decode().rstrip("=") + f".{body}.{mark}"
    yield hashlib.sha256(token.encode()).hexdigest()


def test_forged_tokens(admin: Client) -> None:
    cluster = admin.cluster("for_forgers")
    for token in forged(admin.token):
        client = Client(admin.address, token)
        assert client.call("GET", "/cluster/all").status == 401, token
        assert client.call("DELETE", "/cluster", {"uuid": cluster}).status == 401, token
        with pytest.raises(ConnectionRefusedError, match="Token invalid"):
            client.websocket("cluster", cluster)
    admin.delete("/cluster", uuid=cluster)


def test_a_clock_that_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tokens end by the clock: set forward, they have ended; set back, they last, and new ones can be had."""
    service = Service(Config(data_dir=tmp_path / "data", password_cost=1, password_memory=8), {})
    assert service.admin is not None
    user = service.store.user(service.admin[0])
    assert user is not None
    tokens, real = service.accounts.tokens, time.time

    def issued(seconds: float) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(auth.time, "time", lambda: real() + seconds)
            return tokens.issue(user)

    with pytest.raises(RefusalError):
        tokens.read(issued(-7200))
    assert tokens.read(issued(86_400)).user_id == user.id
    assert tokens.read(issued(0)).user_id == user.id
    service.close()


# -- what belongs to others


@pytest.fixture(scope="module")
def worlds(admin: Client) -> tuple[World, World]:
    """Give the world of a member and that of somebody else in the same project."""
    found = []
    for user in ("owner_one", "owner_two"):
        admin.post("/user", id=user, name="User", password=PASSWORD, is_admin=False)
        admin.post("/user/project", id=user, project_id="shared", role="member", is_project_admin=False)
        found.append(World(admin.login(user)))
    return found[0], found[1]


@pytest.mark.parametrize(
    ("endpoint", "name"), UUIDS + NESTED, ids=lambda v: v if isinstance(v, str) else f"{v.method}{v.path}"
)
def test_foreign_objects_in_every_field(worlds: tuple[World, World], endpoint: Any, name: str) -> None:
    """All is one's own but what one field names: it does not exist."""
    mine, foreign = worlds
    if name in ("host_uuid", "connection_uuid"):  # hosts are everybody's; the other is not looked at
        return
    values = {f.name: known(endpoint.method, endpoint.path, f.name) for f in endpoint.fields}
    chosen = {key: options[0] for key, options in values.items() if options}
    chosen.setdefault("name", mine.name())
    if "new_state" in values:
        chosen["new_state"] = "DIRECT"
    chosen = json.loads(json.dumps({key: value for key, value in chosen.items() if key in values}))
    top, _, below = name.partition(".")
    place: Any = chosen[top][0] if below else chosen
    key = below or top
    place[key] = foreign.of(_kind(place[key]))
    answer = mine.admin.call(endpoint.method, endpoint.path, json.loads(mine.fill(json.dumps(chosen))))
    assert answer.status == 404, (chosen, answer.text)


def _kind(stand_in: str) -> str:
    from tests.hostile.world import STAND_INS

    return next(kind for kind, uuid in STAND_INS.items() if uuid == stand_in)


def test_texts_instead_of_uuids(backend: Backend, admin: Client) -> None:
    """Paths, SQL and the like never reach a file or a statement."""
    before = {path.name for path in backend.folder.parent.iterdir()}
    for endpoint, name in UUIDS:
        values = {
            f.name: (known(endpoint.method, endpoint.path, f.name) or ["aaaa"])[0] for f in endpoint.fields
        }
        for text in (text for text in TEXTS if len(text) < 300 and not text.startswith("0000")):
            answer = admin.call(endpoint.method, endpoint.path, {**values, name: text})
            assert answer.status in (400, 404), (endpoint.path, name, text, answer.text)
    assert {path.name for path in backend.folder.parent.iterdir()} == before


# -- the folder


def test_nobody_else_reads_the_folder(folder: Path) -> None:
    with running(folder, HANAMI_ADMIN_PASSWORD="", HANAMI_ADMIN_USER_ID="") as backend:
        found = json.loads((folder / "first-admin.json").read_text())
        admin = Client(backend.address).login(found["user"], found["password"])
        cluster = admin.cluster("private")
        admin.csv(CSV)
        admin.wait(cluster, admin.post("/cluster/save", name="kept", cluster_uuid=cluster)["uuid"])
        admin.post("/dataset/upload/csv", name="begun", input_data_size=9)
        for path in (folder, *folder.rglob("*")):
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.fixture
def lockable(tmp_path: Path) -> Iterator[tuple[Path, Callable[[bool], None]]]:
    """A folder, and how to make it read-only: for root, whom permissions do not stop, by a mount."""
    place = tmp_path / "lockable"
    place.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m,mode=700", "tmpfs", place], check=False, capture_output=True
    ).returncode

    def lock(shut: bool) -> None:
        if mounted:
            subprocess.run(["mount", "-o", f"remount,{'ro' if shut else 'rw'}", place], check=True)
        else:
            for path in (place, *place.rglob("*")):
                path.chmod(0o500 if shut else 0o700)

    yield place, lock
    if mounted:
        subprocess.run(["umount", "-l", place], check=True)


def test_a_folder_that_cannot_be_written(lockable: tuple[Path, Callable[[bool], None]]) -> None:
    place, lock = lockable
    with running(place / "data") as backend:
        backend.admin().csv(CSV)
    lock(True)
    assert "cannot be" in refusal("--port", "0", "--data-dir", str(place / "data"))
    assert "cannot be used" in refusal("--port", "0", "--data-dir", str(place / "other"))
    lock(False)
    with running(place / "data") as backend:
        assert len(backend.admin().get("/dataset/all")["body"]) == 1


def test_what_read_only_is_called() -> None:
    import errno
    import sqlite3

    from hanami_jupyter.backend.errors import sentence

    for error in (
        OSError(errno.EROFS, "x"),
        sqlite3.OperationalError("attempt to write a readonly database"),
    ):
        assert "cannot be written" in sentence(error)


# -- packages


@pytest.mark.parametrize(("versions", "code"), [(["2.0"], 1), ([], 0)])
def test_what_an_audit_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], versions: list[str], code: int
) -> None:
    """A vulnerability that a newer version mends fails it; no answer does not."""
    fault = {"id": "X-1", "fix_versions": versions}
    packages = [
        {"name": "one", "version": "1.0", "vulns": [fault]},
        {"name": "two", "version": "1", "vulns": []},
    ]
    monkeypatch.setattr(audit, "ask", lambda: (json.dumps({"dependencies": packages}), ""))
    assert audit.main() == code
    assert "one 1.0: X-1, mended in" in capsys.readouterr().out
    monkeypatch.setattr(audit, "ask", lambda: ("", "no such host"))
    assert audit.main() == 0
    assert "not done" in capsys.readouterr().out
