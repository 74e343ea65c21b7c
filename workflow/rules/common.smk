# What the rules share: the validated config, the members, and the parameters of each stage.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

WORKFLOW = Path(str(workflow.current_basedir)).parent
sys.path.insert(0, str(WORKFLOW))

from cluster import make_safe
from finitewidth.code import used
from finitewidth.environment import prepare
from finitewidth.errors import ConfigError
from finitewidth.members import batches, members
from finitewidth.study_file import load
from finitewidth.trained_members import NOT_TRAINED, trained_batches, trained_members
from finitewidth.vocabulary import FIGURES
from scheduler import calm
from warm import warm

prepare()
calm()
warm(workflow)
make_safe(workflow)


def read_config():
    """The study file given with --configfile stands alone; --config goes on top of either."""
    paths = workflow.overwrite_configfiles or [WORKFLOW.parent / "config.yaml"]
    try:
        return load(paths, workflow.config_settings.config)
    except ConfigError as error:
        raise WorkflowError(str(error)) from None


STUDY_FILE = read_config()
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


def member_of(wildcards):
    try:
        return MEMBERS[wildcards.ensemble, wildcards.member]
    except KeyError:
        raise WorkflowError(f"there is no member {wildcards.member} of {wildcards.ensemble}")


def samples_of(wildcards):
    return member_of(wildcards).samples


def inputs_file(m):
    return f"results/inputs/{m.inputs}.nc"


#: What sampling a member does not depend on.
NOT_SAMPLED = ("estimate", "normality", "shards")


def estimated(m):
    """What the estimates of a member depend on, besides its samples."""
    return {key: getattr(m, key) for key in ("ensemble", "name", "ladder", "weights", "estimate")}


def study_members(study):
    """Members of the study's ensembles, then of its trained networks."""
    study = STUDY_FILE.studies[study]
    random = [m for e in study.ensembles or [] for m in members(STUDY_FILE, e)]
    return random + [m for e in study.trained or [] for m in trained_members(STUDY_FILE, e)]


def study_files(study):
    return [file for m in study_members(study) for file in m.results]


def study_seconds(study):
    """What was timed, where the study draws it."""
    timed = "ntk_times" in (STUDY_FILE.studies[study].figures or [])
    return [file for m in study_members(study) for file in m.seconds if timed]


def study_slice(name):
    """What a table or figure takes from the config: the study, and where its members stand."""
    study = STUDY_FILE.studies[name]
    return {
        "name": name,
        "title": study.title,
        "quantities": study.quantities,
        "members": [
            {
                **m.slice("shards", "precision", "normality", "checkpoint"),
                "swept": m.swept,
                "folder": m.folder,
            }
            for m in study_members(name)
        ],
    }


def figure_files(study, figure):
    return [f"results/studies/{study}/figures/{figure}.{ending}" for ending in ("pdf", "png")]


def study_results(name):
    for figure in STUDY_FILE.studies[name].figures or []:
        yield from figure_files(name, figure)
    yield from (f"results/studies/{name}/comparison.{ending}" for ending in ("csv", "md", "tex"))


def every_result():
    every_member = [m for batch in (*BATCHES, *TRAINED) for m in batch.members]
    results = [file for m in every_member for file in m.results]
    return results + [file for name in STUDY_FILE.studies for file in study_results(name)]
