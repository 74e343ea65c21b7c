"""Into lanes and out of them: arrays, plain numbers, other types, the sum of all.

For compiled code (``numba.njit``) alone, as :mod:`.lanes`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from finitewidth.sampling.fused.lanes import LANES, Lanes, is_float, spread


def _splatting(kind: types.Type) -> Callable:
    @intrinsic
    def splat(typingctx, value):
        return Lanes(kind)(value), lambda context, builder, signature, values: spread(
            builder, context.cast(builder, values[0], value, kind)
        )

    return splat


#: A plain number in every lane.
float64_lanes, uint64_lanes = _splatting(types.float64), _splatting(types.uint64)


@intrinsic
def bits(typingctx, x):
    """The bits of floats as integers with a sign."""
    kind = Lanes(types.int32 if x.dtype == types.float32 else types.int64)

    def code(context, builder, signature, values):
        return builder.bitcast(values[0], context.get_value_type(kind))

    return kind(x), code


@intrinsic
def from_bits(typingctx, x):
    """The floats that integers of 32 or 64 bits spell."""
    kind = Lanes(types.float32 if x.dtype.bitwidth == 32 else types.float64)

    def code(context, builder, signature, values):
        return builder.bitcast(values[0], context.get_value_type(kind))

    return kind(x), code


def _convert(
    context: Any, builder: ir.IRBuilder, source: Any, target: Any, value: ir.Value
) -> ir.Value:
    if source == target:
        return value
    if is_float(source) and is_float(target):
        name = "fpext" if target.bitwidth > source.bitwidth else "fptrunc"
    elif is_float(target):
        name = "sitofp" if source.signed else "uitofp"
    elif target.bitwidth == source.bitwidth:
        return value
    elif target.bitwidth < source.bitwidth:
        name = "trunc"
    else:
        name = "sext" if source.signed else "zext"
    return getattr(builder, name)(value, context.get_value_type(Lanes(target)))


def _conversion(target: types.Type) -> Callable:
    @intrinsic
    def convert(typingctx, x):
        return Lanes(target)(x), lambda context, builder, signature, values: _convert(
            context, builder, x.dtype, target, values[0]
        )

    return convert


to_float32 = _conversion(types.float32)
to_float64 = _conversion(types.float64)
to_int32 = _conversion(types.int32)
to_uint32 = _conversion(types.uint32)
to_int64 = _conversion(types.int64)
to_uint64 = _conversion(types.uint64)


@intrinsic
def counting(typingctx, start):
    """Lanes of uint64 that hold start, start + 1, ..."""
    kind = Lanes(types.uint64)

    def code(context, builder, signature, values):
        first = spread(builder, context.cast(builder, values[0], start, types.uint64))
        steps = ir.Constant(context.get_value_type(kind), list(range(LANES)))
        return builder.add(first, steps)

    return kind(start), code


@intrinsic
def place_in_lanes(typingctx, like):
    """Lanes of the type of ``like`` that hold 0, 1, ..., 15."""
    return like(like), lambda context, builder, signature, values: ir.Constant(
        values[0].type, [float(k) for k in range(LANES)]
    )


@intrinsic
def ones_of(typingctx, x):
    """How many bits of integers of 32 bits are 1."""

    def code(context, builder, signature, values):
        kind = values[0].type
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind]), f"llvm.ctpop.v{LANES}i32"
        )
        return builder.call(function, values)

    return x(x), code


@intrinsic
def total(typingctx, x):
    """The sum of all lanes, in a fixed order: lane k and lane k + 8 first, and so on."""

    def code(context, builder, signature, values):
        left, count = values[0], LANES
        while count > 1:
            count //= 2
            none = ir.Constant(left.type, ir.Undefined)
            index = ir.VectorType(ir.IntType(32), count)
            low, high = (
                builder.shuffle_vector(left, none, ir.Constant(index, list(range(at, at + count))))
                for at in (0, count)
            )
            left = builder.fadd(low, high)
        return builder.extract_element(left, ir.IntType(32)(0))

    return x.dtype(x), code


@intrinsic
def converted(typingctx, x, like):
    """Numbers in the floating-point type of the lanes ``like``: rounded to nearest."""
    return like(x, like), lambda context, builder, signature, values: _convert(
        context, builder, x.dtype, like.dtype, values[0]
    )


def _place(context: Any, builder: ir.IRBuilder, kind: types.Array, array: Any, at: Any) -> Any:
    """Pointer to the lanes of an array that begin at one of its elements."""
    data = context.make_array(kind)(context, builder, array).data
    element = context.get_value_type(kind.dtype)
    first = builder.gep(data, [at], source_etype=element)
    return builder.bitcast(first, ir.VectorType(element, LANES).as_pointer())


@intrinsic
def load(typingctx, array, at):
    """Lanes from a contiguous array of one dimension, from its element ``at`` on."""
    kind = Lanes(array.dtype)

    def code(context, builder, signature, values):
        index = context.cast(builder, values[1], at, types.intp)
        place = _place(context, builder, array, values[0], index)
        return builder.load(place, align=array.dtype.bitwidth // 8)

    return kind(array, at), code


@intrinsic
def store(typingctx, array, at, x):
    """Write lanes into a contiguous array of one dimension, from its element ``at`` on."""

    def code(context, builder, signature, values):
        index = context.cast(builder, values[1], at, types.intp)
        place = _place(context, builder, array, values[0], index)
        builder.store(values[2], place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, at, x), code


def _without_owner(context: Any, builder: ir.IRBuilder, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        for owner in ("meminfo", "parent"):
            setattr(array, owner, cgutils.get_null_value(getattr(array, owner).type))
        return array._getvalue()
    if isinstance(kind, types.Tuple | types.UniTuple):
        for k, each in enumerate(kind.types):
            inner = _without_owner(context, builder, each, builder.extract_value(value, k))
            value = builder.insert_value(value, inner, k)
    return value


@intrinsic
def borrowed(typingctx, values):
    """Arrays, or a tuple of arrays, numbers and tuples, as what nobody needs to count.

    Numba counts references to an array at each access of a tuple that holds it, by an atomic
    addition and subtraction. Where layers are narrow these took two fifths of the time of tangent
    kernels. Whoever calls the compiled function keeps its arguments, so that it may go without.
    """
    return values(values), lambda context, builder, signature, given: _without_owner(
        context, builder, values, given[0]
    )
