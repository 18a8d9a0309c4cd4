"""One row at a time: the same bits as the whole-array form, whatever happens in between."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hanami_jupyter.engine import Cluster, Single

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["train", "request", "task", "window"]),
        st.integers(1, 9),  # columns of the input
        st.integers(1, 3),  # columns of the output
        st.integers(0, 2**32 - 1),
    ),
    min_size=1,
    max_size=12,
)


@given(
    steps=STEPS,
    chosen=st.fixed_dictionaries(
        {"neuron_cooldown": st.sampled_from([2.0, 1e7]), "refractory_time": st.sampled_from([1, 3])}
    ),
)
@settings(max_examples=40)
def test_rows_one_by_one_are_the_rows_of_an_array(make, steps, chosen):
    hexagons = {"inputs": {"a": (1, 1, 1), "b": (2, 1, 1)}, "outputs": {"c": (4, 1, 1), "d": (5, 1, 1)}}
    one = make(5, **hexagons, **chosen)
    other = Cluster.from_bytes(one.to_bytes())
    single = Single(one)
    buffers = {False: {}, True: {}}

    def put(name, values, expected):
        kept = buffers[expected].get(name)
        if kept is None or kept.shape[1] < len(values):
            buffers[expected][name] = values[None].copy()
        else:
            kept[0, : len(values)] = values

    for what, columns, outputs, seed in steps:
        random = np.random.default_rng(seed)
        row = random.normal(size=columns).astype(np.float32)
        if what in ("task", "window"):
            x, y = random.normal(size=(9, columns)).astype(np.float32), random.random((9, outputs))
            for cluster in (one, other):
                cluster.train({"a": x}, {"c": y}, time_length=1 + (what == "window"))
            continue
        put("ab"[seed % 2], row, False)
        if what == "train":
            put("cd"[seed // 2 % 2], (2 * random.random(outputs)).astype(np.float32), True)
            single.train(buffers[False], buffers[True])
            assert other.train(buffers[False], buffers[True]) == 1
        expected = other.request(buffers[False])
        found = single.request(buffers[False])
        assert list(found) == list(expected)
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name][0])
    assert one.to_bytes() == other.to_bytes()


def test_many_rows_grow_the_same_cluster(make):
    random = np.random.default_rng(3)
    x = (random.random((600, 40)) > 0.6).astype(np.float32)
    y = np.eye(4, dtype=np.float32)[random.integers(4, size=600)]
    one, other = make(4), make(4)
    single = Single(one)
    inputs, outputs = {"in": np.zeros((1, 40), np.float32)}, {"out": np.zeros((1, 4), np.float32)}
    for row, expected in zip(x, y, strict=True):
        inputs["in"][0], outputs["out"][0] = row, expected
        single.train(inputs, outputs)
        other.train(row, expected)
    assert one.metrics()["number_of_sections"] > 0
    assert one.to_bytes() == other.to_bytes()


def test_what_is_wrong_is_said_and_nothing_learned(make):
    cluster = make(3)
    single = Single(cluster)
    inputs, outputs = {"in": np.ones((1, 3), np.float32)}, {"out": np.ones((1, 1), np.float32)}
    with pytest.raises(ValueError, match="There is no input 'nobody'"):
        single.request({"nobody": inputs["in"]})
    single.train(inputs, outputs)
    before = cluster.to_bytes()
    inputs["in"][0, 1] = np.nan
    for act in (lambda: single.train(inputs, outputs), lambda: single.request(inputs)) * 2:
        with pytest.raises(ValueError, match="nan in row 0, column 1"):
            act()
    assert cluster.to_bytes() == before
    inputs["in"][0, 1] = 0
    single.train(inputs, outputs)
    assert cluster.cycles == 2
