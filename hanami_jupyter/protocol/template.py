"""The grammar of cluster templates: text in, a checked template out, or every problem with its place."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from hanami_jupyter.protocol.spelling import nearest

Position = tuple[int, int, int]

BLOCKS = ("version", "settings", "hexagons", "inputs", "outputs")
SETTINGS = ("neuron_cooldown", "refractory_time", "max_connection_distance", "enable_reduction")
KEYWORDS = frozenset((*BLOCKS, *SETTINGS, "axons", "true", "false", "True", "False"))
MAX_NAME = 254
MAX_INT = 2**31 - 1
MAX_HEXAGONS = 2000
MAX_PROBLEMS = 100  # noted of one text
NO_COOLDOWN = 1e30
_DIGITS = 100  # of a number that is read at all
_SHOWN = 80  # characters of one token in a sentence
_LONG = 4  # steps from which a walk over all places costs more than measuring each hexagon

_TOKEN = re.compile(
    r"(?P<skip>[ \t\n]+|\#[^\n\r]*)"
    r"|(?P<number>-?\d+(?:\.\d+)?(?![A-Za-z_0-9.]))"
    r"|(?P<word>[A-Za-z_0-9]+(?![^ \t\n:,\#]))"
    r"|(?P<mark>[:,])"
    r"|(?P<bad>[^ \t\n:,\#]+)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a template.

    Attributes
    ----------
    message : str
        One sentence: what is wrong, with which value, what to do.
    start, end : int
        Offsets into the text, ``end`` exclusive.
    line, column : int
        The place of ``start``, both counted from 1.
    """

    message: str
    start: int
    end: int
    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}: {self.message}"


