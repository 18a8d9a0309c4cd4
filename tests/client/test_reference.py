"""The reference document: its table walked, and each of its Python examples called in the same form."""

from __future__ import annotations

import asyncio
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import hanami_jupyter

if TYPE_CHECKING:
    from hanami_jupyter.launcher import Running

DOCS = Path(__file__).parents[2] / "docs" / "client.md"
ROWS = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \| `(.+)` \|$", DOCS.read_text("utf-8"), re.MULTILINE)

# Misprints of the reference document, where they stand, and what is meant.
MISPRINTS = {
    "projet_id": ("Create, Get and Delete Project", "project_id"),
    "add_roject_to_user(...)": ("Add project to user: without its module", "user.add_roject_to_user(...)"),
    "remove_project_fromUser(...)": ("Remove project from user", "user.remove_project_fromUser(...)"),
    "project_id (not defined)": ("Remove project from user", "project_id = 'test_project'"),
    "list_projects_of_user(...)": ("List projects of current user", "user.list_projects_of_user(...)"),
    "switch_project(...)": ("Switch project-scrope: likewise", "user.switch_project(...)"),
    "import of request_result for dataset": ("Download Dataset content", "import dataset"),
    "cluster_uuid (not defined)": ("Create Checkpoint of Cluster", "cluster_uuid = ..."),
    "import of direct_io alone": ("direct train, direct request", "import cluster too"),
    "import of json and time": ("Create Train-Task and Request-Task: missing", "import json, time"),
}  # fmt: skip


def _find(name: str) -> Any:
    module, _, function = name.partition(".")
    return getattr(getattr(hanami_jupyter, module), function)


@pytest.mark.parametrize(("reference", "ours", "parameters"), ROWS)
def test_the_table_tells_names_parameters_and_defaults(reference: str, ours: str, parameters: str) -> None:
    assert _find(reference) is _find(ours)
    told = [tuple(part.split("=")) for part in parameters.split(", ")]
    found = [
        (name,) if value.default is value.empty else (name, repr(value.default))
        for name, value in inspect.signature(_find(ours)).parameters.items()
        if value.kind is value.POSITIONAL_OR_KEYWORD
    ]
    assert found == told
    assert told[-1] == ("verify_connection", "True")


def test_the_table_is_complete() -> None:
    assert len(ROWS) == 39
    assert len({reference for reference, _, _ in ROWS}) == len(ROWS)


def test_every_public_name_is_in_the_document() -> None:
    from hanami_jupyter.session import MODULES

    text = DOCS.read_text("utf-8")
    for module in MODULES:
        for name in getattr(hanami_jupyter, module).__all__:
            assert name in text, f"{module}.{name}"


@pytest.fixture(scope="module")
def address(server: Running) -> str:
    return server.address


@pytest.fixture(scope="module")
def token(server: Running) -> str:
    from hanami_jupyter import hanami_token

    address = server.address
    test_user = server.user
    test_pw = server.password

    token = hanami_token.request_token(address, test_user, test_pw)
    return token  # noqa: RET504 - the example's form


def test_exceptions(token: str, address: str) -> None:
    from hanami_jupyter import hanami_exceptions, project

    said = ""
    try:
        project.get_project(token, address, "nowhere")
    except hanami_exceptions.NotFoundException as e:
        said = str(e)
    except hanami_exceptions.UnauthorizedException as e:
        said = f"wrong: {e}"
    except hanami_exceptions.BadRequestException as e:
        said = f"wrong: {e}"
    except hanami_exceptions.ConflictException as e:
        said = f"wrong: {e}"
    except hanami_exceptions.InternalServerErrorException as e:
        said = f"wrong: {e}"
    assert "nowhere" in said
    assert "(404, GET /project)" in said


def test_project(token: str, address: str) -> None:
    from hanami_jupyter import project

    project_id = "test_project"
    project_name = "Test Project"

    result = project.create_project(token, address, project_id, project_name)
    assert {"creator_id", "id", "name"} <= set(result.index)
    assert (result["id"], result["name"]) == (project_id, project_name)

    result = project.get_project(token, address, project_id)
    assert result["name"] == project_name

    result = project.list_projects(token, address)
    assert {"id", "name", "creator_id"} <= set(result.columns)

    assert project.delete_project(token, address, project_id) is None


