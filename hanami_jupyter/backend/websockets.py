"""The websockets: the first message with token and target, then the upload of a file or direct messages."""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid as uuids
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

from starlette.types import Receive, Send

from . import direct
from .errors import RefusalError, explained, sentence
from .http_protocol import framed
from .service import Service
from .store import Caller
from .validation import is_json, parse_body

log = logging.getLogger(__name__)

FIRST_SECONDS = 30.0  # time for the first message of a new connection
CHECK_SECONDS = 1.0  # between two looks whether a token is still good
TRIES = 5  # first messages that may fail
POLICY_VIOLATION = 1008
_LOOKS, _PAUSE = 10, 0.05  # whether a cluster's connection has ended, and seconds between them


class ClosedError(Exception):
    """The other side has left."""


class Socket:
    """One accepted websocket: whole messages in, binary frames out.

    Parameters
    ----------
    receive, send : callable
        The two sides of the ASGI connection.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._messages: deque[bytes] = deque()

    async def _more(self) -> None:
        while not self._messages:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                raise ClosedError
            text = message.get("text")
            self._messages.extend(
                message["messages"]
                if "messages" in message
                else [message["bytes"] if text is None else text.encode("utf-8", "replace")]
            )

    async def read(self) -> bytes:
        """Return the next message."""
        await self._more()
        return self._messages.popleft()

    async def read_all(self) -> list[bytes]:
        """Return all messages that are there, at least one."""
        await self._more()
        found = list(self._messages)
        self._messages.clear()
        return found

    async def write(self, *contents: bytes) -> None:
        """Send binary frames."""
        await self.write_frames(map(framed, contents))

    async def write_frames(self, frames: Iterable[bytes]) -> None:
        """Send what is in frames already."""
        await self._send({"type": "websocket.send", "frames": b"".join(frames)})

    async def close(self, reason: str) -> None:
        """End the connection with a reason."""
        with suppress(RuntimeError):  # closed already
            await self._send(
                {
                    "type": "websocket.close",
                    "code": POLICY_VIOLATION,
                    "reason": reason.encode()[:120].decode("utf-8", "ignore"),
                }
            )


async def serve(service: Service, receive: Receive, send: Send) -> None:
    """Serve one websocket from its handshake to its end."""
    await receive()
    await send({"type": "websocket.accept"})
    socket = Socket(receive, send)
    try:
        begun = await asyncio.wait_for(_first(service, socket), FIRST_SECONDS)
        if begun is None:
            await socket.close("No valid first message.")
            return
        await _until_refused(service, socket, *begun)
    except (asyncio.TimeoutError, TimeoutError):
        await socket.close("The first message did not arrive in time.")
    except RefusalError as refusal:
        await socket.close(refusal.message)
    except (ClosedError, OSError):
        pass
    except Exception as error:
        log.error("Websocket failed: %s", sentence(error), exc_info=None if explained(error) else error)
        await socket.close(sentence(error))


Talk = Callable[[Socket], Coroutine[Any, Any, None]]


async def _until_refused(service: Service, socket: Socket, token: str, talk: Talk) -> None:
    """Talk until the other side leaves, or its token is no longer good: expired, or its user gone."""
    loop = asyncio.get_running_loop()
    read = service.accounts.tokens.read
    talking = asyncio.ensure_future(talk(socket))
    try:
        while not talking.done():
            caller = await loop.run_in_executor(None, read, token)
            await asyncio.wait({talking}, timeout=max(min(CHECK_SECONDS, caller.expires - time.time()), 0.01))
        talking.result()
    except RefusalError as refusal:
        if talking.done():
            raise
        raise RefusalError(
            401, "The token has expired or its user is gone. Connect with another."
        ) from refusal
    finally:
        talking.cancel()
        await asyncio.wait({talking})


async def _first(service: Service, socket: Socket) -> tuple[str, Talk] | None:
    """Read first messages until one is right; return its token and what is to follow."""
    for _ in range(TRIES):
        data = await socket.read()
        try:
            token, talk = await _begun(service, data)
        except RefusalError as refusal:
            if refusal.status == 400:  # nothing that could be tried again
                raise
            await socket.write(_json({"error": refusal.message, "success": False}))
            continue
        await socket.write(_json({"success": True, "uuid": str(uuids.uuid4())}))
        return token, talk
    return None


async def _begun(service: Service, data: bytes) -> tuple[str, Talk]:
    """Begin; the connection before of a cluster may take a moment to end."""
    run = asyncio.get_running_loop().run_in_executor
    for _ in range(_LOOKS):
        try:
            return await run(None, _begin, service, data)
        except RefusalError as refusal:
            if refusal.status != 409:
                raise
        await asyncio.sleep(_PAUSE)
    return await run(None, _begin, service, data)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _introduced(service: Service, data: bytes) -> tuple[dict[str, Any], Caller]:
    """Return the values of a first message and whose its token is."""
    try:
        values = parse_body(data)
        return values, service.accounts.tokens.read(values.get("token") or "")
    except RefusalError as refusal:
        if refusal.status == 400 and is_json(data):  # JSON, but of another kind
            raise
        raise RefusalError(401, "Token invalid") from None


def _begin(service: Service, data: bytes) -> tuple[str, Talk]:
    values, caller = _introduced(service, data)
    token = str(values["token"])
    target, uuid = values.get("target"), values.get("uuid")
    if not isinstance(uuid, str):
        raise RefusalError(400, "'uuid' is missing or no text")
    if target == "cluster":
        if not service.accounts.may(caller, "PUT", "/cluster/set_mode"):
            raise RefusalError(401, "Access denied by policy")
        if service.store.cluster(uuid, caller) is None:
            raise RefusalError(404, f"Cluster with UUID '{uuid[:80]}' not found")
        if service.clusters.connected(uuid):
            raise RefusalError(409, f"Cluster with UUID '{uuid}' has a direct connection already")
        return token, lambda socket: direct.talk(service, uuid, socket)
    if target == "file_upload":
        if service.store.upload(uuid, caller) is None:
            raise RefusalError(404, f"Tempfile with UUID '{uuid[:80]}' not found")
        return token, lambda socket: _upload(service, caller, uuid, socket)
    raise RefusalError(404, "'target' must be 'cluster' or 'file_upload'")


async def _upload(service: Service, caller: Caller, uuid: str, socket: Socket) -> None:
    """Take the pieces of a file and acknowledge each, in order."""
    run = asyncio.get_running_loop().run_in_executor
    row = await run(None, service.store.upload, uuid, caller)
    if row is None:
        raise RefusalError(404, f"Tempfile with UUID '{uuid}' not found")
    try:
        file = await run(None, service.uploads.open, row)
    except OSError as error:
        raise RefusalError(500, sentence(error)) from None
    syncing: set[asyncio.Future[None]] = set()
    try:
        while True:
            writing = run(None, file.write_all, await socket.read_all())
            try:
                answers = await asyncio.shield(writing)
            finally:  # whoever ends the connection meanwhile does not close the file under it
                await asyncio.wait({writing})
            await socket.write(*answers)
            if file.due and all(before.done() for before in syncing):
                syncing = {run(None, file.sync)}
    finally:
        if syncing:
            await asyncio.wait(syncing)
        await run(None, service.uploads.leave, uuid)
