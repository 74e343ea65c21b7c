"""The workflow meets what the Snakemake workflow catalog asks of standardized usage."""

import shutil

import pytest
import yaml

from finitewidth.study.study_file import load
from running import ROOT

pytestmark = pytest.mark.fast


def test_every_file_that_the_catalog_looks_for_is_there():
    assert (ROOT / "workflow/Snakefile").is_file()
    assert list((ROOT / "workflow/rules").glob("*.smk"))
    assert "config/config.yaml" in (ROOT / "config/README.md").read_text(encoding="utf-8")
    said = (ROOT / "README.md").read_text(encoding="utf-8").lower()
    assert "snakemake" in said
    assert "workflow" in said


def test_the_settings_of_the_catalog_are_those_it_knows():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert isinstance(usage["mandatory-flags"]["flags"], list | str)
    deployed = usage["software-stack-deployment"]
    assert set(deployed) == {"conda", "apptainer", "apptainer+conda", "report"}
    assert all(value in (True, False) for value in deployed.values())
    assert deployed["report"] is usage["report"] is True
    # A rule without an environment would not be deployed.
    assert deployed["conda"]
    for path in (ROOT / "workflow/rules").glob("*.smk"):
        text = path.read_text(encoding="utf-8")
        assert text.count("script:") + text.count("shell:") == text.count("conda:"), path


def test_a_config_folder_that_is_copied_holds_the_default_study(tmp_path):
    """As deployment of a workflow does; what it writes says configfile: "config/config.yaml"."""
    copy = shutil.copytree(ROOT / "config", tmp_path / "config")
    assert not (copy / "config.yaml").is_symlink()
    assert load([copy / "config.yaml"]) == load([ROOT / "config.yaml"])
