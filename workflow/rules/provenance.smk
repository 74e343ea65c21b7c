# The run as a whole: that it is alone in its folder, what it was given, and the crate that names
# every file.
from finitewidth.core.files import replacing
from finitewidth.study.study_file import kept
from finitewidth.runtime.folder import write_whole
from finitewidth.runtime import failed, following, interrupts

NAME, TEXT = kept({**CONTENT, "run": RUN})
#: So that results can be traced to the config of their run, whatever is run next.
CONFIG = at(f"results/configs/{NAME}")
#: The same, written while the rules are read, so that the job that keeps it only copies.
GIVEN = OURS / "configs" / NAME
if not GIVEN.exists():
    write_whole(GIVEN, TEXT)

#: Extensions that the study uses, and where copies of their files are kept for the same reason.
OF_EXTENSIONS = own_code.used(
    [
        *(table.file_of(m.activation) for m in MEMBERS),
        *(file for m in MEMBERS for file in own_networks.files_of(m)),
        *(input_vectors.file_of(STUDY_FILE.inputs[m.inputs].kind) for m in MEMBERS),
        *described(
            {family for m in MEMBERS for family in m.estimate},
            {figure for _, figure in DRAWN},
        ),
    ]
)
EXTENSIONS = [one for one in extensions.named() if one.name in OF_EXTENSIONS]

#: What is said when a run has ended well: a name, a file or folder, and how that is made.
PLACES = [("tables and figures", at("results/studies"), "")] if STUDY_FILE.studies else []
PLACES += [("all results on one page", at(projections.INDEX), "") for _ in PLACES[:1]]
REPORTED = "`make report`" + ("" if RUN == places.DEFAULT else " with the same CONFIG")
PLACES += [("report", at("results/report.html"), f" ({REPORTED} writes it)") for _ in PLACES[:1]]
following.tell(
    kind="study",
    seconds={name: job.cost.seconds for name, job in PLAN.items()},
    places=[(name, os.path.abspath(path), how) for name, path, how in PLACES],
)


onstart:
    try:
        check_writable("results")
        killed = occupy(run=RUN)
        # Snakemake ends by saying only that a job failed. Who follows a run tells it in his own way.
        if BEGUN and not following.followed():
            failed.keep()
    except ConfigError as error:
        sys.exit(str(error))
    if killed:
        logger.warning("The last run of this folder was killed: going on from where it was.")
    interrupts.install()
    following.tell(kind="log", path=log[0] if isinstance(log, list) and log else str(log))
    end_runs_on_slurm()
    # Whatever is asked for, and also if it fails.
    with replacing(CONFIG) as temporary:
        shutil.copyfile(GIVEN, temporary)
    if owned := runs.own(FILES, OWNER):
        write_whole(OWNER, owned)


# Of a module nothing runs in onstart.
rule crate_config:
    """What the run was given, so that results can be traced to it."""
    output:
        CONFIG,
    log:
        at("results/logs/crate_config.log"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        given=str(GIVEN),
    shell:
        "cp {params.given:q} {output:q} 2> {log:q}"


rule crate_extension:
    """A file of an extension that was used, so that results can be traced to it."""
    output:
        at(f"{kept_extensions.KEPT}/{{kept}}"),
    log:
        at("results/logs/crate_extension/{kept}.log"),
    wildcard_constraints:
        kept="[0-9a-f]{16}/.+",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        given=lambda wildcards: str(OURS / "extensions" / wildcards.kept),
    shell:
        "cp {params.given:q} {output:q} 2> {log:q}"


rule crate:
    """Every file with its SHA-256 and what made it, and a copy of the code that ran."""
    input:
        every_file(),
        config=CONFIG,
        extensions=[
            at(f"{kept_extensions.KEPT}/{path}")
            for one in EXTENSIONS
            for path in kept_extensions.paths(one)
        ],
    output:
        metadata=CRATE,
        code=directory(CODE),
    log:
        at("results/logs/crate.log"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        fetched=fetched,
        code=code_of("crate.py"),
    message:
        "Naming every result in {output.metadata}."
    script:
        "../scripts/crate.py"
