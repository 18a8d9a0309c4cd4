"""The two innermost loops, written so that a block stays in registers, which the compiler does not find."""

# mypy: disable-error-code="no-untyped-call"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba.core import cgutils, types
from numba.extending import intrinsic

BLOCK, LANES, REGISTERS = 128, 16, 4
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_I32, _I64 = ir.IntType(32), ir.IntType(64)


def _place(builder: Any, base: Any, at: int) -> Any:
    return builder.bitcast(builder.gep(base, [ir.Constant(_I64, at)]), _FLOATS.as_pointer())


def _multiply_add(builder: Any, vector: Any, factor: Any, to: Any) -> Any:
    return builder.fadd(to, builder.fmul(vector, factor, flags=["contract"]), flags=["contract"])


def _each_row(
    builder: Any, table: Any, rows: Any, factors: Any, number: Any, body: Callable[..., None]
) -> None:
    """Emit the loop over ``table[rows[i]]``, with ``factors[i]`` in every lane of a register."""
    with cgutils.for_range(builder, number, intp=_I64) as loop:
        row = builder.sext(builder.load(builder.gep(rows, [loop.index])), _I64)
        line = builder.gep(table, [builder.mul(row, ir.Constant(_I64, BLOCK))])
        nothing = ir.Constant(_FLOATS, ir.Undefined)
        one = builder.insert_element(
            nothing, builder.load(builder.gep(factors, [loop.index])), ir.Constant(_I32, 0)
        )
        zeros = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        body(line, builder.shuffle_vector(one, nothing, zeros))


def _pointers(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """Return where the arrays begin, and the last argument as 64 bits."""
    found = [
        context.make_array(kind)(context, builder, value).data
        for kind, value in zip(signature.args[:-1], arguments[:-1], strict=True)
    ]
    return [*found, context.cast(builder, arguments[-1], signature.args[-1], types.int64)]


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
