# The run as a whole: that it is alone in its folder, what it was given, and the crate that names
# every file.
from finitewidth.core.files import replacing
from finitewidth.study.study_file import kept

NAME, TEXT = kept(CONTENT)
#: So that results can be traced to the config of their run, whatever is run next.
CONFIG = f"results/configs/{NAME}"


onstart:
    try:
        check_writable("results")
        killed = occupy()
    except ConfigError as error:
        sys.exit(str(error))
    if killed:
        logger.warning("The last run of this folder was killed: going on from where it was.")
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
