"""What fits no entry of the library ends in a sentence that names it, as that of an extension."""

from dataclasses import replace

import numpy as np
import pytest

from finitewidth.core.errors import ConfigError
from finitewidth.data import inputs
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.errors.jackknife import block_bounds
from finitewidth.estimate.families import estimate
from finitewidth.estimate.ntk.last_layer import Variables
from finitewidth.estimate.preactivations.layer import Layer
from finitewidth.estimate.samples import Samples
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.quantities.description import AT_INPUTS, AT_PAIR
from finitewidth.quantities.held import apart, estimated, predicted, sizes
from finitewidth.quantities.vocabulary import FAMILIES
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
from finitewidth.theory.predict.case import Case

pytestmark = pytest.mark.fast

X = np.random.default_rng(0).standard_normal((2, 3))
MLP = Perceptron.uniform_width("tanh", dimension=3, width=8, depth=3, C_W=1.0)
KURTOSIS = FAMILIES["kurtosis"]


def layer(*measure):
    samples = Samples([sample(MLP, X, networks=60, seed=1, measure=("preactivations", *measure))])
    return Layer(samples, 0, block_bounds(60), 4, (1, "e", "m"))


def of(dims, **more):
    return replace(KURTOSIS, quantities=(replace(KURTOSIS.quantities[0], dims=dims),), **more)


def test_other_axes_than_the_entry_says_are_named_with_the_function():
    of_layer, case = layer("quartic"), Case(MLP, X, [1, 3], 4, None)
    assert set(estimated(KURTOSIS, of_layer, of_layer.sizes)) == {"excess_kurtosis"}
    for dims, axes in ((AT_PAIR, "pair = 3"), (AT_INPUTS, "input = 2, input_ = 2")):
        with pytest.raises(ConfigError, match=rf"moments:kurtoses.*\(2,\).*axes \({axes}\)"):
            estimated(of(dims), of_layer, of_layer.sizes)
        with pytest.raises(ConfigError, match=rf"kurtosis.*axes \(layer = 2, {axes}\)"):
            predicted(of(dims), case, sizes(2, layer=2))


def test_other_quantities_and_orders_are_named():
    other = replace(KURTOSIS, quantities=FAMILIES["covariance"].quantities)
    of_layer = layer("quartic")
    with pytest.raises(ConfigError, match=r"gives excess_kurtosis, allowed is .* covariance"):
        estimated(other, of_layer, of_layer.sizes)
    with pytest.raises(ConfigError, match=r"quantities among covariance"):
        predicted(other, Case(MLP, X, [1, 3], 4, None), sizes(2, layer=2))


@pytest.mark.parametrize(("family", "missing"), [("kurtosis", "quartic"), ("six_point", "sextic")])
def test_a_record_that_a_family_forgot_is_named(family, missing):
    of_layer = layer(*["quartic"] * (missing == "sextic"))
    with pytest.raises(ValueError, match=f"variable {missing}; .* records"):
        estimated(FAMILIES[family], of_layer, of_layer.sizes)
    with pytest.raises(ValueError, match=f"variable {missing}; .* records"):
        Variables()[missing]
    with pytest.raises(ValueError, match=f"variable {missing}; .* records"):
        of_layer.samples.of_layer(missing, 0)


def test_axes_of_one_length_are_set_apart():
    assert apart(sizes(3), neuron=8) == {}
    assert apart(sizes(3), neuron=3) == {"neuron": 1}
    assert apart(sizes(3), neuron=5) == {}
    # Of three inputs there are 6 pairs, 9 couples and 15 quadruples.
    found = apart({**sizes(3), "rung": 3, "layer": 3}, rung=3, layer=3)
    assert found == {"rung": 1, "layer": 2}
    more = layer().samples.again(neuron=2)
    assert more.size("neuron") == layer().samples.size("neuron") + 2


@pytest.mark.parametrize("kind", sorted(inputs.KINDS))
def test_a_kind_whose_literal_is_another_name_than_its_file_is_told_what_is_wrong(kind):
    assert inputs._wrong(kind, inputs.KINDS[kind]) is None
    given, allowed = inputs._wrong("other", inputs.KINDS[kind])
    assert given == "other.Inputs without its kind"
    assert 'Literal["other"]' in allowed


def test_samples_with_other_axes_are_made_for_estimators_of_extensions_alone(monkeypatch):
    """They are a copy of all that was recorded, once for each family."""

    def again(self, **times):
        raise AssertionError("copied")

    monkeypatch.setattr(Samples, "again", again)
    names = {"seed": 1, "ensemble": "e", "member": "m"}
    rates = LearningRates.named("ntk", MLP)
    # Two inputs, two outputs, two neurons; two rungs and two layers.
    both = sample_ntk(
        MLP, rates, X, networks=60, seed=1, record=2, measure=("ntk", "preactivations")
    )
    assert "ntk" in estimate([both], ["covariance", "ntk", "ntk_spectrum"], **names)
    mlps = [Perceptron.uniform_width("tanh", dimension=3, width=n, depth=2) for n in (4, 8)]
    ladder = sample_ladder(mlps, X, networks=60, seed=1)
    assert "kernel_mean" in estimate_ladder([ladder], ["kernel_moments"], **names)
