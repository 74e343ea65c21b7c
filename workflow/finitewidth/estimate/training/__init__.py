"""Estimates along the training of random ensembles: predictions, errors, drift of kernels.

It may import `estimate.preactivations` and what stands below it. Start at `training_estimates.py`.
"""
