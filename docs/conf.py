"""How the documentation is built: `sphinx-build -W docs docs/_build`, without a network."""

import importlib
import sys
from importlib.metadata import metadata
from pathlib import Path

from docutils.nodes import SkipNode, literal, reference
from docutils.utils.math.latex2mathml import tex2mathml
from sklearn.utils.discovery import all_estimators
from sphinx_gallery.sorting import ExplicitOrder

project = "sklearn_softmax"
author = "The sklearn_softmax developers"
copyright = author
installed = metadata("sklearn_softmax")
version = release = installed["Version"]
# addresses of this project, by the names that pyproject.toml gives them; none as long as there is none
addresses = dict(line.split(", ") for line in installed.get_all("Project-URL", []))

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
exclude_patterns = ["_build", "_pictures", "examples", "figures"]
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

# Figures of the guide are drawn when it is built, so that they show what the code does today.
sys.path.insert(0, str(Path(__file__).parent))
plot_html_show_formats = plot_html_show_source_link = False
plot_formats = ["svg"]
plot_rcparams = importlib.import_module("picture_style").STYLE | {"axes.grid": True}
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
            "table.py",
            "path.py",
            "grid_search.py",
            "stream.py",
            "out_of_core_text.py",
        ]
    ),
    "image_scrapers": ("picture_style.scraper",),
    "reset_modules": ("matplotlib", "picture_style.reset"),
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
html_baseurl = addresses.get("Documentation", "")
html_favicon = "_static/logo.svg"
html_context = {"default_mode": "auto"}
html_copy_source = html_show_sourcelink = False
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo.svg", "text": "sklearn_softmax", "alt_text": "Home"},
    "navbar_align": "left",
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "header_links_before_dropdown": 5,
    "icon_links": [
        {"name": name, "url": url, "icon": "fa-solid fa-arrow-up-right-from-square"} for name, url in addresses.items()
    ],
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "show_toc_level": 2,
}
html_sidebars = {
    "index": [],
    "install": [],
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


# Estimators of scikit-learn lead to their page there, where a page first names them and where docstrings refer to them. The
# address follows from the name, so that building the pages needs no network.
OF_SKLEARN = {name: f"{cls.__module__.split('._')[0]}.{name}" for name, cls in all_estimators()}


def at_sklearn(target, child):
    url = f"https://scikit-learn.org/stable/modules/generated/{target}.html"
    return reference("", "", child, internal=False, refuri=url, reftitle="scikit-learn")


def resolve(app, env, node, child):
    """What a docstring refers to by its full name."""
    target = node.get("reftarget", "")
    return at_sklearn(target, child) if target in OF_SKLEARN.values() else None


def link_first(app, doctree, page):
    """The first time that a page names an estimator, outside of titles and links."""
    found = set()
    for node in [*doctree.findall(literal)]:
        name = node.astext()
        if name in OF_SKLEARN and name not in found and node.parent.tagname not in ("title", "reference", "rubric"):
            found.add(name)
            node.replace_self(at_sklearn(OF_SKLEARN[name], node.deepcopy()))


def setup(app):
    app.connect("autodoc-process-docstring", importlib.import_module("parameter_pages").add_links, priority=400)
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    app.connect("missing-reference", resolve)
    app.connect("doctree-resolved", link_first)
