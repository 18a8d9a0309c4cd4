"""The innermost loops, written so that a block stays in registers, which the compiler does not find."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

BLOCK, LANES, REGISTERS, TOGETHER = 128, 16, 4, 4
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _place(builder: Any, base: Any, at: int) -> Any:
    return builder.bitcast(builder.gep(base, [ir.Constant(_I64, at)]), _FLOATS.as_pointer())


def _multiply_add(builder: Any, vector: Any, factor: Any, to: Any) -> Any:
    return builder.fadd(to, builder.fmul(vector, factor, flags=["contract"]), flags=["contract"])


def _line(builder: Any, table: Any, rows: Any, i: Any) -> Any:
    """Return where ``table[rows[i]]`` begins."""
    row = builder.sext(builder.load(builder.gep(rows, [i])), _I64)
    return builder.gep(table, [builder.mul(row, ir.Constant(_I64, BLOCK))])


def _each_row(
    builder: Any, table: Any, rows: Any, factors: Any, number: Any, body: Callable[..., None]
) -> None:
    """Emit the loop over ``table[rows[i]]``, with ``factors[i]`` in every lane of a register."""
    with cgutils.for_range(builder, number, intp=_I64) as loop:
        line = _line(builder, table, rows, loop.index)
        nothing = ir.Constant(_FLOATS, ir.Undefined)
        one = builder.insert_element(
            nothing, builder.load(builder.gep(factors, [loop.index])), ir.Constant(_I32, 0)
        )
        zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        body(line, builder.shuffle_vector(one, nothing, zeros))


def _pointers(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Return where the arrays begin, and the numbers as 64 bits."""
    return [
        context.make_array(kind)(context, builder, value).data
        if isinstance(kind, types.Array)
        else context.cast(builder, value, kind, types.int64)
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


@intrinsic
def add_rows(_: Any, sums: Any, begin: Any, table: Any, rows: Any, factors: Any, number: Any) -> Any:
    """Set ``sums`` to ``begin`` plus ``factors[i] * table[rows[i]]`` for ``i < number``, rows of 128."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        into, start, table, rows, factors, number = _pointers(context, builder, signature, arguments)
        for part in range(0, BLOCK, LANES * REGISTERS):
            places = range(part, part + LANES * REGISTERS, LANES)
            totals = [
                cgutils.alloca_once_value(builder, builder.load(_place(builder, start, p), align=4))
                for p in places
            ]

            def body(line: Any, factor: Any, places: Any = places, totals: Any = totals) -> None:
                for total, p in zip(totals, places, strict=True):
                    row = builder.load(_place(builder, line, p), align=4)
                    builder.store(_multiply_add(builder, row, factor, builder.load(total)), total)

            _each_row(builder, table, rows, factors, number, body)
            for total, p in zip(totals, places, strict=True):
                builder.store(builder.load(total), _place(builder, into, p), align=4)
        return context.get_dummy_value()

    return types.void(sums, begin, table, rows, factors, number), generate


@intrinsic
def change_rows(_: Any, step: Any, table: Any, rows: Any, factors: Any, number: Any) -> Any:
    """Add ``factors[i] * step`` to ``table[rows[i]]`` for ``i < number``, rows of 128."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        step, table, rows, factors, number = _pointers(context, builder, signature, arguments)
        for part in range(0, BLOCK, LANES * REGISTERS):
            places = range(part, part + LANES * REGISTERS, LANES)
            steps = [builder.load(_place(builder, step, p), align=4) for p in places]

            def body(line: Any, factor: Any, places: Any = places, steps: Any = steps) -> None:
                for one, p in zip(steps, places, strict=True):
                    at = _place(builder, line, p)
                    builder.store(_multiply_add(builder, one, factor, builder.load(at, align=4)), at, align=4)

            _each_row(builder, table, rows, factors, number, body)
        return context.get_dummy_value()

    return types.void(step, table, rows, factors, number), generate


@intrinsic
def pass_rows(_: Any, sums: Any, step: Any, table: Any, rows: Any, factors: Any, number: Any) -> Any:
    """Add ``factors[i] * table[rows[i]]`` to ``sums``, then ``factors[i] * step`` to ``table[rows[i]]``.

    What `add_rows` and `change_rows` would do one after the other, with one way through the rows.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, step, table, rows, factors, number = _pointers(context, builder, signature, arguments)
        for part in range(0, BLOCK, LANES * REGISTERS):
            places = range(part, part + LANES * REGISTERS, LANES)
            steps = [builder.load(_place(builder, step, p), align=4) for p in places]
            totals = [
                cgutils.alloca_once_value(builder, builder.load(_place(builder, sums, p), align=4))
                for p in places
            ]

            def body(
                line: Any, factor: Any, places: Any = places, steps: Any = steps, totals: Any = totals
            ) -> None:
                for one, total, p in zip(steps, totals, places, strict=True):
                    at = _place(builder, line, p)
                    row = builder.load(at, align=4)
                    builder.store(_multiply_add(builder, row, factor, builder.load(total)), total)
                    builder.store(_multiply_add(builder, one, factor, row), at, align=4)

            _each_row(builder, table, rows, factors, number, body)
            for total, p in zip(totals, places, strict=True):
                builder.store(builder.load(total), _place(builder, sums, p), align=4)
        return context.get_dummy_value()

    return types.void(sums, step, table, rows, factors, number), generate


def _across(builder: Any, sums: list[Any]) -> Any:
    """Return the sum of all lanes of all registers, halves first, so that it is the same everywhere."""
    while len(sums) > 1:
        sums = [builder.fadd(*pair) for pair in zip(sums[::2], sums[1::2], strict=True)]
    vector, lanes = sums[0], LANES
    while lanes > 1:
        lanes //= 2
        low, high = (
            ir.Constant(ir.VectorType(_I32, lanes), list(range(at, at + lanes))) for at in (0, lanes)
        )
        vector = builder.fadd(
            builder.shuffle_vector(vector, vector, low), builder.shuffle_vector(vector, vector, high)
        )
    return builder.extract_element(vector, ir.Constant(_I32, 0))


def _weigh_some(builder: Any, sight: Any, lines: list[Any], blocks: Any) -> list[Any]:
    """Emit the scalar products of ``sight`` with some lines, and return them."""
    zero = ir.Constant(_FLOATS, [0.0] * LANES)
    totals = [[cgutils.alloca_once(builder, _FLOATS) for _ in range(REGISTERS)] for _ in lines]
    for total in itertools.chain(*totals):
        builder.store(zero, total)
    with cgutils.for_range(builder, blocks, intp=_I64) as loop:
        at = builder.mul(loop.index, ir.Constant(_I64, BLOCK))
        seen, *heads = (builder.gep(line, [at]) for line in (sight, *lines))
        for n in range(BLOCK // LANES):
            one = builder.load(_place(builder, seen, n * LANES), align=4)
            for head, sums in zip(heads, totals, strict=True):
                row, total = builder.load(_place(builder, head, n * LANES), align=4), sums[n % REGISTERS]
                builder.store(_multiply_add(builder, row, one, builder.load(total)), total)
    return [_across(builder, [builder.load(total) for total in sums]) for sums in totals]


@intrinsic
def weigh_rows(_: Any, answer: Any, sight: Any, table: Any, rows: Any, number: Any, blocks: Any) -> Any:
    """Set ``answer[i]`` to the scalar product of ``sight`` with the ``blocks`` blocks at ``table[rows[i]]``.

    Several rows at a time, so that what they are multiplied with is read once for all of them.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        answer, sight, table, rows, number, blocks = _pointers(context, builder, signature, arguments)
        together = ir.Constant(_I64, TOGETHER)
        groups = builder.udiv(number, together)
        done = builder.mul(groups, together)
        for size, times, begin in (
            (TOGETHER, groups, ir.Constant(_I64, 0)),
            (1, builder.sub(number, done), done),
        ):
            with cgutils.for_range(builder, times, intp=_I64) as loop:
                first = builder.add(begin, builder.mul(loop.index, ir.Constant(_I64, size)))
                places = [builder.add(first, ir.Constant(_I64, i)) for i in range(size)]
                lines = [_line(builder, table, rows, i) for i in places]
                for i, total in zip(places, _weigh_some(builder, sight, lines, blocks), strict=True):
                    builder.store(total, builder.gep(answer, [i]))
        return context.get_dummy_value()

    return types.void(answer, sight, table, rows, number, blocks), generate
