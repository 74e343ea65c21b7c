include: "workflow/Snakefile"


# An included file leaves no default target behind, so this entry point names it again.
rule study:
    """The same as all: what is made where nothing else is asked for."""
    input:
        rules.all.input,
    localrule: True
