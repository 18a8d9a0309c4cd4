"""No words behind hanamictl give a traceback."""

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanami_jupyter.commands import shell as face
from hanami_jupyter.commands.tree import root


def words_of(group):
    yield from group.commands
    for command in group.commands.values():
        yield from (flag for option in command.params for flag in option.opts if flag.startswith("-"))
        if hasattr(command, "commands"):
            yield from words_of(command)


WORDS = st.sampled_from(sorted({*words_of(root)} - {"start", "stop", "login"})) | st.sampled_from(
    [
        "",
        "-",
        "--",
        "x",
        "00000000-0000-4000-8000-000000000000",
        "a:b:c",
        "a:b",
        "-1",
        "1e9",
        "{x}",
        "ä",
        "/",
        "\0",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORDS, max_size=7))
def test_any_words_end_in_an_exit_code(server, capsys, words):
    os.environ.update(HANAMI_ADDRESS=server.address, HANAMI_USER=server.user, HANAMI_PW=server.password)
    try:
        assert face.main(words) in {0, 1, 2}
    finally:
        for name in ("HANAMI_ADDRESS", "HANAMI_USER", "HANAMI_PW"):
            del os.environ[name]
    assert "Traceback" not in capsys.readouterr().err
