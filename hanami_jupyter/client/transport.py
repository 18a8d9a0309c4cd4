"""One place for HTTP and websockets: pools, proxies, time limits, retries, every fault as an exception."""

from __future__ import annotations

import functools
import http.client
import ipaddress
import json
import os
import re
import socket
import ssl
import struct
import threading
import time
import urllib.parse
import warnings
from collections.abc import Iterator, Mapping, MutableSequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast

import certifi
import requests
import requests.adapters
import requests.utils
import urllib3.exceptions
import websocket

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.client.token import Live
from hanami_jupyter.protocol.endpoints import BASE, TOKEN_HEADER

Verify = bool | str
"""Whether to check the server's certificate, or the path of a file with certificates to trust."""


@dataclass
class Limits:
    """Time limits in seconds; tests lower them."""

    connect: float = 5.0
    answer: float = 60.0
    slot: float = 30.0  # for a connection to become free
    idle: float = (
        3.0  # from when on a kept connection is not trusted with a request that must not be repeated
    )


limits = Limits()
POLITE = 2  # connections at once to a server that closes after each answer: the original has four threads
FRIENDLY = 16
ATTEMPTS = 3  # of a GET whose connection broke
SHOWN = 300  # characters of a server's text that go into a message

answers: ContextVar[MutableSequence[Any] | None] = ContextVar("answers", default=None)
"""Where somebody wants the answers as the server sent them: a sequence that takes each as it comes."""

_BY_STATUS: Mapping[int, type[exceptions.HanamiException]] = {
    1: exceptions.BadRequestException,  # the original's status for rows behind the end
    401: exceptions.UnauthorizedException,
    404: exceptions.NotFoundException,
    409: exceptions.ConflictException,
}
_EMPTY = {
    1: "The rows lie behind the end of the dataset, or it cannot be compared",
    400: "The server does not accept the request and says no more",
    401: "This needs an admin, and the token is not one's",
    500: "The server failed and gives no reason; look into its log",
}


class Concealed(dict[str, Any]):
    """A request's body that holds a secret: its repr shows the keys alone."""

    def __repr__(self) -> str:
        return f"<{', '.join(self)}>"


class Slots:
    """Counts the connections open to one server; websockets always leave one for requests."""

    def __init__(self) -> None:
        self.limit = POLITE
        self._free = threading.Condition()
        self._requests = 0
        self._sockets = 0

    def keep_alive(self) -> None:
        """Allow more connections: the server keeps them open."""
        if self.limit != FRIENDLY:
            with self._free:
                self.limit = FRIENDLY
                self._free.notify_all()

    @contextmanager
    def request(self) -> Iterator[None]:
        """Hold a connection for one request."""
        with self._free:
            self._wait(lambda: self._requests + self._sockets < self.limit)
            self._requests += 1
        try:
            yield
        finally:
            with self._free:
                self._requests -= 1
                self._free.notify_all()

    def take_socket(self) -> None:
        """Hold a connection until :meth:`give_socket`."""
        with self._free:
            self._wait(lambda: self._sockets + 1 < self.limit and self._requests + self._sockets < self.limit)
            self._sockets += 1

    def give_socket(self) -> None:
        """Give the connection back."""
        with self._free:
            self._sockets -= 1
            self._free.notify_all()

    def _wait(self, free: Any) -> None:
        if not self._free.wait_for(free, limits.slot):
            message = (
                f"All {self.limit} connections to the server are in use since {limits.slot:.0f} s. "
                "Close a direct connection, or wait for an upload to end."
            )
            raise exceptions.TimeoutException(message)


@dataclass
class Peer:
    """What this process knows about one server."""

    address: str
    http: requests.Session
    slots: Slots = field(default_factory=Slots)
    lock: threading.Lock = field(default_factory=threading.Lock)
    used: float = 0.0
    passphrase: bool = False  # the following release's login
    features: frozenset[str] | None = None


_peers: dict[str, Peer] = {}
_peers_lock = threading.Lock()


