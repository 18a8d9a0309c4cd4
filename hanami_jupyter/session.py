"""An authenticated connection: every function of the client without token and address."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import re
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta, timezone
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any

from hanami_jupyter.client import hanami_token
from hanami_jupyter.client.cards import card
from hanami_jupyter.client.hanami_exceptions import HanamiException, UnauthorizedException
from hanami_jupyter.client.token import Live, Token
from hanami_jupyter.client.transport import Concealed, Verify, forget, normalise
from hanami_jupyter.protocol.endpoints import DEFAULT_ADDRESS

if TYPE_CHECKING:
    import pandas as pd

    from hanami_jupyter.sweeps import Progress, Templates

MODULES = (
    "checkpoint",
    "cluster",
    "dataset",
    "direct_io",
    "hanami_token",
    "hosts",
    "logs",
    "measurements",
    "project",
    "request_result",
    "task",
    "user",
)
EARLY = timedelta(seconds=60)  # how long before its end a token is renewed
_BOUND = ("token", "address", "verify_connection")


def connect(
    address: str | None = None,
    user: str | None = None,
    password: str | None = None,
    *,
    verify: Verify = True,
    project: str | None = None,
) -> Session:
    """Log in at a server.

    Parameters
    ----------
    address : str, optional
        The server; else ``HANAMI_ADDRESS``, else ``http://127.0.0.1:11418``.
    user : str, optional
        Who logs in; else ``HANAMI_USER``.
    password : str, optional
        Else ``HANAMI_PW`` or ``HANAMI_PASSPHRASE``, else a hidden prompt where somebody can answer it.
    verify : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    project : str, optional
        The project to open; by default the one that the server chooses.

    Returns
    -------
    Session
        The connection; a context manager.

    Raises
    ------
    UnauthorizedException
        If user or password is wrong, or missing where nobody can be asked.

    Examples
    --------
    >>> import hanami_jupyter as hanami
    >>> session = hanami.connect(address, user, password)
    >>> session.user_id
    'admin'
    """
    try:
        address = normalise(address or os.environ.get("HANAMI_ADDRESS") or DEFAULT_ADDRESS)
        user = user or os.environ.get("HANAMI_USER") or _ask("user", "HANAMI_USER", address)
        password = password or os.environ.get("HANAMI_PW") or os.environ.get("HANAMI_PASSPHRASE")
        secret = Concealed(password=password or _ask("password", "HANAMI_PW", address))
    finally:
        del password  # a detailed traceback shows what the frames hold
    token = hanami_token.request_token(address, user, secret["password"], verify)
    if project is not None and project != token.project_id:
        token = hanami_token.switch_project(token, address, project, verify)
    return Session(address, token, verify=verify, login=Concealed(user=user, **secret))


def _ask(what: str, variable: str, address: str) -> str:
    """Ask for a user or a password, or say which variable to set where nobody can answer."""
    if _interactive():
        import getpass  # noqa: PLC0415 - only needed here

        question = f"{what.capitalize()} for {address}: "
        answer = getpass.getpass(question) if what == "password" else input(question)
        if answer:
            return answer
    message = f"No {what} for {address}. Set the environment variable {variable}, or give {what}=…."
    raise UnauthorizedException(message, None, "", "POST", "/token")


def _interactive() -> bool:
    """Tell whether somebody can answer a question: on a terminal, or in a notebook that takes input."""
    kernel = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    kernel = getattr(kernel, "kernel", None)
    if kernel is not None:
        return bool(getattr(kernel, "_allow_stdin", False))
    return sys.stdin is not None and sys.stdin.isatty()


class Session:
    """A connection to a server as one user in one project.

    The functions of each module of the client are here without token, address and ``verify_connection``:
    ``session.cluster.list_clusters()``. Safe from several threads; the token is renewed before it ends.

    Parameters
    ----------
    address : str
        The server.
    token : str
        A valid token.
    verify : bool or str
        Whether to check the server's certificate, or a file with certificates to trust.
    login : Concealed, optional
        ``user`` and ``password``, to log in again after the token has ended.

    Examples
    --------
    >>> session.cluster.list_clusters().columns[0]
    'created_at'
    >>> session.is_admin, session.project_id
    (True, 'admin')
    """

    def __init__(
        self, address: str, token: str, *, verify: Verify = True, login: Concealed | None = None
    ) -> None:
        self._address = normalise(address)
        self._token = Token(token)
        self._verify = verify
        self._login = login
        self._lock = threading.RLock()
        self._closed = False
        for name in MODULES:
            setattr(self, name, Bound(self, f"hanami_jupyter.client.{name}"))
        self._learning = Bound(self, "hanami_jupyter.client.learning")

    checkpoint: Bound
    cluster: Bound
    dataset: Bound
    direct_io: Bound
    hanami_token: Bound
    hosts: Bound
    logs: Bound
    measurements: Bound
    project: Bound
    request_result: Bound
    task: Bound
    user: Bound

    @property
    def address(self) -> str:
        """The server."""
        return self._address

    @property
    def verify(self) -> Verify:
        """Whether the server's certificate is checked, or the file with the certificates to trust."""
        return self._verify

    @property
    def user_id(self) -> str:
        """Who is logged in."""
        return self._token.user_id

    @property
    def project_id(self) -> str:
        """The project that is open."""
        return self._token.project_id

    @property
    def is_admin(self) -> bool:
        """Whether the user is a global admin."""
        return self._token.is_admin

    @property
    def valid_until(self) -> datetime | None:
        """When the present token ends, in UTC."""
        return self._token.valid_until

    @property
    def token(self) -> Token:
        """A token that is valid now; renewed if it is about to end."""
        with self._lock:
            if self._closed:
                message = "The session is closed. Log in again with hanami.login() or hanami.connect()."
                raise UnauthorizedException(message)
            end = self._token.valid_until
            if end is not None:
                left = end - datetime.now(timezone.utc)
                if left < timedelta(0):
                    self._log_in()
                elif left < EARLY:
                    self._renew_quietly()
            return self._token

    def renew(self) -> None:
        """Get a fresh token now.

        Raises
        ------
        UnauthorizedException
            If the present one has ended and the password is not known.

        Examples
        --------
        >>> session.renew()
        """
        with self._lock:
            self._token = hanami_token.renew_token(self._token, self._address, self._verify)

    def _renew_quietly(self) -> None:
        try:
            self.renew()
        except HanamiException:
            return  # the present token is still good, and what it is used for tells more

    def _again(self, refused: str) -> str | None:
        """Return another token than one the server has refused: its clock may differ from ours."""
        with self._lock:
            if self._login is None:
                return None
            if self._token == refused:
                self._log_in()
            return self._token

    def _log_in(self) -> None:
        """Log in again, into the same project; say how where the password is not known."""
        login, project = self._login, self._token.project_id
        if login is None:
            message = "The token has ended. Log in again with hanami.login() or hanami.connect()."
            raise UnauthorizedException(message, 401, "", "POST", "/token")
        token = hanami_token.request_token(self._address, login["user"], login["password"], self._verify)
        if project and token.project_id != project:
            token = hanami_token.switch_project(token, self._address, project, self._verify)
        self._token = token

    def switch_project(self, project_id: str) -> Session:
        """Open another project, in this session.

        Parameters
        ----------
        project_id : str
            The project.

        Returns
        -------
        Session
            This session.

        Raises
        ------
        UnauthorizedException
            If the user does not belong to the project.

        Examples
        --------
        >>> session.switch_project("admin").project_id
        'admin'
        """
        with self._lock:
            self._token = hanami_token.switch_project(self.token, self._address, project_id, self._verify)
        return self

    def direct(self, cluster_uuid: str) -> Any:
        """Open a direct connection to a cluster; see ``cluster.direct``.

        Parameters
        ----------
        cluster_uuid : str
            The cluster.

        Returns
        -------
        DirectIO
            A context manager with ``train(inputs, outputs)`` and ``request(inputs)``.

        Examples
        --------
        >>> with session.direct(cluster_uuid) as io:
        ...     io.request([0.0] * 784).shape
        (10,)
        """
        return self.cluster.direct(cluster_uuid)

    @functools.cached_property  # of which IPython's ``?`` shows the function
    def fit(self) -> Callable[..., Any]:
        """Train a cluster for some epochs; see ``learning.fit``."""
        return self._learning.fit  # type: ignore[no-any-return]

    @functools.cached_property
    def predict(self) -> Callable[..., Any]:
        """Ask a cluster for its outputs; see ``learning.predict``."""
        return self._learning.predict  # type: ignore[no-any-return]

    def sweep(
        self,
        templates: Templates,
        train: str,
        test: str | None = None,
        epochs: int = 1,
        *,
        seeds: int | Iterable[int] | None = None,
        inputs: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        parallel: int | None = None,
        history: bool = False,
        replace: bool = False,
        keep: bool | int = True,
        progress: Progress | bool = True,
    ) -> pd.DataFrame:
        """Train a network for each template and seed, over all hosts at once, and compare them.

        A sweep that is interrupted keeps what is finished, and the same call goes on where it stopped: each
        cluster's name begins with a mark made of template, seed, training data, epochs, inputs and outputs,
        by which it is found again. A network that fails does not stop the others.

        Parameters
        ----------
        templates : mapping of str to str or Template, or iterable of them
            Templates by name, such as :func:`template_grid` makes.
        train, test : str
            Dataset to learn, and dataset to check each network with when it has learned.
        epochs : int
            Passes over the training data.
        seeds : int or iterable of int, optional
            Seeds, or how many from 0: a network for each. By default one, with the seed that the server
            derives from the template.
        inputs, outputs : mapping of str to str, optional
            Column of the dataset by hexagon, as ``fit`` takes them.
        parallel : int, optional
            Networks at once at most; by default as many as all hosts have cores. With 0 nothing is trained:
            the table tells what an earlier call has finished.
        history : bool
            Whether each network is tested after every pass, not only after the last.
        replace : bool
            Whether networks that an earlier call trained are deleted and trained anew.
        keep : bool or int
            Which clusters stay on the server once all are done: all, none, or so many of the best.
        progress : callable or bool
            Called with the networks whenever something changed, such as a ``SweepProgress``. By default a
            panel in a notebook, a bar on a terminal, and nothing in a pipe; ``False`` shows nothing.

        Returns
        -------
        pandas.DataFrame
            A row for each network: ``template``; the parameters of a grid; ``hexagons``, ``seed``; ``state``
            (finished, failed, or stopped where nothing was to be trained); ``epochs`` done; ``accuracy`` in
            percent after the last; ``seconds`` of training; ``blocks``, ``sections``, ``synapses``,
            ``memory_bytes``; ``uuid`` of the cluster, missing if it was not kept; ``reason`` of a failure;
            with ``history`` the ``accuracies`` after each pass, NaN for passes of an earlier call.

        Raises
        ------
        BadRequestException
            If no network can be trained at all.
        ValueError
            If there is no template, or two are the same.

        Examples
        --------
        >>> grid = hanami.template_grid(width=[1, 2], depth=3)
        >>> found = session.sweep(grid, dataset_uuid, test=dataset_uuid, keep=False)
        >>> found[["template", "width", "state"]]
                        template  width     state
        0  1 wide 3 deep reach 1      1  finished
        1  2 wide 3 deep reach 1      2  finished
        """
        from hanami_jupyter import sweeps  # noqa: PLC0415 - importing the package stays cheap

        return sweeps.sweep(
            self, templates, sweeps.Plan(train, test, epochs, inputs, outputs, history),
            seeds=seeds, parallel=parallel, replace=replace, keep=keep, progress=progress,
        )  # fmt: skip

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function of the client with this session's token, address and TLS choice.

        Examples
        --------
        >>> from hanami_jupyter import hosts
        >>> session.call(hosts.list_hosts).columns.to_list()[:2]
        ['uuid', 'type']
        """
        try:
            return function(*self._first(function), *args, **kwargs, **self._last(function))
        finally:
            del args, kwargs  # may hold a password, and a detailed traceback shows what the frames hold

    def _first(self, function: Callable[..., Any]) -> list[str]:
        token = Live(self._token)
        token.now, token.again = lambda: self.token, self._again
        values = {"token": token, "address": self._address}
        return [values[name] for name in inspect.signature(function).parameters if name in values]

    def _last(self, function: Callable[..., Any]) -> dict[str, Any]:
        known = inspect.signature(function).parameters
        sends = "token" in known or "address" in known
        return {"verify_connection": self._verify} if sends and "verify_connection" in known else {}

    def close(self) -> None:
        """Forget token and password and close the idle connections.

        Examples
        --------
        >>> hanami.connect(address, user, password).close()
        """
        with self._lock:
            self._closed, self._login = True, None
            self._token = Token("")
        forget(self._address)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> None:
        message = "A session holds a login and cannot be pickled. Connect in each process."
        raise TypeError(message)

    def __repr__(self) -> str:
        if self._closed:
            return f"<Session {self._address}, closed>"
        role = ", admin" if self.is_admin else ""
        return f"<Session {self.user_id}@{self.project_id} at {self._address}{role}>"

    def _repr_html_(self) -> str:
        if self._closed:
            return card("Hanami", "○ signed out", {"Server": self._address})
        rows = {
            "Server": self._address,
            "User": self.user_id + (" (admin)" if self.is_admin else ""),
            "Project": self.project_id,
            "Valid until": self.valid_until or "not told",
        }
        return card("Hanami", "● signed in", rows, "good")


class Bound:
    """The functions of one module, bound to a session.

    Parameters
    ----------
    session : Session
        Where token, address and TLS choice come from.
    module : str
        Name of the module; it is imported when it is first used.
    """

    def __init__(self, session: Session, module: str) -> None:
        self._session = session
        self._name = module

    @property
    def _module(self) -> ModuleType:
        return importlib.import_module(self._name)

    def __getattr__(self, name: str) -> Any:
        short = self._name.rpartition(".")[2]
        if name.startswith("_") or name not in self._module.__all__:
            message = f"'{short}' has no function '{name}'. It has {', '.join(dir(self))}."
            raise AttributeError(message)
        bound = _bind(self._session, getattr(self._module, name))
        self.__dict__[name] = bound
        return bound

    def __dir__(self) -> list[str]:
        return sorted(self._module.__all__)

    def __repr__(self) -> str:
        return f"<{self._name.rpartition('.')[2]} of {self._session!r}>"


def _bind(session: Session, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function without the parameters that the session knows."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return session.call(function, *args, **kwargs)
        finally:
            del args, kwargs  # may hold a password, and a detailed traceback shows what the frames hold

    signature = inspect.signature(function)
    parameters = [value for name, value in signature.parameters.items() if name not in _BOUND]
    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    call.__doc__ = _told(function)
    return call


def _told(function: Callable[..., Any]) -> str:
    """Return the docstring of a function as a session has it, without what the session knows.

    Examples
    --------
    >>> from hanami_jupyter import hosts
    >>> _told(hosts.list_hosts).splitlines()[-2]
    '>>> session.hosts.list_hosts()["type"][0]'
    """
    module = function.__module__.rpartition(".")[2]
    own = "session" if module == "learning" else f"session.{module}"

    def called(found: re.Match[str]) -> str:
        return (f"session.{found[1]}" if found[1] else own) + f".{found[2]}"

    text = inspect.getdoc(function) or ""
    text = _ENTRY.sub(lambda entry: "" if set(entry[1].split(", ")) <= set(_BOUND) else entry[0], text)
    text = text.replace("Parameters\n----------\n\n", "")
    return _IMPORT.sub("", _CALL.sub(called, text))


_ENTRY = re.compile(r"(?m)^(\w+(?:, \w+)*) : .*\n(?:    .*\n)*")  # of a section of a docstring
_CALL = re.compile(r"(?<![\w.])(?:(\w+)\.)?(\w+\(\s*(?:\.\.\. *)?)token, address(?:, )?")
_IMPORT = re.compile(r"(?m)^>>> from hanami_jupyter import \w+\n")
