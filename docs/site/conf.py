"""Sphinx's settings; build.py runs it. Fonts are the reader's own, and no page loads anything from elsewhere."""

from archprof.base.version import __version__

project = "archprof"
author = "The archprof developers"
copyright = "the archprof developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.githubpages"]
html_theme = "furo"
html_title = "archprof"
html_static_path = ["style.css"]
html_css_files = ["style.css"]
html_show_sphinx = False
html_copy_source = html_show_sourcelink = False
pygments_style = "tango"

myst_heading_anchors = 4  # every heading has the anchor that forges give it, and a link to one that is not there warns
suppress_warnings = [
    "misc.highlighting_failure",  # a block may leave something out with an ellipsis
    "myst.header",  # what --markdown writes is part of a page, and begins with a smaller heading
]
python_use_unqualified_type_names = True
toc_object_entries_show_parents = "hide"
maximum_signature_line_length = 80
