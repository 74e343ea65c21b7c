# What jobs ask for: memory and time from the model of what they cost, more at each attempt, and
# GPUs. The local executor needs none of it; a cluster's partitions and accounts stand in profiles.

#: The profile's default resources: "gpu_partition" says that the site has GPUs, and where.
SITE = workflow.resource_settings.default_resources or {}

NOTHING = cost.Cost(0, 0, 0)


def device_for(task):
    """Where a task is computed, as the config says."""
    return STUDY_FILE.devices.get(task, STUDY_FILE.device)


def asked(costs, task=None):
    """Resources of a job that does all of these, on a GPU where its task is for one."""
    total = cost.job(costs)
    wanted = {
        "mem_mb": lambda wildcards, attempt: attempt * cost.asked_memory(total),
        "runtime": lambda wildcards, attempt: attempt * cost.asked_minutes(total),
    }
    device = device_for(task) if task else "cpu"
    if device == "cuda" or (device == "auto" and "gpu_partition" in SITE):
        wanted["gpu"] = 1
        if "gpu_partition" in SITE:
            wanted["slurm_partition"] = str(SITE["gpu_partition"].raw).strip("'\"")
    return wanted


def sampling(m):
    """Of one shard, where there are several."""
    return cost.sampling(m, input_count(STUDY_FILE, m), m.networks / m.shard_count)


def estimating(m):
    return cost.estimating(m, input_count(STUDY_FILE, m))


def predicting(m):
    return cost.predicting(m, input_count(STUDY_FILE, m))


def comparing(study):
    return cost.comparing(len(study_members(study)))


def drawing(study):
    return cost.drawing(len(study_members(study)), len(STUDY_FILE.studies[study].figures))
