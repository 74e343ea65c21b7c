# From samples to estimates with their standard errors; shards are merged here.


for batch in BATCHES:

    rule:
        """Estimates with standard errors, of all members of a batch: stage estimate."""
        name:
            f"estimate_{batch.name}"
        input:
            [at(file) for m in batch.members for file in m.samples],
        output:
            [at(f"{m.folder}/estimates.nc") for m in batch.members],
        log:
            at(f"results/logs/estimate/{batch.name}.log"),
        conda:
            "../../envs/analysis.yaml"
        resources:
            **asked(f"estimate_{batch.name}"),
        params:
            configs=[projections.estimate(STUDY_FILE, m) for m in batch.members],
            shards=[m.shard_count for m in batch.members],
            code=code_of(
                "estimate.py", families=families_of(batch.members), does=attrgetter("estimator")
            ),
        script:
            "../scripts/estimate.py"


rule normality:
    """Tests of a member's networks for being Gaussian."""
    input:
        samples_of,
    output:
        at("results/ensembles/{ensemble}/{member}/normality.nc"),
    log:
        at("results/logs/normality/{ensemble}/{member}.log"),
    conda:
        "../../envs/analysis.yaml"
    resources:
        **asked("normality"),
    params:
        config=lambda wildcards: projections.normality(STUDY_FILE, member_of(wildcards)),
        code=code_of("normality.py", families=["normality"]),
    script:
        "../scripts/normality.py"
