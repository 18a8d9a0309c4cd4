"""The network side: one dispatcher for every endpoint, with the original server's order of checks."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from hanami_jupyter.protocol.endpoints import BASE, BY_KEY, MAX_BODY, TOKEN_HEADER, Endpoint

from . import websockets
from .config import is_loopback
from .errors import RefusalError, bad, explained, sentence
from .routes import HANDLERS, SLOW, accounts, data, system, text_json, work  # noqa: F401 - they register their handlers
from .service import Service
from .store import Caller
from .validation import TOKEN_PATTERN, check_target, check_values, parse_body, parse_query

log = logging.getLogger(__name__)

WORKERS = 16
SLOW_WORKERS = 8
MAX_HEADERS = 8192  # bytes
BODY_SECONDS = 30.0  # time for a body to arrive
MAX_SHOWN = 500  # characters of one value in the error log
_SECRET = {"password", "passphrase", "token"}
NOBODY = Caller("", "", is_admin=False, project_id="", role="", is_project_admin=False)


@dataclass
class Exchange:
    """One request on its way: what the logs need to know of it."""

    method: str
    path: str
    user_id: str = ""
    values: Mapping[str, Any] | None = None


class App:
    """The ASGI application of a service.

    Parameters
    ----------
    service : Service
        The backend behind it.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self._pool = ThreadPoolExecutor(WORKERS, "RestWorker")
        self._slow = ThreadPoolExecutor(SLOW_WORKERS, "SlowWorker")
        self._root = BASE.strip("/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, websocket or the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif not self._welcome(scope):
            await _reject(scope, receive, send)
        elif scope["type"] == "websocket":
            await websockets.serve(self.service, receive, send)
        else:
            await (await self._answer(Request(scope, receive)))(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Answer the server's start and stop; the service itself is opened and closed by its owner."""
        while True:
            message: Message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                self._pool.shutdown(wait=True)
                self._slow.shutdown(wait=True)
                return

    def _welcome(self, scope: Scope) -> bool:
        """Refuse what other web pages send, and foreign names for this machine (DNS rebinding)."""
        hosts = [value.decode("latin1").lower() for name, value in scope["headers"] if name == b"host"]
        origins = [value.decode("latin1").lower() for name, value in scope["headers"] if name == b"origin"]
        if len(hosts) > 1 or len(origins) > 1:
            return False
        host, known = "".join(hosts), self.service.config.known
        for origin in origins:
            place = origin.partition("://")[2]
            if place != host and _without_port(place) not in known:
                return False
        name = _without_port(host)
        return not (self.service.config.loopback and host and not is_loopback(name) and name not in known)

    async def _answer(self, request: Request) -> Response:
        """Return the answer to a request, whatever happens."""
        began = time.perf_counter()
        exchange = Exchange(request.method, request.url.path)
        try:
            response = await self._dispatch(request, exchange)
        except RefusalError as refusal:
            if refusal.status < 500:
                response = plain(refusal.message, refusal.status)
            else:
                response = await self._failed(exchange, refusal)
        except ClientDisconnect:
            response = Response(status_code=400)
        except Exception as error:  # noqa: BLE001 - the server goes on
            response = await self._failed(exchange, error)
        log.log(
            logging.DEBUG if exchange.method == "GET" and response.status_code == 200 else logging.INFO,
            "request",
            extra={
                "method": exchange.method,
                "path": exchange.path,
                "status": response.status_code,
                "user": exchange.user_id,
                "ms": round((time.perf_counter() - began) * 1000, 2),
            },
        )
        return response

    async def _dispatch(self, request: Request, exchange: Exchange) -> Response:
        method = request.method
        target, _, query = request.scope["extensions"]["target"].decode("latin1").partition("?")
        check_target(method, target, query)
        if sum(len(name) + len(value) + 4 for name, value in request.scope["headers"]) > MAX_HEADERS:
            raise bad("The headers are longer than 8 KiB.")
        exchange.path = path = target.lstrip("/")
        values = parse_body(await _body(request)) if method in ("POST", "PUT") else {}
        texts = parse_query(query)
        values.update(texts)
        values.pop("token", None)
        exchange.values = values
        token = request.headers.get(TOKEN_HEADER, "")
        if not TOKEN_PATTERN.fullmatch(token):
            raise bad(f"Given item 'token' doesn't match with regex \"^{TOKEN_PATTERN.pattern}$\"")
        endpoint = (
            BY_KEY.get((method, path.removeprefix(self._root))) if path.startswith(self._root) else None
        )
        run = asyncio.get_running_loop().run_in_executor
        caller = await run(self._pool, self._enter, exchange, endpoint, token)
        if endpoint is None:
            raise bad(f"Endpoint '{path}' with method {method} does not exist.")
        if any(field.name == "token" for field in endpoint.fields):
            values["token"] = token
        checked = check_values(endpoint, values, frozenset(texts))
        if endpoint.rights == "admin" and not caller.is_admin:
            raise RefusalError(401, "Only an admin may do this.")
        handler = HANDLERS[method, endpoint.path]
        if inspect.iscoroutinefunction(handler):
            return _render(await handler(self.service, caller, checked))
        pool = self._slow if (method, endpoint.path) in SLOW else self._pool
        return await run(pool, lambda: _render(handler(self.service, caller, checked)))

    def _enter(self, exchange: Exchange, endpoint: Endpoint | None, token: str) -> Caller:
        """Return the caller if the policy lets him in; note the request in the audit log."""
        caller = NOBODY
        try:
            if endpoint is None or endpoint.rights != "open":
                caller = self.service.accounts.tokens.read(token)
                exchange.user_id = caller.user_id
                if not self.service.accounts.allowed(caller, exchange.method, exchange.path):
                    raise RefusalError(401, "Access denied by policy")
        finally:
            if exchange.method != "GET" and endpoint is not None:
                self.service.store.audit(exchange.user_id, exchange.path, exchange.method)
        return caller

    async def _failed(self, exchange: Exchange, error: Exception) -> Response:
        """Note an error that is not the caller's, and answer 500."""
        message = sentence(error)
        log.error(message, exc_info=None if explained(error) else error, extra={"path": exchange.path})
        shown = {
            name: value if len(str(value)) <= MAX_SHOWN else "..."
            for name, value in (exchange.values or {}).items()
            if name not in _SECRET
        }
        run = asyncio.get_running_loop().run_in_executor
        try:
            text = json.dumps(shown, sort_keys=True)
            place = f"{exchange.method} {exchange.path}"
            await run(self._pool, self.service.store.error, exchange.user_id, "rest", place, text, message)
        except Exception as again:  # noqa: BLE001 - a full disk takes the log too
            log.error("The error log cannot be written: %s", sentence(again))
        return plain(message, 500)


def _without_port(host: str) -> str:
    """Return the name of ``name:port`` or ``[address]:port``."""
    return host.partition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]


async def _reject(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008})
        return
    text = "This server answers only to its own address, and to no other web page."
    await plain(text, 403)(scope, receive, send)


async def _body(request: Request) -> bytes:
    """Return the body, up to its limit."""

    async def read() -> bytes:
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_BODY:
                raise bad(f"The body is longer than {MAX_BODY} bytes.")
        return bytes(body)

    try:
        return await asyncio.wait_for(read(), BODY_SECONDS)
    except asyncio.TimeoutError:
        raise bad("The body did not arrive in time.") from None


def _render(answer: Any) -> Response:
    """Return an answer as compact JSON with sorted keys."""
    if isinstance(answer, Response):
        return answer
    return text_json(json.dumps(answer, separators=(",", ":"), sort_keys=True))


def plain(text: str, status: int) -> Response:
    """Return a sentence."""
    return Response(text, status, headers={"content-type": "text/plain"})
