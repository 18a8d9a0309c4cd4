"""The panel of a sweep: what it is told it shows, sorted, with few messages; its static picture."""

from __future__ import annotations

import math

from hanami_jupyter.panels.sweep import SweepProgress
from hanami_jupyter.protocol.grids import template_grid
from hanami_jupyter.protocol.template import parse
from hanami_jupyter.sweeps import Network

from .conftest import flush, until

GRID = template_grid(width=[1, 2], depth=3)


def network(number: int = 0, **values: object) -> Network:
    name = list(GRID)[number]
    made = Network(name, GRID[name], parse(GRID[name]), None, f"sweep {number} {len(values)}", 2)
    for key, value in values.items():
        setattr(made, key, value)
    return made


ALL = [
    network(0, state="waiting"),
    network(0, state="finished", accuracy=91.0, share=1.0, epoch=2, sizes={"synapses": 1234}, seconds=2.04),
    network(1, state="finished", accuracy=95.5, share=1.0, epoch=2, sizes={"synapses": 99}, seed=7),
    network(1, state="failed", reason="Line 1 is <wrong>.", template=None, name="broken"),
    network(1, state="training", share=0.25),
]


def test_what_runs_comes_first_and_then_the_best():
    panel = SweepProgress()
    panel(ALL)
    flush(panel)
    until(lambda: panel.rows, panel)
    states = [(row["state"], row["accuracy"]) for row in panel.rows]
    assert states == [
        ("training", None), ("finished", 95.5), ("finished", 91.0), ("waiting", None), ("failed", None),
    ]  # fmt: skip
    assert panel.rows[1]["name"] == "2 wide 3 deep reach 1, seed 7"
    assert panel.counts == {"waiting": 1, "finished": 2, "failed": 1, "training": 1}
    assert panel.best == "best 95.5 %"
    assert panel.drawings["1 wide 3 deep reach 1"] == [
        [1, 1, 1, "input"], [2, 1, 1, "inner"], [3, 1, 1, "output"],
    ]  # fmt: skip
    assert "broken" not in panel.drawings


def test_the_pictures_are_sent_once_and_nothing_where_nothing_changed(front):
    panel = SweepProgress()
    told = front(panel)
    mine = [network(0, state="training")]
    for share in (0.1, 0.2, 0.3):
        mine[0].share = share
        panel(mine)
        until(lambda share=share: panel.rows and panel.rows[0]["share"] == share, panel)
    panel(mine)
    flush(panel)
    assert sum("drawings" in message for message in told.messages) == 1
    assert [message["rows"][0]["share"] for message in told.messages if "rows" in message] == [0.1, 0.2, 0.3]


def test_many_networks_are_counted_and_not_all_shown():
    panel = SweepProgress()
    panel([network(0, state="finished", accuracy=float(number)) for number in range(150)])
    until(lambda: panel.rows, panel)
    assert len(panel.rows) == 100
    assert panel.rows[0]["accuracy"] == 149
    assert "50 more are not shown" in panel.snapshot()._repr_html_()


def test_the_static_picture_is_readable():
    panel = SweepProgress()
    assert "The networks will be here" in panel._html()
    assert "no networks yet" in panel._html()
    panel(ALL)
    picture = panel.snapshot()
    assert repr(picture) == "<hanami.SweepProgress snapshot>"
    text = picture._repr_html_()
    for words in (
        "2 of 5 finished, best 95.5 %, 1 failed", "▸ training 25 %", "✓ finished", "95.5 %", "1,234", "2.0 s",
        "Line 1 is &lt;wrong&gt;.", "2 wide 3 deep reach 1, seed 7",
    ):  # fmt: skip
        assert words in text
    assert text.count("<svg") == 4
    assert "picture</text>" not in text  # the drawings are too small for names


def test_a_sweep_without_a_test_has_no_best():
    panel = SweepProgress()
    panel([network(0, state="finished", accuracy=math.nan)])
    until(lambda: panel.rows, panel)
    assert (panel.best, panel.rows[0]["accuracy"]) == ("", None)
