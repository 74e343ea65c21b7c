"""What functions of an extension give: tried out, used in whole runs, refused in a sentence."""

import pytest

from extending import OWN, TO_DRAW, changed, said
from finitewidth.models.activations.own import wrong, wrong_on_tensors
from finitewidth.models.activations.table import TABLE

TEXT = OWN.read_text()


@pytest.mark.parametrize("name", TABLE)
def test_every_activation_of_the_library_would_be_taken(name):
    import torch

    assert wrong(TABLE[name]) is None
    assert wrong_on_tensors(torch, TABLE[name]) is None


@pytest.mark.parametrize("field", ["on_tensor_", "derivative_on_tensor_", "second_on_tensor"])
def test_what_torch_computes_otherwise_is_refused(field):
    import dataclasses

    import torch

    for name, off in (("tanh", 1e-3), ("relu", 1e-3), ("gelu", 1e-3)):
        right = getattr(TABLE[name], field)

        def other(*given, right=right, off=off):
            return right(*given) * (1 + off) + off

        given, _ = wrong_on_tensors(torch, dataclasses.replace(TABLE[name], **{field: other}))
        assert f"{name}.{field}" in given


def test_what_torch_cannot_differentiate_is_refused():
    import dataclasses

    import torch

    def detached(torch, z):
        return torch.tanh(z.detach())

    one = dataclasses.replace(TABLE["tanh"], on_tensor_=detached)
    given, allowed = wrong_on_tensors(torch, one)
    assert "on_tensor_" in given
    assert "differentiates" in allowed


#: Draws random studies of each kind whose activation is that of the extension, and runs the first
#: that is accepted.
RANDOM = """
import pathlib, tempfile, warnings
import random_studies, whole_runs
warnings.simplefilter("ignore")
random_studies.ACTIVATIONS = ("bump",)
for kind in {kinds!r}:
    folder = pathlib.Path(tempfile.mkdtemp())
    for seed in range(7000, 7040):
        content = random_studies.drawn(seed, folder, kind)
        first = content["ensembles"]["e0"]
        first["estimate"] += ["participation"] * (kind == "layers")
        # Of the other ensembles of the study, which tests elsewhere run, none is needed.
        content["ensembles"], content["studies"]["s"]["ensembles"] = {{"e0": first}}, ["e0"]
        content.pop("trained", None), content["studies"]["s"].pop("trained", None)
        # Whichever quantities it names, the family's is looked for.
        content["studies"]["s"].pop("quantities", None)
        config, _ = random_studies.accepted(content, folder)
        if config and config.ensembles["e0"].activation == ["bump"]:
            found = whole_runs.run(config, folder)
            has_family = "participation" in set(found.rows["quantity"])
            print(kind, len(found.rows), has_family, found.faults)
            break
"""


def test_random_studies_of_its_activation_run_to_their_end():
    """A trusted z beyond 6 has odds of 2e-9 a row."""
    kinds = ["layers", "ntk", "ways", "ladder"]
    (told,) = said([(OWN, RANDOM.format(kinds=kinds))])
    for kind, line in zip(kinds, told.splitlines(), strict=True):
        word, rows, has_family, faults = line.split(" ", 3)
        assert (word, faults) == (kind, "[]")
        assert int(rows) > 0
        assert has_family == str(kind == "layers")


