# Names of stages.
