"""The card in which a notebook shows an object: static HTML in the notebook's own colours."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Tone = Literal["good", "quiet", "accent", "warn"]


def _theme(jupyter: str, vscode: str, light: str, dark: str) -> str:
    return f"var(--jp-{jupyter}, var(--vscode-{vscode}, light-dark({light}, {dark})))"


_LINE = _theme("border-color2", "panel-border", "#ddd", "#444")
_QUIET = _theme("ui-font-color2", "descriptionForeground", "#555", "#aaa")
_TONES: dict[Tone, str] = {
    "good": _theme("success-color1", "testing-iconPassed", "#1b7f3b", "#6fcf8e"),
    "quiet": _QUIET,
    "accent": _theme("brand-color1", "focusBorder", "#0072b2", "#56b4e9"),
    "warn": _theme("warn-color1", "editorWarning-foreground", "#b35c00", "#e69f00"),
}
_ROW = (
    '<tr style="background:none"><th scope="row" style="text-align:left;font-weight:normal;'
    f'color:{_QUIET};padding:2px 16px 2px 0;border:0">%s</th>'
    '<td style="text-align:left;padding:2px 0;border:0;font-variant-numeric:tabular-nums;'
    'overflow-wrap:anywhere">%s</td></tr>'
)
_UUID = (
    '<code title="%s" style="display:inline-block;width:8ch;overflow:hidden;white-space:nowrap;'
    'vertical-align:bottom;padding:0;background:none;color:inherit;user-select:all">%s</code>'
)


@dataclass(frozen=True)
class Uuid:
    """An identifier: eight characters are seen, the whole is in the tooltip and what a click copies."""

    value: str


def card(title: str, pill: str, rows: Mapping[str, object], tone: Tone = "quiet") -> str:
    """Return a card: title left, one status right, and a table of what is known.

    Parameters
    ----------
    title, pill : str
        The head.
    rows : mapping of str to object
        Label and value; numbers get their separators, times are told in UTC, empty values are left out.
    tone : str
        The colour of the status.

    Returns
    -------
    str
        HTML that needs neither kernel nor style sheet.

    Examples
    --------
    >>> "<strong>digits</strong>" in card("digits", "task mode", {"Hexagons": 5})
    True
    """
    cells = "".join(
        _ROW % (html.escape(label), _cell(value))
        for label, value in rows.items()
        if value is not None and value != ""
    )
    return (
        f'<div class="hanami-card" style="border:1px solid {_LINE};border-radius:8px;padding:12px;'
        'display:inline-block;min-width:min(320px,100%);max-width:100%;box-sizing:border-box">'
        '<div style="display:flex;flex-wrap:wrap;justify-content:space-between;gap:4px 16px;'
        f'margin-bottom:8px"><strong>{html.escape(title)}</strong>'
        f'<span style="color:{_TONES[tone]}">{html.escape(pill)}</span></div>'
        '<table style="border-collapse:collapse;margin:0;font-size:inherit">'
        f"<tbody>{cells}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if isinstance(value, Uuid):
        whole = html.escape(value.value)
        return _UUID % (whole, whole)
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, (int, float)):
        return f"{value:,}"
    return html.escape(str(value))
