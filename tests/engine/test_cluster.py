"""What a cluster promises whatever it is trained on."""

import itertools
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hanami_jupyter.engine import Cluster, Control, kernels, warm_up
from tests.engine import forgery

QUICK = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
CHOICES = st.fixed_dictionaries(
    {
        "length": st.integers(2, 5),
        "seed": st.integers(0, 99),
        "neuron_cooldown": st.sampled_from(["2.0", "100000000000.0"]),
        "refractory_time": st.integers(1, 3),
        "max_connection_distance": st.integers(1, 3),
        "enable_reduction": st.booleans(),
    }
)
WINDOWS = st.integers(1, 4)


def data(seed=0, rows=150, columns=6, outputs=2, dtype=np.float32):
    random = np.random.default_rng(seed)
    x = random.integers(0, 255, (rows, columns)).astype(dtype) * (random.random((rows, columns)) < 0.7)
    y = (x[:, :outputs].astype(float) > 120).astype(np.float32)
    return x.astype(dtype), y


def rewritten(cluster):
    return Cluster.from_bytes(cluster.to_bytes())


def test_nothing_exists_before_training(make):
    counts = make().metrics()
    assert [counts[f"number_of_{what}"] for what in ("neurons", "blocks", "sections", "synapses")] == [0] * 4
    assert counts["memory_bytes"] < 1_000_000
    assert [hexagon["position"] for hexagon in counts["hexagons"]] == [[1, 1, 1], [2, 1, 1], [3, 1, 1]]


def test_growth_is_counted(make):
    cluster, (x, y) = make(), data()
    cluster.train(x, y)
    counts = cluster.metrics()
    assert cluster.inputs == {"in": 6}
    assert cluster.outputs == {"out": 2}
    assert counts["hexagons"][0]["number_of_neurons"] == 6
    assert counts["hexagons"][2]["number_of_neurons"] == 2
    for what in ("neurons", "blocks", "sections", "synapses"):
        name = f"number_of_{what}"
        assert counts[name] == sum(hexagon[name] for hexagon in counts["hexagons"]) > 0


def test_an_input_that_was_never_active_has_no_connections(make):
    cluster, (x, y) = make(), data()
    x[:, 3:] = 0
    cluster.train(x, y)
    other, _ = make(), cluster.train(x, y)
    other.train(x[:, :3], y)
    each = other.metrics()["hexagons"][0]["number_of_sections"]
    assert cluster.metrics()["hexagons"][0]["number_of_sections"] == each


@QUICK
@given(CHOICES, st.sampled_from([np.uint8, np.float32]), WINDOWS)
def test_a_request_changes_nothing(make, chosen, dtype, length):
    cluster, (x, y) = make(**chosen), data(chosen["seed"], dtype=dtype)
    cluster.train(x, y, time_length=length)
    before, metrics = cluster.to_bytes(), cluster.metrics()
    first = cluster.request(x, time_length=length)
    assert cluster.to_bytes() == before
    assert cluster.metrics() == metrics
    np.testing.assert_array_equal(first, cluster.request(x, time_length=length))
    assert ((first >= 0) & (first <= 1)).all()


@QUICK
@given(CHOICES, WINDOWS, st.integers(1, 140))
def test_restore_continues_bit_for_bit(make, chosen, length, cut):
    cluster, (x, y) = make(**chosen), data(chosen["seed"])
    cluster.train(x[:cut], y[:cut], time_length=length, total_cycles=150)
    other = rewritten(cluster)
    for one in (cluster, other):
        one.train(x[cut:], y[cut:], time_length=length, total_cycles=150)
    assert cluster.to_bytes() == other.to_bytes()
    np.testing.assert_array_equal(cluster.request(x), other.request(x))


@QUICK
@given(CHOICES, WINDOWS, st.lists(st.integers(1, 149), max_size=4))
def test_pieces_that_state_the_whole_length_are_one_pass(make, chosen, length, cuts):
    x, y = data(chosen["seed"])
    whole, pieces = make(**chosen), make(**chosen)
    cycles = whole.train(x, y, time_length=length)
    ends = [0, *sorted({cut for cut in cuts if cut < cycles}), cycles]
    for begin, end in itertools.pairwise(ends):
        rows = slice(begin, end + length - 1)
        pieces.train(x[rows], y[begin:end], time_length=length, total_cycles=cycles)
    assert whole.to_bytes() == pieces.to_bytes()


def test_the_same_seed_gives_the_same_bits(make):
    x, y = data()
    one, same, other = make(seed=5), make(seed=5), make(seed=6)
    for cluster in (one, same, other):
        cluster.train(x, y)
    assert one.to_bytes() == same.to_bytes()
    assert not np.array_equal(one.request(x), other.request(x))
    template = one.template
    assert Cluster.from_template(template).seed == Cluster.from_template(template.text + "# again\n").seed


