"""Names of resources that are read on the way to SLURM: others would be ignored in silence."""

from __future__ import annotations

from collections.abc import Iterable

#: Snakemake's own; it takes sizes with and without their unit.
_SNAKEMAKE = ("runtime", "tmpdir", "mem", "mem_mb", "mem_mib", "disk", "disk_mb", "disk_mib")
#: Those of the SLURM plugin, and ``gpu_partition``, which is ours.
SITE = ("slurm_account", "slurm_partition", "gpu_partition")
_SLURM = (
    *("constraint", "qos", "slurm_extra", "nodes"),
    *("tasks", "tasks_per_node", "tasks_per_gpu", "cpus_per_task", "threads", "mem_mb_per_cpu"),
    *("gpu", "gpu_model", "gres", "cpus_per_gpu", "mpi"),
)
#: The SLURM plugin would send jobs to another cluster by these; ours are looked for on this one.
ELSEWHERE = ("cluster", "clusters", "slurm_cluster")
KNOWN = (*SITE, *_SNAKEMAKE, *_SLURM)


def unknown(names: Iterable[str], only_misspelt: bool = False) -> str | None:
    """What is wrong with default resources of these names, in one sentence; None if nothing is.

    Parameters
    ----------
    names
        Of the resources.
    only_misspelt : bool
        Whether names that resemble none of these are left to whoever knows them: executors of
        other clusters have names of their own.
    """
    # Not before it is wanted: see the package's docstring.
    from finitewidth.core.errors import describe, meant

    for name in names:
        if name in KNOWN or name.startswith("_"):
            continue
        if name in ELSEWHERE:
            return (
                f"default-resources: {name} would send jobs where they are not followed; start the "
                "run on a machine whose squeue shows that cluster."
            )
        guess = meant(name, KNOWN)
        if only_misspelt and not guess and not name.startswith(("slurm", "gpu")):
            continue
        hint = f" ({guess})" if guess else ""
        return (
            f"default-resources: nothing reads the resource {describe(name, hint=False)}{hint}; "
            f"known are {', '.join(KNOWN)}."
        )
    return None
