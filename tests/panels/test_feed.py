"""The feed: one thread for all panels of a session, rated, latest value wins, gone when nobody waits."""

from __future__ import annotations

import gc
import threading
import time

from hanami_jupyter.panels.feed import INTERVAL, Feed, feed_of


class Source:
    """A panel that counts its turns and ends after some."""

    def __init__(self, turns: int) -> None:
        self.left = turns
        self.times: list[float] = []
        self.threads: set[str] = set()
        self.ended = threading.Event()

    def turn(self) -> float | None:
        self.times.append(time.monotonic())
        self.threads.add(threading.current_thread().name)
        self.left -= 1
        if self.left > 0:
            return 0.0
        self.ended.set()
        return None


def until_ended(feed: Feed) -> None:
    thread = feed._thread
    if thread is not None:
        thread.join(10)
        assert not thread.is_alive()


def test_panels_of_one_session_share_one_thread_that_ends():
    feed, panels = Feed(), [Source(2), Source(3)]
    for panel in panels:
        feed.wake(panel)
    for panel in panels:
        assert panel.ended.wait(10)
    until_ended(feed)
    assert [len(panel.times) for panel in panels] == [2, 3]
    assert panels[0].threads | panels[1].threads == {"hanami-feed"}
    assert feed._thread is None


def test_a_panel_has_at_most_four_turns_a_second_however_often_it_is_woken():
    feed, panel = Feed(), Source(3)
    for _ in range(50):
        feed.wake(panel)
    assert panel.ended.wait(10)
    until_ended(feed)
    gaps = [later - earlier for earlier, later in zip(panel.times, panel.times[1:], strict=False)]
    assert min(gaps) >= INTERVAL * 0.99


def test_a_dropped_panel_has_no_further_turn():
    feed, panel = Feed(), Source(100)
    feed.call(lambda: (feed.wake(panel), feed.drop(panel)))
    until_ended(feed)
    assert panel.times == []


def test_calls_run_in_order_on_the_thread_and_a_later_one_starts_it_again():
    feed, seen = Feed(), []
    for number in range(3):
        feed.call(lambda number=number: seen.append((number, threading.current_thread().name)))
    until_ended(feed)
    feed.call(lambda: seen.append((3, "")))
    until_ended(feed)
    assert [number for number, _ in seen] == [0, 1, 2, 3]
    assert seen[0][1] == "hanami-feed"


def test_a_session_has_one_feed_and_lets_go_of_it():
    class Owner:
        pass

    one, other = Owner(), Owner()
    assert feed_of(one) is feed_of(one)
    assert feed_of(one) is not feed_of(other)
    from hanami_jupyter.panels import feed as module

    del one, other
    gc.collect()
    assert not [owner for owner in module._FEEDS if isinstance(owner, Owner)]
