"""What trained networks are held against: random spectra, and alignment by chance.

It may import `core`. Start at `marchenko_pastur.py`.
"""
