"""Members as tables and figures read them, made without a study file."""

from finitewidth.comparison.results import MemberResults
from finitewidth.members.stages import TabulatedLadder, TabulatedNetworks
from finitewidth.members.trained import PredictedReplicas, Rainbow

_SHARED = {
    "ensemble": "e",
    "name": "m",
    "swept": {},
    "activation": "relu",
    "init": "given",
    "weights": "normal",
    "C_W": 2.0,
    "C_b": 0.0,
    "width": 8,
    "depth": 3,
    "outputs": 8,
    "inputs": "x",
    "networks": 1000,
    "layers": (1, 2, 3),
    "record": 8,
    "ntk": None,
    "ntk_outputs": 1,
    "sampler": "marginal",
    "measure": ("preactivations",),
    "memory": 1.0,
    "estimate": ("covariance",),
}


def networks(**change):
    """Networks of one width."""
    return TabulatedNetworks(**_SHARED | {"hidden": None} | change)


def ladder(**change):
    """Networks of several widths."""
    return TabulatedLadder(**_SHARED | {"controls": True} | change)


def trained(**change):
    """Replicas of a perceptron."""
    rainbow = Rainbow(networks=8, covariance=("reference",), widen=(1.0,), layers=("all",))
    about = {
        "ensemble": "e",
        "name": "m",
        "mlp": (12, 7, 5, 3),
        "cnn": None,
        "data": "d",
        "widen": 1.0,
        "weights": "uniform",
        "C_W": 1 / 3,
        "replicas": 3,
        "epochs": 4,
        "batch": 64,
        "learning_rate": 0.1,
        "momentum": 0.9,
        "optimiser": "sgd",
        "rainbow": rainbow,
        "published": None,
    }
    return PredictedReplicas(**about | change)


def results(estimates, theory, swept=(), **change):
    """What was estimated of networks of one width, beside theory."""
    return MemberResults(networks(**change), dict(swept), estimates, theory)
