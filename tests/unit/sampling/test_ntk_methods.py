"""Every way on the same networks: samples, counts of operations, and times apart."""

import numpy as np

from finitewidth.estimate.families import estimate
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.ntk.network import WAYS
from finitewidth.sampling.ntk_ways import sample_methods

X = np.array([[1.0, -0.5, 0.3], [0.8, 0.9, -0.2]])


def draw(width):
    mlp = Perceptron("tanh", (3, width, width, 4), (0.1,) * 3, (1.5,) * 3)
    return sample_methods(mlp, LearningRates.named("pdlt", mlp, 0.4, 1.1), X, networks=50, seed=1)


def test_ways_agree_and_cost_what_they_should():
    samples = draw(16)
    assert samples["ntk_by_way"].shape == (50, len(WAYS), 2, 2, 2, 2)
    found = estimate([samples], ["ntk_methods"], seed=1, ensemble="e", member="m")
    deviation = found["way_deviation"].isel(layer=0)
    assert list(found["way"].values) == list(WAYS)
    assert np.isnan(deviation.sel(way="jacobian"))
    others = deviation.drop_sel(way="jacobian")
    assert ((others > 0) & (others < 1e-14)).all()
    assert (found["way_deviation_stderr"].drop_sel(way="jacobian") > 0).all()
    cost = found["way_operations"]
    assert cost.sel(way="layerwise") < cost.sel(way="jacobian") < cost.sel(way="jvp")
    assert (samples["seconds"] > 0).all()


def test_the_same_networks_every_time():
    one, other = draw(8), draw(8)
    assert np.array_equal(one["ntk_by_way"], other["ntk_by_way"])
    assert np.array_equal(one["operations"], other["operations"])