@QUICK
@given(CHOICES, WINDOWS, st.integers(1, 300))
def test_widening_an_input_keeps_old_answers(make, chosen, length, more):
    cluster, (x, y) = make(**chosen), data(chosen["seed"])
    cluster.train(x, y, time_length=length)
    before = cluster.request(x, time_length=length)
    wider = np.hstack([x, np.zeros((len(x), more), np.float32)])
    np.testing.assert_array_equal(cluster.request(wider, time_length=length), before)
    cluster._feed({"in": wider}, length, grow=True)
    assert cluster.inputs["in"] == wider.shape[1] * length
    np.testing.assert_array_equal(cluster.request(wider, time_length=length), before)
    np.testing.assert_array_equal(cluster.request(x, time_length=length), before)
    wider[:, 6:] = 7
    cluster.train(wider, y, time_length=length)
    assert np.isfinite(cluster.request(x, time_length=length)).all()


def test_widening_an_output_keeps_old_answers(make):
    cluster, (x, y) = make(), data()
    cluster.train(x, y)
    before = cluster.request(x)
    cluster.train(x[:1], np.hstack([y, y])[:1])
    after = cluster.request(x)
    assert after.shape == (150, 4)
    np.testing.assert_allclose(after[:, :2], before, atol=0.2)


def test_tables_are_read_in_place_from_memory_maps(make, tmp_path):
    x, y = data(dtype=np.uint8)
    path = tmp_path / "table.bin"
    path.write_bytes(b"odd" + np.hstack([x, y.astype(np.uint8)]).tobytes())
    table = np.memmap(path, np.uint8, "r", 3, (150, 8))
    strided, plain = make(), make()
    strided.train(table[:, :6], table[:, 6:])
    plain.train(x.astype(np.int64), y)
    assert strided.to_bytes() == plain.to_bytes()
    out = np.zeros((150, 2), np.float32)
    strided.request(np.asfortranarray(x), out=out)
    np.testing.assert_array_equal(out, plain.request(x))


def test_one_dimension_is_one_row(make):
    cluster = make()
    assert cluster.train(np.ones(5, np.float32), np.ones(2, np.float32)) == 1
    assert cluster.inputs == {"in": 5}
    assert cluster.request(np.ones(5, np.float32)).shape == (1, 2)


def test_a_whole_window_in_one_row_is_the_same_window(make):
    cluster, (x, y) = make(), data(columns=1, outputs=1)
    cluster.train(x, y, time_length=5)
    windows = np.lib.stride_tricks.sliding_window_view(x[:, 0], 5)
    np.testing.assert_array_equal(cluster.request(windows), cluster.request(x, time_length=5))


def test_a_never_trained_cluster_answers(make):
    assert make().request(np.ones((3, 4), np.uint8)).shape == (3, 0)
    assert make().request({"in": np.ones((3, 4))})["out"].shape == (3, 0)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        ({"nose": np.ones((2, 2))}, np.ones((2, 1)), "no input 'nose'.*: in"),
        (np.ones((2, 2)), {"nose": np.ones((2, 1))}, "no output 'nose'.*: out"),
        (np.array([[0, 1], [0, np.nan]]), np.ones((2, 1)), "'in' has the value nan in row 1, column 1"),
        (np.array([[0, 1], [0, 1]]), np.array([[np.inf], [0]]), "'out' has the value inf in row 0, column 0"),
        (np.array([["a"]]), np.ones((1, 1)), "Give numbers"),
        ({}, np.ones((1, 1)), "No input is given"),
    ],
)
def test_wrong_data_is_refused_in_one_sentence_and_changes_nothing(make, x, y, words):
    cluster = make()
    before = cluster.to_bytes()
    with pytest.raises(ValueError, match=words):
        cluster.train(x, y)
    assert cluster.to_bytes() == before


def test_another_thread_can_abort(make):
    x, y = data(rows=3000, columns=200)
    cluster, control = make(), Control()
    worker = threading.Thread(target=lambda: [cluster.train(x, y, control=control) for _ in range(500)])
    worker.start()
    while control.cycle == 0:
        pass
    control.abort()
    worker.join(30)
    assert not worker.is_alive()
    assert cluster.cycles < 500 * 3000


class Soon(Control):
    """Aborts once so many cycles are done."""

    def __init__(self, cycles):
        super().__init__()
        self.cycles = cycles

    def advance(self, cycle):
        super().advance(cycle)
        if cycle >= self.cycles:
            self.abort()


