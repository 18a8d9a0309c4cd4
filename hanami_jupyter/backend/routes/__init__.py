"""What each endpoint does: handlers by method and path, filled by the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from hanami_jupyter.backend.service import Service
from hanami_jupyter.backend.store import Caller

# a handler gets the service, the caller and the checked values; a coroutine runs on the event loop,
# anything else on a thread
Handler = Callable[[Service, Caller, dict[str, Any]], Any]
HANDLERS: dict[tuple[str, str], Handler] = {}
SLOW: set[tuple[str, str]] = set()  # have threads of their own, so that the others never wait for them


def route(method: str, path: str, *, slow: bool = False) -> Callable[[Handler], Handler]:
    """Register the handler of an endpoint; ``slow`` if it may take seconds."""

    def register(handler: Handler) -> Handler:
        HANDLERS[method, path] = handler
        if slow:
            SLOW.add((method, path))
        return handler

    return register


def table(columns: tuple[str, ...], body: list[Any]) -> dict[str, Any]:
    """Return a list answer."""
    return {"header": list(columns), "body": body}


def text_json(text: str) -> Response:
    """Return the answer of a JSON text, with the content type of the original: no charset."""
    return Response(text, headers={"content-type": "text/json"})
