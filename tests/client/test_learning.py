"""Training and asking: by direct messages and by tasks, in one call and row by row."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from hanami_jupyter import cluster, direct_io
from hanami_jupyter import hanami_exceptions as exceptions
from hanami_jupyter.client.direct_io import DirectIO
from hanami_jupyter.client.token import Token

if TYPE_CHECKING:
    from hanami_jupyter.session import Session

TWO = """\
version: 1
settings:
    refractory_time: 1
hexagons:
    1,1,1
    2,1,1
    3,1,1
    2,2,1
inputs:
    left: 1,1,1
outputs:
    right: 3,1,1
    below: 2,2,1
"""


def _digits(rows: int) -> tuple[Any, Any]:
    digits = np.arange(rows) % 10
    images = np.zeros((rows, 28, 28), np.float32)
    for row, digit in enumerate(digits):
        images[row, 2 * digit + 3 : 2 * digit + 6] = 255
    return images.reshape(rows, -1), digits


def test_whole_arrays_are_learned_directly(session: Session, cluster_uuid: str) -> None:
    images, digits = _digits(600)
    with session.direct(cluster_uuid) as io:
        io.train(images, np.eye(10)[digits])
        answers = io.request(images[:50])
        one = io.request(images[0])
    assert answers.shape == (50, 10)
    assert answers.dtype == np.float32
    assert (answers.argmax(axis=1) == digits[:50]).mean() > 0.9
    assert np.array_equal(one, answers[0])
    assert session.cluster.get_cluster(cluster_uuid)["mode"] == "TASK"


def test_a_direct_connection_outlives_its_token(session: Session, cluster_uuid: str) -> None:
    with session.direct(cluster_uuid):
        session._token = Token("refused." * 3)
    assert session.cluster.get_cluster(cluster_uuid)["mode"] == "TASK"


def test_directly_and_by_tasks_is_the_same(session: Session, cluster_uuid: str, dataset_uuid: str) -> None:
    session.fit(cluster_uuid, dataset_uuid)
    images = session.dataset.download_dataset(dataset_uuid, "picture")
    assert np.allclose(session.predict(cluster_uuid, images), session.predict(cluster_uuid, dataset_uuid))


def test_no_training_begins_inside_a_direct_connection(
    session: Session, cluster_uuid: str, dataset_uuid: str
) -> None:
    with (
        session.direct(cluster_uuid),
        pytest.raises(exceptions.ConflictException, match=r"in direct mode.*Leave the 'with session.direct"),
    ):
        session.fit(cluster_uuid, dataset_uuid)
    session.fit(cluster_uuid, dataset_uuid)


def test_objects_stand_for_their_uuids(session: Session, cluster_uuid: str, dataset_uuid: str) -> None:
    cluster, dataset = session.cluster.get_cluster(cluster_uuid), session.dataset.get_dataset(dataset_uuid)
    session.fit(cluster, dataset, test=dataset)
    assert np.array_equal(session.predict(cluster, dataset), session.predict(cluster_uuid, dataset_uuid))
    with session.direct(cluster) as io:
        assert io.request(np.zeros(784)).shape == (10,)


def test_rows_of_another_width_are_refused(session: Session, cluster_uuid: str, dataset_uuid: str) -> None:
    session.fit(cluster_uuid, dataset_uuid)
    narrow = session.dataset.upload_data("narrow", np.zeros((3, 700), np.uint8))
    words = r"have 700 values for input 'picture', but the cluster has learned with 784\."
    for rows in (np.zeros(700), np.zeros((3, 700)), {"picture": np.zeros((3, 700))}, narrow):
        with pytest.raises(exceptions.BadRequestException, match=words):
            session.predict(cluster_uuid, rows)
    session.dataset.delete_dataset(narrow)
    assert session.cluster.get_cluster(cluster_uuid)["mode"] == "TASK"


def test_fit_tells_accuracy_and_time_of_each_epoch(
    session: Session, cluster_uuid: str, dataset_uuid: str
) -> None:
    seen: list[float] = []
    table = session.fit(
        cluster_uuid, dataset_uuid, 2, test=dataset_uuid,
        callback=lambda task: seen.append(task["percentage_finished"]),
    )  # fmt: skip
    assert table.index.name == "epoch"
    assert list(table.columns) == ["accuracy", "seconds"]
    assert table["accuracy"].between(0, 100).all()
    assert (table["seconds"] > 0).all()
    assert seen[-1] == 1.0
    tasks = session.task.list_tasks(cluster_uuid)
    assert len(tasks) == 2  # the trainings; requests and their results are taken away
    assert list(session.fit(cluster_uuid, dataset_uuid).columns) == ["seconds"]


def test_hexagons_and_columns_of_other_names(session: Session, dataset_uuid: str, template: str) -> None:
    other = template.replace("picture:", "eye:").replace("label:", "word:")
    uuid = session.cluster.create_cluster("other names", other)["uuid"]
    assert len(session.fit(uuid, dataset_uuid)) == 1
    assert len(session.fit(uuid, dataset_uuid, inputs={"eye": "picture"}, outputs={"word": "label"})) == 1
    table = session.dataset.upload_csv_files("three columns", b"a,b,c\n1,2,3\n")
    for options, words in (
        ({}, r"Hexagon 'eye' has no column of its name.*columns=\{'eye': \['a', 'b'\], …\}"),
        ({"inputs": {"eye": ["a", "b"]}}, r"'eye' takes one column.*columns=\{'eye': \['a', 'b'\], …\}"),
        ({"inputs": {"eya": "a"}}, r"no input 'eya'\. Did you mean 'eye'\?"),
        ({"inputs": {"eye": "a"}, "outputs": {"wrod": "b"}}, r"no output 'wrod'\. Did you mean 'word'\?"),
        ({"inputs": {"eye": "d"}}, r"no column 'd' for hexagon 'eye'\. There are 'a', 'b', 'c'\."),
    ):
        with pytest.raises(exceptions.BadRequestException, match=words):
            session.fit(uuid, table, **options)
    session.cluster.delete_cluster(uuid)
    session.dataset.delete_dataset(table)


def test_several_outputs(session: Session) -> None:
    uuid = session.cluster.create_cluster("two outputs", TWO)["uuid"]
    with session.direct(uuid) as io:
        io.train([1.0, 2.0], {"right": [1.0], "below": [0.0, 1.0]})
        answers = io.request(np.ones((70, 2)))
        assert {name: values.shape for name, values in answers.items()} == {
            "right": (70, 1),
            "below": (70, 2),
        }
        with pytest.raises(exceptions.BadRequestException, match=r"outputs are (right, below|below, right)"):
            io.train([1.0, 2.0], [1.0])
        assert set(io.request([1.0, 2.0])) == {"right", "below"}
    session.cluster.delete_cluster(uuid)


def test_wrong_rows_are_told(session: Session, cluster_uuid: str) -> None:
    with session.direct(cluster_uuid) as io:
        with pytest.raises(exceptions.BadRequestException, match="picture 3, label 2"):
            io.train(np.zeros((3, 784)), np.zeros((2, 10)))
        with pytest.raises(exceptions.BadRequestException, match="WEBSOCKET"):
            io.train({"no such hexagon": np.zeros(3)}, np.zeros(10))
        io.train(np.zeros(784), np.eye(10)[0])  # the connection goes on
        assert io.request(np.zeros((0, 784))).size == 0


def test_what_is_no_number_is_named(session: Session, cluster_uuid: str) -> None:
    table = pd.DataFrame({"width": [1.0, 2.0, np.nan], "species": ["rose", "fern", "moss"]}, index=[5, 6, 7])
    for rows, words in (
        (table, r"Column 'species' holds 'rose' in row 5, .* Turn it into numbers"),
        (table[["width"]], r"Row 7, column 'width' for hexagon 'picture' is missing"),
        (np.array([[1.0, 2.0], [3.0, np.inf]]), r"Row 1, value 1 for hexagon 'picture' is missing"),
        ([[1, 2], [3]], r"'picture' are no numbers of one width\. Give an array"),
    ):
        with pytest.raises(exceptions.InvalidDataException, match=words):
            session.predict(cluster_uuid, rows)  # and each time the connection is free at once
    with session.direct(cluster_uuid) as io:
        for act in (lambda: session.predict(cluster_uuid, [1.0]), lambda: session.direct(cluster_uuid)):
            with pytest.raises(exceptions.ConflictException, match="Use its train and request, or leave"):
                act()
        assert io.request([1.0]).shape == (0,)


def test_an_interrupted_array_leaves_nothing_behind(session: Session, cluster_uuid: str) -> None:
    images, digits = _digits(100)
    with session.direct(cluster_uuid) as io:
        io.train(images, np.eye(10)[digits])
        expected = io.request(images[3])
        rows = io._pipeline([("picture", images, 0)], 0, len(images))
        next(rows)
        rows.close()  # as Ctrl-C does
        assert np.array_equal(_when_free(io, images[3]), expected)


def _when_free(io: DirectIO, row: Any) -> Any:
    """Ask once the server has noticed that the old connection is gone."""
    import time

    for _ in range(40):
        try:
            return io.request(row)
        except exceptions.HanamiException:
            time.sleep(0.05)
    return io.request(row)


def test_the_form_of_the_sdk_with_five_arguments(session: Session, cluster_uuid: str) -> None:
    async def main() -> Any:
        ws = await cluster.switch_to_direct_mode(session.token, session.address, cluster_uuid, False)
        for _ in range(3):
            await direct_io.send_train_input(ws, "picture", [0.0] * 784, True, False, False)
            await direct_io.send_train_input(ws, "label", [1.0] + [0.0] * 9, False, True, False)
        answer = await direct_io.send_request_input(ws, "picture", [0.0] * 784, True, False)
        assert await direct_io.send_request_input(ws, "picture", [0.0] * 784, False) is None
        await ws.close()
        cluster.switch_to_task_mode(session.token, session.address, cluster_uuid, False)
        return answer

    assert asyncio.run(main()).shape == (10,)


def test_the_side_of_a_hexagon_without_the_server_s_help() -> None:
    """Where GET cluster tells nothing: the template this process knows, else ``is_last``."""
    from hanami_jupyter.protocol.template import parse

    sent: list[tuple[str, bool, int]] = []

    class Silent(DirectIO):
        def __init__(self) -> None:
            self.cluster_uuid, self._names = "u", None

        def names(self) -> tuple[list[str], list[str]]:
            known = self.templates.get(self.cluster_uuid)
            return (list(known.inputs), list(known.outputs)) if known else ([], [])

        def exchange(self, name: str, _values: Any, *, last: bool, process: int, target: int) -> list[bytes]:
            sent.append((name, last, target))
            return []

    ws = direct_io.Connection(Silent())
    asyncio.run(direct_io.send_train_input(ws, "left", [1.0], True))
    asyncio.run(direct_io.send_train_input(ws, "right", [1.0], False))
    DirectIO.templates["u"] = parse(TWO)
    asyncio.run(direct_io.send_train_input(ws, "left", [1.0], True))
    asyncio.run(direct_io.send_train_input(ws, "right", [1.0], False))
    del DirectIO.templates["u"]
    assert sent == [("left", True, 2), ("right", False, 0), ("left", True, 0), ("right", False, 2)]


def test_direct_functions_work_inside_a_running_loop(session: Session, cluster_uuid: str) -> None:
    async def cell() -> Any:
        found, waited = await asyncio.gather(asyncio.to_thread(session.hosts.list_hosts), asyncio.sleep(0))
        ws = await session.cluster.switch_to_direct_mode(cluster_uuid)
        await ws.close()
        session.cluster.switch_to_task_mode(cluster_uuid)
        return found, waited

    assert len(asyncio.run(cell())[0]) >= 1


def test_classes_as_whole_numbers_are_refused_before_a_training(session: Session, cluster_uuid: str) -> None:
    images, digits = _digits(30)
    dataset = session.dataset.upload_data("whole numbers", {"picture": images, "label": digits})
    with pytest.raises(exceptions.InvalidDataException, match=r"'label' has the value 2 in row 2"):
        session.fit(cluster_uuid, dataset)
    assert session.task.list_tasks(cluster_uuid).empty


def test_columns_of_another_width_are_refused_before_a_training(
    session: Session, cluster_uuid: str, dataset_uuid: str
) -> None:
    images, digits = _digits(30)
    session.fit(cluster_uuid, dataset_uuid)
    wide = session.dataset.upload_data("wide", np.zeros((30, 900)), digits)
    with pytest.raises(exceptions.BadRequestException, match=r"900 values a row, .* 'picture' with 784\."):
        session.fit(cluster_uuid, wide)
    few = session.dataset.upload_data("few classes", {"picture": images, "label": np.eye(5)[digits % 5]})
    with pytest.raises(exceptions.BadRequestException, match=r"'label' has 5 values a row in the test .* 10"):
        session.fit(cluster_uuid, dataset_uuid, test=few)
    other = session.dataset.upload_data("another name", {"picture": images, "labels": np.eye(10)[digits]})
    with pytest.raises(exceptions.BadRequestException, match=r"no column 'label'\. Did you mean 'labels'\?"):
        session.fit(cluster_uuid, dataset_uuid, test=other)
    assert len(session.task.list_tasks(cluster_uuid)) == 1
    for uuid in (wide, few, other):
        session.dataset.delete_dataset(uuid)


TABLE = pd.DataFrame({"area": np.linspace(0, 1, 200), "price": np.linspace(0.2, 0.8, 200)})


def test_numbers_are_checked_by_their_error(session: Session, cluster_uuid: str) -> None:
    train, test = session.dataset.upload_data("houses", TABLE, test_size=0.25)
    history = session.fit(cluster_uuid, train, epochs=3, test=test)
    assert list(history.columns) == ["error", "seconds"]
    expected = session.dataset.download_dataset(test, "price")
    error = abs(session.predict(cluster_uuid, test) - expected).mean()
    assert history["error"].iloc[-1] == pytest.approx(error, rel=1e-5)


def test_what_was_not_uploaded_is_refused(session: Session, cluster_uuid: str) -> None:
    pair = session.dataset.upload_data("houses", TABLE, test_size=0.25)
    with pytest.raises(exceptions.BadRequestException, match=r"train is a DataFrame.*Upload it first"):
        session.fit(cluster_uuid, TABLE)
    with pytest.raises(exceptions.BadRequestException, match="test is a DataFrame"):
        session.fit(cluster_uuid, pair[0], test=TABLE)
    with pytest.raises(exceptions.BadRequestException, match=r"train is a pair.*train, test ="):
        session.fit(cluster_uuid, pair)
    with pytest.raises(exceptions.BadRequestException, match="data is a pair"):
        session.predict(cluster_uuid, pair)


def test_a_cluster_that_was_never_trained_answers_nothing(session: Session, cluster_uuid: str) -> None:
    uuid = session.dataset.upload_data("houses", TABLE)
    for data in (uuid, TABLE[["area"]]):
        with pytest.raises(exceptions.BadRequestException, match="has learned nothing yet"):
            session.predict(cluster_uuid, data)
