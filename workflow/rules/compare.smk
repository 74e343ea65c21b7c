# Theory beside estimate: one table a study, tidy for machines and side by side for people.


rule compare:
    """A study's table of theory beside estimate, for machines and for people."""
    input:
        lambda wildcards: study_files(wildcards.study),
    output:
        csv=at("results/studies/{study}/comparison.csv"),
        markdown=at("results/studies/{study}/comparison.md"),
        tex=at("results/studies/{study}/comparison.tex"),
        html=report(
            at("results/studies/{study}/comparison.html"),
            caption=caption("tables"),
            category="{study}",
            labels=lambda wildcards, output: table_labels(
                projections.study(STUDY_FILE, wildcards.study), output.html
            ),
        ),
    log:
        at("results/logs/compare/{study}.log"),
    conda:
        "../../envs/analysis.yaml"
    resources:
        **asked("compare"),
    params:
        config=lambda wildcards: projections.as_text(projections.study(STUDY_FILE, wildcards.study)),
        code=lambda wildcards: code_of(
            "compare.py", families=families_of(study_members(STUDY_FILE, wildcards.study))
        ),
    script:
        "../scripts/compare.py"
