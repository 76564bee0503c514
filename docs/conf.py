"""How the documentation is built: `sphinx-build -W docs docs/_build`, without a network."""

import os
from importlib.metadata import version as installed_version

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx_gallery.sorting import ExplicitOrder

project = "sklearn_softmax"
author = "The sklearn_softmax developers"
copyright = author
version = release = installed_version("sklearn_softmax")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "sphinx_design",
    "matplotlib.sphinxext.plot_directive",
]
exclude_patterns = ["_build", "examples", "figures"]
nitpicky = True
# docstrings that are inherited from scikit-learn refer to labels and names of its own documentation
suppress_warnings = ["ref.ref", "ref.term"]
nitpick_ignore_regex = [("py:.*", r"(sklearn|numpy|scipy|matplotlib|array-like|MetadataRequest|ndarray|RandomState|estimator).*")]

# Pages are Markdown, so that README, CONTRIBUTING and benchmarks/README can be included and their examples be run as tests.
myst_enable_extensions = ["colon_fence", "dollarmath", "fieldlist"]
myst_heading_anchors = 3

templates_path = ["_templates"]
default_role = "literal"
# an example in Markdown ends with an empty line, where doctest sees that its output ends
highlight_options = {"python": {"stripnl": True}}
autosummary_generate = True
numpydoc_show_class_members = False
add_function_parentheses = False
toc_object_entries_show_parents = "hide"

if os.environ.get("DOCS_INTERSPHINX"):  # links to the documentation of others need the network
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
    }

# Figures of the guide are drawn when it is built, so that they show what the code does today.
plot_html_show_formats = plot_html_show_source_link = False
plot_formats = [("png", 110)]
plot_rcparams = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "savefig.bbox": "standard",
}
plot_apply_rcparams = True

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": ".",
    "within_subsection_order": ExplicitOrder(
        [
            "digits.py",
            "raw_data.py",
            "one_vs_rest.py",
            "loss_curve_and_gap.py",
            "how_sure.py",
            "grid_search.py",
            "stream.py",
            "out_of_core_text.py",
        ]
    ),
    "backreferences_dir": "generated/backreferences",
    "doc_module": ("sklearn_softmax",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn_softmax"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_favicon = "_static/logo.svg"
html_context = {"default_mode": "auto"}
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": "sklearn_softmax", "alt_text": "Home"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 5,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_toc_level": 2,
}
html_sidebars = {
    "index": [],
    "quickstart": [],
    "comparison": [],
    "benchmarks": [],
    "changelog": [],
    "contributing": [],
    "architecture": [],
}


# Formulas are MathML, which browsers draw themselves: nothing to load, neither a script nor a font.
html_math_renderer = "mathml"


def visit_inline(translator, node):
    translator.body.append(tex2mathml(node.astext()))
    raise SkipNode


def visit_block(translator, node):
    translator.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>\n')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
