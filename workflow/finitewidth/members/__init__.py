"""Members as each stage sees them: typed, from the study file to sampler, estimator and theory.

Start with `stages.py` for members of `ensembles` and `trained.py` for those of `trained`;
`plain.py` turns them into parameters of rules and back. Imports `models` and `core`.
"""
