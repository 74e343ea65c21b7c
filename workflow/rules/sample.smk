# From the config to samples: input vectors, then networks.


rule inputs:
    """A named set of input vectors: drawn, real digits, or a user's own."""
    input:
        in_place(input_files),
    output:
        at("results/inputs/{name}.nc"),
    log:
        at("results/logs/inputs/{name}.log"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        config=lambda wildcards: projections.vectors(STUDY_FILE, wildcards.name),
        given=lambda wildcards: digests_of(input_files(wildcards)),
        code=lambda wildcards: code_of(
            "inputs.py", input_vectors.file_of(STUDY_FILE.inputs[wildcards.name].kind)
        ),
    script:
        "../scripts/inputs.py"


# The members of a batch share a job, since starting one costs more than they do; a member that takes
# long has one job a shard, each a number of whole blocks of networks.
for batch in BATCHES:
    if batch.shards == 1:

        rule:
            """Networks of all members of a batch, drawn from the seed: stage sample."""
            name:
                f"sample_{batch.name}"
            input:
                [file for m in batch.members for file in inputs_of(m)],
            output:
                samples=[at(file) for m in batch.members for file in m.samples],
                seconds=[at(file) for m in batch.members for file in m.seconds],
            log:
                at(f"results/logs/sample/{batch.name}.log"),
            conda:
                "../../envs/torch.yaml"
            resources:
                **asked(f"sample_{batch.name}"),
            params:
                device=STUDY_FILE.device_for(batch.task),
                configs=[projections.sample(STUDY_FILE, m, 0) for m in batch.members],
                code=code_of("sample.py", members=batch.members),
            script:
                "../scripts/sample.py"

    else:

        rule:
            """Networks of one shard of a long member, drawn from the seed: stage sample."""
            name:
                f"sample_{batch.name}"
            input:
                inputs_of(batch.members[0]),
            output:
                samples=[at(f"{batch.members[0].folder}/samples/{{shard}}.nc")],
                seconds=[],
            log:
                at(f"results/logs/sample/{batch.name}/{{shard}}.log"),
            conda:
                "../../envs/torch.yaml"
            resources:
                **asked(f"sample_{batch.name}"),
            params:
                device=STUDY_FILE.device_for(batch.task),
                configs=lambda wildcards, of=projections.samples(STUDY_FILE, batch.members[0]): [
                    of(int(wildcards.shard))
                ],
                code=code_of("sample.py", members=batch.members),
            script:
                "../scripts/sample.py"
