"""Studies of one ensemble of networks made of blocks, with keys changed, and their one member."""

import copy

from finitewidth.members.plain import plain
from finitewidth.members.stages import PredictedNetworks, SampledNetworks, predicted, sampled
from finitewidth.planning.members import members
from finitewidth.sampling.sample_member import sample_member
from finitewidth.study.study_file import validate
from finitewidth.theory.predict.predict_member import predict_member


def content_of(inputs, network):
    """A study file of the ensemble ``e`` on the first of ``inputs``."""
    return {
        "seed": 1,
        "inputs": inputs,
        "ensembles": {
            "e": {
                "activation": "tanh", "init": {"C_W": 1.5, "C_b": 0.1}, "width": 8,
                "inputs": next(iter(inputs)), "networks": 100,
                "estimate": ["covariance", "four_point"], "network": network,
            },
        },
        "studies": {},
    }  # fmt: skip


def changed(base, network=None, **change):
    """A study with some keys of its ensemble and of its network changed; None takes a key out."""
    content = copy.deepcopy(base)
    whole = content["ensembles"]["e"]["network"] | (network or {})
    ensemble = {**content["ensembles"]["e"], "network": whole, **change}
    content["ensembles"]["e"] = {k: v for k, v in ensemble.items() if v is not None}
    return validate(content)


def one_member(base, network=None, **change):
    """The member of :func:`changed`."""
    (member,) = members(changed(base, network, **change), "e")
    return member


def sampled_and_predicted(member, x):
    """What a member samples on ``x``, and what is predicted of it."""
    found = sample_member(
        sampled(plain(member, SampledNetworks)), x, seed=1, device="cpu",
        blocks=(0, member.blocks), on_tile=lambda done, total: None,
    )  # fmt: skip
    return found, predict_member(predicted(plain(member, PredictedNetworks)), x)
