# From the config to samples: input vectors, then networks, in shards of whole blocks.


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


rule sample:
    input:
        inputs_file,
    output:
        "results/ensembles/{ensemble}/{member}/samples/{shard}.nc",
    log:
        "results/logs/sample/{ensemble}/{member}/{shard}.log",
    conda:
        "../../envs/torch.yaml"
    resources:
        gpu=1 if STUDY_FILE.device == "cuda" else 0,
    params:
        seed=STUDY_FILE.seed,
        device=STUDY_FILE.device,
        member=lambda wildcards: member_of(wildcards).slice("estimate", "normality", "shards"),
        blocks=lambda wildcards: list(member_of(wildcards).shard_bounds(int(wildcards.shard))),
        code=code_of("sample.py"),
    script:
        "../scripts/sample.py"
