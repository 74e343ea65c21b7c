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


for batch in BATCHES:
    if TESTED := [m for m in batch.members if "normality" in m.estimate]:

        rule:
            """Tests of networks for being Gaussian, of all members of a batch: stage normality."""
            name:
                f"normality_{batch.name}"
            input:
                [at(file) for m in TESTED for file in m.samples],
            output:
                [at(f"{m.folder}/normality.nc") for m in TESTED],
            log:
                at(f"results/logs/normality/{batch.name}.log"),
            conda:
                "../../envs/analysis.yaml"
            resources:
                **asked(f"normality_{batch.name}"),
            params:
                members=[[m.ensemble, m.name] for m in TESTED],
                configs=[projections.normality(STUDY_FILE, m) for m in TESTED],
                shards=[m.shard_count for m in TESTED],
                code=code_of("normality.py", families=["normality"]),
            script:
                "../scripts/normality.py"
