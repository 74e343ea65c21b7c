"""What the executor of jobs on SLURM asks, and what it makes of the answers; without Snakemake."""
