"""The OpenAPI document and the table of the documentation, both from the endpoint table."""

from __future__ import annotations

from functools import cache
from typing import Any

from hanami_jupyter.protocol.endpoints import BASE, ENDPOINTS, TOKEN_HEADER, Endpoint, Field

_TYPES = {
    "str": "string",
    "int": "integer",
    "bool": "boolean",
    "array": "array",
    "float": "number",
    "object": "object",
}
_MEANINGS = {
    400: "The request is wrong; the sentence says where.",
    401: "No valid token, or no right.",
    404: "The thing does not exist, or the caller may not see it.",
    409: "The present state forbids it.",
    500: "The server could not do it, for want of space for instance.",
}


def _schema(kind: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": _TYPES[kind]}
    if kind == "array":
        schema["items"] = {}
    return schema


def _field(field: Field) -> dict[str, Any]:
    schema = _schema(field.kind)
    low, high = ("minLength", "maxLength") if field.kind == "str" else ("minimum", "maximum")
    for name, value in ((low, field.minimum), (high, field.maximum), ("pattern", field.pattern)):
        if value is not None:
            schema[name] = value
    if field.default is not None:
        schema["default"] = field.default
    return schema


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    if endpoint.media != "text/json":
        return {endpoint.media: {"schema": {"type": "string", "format": "binary"}}}
    if endpoint.columns:
        header = {"type": "array", "items": {"type": "string", "enum": [*endpoint.columns, *endpoint.extra]}}
        body = {"type": "array", "items": {"type": "array", "items": {}}}
        schema = {
            "type": "object",
            "properties": {"header": header, "body": body},
            "required": ["body", "header"],
        }
    else:
        fields = {**endpoint.answer, **endpoint.extra}
        schema = {"type": "object", "properties": {name: _schema(kind) for name, kind in fields.items()}}
        if endpoint.answer:
            schema["required"] = sorted(endpoint.answer)
    return {"text/json": {"schema": schema}}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": _answer(endpoint)}}
    for status in endpoint.statuses:
        text = {"text/plain": {"schema": {"type": "string"}}}
        responses[str(status)] = {"description": _MEANINGS[status], "content": text}
    operation: dict[str, Any] = {
        "operationId": f"{endpoint.method.lower()}{endpoint.path.replace('/', '_').replace('.', '_')}",
        "summary": endpoint.summary,
        "responses": responses,
        "security": [] if endpoint.rights == "open" else [{"token": []}],
    }
    # the token is a field of GET /auth on the wire, but travels in the header
    fields = [field for field in endpoint.fields if field.name != "token"]
    if endpoint.method in ("POST", "PUT"):
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {field.name: _field(field) for field in fields},
            "additionalProperties": False,
        }
        required = [field.name for field in fields if field.required]
        if required:
            schema["required"] = required
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    elif fields:
        operation["parameters"] = [
            {"name": field.name, "in": "query", "required": field.required, "schema": _field(field)}
            for field in fields
        ]
    return operation


@cache
def document(version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.0 document.

    Parameters
    ----------
    version : str
        Version of the server.

    Returns
    -------
    dict
        The document, ready for JSON.
    """
    paths: dict[str, Any] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(BASE + endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.0.3",
        "info": {"title": "Hanami", "version": version},
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "apiKey", "in": "header", "name": TOKEN_HEADER}}
        },
    }


def _request_cell(endpoint: Endpoint) -> str:
    parts = []
    for field in endpoint.fields:
        notes = [] if field.required else ["optional"]
        if field.minimum is not None or field.maximum is not None:
            low = "" if field.minimum is None else str(field.minimum)
            high = "" if field.maximum is None else str(field.maximum)
            notes.insert(0, f"{low}..{high}")
        if field.default is not None:
            notes.append(f"default {str(field.default).lower()}")
        note = f" ({', '.join(notes)})" if notes else ""
        parts.append(f"`{field.name}` {field.kind}{note}")
    return "; ".join(parts) or "-"


def _answer_cell(endpoint: Endpoint) -> str:
    if endpoint.media != "text/json":
        return "a file"
    names = ", ".join(f"`{name}`" for name in endpoint.columns or endpoint.answer)
    fields = f"list of {names}" if endpoint.columns else names or "`{}`"
    more = ", ".join(f"`{name}`" for name in endpoint.extra)
    return f"{fields}; ours also {more}" if more else fields


def markdown() -> str:
    """Return the documentation's page on the endpoints."""
    lines = [
        "# Endpoints",
        "",
        "Made from `hanami_jupyter/protocol/endpoints.py` by `python -m hanami_jupyter.backend.openapi`;"
        " a test holds it current. `+` marks what is ours beyond the original. Every path begins with"
        f" `{BASE}`; the token travels in the header `{TOKEN_HEADER}`.",
        "",
        "| method | path | what it does | request | answer | statuses | rights |",
        "|---|---|---|---|---|---|---|",
    ]
    for e in ENDPOINTS:
        statuses = "/".join(map(str, (200, *e.statuses)))
        cells = (
            e.method,
            e.path + (" +" if e.added else ""),
            e.summary,
            _request_cell(e),
            _answer_cell(e),
            statuses,
            e.rights,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