class TemplateError(ValueError):
    """A template that does not follow the grammar; ``problems`` lists every fault with its place."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


@dataclass(frozen=True)
class Settings:
    """The settings block of a template.

    Attributes
    ----------
    neuron_cooldown : float
        Divisor of a neuron's potential from one cycle to the next, > 1; large means no memory.
    refractory_time : int
        Cycles before a neuron that fired can fire again, at least 1.
    max_connection_distance : int
        Steps over the hexagon grid that a connection may span, at least 1.
    enable_reduction : bool
        Whether synapses that were never useful fade and are removed.
    """

    neuron_cooldown: float = NO_COOLDOWN
    refractory_time: int = 1
    max_connection_distance: int = 1
    enable_reduction: bool = False


@dataclass(frozen=True)
class Template:
    """A checked cluster template.

    Attributes
    ----------
    settings : Settings
        The settings, with defaults for what the text leaves out.
    hexagons : tuple of (int, int, int)
        Positions ``x, y, z`` in the order of the text, which is the order of processing.
    inputs, outputs : dict of str to (int, int, int)
        Named input and output hexagons.
    text : str
        The text it was read from.
    warnings : tuple of Problem
        Things that are allowed but probably not meant.
    """

    settings: Settings
    hexagons: tuple[Position, ...]
    inputs: dict[str, Position]
    outputs: dict[str, Position]
    text: str = field(default="", compare=False)
    warnings: tuple[Problem, ...] = field(default=(), compare=False)

    def canonical(self) -> str:
        """Return the template written in one fixed form, without comments: equal templates, equal text."""
        settings = self.settings
        cooldown = f"{settings.neuron_cooldown:f}".rstrip("0")
        lines = [
            "version: 1",
            "settings:",
            f"    neuron_cooldown: {cooldown}{'0' if cooldown.endswith('.') else ''}",
            f"    refractory_time: {settings.refractory_time}",
            f"    max_connection_distance: {settings.max_connection_distance}",
            f"    enable_reduction: {str(settings.enable_reduction).lower()}",
            "hexagons:",
            *(f"    {_comma(position)}" for position in self.hexagons),
            "inputs:",
            *(f"    {name}: {_comma(position)}" for name, position in self.inputs.items()),
            "outputs:",
            *(f"    {name}: {_comma(position)}" for name, position in self.outputs.items()),
        ]
        return "\n".join(lines) + "\n"


def neighbours(position: Position) -> tuple[Position, ...]:
    """Return the twelve positions that touch a hexagon: six in its plane, three above, three below.

    Rows are shifted by the parity of ``y``.

    Examples
    --------
    >>> len(neighbours((1, 1, 1)))
    12
    >>> (2, 1, 1) in neighbours((1, 1, 1))
    True
    """
    x, y, z = position
    near, far = (x, x + 1) if y % 2 else (x - 1, x)
    return (
        (x - 1, y, z),
        (x + 1, y, z),
        (near, y - 1, z),
        (far, y - 1, z),
        (near, y + 1, z),
        (far, y + 1, z),
        (x, y, z + 1),
        (near, y + 1, z + 1),
        (far, y + 1, z + 1),
        (x, y, z - 1),
        (near, y - 1, z - 1),
        (far, y - 1, z - 1),
    )


def strip(text: str) -> str:
    r"""Return the text as every server takes it: without comments and without ``\r``.

    Examples
    --------
    >>> strip("version: 1  # the only one\r\n")
    'version: 1\n'
    """
    return re.sub(r"[ \t]*#[^\n]*", "", text.replace("\r\n", "\n").replace("\r", "\n"))


def parse(text: str) -> Template:
    """Read a cluster template.

    Parameters
    ----------
    text : str
        The template. White space and line structure do not matter; ``#`` starts a comment.

    Returns
    -------
    Template
        The checked template.

    Raises
    ------
    TemplateError
        With every problem found, each with its place in the text.

    Examples
    --------
    >>> template = parse('''
    ... version: 1
    ... settings:
    ...     refractory_time: 1
    ... hexagons:
    ...     1,1,1
    ...     2,1,1
    ... inputs:
    ...     picture: 1,1,1
    ... outputs:
    ...     label: 2,1,1
    ... ''')
    >>> template.inputs
    {'picture': (1, 1, 1)}
    """
    return _Reader(text).template()


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    line: int

    @property
    def end(self) -> int:
        return self.start + len(self.text)


class _SyntaxProblemError(Exception):
    """Raised inside one entry; the reader notes it and goes on behind the entry."""


_T = TypeVar("_T")


class _Reader:
    """Reads one text; notes every problem and goes on with the next entry."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []
        self.tokens = list(self._scan())
        self.tokens.append(_Token("end", "", len(text), text.count("\n") + 1))
        self.at = 0
        self.reading = ""

    def _scan(self) -> Iterator[_Token]:
        line = 1
        for match in _TOKEN.finditer(self.text):
            kind, found = str(match.lastgroup), match.group()
            if kind != "skip":
                yield _Token(kind, found, match.start(), line)
            line += found.count("\n")

    def template(self) -> Template:
        for name, block in zip(
            BLOCKS,
            (self._version, self._settings, self._hexagons, self._ends("input"), self._ends("output")),
            strict=True,
        ):
            self._block(name, block)
        if self.token.kind != "end":
            shown = _short(self.token.text)
            self._note(self.token, f"'{shown}' stands behind the end of the template. Remove it.")
        self._check()
        if self.problems:
            raise TemplateError(sorted(self.problems, key=lambda problem: problem.start))
        return Template(
            self.settings,
            tuple(self.hexagons),
            {name: position for name, position, _ in self.inputs},
            {name: position for name, position, _ in self.outputs},
            self.text,
            tuple(self.warnings),
        )

    # -- tokens

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def _note(self, token: _Token, message: str, *, warning: bool = False) -> None:
        notes = self.warnings if warning else self.problems
        if len(notes) >= MAX_PROBLEMS:
            return
        before = self.text[: token.start]
        column = token.start - (before.rfind("\n") + 1) + 1
        problem = Problem(message, token.start, max(token.end, token.start), before.count("\n") + 1, column)
        notes.append(problem)

    def _fail(self, expected: str) -> _SyntaxProblemError:
        token = self.token
        if token.kind == "bad" and "\r" in token.text:
            self._note(token, "The text has Windows line ends. Save it with line feeds only.")
        elif token.kind == "end":
            self._note(token, f"The template ends where {expected} should stand.")
        else:
            self._note(token, f"'{_short(token.text)}' stands where {expected} should stand.")
        return _SyntaxProblemError()

    def _whole(self, first: _Token) -> _Token:
        """Return the entry from its first token to the last one taken as one token."""
        end = self.tokens[self.at - 1].end
        return _Token("word", self.text[first.start : end], first.start, first.line)

    def _take(self, kind: str, expected: str, text: str | None = None) -> _Token:
        token = self.token
        if token.kind != kind or (text is not None and token.text != text):
            raise self._fail(expected)
        self.at += 1
        return token

    def _block_here(self) -> str | None:
        """Return the block that begins here, also where its name is misspelt."""
        if self.token.kind != "word" or self.tokens[self.at + 1].text != ":":
            return None
        if self.token.text in BLOCKS:
            return self.token.text
        if self.reading in {"inputs", "outputs"} and self.tokens[self.at + 2].kind == "number":
            return None  # an input or output may be named so
        return nearest(self.token.text, BLOCKS)

    def _at_block(self) -> bool:
        return self.token.kind == "end" or self._block_here() is not None

    def _recover(self, line: int) -> None:
        """Skip the rest of a broken entry: to the next line or the next block."""
        while not self._at_block() and self.token.line <= line:
            self.at += 1

    # -- blocks

    def _block(self, name: str, read: Callable[[], None]) -> None:
        try:
            if self.token.text != name == self._block_here():
                shown = _short(self.token.text)
                self._note(self.token, f"'{shown}' is not known here. Did you mean '{name}'?")
                self.at += 1
            else:
                self._take("word", f"'{name}:'", name)
            self._take("mark", f"':' after '{name}'", ":")
        except _SyntaxProblemError:
            while self.token.kind != "end" and self._block_here() != name:
                here = self._block_here()
                if here is not None and BLOCKS.index(here) > BLOCKS.index(name):
                    break
                self.at += 1
            if self._block_here() != name:
                self._empty(name)
                return
            self.at += 2
        self.reading = name
        read()

    def _empty(self, name: str) -> None:
        """Stand in for a block that is missing, so that the later ones are still checked."""
        if name == "settings":
            self.settings = Settings()
        elif name != "version":
            setattr(self, name, [])

    def _entries(self, read: Callable[[], _T], what: str) -> Iterator[_T]:
        """Read entries until the next block; a broken one is noted and skipped."""
        if self._at_block():
            self._note(self.token, f"At least one {what} is needed here.")
        while not self._at_block():
            before = self.at
            try:
                yield read()
            except _SyntaxProblemError:
                self._recover(self.tokens[before].line)
                if self.at == before:
                    self.at += 1

    def _version(self) -> None:
        try:
            token = self._take("number", "the version '1'")
        except _SyntaxProblemError:
            return
        if token.text != "1":
            self._note(token, f"Version {_short(token.text)} is not known. Write 'version: 1'.")

    def _settings(self) -> None:
        values: dict[str, float | bool] = {}

        def read() -> None:
            key = self._take("word", "a setting, such as 'refractory_time: 1'")
            if key.text not in SETTINGS:
                shown = _short(key.text)
                close = nearest(key.text, SETTINGS)
                advice = f"Did you mean '{close}'?" if close else f"Use one of {', '.join(SETTINGS)}."
                self._note(key, f"Setting '{shown}' is not known. {advice}")
                self._recover(key.line)
                return
            self._take("mark", f"':' after '{key.text}'", ":")
            value = self._setting(key.text)
            if key.text in values:
                self._note(key, f"Setting '{key.text}' is given twice. Remove one.")
            values[key.text] = value

        for _ in self._entries(read, "setting"):
            pass
        self.settings = Settings(**values)  # type: ignore[arg-type]

    def _setting(self, key: str) -> float | bool:
        token = self.token
        if key == "enable_reduction":
            if token.text not in {"true", "false", "True", "False"}:
                raise self._fail("true or false")
            self.at += 1
            return token.text.lower() == "true"
        if key == "neuron_cooldown":
            self._take("number", "a number without exponent, such as 10000000.0")
            value = float(token.text)
            if not 1.0 < value < math.inf:
                self._note(token, f"neuron_cooldown is {_short(token.text)}, but must be greater than 1.")
            return value
        number = self._integer("a whole number, at least 1")
        if number < 1:
            self._note(token, f"{key} is {_short(token.text)}, but must be at least 1.")
        return number

    def _integer(self, expected: str) -> int:
        token = self._take("number", expected)
        if "." in token.text:
            self.at -= 1
            raise self._fail(expected)
        value = int(token.text) if len(token.text) < _DIGITS else MAX_INT + 1
        if abs(value) > MAX_INT:
            self._note(token, f"{_short(token.text)} is too large. The limit is {MAX_INT}.")
        return value

    def _position(self) -> Position:
        x = self._integer("a position x,y,z of whole numbers")
        self._take("mark", "',' between x and y", ",")
        y = self._integer("the whole number y of the position")
        self._take("mark", "',' between y and z", ",")
        return x, y, self._integer("the whole number z of the position")

    def _hexagons(self) -> None:
        self.hexagons: list[Position] = []

        def read() -> tuple[_Token, Position]:
            return self.token, self._position()

        seen: dict[Position, int] = {}
        for first, position in self._entries(read, "hexagon"):
            if position in seen:
                place = f"{_comma(position)} is listed twice, first in line {seen[position]}"
                self._note(self._whole(first), f"Hexagon {place}. Remove one.")
            seen.setdefault(position, first.line)
            self.hexagons.append(position)
        if len(self.hexagons) > MAX_HEXAGONS:
            self._note(
                self.token, f"The template has {len(self.hexagons)} hexagons. The limit is {MAX_HEXAGONS}."
            )

    def _ends(self, kind: str) -> Callable[[], None]:
        """Return the reader of the inputs or of the outputs block."""

        def read() -> tuple[str, Position, _Token]:
            token = self.token
            name = self._take("word", f"the name of an {kind}, such as '{kind}_hexagon: 1,1,1'")
            if name.text in KEYWORDS:
                self.at -= 1
                raise self._fail(f"the name of an {kind} that is no keyword")
            self._take("mark", f"':' after '{_short(name.text)}'", ":")
            position = self._position()
            if len(name.text) > MAX_NAME:
                self._note(name, f"The name has {len(name.text)} characters. The limit is {MAX_NAME}.")
            return name.text, position, self._whole(token)

        def block() -> None:
            entries = list(self._entries(read, kind))
            setattr(self, f"{kind}s", entries)

        return block

    inputs: list[tuple[str, Position, _Token]]
    outputs: list[tuple[str, Position, _Token]]

    # -- what the grammar alone does not say

    def _check(self) -> None:
        known = set(self.hexagons)
        names: set[str] = set()
        for kind, entries in (("input", self.inputs), ("output", self.outputs)):
            used: dict[Position, str] = {}
            for name, position, token in entries:
                place = _comma(position)
                if position not in known:
                    self._note(
                        token,
                        f"Hexagon {place} is named as {kind} but is not in the list of hexagons. "
                        f"Add it, or move the {kind}.",
                    )
                if name in names:
                    self._note(token, f"The name '{name}' is used twice. Rename one.")
                if position in used:
                    self._note(token, f"Hexagon {place} is already {kind} '{used[position]}'. Move one.")
                names.add(name)
                used.setdefault(position, name)
        if self.problems:
            return
        fed = {position for _, position, _ in self.inputs}
        for name, position, token in self.outputs:
            if position in fed:
                self._note(token, f"Output '{name}' is an input too: it will learn nothing.", warning=True)
        self._check_reach(fed, known)

    def _check_reach(self, fed: set[Position], known: set[Position]) -> None:
        """Warn of outputs that no path of the allowed step length connects to an input."""
        unknown, frontier = known - fed, list(fed)
        while frontier and unknown:
            found = within(frontier.pop(), self.settings.max_connection_distance, unknown)
            unknown.difference_update(found)
            frontier += found
        for name, position, token in self.outputs:
            if position in unknown:
                self._note(
                    token,
                    f"No path leads from an input to output '{name}'. Add hexagons between them, "
                    "or raise max_connection_distance.",
                    warning=True,
                )


