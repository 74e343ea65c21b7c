"""What knows no network: random streams, devices, files, index sets, errors, reasons.

It may import nothing of ours. Start at `random.py`, whose named streams every ensemble is drawn
from.
"""
