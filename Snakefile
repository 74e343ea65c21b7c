include: "workflow/Snakefile"


localrules:
    study,


# An included file leaves no default target behind, so this entry point names it again.
rule study:
    default_target: True
    input:
        rules.all.input,
