"""The panel that signs in: a server, a user and a password, or a local backend at one click."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any, ClassVar

import platformdirs
import traitlets

from hanami_jupyter import launcher
from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels.base import Panel, PanelError, card
from hanami_jupyter.protocol.endpoints import DEFAULT_ADDRESS
from hanami_jupyter.session import Session, connect

_REMEMBERED = 8  # logins


def login(address: str | None = None, user: str | None = None, *, verify: bool = True) -> Login:
    """Show the panel that signs in.

    Parameters
    ----------
    address : str, optional
        The server to suggest; by default the one used last.
    user : str, optional
        The user to suggest.
    verify : bool
        Whether to check the server's certificate.

    Returns
    -------
    Login
        The panel; its ``session`` is usable as soon as somebody signed in.

    Examples
    --------
    >>> hanami_jupyter.login()  # doctest: +SKIP
    <hanami.Login>
    """
    return Login(address, user, verify=verify)


class Login(Panel):
    """Sign in, see who is signed in and for how long, switch the project, sign out.

    The password goes to the server and nowhere else: it is in no trait, no file and no message's text.
    Other panels take a login in place of a session, and follow it when somebody signs in anew.

    Parameters
    ----------
    address, user : str, optional
        What the form suggests; by default what was used last.
    verify : bool
        Whether to check the server's certificate.

    Examples
    --------
    >>> panel = hanami_jupyter.Login()  # doctest: +SKIP
    >>> panel.session.cluster.list_clusters()  # doctest: +SKIP
    """

    bundle_name: ClassVar[str] = "login"
    title = traitlets.Unicode("Hanami").tag(sync=True)
    address = traitlets.Unicode().tag(sync=True)
    user = traitlets.Unicode().tag(sync=True)
    verify = traitlets.Bool(True).tag(sync=True)
    signed_in: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)

    def __init__(self, address: str | None = None, user: str | None = None, *, verify: bool = True) -> None:
        last = next(iter(remembered()), {})
        self._session: Session | None = None
        if address is None and last:
            address, verify = last["address"], last["verify"]
        if user is None and last and last["address"] == address:
            user = last["user"]
        super().__init__(address=address or DEFAULT_ADDRESS, user=user or "", verify=verify)

    @property
    def session(self) -> Session:
        """The session of whoever is signed in."""
        if self._session is None:
            message = "Nobody is signed in. Sign in with the panel first."
            raise PanelError(message)
        return self._session

    def update(self) -> float | None:
        """Tell who is signed in, as what, where and until when."""
        session = self._session
        if session is None:
            self.write(signed_in={})
            return None
        token = session.token  # renewed here if it is about to end
        known = {"address": session.address, "user": session.user_id, "project": session.project_id}
        projects = self.signed_in.get("projects") or _projects(session)
        until = token.valid_until
        self.write(
            signed_in=known
            | {
                "admin": session.is_admin,
                "projects": projects,
                "valid_until": until.isoformat() if until else None,
            }
        )
        return None

    # -- commands

    def do_known(self) -> list[dict[str, Any]]:
        """Return the servers and users that signed in before, without passwords."""
        return remembered()

    def do_sign_in(self, address: str, user: str, verify: bool, attached: bytes) -> None:
        """Sign in with a password, which came outside of the message's text."""
        where = f"'{user}' at {address}"
        try:
            session = connect(address.strip(), user.strip(), attached.decode(), verify=verify)
        except exceptions.UnauthorizedException:
            message = f"The user or the password is wrong for {where}. Check both."
            raise PanelError(message) from None
        except exceptions.BadRequestException:
            message = f"The server does not accept {where}: a user has at least 4 characters, a password 8."
            raise PanelError(message) from None
        remember(session.address, session.user_id, verify)
        self._adopt(session, verify)

    def do_start_local(self) -> None:
        """Start the backend of this machine, or join the one that runs."""
        self._adopt(launcher.local(), True)

    def do_sign_out(self) -> None:
        """Forget the token and the password."""
        session, self._session = self._session, None
        if session is not None:
            session.close()
        self.update()

    def do_renew(self) -> None:
        """Get a fresh token."""
        self.session.renew()
        self.update()

    def do_switch_project(self, project: str) -> None:
        """Open another project in the same session."""
        self.session.switch_project(project)
        self.update()

    def _adopt(self, session: Session, verify: bool) -> None:
        self._session = session
        self.write(address=session.address, user=session.user_id, verify=verify, signed_in={}, notice="")
        self.update()

    # -- the static picture

    def picture(self) -> str:
        """Return who is signed in, in one line."""
        signed = self.signed_in
        with card(self.title, "signed in" if signed else "signed out", self.notice) as pieces:
            line = "Nobody is signed in."
            if signed:
                role = " (admin)" if signed["admin"] else ""
                line = f"{signed['user']}{role} · project {signed['project']} · {signed['address']}"
            pieces.append(f"<p>{html.escape(line)}</p>")
        return "".join(pieces)


def _projects(session: Session) -> list[str]:
    """Return the projects to switch to; the present one alone where the server does not tell."""
    try:
        listed = session.user.list_projects_of_user()["project_id"].dropna().astype(str).to_list()
    except exceptions.HanamiException:
        listed = []
    return sorted({*listed, session.project_id})


# -- what is remembered: addresses and users, never passwords


def _file() -> Path:
    return Path(platformdirs.user_config_dir("hanami-jupyter")) / "logins.json"


def remembered() -> list[dict[str, Any]]:
    """Return the logins used before, the last one first: address, user, and whether to check certificates."""
    try:
        entries = json.loads(_file().read_text(encoding="utf-8"))
        return [
            {"address": str(entry["address"]), "user": str(entry["user"]), "verify": bool(entry["verify"])}
            for entry in entries
        ]
    except (OSError, ValueError, TypeError, KeyError):
        return []  # nothing yet, or nothing of ours: the form starts empty


def remember(address: str, user: str, verify: bool) -> None:
    """Put a login first in the list; where the file cannot be written, nothing is remembered."""
    entry = {"address": address, "user": user, "verify": verify}
    others = [old for old in remembered() if (old["address"], old["user"]) != (address, user)]
    path = _file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps([entry, *others][:_REMEMBERED]), encoding="utf-8")
    except OSError:
        return
