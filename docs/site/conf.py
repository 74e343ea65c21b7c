"""How Sphinx makes the site; `build.py` beside this lays out the pages and calls it."""

import sys
from importlib.util import find_spec
from pathlib import Path

import finitewidth

sys.path.insert(0, str(Path(__file__).parent))

import docstrings

project = "finitewidth"
author = "the authors of finitewidth"
version = release = finitewidth.__version__
language = "en"
smartquotes = False

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_design",
]
root_doc = "index"
exclude_patterns = ["results/README.md"]

# Pages are Markdown that a forge shows as well: headings are linked to by the names it gives them.
myst_enable_extensions = ["amsmath", "colon_fence", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_allow_labels = False
# Words of docstrings' types may happen to be names of several things.
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type", "ref.python"]
# Notebooks stand with the outputs that a test holds against a fresh run.
nb_execution_mode = "off"

# One file of MathJax draws every equation, without fonts beside it, also from a folder on disk.
_MATHJAX = Path(next(iter(find_spec("sphinx-mathjax-offline").submodule_search_locations)))
mathjax_path = "tex-svg.js"
mathjax3_config = {"tex": {"maxBuffer": 20480}, "options": {"enableMenu": False}}

autodoc_typehints = "none"
autodoc_default_options = {"members": True, "member-order": "bysource"}
napoleon_google_docstring = False
# Types are words ("array, shape (inputs, inputs)"), not names of classes to link to.
napoleon_use_param = napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

html_theme = "pydata_sphinx_theme"
html_title = "finitewidth"
html_static_path = ["static", str(_MATHJAX / "static/mathjax/tex-svg.js")]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "footer_start": ["copyright"],
    "footer_end": [],
}
# Pages that none stands below.
html_sidebars = {
    page: []
    for page in ("index", "docs/why", "docs/ten-minutes", "docs/neural-tangents", "docs/papers")
}
html_context = {"default_mode": "auto"}
copyright = "the authors of finitewidth, MIT licence"


def setup(app):
    """Docstrings are escaped before napoleon, at 500, reads them."""
    app.connect("autodoc-process-docstring", _escape, priority=400)


def _escape(app, what, name, obj, options, lines):
    lines[:] = docstrings.escape(lines)
