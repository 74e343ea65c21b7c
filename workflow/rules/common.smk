# What the rules share: the validated config, the members, and the parameters of each stage.
import gc
import os
import shutil
import sys
from operator import attrgetter
from pathlib import Path

from snakemake.logging import logger

#: Of these rules, which want the library of the same one.
VERSION = "0.1.0"
#: Whether they stand in a folder, with the library beside them. Of a module, they may be read from
#: anywhere, as from GitHub, and the library is one that is installed.
RULES = str(workflow.current_basedir)
BESIDE = os.path.isdir(RULES)
if BESIDE:
    sys.path.insert(0, os.path.dirname(RULES))
try:
    from finitewidth import __version__ as INSTALLED
except ImportError:
    INSTALLED = None
if INSTALLED != VERSION:
    there = f"of version {INSTALLED}" if INSTALLED else "missing"
    sys.exit(
        f"{RULES}: rules of version {VERSION} want the library finitewidth of the same version, and"
        f" here it is {there}: install it (pip install '.[all]' in a checkout of version {VERSION}), or"
        " use the rules of another version"
    )

from finitewidth.core.errors import ConfigError

try:
    # What extensions declare is read, and refused, where registries are made.
    from finitewidth.study import handed, runs
except ConfigError as error:
    sys.exit(str(error))
from finitewidth.data import inputs as input_vectors
from finitewidth.extensions import kept as kept_extensions, named as extensions
from finitewidth.provenance import own_code, projections
from finitewidth.provenance.code import PACKAGE, used
from finitewidth.runtime.environment import prepare
from finitewidth.core import places
from finitewidth.core.files import bounded_sha256, unreadable
from finitewidth.runtime.folder import OURS, check_name, check_writable, occupy
from finitewidth.study.given_files import check_given, given_files
from finitewidth.planning.members import batches
from finitewidth.comparison.gallery import shown_by_browsers
from finitewidth.comparison.report import caption, figure_labels, front_page, table_labels
from finitewidth_slurm import earlier
from finitewidth.planning.trained_members import study_members, trained_batches
from finitewidth.models import own_networks
from finitewidth.models.activations import table
from finitewidth.quantities import description
from finitewidth.quantities.vocabulary import (
    FAMILIES,
    FIGURES,
    described,
)


def source(path):
    """A file of the workflow, by its path from these rules: a copy of it where they were fetched."""
    return os.path.normpath(f"{RULES}/{path}") if BESIDE else workflow.source_path(path)


def is_own_entry():
    """Whether Snakemake was begun with one of our Snakefiles, and not with a workflow around it."""
    entries = (f"{RULES}/../Snakefile", f"{RULES}/../../Snakefile")
    return os.path.realpath(workflow.main_snakefile) in map(os.path.realpath, entries)


prepare()
# A plan of thousands of jobs is millions of objects, and nearly all of them stay: Python's collector
# would look through them again and again.
gc.set_threshold(1_000_000)

try:
    check_name(str(Path.cwd()))
    # Snakemake writes there even for a dry run.
    check_writable(".snakemake")
    DEFAULT_STUDY = source("../../config.yaml")
    CONTENT, STUDY_FILE = handed.read(config, DEFAULT_STUDY)
    check_given(STUDY_FILE)
    # What extensions say may not change between this and the last job.
    kept_extensions.hand_on_copies(OURS / "extensions")
    # Of a module, its `prefix:` and its config say where results stand, and no name of a file.
    RUN, FILES = STUDY_FILE.run or places.DEFAULT, []
    if is_own_entry():
        FILES = handed.files_of(config, workflow.configfiles, DEFAULT_STUDY)
        RUN = runs.name_of(STUDY_FILE, FILES, workflow.config_settings.config, DEFAULT_STUDY)
        FILES = runs.sources(FILES, DEFAULT_STUDY)
        runs.check_layout(
            RUN,
            lambda: (STUDY_FILE if RUN == places.DEFAULT else handed.read({}, DEFAULT_STUDY)[1]),
        )
    #: Where this run stands, and where it is written down what study files it is of.
    ROOT, OWNER = places.root_of(RUN), OURS / "runs" / f"{RUN}.json"
    if "run" not in workflow.config_settings.config:
        runs.check_owner(RUN, FILES, OWNER)
except ConfigError as error:
    # Snakemake prints a text that a Snakefile exits with, and nothing beside it.
    sys.exit(str(error))
BATCHES = batches(STUDY_FILE)
TRAINED = trained_batches(STUDY_FILE)
MEMBERS = [m for batch in BATCHES for m in batch.members]

EARLIER_RUNS = Path(".snakemake") / earlier.RUNS
PLANNED_ON = earlier.files_there(EARLIER_RUNS, Path("results"))


report: front_page(STUDY_FILE, RUN)


wildcard_constraints:
    name="|".join(STUDY_FILE.inputs) or "none",
    study="|".join(STUDY_FILE.studies) or "none",
    data="|".join(STUDY_FILE.data) or "none",
    shard=r"\d+",


def at(path):
    """Where a file of this run stands, by what it would be called in `results/` itself."""
    return places.at(ROOT, path)


def end_runs_on_slurm():
    """Cancel what a run on SLURM left when it was killed; called in onstart, after any lock.

    A run on this machine would be a second writer of the same files as well.
    """
    if shutil.which("squeue"):
        try:
            with earlier.held(PLANNED_ON, Path("results/.held")):
                earlier.end_earlier_runs(EARLIER_RUNS, os.getcwd(), logger.warning)
            earlier.check_there(PLANNED_ON)
        except earlier.EarlierRunError as error:
            sys.exit(str(error))


def code_of(script, *modules, members=(), families=(), does=None, figures=(), theory=False):
    """The code that a rule's script runs, a parameter of the rule: edit it, and it reruns.

    ``modules`` are those of the library that it imports by a name that it is given. The activations
    of ``members`` count, too; the descriptions of ``families``, and the functions of these that
    ``does`` tells (its estimator or its theory); and the descriptions of ``figures``. Networks of
    somebody's own count with the members, and their ``theory`` where that is asked.
    """
    places = [does(FAMILIES[family]) for family in families if does]
    files = {
        *map(str, modules),
        *(table.file_of(name) for m in members for name in m.activations),
        *(file for m in members for file in own_networks.files_of(m, theory=theory)),
        *(description.file_of(place) for place in places if place),
    }
    own = {file for file in files if file.startswith(extensions.PREFIX)}
    return used(
        source(f"../scripts/{script}"),
        *(PACKAGE / file for file in sorted(files - own)),
        entries=(*described(families, figures), *sorted(own)),
    )


def families_of(members):
    """What is estimated of members but for tests of normality, which have a rule of their own."""
    return {family for m in members for family in m.families} - {"normality"}


def digests_of(files):
    """Of what a user gives: Snakemake itself would see a change only by the time of the file."""
    return {file: bounded_sha256(file) for file in files if unreadable(file) is None}
