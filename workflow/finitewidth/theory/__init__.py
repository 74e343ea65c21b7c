"""What theory says, from Gaussian expectations to the dataset of predictions, without samples.

It may import `core`, `models`, `quantities`, and no torch. Start at
`predict/predict_preactivations.py`, which shows what becomes of it all.
"""
