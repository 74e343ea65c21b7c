"""What the executor of jobs on SLURM asks, and what it makes of the answers; without Snakemake.

Snakemake imports the executor at every start, also for a copy of the workflow that has a library of
its own: nothing of ``finitewidth`` is imported here.
"""
