"""The colours of our pages, by day and by night, as variables of their style sheets."""

COLOURS = """
:root { color-scheme: light dark; --text: #1b1f24; --page: #fff; --faint: #57606a; --line: #d0d7de;
  --head: #eef1f4; --good: #1a7f37; --bad: #b42318; --doubt: #8a6300; --doubted: #fdf3d8;
  --link: #0550ae; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --page: #0d1117; --faint: #9198a1;
  --line: #3d444d; --head: #1c2128; --good: #3fb950; --bad: #ff7b72; --doubt: #d9a400;
  --doubted: #2b2413; --link: #79c0ff; } }
"""