#: Families of a ladder and of tangent kernels, with theory and without.
OTHER_FAMILIES = """
import numpy as np
from finitewidth.quantities.description import AT_INPUT, Family, Quantity


def spread(ladder):
    from finitewidth.estimate.errors.jackknife import block_sums, jackknife
    shape = ladder.diagonal.shape[1:]  # (rung, layer, input)
    k = ladder.diagonal.reshape(-1, np.prod(shape))
    sums = block_sums(lambda at: {"k": k[at], "kk": k[at] ** 2}, ladder.bounds)
    ratio = lambda s, count: s["kk"] * count / s["k"] ** 2 - 1
    found = jackknife(sums, ladder.bounds, ratio, correct_bias=True)
    return {"kernel_spread": found.take(np.arange(k.shape[1]).reshape(shape))}


def spread_theory(rung):
    return {"kernel_spread": {"infinite_width": np.zeros((len(rung.layers), len(rung.x)))}}


def trace(last):
    from finitewidth.estimate.errors.jackknife import block_sums, jackknife
    theta = np.einsum("nooaa->na", last.read["ntk"]) / last.read["ntk"].shape[1]
    sums = block_sums(lambda at: {"t": theta[at]}, last.bounds)
    name = "own_trace"
    return {name: jackknife(sums, last.bounds, lambda s, count: s["t"] / count)}


def trace_theory(case):
    return {"own_trace": {"infinite_width": np.diagonal(case.theta)}}


def silent(last):
    return {"silent": trace(last)["own_trace"]}


def silent_spread(ladder):
    return {"silent_spread": spread(ladder)["kernel_spread"]}


IN_LADDER = ("rung", *AT_INPUT)
FAMILIES = [
    Family("spread", (Quantity("kernel_spread", IN_LADDER, "Var/E^2", unit=()),),
           ("conditional_kernel",), spread, spread_theory, made_of="ladder"),
    Family("silent_spread", (Quantity("silent_spread", IN_LADDER, "the same"),),
           ("conditional_kernel",), silent_spread, made_of="ladder"),
    Family("trace", (Quantity("own_trace", AT_INPUT, "Theta", unit=((0, 2),)),),
           ("ntk",), trace, trace_theory, made_of="last_layer"),
    Family("silent", (Quantity("silent", AT_INPUT, "Theta"),), ("ntk",), silent,
           made_of="last_layer"),
]
"""
#: Studies with these, or with these alone, run to their tables.
RUN_OTHERS = """
import pathlib, tempfile, warnings
import whole_runs
from finitewidth.study.study_file import validate
warnings.simplefilter("ignore")
shared = {"activation": "tanh", "init": "critical", "depth": 3, "inputs": "x", "networks": 2000}
for ensemble in (
    {"ladder": [8, 16, 32, 64], "estimate": ["kernel_moments", "spread", "silent_spread"]},
    {"ladder": [8, 16], "estimate": ["silent_spread"]},
    {"width": 16, "measure": ["ntk"], "estimate": ["ntk", "trace", "silent"]},
    {"width": 16, "measure": ["ntk"], "estimate": ["silent"]},
):
    config = validate({
        "seed": 1, "device": "cpu",
        "inputs": {"x": {"kind": "sphere", "dimension": 3, "count": 2, "norm": 1.7}},
        "ensembles": {"e": {**shared, **ensemble}}, "studies": {"s": {"ensembles": ["e"]}},
    })
    found = whole_runs.run(config, pathlib.Path(tempfile.mkdtemp()))
    assert not found.faults, found.faults
    rows = found.rows
    own = rows[rows["quantity"].isin(["kernel_spread", "silent_spread", "own_trace", "silent"])]
    off = rows[rows["quantity"].isin(["own_trace"])]
    same = rows[(rows["quantity"] == "ntk") & rows["inputs"].isin(["0 0", "1 1"])]
    same = same[same["order"] == "infinite_width"]
    print(found.faults, sorted(set(own["quantity"])), sorted(set(own["order"])),
          set(off["estimate"].round(9)) == set(same["estimate"].round(9)), own["trusted"].any())
"""


def test_families_of_ladders_and_of_tangent_kernels_with_theory_and_without(tmp_path):
    (tmp_path / "more.py").write_text(OTHER_FAMILIES)
    (told,) = said([(tmp_path / "more.py", RUN_OTHERS)])
    assert told.splitlines() == [
        "[] ['kernel_spread', 'silent_spread'] ['infinite_width', 'none'] True True",
        "[] ['silent_spread'] ['none'] True True",
        "[] ['own_trace', 'silent'] ['infinite_width', 'none'] True True",
        "[] ['silent'] ['none'] True True",
    ]


#: Calls of what an extension declares, as jobs do.
_CALL = {
    "estimator": "from finitewidth.quantities.vocabulary import FAMILIES as F\n"
    "from finitewidth.quantities.held import estimated, sizes\n"
    "estimated(F['participation'], None, sizes(2))",
    "theory": "from finitewidth.quantities.vocabulary import FAMILIES as F\n"
    "from finitewidth.quantities.held import predicted, sizes\n"
    "predicted(F['participation'], None, sizes(2, layer=3))",
    "vectors": "from finitewidth.data.inputs import vectors\nvectors('turned', {'kind': 'spiral',"
    " 'count': 2, 'dimension': 3, 'turn': 1.0, 'growth': 1.0}, 1)",
    "tensors": "import torch\nfrom finitewidth.models.activations import table\n"
    "table.check_on_tensors(torch, 'bump')",
}
_ARRAYS = "type('E', (), dict.fromkeys(['value', 'stderr', 'reason'], np.zeros((2, 2))))()"
#: What a function of the extension gives, and a word of the sentence that its job ends in.
IN_JOBS = {
    "no quantities": ("estimator", "estimator=lambda layer: {}", "a dictionary of participation"),
    "another one": ("estimator", "estimator=lambda layer: {'a': 1}", "that gives a,"),
    "no dictionary": ("estimator", "estimator=lambda layer: [1]", "that gives list"),
    "no estimate": (
        "estimator",
        "estimator=lambda layer: {'participation': 1.0}",
        "axes (input = 2)",
    ),
    "another shape": (
        "estimator",
        f"estimator=lambda layer: {{'participation': {_ARRAYS}}}",
        "axes (input = 2)",
    ),
    "another theory": ("theory", "theory=lambda case: {'a': {}}", "quantities among participation"),
    "no orders": ("theory", "theory=lambda case: {'participation': np.ones(2)}", "orders among"),
    "another order": (
        "theory",
        "theory=lambda case: {'participation': {'second': np.ones((2, 2))}}",
        "orders among infinite_width",
    ),
    "theory of another shape": (
        "theory",
        "theory=lambda case: {'participation': {'exact': np.ones(2)}}",
        "axes (layer = 3, input = 2)",
    ),
    "one vector": ("vectors", "    return x[0]\n", "(inputs, n_0)"),
    "a list": ("vectors", "    return x.tolist()\n", "list of shape"),
    "too few vectors": ("vectors", "    return x[:1]\n", "1 vectors where count is 2"),
    "vectors with a hole": ("vectors", "    return x * np.nan\n", "NaN"),
    "complex ones": ("vectors", "    return x * 1j\n", "real numbers"),
    "another slope": ("tensors", "s: z * s", "derivative, on tensors"),
}
_REPLACED = {
    "estimator": "estimator=participations",
    "theory": "theory=participation_theory",
    "vectors": "    return x\n",
    "tensors": "s: -z * s",
}


