"""One sentence for the terminal, where a run is refused before its first job."""

from snakemake.exceptions import WorkflowError


class RefusedError(WorkflowError):
    """What Snakemake prints as its sentence alone.

    It adds the places in files that an error's traceback names; here they would be those of the
    workflow, where nothing is wrong.
    """

    __traceback__ = property(lambda self: None)
