"""A workflow of somebody else's that uses this one as a module."""

from running import ROOT

ENTRY = ROOT / "workflow" / "Snakefile"
#: A workflow of somebody's own: a rule that stands first, and ours behind it.
OUTSIDE = """
{config}

rule mine:
    output: "mine.txt"
    shell: "echo mine > {{output}}"

module fw:
    snakefile: "{entry}"
    config: {handed}
    {prefix}

use rule * from fw as fw_*
{more}
"""


def outside(folder, handed="config", *, config="", prefix="", more="", entry=ENTRY):
    """An outer workflow's Snakefile in a folder of its own, and the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = OUTSIDE.format(handed=handed, config=config, prefix=prefix, more=more, entry=entry)
    (folder / "Snakefile").write_text(text)
    return folder
