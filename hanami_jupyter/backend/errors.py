"""Refusals: an HTTP status and one sentence; and what a failing disk is called."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED = {errno.EROFS, errno.EACCES, errno.EPERM}


class RefusalError(Exception):
    """A request that cannot be done as asked.

    Parameters
    ----------
    status : int
        HTTP status.
    message : str
        One sentence: what is wrong, with which value, what to do.
    """

    def __init__(self, status: int, message: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def bad(message: str) -> RefusalError:
    """Return the refusal of a request whose values are wrong (400)."""
    return RefusalError(400, message)


def missing(kind: str, uuid: str, word: str = "uuid") -> RefusalError:
    """Return the refusal of a request about a thing that does not exist or is not the caller's (404)."""
    return RefusalError(404, f"{kind} with {word} '{uuid}' not found")


def damaged(path: Path, what: str = "damaged") -> RefusalError:
    """Return the refusal of what a file of the data folder forbids that is not what it was (500)."""
    kind = path.parent.name.rstrip("s")
    return RefusalError(
        500, f"The file of {kind} '{path.stem}' is {what}. Restore it from a copy, or delete the {kind}."
    )


def conflict(message: str) -> RefusalError:
    """Return the refusal of a request that the present state forbids (409)."""
    return RefusalError(409, message)


def disk_full(error: BaseException) -> bool:
    """Tell whether an error means that the disk (or the allowed file size) is used up."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    return isinstance(error, sqlite3.OperationalError) and "full" in str(error)


def _read_only(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in _CLOSED
    return isinstance(error, sqlite3.OperationalError) and "readonly" in str(error)


def explained(error: BaseException) -> bool:
    """Tell whether `sentence` says all there is to say, so that a log needs no traceback."""
    return isinstance(error, (RefusalError, ValueError)) or disk_full(error) or _read_only(error)


def sentence(error: Exception) -> str:
    """Return one sentence for an error, without paths or other inner matters."""
    if disk_full(error):
        return "No space left on the server's disk. Delete datasets or checkpoints, then try again."
    if _read_only(error):
        return "The server's data folder cannot be written at the moment. Make it writable, then try again."
    if isinstance(error, (RefusalError, ValueError)):
        return " ".join(str(error).split())
    return "Internal error. The server's error log says more."
