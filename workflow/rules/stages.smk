# A stage as a name on the command line: `--forcerun estimate` means all rules that estimate. The
# last file to be read, since it goes through the names of all rules.
from finitewidth.runtime.run import begin_again, spelled_out

TYPED = sys.argv[1:]
# Not where a program uses Snakemake, whose words these are.
BEGUN = Path(sys.argv[0]).parts[-1:] == ("snakemake",) or Path(sys.argv[0]).parts[-2:] == (
    "snakemake",
    "__main__.py",
)
SPELLED_OUT = spelled_out(TYPED, {rule.name for rule in workflow.rules})
if BEGUN and SPELLED_OUT != TYPED:
    try:
        begin_again(SPELLED_OUT, workflow.main_snakefile)
    except ConfigError as error:
        sys.exit(str(error))