def peer(address: str) -> Peer:
    """Return what is known about the server at an address."""
    address = normalise(address)
    with _peers_lock:
        if address not in _peers:
            _peers[address] = Peer(address, _new_session())
        return _peers[address]


def _new_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # proxies and certificates are chosen below; ~/.netrc must not add a header
    session.headers["User-Agent"] = "hanami-jupyter"
    adapter = requests.adapters.HTTPAdapter(pool_maxsize=FRIENDLY, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session


def forget(address: str) -> None:
    """Close the idle connections to a server and forget what is known about it."""
    with _peers_lock:
        known = _peers.pop(normalise(address), None)
    if known:
        known.http.close()


@functools.lru_cache(maxsize=256)
def normalise(address: str) -> str:
    """Return an address as ``scheme://host:port``.

    Examples
    --------
    >>> normalise("127.0.0.1:11418/")
    'http://127.0.0.1:11418'
    """
    text = address.strip().rstrip("/")
    parts = urllib.parse.urlsplit(text if "://" in text else f"http://{text}")
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0 or "@" in parts.netloc:
        shown = address.rpartition("@")[2]
        message = f"'{shown}' is no address. Write it like http://127.0.0.1:11418, without user and password."
        raise ValueError(message)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"


def is_loopback(address: str) -> bool:
    """Tell whether an address is on this machine.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:11418"), is_loopback("http://example.org")
    (True, False)
    """
    host = urllib.parse.urlsplit(address).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def proxies(address: str) -> dict[str, str]:
    """Return the proxies that the environment sets for an address; none on this machine."""
    return {} if is_loopback(address) else dict(requests.utils.get_environ_proxies(address))


def _certificates(verify: Verify) -> Verify:
    if verify is True:
        return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    if verify is False:
        warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)
    return verify


# -- requests


@dataclass(frozen=True)
class Answer:
    """Status, content type and body of an HTTP answer."""

    status: int
    kind: str
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace").strip()


def call(
    method: str,
    path: str,
    token: str,
    address: str,
    verify: Verify = True,
    /,
    **values: Any,
) -> Any:
    """Send one request and return the JSON of its answer.

    Parameters
    ----------
    method, path : str
        HTTP method, and path below ``/v1.0alpha``.
    token, address : str
        The token, empty to send none, and the server.
    verify : bool or str
        Whether to check the certificate, or a file with certificates to trust.
    **values : object
        Query of GET and DELETE, JSON body of POST and PUT. What is None is left out.

    Returns
    -------
    object
        The parsed answer.

    Raises
    ------
    HanamiException
        For every status but 200, a broken connection, a time-out and an answer that is no JSON.

    Examples
    --------
    >>> call("GET", "/host/all", token, address)["header"][:2]
    ['uuid', 'type']
    """
    return send(
        method, path, token, address, verify, {k: plain(v) for k, v in values.items() if v is not None}
    )


def plain(value: Any) -> Any:
    """Return a value as the wire takes it: an object, such as a cluster's Series, stands for its uuid."""
    return value["uuid"] if hasattr(value, "index") and hasattr(value, "dtype") and "uuid" in value else value


def send(
    method: str,
    path: str,
    token: str,
    address: str,
    verify: Verify = True,
    values: Mapping[str, Any] | None = None,
    *,
    binary: bool = False,
) -> Any:
    """Send one request, its values as a mapping; see :func:`call`. ``binary`` returns the body as bytes."""
    given, token = token, present(token)
    answer = exchange(method, path, token, address, verify, values or {})
    refused = answer.status == 401 and "token" in answer.text.lower()
    if refused and isinstance(given, Live) and (fresh := given.again(token)):
        token = fresh  # nothing was done, so the request may be sent once more
        answer = exchange(method, path, token, address, verify, values or {})
    if answer.status != 200:
        raise failure(answer, method, path, (token, *_secrets(values)), values)
    if binary:
        return answer.body
    if not answer.kind.startswith(("text/json", "application/json")):
        kind = answer.kind or "no content type"
        message = f"{address} answered {method} {path} with {kind} instead of JSON. Is it a Hanami server?"
        raise exceptions.UnexpectedAnswerException(message, 200, "", method, path)
    try:
        parsed = json.loads(answer.body)
        if (kept := answers.get()) is not None:
            kept.append(parsed)
        return parsed
    except ValueError:
        fault = exceptions.UnexpectedAnswerException(
            f"The answer of {address} to {method} {path} is cut short: {len(answer.body)} bytes are no JSON. "
            "Try again, or look into the server's log.",
            200,
            "",
            method,
            path,
        )
    raise fault