def within(position: Position, steps: int, known: set[Position]) -> dict[Position, int]:
    """Return the known hexagons reachable in at most ``steps`` steps over the grid, with their distance.

    Steps may lead over places where no hexagon is; the hexagon itself is not among the answers.

    Examples
    --------
    >>> within((1, 1, 1), 2, {(1, 1, 1), (3, 1, 1), (9, 9, 9)})
    {(3, 1, 1): 2}
    """
    if steps > _LONG:  # cheaper to measure the few hexagons than to walk the many places
        distances = {other: distance(position, other) for other in known if other != position}
        return {other: length for other, length in distances.items() if length <= steps}
    seen, frontier, found = {position}, [position], {}
    for length in range(1, steps + 1):
        frontier = [near for place in frontier for near in neighbours(place)]
        frontier = [near for near in dict.fromkeys(frontier) if near not in seen]
        seen.update(frontier)
        found.update({near: length for near in frontier if near in known})
    return found


def distance(one: Position, other: Position) -> int:
    """Return the number of steps between two hexagons over the grid.

    With twelve neighbours each, the grid is the root lattice A3, whose steps are the differences of two of
    four unit vectors: the distance is half the sum of the absolute coordinates (Conway and Sloane, "Sphere
    Packings, Lattices and Groups", chapter 4).

    Examples
    --------
    >>> distance((1, 1, 1), (4, 1, 1))
    3
    """
    rows, layers = other[1] - one[1], other[2] - one[2]
    columns = (other[0] - other[1] // 2) - (one[0] - one[1] // 2)
    return (abs(columns + rows) + abs(columns) + abs(layers - rows) + abs(layers)) // 2


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _comma(position: Position) -> str:
    return ",".join(map(str, position))
