"""The panel of the server's machine: power, temperature and clock over time, its processors and threads."""

from __future__ import annotations

import html
import math
from typing import TYPE_CHECKING, Any, ClassVar

import traitlets

from hanami_jupyter.client import hanami_exceptions as exceptions
from hanami_jupyter.panels.base import Panel, card
from hanami_jupyter.panels.recipes import step

if TYPE_CHECKING:
    import pandas as pd

    from hanami_jupyter.panels.login import Login
    from hanami_jupyter.session import Session

SPANS = {"seconds": 1.0, "minutes": 15.0, "hours": 60.0, "days": 60.0}  # seconds between two looks
_CURVES = (
    ("get_power_consumption", "Power", "W"),
    ("get_temperature", "Temperature", "°C"),
    ("get_speed", "Clock", "MHz"),
)


class Machine(Panel):
    """Show power, temperature and clock over the last minute, hour, day and year, processors and threads.

    Parameters
    ----------
    session : Session or Login
        The connection to the server; of a login, whoever is signed in is followed.

    Examples
    --------
    >>> Machine(session).span
    'seconds'
    """

    bundle_name: ClassVar[str] = "machine"
    title = traitlets.Unicode("Machine").tag(sync=True)
    span = traitlets.Enum(list(SPANS), "seconds").tag(sync=True)
    # {"name", "unit", "values"}: oldest first; empty where the machine measures nothing
    curves: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    processors: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    threads: traitlets.List[list[str]] = traitlets.List().tag(sync=True)

    def __init__(self, session: Session | Login) -> None:
        super().__init__(session)
        self.observe(self._look, "span")

    def _look(self, _: object) -> None:
        self.refresh()

    def update(self) -> float | None:
        """Read everything; look again soon where the span is short."""
        session, span = self.session, self.span
        curves = [
            {"name": name, "unit": unit, "values": _values(getattr(session.measurements, function)(), span)}
            for function, name, unit in _CURVES
        ]
        info = session.measurements.get_system_info()
        self.write(
            title=f"Machine {info['hostname']}",
            curves=curves,
            processors=_processors(info),
            threads=_threads(session),
        )
        if not self.recipe:
            calls = [*(function for function, _, _ in _CURVES), "get_system_info", "get_threads"]
            self.did(*(step(f"measurements.{call}") for call in calls))
        return SPANS[span]

    # -- the static picture

    def picture(self) -> str:
        """Return the latest values as a table."""
        with card(self.title, _pill(self.processors), self.notice) as pieces:
            rows = "".join(
                f"<tr><th>{html.escape(curve['name'])}</th><td>{_latest(curve)}</td></tr>"
                for curve in self.curves
            )
            pieces.append(f'<table class="hanami-still"><tbody>{rows}</tbody></table>')
        return "".join(pieces)


def _values(history: pd.Series[Any], span: str) -> list[float]:
    """Return one span of a history; empty where nothing was ever measured."""
    if span not in history.index.get_level_values(0):
        return []
    values = [float(f"{value:.4g}") if math.isfinite(value) else 0.0 for value in history[span]]
    return values if any(history) else []


def _processors(info: pd.Series[Any]) -> list[dict[str, Any]]:
    """Return one entry for each core: its package, its threads, and its clock now and at most."""
    packages = info.get("packages")
    return [
        {
            "package": int(package["id"]),
            "core": int(core["id"]),
            "threads": [int(thread["id"]) for thread in core.get("threads", ())],
            "now": int(core.get("current_speed", 0)),
            "most": int(core.get("maximum_speed", 0)),
        }
        for package in (packages if isinstance(packages, list) else ())
        for core in package.get("cores", ())
    ]


def _threads(session: Session) -> list[list[str]]:
    """Return the server's threads and the cores each may run on, in words."""
    try:
        found = session.measurements.get_threads()
    except exceptions.HanamiException:  # a role may not see them; the rest is worth showing
        return []
    return [[str(name), _ranges(sorted(map(int, cores)))] for name, cores in sorted(found.items())]


def _ranges(numbers: list[int]) -> str:
    """Return numbers with runs drawn together: 0 to 3, 6."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], number]
        else:
            runs.append([number])
    return ", ".join(" to ".join(map(str, run)) for run in runs)


def _pill(processors: list[dict[str, Any]]) -> str:
    if not processors:
        return "looking…"
    return f"{len(processors):,} core{'s' if len(processors) > 1 else ''}"


def _latest(curve: dict[str, Any]) -> str:
    return f"{curve['values'][-1]:,.4g} {curve['unit']}" if curve["values"] else "not measured"