def present(token: str) -> str:
    """Return the token to send: a session's may have been renewed since a function got it."""
    return token.now() if isinstance(token, Live) else token


def _secrets(values: Mapping[str, Any] | None) -> tuple[str, ...]:
    hidden = values if isinstance(values, Concealed) else {}
    return tuple(str(value) for name, value in hidden.items() if name in {"password", "passphrase"})


def failure(
    answer: Answer,
    method: str,
    path: str,
    secrets: tuple[str, ...] = (),
    values: Mapping[str, Any] | None = None,
) -> exceptions.HanamiException:
    """Return the exception for an answer that is not 200."""
    status, text = answer.status, answer.text
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    kind = _BY_STATUS.get(status)
    if kind is None:
        kind = exceptions.InternalServerErrorException if status >= 500 else exceptions.BadRequestException
    if "html" in answer.kind:
        message = f"A web server answers {method} {path} with a page ({status:03d}), not a Hanami server."
        return exceptions.UnexpectedAnswerException(
            f"{message} Check the address.", status, text, method, path
        )
    said = " ".join(text[:SHOWN].split()).rstrip(".") or _EMPTY.get(
        status, "The server refuses the request and says no more"
    )
    if (pattern := _PATTERN.fullmatch(text)) and not isinstance(values, Concealed):
        said = _in_words(pattern["name"], (values or {}).get(pattern["name"]), pattern["allowed"]) or said
    return kind(f"{said} ({status:03d}, {method} {path}).", status, text, method, path)


_PATTERN = re.compile(r"Given item '(?P<name>\w+)' doesn't match with regex \"(?P<allowed>.*)\"")
_NAMES = re.compile(r"\^\[a-zA-Z\]\[([^\]]*)\]\*\$")
_ONE_OF = re.compile(r"\^+\(([\w|]+)\)\$+")


def _in_words(name: str, value: object, pattern: str) -> str:
    """Return what a server means whose answer is a regular expression, or an empty text.

    Examples
    --------
    >>> _in_words("id", "1x", "^[a-zA-Z][a-zA-Z_0-9@]*$")
    "'id' is '1x', but has to begin with a letter and to hold nothing but letters, digits, '_', '@'"
    """
    if not isinstance(value, str) or name == "token":
        return ""
    told = f"'{name}' is '{value[:SHOWN]}', but has to"
    if "{12}" in pattern:
        return f"{told} be a uuid: 32 digits 0-9, a-f in five groups, as the lists show it"
    if found := _ONE_OF.fullmatch(pattern):
        return f"{told} be {found[1].replace('|', ' or ')}"
    if found := _NAMES.fullmatch(pattern):
        marks = re.sub(r"a-zA-Z|0-9|\\", "", found[1])
        others = "".join(f", '{mark}'" if mark != " " else ", spaces" for mark in marks)
        return f"{told} begin with a letter and to hold nothing but letters, digits{others}"
    return ""


def exchange(
    method: str, path: str, token: str, address: str, verify: Verify, values: Mapping[str, Any]
) -> Answer:
    """Send one request and return the answer, whatever its status; raise where none came."""
    server = peer(address)
    with server.slots.request():
        for attempt in range(ATTEMPTS):
            result = _attempt(server, method, path, token, verify, values)
            if isinstance(result, Answer):
                return result
            broke = isinstance(result, exceptions.ConnectionException) and result.status is None
            if method != "GET" or not broke:
                break
            time.sleep(0.05 * 2**attempt)
    raise cast("exceptions.HanamiException", result)