def test_user(token: str, address: str) -> None:
    from hanami_jupyter.user import (
        add_roject_to_user,
        list_projects_of_user,
        remove_project_fromUser,
        switch_project,
    )

    from hanami_jupyter import project, user

    new_user = "new_user"
    new_id = "new_user"
    new_pw = "asdfasdf"
    is_admin = True

    result = user.create_user(token, address, new_id, new_user, new_pw, is_admin)
    assert result["is_admin"] is True
    assert result["projects"] == []

    user_id = "new_user"
    result = user.get_user(token, address, user_id)
    assert result["name"] == "new_user"

    result = user.list_users(token, address)
    assert {"id", "name", "creator_id", "projects", "is_admin"} <= set(result.columns)

    project_id = "test_project_2"
    project.create_project(token, address, project_id, "Test Project")
    role = "member"
    is_project_admin = True
    result = add_roject_to_user(token,
                                address,
                                user_id,
                                project_id,
                                role,
                                is_project_admin)  # fmt: skip
    assert [entry["project_id"] for entry in result["projects"]] == [project_id]

    result = remove_project_fromUser(token, address, user_id, project_id)
    assert result["projects"] == []

    result = list_projects_of_user(token, address)
    assert list(result.columns) == ["project_id", "role", "is_project_admin"]

    project_id = "admin"
    result = switch_project(token, address, project_id)
    assert isinstance(result, str)

    user.delete_user(token, address, user_id)
    project.delete_project(token, address, "test_project_2")


@pytest.fixture(scope="module")
def train_dataset(token: str, address: str, files: tuple[Path, Path]) -> str:
    from hanami_jupyter import dataset

    train_dataset_name = "train_test_dataset"
    train_inputs = str(files[0])
    train_labels = str(files[1])

    dataset_uuid = dataset.upload_mnist_files(token, address, train_dataset_name, train_inputs, train_labels)
    return dataset_uuid  # noqa: RET504 - the example's form


@pytest.fixture(scope="module")
def cluster_of_example(token: str, address: str) -> str:
    from hanami_jupyter import cluster

    cluster_name = "test_cluster"
    cluster_template = (
        "version: 1\n"
        "settings:\n"
        "    neuron_cooldown: 10000000.0\n"
        "    refractory_time: 1\n"
        "    max_connection_distance: 1\n"
        "    enable_reduction: false\n"
        "hexagons:\n"
        "    1,1,1\n"
        "    2,1,1\n"
        "    3,1,1\n"
        "    \n"
        "inputs:\n"
        "    picture_hex: 1,1,1\n"
        "\n"
        "outputs:\n"
        "    label_hex: 3,1,1\n"
    )
    result = cluster.create_cluster(token, address, cluster_name, cluster_template)  # fmt: skip
    assert {"name", "owner_id", "project_id", "uuid", "visibility"} <= set(result.index)
    return str(result["uuid"])


def test_dataset(token: str, address: str, train_dataset: str, tmp_path: Path) -> None:
    from hanami_jupyter import dataset

    (tmp_path / "test-file.csv").write_text("test_input,test_output\n1.0,2.0\n3.0,true\n")
    train_dataset_name = "train_test_dataset"
    train_inputs = str(tmp_path / "test-file.csv")
    dataset_uuid = dataset.upload_csv_files(token, address, train_dataset_name, train_inputs)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", dataset_uuid)

    result = dataset.get_dataset(token, address, dataset_uuid)
    assert (result["number_of_rows"], result["number_of_columns"]) == (2, 2)

    result = dataset.list_datasets(token, address)
    assert {dataset_uuid, train_dataset} <= set(result["uuid"])

    dataset.delete_dataset(token, address, dataset_uuid)
    assert dataset_uuid not in set(dataset.list_datasets(token, address)["uuid"])


def test_cluster(token: str, address: str, cluster_of_example: str) -> None:
    from hanami_jupyter import checkpoint, cluster, hanami_exceptions, hosts, task

    cluster_uuid = cluster_of_example
    result = cluster.get_cluster(token, address, cluster_uuid)
    assert result["visibility"] == "private"
    result = cluster.list_clusters(token, address)
    assert cluster_uuid in set(result["uuid"])

    checkpoint_name = "test_checkpoint"
    result = cluster.save_cluster(token, address, checkpoint_name, cluster_uuid)
    assert result["name"] == checkpoint_name
    checkpoint_uuid = result["uuid"]
    task.wait(token, address, checkpoint_uuid, cluster_uuid)

    result = cluster.restore_cluster(token, address, checkpoint_uuid, cluster_uuid)
    task.wait(token, address, result["uuid"], cluster_uuid)

    result = checkpoint.list_checkpoints(token, address)
    assert {"uuid", "project_id", "owner_id", "visibility", "name"} <= set(result.columns)
    checkpoint.delete_checkpoint(token, address, checkpoint_uuid)

    result = hosts.list_hosts(token, address)
    host_uuid = result["uuid"][0]
    try:
        result = cluster.switch_host(token, address, cluster_uuid, host_uuid)
        assert result["uuid"] == cluster_uuid
    except hanami_exceptions.ConflictException as e:
        assert "host" in str(e).lower()  # noqa: PT017 - it is there already


