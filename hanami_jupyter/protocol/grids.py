"""Families of cluster templates: grids of every width, depth and connection distance."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hanami_jupyter.protocol import template as grammar

SHALLOWEST = 3  # hexagons from input to output, both counted


class TemplateGrid(dict[str, str]):
    """Templates by name, in order, with what tells each from the others.

    Attributes
    ----------
    parameters : dict of str to dict
        ``width``, ``depth`` and ``max_connection_distance`` of each template, by its name.
    """

    def __init__(self, *texts: Any, **parameters: dict[str, int]) -> None:
        super().__init__(*texts)
        self.parameters = parameters

    def __or__(self, other: Mapping[str, str]) -> TemplateGrid:  # type: ignore[override]
        """Return these templates and others, a grid's with its parameters."""
        return TemplateGrid(
            super().__or__(dict(other)), **self.parameters, **getattr(other, "parameters", {})
        )


def template_grid(
    width: int | Iterable[int] = (1, 2, 3),
    depth: int | Iterable[int] = (3, 4),
    max_connection_distance: int | Iterable[int] = 1,
    *,
    inputs: str | Sequence[str] = "picture",
    outputs: str | Sequence[str] = "label",
    neuron_cooldown: float = grammar.NO_COOLDOWN,
    refractory_time: int = 1,
    enable_reduction: bool = False,
) -> TemplateGrid:
    """Write a template for each combination of width, depth and connection distance.

    Parameters
    ----------
    width : int or iterable of int
        Hexagons side by side between inputs and outputs.
    depth : int or iterable of int
        Hexagons in a row from an input to an output, both counted: at least 3.
    max_connection_distance : int or iterable of int
        Steps that a connection may span.
    inputs, outputs : str or sequence of str
        Names of the input and output hexagons, at most as many as the smallest width.
    neuron_cooldown, refractory_time, enable_reduction
        Settings of all templates.

    Returns
    -------
    TemplateGrid
        Texts of templates by name: a dictionary, whose ``parameters`` say what each is made of.

    Raises
    ------
    ValueError
        If a number is too small, or inputs and outputs do not fit.

    Examples
    --------
    >>> grid = template_grid(width=[1, 3], depth=3, max_connection_distance=[1, 2])
    >>> list(grid)[:2]
    ['1 wide 3 deep reach 1', '1 wide 3 deep reach 2']
    >>> grid.parameters["3 wide 3 deep reach 2"]
    {'width': 3, 'depth': 3, 'max_connection_distance': 2}
    """
    axes = [_numbers("width", width, 1), _numbers("depth", depth, SHALLOWEST)]
    axes.append(_numbers("max_connection_distance", max_connection_distance, 1))
    ends = [[names] if isinstance(names, str) else list(names) for names in (inputs, outputs)]
    for kind, names in zip(("inputs", "outputs"), ends, strict=True):
        if not 1 <= len(names) <= min(axes[0]):
            message = f"{len(names)} {kind} do not fit a width of {min(axes[0])}. Give 1 to {min(axes[0])}."
            raise ValueError(message)
    grid = TemplateGrid()
    for wide, deep, reach in itertools.product(*axes):
        settings = grammar.Settings(neuron_cooldown, refractory_time, reach, enable_reduction)
        name = f"{wide} wide {deep} deep reach {reach}"
        grid[name] = _text(settings, wide, deep, *ends)
        grammar.parse(grid[name])
        grid.parameters[name] = {"width": wide, "depth": deep, "max_connection_distance": reach}
    return grid


def _numbers(name: str, given: int | Iterable[int], least: int) -> list[int]:
    numbers = list(dict.fromkeys([given] if isinstance(given, int) else given))
    for number in numbers:
        if number < least:
            message = f"{name} is {number}, but must be at least {least}."
            raise ValueError(message)
    if not numbers:
        message = f"{name} names no number. Give at least one."
        raise ValueError(message)
    return numbers


def _text(settings: grammar.Settings, wide: int, deep: int, inputs: list[str], outputs: list[str]) -> str:
    """Write a template: a column of inputs, columns of hidden hexagons, a column of outputs."""
    fed = {name: (1, row, 1) for name, row in zip(inputs, _rows(len(inputs), wide), strict=True)}
    read = {name: (deep, row, 1) for name, row in zip(outputs, _rows(len(outputs), wide), strict=True)}
    hidden = [(x, y, 1) for x in range(2, deep) for y in range(1, wide + 1)]
    hexagons = (*fed.values(), *hidden, *read.values())
    lines = grammar.Template(settings, hexagons, fed, read).canonical().splitlines(keepends=True)
    unset = settings.neuron_cooldown == grammar.NO_COOLDOWN
    return "".join(line for line in lines if not (unset and "neuron_cooldown" in line))


def _rows(count: int, wide: int) -> range:
    """Return so many rows in the middle of a column."""
    first = (wide - count + 1) // 2 + 1 if count < wide else 1
    return range(first, first + count)
