# What jobs ask for: memory and time by the plan, more at each attempt, and GPUs. The local executor
# needs none of it; a cluster's partitions and accounts stand in profiles alone.
from finitewidth.planning.cost import asked_memory, asked_minutes
from finitewidth.planning.plan import plan
from finitewidth_slurm.names import unknown

PLAN = plan(STUDY_FILE)
#: The profile's default resources: "gpu_partition" says that the site has GPUs, and where.
SITE = workflow.resource_settings.default_resources or {}
if problem := unknown(SITE, only_misspelt=True):
    sys.exit(problem)


#: Whether jobs may run elsewhere: then each attempt asks for more. Here it says what a job should
#: take and no more, since Snakemake calls a function once a job, and there may be ten thousand.
ELSEWHERE = bool(SITE) or workflow.resource_settings.nodes is not None


def growing(amount):
    """So much of a resource at each attempt."""
    return (lambda wildcards, attempt: attempt * amount) if ELSEWHERE else amount


def asked(name):
    """Resources of a rule's jobs, with a GPU where their task is for one."""
    if name not in PLAN:
        return {}
    job = PLAN[name]
    wanted = {
        "mem_mb": growing(asked_memory(job.cost)),
        "runtime": growing(asked_minutes(job.cost)),
    }
    device = STUDY_FILE.device_for(job.task)
    if device == "cuda" or (device == "auto" and "gpu_partition" in SITE):
        wanted["gpu"] = 1
        if "gpu_partition" in SITE:
            wanted["slurm_partition"] = str(SITE["gpu_partition"].raw).strip("'\"")
    return wanted
