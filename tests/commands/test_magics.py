"""The extension in a real IPython shell: what loading adds, and what its user sees."""

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell


@pytest.fixture(scope="module")
def bare():
    shell = InteractiveShell.instance()
    yield shell
    InteractiveShell.clear_instance()


def state(shell):
    manager = shell.magics_manager
    return (
        {kind: set(names) for kind, names in manager.magics.items()},
        set(manager.registry),
        list(shell.configurables),
        list(shell.Completer.custom_matchers),
        {name for name in shell.user_ns if not name.startswith("_")},
    )


@pytest.fixture
def shell(bare):
    bare.run_line_magic("load_ext", "hanami")
    yield bare
    bare.run_line_magic("unload_ext", "hanami")


def test_load_unload_reload_leave_the_shell_as_it_was(bare):
    with pytest.raises(ModuleNotFoundError):
        bare.run_line_magic("load_ext", "no_such_extension")  # IPython loads its own magics lazily
    before = state(bare)
    for _ in range(2):
        bare.run_line_magic("load_ext", "hanami")
        assert "hanami" in bare.magics_manager.magics["line"]
        bare.run_line_magic("reload_ext", "hanami")
        assert "hanami" in bare.magics_manager.magics["line"]
        bare.run_line_magic("unload_ext", "hanami")
        assert state(bare) == before


def test_lists_are_frames(shell, session):
    shell.push({"session": session})
    found = shell.run_line_magic("hanami", "dataset list")
    assert isinstance(found, pd.DataFrame)
    assert {"uuid", "name", "created_at"} <= set(found.columns)
    assert isinstance(shell.run_line_magic("hanami", "host list"), pd.DataFrame)


def test_variables_in_braces_and_names_for_uuids(shell, session, template):
    cluster = session.cluster.create_cluster("braces", template)
    shell.push({"session": session, "cluster": cluster, "cluster_uuid": cluster["uuid"]})
    for line in ("{cluster}", "{cluster_uuid}", "{cluster['uuid']}", "braces"):
        found = shell.run_line_magic("hanami", f"cluster get {line}")
        assert found["uuid"] == cluster["uuid"]
    assert shell.run_line_magic("hanami", "task list -c {cluster}").empty
    assert repr(shell.run_line_magic("hanami", "cluster delete {cluster}")).startswith("successfully deleted")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("datset list", "No such command"),
        ("cluster get", "Missing argument"),
        ("cluster get {nobody}", "cannot be filled in"),
        ("cluster get no-such-name", "No cluster has the name"),
        ("cluster get 00000000-0000-4000-8000-000000000000", "not found"),
        ("task list -c", "requires an argument"),
        ("cluster create 'x", "No closing quotation"),
        ("--address http://127.0.0.1:1 --user nobody cluster list", "HANAMI_PW"),
    ],
)
def test_a_users_mistake_is_one_sentence(shell, session, monkeypatch, line, words):
    for name in ("HANAMI_PW", "HANAMI_PASSPHRASE"):
        monkeypatch.delenv(name, raising=False)
    shell.push({"session": session})
    with pytest.raises(UsageError, match=words) as caught:
        shell.run_line_magic("hanami", line)
    assert type(caught.value) is UsageError
    assert "\n" not in str(caught.value)


def test_help_is_returned_not_printed(shell, capsys):
    shown = shell.run_line_magic("hanami", "--help")
    assert "Commands:" in repr(shown)
    assert "list" in repr(shell.run_line_magic("hanami", "dataset"))
    assert capsys.readouterr().out == ""


def offered(shell, text):
    """Return what Tab offers at the end of a text."""
    with provisionalcompleter():
        return {found.text for found in shell.Completer.completions(text, len(text))}


@pytest.mark.parametrize("form", ["%hanami {}", "x = %hanami {}", "%%hanami {}", "a, b = %hanami {}"])
def test_tab(shell, session, template, tmp_path, monkeypatch, form):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "row.template").write_text(template)
    cluster = session.cluster.create_cluster("tabbed", template)
    shell.push({"session": session})
    names = shell.magics_manager.registry["HanamiMagics"].names
    names.of("cluster", session)
    names.settle()
    assert offered(shell, form.format("clus")) == {"cluster"}
    assert {"create", "list", "save"} <= offered(shell, form.format("cluster "))
    assert offered(shell, form.format("cluster create --temp")) == {"--template"}
    assert "row.template" in offered(shell, form.format("cluster create -t r"))
    assert "tabbed" in offered(shell, form.format("cluster get tab"))
    assert cluster["uuid"] in offered(shell, form.format(f"task list -c {cluster['uuid'][:9]}"))
    session.cluster.delete_cluster(cluster["uuid"])


