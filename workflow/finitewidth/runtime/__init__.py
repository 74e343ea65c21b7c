"""Around a run and a job: the folder, the environment, the log, the one call.

It may import `provenance` and what that may. Start at `job.py`.
"""
