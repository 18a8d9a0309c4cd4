"""Passwords, tokens and who may do what: argon2 hashes, HS256 tokens, the policy."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import argon2
import jwt

from hanami_jupyter.protocol.endpoints import BASE

from .config import Config
from .errors import RefusalError
from .policy import Policy
from .store import Caller, Store, User

ALGORITHM = "HS256"
HASHES_AT_ONCE = 2
FREE_FAILURES = 5  # failed logins of a user before the next one waits
_REMEMBERED = 10_000  # users whose failures are counted
_DENIED = "User or password is incorrect."
ADMIN_PROJECT = "admin"


class Passwords:
    """Argon2 hashes, at most two at once and never on the event loop."""

    def __init__(self, config: Config) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=config.password_cost, memory_cost=config.password_memory, parallelism=1
        )
        self._pool = ThreadPoolExecutor(HASHES_AT_ONCE, "PasswordHash")
        self._delay = config.login_delay
        self._failures: dict[str, int] = {}

    @cache  # noqa: B019 - lives as long as the server
    def _nobody(self) -> str:
        """Return the hash that an unknown user is checked against: he takes as long as a known one."""
        return self._hasher.hash(secrets.token_hex())

    def hash(self, password: str) -> str:
        """Return the hash of a password; takes its time."""
        return self._hasher.hash(password)

    async def hash_later(self, password: str) -> str:
        """Return the hash of a password without holding up the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.hash, password)

    async def check(self, user_id: str, user: User | None, password: str) -> bool:
        """Tell whether a password is right; slower for a user after repeated failures, never locked out."""
        failures = self._failures.get(user_id, 0)
        if failures >= FREE_FAILURES:
            await asyncio.sleep(min(self._delay, 0.1 * 2.0 ** min(failures - FREE_FAILURES, 10)))
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(
            self._pool, self._verify, user.password_hash if user else self._nobody(), password
        )
        if right and user is not None:
            self._failures.pop(user_id, None)
            return True
        if len(self._failures) >= _REMEMBERED and user_id not in self._failures:
            self._failures.pop(next(iter(self._failures)))
        self._failures[user_id] = self._failures.get(user_id, 0) + 1
        return False

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return False

    def close(self) -> None:
        """End the hashing threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Tokens:
    """Issues tokens and reads them; what the accounts say now wins over what a token says."""

    def __init__(self, store: Store, lifetime: float) -> None:
        self._store = store
        self._key = store.secret("token_key", secrets.token_hex(32))
        self._lifetime = lifetime

    def issue(self, user: User, project_id: str | None = None) -> str:
        """Return a token for a project, by default the user's first one (for admins ``admin``)."""
        place = self._place(user, project_id)
        if place is None:
            reason = (
                f"User with id '{user.id}' has no project assigned."
                if project_id is None
                else f"User with id '{user.id}' is not assigned to the project with id '{project_id}'."
            )
            raise RefusalError(401, reason)
        claims = {
            "created_at": user.created_at,
            "creator_id": user.creator_id,
            "id": user.id,
            "is_admin": user.is_admin,
            "name": user.name,
            **place,
        }
        text = json.dumps(claims, separators=(",", ":"), sort_keys=True)
        payload = {"exp": time.time() + self._lifetime, "user": text, "number": user.number}
        return jwt.encode(payload, self._key, algorithm=ALGORITHM)

    @staticmethod
    def _place(user: User, project_id: str | None) -> dict[str, Any] | None:
        """Return project, role and project admin of a user in a project, None if he is not in it."""
        if user.is_admin and project_id in (None, ADMIN_PROJECT):  # whatever role somebody gave him there
            return {"project_id": ADMIN_PROJECT, "role": "admin", "is_project_admin": True}
        for assignment in user.projects:
            if project_id in (None, assignment["project_id"]):
                return dict(assignment)
        return None

    def read(self, token: object) -> Caller:
        """Return who a token belongs to.

        Raises
        ------
        RefusalError
            401 if it is forged or expired, or its user or assignment is gone.
        """
        refusal = RefusalError(401, "Failed to validate JWT-Token")
        try:
            payload = jwt.decode(str(token), self._key, algorithms=[ALGORITHM])
            claims = json.loads(payload["user"])
            user = self._store.user(claims["id"])
            expires = float(payload.get("exp", "inf"))
            project_id = claims["project_id"]
        except (jwt.InvalidTokenError, ValueError, KeyError, TypeError, RecursionError):
            raise refusal from None
        # an account made anew under an old id is another account
        if user is None or payload.get("number", user.number) != user.number:
            raise refusal
        place = self._place(user, project_id)
        if place is None:
            raise refusal
        return Caller(
            user.id,
            user.name,
            user.is_admin,
            place["project_id"],
            place["role"],
            place["is_project_admin"],
            user.created_at,
            user.creator_id,
            expires,
        )


class Accounts:
    """Logs in, and answers whether a caller may use an endpoint."""

    def __init__(self, store: Store, config: Config, policy: Policy) -> None:
        self.store = store
        self.passwords = Passwords(config)
        self.tokens = Tokens(store, config.token_lifetime)
        self.policy = policy

    async def login(self, user_id: str, password: str) -> dict[str, Any]:
        """Return the answer to a login.

        Raises
        ------
        RefusalError
            401 for a wrong password, an unknown user, or one without project.
        """
        loop = asyncio.get_running_loop()
        user = await loop.run_in_executor(None, self.store.user, user_id)
        if not await self.passwords.check(user_id, user, password) or user is None:
            raise RefusalError(401, _DENIED)
        return self.answer(user, self.tokens.issue(user))

    def renew(self, caller: Caller, project_id: str) -> dict[str, Any]:
        """Return the answer to a request for a token of another project."""
        user = self.store.user(caller.user_id)
        if user is None:
            raise RefusalError(401, _DENIED)
        return self.answer(user, self.tokens.issue(user, project_id))

    @staticmethod
    def answer(user: User, token: str) -> dict[str, Any]:
        """Return a token as the wire shows it."""
        return {"id": user.id, "is_admin": user.is_admin, "name": user.name, "token": token}

    def allowed(self, caller: Caller, method: str, endpoint: str) -> bool:
        """Tell whether the policy lets the caller's role use an endpoint, ``v1.0alpha/...``."""
        return caller.role in self.policy.get((method, endpoint.lstrip("/")), ())

    def may(self, caller: Caller, method: str, path: str) -> bool:
        """Tell the same of a path below the version, ``/cluster``."""
        return self.allowed(caller, method, BASE.strip("/") + path)