def test_tab_elsewhere_is_left_alone(shell):
    assert "%hanami" in offered(shell, "%hana")
    assert not {"checkpoint", "dataset"} & offered(shell, "print(")


def test_a_template_as_the_body_of_a_cell(shell, session, template):
    shell.push({"session": session})
    made = shell.run_cell_magic("hanami", "cluster create from_cell", template)
    assert session.cluster.get_cluster(made["uuid"])["template"].split() == template.split()
    session.cluster.delete_cluster(made["uuid"])
    bad = template.replace("2,1,1", "2,1,1,")
    line = bad.splitlines().index("    2,1,1,") + 2  # behind the line of the magic
    with pytest.raises(UsageError, match=f"line {line}, column 10: ',' stands where"):
        shell.run_cell_magic("hanami", "cluster create from_cell", bad)


def test_no_password_in_a_cell(shell, session):
    shell.push({"session": session, "secret": "a password of mine"})
    for form in ("-p visible", "--password=visible", "--password visible"):
        with pytest.raises(UsageError, match="saved with the notebook"):
            shell.run_line_magic("hanami", f"user create -n somebody somebody {form}")
    made = shell.run_line_magic("hanami", "user create -n somebody somebody -p {secret}")
    assert made["id"] == "somebody"
    assert "a password of mine" not in str(made.to_dict())
    shell.run_line_magic("hanami", "user delete somebody")


def test_waiting_shows_a_panel(shell, session, template, monkeypatch, tmp_path):
    table = tmp_path / "table.csv"
    table.write_text("x,y\n" + "0.5,1\n0.1,0\n" * 50)
    shell.push({"session": session, "table": session.dataset.upload_csv_files("table", table)})
    shell.run_cell_magic("hanami", "cluster create waited", template)
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    done = shell.run_line_magic(
        "hanami", "task create train --wait -i {table}:x:picture -o {table}:y:label -c waited pass"
    )
    assert done["state"] == "finished"
    assert [type(panel).__name__ for panel in shown] == ["TaskProgress"]
    shown[0].close()
    shell.run_line_magic("hanami", "cluster delete waited")


def test_settings(shell, session):
    shell.push({"session": session})
    shell.run_line_magic("config", "HanamiMagics.poll = 0.1")
    shell.run_line_magic("config", "HanamiMagics.max_rows = 7")
    assert shell.magics_manager.registry["HanamiMagics"].context().poll == 0.1
    with pd.option_context("display.max_rows", 60):
        shell.run_line_magic("hanami", "host list")
        assert pd.get_option("display.max_rows") == 7


def test_a_local_backend_from_the_magic(shell):
    shell.user_ns.pop("session", None)
    mine = shell.run_line_magic("hanami", "local")
    assert shell.user_ns["session"] is mine
    status = shell.run_line_magic("hanami", "local status")
    assert mine.address in status["address"].to_list()
    assert "password" not in status.columns
    assert "answering" in repr(shell.run_line_magic("hanami", "local logs"))
    assert "logged out" in repr(shell.run_line_magic("hanami", "logout"))
    assert "successfully" in repr(shell.run_line_magic("hanami", "local stop"))
    with pytest.raises(UsageError, match="No local backend"):
        shell.run_line_magic("hanami", "local stop")


def test_another_project(shell, server, session):
    from hanami_jupyter.session import connect

    session.user.create_user("commuter", "Commuter", "every morning", False)
    for project in ("first_project", "other_project"):
        session.project.create_project(project, "Project")
        session.user.add_project_to_user("commuter", project, "member", False)
    mine = connect(server.address, "commuter", "every morning")
    shell.push({"session": mine})
    shell.run_line_magic("hanami", "use other_project")
    assert shell.user_ns["session"].project_id == "other_project"
    assert "Delete a cluster" in repr(shell.run_line_magic("hanami", "help cluster delete"))
    mine.close()
    session.user.delete_user("commuter")
    for project in ("first_project", "other_project"):
        session.project.delete_project(project)


def test_tab_in_a_real_kernel(server):
    """Ask a kernel as JupyterLab does when somebody presses Tab."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel(kernel_name="python3", extra_arguments=["--log-level=ERROR"])
    try:
        connect = f"session = hanami.connect({server.address!r}, {server.user!r}, {server.password!r})"
        code = f"%load_ext hanami\nimport hanami\n{connect}\nsession.dataset.list_datasets()"
        assert client.execute(code, reply=True, timeout=60)["content"]["status"] == "ok"
        for line in ("%hanami clust", "x = %hanami clust", "%%hanami clust"):
            reply = client.complete(line, len(line), reply=True, timeout=60)["content"]
            assert "cluster" in reply["matches"]
            assert line[reply["cursor_start"] : reply["cursor_end"]] == "clust"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
