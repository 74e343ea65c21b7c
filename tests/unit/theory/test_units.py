"""Units of quantities: what theory leaves out scales as the quantity itself does."""

import numpy as np
import pytest

from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.vocabulary import (
    COEFFICIENTS,
    DESCRIBED,
    FAMILIES,
    FROM_LADDER,
    FROM_NTK,
)
from finitewidth.theory.predict.neglected import with_neglected
from finitewidth.theory.predict.predict_ladder import predict_ladder
from finitewidth.theory.predict.predict_ntk import predict_ntk, predict_ntk_ladder
from finitewidth.theory.predict.predict_preactivations import predict

#: Means of a logarithm are moved by a factor, and their fluctuations stay.
MOVED = ("log_norm_mean", "log_kernel_mean")
#: No expansion in 1/n describes how often a test rejects, nor the eigenvalues of as many inputs as
#: there are neurons.
WITHOUT = {"rejection_rate", "stable_rank"}
#: Mixtures of all inputs, which scale only with all of them.
OF_ALL = ("ntk_eigenvalue", "ntk_log_condition")
X = np.array([[1.0, 0.4, -0.3], [0.2, 0.9, 1.1]])
LAYERS = [1, 3, 4]


def network(width=24):
    # Scale-invariant: all that is known of it is homogeneous in its inputs.
    about = {"dimension": 3, "width": width, "depth": 4, "outputs": 3}
    return Perceptron.uniform_width("relu", C_b=0.0, C_W=1.9, **about)


def predicted(x, rate):
    """Every quantity that theory knows of, without what is exact, and what is left out of it."""
    mlps = [network(), network(48)]
    rates = [LearningRates.named("pdlt", mlp, 0.0, rate) for mlp in mlps]
    known = [name for name, family in FAMILIES.items() if family.theory]
    of_layers = [name for name in known if name not in (*FROM_LADDER, *FROM_NTK)]
    found = (
        (predict(mlps[0], x, LAYERS, of_layers, networks=100), mlps[:1]),
        (predict_ladder(mlps, x, LAYERS, [n for n in known if n in FROM_LADDER]), mlps),
        (predict_ntk(mlps[0], rates[0], x, LAYERS, [n for n in known if n in FROM_NTK]), mlps[:1]),
        (predict_ntk_ladder(mlps, rates, x, LAYERS), mlps),
    )
    both = {}
    for theory, of in found:
        hidden = theory.map(lambda v: v.where(v["order"] != "exact"), keep_attrs=True)
        left = with_neglected(hidden, of, x, rates[: len(of)])
        names = set(theory.data_vars) - set(COEFFICIENTS)
        both |= {name: (theory[name], left[f"{name}_neglected"]) for name in names}
    return both


@pytest.fixture(scope="module")
def plain():
    return predicted(X, 0.5)


def test_every_quantity_that_theory_knows_of_is_of_some_unit(plain):
    """A new one without its unit fails here, and not in silence."""
    missing = {name for name in plain if DESCRIBED[name].unit is None} - WITHOUT
    assert not missing, f"give {', '.join(sorted(missing))} a unit (quantities/description.py)"


def test_a_unit_has_exponents_for_each_index_of_the_inputs():
    for name, q in DESCRIBED.items():
        assert not q.unit or len(q.unit) == q.indices, name


#: Factors of the inputs, one by one, and of the rates.
SCALES = {
    "the inputs": ([0.25, 0.25], 1.0),
    "each input": ([0.25, 0.5], 1.0),
    "the rates": ([1.0, 1.0], 0.0625),
}


@pytest.mark.parametrize("which", SCALES)
def test_what_is_left_out_scales_as_the_quantity_does(plain, which):
    by, rate = SCALES[which]
    scaled = predicted(X * np.array(by)[:, None], 0.5 * rate)
    tried = set()
    for name, (values, left) in plain.items():
        if DESCRIBED[name].unit is None or (which == "each input" and name in OF_ALL):
            continue
        after, left_after = scaled[name]
        with np.errstate(divide="ignore", invalid="ignore"):
            # One factor for all orders of a number: that of orders which are not 0.
            factor = np.fmax.reduce(np.where(values != 0, after / values, np.nan), axis=0)
            of_left = left_after.values / left.values
        if name in MOVED:
            factor = np.ones_like(factor)
        seen = (left.values > 0) & np.isfinite(factor)
        tried |= {name} if seen.any() else set()
        of_number = np.broadcast_to(factor, seen.shape)[seen]
        np.testing.assert_allclose(of_left[seen], of_number, rtol=1e-6, err_msg=name)
    assert len(tried) > 20
