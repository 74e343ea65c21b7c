# From samples to estimates with their standard errors; shards are merged here.


rule estimate:
    input:
        shards,
    output:
        "results/ensembles/{ensemble}/{member}/estimates.nc",
    log:
        "results/logs/estimate/{ensemble}/{member}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        seed=STUDY_FILE.seed,
        families=lambda wildcards: [
            family for family in member_of(wildcards).estimate if family != "normality"
        ],
        code=code_of("estimate.py"),
    script:
        "../scripts/estimate.py"


rule normality:
    input:
        shards,
    output:
        "results/ensembles/{ensemble}/{member}/normality.nc",
    log:
        "results/logs/normality/{ensemble}/{member}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        seed=STUDY_FILE.seed,
        normality=lambda wildcards: member_of(wildcards).normality,
        code=code_of("normality.py"),
    script:
        "../scripts/normality.py"
