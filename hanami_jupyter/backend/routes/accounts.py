"""Endpoints for tokens, users and projects."""

from __future__ import annotations

from typing import Any

from hanami_jupyter.backend.errors import RefusalError, conflict, missing
from hanami_jupyter.backend.service import Service
from hanami_jupyter.backend.store import Caller, User
from hanami_jupyter.protocol.endpoints import BY_KEY

from . import route, table

_HTTP_TYPES = {1: "DELETE", 2: "GET", 3: "HEAD", 4: "POST", 5: "PUT"}  # numbers of the original


@route("POST", "/token")
async def log_in(service: Service, _caller: Caller, values: dict[str, Any]) -> Any:
    """Check a password and issue a token."""
    return await service.accounts.login(values["id"], values["password"])


@route("PUT", "/token")
def renew(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Issue a token for another project."""
    return service.accounts.renew(caller, values["project_id"])


@route("GET", "/auth")
def check(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Tell what the token in the header holds; refuse if it does not allow the asked endpoint."""
    endpoint, kind = values["endpoint"], values["http_type"]
    if endpoint and kind and not service.accounts.allowed(caller, _HTTP_TYPES[kind], endpoint):
        raise RefusalError(401, "Access denied by policy")
    return {
        "id": caller.user_id,
        "is_admin": caller.is_admin,
        "is_project_admin": caller.is_project_admin,
        "name": caller.name,
        "project_id": caller.project_id,
        "role": caller.role,
    }


def _user(service: Service, user_id: str) -> User:
    user = service.store.user(user_id)
    if user is None:
        raise missing("User", user_id, "id")
    return user


@route("POST", "/user")
async def create_user(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Create an account."""
    password_hash = await service.accounts.passwords.hash_later(values["password"])
    user_id = values["id"]
    with service.store.transaction():
        held = service.store.owned(user_id)
        added = not held and service.store.add_user(
            user_id, values["name"], caller.user_id, is_admin=values["is_admin"], password_hash=password_hash
        )
    if held:
        raise conflict(
            f"An earlier user '{user_id}' has left {_some(held)}, which would be this one's. Delete these"
            " first, or give another id."
        )
    if not added:
        raise conflict(f"A user with the id '{user_id}' exists already. Give another id.")
    return _user(service, user_id).answer()


@route("GET", "/user")
def get_user(service: Service, _caller: Caller, values: dict[str, Any]) -> Any:
    """Return an account."""
    return _user(service, values["id"]).answer()


@route("DELETE", "/user")
def delete_user(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Delete an account, not one's own."""
    user_id = values["id"]
    if user_id == caller.user_id:
        raise conflict(f"User with id '{user_id}' tries to delete himself, which is not allowed.")
    if not service.store.delete_user(user_id):
        raise missing("User", user_id, "id")
    return {}


@route("GET", "/user/all")
def list_users(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """List accounts."""
    columns = BY_KEY["GET", "/user/all"].columns
    answers = [user.answer() for user in service.store.users()]
    return table(columns, [[answer[column] for column in columns] for answer in answers])


@route("POST", "/user/project")
def assign(service: Service, _caller: Caller, values: dict[str, Any]) -> Any:
    """Give a project to a user."""
    user_id, project_id = values["id"], values["project_id"]
    _user(service, user_id)
    if not service.store.assign(
        user_id, project_id, values["role"], is_project_admin=values["is_project_admin"]
    ):
        raise conflict(f"Project with ID '{project_id}' is already assigned to user with id '{user_id}'.")
    return _user(service, user_id).answer()


@route("GET", "/user/project")
def list_assignments(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """List the projects of a user; everybody may list his own."""
    user_id = values["user_id"]
    if not caller.is_admin and user_id != caller.user_id:
        raise RefusalError(401, "Only an admin may list the projects of another user.")
    return {"projects": list(_user(service, user_id).projects)}


@route("DELETE", "/user/project")
def unassign(service: Service, _caller: Caller, values: dict[str, Any]) -> Any:
    """Take a project from a user."""
    user_id, project_id = values["id"], values["project_id"]
    _user(service, user_id)
    if not service.store.unassign(user_id, project_id):
        raise RefusalError(
            404,
            f"Project with ID '{project_id}' is not assigned to user with id '{user_id}' and so it can not be"
            " removed from the user.",
        )
    return _user(service, user_id).answer()


@route("POST", "/project")
def create_project(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Create a project."""
    project_id = values["id"]
    if not service.store.add_project(project_id, values["name"], caller.user_id):
        raise conflict(f"A project with the id '{project_id}' exists already. Give another id.")
    return service.store.project(project_id)


@route("GET", "/project")
def get_project(service: Service, _caller: Caller, values: dict[str, Any]) -> Any:
    """Return a project."""
    project = service.store.project(values["id"])
    if project is None:
        raise missing("Project", values["id"], "id")
    return project


@route("DELETE", "/project")
def delete_project(service: Service, caller: Caller, values: dict[str, Any]) -> Any:
    """Delete a project that holds nothing."""
    project = get_project(service, caller, values)
    held = service.store.delete_project(project["id"])
    if held:
        raise conflict(f"Project with id '{project['id']}' still holds {_some(held)}. Delete these first.")
    return {}


def _some(held: list[str]) -> str:
    """Return the first names of many."""
    return ", ".join(held[:20]) + (f" and {len(held) - 20} more" if len(held) > 20 else "")


@route("GET", "/project/all")
def list_projects(service: Service, _caller: Caller, _values: dict[str, Any]) -> Any:
    """List projects."""
    columns = BY_KEY["GET", "/project/all"].columns
    return table(columns, [[project[column] for column in columns] for project in service.store.projects()])
