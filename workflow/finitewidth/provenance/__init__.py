"""What made a file: digests, stamps, ancestry, rebuilding, the crate and the archive.

It may import `study` and what that may. Start at `artifacts.py`, then `trace.py`.
"""
