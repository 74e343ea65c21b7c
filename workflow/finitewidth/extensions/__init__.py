"""Extensions: Python files of somebody's own, with activations, inputs, families and figures.

Nothing here knows what it hands on: each registry asks for its own table, and checks what it gets.
It may import `core`. Start at `named.py`, which says who is asked, and then `loaded.py`.
"""
