# What the rules share: the validated config, the members, and the parameters of each stage.
import sys
from pathlib import Path
from types import SimpleNamespace

from snakemake.exceptions import WorkflowError

WORKFLOW = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(WORKFLOW))

from cluster import make_safe
from finitewidth import slices
from finitewidth.code import used
from finitewidth.digests import sha256
from finitewidth.environment import prepare
from finitewidth.errors import ConfigError
from finitewidth.members import batches
from finitewidth.study_file import content, overrides, validate
from finitewidth.trained_members import trained_batches
from finitewidth.vocabulary import FIGURES
from reporter import present
from scheduler import calm
from survive import take_up
from warm import warm

prepare()
calm()
warm(workflow)
make_safe(workflow)
take_up(workflow)


def read_config():
    """The study file given with --configfile stands alone; --config goes on top of either."""
    paths = workflow.overwrite_configfiles or [WORKFLOW.parent / "config.yaml"]
    try:
        given = content(paths, overrides(workflow.config_settings.config_args))
        return given, validate(given)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


CONTENT, STUDY_FILE = read_config()
present(workflow, STUDY_FILE)
BATCHES = batches(STUDY_FILE)
TRAINED = trained_batches(STUDY_FILE)
MEMBERS = {(m.ensemble, m.name): m for batch in BATCHES for m in batch.members}


wildcard_constraints:
    name="|".join(STUDY_FILE.inputs) or "none",
    ensemble="|".join(STUDY_FILE.ensembles) or "none",
    study="|".join(STUDY_FILE.studies) or "none",
    data="|".join(STUDY_FILE.data) or "none",
    member=r"[^/]+",
    shard=r"\d+",


def code_of(script, *modules):
    """The code that a rule's script runs, a parameter of the rule: edit it, and it reruns.

    ``modules`` are those of the library that it imports by a name that it is given.
    """
    library = WORKFLOW / "finitewidth"
    return used(WORKFLOW / "scripts" / script, *(library / module for module in modules))


def input_files(wildcards):
    """A user's own array is an input of the rule, so that a change of it is seen."""
    spec = STUDY_FILE.inputs[wildcards.name]
    return [spec.file] if spec.kind == "array" else []


def images_from(wildcards):
    """What a set of images is read from, so that a change of it is seen."""
    spec = STUDY_FILE.data[wildcards.data]
    if spec.kind == "cifar10":
        return [spec.archive or f"results/downloads/{wildcards.data}.tar.gz"]
    return [spec.file] if spec.kind == "array" else []


def digests_of(files):
    """Of what a user gives: Snakemake itself would see a change only by the time of the file."""
    return {file: sha256(file) for file in files if Path(file).is_file()}


def member_of(wildcards):
    try:
        return MEMBERS[wildcards.ensemble, wildcards.member]
    except KeyError:
        raise WorkflowError(f"there is no member {wildcards.member} of {wildcards.ensemble}")


def samples_of(wildcards):
    return member_of(wildcards).samples


def inputs_file(m):
    return f"results/inputs/{m.inputs}.nc"


def study_files(study):
    return [file for m in slices.study_members(STUDY_FILE, study) for file in m.results]


def study_seconds(study):
    """What was timed, where the study draws it."""
    timed = "ntk_times" in (STUDY_FILE.studies[study].figures or [])
    return [file for m in slices.study_members(STUDY_FILE, study) for file in m.seconds if timed]


def figure_files(study, figure):
    return [f"results/studies/{study}/figures/{figure}.{ending}" for ending in STUDY_FILE.formats]


def drawn(study, figure):
    """The files of a figure, one of them for the report."""
    labels = {"result": f"figure: {figure.replace('_', ' ')}"}
    marks = {"caption": "../report/figure.rst", "category": study, "labels": labels}
    files = figure_files(study, figure)
    # A browser shows no PDF on a page.
    shown = next((file for file in files if not file.endswith("pdf")), None)
    return [report(file, **marks) if file == shown else file for file in files]


def study_results(name):
    for figure in STUDY_FILE.studies[name].figures or []:
        yield from figure_files(name, figure)
    yield from (f"results/studies/{name}/comparison.{ending}" for ending in slices.TABLES)


def every_result():
    every_member = [m for batch in (*BATCHES, *TRAINED) for m in batch.members]
    results = [file for m in every_member for file in m.results]
    return results + [file for name in STUDY_FILE.studies for file in study_results(name)]


def every_file():
    """Every result and what it was made from, once."""
    random = [m for batch in BATCHES for m in batch.members]
    trained = [m for batch in TRAINED for m in batch.members]
    files = every_result()
    files += [file for m in random for file in (inputs_file(m), *m.samples, *m.seconds)]
    files += [f"{m.folder}/{name}.nc" for m in trained for name in ("networks", "covariances")]
    files += [f"results/data/{batch.data}.nc" for batch in TRAINED]
    files += [
        file
        for name in sorted({batch.data for batch in TRAINED})
        for file in images_from(SimpleNamespace(data=name))
        if file.startswith("results/")
    ]
    return list(dict.fromkeys(files))
