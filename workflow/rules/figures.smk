# Figures, each from the files of its study's members.


rule figure:
    input:
        figure_inputs,
    output:
        pdf="results/studies/{study}/figures/{figure}.pdf",
        png="results/studies/{study}/figures/{figure}.png",
    log:
        "results/logs/figure/{study}/{figure}.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        study=study_slice,
        code=lambda wildcards: code_of("figure.py")
        + digest(WORKFLOW / "finitewidth" / "figures" / f"{FIGURES[wildcards.figure].module}.py"),
    script:
        "../scripts/figure.py"
