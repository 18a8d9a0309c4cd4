"""The tables, compared with those that the reference document shows."""

import numpy as np
import pandas as pd

from hanami_jupyter.commands import layout
from hanami_jupyter.commands.tree import DATASET, OWNED, PROJECT, TASK, USER

WHEN = pd.Timestamp("2024-07-12 20:52:21", tz="UTC")


def test_object():
    fields = {"creator_id": "asdf", "id": "cli_test_project", "name": "cli test project", "created_at": WHEN}
    assert layout.one(fields, PROJECT) == (
        "+------------+---------------------+\n"
        "| ID         | cli_test_project    |\n"
        "| NAME       | cli test project    |\n"
        "| CREATOR ID | asdf                |\n"
        "| CREATED AT | 2024-07-12 20:52:21 |\n"
        "+------------+---------------------+"
    )


def test_flags_and_lists():
    fields = {
        "id": "cli_test_user",
        "name": "cli test user",
        "is_admin": np.False_,
        "projects": [],
        "creator_id": "asdf",
        "created_at": WHEN,
    }
    assert layout.one(fields, USER).splitlines()[3:5] == [
        "| IS ADMIN   | false               |",
        "| PROJECTS   | []                  |",
    ]


def test_list():
    row = {
        "uuid": "146bacb3-b5bf-485b-a2e8-d1812b57eb63",
        "name": "cli_test_dataset",
        "visibility": "private",
        "owner_id": "asdf",
        "project_id": "admin",
        "created_at": WHEN,
    }
    longer = row | {"name": "cli_test_dataset_train"}
    border = (
        "+--------------------------------------+------------------------+------------+----------+------------"
        "+---------------------+"
    )
    assert layout.many([longer, row], OWNED).splitlines() == [
        border,
        "|                 UUID                 |          NAME          | VISIBILITY | OWNER ID |"
        " PROJECT ID |     CREATED AT      |",
        border,
        "| 146bacb3-b5bf-485b-a2e8-d1812b57eb63 | cli_test_dataset_train | private    | asdf     |"
        " admin      | 2024-07-12 20:52:21 |",
        "| 146bacb3-b5bf-485b-a2e8-d1812b57eb63 | cli_test_dataset       | private    | asdf     |"
        " admin      | 2024-07-12 20:52:21 |",
        border,
    ]


def test_whole_numbers_dictionaries_and_what_is_missing():
    fields = {
        "number_of_rows": 1_000_000,
        "description": {"picture": {"column_start": 0, "column_end": 784}},
        "created_at": pd.NaT,
    }
    lines = layout.one(fields, DATASET).splitlines()
    assert lines[5].split("|")[2].strip() == "1000000"
    assert lines[6].split("|")[2].strip() == '{"picture":{"column_end":784,"column_start":0}}'
    assert lines[-2].split("|")[2].strip() == ""


def test_a_task_that_has_not_ended():
    fields = {"uuid": "2e28e3bb-af45-4fbc-8ce3-c0c9a8e704bc", "state": "active", "end_timestamp": pd.NaT}
    assert layout.one(fields, TASK).splitlines()[-2] == (
        "| END TIMESTAMP          | -                                    |"
    )


def test_content():
    rows = np.array([[0.0163871, 0.002124], [0.9166841, 0.002899]], np.float32)
    assert layout.values(rows, 100) == (
        "+-----+----------+----------+\n"
        "|     |    0     |    1     |\n"
        "+-----+----------+----------+\n"
        "| 100 | 0.016387 | 0.002124 |\n"
        "| 101 | 0.916684 | 0.002899 |\n"
        "+-----+----------+----------+"
    )


def test_an_empty_list_keeps_its_header():
    assert layout.many([], ("uuid", "type")).splitlines()[1] == "| UUID | TYPE |"
