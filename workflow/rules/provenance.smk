# The run as a whole: that it is alone in its folder, what it was given, and the crate that names
# every file.
from finitewidth import following
from finitewidth.artifacts import replacing
from finitewidth.study_file import kept

NAME, TEXT = kept(CONTENT)
#: So that results can be traced to the config of their run, whatever is run next.
CONFIG = f"results/configs/{NAME}"

#: What is said when a run has ended well: a name, a file or folder, and how that is made.
PLACES = [("tables and figures", "results/studies", "")] if STUDY_FILE.studies else []
PLACES += [("all figures on one page", slices.GALLERY, "") for _ in DRAWN[:1]]
PLACES += [("report", "results/report.html", " (`make report` writes it)") for _ in PLACES[:1]]
following.tell(
    kind="study",
    seconds={name: job.cost.seconds for name, job in PLAN.items()},
    places=[(name, os.path.abspath(path), how) for name, path, how in PLACES],
)


onstart:
    try:
        check_writable("results")
        killed = occupy()
    except ConfigError as error:
        sys.exit(str(error))
    if killed:
        logger.warning("The last run of this folder was killed: going on from where it was.")
    following.tell(kind="log", path=log[0] if isinstance(log, list) and log else str(log))
    end_runs_on_slurm()
    with replacing(CONFIG) as temporary:
        temporary.write_text(TEXT, encoding="utf-8", newline="\n")


rule crate:
    input:
        every_file(),
    output:
        metadata="results/ro-crate-metadata.json",
        code=directory("results/code"),
    log:
        "results/logs/crate.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        config=CONFIG,
        code=code_of("crate.py"),
    message:
        "Naming every result in results/ro-crate-metadata.json."
    script:
        "../scripts/crate.py"
