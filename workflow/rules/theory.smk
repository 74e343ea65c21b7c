# What theory says of a member: the same names and dimensions as its estimates, a column an order.


rule theory:
    input:
        inputs_file,
    output:
        "results/ensembles/{ensemble}/{member}/theory.nc",
    log:
        "results/logs/theory/{ensemble}/{member}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        member=lambda wildcards: member_of(wildcards).slice(
            "sampler", "precision", "measure", "normality", "shards"
        ),
        code=code_of("theory.py"),
    script:
        "../scripts/theory.py"
