"""The login panel: signs in at a real server, follows the session, keeps the password to itself."""

from __future__ import annotations

import json
import logging

import pytest

from hanami_jupyter.panels import login as module
from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.panels.login import Login, login


def sign_in(panel, front, server, password=None):
    secret = (password or server.password).encode()
    return front(panel).ask("sign_in", secret, address=server.address, user=server.user, verify=True)


def test_a_login_makes_a_session_that_works_at_once(server, front):
    panel = Login(server.address)
    with pytest.raises(PanelError, match="Sign in"):
        _ = panel.session
    assert sign_in(panel, front, server)["ok"]
    assert panel.session.hosts.list_hosts().shape[0] >= 1
    assert panel.signed_in["user"] == server.user
    assert panel.signed_in["admin"] is True
    assert panel.signed_in["project"] in panel.signed_in["projects"]
    assert panel.signed_in["valid_until"].endswith("+00:00")
    assert f"{server.user} (admin)" in panel.snapshot()._repr_html_()


def test_a_wrong_password_and_a_silent_address_are_said_in_one_sentence(server, front):
    panel = Login(server.address)
    answer = sign_in(panel, front, server, "wrong-password")
    assert answer["error"] == (
        f"The user or the password is wrong for '{server.user}' at {server.address}. Check both."
    )
    short = sign_in(panel, front, server, "short")
    assert "8" in short["error"]
    silent = front(panel).ask(
        "sign_in", b"long-enough", address="http://127.0.0.1:9", user="asdf", verify=True
    )
    assert "127.0.0.1:9" in silent["error"]
    assert panel.signed_in == {}


def test_signing_out_forgets_the_session_and_another_login_follows(server, front):
    panel = Login(server.address)
    sign_in(panel, front, server)
    session = panel.session
    ask = front(panel).ask
    assert ask("renew")["ok"]
    assert ask("switch_project", project=session.project_id)["ok"]
    assert ask("sign_out")["ok"]
    assert panel.signed_in == {}
    with pytest.raises(PanelError):
        _ = panel.session
    assert sign_in(panel, front, server)["ok"]
    assert panel.session is not session


def test_addresses_and_users_are_remembered_the_last_first_and_survive_a_broken_file(server, front):
    sign_in(Login(), front, server)
    assert Login().address == server.address
    assert Login().user == server.user
    module.remember("https://elsewhere:1", "fern", False)
    answer = front(Login()).ask("known")["result"]
    assert [entry["address"] for entry in answer] == ["https://elsewhere:1", server.address]
    assert (Login().user, Login().verify) == ("fern", False)
    assert Login(server.address).user == ""
    module._file().write_text("broken")
    assert module.remembered() == []


def test_the_password_is_nowhere(server, front, caplog):
    caplog.set_level(logging.DEBUG)
    panel = login(server.address)
    front_end = front(panel)
    sign_in(panel, front, server)
    token = str(panel.session.token)
    places = {
        "state": json.dumps(panel.get_state(), default=repr),
        "messages": json.dumps(front_end.messages, default=repr),
        "replies": repr(front_end.replies),
        "repr": repr(panel),
        "bundle": repr(panel._repr_mimebundle_()),
        "snapshot": panel.snapshot()._repr_html_(),
        "log": caplog.text,
        "file": module._file().read_text(),
        "attributes": repr(vars(panel)),
    }
    for secret in (server.password, token, token.rpartition(".")[2]):
        assert [name for name, text in places.items() if secret in text] == []


def test_unknown_arguments_raise():
    with pytest.raises(TypeError):
        Login(password="never-here")
