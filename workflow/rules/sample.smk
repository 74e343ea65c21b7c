# From the config to samples: input vectors, then networks.


rule inputs:
    input:
        input_files,
    output:
        "results/inputs/{name}.nc",
    log:
        "results/logs/inputs/{name}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        seed=STUDY_FILE.seed,
        spec=lambda wildcards: STUDY_FILE.inputs[wildcards.name].model_dump(),
        code=code_of("inputs.py"),
    script:
        "../scripts/inputs.py"


# The members of a batch share a job, since starting one costs more than they do; a member that takes
# long has one job a shard, each a number of whole blocks of networks.
for batch in BATCHES:
    if batch.shards == 1:

        rule:
            name:
                f"sample_{batch.name}"
            input:
                [inputs_file(m) for m in batch.members],
            output:
                samples=[file for m in batch.members for file in m.samples],
                seconds=[file for m in batch.members for file in m.seconds],
            log:
                f"results/logs/sample/{batch.name}.log",
            conda:
                "../../envs/torch.yaml"
            resources:
                **asked(f"sample_{batch.name}"),
            params:
                seed=STUDY_FILE.seed,
                device=STUDY_FILE.device_for(batch.task),
                members=[m.slice(*NOT_SAMPLED) for m in batch.members],
                blocks=[[0, m.blocks] for m in batch.members],
                code=code_of("sample.py"),
            script:
                "../scripts/sample.py"

    else:

        rule:
            name:
                f"sample_{batch.name}"
            input:
                inputs_file(batch.members[0]),
            output:
                samples=[f"{batch.members[0].folder}/samples/{{shard}}.nc"],
                seconds=[],
            log:
                f"results/logs/sample/{batch.name}/{{shard}}.log",
            conda:
                "../../envs/torch.yaml"
            resources:
                **asked(f"sample_{batch.name}"),
            params:
                seed=STUDY_FILE.seed,
                device=STUDY_FILE.device_for(batch.task),
                members=[batch.members[0].slice(*NOT_SAMPLED)],
                blocks=lambda wildcards, m=batch.members[0]: [
                    list(m.shard_bounds(int(wildcards.shard)))
                ],
                code=code_of("sample.py"),
            script:
                "../scripts/sample.py"
