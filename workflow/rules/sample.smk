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


# The members of a batch share a job, since starting one costs more than they do.
for batch in BATCHES:
    if batch.members[0] not in SHARDED:

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
                gpu=1 if STUDY_FILE.device == "cuda" else 0,
            params:
                seed=STUDY_FILE.seed,
                device=STUDY_FILE.device,
                members=[m.slice(*NOT_SAMPLED) for m in batch.members],
                blocks=[[0, m.blocks] for m in batch.members],
                code=code_of("sample.py"),
            script:
                "../scripts/sample.py"


# One job a shard, each a number of whole blocks of networks.
rule sample_shard:
    input:
        lambda wildcards: inputs_file(sharded_member(wildcards)),
    output:
        samples=["results/ensembles/{sharded}/samples/{shard}.nc"],
        seconds=[],
    log:
        "results/logs/sample/{sharded}/{shard}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=1 if STUDY_FILE.device == "cuda" else 0,
    params:
        seed=STUDY_FILE.seed,
        device=STUDY_FILE.device,
        members=lambda wildcards: [sharded_member(wildcards).slice(*NOT_SAMPLED)],
        blocks=lambda wildcards: [
            list(sharded_member(wildcards).shard_bounds(int(wildcards.shard)))
        ],
        code=code_of("sample.py"),
    script:
        "../scripts/sample.py"
