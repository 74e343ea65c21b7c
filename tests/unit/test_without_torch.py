"""Where torch is not installed: what works then, and what says that it is missing."""

import re
import subprocess
import sys
from pathlib import Path

import finitewidth as fw

ROOT = Path(__file__).parents[2]
#: Each call is named by its function of the face. It prints the name, and what came.
PROGRAM = r"""
import sys, warnings
from importlib import metadata
from importlib.machinery import PathFinder
warnings.simplefilter("error")
# As where it is not installed, also to the finder that says so in a sentence.
class Without:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return PathFinder.find_spec(name, path, target) if name != "torch" else None
    find_distributions = PathFinder.find_distributions
sys.meta_path[sys.meta_path.index(PathFinder)] = Without
versions = metadata.version
def version(name):
    if name == "torch":
        raise metadata.PackageNotFoundError(name)
    return versions(name)
metadata.version = version
import finitewidth as fw
import numpy as np
def tell(name, call):
    try:
        found = call()
        print("works", name)
        return found
    except Exception as error:
        print("fails", name, "|", type(error).__name__, "|", error)
folder = sys.argv[1]
x = tell("inputs", lambda: fw.inputs("arc", dimension=3, angles=[0, 60]))
few = {"networks": 60, "progress": False}
nets = {"tanh": tell("perceptron", lambda: fw.perceptron("tanh", inputs=3, width=8, depth=3))}
nets["relu"] = fw.perceptron("relu", inputs=3, width=8, depth=3)
blocks = tell("network", lambda: fw.network("gelu", inputs=3, width=8, blocks=[{"repeat": 2}]))
every = ["preactivations", "quartic", "sextic"]
for name, net in nets.items():
    for precision in ("float32", "float64"):
        about = {"measure": every, "precision": precision}
        samples = tell("sample", lambda: fw.sample(net, x, **about, **few))
    tangents = tell("sample", lambda: fw.sample(net, x, measure=[*every, "ntk"], **few))
tell("sample", lambda: fw.sample(net, x, measure="log_norm", device="auto", **few))
tell("sample", lambda: fw.sample(net, x[:1], measure="ntk", sampler="scalar", **few))
estimates = tell("estimate", lambda: fw.estimate(samples))
tell("estimate", lambda: fw.estimate(tangents))
tell("estimate", lambda: fw.estimate({"preactivation": samples["preactivation"].values}))
theory = tell("predict", lambda: fw.predict(net, x))
tell("predict", lambda: fw.predict(net, x, ["covariance", "ntk", "ntk_tensors"]))
tell("predict", lambda: fw.predict(blocks, x))
tell("compare", lambda: fw.compare(estimates, theory))
kernels = tell("infinite_width", lambda: fw.infinite_width(net)(x))
tell("infinite_width", lambda: fw.infinite_width(blocks)(x))
tell("gradient_descent_mse", lambda: fw.gradient_descent_mse(kernels, np.ones(1), time=1.0))
tell("gaussian_process", lambda: fw.gaussian_process(kernels, np.ones(1), ridge=0.1))
tell("max_learning_rate", lambda: fw.max_learning_rate(kernels.ntk))
study = tell("load_study", lambda: fw.load_study({
    "inputs": {"two": {"kind": "arc", "dimension": 3, "angles": [0, 60]}},
    "ensembles": {
        "one": {"activation": "relu", "init": "critical", "width": [4, 8], "depth": 2,
                "inputs": "two", "networks": 60, "estimate": ["covariance"]},
        "ladder": {"activation": "tanh", "init": "critical", "ladder": [8, 12, 16, 24], "depth": 2,
                   "inputs": "two", "networks": 100}}}))
run = tell("load_study", lambda: study.run(progress=False))
tell("compare", lambda: fw.compare(run))
tell("draw", lambda: fw.draw(run, "covariance"))
tell("with_swept", lambda: fw.with_swept(samples.assign_attrs(swept="{}")))
for name in ("read_study", "open_ensemble"):
    try:
        getattr(fw, name)(folder)
    except fw.ArtifactError:
        print("works", name)
weights = fw.perceptron("relu", inputs=3, width=8, depth=3, weights="uniform")
tell("explicit", lambda: fw.sample(weights, x, sampler="explicit", **few))
tell("blocks", lambda: fw.sample(blocks, x, **few))
tell("gradient", lambda: fw.sample(net, x, measure=["preactivations", "gradient"], **few))
tell("dntk", lambda: fw.sample(net, x, measure=["ntk", "dntk"], sampler="explicit", **few))
tell("cuda", lambda: fw.sample(net, x, device="cuda", **few))
tell("tangent_kernel", lambda: fw.tangent_kernel)
tell("linearize", lambda: fw.linearize)
print("loaded", "torch" in sys.modules)
"""
SENTENCE = (
    "MissingExtraError | this part of finitewidth takes torch, which is not installed:"
    " pip install 'finitewidth[torch]'"
)


def test_without_torch_all_works_but_what_the_documents_name(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    assert lines[-1:] == ["loaded False"], done.stderr
    works = [line.split()[1] for line in lines if line.startswith("works")]
    failed = {line.split()[1]: line.partition(" | ")[2] for line in lines if line.startswith("fa")}
    assert set(failed.values()) == {SENTENCE}, failed
    # What a page promises, and what is refused here, name the same.
    page = (ROOT / "docs/library.md").read_text()
    (promise,) = re.findall(r"^Torch is needed by (.*?)\. All else works without it", page, re.M)
    of_torch = set(re.findall(r"`fw\.(\w+)`", promise)) - {"sample"}
    functions = {name for name in fw.__all__ if name.islower() and name != "__version__"}
    assert of_torch == set(failed) & functions == {"tangent_kernel", "linearize"}
    assert set(works) == functions - of_torch
    parts = {"explicit": "with their weights", "blocks": "made of blocks", "cuda": "on a GPU",
             "gradient": "`gradient`", "dntk": "`dntk`"}  # fmt: skip
    assert set(failed) - functions == set(parts)
    assert all(words in promise for words in parts.values()), promise
