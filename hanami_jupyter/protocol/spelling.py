"""Which known name somebody probably meant."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is at most two letters away from a name, if there is one.

    A letter too many, missing, wrong or swapped with the next counts one; more than a third of the name may
    not differ.

    Examples
    --------
    >>> nearest("hexagns", ["hexagons", "inputs"])
    'hexagons'
    >>> nearest("eye", ["ear"]) is None
    True
    """
    allowed = min(2, len(name) // 3)
    near = [other for other in known if abs(len(name) - len(other)) <= allowed]
    ranked = [(_distance(name, other), other) for other in near]
    best = min(ranked, key=lambda pair: pair[0], default=(allowed + 1, ""))
    return best[1] if best[0] <= allowed else None


def _distance(one: str, other: str) -> int:
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, against in enumerate(other, 1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != against))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == against:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]


def meant(name: str, known: Iterable[str]) -> str:
    """Return what to say behind a name that is not known: the nearest one, else all there are.

    Examples
    --------
    >>> meant("pictur", ["picture"])
    "Did you mean 'picture'?"
    >>> meant("eye", ["picture", "sound"])
    "There are 'picture', 'sound'."
    """
    names = list(known)
    close = nearest(name, names)
    if close is not None:
        return f"Did you mean '{close}'?"
    listed = ", ".join(f"'{other}'" for other in names)
    return f"There {'is' if len(names) == 1 else 'are'} {listed or 'none'}."
