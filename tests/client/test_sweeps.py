"""Sweeps: what they return, what they find again, and what they survive; on a real backend."""

from __future__ import annotations

import math
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from hanami_jupyter import hanami_exceptions as exceptions
from hanami_jupyter import template_grid
from hanami_jupyter.session import connect
from hanami_jupyter.sweeps import Bar, Network, cores, follower

if TYPE_CHECKING:
    from hanami_jupyter.launcher import Running
    from hanami_jupyter.session import Session

GRID = template_grid(width=[1, 2], depth=[3, 4])
NAMES = list(GRID)
FEW = template_grid(width=[1, 2], depth=3)
Look = Callable[[Sequence[Network]], object]


@pytest.fixture(scope="module")
def data(session: Session) -> Iterator[tuple[str, str]]:
    """Rows to learn that take a moment, and a few to test with."""
    rng = np.random.default_rng(0)
    rows = rng.random((4000, 40), dtype=np.float32)
    classes = np.eye(2)[(rows[:, :20].sum(axis=1) > rows[:, 20:].sum(axis=1)).astype(int)]
    made = [
        session.dataset.upload_data(name, {"picture": rows[:count], "label": classes[:count]})
        for name, count in (("rows to learn", 4000), ("rows to test", 500))
    ]
    yield made[0], made[1]
    for uuid in made:
        session.dataset.delete_dataset(uuid)


@pytest.fixture(autouse=True)
def no_clusters(session: Session) -> Iterator[None]:
    yield
    for uuid in session.cluster.list_clusters()["uuid"]:
        session.cluster.delete_cluster(uuid)


def once(condition: Callable[[Network], bool], act: Callable[[Network], object]) -> Look:
    """Act the first time that a network is as said."""
    done: list[Network] = []

    def look(networks: Sequence[Network]) -> None:
        for network in networks:
            if not done and condition(network):
                done.append(network)
                act(network)

    return look


def interrupt(_: Network) -> None:
    signal.raise_signal(signal.SIGINT)


def datasets(session: Session) -> set[str]:
    return set(session.dataset.list_datasets()["uuid"])


def test_a_row_for_each_template_and_seed(session: Session, data: tuple[str, str]) -> None:
    before = datasets(session)
    table = session.sweep(GRID, *data, epochs=2, seeds=[7, 8], progress=False)
    assert table["template"].to_list() == [name for name in NAMES for _ in range(2)]
    assert table["seed"].to_list() == [7, 8] * 4
    assert table[["width", "depth"]].drop_duplicates().to_numpy().tolist() == [[1, 3], [1, 4], [2, 3], [2, 4]]
    assert set(table["state"]) == {"finished"}
    assert table["epochs"].eq(2).all()
    assert table["accuracy"].between(60, 100).all()
    assert (table["seconds"] > 0).all()
    for row in table.itertuples():
        about = session.cluster.get_cluster(row.uuid)
        assert about["number_of_synapses"] == row.synapses
        assert about["memory_bytes"] == row.memory_bytes
        assert about["seed"] == row.seed
        assert len(session.task.list_tasks(row.uuid)) == 2  # the tests are taken away
    assert datasets(session) == before


def test_the_same_as_one_after_another_and_the_same_again(session: Session, data: tuple[str, str]) -> None:
    first = session.sweep(FEW, *data, epochs=2, seeds=[3], progress=False)
    again = session.sweep(FEW, *data, epochs=2, seeds=[3], replace=True, progress=False)
    assert set(first["uuid"]).isdisjoint(again["uuid"])
    columns = ["accuracy", "synapses"]
    assert first[columns].equals(again[columns])
    for name, accuracy in zip(FEW, first["accuracy"], strict=True):
        alone = session.cluster.create_cluster("alone", FEW[name], seed=3, replace=True)
        assert session.fit(alone["uuid"], data[0], 2, test=data[1])["accuracy"].iloc[-1] == accuracy


def test_the_accuracy_after_each_pass(session: Session, data: tuple[str, str]) -> None:
    before = datasets(session)
    table = session.sweep(FEW, *data, epochs=3, history=True, progress=False)
    for row in table.itertuples():
        alone = session.cluster.create_cluster("alone", FEW[row.template], replace=True)
        fitted = session.fit(alone["uuid"], data[0], 3, test=data[1])
        assert row.accuracies == fitted["accuracy"].to_list()
        assert len(session.task.list_tasks(row.uuid)) == 3  # the tests are taken away
    assert datasets(session) == before
    again = session.sweep(FEW, *data, epochs=3, history=True, progress=False)
    assert again["accuracy"].equals(table["accuracy"])
    assert [[math.isnan(value) for value in row] for row in again["accuracies"]] == [[True, True, False]] * 2


