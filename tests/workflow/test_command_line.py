"""What a person reads who gives the workflow a study file, good or bad."""

import pytest
import yaml

from running import ROOT, TINY, snakemake


def write(tmp_path, content):
    path = tmp_path / "study.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("key", "value", "part"),
    [
        ("seed", "1e-5", "config key seed: given \"1e-5\""),
        ("sede", 1, "config key sede: given an unknown key"),
        ("studies", {"s": {"ensembles": ["linear"], "figures": ["pie"]}},
         'config key studies.s.figures: given "pie", allowed is'),
        ("inputs", {}, 'config key ensembles.both.inputs: given "pair", allowed is one of none'),
    ],
)  # fmt: skip
def test_a_bad_study_file_ends_before_the_first_job_in_one_sentence(tmp_path, key, value, part):
    content = yaml.safe_load(TINY.read_text()) | {key: value}
    done = snakemake(tmp_path, "--configfile", write(tmp_path, content), "--cores", "1")
    assert done.returncode != 0
    assert "Traceback" not in done.stdout
    assert sum(part in line for line in done.stdout.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_study_file_stands_alone_and_overrides_go_on_top(tmp_path):
    default = snakemake(tmp_path, "--dry-run")
    assert "sample_chaos" in default.stdout
    alone = snakemake(tmp_path, "--dry-run", "--configfile", TINY)
    assert "sample_norms" in alone.stdout
    assert "sample_chaos" not in alone.stdout
    for arguments in ([], ["--configfile", TINY]):
        bad = snakemake(tmp_path, "--dry-run", *arguments, "--config", "seed=-7")
        assert bad.returncode != 0
        assert "config key seed: given -7" in bad.stdout
        good = snakemake(tmp_path, "--dry-run", *arguments, "--config", "seed=7")
        assert good.returncode == 0


def test_overrides_are_read_as_a_study_file_is(tmp_path):
    def planned(*entries):
        done = snakemake(tmp_path, "--dry-run", "--configfile", TINY, "--config", *entries)
        return done.returncode, done.stdout

    status, out = planned("ensembles={linear: {networks: 700, init: {C_W: [1.5, 2.5]}}}", "seed=3")
    assert status == 0, out
    assert "C_W-2.5" in out
    status, out = planned("studies={covariance: {title: a, title: b}}")
    assert status != 0
    assert '--config studies line 1: given the key "title" twice' in out
    status, out = planned("ensembles={linear: {networks: ten}}")
    assert 'config key ensembles.linear.networks: given "ten"' in out
    assert "Traceback" not in out


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    path = write(tmp_path, "seed: 1\nseed: 2\n")
    done = snakemake(tmp_path, "--dry-run", "--configfile", path)
    assert done.returncode != 0
    assert 'given the key "seed" twice' in done.stdout
    assert "Traceback" not in done.stdout


def test_a_member_that_does_not_exist_is_named(tmp_path):
    target = "results/ensembles/chaos/width-3/estimates.nc"
    done = snakemake(tmp_path, "--dry-run", target)
    assert done.returncode != 0
    assert "width-3" in done.stdout
    assert "Traceback" not in done.stdout


def test_both_entry_points_plan_the_same_jobs(tmp_path):
    counts = []
    for entry in ("Snakefile", "workflow/Snakefile"):
        done = snakemake(tmp_path, "--dry-run", "--configfile", TINY, "-s", ROOT / entry)
        assert done.returncode == 0, done.stdout
        counts.append(done.stdout.count("\nrule "))
    assert counts[0] == counts[1] > 10
