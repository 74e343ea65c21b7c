"""From a config to members, jobs and what they cost.

It may import `config` and what that may. Start at `members.py`.
"""
