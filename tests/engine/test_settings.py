"""Every setting of a template has its effect: each of these fails when the setting is ignored."""

import numpy as np
import pytest

from hanami_jupyter.engine.lattice import Lattice

RANDOM = np.random.default_rng(0)
X = RANDOM.random((400, 12)).astype(np.float32)
Y = (X[:, :2] > 0.5).astype(np.float32)


def trained(make, *args, x=X, y=Y, **settings):
    cluster = make(*args, **settings)
    cluster.train(x, y)
    return cluster


def test_cooldown_carries_potentials_from_row_to_row(make):
    swapped = X[[1, 0, *range(2, 400)]]
    forgets, remembers = trained(make), trained(make, neuron_cooldown="1.5")
    np.testing.assert_array_equal(forgets.request(X)[2:], forgets.request(swapped)[2:])
    assert not np.array_equal(remembers.request(X)[2], remembers.request(swapped)[2])


@pytest.mark.parametrize("cooldown", [2, 5])
def test_cooldown_is_what_a_potential_is_divided_by_in_a_cycle(make, cooldown):
    """Two rows that differ, empty ones behind them: what is left of the difference falls by it."""
    cluster = trained(make, neuron_cooldown=f"{cooldown}.0")
    shown = np.zeros((2, 6, 12), np.float32)
    shown[:, 0] = X[0], 0.9 * X[0]
    one, other = (np.log(answers / (1 - answers)) for answers in map(cluster.request, shown))
    left = np.abs(one - other).max(axis=1)
    np.testing.assert_allclose(left[1:5] / left[2:6], cooldown, rtol=0.1)


def test_time_length_shows_the_rows_before(make):
    """What is asked for came three rows ago; without a window nobody can know."""
    x = RANDOM.random((600, 1)).astype(np.float32)
    y = (x[:-4] > 0.5).astype(np.float32)
    right = {}
    for length in (1, 4):
        cluster = make()
        shown = x[3:] if length == 1 else x
        for _ in range(10):
            cluster.train(shown[:403], y[:400], time_length=length)
        answers = cluster.request(shown[400:], time_length=length)[: len(y) - 400]
        right[length] = np.mean((answers > 0.5) == y[400 : 400 + len(answers)])
    assert right[4] > 0.9
    assert right[1] < 0.7


def test_refractory_time_silences_what_fired(make):
    same = np.repeat(X[:1], 6, axis=0)
    steady, resting = trained(make), trained(make, refractory_time=3)
    assert np.ptp(steady.request(same), axis=0).max() == 0
    answers = resting.request(same)
    assert np.ptp(answers, axis=0).max() > 0
    np.testing.assert_array_equal(answers[:3], answers[3:])


def test_connection_distance_decides_what_is_reached(make):
    hexagons = [(1, 1, 1), (3, 1, 1), (5, 1, 1)]
    assert trained(make, hexagons=hexagons).metrics()["number_of_sections"] == 0
    near = trained(make, hexagons=hexagons, max_connection_distance=2)
    assert near.metrics()["hexagons"][1]["number_of_sections"] > 0
    assert np.mean((near.request(X) > 0.5) == Y) > 0.8


def test_nearer_hexagons_are_more_likely(make):
    chance = Lattice.of(make(5, max_connection_distance=3).template).chance
    np.testing.assert_allclose(chance[0], [0, 4 / 7, 2 / 7, 1 / 7, 0], rtol=1e-6)
    np.testing.assert_allclose(Lattice.of(make(5).template).chance[0], [0, 1, 0, 0, 0])


def test_reduction_removes_what_is_of_no_use(make):
    x = np.hstack([X, np.zeros_like(X)])
    x[:5, 12:] = RANDOM.random((5, 12))  # noise that never comes again
    kept, reduced = make(), make(enable_reduction=True)
    for _ in range(12):
        kept.train(x, Y)
        reduced.train(x, Y)
    full, less = kept.metrics(), reduced.metrics()
    assert less["number_of_synapses"] < 0.97 * full["number_of_synapses"]
    right = [np.mean((cluster.request(X) > 0.5) == Y) for cluster in (kept, reduced)]
    assert right[1] > right[0] - 0.03


def test_a_removed_synapse_stays_away_and_an_empty_section_is_freed(make):
    cluster = trained(make, enable_reduction=True)
    net = cluster._net
    section, thinned = int(net.fan[0, 0]), int(net.fan[1, 0])
    net.weights[section] = net.weights[thinned, :64] = 0
    net.born[:] = -(10**6)
    sections = cluster.metrics()["number_of_sections"]
    cluster.train(X[:100], Y[:100])
    assert cluster._net.source[section] == -1
    assert section not in cluster._net.fan
    assert not cluster._net.weights[thinned, :64].any()
    assert cluster._net.weights[thinned, 64:].any()
    assert cluster.metrics()["number_of_sections"] < sections


def test_hexagons_of_any_shape(make):
    """Two inputs, two outputs, three dimensions, one hexagon nobody reaches, listed in a wild order."""
    cluster = make(
        hexagons=[(2, 1, 2), (9, 9, 9), (2, 1, 1), (1, 1, 1), (3, 1, 1), (2, 1, 3)],
        inputs={"a": (1, 1, 1), "b": (2, 1, 3)},
        outputs={"p": (3, 1, 1), "q": (2, 1, 2)},
        max_connection_distance=2,
    )
    x = {"a": X[:, :6], "b": X[:, 6:]}
    y = {"p": Y[:, :1], "q": (X[:, 6:7] > 0.5).astype(np.float32)}
    for _ in range(5):
        cluster.train(x, y)
    answers = cluster.request(x)
    for name, expected in y.items():
        assert np.mean((answers[name] > 0.5) == expected) > 0.85
    assert cluster.metrics()["hexagons"][1]["number_of_sections"] == 0


def test_an_output_beside_its_input_learns(make):
    cluster = make(2)
    for _ in range(5):
        cluster.train(X, Y)
    assert np.mean((cluster.request(X) > 0.5) == Y) > 0.9


def test_one_input_reaches_two_outputs_in_two_directions(make):
    cluster = make(
        hexagons=[(x, 1, 1) for x in range(1, 6)],
        inputs={"in": (3, 1, 1)},
        outputs={"left": (1, 1, 1), "right": (5, 1, 1)},
    )
    y = {"left": Y[:, :1], "right": Y[:, 1:]}
    for _ in range(5):
        cluster.train(X, y)
    answers = cluster.request(X)
    for name, expected in y.items():
        assert np.mean((answers[name] > 0.5) == expected) > 0.9