def _attempt(
    server: Peer, method: str, path: str, token: str, verify: Verify, values: Mapping[str, Any]
) -> Answer | exceptions.HanamiException:
    """Try once; faults are values, so that no traceback holds the library's frames with our secrets."""
    url = f"{server.address}{BASE}{path}"
    has_query = method in {"GET", "DELETE"}
    if has_query and values:
        # the original does not decode the query: what its patterns allow, '@' too, goes as it is
        url += "?" + "&".join(
            f"{key}={urllib.parse.quote(str(value), safe='@')}" for key, value in values.items()
        )
    now = time.time()  # the other clock stands still while a laptop sleeps
    if method != "GET" and server.used and not 0 <= now - server.used <= limits.idle:
        server.http.close()  # an idle connection may be dead, and this request must not be sent twice
    server.used = now
    try:
        response = server.http.request(
            method,
            url,
            data=None if has_query else json.dumps(dict(values)).encode(),
            headers={TOKEN_HEADER: str(token)} if token else {},
            timeout=(limits.connect, limits.answer),
            verify=_certificates(verify),
            proxies=proxies(server.address),
            allow_redirects=False,  # the token would follow
        )
    except (requests.RequestException, urllib3.exceptions.HTTPError, UnicodeError, OSError) as error:
        return _fault(error, server.address, method, path)
    kept = response.headers.get("Connection", "").lower() != "close"
    if kept and response.raw is not None and response.raw.version == 11:
        server.slots.keep_alive()
    return Answer(response.status_code, response.headers.get("Content-Type", ""), response.content)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an exception and everything it was made from."""
    seen: set[int] = set()
    todo: list[Any] = [error]
    while todo:
        one = todo.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            todo += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]


def _fault(error: BaseException, address: str, method: str, path: str) -> Answer | exceptions.HanamiException:
    """Return what a broken exchange means; status 0 marks a server that was never reached."""
    for one in _chain(error):
        if isinstance(one, http.client.BadStatusLine) and " 001" in str(one.args[:1]):
            return Answer(1, "text/plain", b"")
    return network_fault(error, address, method, path)


def network_fault(error: BaseException, address: str, method: str, path: str) -> exceptions.HanamiException:
    """Return the exception for a connection that could not be made or that broke, with what to check."""
    chain = list(_chain(error))
    fault = next(fault for fault in _NETWORK if any(isinstance(one, fault.kinds) for one in chain))
    told = fault.sentence.format(
        address=address, request=f"{method} {path}", connect=limits.connect, answer=limits.answer
    )
    return fault.exception(told, None if fault.reached else 0, "", method, path)


class _Fault(NamedTuple):
    kinds: tuple[type[BaseException], ...]
    exception: type[exceptions.HanamiException]
    reached: bool
    sentence: str


_NETWORK = (
    _Fault(
        (ssl.SSLCertVerificationError,),
        exceptions.ConnectionException,
        False,
        "The certificate of {address} is not trusted. Give its file as verify_connection='ca.pem', or switch "
        "the check off with verify_connection=False.",
    ),
    _Fault(
        (urllib3.exceptions.ProxyError, websocket.WebSocketProxyException),
        exceptions.ConnectionException,
        False,
        "The proxy on the way to {address} fails. Check HTTP_PROXY and NO_PROXY.",
    ),
    _Fault(
        (ssl.SSLError, urllib3.exceptions.SSLError),
        exceptions.ConnectionException,
        True,
        "The TLS connection to {address} failed during {request}. Check that it should be https.",
    ),
    _Fault(
        (websocket.WebSocketBadStatusException,),
        exceptions.UnexpectedAnswerException,
        False,
        "{address} opens no websocket. Is it a Hanami server?",
    ),
    _Fault(
        (ConnectionRefusedError,),
        exceptions.ConnectionException,
        False,
        "Nothing listens at {address}. Check the address, and that the server runs.",
    ),
    _Fault(
        (
            urllib3.exceptions.NewConnectionError,
            socket.gaierror,
            requests.exceptions.InvalidURL,
            UnicodeError,
        ),
        exceptions.ConnectionException,
        False,
        "{address} cannot be reached. Check the name, the port and the network.",
    ),
    _Fault(
        (requests.ConnectTimeout,),
        exceptions.TimeoutException,
        False,
        "{address} does not answer within {connect:g} s. Check the address and the network.",
    ),
    _Fault(
        (
            requests.Timeout,
            TimeoutError,
            urllib3.exceptions.TimeoutError,
            websocket.WebSocketTimeoutException,
        ),
        exceptions.TimeoutException,
        True,
        "{address} took {request} but gave no answer within {answer:g} s. The server may hang: look at its "
        "log, or restart it.",
    ),
    _Fault(
        (BaseException,),
        exceptions.ConnectionException,
        True,
        "The connection to {address} broke during {request}. The server may have died: look at its log.",
    ),
)


def features(address: str, verify: Verify = True) -> frozenset[str]:
    """Return what a server offers beyond the original; nothing for the original itself.

    Examples
    --------
    >>> "GET /checkpoint/file" in features(address)
    True
    """
    server = peer(address)
    if server.features is None:
        answer = exchange("GET", "/health", "", address, verify, {})
        found: object = None
        if answer.status == 200:
            with suppress(ValueError):
                found = json.loads(answer.body).get("features")
        server.features = frozenset(map(str, found)) if isinstance(found, list) else frozenset()
    return server.features


# -- websockets


class Socket:
    """A websocket that has introduced itself. Every wait is limited, every fault is one of our exceptions.

    Parameters
    ----------
    token, address : str
        The token and the server.
    target : str
        ``cluster`` or ``file_upload``.
    uuid : str
        The cluster, or the file to upload.
    verify : bool or str
        Whether to check the certificate, or a file with certificates to trust.

    Raises
    ------
    HanamiException
        If the server cannot be reached or refuses.
    """

    def __init__(self, token: str, address: str, target: str, uuid: str, verify: Verify = True) -> None:
        token = present(token)
        self.address = normalise(address)
        self._slots: Slots | None = peer(address).slots
        self._slots.take_socket()
        self._open: websocket.WebSocket | None = None
        try:
            self._open = self._connect(verify)
            self.send_text(json.dumps({"token": str(token), "target": target, "uuid": uuid}))
            self._introduced(self.receive(), token)
        except BaseException:
            self.close()
            raise

    def _connect(self, verify: Verify) -> websocket.WebSocket:
        parts = urllib.parse.urlsplit(self.address)
        proxy = urllib.parse.urlsplit(proxies(self.address).get(parts.scheme, ""))
        try:
            return websocket.create_connection(
                f"{'wss' if parts.scheme == 'https' else 'ws'}://{self.address.partition('://')[2]}/",
                timeout=limits.connect,
                enable_multithread=True,
                skip_utf8_validation=True,
                suppress_origin=True,
                **(_by_proxy(proxy, verify) if proxy.hostname else {"socket": _straight(parts, verify)}),
            )
        except (websocket.WebSocketException, OSError, ValueError) as error:
            slow = isinstance(error, TimeoutError)
            fault = network_fault(
                requests.ConnectTimeout() if slow else error, self.address, "WEBSOCKET", "/"
            )
        raise fault

    def _introduced(self, message: bytes, token: str) -> None:
        if b'"success":true' not in message.replace(b" ", b""):
            raise self._refusal(message, str(token))
        if self._open is not None:
            self._open.settimeout(limits.answer)

    @staticmethod
    def _refusal(message: bytes, token: str = "") -> exceptions.HanamiException:
        try:
            text = str(json.loads(message)["error"])
        except (ValueError, TypeError, KeyError):
            text = "The server answered something that is not of Hanami's protocol"
        text = text.replace(token, "***") if token else text
        lower = text.lower()
        status = (
            401
            if "jwt" in lower or "token" in lower or "denied" in lower
            else 404
            if "not found" in lower
            else 400
        )
        return failure(Answer(status, "text/plain", text.encode()), "WEBSOCKET", "/")

    def send(self, *contents: bytes) -> None:
        """Send binary frames."""
        data = b"".join(map(masked, contents))
        self._guard(lambda line: line.sock.sendall(data))

    def send_text(self, text: str) -> None:
        """Send one text frame."""
        self._guard(lambda line: line.send(text))

    def receive(self) -> bytes:
        """Return the next frame's content."""
        data = self._guard(lambda line: line.recv())
        if data == "":
            raise self._fault(websocket.WebSocketConnectionClosedException("closed"))
        return data.encode() if isinstance(data, str) else bytes(data)

    def receive_message(self) -> bytes:
        """Return the next frame's content; raise if it is a refusal, which our server sends as JSON."""
        data = self.receive()
        if data[:1] == b"{":  # no message of the protocol begins so
            raise self._refusal(data)
        return data

    def _guard(self, act: Any) -> Any:
        fault = None
        try:
            if self._open is None:
                raise websocket.WebSocketConnectionClosedException("closed")
            return act(self._open)
        except (websocket.WebSocketException, OSError) as error:
            fault = self._fault(error)
        raise fault

    def _fault(self, error: Exception) -> exceptions.HanamiException:
        self.close()
        return network_fault(error, self.address, "WEBSOCKET", "/")

    @property
    def closed(self) -> bool:
        """Whether the connection is gone."""
        return self._open is None

    def close(self) -> None:
        """Close the connection; a second time does nothing."""
        if self._slots is None:
            return
        slots, self._slots = self._slots, None
        line, self._open = self._open, None
        slots.give_socket()
        if line is not None:
            with suppress(websocket.WebSocketException, OSError):
                line.close(timeout=1)

    def __del__(self) -> None:
        if getattr(self, "_slots", None) is not None:
            self.close()


