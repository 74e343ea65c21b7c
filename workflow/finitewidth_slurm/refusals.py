"""What SLURM says where it does not take a job, and whether it will take it later."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum


class Refusal(Enum):
    """How long a refusal lasts."""

    #: SLURM did not answer: whether it took the job is not known.
    UNHEARD = "unheard"
    #: It will take the job when something has changed that changes by itself.
    FOR_A_TIME = "for a time"
    #: It will never take this job.
    FOR_GOOD = "for good"


#: As slurm_strerror and sbatch word them.
_UNHEARD = re.compile(
    r"unable to contact slurm controller|socket timed out|controller.* not responding"
    r"|zero bytes were transmitted|communications? (connection|shutdown|send|receive)"
    r"|connection (refused|reset|timed out)|standby mode|munge"
    r"|could not establish a configuration source|unexpected message received"
    r"|transport endpoint|no route to host|network is unreachable",
    re.IGNORECASE,
)
_FOR_A_TIME = re.compile(
    r"partition not available|partition configuration not available now"
    r"|temporarily unable to accept|resource temporarily unavailable"
    # MaxSubmitJobs of an account or a quality of service: AssocMaxSubmitJobLimit,
    # QOSMaxSubmitJobPerUserLimit, QOSGrpSubmitJobsLimit and their like.
    r"|(Assoc|QOS)\w*Submit\w*|submit(ted)? jobs? limit|too many jobs"
    r"|jobs per (hour|minute|second) limit",
    re.IGNORECASE,
)
#: One sentence for limits on how many and on how large, where SLURM names neither.
_SOME_LIMIT = re.compile(r"violates accounting/qos policy", re.IGNORECASE)
_NAMED_LIMIT = re.compile(r"\b(Assoc|QOS|Part)[A-Z]\w*Limit\b")
_SAID = re.compile(r"(?:sbatch|slurm): (?:error|fatal): (.*)")


def said(message: str) -> str:
    """SLURM's own sentence, out of an error of submission; "" where it said none."""
    # What is quoted around it ends with the last line.
    lines = (line.strip().removesuffix("'.") for line in _SAID.findall(message))
    return "; ".join(dict.fromkeys(lines))


def kind(sentence: str, has_jobs: Callable[[], bool]) -> Refusal:
    """How long a refusal with this sentence lasts.

    A limit that SLURM does not name is one on the number of jobs if the user has any in the queue
    (``has_jobs``): one on the size of a job would not wait for others to end.
    """
    if _UNHEARD.search(sentence):
        return Refusal.UNHEARD
    unnamed = _SOME_LIMIT.search(sentence) and not _NAMED_LIMIT.search(sentence)
    # That one sentence names "job submit limit" for whatever it means.
    specific = _SOME_LIMIT.sub("", sentence).replace("job submit limit", "")
    if _FOR_A_TIME.search(specific) or (unnamed and has_jobs()):
        return Refusal.FOR_A_TIME
    return Refusal.FOR_GOOD
