"""What is measured of replicas: second moments, spectra, alignment, truncated ranks.

It may import `trained.training`. Start at `replica_estimates.py`.
"""