def masked(content: bytes) -> bytes:
    r"""Return one binary frame, masked as the standard wants it; the library takes ten times as long.

    Examples
    --------
    >>> frame = masked(b"abc")
    >>> frame[:2], len(frame)
    (b'\x82\x83', 9)
    """
    import numpy as np  # noqa: PLC0415 - importing the package stays cheap

    size, key = len(content), os.urandom(4)
    if size < 126:
        head = struct.pack(">BB", 0x82, 0x80 | size)
    elif size < 1 << 16:
        head = struct.pack(">BBH", 0x82, 0x80 | 126, size)
    else:
        head = struct.pack(">BBQ", 0x82, 0x80 | 127, size)
    padded = content + bytes(-size % 4)
    mixed = np.frombuffer(padded, np.uint32) ^ np.frombuffer(key, np.uint32)
    return b"".join((head, key, mixed.data.cast("B")[:size]))


def _straight(parts: urllib.parse.SplitResult, verify: Verify) -> socket.socket:
    """Connect without a proxy; left to itself, the library would take one from the environment."""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    line = socket.create_connection((str(parts.hostname), port), limits.connect)
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if parts.scheme != "https":
        return line
    try:
        return _context(verify).wrap_socket(line, server_hostname=parts.hostname)
    except BaseException:
        line.close()
        raise


def _by_proxy(proxy: urllib.parse.SplitResult, verify: Verify) -> dict[str, Any]:
    return {
        "http_proxy_host": proxy.hostname,
        "http_proxy_port": proxy.port or 80,
        "proxy_type": proxy.scheme or "http",
        "http_proxy_auth": (proxy.username, proxy.password or "") if proxy.username else None,
        "sslopt": {"context": _context(verify)},
    }


def _context(verify: Verify) -> ssl.SSLContext:
    """Return how TLS is checked, as for requests."""
    trusted = _certificates(verify)
    if trusted is False:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context
    place = certifi.where() if trusted is True else str(trusted)
    folder = os.path.isdir(place)
    return ssl.create_default_context(cafile=None if folder else place, capath=place if folder else None)