def test_task(token: str, address: str, train_dataset: str, cluster_of_example: str) -> None:
    import time

    from hanami_jupyter import dataset, request_result, task

    task_name = "test_task"
    cluster_uuid = cluster_of_example
    inputs = [
        {
            "dataset_uuid": train_dataset,
            "dataset_column": "picture",
            "hexagon_name": "picture_hex"
        }
    ]  # fmt: skip

    outputs = [
        {
            "dataset_uuid": train_dataset,
            "dataset_column": "label",
            "hexagon_name": "label_hex"
        }
    ]  # fmt: skip

    result = task.create_train_task(token,
                                    address,
                                    task_name,
                                    cluster_uuid,
                                    inputs,
                                    outputs)  # fmt: skip
    task_uuid = result["uuid"]

    finished = False
    while not finished:
        result = task.get_task(token, address, task_uuid, cluster_uuid)
        finished = result["state"] == "finished"
        time.sleep(0.01)
    assert result["percentage_finished"] == 1.0

    results = [
        {
            "dataset_column": "test_output",
            "hexagon_name": "label_hex"
        }
    ]  # fmt: skip
    result = task.create_request_task(token,
                                      address,
                                      task_name,
                                      cluster_uuid,
                                      inputs,
                                      results)  # fmt: skip
    task_uuid = result["uuid"]
    finished = False
    while not finished:
        result = task.get_task(token, address, task_uuid, cluster_uuid)
        finished = result["state"] == "finished"
        time.sleep(0.01)

    result = task.list_tasks(token, address, cluster_uuid)
    assert {"uuid", "state", "percentage", "queued", "start", "end"} <= set(result.columns)
    assert task_uuid in set(result["uuid"])

    dataset_uuid = task_uuid
    reference_dataset_uuid = train_dataset
    result = request_result.check_mnist_dataset(token,
                                                address,
                                                dataset_uuid,
                                                reference_dataset_uuid)  # fmt: skip
    assert 0 <= result["accuracy"] <= 100

    column_name = "test_output"
    result = dataset.download_dataset_content(token,
                                              address,
                                              dataset_uuid,
                                              column_name,
                                              2,    # number of rows
                                              10)  # offset  # fmt: skip
    assert result.shape == (2, 10)

    assert task.delete_task(token, address, task_uuid, cluster_uuid) is None


def test_direct_io(token: str, address: str) -> None:
    from hanami_jupyter import cluster, direct_io

    template = "version: 1\nsettings:\n    refractory_time: 1\nhexagons:\n    1,1,1\n    2,1,1\n    3,1,1\n"
    template += "inputs:\n    test_input: 1,1,1\noutputs:\n    test_output: 3,1,1\n"
    cluster_uuid = cluster.create_cluster(token, address, "direct cluster", template)["uuid"]

    async def train() -> None:
        input_values = [0.0, 2.0, 0.0, 10.0, 0.5]
        exprected_values = [1.0, 0.0]

        ws = await cluster.switch_to_direct_mode(token, address, cluster_uuid)

        await direct_io.send_train_input(ws, "test_input", input_values, False)
        await direct_io.send_train_input(ws, "test_output", exprected_values, True)

        await ws.close()

        cluster.switch_to_task_mode(token, address, cluster_uuid)

    async def request() -> Any:
        input_values = [0.0, 2.0, 0.0, 10.0, 0.5]

        ws = await cluster.switch_to_direct_mode(token, address, cluster_uuid)

        output_values = await direct_io.send_request_input(ws, "test_input", input_values, True)

        await ws.close()

        cluster.switch_to_task_mode(token, address, cluster_uuid)
        return output_values

    asyncio.run(train())
    output_values = asyncio.run(request())
    assert len(output_values) == 2
    assert output_values.dtype == np.float32


def test_insecure_by_position(token: str, address: str, train_dataset: str, cluster_of_example: str) -> None:
    """``f(token, address, …, False)`` switches the check off; also where the SDK has ``timeLength`` there."""
    from hanami_jupyter import cluster, dataset, hosts, task

    assert len(hosts.list_hosts(token, address, False)) >= 1
    assert cluster.get_cluster(token, address, cluster_of_example, False)["name"] == "test_cluster"
    inputs = [{"dataset_uuid": train_dataset, "dataset_column": "picture", "hexagon_name": "picture_hex"}]
    outputs = [{"dataset_uuid": train_dataset, "dataset_column": "label", "hexagon_name": "label_hex"}]
    made = task.create_train_task(token, address, "by position", cluster_of_example, inputs, outputs, False)
    assert made["total_number_of_cycles"] == 20
    longer = task.create_train_task(
        token, address, "longer", cluster_of_example, inputs, outputs, timeLength=3
    )
    assert longer["total_number_of_cycles"] == 18
    assert dataset.download_dataset_content(token, address, train_dataset, "label", 1, 0, False).shape == (
        1,
        10,
    )


def test_keywords_of_the_sdk(token: str, address: str) -> None:
    from hanami_jupyter import dataset, user

    made = user.create_user(token, address, "other_user", "Other", passwort="asdfasdf", is_admin=False)
    assert made["is_admin"] is False
    user.delete_user(token, address, "other_user")
    uuid = dataset.upload_csv_files(token, address, "to delete", b"a,b\n1,2\n")
    dataset.delete_dataset(token, address, checkpoint_uuid=uuid)
    with pytest.raises(TypeError, match="mean the same"):
        dataset.delete_dataset(token, address, checkpoint_uuid=uuid, dataset_uuid=uuid)
