"""What `import finitewidth as fw` gives: what one does with the library, each in a function.

It calls what the rules of the workflow call, and computes nothing itself. It imports any room below
it. Read `networks.py` (networks and inputs), `kernels.py` (infinite width of data sets),
`one_ensemble.py` (sample, estimate, predict, compare), `own_samples.py` (samples of one's own
code), then `study_file.py` (members of a study file), `results.py` (what a run has left of a study)
and `together.py` (the members of an ensemble).
"""
