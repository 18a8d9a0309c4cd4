"""The main job: upload, train, request, check."""

from __future__ import annotations

from tests.backend.conftest import Client


def test_train_request_check(admin: Client) -> None:
    data = admin.mnist(400)
    found = admin.get("/dataset", uuid=data)
    assert (found["number_of_rows"], found["number_of_columns"]) == (400, 794)
    assert found["description"]["label"] == {"column_start": 784, "column_end": 794}
    cluster = admin.cluster("first")
    task = admin.wait(cluster, admin.train(cluster, data))
    assert (task["current_cycle"], task["total_number_of_cycles"], task["error"]) == (400, 400, "")
    result = admin.request(cluster, data)
    admin.wait(cluster, result)
    assert admin.get("/dataset", uuid=result)["description"]["guess"]["column_end"] == 10
    assert admin.get("/dataset/check", uuid=result, reference_uuid=data)["accuracy"] > 90
    grown = admin.get("/cluster", uuid=cluster)
    assert grown["inputs"] == {"picture_hex": 784}
    assert grown["number_of_synapses"] > 0
