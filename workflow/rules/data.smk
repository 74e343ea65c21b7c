# Labelled images: shipped, a user's own, or downloaded by their digest.


rule download:
    output:
        "results/downloads/{data}.tar.gz",
    log:
        "results/logs/download/{data}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        url=lambda wildcards: STUDY_FILE.data[wildcards.data].url,
        sha256=lambda wildcards: STUDY_FILE.data[wildcards.data].sha256,
        code=code_of("download.py"),
    script:
        "../scripts/download.py"


rule data:
    input:
        images_from,
    output:
        "results/data/{data}.nc",
    log:
        "results/logs/data/{data}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        config=lambda wildcards: projections.images(STUDY_FILE, wildcards.data),
        given=lambda wildcards: digests_of(images_from(wildcards)),
        code=code_of("data.py"),
    script:
        "../scripts/data.py"