def test_what_a_function_gives_otherwise_ends_its_job_in_a_sentence(tmp_path):
    cases = []
    for k, (called, new, _) in enumerate(IN_JOBS.values()):
        (tmp_path / f"own{k}.py").write_text(changed(_REPLACED[called], new))
        cases.append((tmp_path / f"own{k}.py", _CALL[called]))
    cases += [(OWN, _CALL["vectors"]), (OWN, _CALL["tensors"])]
    answers = said(cases, TO_DRAW)
    for (_, _, words), told in zip(IN_JOBS.values(), answers[:-2], strict=True):
        assert told.startswith("ConfigError: "), told
        assert words in told
    assert answers[-2:] == ["", ""]


#: Estimates of extensions whose axes are of one length by chance: inputs and recorded neurons,
#: outputs, or rungs and layers.
_MIXED = """
import numpy as np
from finitewidth.estimate.coupled.rungs import estimate_ladder
from finitewidth.estimate.families import estimate
from finitewidth.models.parameterisation import LearningRates
from finitewidth.models.perceptron import Perceptron
from finitewidth.sampling.ensemble import sample
from finitewidth.sampling.mlp.coupled_widths import sample_ladder
from finitewidth.sampling.ntk_ensemble import sample_ntk
names = dict(seed=1, ensemble="e", member="m")
mlps = [Perceptron.uniform_width("tanh", dimension=3, width=n, depth=3, C_W=1.0, outputs=3)
        for n in (8, 12, 16)]

def found(x):
    if "{family}" == "participation":
        samples = sample(mlps[0], x, networks=60, seed=1, record=3)
        return estimate([samples], ["participation"], **names)
    if "{family}" == "trace":
        rates = LearningRates.named("ntk", mlps[0])
        samples = sample_ntk(mlps[0], rates, x, networks=60, seed=1, outputs=3)
        return estimate([samples], ["trace"], **names)
    samples = sample_ladder(mlps, x, networks=60, seed=1)
    return estimate_ladder([samples], ["spread"], **names)

for inputs in (2, 3):
    try:
        made = found(np.random.default_rng(0).standard_normal((inputs, 3)))
        print(sorted(name for name in made.data_vars if name.endswith("_stderr")))
    except Exception as error:
        print(f"{{type(error).__name__}}: {{error}}")
"""
#: Family -> what makes its estimator's axes those of another dimension, and its quantity.
_OTHER_AXES = {
    "participation": (TEXT, "mean(axis=2)", "mean(axis=1)", "participation", "input"),
    "trace": (OTHER_FAMILIES, '"nooaa->na"', '"nooaa->no"', "own_trace", "input"),
    "spread": (OTHER_FAMILIES, "ladder.diagonal", "ladder.diagonal.swapaxes(1, 2)",
               "kernel_spread", "rung"),
}  # fmt: skip


def test_an_estimate_over_another_axis_is_refused_whatever_their_sizes(tmp_path):
    """With three inputs every axis is of length 3."""
    cases = []
    for family, (text, right, other, _, _) in _OTHER_AXES.items():
        for kind, content in ("right", text), ("wrong", text.replace(right, other)):
            file = tmp_path / f"{family}_{kind}.py"
            file.write_text(content)
            cases.append((file, _MIXED.format(family=family)))
    answers = said(cases, TO_DRAW)
    for k, (_, _, _, quantity, dim) in enumerate(_OTHER_AXES.values()):
        good, wrong = (answer.splitlines() for answer in answers[2 * k : 2 * k + 2])
        assert good == [f"['{quantity}_stderr']"] * 2
        assert len(wrong) == 2
        for bad in wrong:
            assert bad.startswith("ConfigError: extension "), bad
            assert f"gives {quantity} as an array of shape" in bad
            assert f"{dim} = " in bad
