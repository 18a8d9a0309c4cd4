"""An access token: text for every function, never shown; and one that a session keeps good."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any


class Token(str):
    """A token that is a ``str`` but shows whose it is instead of itself.

    Examples
    --------
    >>> Token("a.b.c")
    <Token>
    >>> token
    <Token admin@admin, valid until ...>
    >>> str(token) == token
    True
    """

    __slots__ = ()

    @property
    def claims(self) -> dict[str, Any]:
        """What the token says about its user, read without checking its signature; empty if unreadable."""
        try:
            middle = self.split(".")[1]
            claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
            user = claims.get("user", "{}")
            return {"exp": claims.get("exp"), **(json.loads(user) if isinstance(user, str) else user)}
        except (IndexError, ValueError, AttributeError, TypeError):
            return {}

    @property
    def user_id(self) -> str:
        """Whom the token belongs to."""
        return str(self.claims.get("id", ""))

    @property
    def project_id(self) -> str:
        """The project it opens."""
        return str(self.claims.get("project_id", ""))

    @property
    def is_admin(self) -> bool:
        """Whether its user is a global admin."""
        return bool(self.claims.get("is_admin", False))

    @property
    def valid_until(self) -> datetime | None:
        """When it expires, in UTC; None if it does not say."""
        end = self.claims.get("exp")
        return datetime.fromtimestamp(end, timezone.utc) if isinstance(end, (int, float)) else None

    def __repr__(self) -> str:
        claims, end = self.claims, self.valid_until
        if not claims:
            return "<Token>"
        until = f", valid until {end:%Y-%m-%d %H:%M:%S} UTC" if end else ""
        return f"<Token {self.user_id}@{self.project_id}{until}>"

    def _repr_html_(self) -> str:
        import html  # noqa: PLC0415

        return f"<code>{html.escape(repr(self))}</code>"


class Live(Token):
    """What a session gives to its functions, some of which take longer than a token is valid.

    Attributes
    ----------
    now : callable
        Returns the token to send.
    again : callable
        Takes a token that the server has refused; returns another one, or None if there is none.
    """

    now: Callable[[], str]
    again: Callable[[str], str | None]
