"""Sixteen numbers of one type that compiled code treats alike: vectors of fixed length.

What LLVM makes of them depends on the processor (one register of AVX-512 in single precision, two
of AVX2, four of SSE); what they hold does not: each lane is computed by the operations written, in
the order written, each rounded as IEEE 754 says. Nothing is reassociated, and a product is joined
to a sum only where :func:`fma` says so. Sums over many numbers are kept lane by lane, so that their
order is fixed, too.

Functions here are for use in compiled code (``numba.njit``) alone.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable

#: How many numbers stand side by side.
LANES = 16
#: For functions of lanes: compiled into whoever calls them. Numba's own checks of divisors and
#: LLVM's liberties with floating-point numbers (``fastmath``) are off.
inlined = njit(error_model="numpy", forceinline=True)
#: For parts of a large function: put into it before it is compiled, which takes less time.
joined = njit(error_model="numpy", inline="always")


class Lanes(types.Type):
    """The type of sixteen numbers of type ``dtype``."""

    def __init__(self, dtype: types.Type):
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes):
        element = (
            ir.IntType(1) if kind.dtype == types.boolean else manager[kind.dtype].get_value_type()
        )
        super().__init__(manager, kind, ir.VectorType(element, LANES))


def spread(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    if isinstance(value, ir.Constant):
        return ir.Constant(ir.VectorType(value.type, LANES), [value] * LANES)
    vector = ir.VectorType(value.type, LANES)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.IntType(32)(0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), order)


def _of_llvm(builder: ir.IRBuilder, name: str, *values: ir.Value) -> ir.Value:
    """What LLVM's function of that name makes of vectors of floats."""
    vector = values[0].type
    size = 32 if vector.element == ir.FloatType() else 64
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(vector, [vector] * len(values)),
        f"llvm.{name}.v{LANES}f{size}",
    )
    return builder.call(function, values)


def is_float(kind: types.Type) -> bool:
    return isinstance(kind, types.Float)


def _both(context: Any, builder: ir.IRBuilder, kinds: Sequence, values: Sequence) -> list[ir.Value]:
    """Operands as vectors: a plain number stands in every lane, in the type of the others."""
    kind = next(k for k in kinds if isinstance(k, Lanes))
    return [
        value
        if isinstance(k, Lanes)
        else spread(builder, context.cast(builder, value, k, kind.dtype))
        for k, value in zip(kinds, values, strict=True)
    ]


def _operator(function: Callable, of_floats: str | None, of_integers: str | None) -> None:
    """Teach numba a binary operator, by the names of LLVM's instructions."""

    @type_callable(function)
    def typer(context: Any) -> Callable:
        def of(a: types.Type, b: types.Type) -> types.Type | None:
            kinds = [k for k in (a, b) if isinstance(k, Lanes)]
            numbers = [k for k in (a, b) if isinstance(k, types.Number)]
            if not kinds or len(kinds) + len(numbers) < 2 or len(set(kinds)) > 1:
                return None
            return kinds[0]

        return of

    def lower(context: Any, builder: ir.IRBuilder, signature: Any, values: Sequence) -> ir.Value:
        a, b = _both(context, builder, signature.args, values)
        floats = is_float(signature.return_type.dtype)
        name = (of_floats if floats else of_integers) or ""
        if function is operator.rshift and signature.return_type.dtype.signed:
            name = "ashr"
        return getattr(builder, name)(a, b)

    for kinds in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(function, *kinds)(lower)


_operator(operator.add, "fadd", "add")
_operator(operator.sub, "fsub", "sub")
_operator(operator.mul, "fmul", "mul")
_operator(operator.truediv, "fdiv", None)
_operator(operator.and_, None, "and_")
_operator(operator.or_, None, "or_")
_operator(operator.xor, None, "xor")
_operator(operator.lshift, None, "shl")
_operator(operator.rshift, None, "lshr")


def _comparison(function: Callable, sign: str) -> None:
    @type_callable(function)
    def typer(context: Any) -> Callable:
        def of(a: types.Type, b: types.Type) -> types.Type | None:
            if isinstance(a, Lanes) and (a == b or isinstance(b, types.Number)):
                return Lanes(types.boolean)
            return None

        return of

    def lower(context: Any, builder: ir.IRBuilder, signature: Any, values: Sequence) -> ir.Value:
        a, b = _both(context, builder, signature.args, values)
        kind = signature.args[0].dtype
        if is_float(kind):
            return builder.fcmp_ordered(sign, a, b)
        return (builder.icmp_signed if kind.signed else builder.icmp_unsigned)(sign, a, b)

    for kinds in ((Lanes, Lanes), (Lanes, types.Number)):
        lower_builtin(function, *kinds)(lower)


_comparison(operator.lt, "<")
_comparison(operator.gt, ">")


@intrinsic
def select(typingctx, mask, a, b):
    """``a`` where ``mask`` is true, else ``b``; either may be a plain number."""
    kind = a if isinstance(a, Lanes) else b

    def code(context, builder, signature, values):
        yes, no = _both(context, builder, signature.args[1:], values[1:])
        return builder.select(values[0], yes, no)

    return kind(mask, a, b), code


@intrinsic
def fma(typingctx, a, b, c):
    """a b + c, rounded once."""
    kind = next(k for k in (a, b, c) if isinstance(k, Lanes))

    def code(context, builder, signature, values):
        return _of_llvm(builder, "fma", *_both(context, builder, signature.args, values))

    return kind(a, b, c), code


def polynomial(single: Sequence[float], double: Sequence[float] = ()) -> Callable:
    """The polynomial of these coefficients, lowest power first, by Horner's rule with :func:`fma`.

    Parameters
    ----------
    single, double : sequence of float
        For lanes of float32 and of float64.
    """

    @intrinsic
    def horner(typingctx, x):
        coefficients = single if x.dtype == types.float32 else double
        if not len(coefficients):
            return None

        def code(context, builder, signature, values):
            element = context.get_value_type(x.dtype)
            all_lanes = [spread(builder, ir.Constant(element, float(c))) for c in coefficients]
            total = all_lanes[-1]
            for coefficient in reversed(all_lanes[:-1]):
                total = _of_llvm(builder, "fma", total, values[0], coefficient)
            return total

        return x(x), code

    return horner


def constant(single: float, double: float) -> Callable:
    """One number in every lane: of 32 bits beside lanes of 32 bits, or of 64 beside those of 64."""

    @intrinsic
    def beside(typingctx, x):
        number = single if x.dtype.bitwidth == 32 else double

        def code(context, builder, signature, values):
            return spread(builder, ir.Constant(context.get_value_type(x.dtype), number))

        return x(x), code

    return beside


def _of_the_same(name: str) -> Callable:
    @intrinsic
    def function(typingctx, x):
        return x(x), lambda context, builder, signature, values: _of_llvm(builder, name, *values)

    return function


#: The square root, which IEEE 754 rounds like the rest; the absolute value; the next integer below.
root, absolute, floor = _of_the_same("sqrt"), _of_the_same("fabs"), _of_the_same("floor")


@intrinsic
def with_sign(typingctx, x, sign):
    """|x| with the sign of ``sign``."""
    return x(x, sign), lambda context, builder, signature, values: _of_llvm(
        builder, "copysign", *values
    )
