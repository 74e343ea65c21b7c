"""What starting a job, or a plan, imports: nothing large that it does not compute with."""

import os
import subprocess
import sys

import pytest
import torch

from running import ROOT

#: Packages that take a tenth of a second or more to import.
LARGE = {"matplotlib", "netCDF4", "pandas", "pingouin", "pydantic", "requests", "rocrate", "scipy",
         "seaborn", "sklearn", "snakemake", "torch", "xarray"}  # fmt: skip
#: What each rule's script imports of them before it begins; xarray imports pandas itself.
XARRAY = {"xarray", "pandas"}
ALLOWED = {
    "compare": XARRAY | {"scipy"},
    "crate": set(),
    "data": XARRAY,
    "download": set(),
    "estimate": XARRAY | {"scipy"},
    "figures": XARRAY | {"matplotlib", "scipy"},
    "gallery": set(),
    "generate": XARRAY | {"torch"},
    "index": {"pandas"},
    # The kinds of inputs say what their keys may be.
    "inputs": XARRAY | {"pydantic"},
    "measure": XARRAY | {"torch"},
    "normality": XARRAY,
    "predict": XARRAY | {"scipy"},
    # What compiles imports the top of scipy, which takes 15 ms.
    "sample": XARRAY | {"scipy"},
    "theory": XARRAY | {"scipy"},
    "train": XARRAY | {"torch"},
}
SCRIPTS = sorted((ROOT / "workflow" / "scripts").glob("*.py"))
#: Runs the imports of a script, and says what of the large packages is there then.
PROGRAM = """
import ast, sys
tree = ast.parse(open(sys.argv[1]).read())
tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
exec(compile(tree, sys.argv[1], "exec"), {})
print(*(name for name in sys.argv[2:] if name in sys.modules))
"""


def imported(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments, *sorted(LARGE)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_script_imports_what_its_job_computes_with(script):
    assert imported(PROGRAM, str(script)) == ALLOWED[script.stem]


def test_a_command_line_is_read_before_anything_large_is_imported():
    program = "import sys\nimport finitewidth.__main__, finitewidth.runtime.run\n"
    program += "print(*(name for name in sys.argv[1:] if name in sys.modules))"
    assert imported(program) == set()


def test_a_plan_is_made_without_what_computes(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "seed: 1\ninputs: {x: {kind: sphere, dimension: 3, count: 1}}\nensembles:\n"
        "  e: {activation: relu, init: critical, width: 8, depth: 3, inputs: x, networks: 100}\n"
        "studies: {s: {ensembles: [e], figures: [kernel_flow]}}\n"
    )
    program = "import sys\nfrom finitewidth.study.study_file import load\n"
    program += (
        "from finitewidth.planning import members, plan\nfrom finitewidth.study import handed\n"
    )
    program += "from finitewidth.comparison import report\n"
    program += "from finitewidth.provenance import projections\n"
    program += "config = load([sys.argv.pop(1)])\nplan.plan(config), report.front_page(config)\n"
    program += "print(*(name for name in sys.argv[1:] if name in sys.modules))"
    assert imported(program, str(file)) == {"pydantic"}


#: Ensembles that compiled kernels draw, of each kind, and after them one that torch does.
ENSEMBLES = """
  plain: {activation: [tanh, relu], init: critical, width: 8, depth: 3, inputs: x, networks: 100}
  biased: {activation: gelu, init: {C_W: 1, C_b: 1}, width: 8, depth: 3, inputs: x, networks: 100,
           estimate: [four_point, kurtosis]}
  norms: {activation: relu, init: critical, width: 8, depth: 300, inputs: x, networks: 100,
          measure: [log_norm]}
  ladder: {activation: [relu, silu], init: critical, ladder: [8, 12, 16, 20, 24, 28], depth: 3,
           inputs: x, networks: 300}
  tangents: {activation: [relu, erf], init: critical, width: 8, depth: 3, inputs: x, networks: 100,
             measure: [ntk]}
  scalar: {activation: relu, init: critical, width: 8, depth: 3, inputs: one, networks: 100,
           measure: [ntk], sampler: scalar}
  explicit: {activation: relu, init: critical, width: 8, depth: 3, inputs: x, networks: 100,
             sampler: explicit}
"""
#: Samples them as the rule does, and says after each ensemble whether torch was imported.
SAMPLING = """
import sys
from finitewidth.core.device import label, prepare
from finitewidth.data.inputs import vectors
from finitewidth.planning.members import members
from finitewidth.sampling.sample_member import sample_member
from finitewidth.study.study_file import load
config = load([sys.argv[1]])
device = prepare("auto")
x = {name: vectors(name, spec.model_dump(), config.seed) for name, spec in config.inputs.items()}
for ensemble in config.ensembles:
    for m in members(config, ensemble):
        drawn = sample_member(m, x[m.inputs], seed=1, device=device, blocks=(0, 1),
                              on_tile=lambda *at: None)
        assert drawn.sizes["network"] == m.networks, ensemble
    print(ensemble, "torch" in sys.modules, label(device))
print("threads", sys.modules["torch"].get_num_threads())
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason="skipped: a GPU, which draws by torch")
def test_what_compiled_kernels_draw_is_drawn_without_torch(tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(
        "seed: 1\ninputs:\n  x: {kind: sphere, dimension: 3, count: 2}\n"
        f"  one: {{kind: sphere, dimension: 3, count: 1}}\nensembles:{ENSEMBLES}"
        "studies: {s: {ensembles: [plain]}}\n"
    )
    alone = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    done = subprocess.run(
        [sys.executable, "-c", SAMPLING, str(file)], capture_output=True, text=True, env=alone
    )
    assert done.returncode == 0, done.stderr
    *said, threads = done.stdout.splitlines()
    kernels = ("plain", "biased", "norms", "ladder", "tangents", "scalar")
    assert said == [*(f"{name} False cpu" for name in kernels), "explicit True cpu"]
    # As a job has it, whoever imports torch.
    assert threads == "threads 1"