@QUICK
@given(CHOICES, WINDOWS, st.integers(0, 600))
def test_abort_leaves_a_consistent_cluster(make, chosen, length, cycles):
    """What was learned until then is all there is: the cluster is as if the rest had never been given."""
    x, y = data(chosen["seed"], rows=500)
    aborted, other = make(**chosen), make(**chosen)
    whole = len(x) - length + 1
    done = aborted.train(x, y, time_length=length, control=Soon(cycles))
    assert done == aborted.cycles
    assert min(cycles, whole) <= done <= (whole if cycles > 100 else 200)
    other.train(x[: done + length - 1], y[:done], time_length=length, total_cycles=whole)
    np.testing.assert_array_equal(
        aborted.request(x, time_length=length), other.request(x, time_length=length)
    )
    restored = rewritten(aborted)
    for one in (aborted, restored):
        one.train(x[:50], y[:50], time_length=length)
    assert aborted.to_bytes() == restored.to_bytes()


@pytest.mark.parametrize("place", [0, 5, 20, 40, 300, -1])
def test_a_damaged_snapshot_is_refused(make, place):
    cluster, (x, y) = make(), data()
    cluster.train(x, y)
    snapshot = bytearray(cluster.to_bytes())
    snapshot[place] ^= 0xFF
    with pytest.raises(ValueError, match="snapshot"):
        Cluster.from_bytes(bytes(snapshot))
    with pytest.raises(ValueError, match="snapshot"):
        Cluster.from_bytes(bytes(snapshot[: len(snapshot) // 2]))


def test_a_forged_snapshot_is_refused(make):
    cluster, (x, y) = make(), data()
    cluster.train(x, y)
    for name in ("fan", "goal", "slots", "node", "source"):
        getattr(cluster._net, name).flat[0] += 100_000
        with pytest.raises(ValueError, match="damaged"):
            rewritten(cluster)
        getattr(cluster._net, name).flat[0] -= 100_000
    rewritten(cluster)


def twice(arrays):
    """Let an input's columns share a source: a block would get more values than it has room for."""
    arrays["source of in"][:] = arrays["source of in"].flat[0]


def remembered_twice(arrays):
    arrays["memory source"][: len(arrays["memory source"]) // len(arrays["memory expected"])] = 0


def remembered_beyond(arrays):
    arrays["memory start"][0, 1] = len(arrays["memory source"])


def never_met(arrays):
    arrays["state"][kernels.MET] = -1000


def met_without_end(arrays):
    arrays["state"][kernels.MET] = 2**63 - 1


def free_and_used(arrays):
    arrays["state"][kernels.SECTIONS_FREE] = arrays["state"][kernels.SECTIONS_MADE]


def pins_without_end(arrays):
    arrays["state"][kernels.PINS] = -(2**62)


def seen_nothing(arrays):
    arrays["seen"][:, 2] = 0


def before_its_time(arrays):
    arrays["state"][kernels.PASS_DONE] = arrays["state"][kernels.CYCLES] + 1


def no_blocks(arrays):
    for name in ("node", "slots"):
        arrays[name] = np.array(0, np.int32)


def columns_without_end(arrays):
    arrays["source of in"] = np.zeros((0, 2**40), np.int32)


def huge(arrays):
    arrays["norm"][0, 1] = 1e308


@pytest.mark.parametrize(
    "change",
    [twice, remembered_twice, remembered_beyond, never_met, met_without_end, free_and_used, pins_without_end,
     seen_nothing, before_its_time, no_blocks, columns_without_end, huge],
)  # fmt: skip
def test_a_snapshot_that_lies_is_refused(make, change):
    """Each of these was taken, and read or wrote outside an array, filled the memory, or divided by zero."""
    cluster, (x, y) = make(), data()
    cluster.train(x, y)
    header, arrays = forgery.read(cluster.to_bytes())
    assert forgery.write(header, arrays) == cluster.to_bytes()
    change(arrays)
    with pytest.raises(ValueError, match="arrays do not fit"):
        Cluster.from_bytes(forgery.write(header, arrays))


@pytest.mark.parametrize("header", [b"[" * 100_000, b"[" + b"[]," * 2_000_000 + b"0]", b"{}", b"7", b""])
def test_headers_that_are_none(header):
    with pytest.raises(ValueError, match="header"):
        Cluster.from_bytes(forgery.seal(len(header).to_bytes(8, "little") + header))


def test_save_and_load(make, tmp_path):
    cluster, (x, y) = make(), data()
    cluster.train(x, y)
    cluster.save(tmp_path / "network")
    np.testing.assert_array_equal(Cluster.load(tmp_path / "network").request(x), cluster.request(x))


def test_warm_up_may_come_from_several_threads():
    threads = [threading.Thread(target=warm_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_indices_stay_inside_their_arrays(request):
    """Random templates, data and forged snapshots, with every access checked by Numba."""
    cache = request.config.cache.mkdir("numba-checked")
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_OPT": "1", "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.check_bounds"],
        cwd=request.config.rootpath,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
