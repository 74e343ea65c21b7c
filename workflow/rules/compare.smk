# Theory beside estimate: one table a study, tidy for machines and side by side for people.


rule compare:
    """A study's table of theory beside estimate, for machines and for people."""
    input:
        lambda wildcards: study_files(wildcards.study),
    output:
        csv=at("results/studies/{study}/comparison.csv"),
        metadata=at("results/studies/{study}/comparison.csv-metadata.json"),
        parquet=at("results/studies/{study}/comparison.parquet"),
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


if STUDY_FILE.studies:

    # Its input are figures, too: it is the last page that a run writes, and the first to be opened.
    rule index:
        """All results of the run on one page, and how its numbers turned out."""
        input:
            tables=[
                at(f"results/studies/{name}/comparison.{ending}")
                for name in STUDY_FILE.studies
                for ending in ("csv", "csv-metadata.json")
            ],
            figures=[figure_files(*figure)[0] for figure in DRAWN],
        output:
            at(projections.INDEX),
        log:
            at("results/logs/index.log"),
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            config=projections.index(STUDY_FILE),
            code=code_of("index.py", figures={figure for _, figure in DRAWN}),
        message:
            "Putting all results on one page, {output}."
        script:
            "../scripts/index.py"
