"""A study of networks of one's own, run from the command line: results, stamps, what reruns."""

import numpy as np
import pandas as pd
import pytest
import yaml

from extending import ROOT, run
from finitewidth.provenance.artifacts import read_dataset, read_stamp

MODULES = ROOT / "docs" / "examples" / "modules.py"
SAMPLES = "results/ensembles/{}/samples/0.nc"
THEORY = "results/ensembles/bilinear/width-8/theory.nc"
TABLE = "results/studies/own_networks/comparison.csv"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder in which a smaller study than that of the document was run; the file beside it."""
    folder = tmp_path_factory.mktemp("made")
    content = yaml.safe_load((ROOT / "docs/examples/modules.yaml").read_text())
    content |= {"run": "default", "formats": ["png"]}
    content["ensembles"]["bilinear"]["networks"] = 400
    content["ensembles"]["looped"]["networks"] = 60
    (folder / "study.yaml").write_text(yaml.safe_dump(content))
    (folder / "modules.py").write_text(MODULES.read_text())
    done = begin(folder)
    assert done.returncode == 0, done.stdout
    return folder


def begin(folder, *arguments):
    return run(
        "finitewidth", "run", "--configfile", folder / "study.yaml", "--directory", folder,
        "--cores", 1, *arguments, extensions=folder / "modules.py",
    )  # fmt: skip


def used(folder, path):
    modules = read_stamp(folder / path)["code"]["modules"]
    return {m.partition("/")[2] for m in modules if m.startswith("extensions/")}


def test_tables_hold_the_theory_of_the_network_against_estimates(made):
    table = pd.read_csv(made / TABLE)
    assert set(table["network"]) == {"module bilinear"}
    assert table["activation"].isna().all()
    rows = table[table["quantity"] == "covariance"]
    assert len(rows) == 12
    assert set(rows["order"]) == {"exact"}
    told = rows[rows["trusted"] & rows["holds"]]
    assert len(told) >= 9
    # Of so few numbers: beyond 4.5 in one of 10,000 seeds.
    assert told["z"].abs().max() < 4.5
    assert (made / "results/studies/own_networks/figures/covariance.png").exists()


def test_tangent_kernels_are_estimated(made):
    estimates = read_dataset(made / "results/ensembles/looped/only/estimates.nc")
    assert np.isfinite(estimates["ntk"].sel(layer=2)).all()
    samples = read_dataset(made / SAMPLES.format("looped/only"))
    assert samples.attrs["batched"] == 1


def test_stamps_name_the_network_and_its_theory(made):
    assert used(made, SAMPLES.format("bilinear/width-8")) == {"modules.py:NETWORKS.bilinear"}
    assert used(made, THEORY) == {
        "modules.py:NETWORKS.bilinear", "modules.py:NETWORKS.bilinear.theory",
    }  # fmt: skip
    assert used(made, SAMPLES.format("looped/only")) == {"modules.py:NETWORKS.looped"}


def test_an_edit_reruns_what_uses_it(made):
    file, text = made / "modules.py", MODULES.read_text()
    for old, new, some, none in (
        ("K = case.x @", "K = 1.0 * case.x @", "theory_bilinear", "sample_"),
        ("range(4)", "range(5)", "sample_looped", "sample_bilinear"),
    ):
        assert old in text
        file.write_text(text.replace(old, new))
        try:
            done = begin(made, "--dry-run")
        finally:
            file.write_text(text)
        assert done.returncode == 0, done.stdout
        assert some in done.stdout
        assert none not in done.stdout
