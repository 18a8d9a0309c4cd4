"""A few kills at random moments; ``python -m tests.hostile.kills`` makes fifty."""

from __future__ import annotations

from pathlib import Path

from tests.hostile.kills import run


def test_kills(folder: Path) -> None:
    assert run(folder, 4, seed=3)["start"] == 1
