"""Lists in panels: pages in any order, what matches, what changed, what is selected."""

from __future__ import annotations

import threading
from typing import ClassVar

import pandas as pd
import pytest
import traitlets

from hanami_jupyter.panels.base import PanelError
from hanami_jupyter.panels.table import Column, Rows, TablePanel

from .conftest import flush

COLUMNS = (
    Column("name", "Name"),
    Column("rows", "Rows", "number"),
    Column("created_at", "Created", "time"),
    Column("done", "Done", "flag"),
    Column("uuid", "Uuid", "uuid"),
)


def table(count):
    return pd.DataFrame(
        {
            "uuid": [f"{number:08d}-aaaa" for number in range(count)],
            "name": [f"Set {number % 7}" for number in range(count)],
            "rows": pd.array([None if number == 2 else number * 3 for number in range(count)], dtype="Int64"),
            "created_at": pd.date_range("2024-07-12", periods=count, freq="h", tz="UTC"),
            "done": pd.array([number % 2 == 0 for number in range(count)], dtype="boolean"),
        }
    )


class Sets(TablePanel):
    bundle_name: ClassVar[str] = "login"
    columns: ClassVar = COLUMNS
    data = table(25)

    def update(self):
        self.show(self.data)

    def picture(self):
        return self.rows.picture()


def test_values_are_what_json_knows():
    rows = Rows(COLUMNS)
    assert rows.set(table(3))
    first, _, third = rows.page()["rows"]
    assert first == {
        "name": "Set 0",
        "rows": 0,
        "created_at": 1720742400000,
        "done": True,
        "uuid": "00000000-aaaa",
    }
    assert third["rows"] is None


def test_a_page_is_sorted_with_missing_values_last_and_equal_ones_in_order():
    rows = Rows(COLUMNS)
    rows.set(table(25))
    for descending in (False, True):
        page = rows.page(sort="rows", descending=descending, limit=25)
        values = [row["rows"] for row in page["rows"]]
        assert values[-1] is None
        assert values[:-1] == sorted(values[:-1], reverse=descending)
    same = [row["uuid"] for row in rows.page(sort="name", limit=25)["rows"] if row["name"] == "Set 0"]
    assert same == sorted(same)


def test_every_word_of_the_search_has_to_occur_in_any_case():
    rows = Rows(COLUMNS)
    rows.set(table(25))
    assert rows.page(search="sEt 0000002")["total"] == 6  # 2 and 20 to 24
    assert rows.page(search="nothing of this")["rows"] == []
    assert rows.page(search="2024-07")["total"] == 0  # times are not searched: they are shown in local form


def test_pages_stay_inside_the_list_and_jump_to_the_selected_row():
    rows = Rows(COLUMNS)
    rows.set(table(25))
    assert rows.page(offset=1000)["offset"] == 20
    assert rows.page(offset=-5)["offset"] == 0
    page = rows.page(key="00000013-aaaa", jump=True, sort="rows", descending=True)
    assert (page["offset"], page["selected"]["rows"]) == (10, 39)
    assert "00000013-aaaa" in page["keys"]
    assert rows.page(key="00000013-aaaa")["offset"] == 0
    assert rows.page(key="gone", jump=True)["selected"] is None
    assert len(rows.page(limit=10**9)["rows"]) == 25


def test_dictionaries_will_do_and_rows_without_a_key_go_by_number():
    log = Rows([Column("message", "Message"), Column("rate", "Rate", "number")], key="")
    log.set([{"message": "a", "rate": 0.5}, {"message": "b"}])
    page = log.page()
    assert page["keys"] == ["0", "1"]
    assert [row["rate"] for row in page["rows"]] == [0.5, None]
    log.set([])
    assert log.page()["total"] == 0


def test_only_another_list_counts_as_a_change():
    rows = Rows(COLUMNS)
    assert rows.set(table(5))
    assert not rows.set(table(5))
    assert rows.set(table(6))
    with pytest.raises(PanelError, match="'gone' is not in the list any more"):
        rows["gone"]


def test_a_panel_sends_a_version_and_a_total_and_answers_with_pages(front):
    panel = Sets()
    ask = front(panel).ask
    flush(panel)
    assert panel.listing == {"version": 1, "total": 25}
    assert not any("Set 1" in str(value) for value in panel.get_state().values())
    answer = ask("rows", offset=20, limit=10)["result"]
    assert [len(answer["rows"]), answer["total"]] == [5, 25]
    panel.refresh()
    flush(panel)
    assert panel.listing["version"] == 1


def test_a_page_is_answered_while_the_feed_waits_for_the_server(front):
    panel = Sets()
    ask = front(panel).ask
    flush(panel)
    free = threading.Event()
    panel._feed.call(lambda: free.wait(30))
    try:
        assert ask("rows")["ok"]
    finally:
        free.set()


def test_selecting_in_one_panel_selects_in_another_and_a_row_that_is_gone_is_not_selected():
    one, other = Sets(), Sets()
    flush(one)
    traitlets.link((one, "selected"), (other, "selected"))
    other.selected = "00000024-aaaa"
    assert one.selected == "00000024-aaaa"
    one.show(table(24))
    assert (one.selected, other.selected) == ("", "")
    assert one.listing == {"version": 2, "total": 24}


def test_a_selection_made_before_the_list_is_known_stays():
    panel = Sets(selected="00000003-aaaa")
    flush(panel)
    assert panel.selected == "00000003-aaaa"


def test_the_static_picture_has_the_first_rows_and_escapes_them():
    panel = Sets()
    flush(panel)
    assert "15 more are not shown." in panel.picture()
    assert "2024-07-12 00:00 UTC" in panel.picture()
    rows = Rows([Column("name", "Name")])
    rows.set([{"name": "<script>"}])
    assert "&lt;script&gt;" in rows.picture()