def test_a_second_call_finds_what_is_there(session: Session, data: tuple[str, str]) -> None:
    first = session.sweep(FEW, *data, progress=False)
    again = session.sweep(dict(reversed(FEW.items())), *data, progress=False)
    assert again["uuid"].to_list() == first["uuid"].to_list()[::-1]
    assert session.sweep(FEW, *data, epochs=2, progress=False)["uuid"].isin(first["uuid"]).sum() == 0
    with_seed = session.sweep(FEW, *data, seeds=1, progress=False)
    assert with_seed["uuid"].isin(first["uuid"]).sum() == 0


def test_an_interrupted_sweep_keeps_what_is_finished_and_goes_on(
    session: Session, data: tuple[str, str]
) -> None:
    seen: list[tuple[str | None, str]] = []

    def look(networks: Sequence[Network]) -> None:
        seen[:] = [(network.cluster, network.state) for network in networks]
        stop(networks)

    stop = once(lambda network: network.state == "finished", interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.sweep(GRID, *data, parallel=1, progress=look)
    done = {cluster for cluster, state in seen if state == "finished"}
    assert len(done) == 1
    assert {state for _, state in seen} == {"finished", "stopped"}
    so_far = session.sweep(GRID, *data, parallel=0, progress=False)
    assert set(so_far.loc[so_far["state"] == "finished", "uuid"]) == done
    assert so_far["accuracy"].notna().sum() == 1
    table = session.sweep(GRID, *data, progress=False)
    assert set(table["state"]) == {"finished"}
    assert done <= set(table["uuid"])


def test_a_pass_under_way_goes_on_and_counts(session: Session, data: tuple[str, str]) -> None:
    before = datasets(session)
    one = {"one": GRID[NAMES[-1]]}
    stop = once(lambda network: network.state == "training" and network.epoch >= 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        session.sweep(one, *data, epochs=6, progress=stop)
    (cluster,) = session.cluster.list_clusters()["uuid"]
    assert not session.task.list_tasks(cluster)["state"].eq("queued").any()
    finished = session.sweep(one, *data, epochs=6, progress=False).iloc[0]
    assert (finished["uuid"], finished["epochs"]) == (cluster, 6)
    assert len(session.task.list_tasks(cluster)) == 6
    anew = session.sweep(one, *data, epochs=6, replace=True, progress=False).iloc[0]
    assert anew["accuracy"] == finished["accuracy"]
    assert datasets(session) == before


def test_a_failing_template_does_not_stop_the_others(session: Session, data: tuple[str, str]) -> None:
    (blind,) = template_grid(2, 3, inputs=["picture", "other"]).values()
    broken = FEW | {"broken": "version: 2", "blind": blind}
    table = session.sweep(broken, *data, progress=False).set_index("template")
    assert table["state"].to_list() == ["finished", "finished", "failed", "failed"]
    assert "Version 2 is not known" in table["reason"]["broken"]
    assert "Hexagon 'other' has no column of its name" in table["reason"]["blind"]
    assert table["width"].isna().to_list() == [False, False, True, True]
    assert table["accuracy"].isna().to_list() == [False, False, True, True]
    with pytest.raises(exceptions.BadRequestException, match="Version 2 is not known"):
        session.sweep({"broken": "version: 2"}, *data, progress=False)


def test_what_the_server_refuses_is_told(session: Session, data: tuple[str, str]) -> None:
    eye = FEW[NAMES[0]].replace("picture:", "eye:")
    links = {"inputs": {"picture": "picture"}, "outputs": {"label": "label"}}
    table = session.sweep(FEW | {"eye": eye}, *data, **links, progress=False)
    assert table["state"].to_list() == ["finished", "finished", "failed"]
    assert "has no input 'picture'" in table["reason"].iloc[-1]


def test_an_aborted_task_is_tried_once_more(session: Session, data: tuple[str, str]) -> None:
    def abort(network: Network) -> None:
        tasks = session.task.list_tasks(network.cluster)
        for uuid in tasks.loc[tasks["state"] == "active", "uuid"]:
            session.task.delete_task(uuid, network.cluster)

    def training(network: Network) -> bool:
        return network.state == "training" and 0 < network.share < 1

    expected = session.sweep(GRID, *data, epochs=5, progress=False)
    table = session.sweep(GRID, *data, epochs=5, replace=True, progress=once(training, abort))
    assert table["accuracy"].equals(expected["accuracy"])
    assert set(table["state"]) == {"finished"}

    def always(networks: Sequence[Network]) -> None:
        if networks[-1].state == "training":
            abort(networks[-1])

    table = session.sweep(GRID, *data, epochs=5, replace=True, progress=always)
    assert table["state"].to_list() == ["finished"] * 3 + ["failed"]
    assert re.search("was (aborted|deleted)", table["reason"].iloc[-1])


def test_a_broken_connection_is_outlived(server: Running, proxy: Any, data: tuple[str, str]) -> None:
    def harm(_: Network) -> None:
        proxy.reset_after, proxy.harm = 0, 8

    with connect(proxy.address, server.user, server.password) as session:
        look = once(lambda network: network.state == "training", harm)
        table = session.sweep(GRID, *data, epochs=2, progress=look)
    assert proxy.harm == 0
    assert set(table["state"]) == {"finished"}
    assert table["uuid"].nunique() == 4
    with connect(server.address, server.user, server.password) as session:
        assert len(session.cluster.list_clusters()) == 4


def test_a_server_that_is_gone_is_told(
    server: Running, proxy: Any, data: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from hanami_jupyter import sweeps

    monkeypatch.setattr(sweeps, "PATIENCE", 0.1)
    with connect(proxy.address, server.user, server.password) as session:
        look = once(lambda network: network.state == "training", lambda _: setattr(proxy, "reset_after", 0))
        with pytest.raises(exceptions.ConnectionException):
            session.sweep(GRID, *data, progress=look)


def test_all_cores_work_and_no_more_than_wanted(session: Session, data: tuple[str, str]) -> None:
    places = cores(session)
    assert set(places) == set(session.hosts.list_hosts()["uuid"])
    most = 0

    def count(networks: Sequence[Network]) -> None:
        nonlocal most
        at_work = (network.state == "training" and network.share < 1 for network in networks)
        most = max(most, sum(at_work))

    table = session.sweep(GRID, *data, epochs=3, progress=count)
    assert most == sum(places.values())
    homes = {session.cluster.get_cluster(uuid)["host_uuid"] for uuid in table["uuid"]}
    assert homes == set(places)
    most = 0
    session.sweep(GRID, *data, replace=True, parallel=1, progress=count)
    assert most == 1


def test_only_what_is_to_be_kept_stays(session: Session, data: tuple[str, str]) -> None:
    table = session.sweep(GRID, *data, keep=1, progress=False)
    kept = table[table["uuid"].notna()]
    assert kept["accuracy"].to_list() == [table["accuracy"].max()]
    assert session.cluster.list_clusters()["uuid"].to_list() == kept["uuid"].to_list()
    assert session.sweep(GRID, *data, keep=False, progress=False)["uuid"].isna().all()
    assert session.cluster.list_clusters().empty


def test_without_a_test_there_is_no_accuracy(session: Session, data: tuple[str, str]) -> None:
    table = session.sweep(list(FEW.values()), data[0], progress=False)
    assert table["template"].to_list() == ["template 1", "template 2"]
    assert table["accuracy"].isna().all()
    assert (table["synapses"] > 0).all()


@pytest.mark.parametrize(
    ("templates", "more", "says"),
    [
        ({}, {}, "at least one template"),
        (FEW, {"seeds": []}, "at least one template and one seed"),
        ({"one": FEW[NAMES[0]], "two": f"# the same\n{FEW[NAMES[0]]}"}, {}, "'one' and 'two' are the same"),
    ],
)
def test_what_makes_no_sweep_is_said(
    session: Session, data: tuple[str, str], templates: Any, more: Any, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        session.sweep(templates, *data, **more)
    with pytest.raises(exceptions.NotFoundException):
        session.sweep(FEW, "00000000-0000-0000-0000-000000000000")


def test_a_terminal_shows_a_bar_and_a_pipe_nothing(
    session: Session, data: tuple[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    session.sweep(FEW, *data, keep=False)
    assert capfd.readouterr() == ("", "")
    assert not isinstance(follower(), Bar)
    session.sweep(FEW, *data, progress=Bar())
    said = capfd.readouterr().err
    assert "2/2" in said
    assert "best " in said


def test_progress_only_grows(session: Session, data: tuple[str, str]) -> None:
    shares: list[float] = []
    table = session.sweep(
        {"one": GRID[NAMES[-1]]}, *data, epochs=3, progress=lambda networks: shares.append(networks[0].share)
    )
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    assert not math.isnan(table["accuracy"].iloc[0])
