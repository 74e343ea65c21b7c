# Labelled images: shipped, a user's own, or downloaded by their digest.


rule download:
    """An archive of labelled images, held against its SHA-256."""
    output:
        at("results/downloads/{data}.tar.gz"),
    log:
        at("results/logs/download/{data}.log"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        url=lambda wildcards: STUDY_FILE.data[wildcards.data].url,
        sha256=lambda wildcards: STUDY_FILE.data[wildcards.data].sha256,
        code=code_of("download.py"),
    script:
        "../scripts/download.py"


rule data:
    """Labelled images for training and validation: shipped, a user's own, or downloaded."""
    input:
        in_place(images_from),
    output:
        at("results/data/{data}.nc"),
    log:
        at("results/logs/data/{data}.log"),
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        config=lambda wildcards: projections.images(STUDY_FILE, wildcards.data),
        given=lambda wildcards: digests_of(images_from(wildcards)),
        code=code_of("data.py"),
    script:
        "../scripts/data.py"
