"""Cards of clusters, datasets, tasks and checkpoints: what they show, and that they stay Series."""

from __future__ import annotations

import copy
import html
import pickle
import re

import numpy as np
import pandas as pd
import pytest

from hanami_jupyter.client.cards import Uuid, card
from hanami_jupyter.client.objects import KINDS
from hanami_jupyter.client.tables import record

TEMPLATE = "version: 1 settings: refractory_time: 1 hexagons: 1,1,1 2,1,1 inputs: a: 1,1,1 outputs: b: 2,1,1"
UUID = "0c5b4f4e-6d52-4ac5-a7a5-3e4b2a0f6d11"


@pytest.fixture(scope="module")
def objects(session):
    cluster = session.cluster.create_cluster("two hexagons", TEMPLATE)["uuid"]
    dataset = session.dataset.upload_data("some rows", np.zeros((50, 16)), np.arange(50) % 10)
    link = {"dataset_uuid": dataset}
    task = session.task.create_train_task(
        "first",
        cluster,
        [link | {"dataset_column": "picture", "hexagon_name": "a"}],
        [link | {"dataset_column": "label", "hexagon_name": "b"}],
    )["uuid"]
    session.task.wait(task, cluster)
    saved = session.cluster.save_cluster("kept", cluster)["uuid"]
    session.task.wait(saved, cluster)
    return {
        "cluster": session.cluster.get_cluster(cluster),
        "dataset": session.dataset.get_dataset(dataset),
        "task": session.task.get_task(task, cluster),
        "checkpoint": session.checkpoint.get_checkpoint(saved),
    }


def text(shown):
    """Return what the eye sees of HTML."""
    return html.unescape(re.sub(r"<[^>]+>", " ", shown))


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (
            "cluster",
            ["Cluster two hexagons", "● task mode", "2: inputs a; outputs b", "admin, project admin"],
        ),
        ("dataset", ["Dataset some rows", "50 rows", "picture 16, label 10"]),
        ("task", ["Task first", "✓ finished", "50 of 50 cycles", "cycles/s"]),
        ("checkpoint", ["Checkpoint kept", "admin, project admin"]),
    ],
)
def test_a_card_tells_what_matters(objects, kind, told):
    shown = text(objects[kind]._repr_html_())
    for word in told:
        assert word in shown
    assert str(objects[kind]["uuid"]) in objects[kind]._repr_html_()
    assert "template" not in shown


def test_the_text_is_one_line_and_print_shows_all(objects):
    cluster = objects["cluster"]
    assert repr(cluster).startswith(f"<Cluster 'two hexagons' {cluster['uuid']}, 2 hexagons, ")
    assert repr(objects["dataset"]) == f"<Dataset 'some rows' {objects['dataset']['uuid']}, 50 rows>"
    assert repr(objects["task"]).endswith(", finished, 50 of 50 cycles>")
    assert all("\n" not in repr(one) for one in objects.values())
    assert str(cluster) == repr(pd.Series(cluster))
    assert "number_of_synapses" in str(cluster)


def test_it_is_a_series_in_every_way(objects):
    for kind, one in objects.items():
        plain = pd.Series(one)
        assert type(plain) is pd.Series
        assert isinstance(one, pd.Series)
        assert type(one) is KINDS[kind]
        assert one.equals(plain)
        assert plain.equals(one)
        pd.testing.assert_series_equal(one, plain, check_series_type=False)
        assert one.name == one["name"]
        for derived in (
            one[["uuid", "name"]],
            one.drop("uuid"),
            one.copy(),
            copy.deepcopy(one),
            one.dropna(),
        ):
            assert type(derived) is pd.Series
            assert derived.name == one.name
        assert type(one.to_frame()) is pd.DataFrame
        assert pd.DataFrame([one, one]).shape == (2, len(one))
        assert one.to_dict().keys() == plain.to_dict().keys()
        again = pickle.loads(pickle.dumps(one))
        assert type(again) is type(one)
        assert again.equals(one)
        assert again.name == one.name


def test_an_object_is_as_good_as_its_uuid(objects, session):
    assert session.cluster.get_cluster(objects["cluster"])["name"] == "two hexagons"
    assert session.dataset.get_dataset(objects["dataset"])["name"] == "some rows"


def test_names_cannot_break_out_of_the_card():
    shown = record({"name": "<script>", "uuid": '"><b>', "error": "<i>"}, kind="task")._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert "<i>" not in shown


ODD = [None, "-", "", "7", 7, -1, 0.5, float("nan"), True, "two\nlines", [], ["a", 7], {"a": 7}, {"a": {}}]
FIELDS = [
    *(
        "name",
        "uuid",
        "created_at",
        "owner_id",
        "project_id",
        "mode",
        "hexagons",
        "inputs",
        "outputs",
        "error",
    ),
    *("description", "state", "host_uuid", "queue_timestamp", "cycles_per_second", "current_cycle"),
    *("total_number_of_cycles", "number_of_neurons", "number_of_rows"),
]
NUMBERS = ("number_of_", "current_", "total_", "cycles_")  # these are read as numbers, or refused, before


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("field", FIELDS)
def test_whatever_a_server_sends_is_shown(kind, field):
    usual = {
        "name": "digits",
        "uuid": UUID,
        "hexagons": [{}],
        "number_of_neurons": 3,
        "total_number_of_cycles": 9,
    }
    for odd in ODD:
        if isinstance(odd, (list, dict, float)) and field.startswith(NUMBERS):
            continue
        one = record(usual | {field: odd}, kind=kind)
        assert "\n" not in repr(one)
        assert "hanami-card" in one._repr_html_()


def test_a_card_writes_numbers_times_and_uuids():
    shown = card(
        "a", "b", {"n": 41200, "t": pd.Timestamp("2024-07-12 20:52", tz="UTC"), "u": Uuid(UUID), "x": None}
    )
    assert ">41,200<" in shown
    assert ">2024-07-12 20:52:00 UTC<" in shown
    assert f'<code title="{UUID}"' in shown
    assert ">x<" not in shown
