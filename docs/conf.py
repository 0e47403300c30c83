"""Settings of the documentation: `python -m sphinx -EWnq docs build/docs` builds it without a network."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import kernalign  # noqa: E402
import notebook_pages  # noqa: E402
import reference_pages  # noqa: E402

reference_pages.write(HERE / "reference")
notebook_pages.write(sorted(HERE.glob("notebooks/*.ipynb")), HERE / "reference/notebooks")

project = "kernalign"
author = "the kernalign developers"
version = release = kernalign.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
exclude_patterns = ["_build", "gallery", "**/README.*"]

html_theme = "pydata_sphinx_theme"
html_title = "kernalign"
html_theme_options = {"show_toc_level": 2, "navbar_align": "left", "secondary_sidebar_items": ["page-toc"]}
html_sidebars = {"*": []}  # pages at the top have no section to navigate
html_show_sourcelink = False
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_extra_path = ["reference/report"]  # the report of a suite, which suites.md shows

if find_spec("torch") is None:  # modules that need it have no pages
    nitpick_ignore_regex = [("py:.*", r"kernalign\.compat\.(torchmetrics|lightning|losses)\..*")]

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say what arguments are
templates_path = ["templates"]
autosummary_ignore_module_all = False
numpydoc_show_class_members = False
default_role = "autolink"  # `name` links where there is such an object

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/\w+\.py",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 10_000,
    "copyfile_regex": r"",
}

# Links from pages to files outside docs/, which GitHub follows too, become downloads.
_OUTSIDE = re.compile(r"\]\((\.\./[^)\s]+)\)")
# What our docstrings write as mathematics, and reStructuredText would take for markup: |a|, coef_, K*L. Literals, links
# and examples stay as they are.
_MARKUP = re.compile(
    r"``.*?``|`[^`]*`|^\s*(?:>>>|\.\.\.).*?$|(\||(?<=\w)_(?=\W|$)|(?<!\*)\*(?=[^*\s]))", re.DOTALL | re.MULTILINE
)


# "name : what it is" is a type and a description to numpydoc, but one sentence in our docstrings.
_ENTRY = re.compile(r"^(\*{0,2}\w[\w, *]*) : (.*)$", re.MULTILINE)


def _outside_links(app, name, content):
    content[0] = _OUTSIDE.sub(r"](path:\1)", content[0])


def _escaped(app, what, name, obj, options, lines):
    text = _MARKUP.sub(lambda found: "\\" + found[1] if found[1] else found[0], "\n".join(lines))
    text = _ENTRY.sub(r"\1\n    \2", text)
    lines[:] = text.split("\n")


def _foreign(app, what, name, obj, skip, options):
    """Methods that scikit-learn adds to its estimators link to its own pages."""
    return skip or name.endswith(("_metadata_routing", "_request"))


def setup(app):
    app.connect("source-read", _outside_links)
    app.connect("autodoc-process-docstring", _escaped, priority=100)
    app.connect("autodoc-skip-member", _foreign)
