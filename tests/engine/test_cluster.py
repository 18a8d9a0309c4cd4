import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from hanami_jupyter.engine import Cluster

ROW = """
version: 1
settings:
    refractory_time: 1
hexagons:
    1,1,1
    2,1,1
    3,1,1
inputs:
    picture: 1,1,1
outputs:
    label: 3,1,1
"""


@pytest.fixture(scope="module")
def digits():
    data, label = load_digits(return_X_y=True)
    x, test, y, expected = train_test_split(
        data.astype(np.float32), np.eye(10, dtype=np.uint8)[label], random_state=0
    )
    return x, y, test, expected


def trained(digits, passes=2):
    cluster = Cluster.from_template(ROW, seed=1)
    for _ in range(passes):
        cluster.train(digits[0], digits[1])
    return cluster


def test_it_learns_digits(digits):
    answers = trained(digits, 5).request(digits[2])
    assert np.mean(answers.argmax(1) == digits[3].argmax(1)) > 0.93


def test_a_request_changes_nothing(digits):
    cluster = trained(digits)
    before = cluster.to_bytes()
    first = cluster.request(digits[2])
    assert cluster.to_bytes() == before
    np.testing.assert_array_equal(first, cluster.request(digits[2]))


def test_a_snapshot_continues_bit_for_bit(digits):
    cluster = trained(digits)
    other = Cluster.from_bytes(cluster.to_bytes())
    for one in (cluster, other):
        one.train(digits[0], digits[1])
    assert cluster.to_bytes() == other.to_bytes()
    assert cluster.metrics() == other.metrics() | {"memory_bytes": cluster.metrics()["memory_bytes"]}


def test_a_never_trained_cluster_answers():
    assert Cluster.from_template(ROW).request(np.ones((3, 4), np.uint8)).shape == (3, 0)
