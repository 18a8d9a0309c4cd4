"""On data the defaults were not tuned for, and on rows it has not seen, a cluster does well."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.model_selection import train_test_split


def parts(data, target, seed=0):
    return train_test_split(data.astype(np.float32), target.astype(np.float32), random_state=seed)


def one_hot(label):
    return np.eye(label.max() + 1)[label]


def rms(errors):
    return np.sqrt(np.mean(errors**2))


def right(cluster, x, y):
    return np.mean(cluster.request(x).argmax(axis=1) == y.argmax(axis=1))


def passes(cluster, x, y, number, **options):
    for _ in range(number):
        cluster.train(x, y, **options)
    return cluster


def test_digits(make):
    data, label = load_digits(return_X_y=True)
    x, test, y, expected = parts(data, one_hot(label))
    assert right(passes(make(), x, y, 5), test, expected) >= 0.93


def test_digits_row_by_row_without_a_known_length(make):
    data, label = load_digits(return_X_y=True)
    x, test, y, expected = parts(data, one_hot(label))
    cluster = make()
    for r in range(len(x)):
        cluster.train(x[r], y[r])
    assert right(cluster, test, expected) >= 0.85


def test_iris(make):
    data, label = load_iris(return_X_y=True)
    scores = [
        right(passes(make(seed=seed), *(split := parts(data, one_hot(label), seed))[::2], 30), *split[1::2])
        for seed in range(3)
    ]
    assert np.mean(scores) >= 0.9


def test_diabetes(make):
    data, target = load_diabetes(return_X_y=True)
    target = (target - target.min()) / np.ptp(target)
    for seed in range(10):
        x, test, y, expected = parts(data, target[:, None], seed)
        answers = passes(make(seed=seed), x, y, 2).request(test)
        assert rms(answers - expected) <= 0.85 * rms(y.mean() - expected), seed


def test_a_noisy_sine_seen_through_a_window(make):
    random = np.random.default_rng(0)
    clean = 0.5 + 0.4 * np.sin(np.arange(3000) / 10)
    noisy = (clean + random.normal(0, 0.08, 3000))[:, None].astype(np.float32)
    following = clean[20:, None].astype(np.float32)
    cluster = passes(make(), noisy[:2000], following[:1980], 5, time_length=20)
    answers = cluster.request(noisy[2000:], time_length=20)[:-1]
    assert np.abs(answers - following[2000:]).mean() <= 0.1 * 0.4


def test_ten_thousand_columns(make):
    random = np.random.default_rng(0)
    x = random.random((120, 10_000), dtype=np.float32)
    label = random.integers(0, 2, 120)
    x[:, :3000] += 0.3 * label[:, None].astype(np.float32)
    y = one_hot(label)
    assert right(passes(make(), x[:80], y[:80], 3), x[80:], y[80:]) >= 0.9


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_size_and_sign_of_the_values_do_not_matter(make, scale):
    random = np.random.default_rng(0)
    x = random.normal(0, scale, (800, 5)).astype(np.float32)
    y = (x[:, :1] > 0).astype(np.float32)
    cluster = passes(make(), x[:600], y[:600], 4)
    assert np.mean((cluster.request(x[600:]) > 0.5) == y[600:]) > 0.9


def test_empty_rows_and_constant_columns_are_harmless(make):
    random = np.random.default_rng(0)
    x = random.random((600, 4)).astype(np.float32)
    x[:, 2] = 1e5
    y = (x[:, :1] > 0.5).astype(np.float32)
    cluster = passes(make(), np.vstack([np.zeros((3, 4), np.float32), x]), np.vstack([y[:3], y]), 4)
    assert np.mean((cluster.request(x) > 0.5) == y) > 0.9
    assert np.isfinite(cluster.request(np.zeros((2, 4), np.float32))).all()


def test_values_of_a_table_in_sorted_order(make):
    """The experiment of the original's documentation, and values between those it trained."""
    values = np.repeat([0, 80, 30, 10, 0], 100)[:, None].astype(np.float32)
    targets = np.repeat([0, 1, 0.5, 0.75, 0], 100)[:, None].astype(np.float32)
    points = np.repeat([[10], [20], [30], [40], [50], [60], [70], [80], [100]], 25, axis=1)
    for seed in range(3):
        cluster = passes(make(4, seed=seed), values, targets, 20, time_length=25)
        assert np.abs(cluster.request(values, time_length=25) - targets[:476]).mean() <= 0.02
        at10, at20, at30, *rising, at80, at100 = cluster.request(points.astype(np.float32))[:, 0]
        assert at30 <= at20 <= at10
        assert at30 <= min(rising) <= max(rising) <= at80 <= at100 + 0.02


def test_a_checkerboard_of_two_columns(make):
    """What a few values mean may change from place to place, so that no single slope tells it."""
    random = np.random.default_rng(0)
    x = random.random((3000, 2)).astype(np.float32)
    y = (np.floor(3 * x).sum(axis=1, keepdims=True) % 2).astype(np.float32)
    cluster = passes(make(), x[:2000], y[:2000], 10)
    assert np.mean((cluster.request(x[2000:]) > 0.5) == y[2000:]) >= 0.9
