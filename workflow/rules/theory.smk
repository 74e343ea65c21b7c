# What theory says of a member: the same names and dimensions as its estimates, a column an order.


for batch in BATCHES:

    rule:
        """What theory predicts, order by order, of all members of a batch: stage theory."""
        name:
            f"theory_{batch.name}"
        input:
            [file for m in batch.members for file in inputs_of(m)],
        output:
            [at(f"{m.folder}/theory.nc") for m in batch.members],
        log:
            at(f"results/logs/theory/{batch.name}.log"),
        conda:
            "../../envs/analysis.yaml"
        resources:
            **asked(f"theory_{batch.name}"),
        params:
            configs=[projections.theory(m) for m in batch.members],
            code=code_of(
                "theory.py",
                members=batch.members,
                families={f for m in batch.members for f in m.estimate},
                does=attrgetter("theory"),
                theory=True,
            ),
        script:
            "../scripts/theory.py"
