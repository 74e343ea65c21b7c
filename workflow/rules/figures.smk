# Figures, each from the files of its study's members: those of a study share a job, since starting
# one costs as much as drawing two.


for name, study in STUDY_FILE.studies.items():
    if study.figures:

        rule:
            """The figures of a study: stage figures."""
            name:
                f"figures_{name}"
            input:
                study_files(name),
                seconds=study_seconds(name),
                # Called later, since the report writes out what stands here.
                style=in_place(lambda wildcards, name=name: style_of(name)),
            output:
                [file for figure in study.figures for file in drawn(name, figure)],
            log:
                at(f"results/logs/figures/{name}.log"),
            conda:
                "../../envs/analysis.yaml"
            resources:
                **asked(f"figures_{name}"),
            params:
                # Text as it is given would be searched for wildcards.
                config=lambda wildcards, name=name: projections.as_text(
                    projections.figures(STUDY_FILE, name)
                ),
                style=lambda wildcards, name=name: projections.as_text(digests_of(style_of(name))),
                figures=study.figures,
                code=[
                    code_of(
                        "figures.py",
                        FIGURES[figure].file,
                        members=study_members(STUDY_FILE, name),
                        families=FIGURES[figure].families,
                        figures=[figure],
                    )
                    for figure in study.figures
                ],
            script:
                "../scripts/figures.py"


if DRAWN:

    # The last rule of the figures: it fails, and names them, where some could not be drawn.
    rule gallery:
        """Every figure of the run on one page; fails where one could not be drawn."""
        input:
            [figure_files(*figure)[0] for figure in DRAWN],
        output:
            at(projections.GALLERY),
        log:
            at("results/logs/gallery.log"),
        localrule: True
        conda:
            "../../envs/analysis.yaml"
        params:
            config=projections.gallery(STUDY_FILE),
            code=code_of("gallery.py", figures={figure for _, figure in DRAWN}),
        message:
            "Putting every figure on one page, {output}."
        script:
            "../scripts/gallery.py"
