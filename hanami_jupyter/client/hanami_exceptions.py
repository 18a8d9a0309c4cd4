"""What can go wrong between a notebook and a Hanami server, as exceptions."""

from __future__ import annotations

import builtins


class HanamiException(Exception):  # noqa: N818 - the reference names its exceptions so
    """Base of all errors of the client.

    Attributes
    ----------
    status : int or None
        HTTP status, None where no answer came.
    text : str
        What the server said, empty where it said nothing.
    method, path : str
        The request that failed; ``WEBSOCKET`` for messages behind a handshake.

    Examples
    --------
    >>> from hanami_jupyter import hanami_exceptions, project
    >>> try:
    ...     project.get_project(token, address, "nowhere")
    ... except hanami_exceptions.HanamiException as error:
    ...     (error.status, error.method, error.path)
    (404, 'GET', '/project')
    """

    def __init__(
        self, message: str = "", status: int | None = None, text: str = "", method: str = "", path: str = ""
    ) -> None:
        super().__init__(message, status, text, method, path)
        self.status = status
        self.text = text
        self.method = method
        self.path = path

    def __str__(self) -> str:
        return str(self.args[0])

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class BadRequestException(HanamiException):
    """The server does not accept a value (400)."""


class InvalidDataException(BadRequestException, ValueError):  # noqa: N818 - named like its siblings
    """Data that is refused before anything is sent."""


class UnauthorizedException(HanamiException):
    """The login, the token or the rights do not suffice (401)."""


class NotFoundException(HanamiException):
    """The thing does not exist, or this user may not see it (404)."""


class ConflictException(HanamiException):
    """The state of the thing does not allow this, or its name is taken (409)."""


class InternalServerErrorException(HanamiException):
    """The server failed (500); the reason stands in its log."""


class ConnectionException(HanamiException, builtins.ConnectionError):
    """The server cannot be reached, or the connection broke."""


class TimeoutException(HanamiException, builtins.TimeoutError):
    """The server did not answer in time."""


class UnexpectedAnswerException(HanamiException):
    """Something answered that does not speak Hanami's protocol, or its answer is cut short."""


class TaskAbortedException(HanamiException):
    """A task ended without being finished."""


class NotSupportedException(HanamiException):
    """What was asked for is not offered by the server."""
