"""Kernels of tests: what the GPU's kernels are made of, one thing at a time."""

import triton
import triton.language as tl

from finitewidth.sampling.triton_kernels.activations import activate, slope
from finitewidth.sampling.triton_kernels.normals import pair


@triton.jit
def pairs_of(words, found, COUNT: tl.constexpr):
    at = tl.program_id(0) * COUNT + tl.arange(0, COUNT)
    first, second = tl.load(words + 2 * at), tl.load(words + 2 * at + 1)
    one, two = pair(first.to(tl.uint32, bitcast=True), second.to(tl.uint32, bitcast=True))
    tl.store(found + 2 * at, one)
    tl.store(found + 2 * at + 1, two)


@triton.jit
def evaluate(z, values, slopes, CODE: tl.constexpr, PLUS: tl.constexpr, MINUS: tl.constexpr,
              COUNT: tl.constexpr):  # fmt: skip
    at = tl.arange(0, COUNT)
    x = tl.load(z + at)
    s = activate(x, CODE, PLUS, MINUS)
    tl.store(values + at, s)
    tl.store(slopes + at, slope(x, s, CODE, PLUS, MINUS))
