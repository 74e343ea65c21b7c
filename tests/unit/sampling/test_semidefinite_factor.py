"""The factor of a covariance that may be singular."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from finitewidth.sampling.gaussian_rows import semidefinite_factor

pytestmark = pytest.mark.fast


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6),
    inputs=st.integers(1, 7),
    rank=st.integers(0, 7),
    scale=st.floats(1e-8, 1e8),
)
def test_it_is_lower_triangular_and_its_square_is_the_matrix(seed, inputs, rank, scale):
    root = np.random.default_rng(seed).standard_normal((inputs, rank)) * np.sqrt(scale)
    gram = torch.from_numpy(root @ root.T)[None]
    factor = semidefinite_factor(gram)[0].numpy()
    assert np.isfinite(factor).all()
    assert np.array_equal(factor, np.tril(factor))
    assert np.allclose(factor @ factor.T, gram[0].numpy(), atol=1e-6 * scale * max(rank, 1))
