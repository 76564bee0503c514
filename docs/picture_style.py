"""How the pictures of the guide and of the gallery look.

They are SVG without a background, which style.css inverts on dark pages. If they are at most 5.5 inches wide, their text of 10
points can be read on a phone.
"""

from sphinx_gallery.scrapers import matplotlib_scraper

STYLE = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 11,
    "figure.constrained_layout.use": True,
    "grid.alpha": 0.25,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "savefig.bbox": "standard",
    "savefig.transparent": True,
    "svg.fonttype": "none",
}


def scraper(block, variables, conf):
    return matplotlib_scraper(block, variables, conf, format="svg", transparent=True)


def reset(conf, script):
    """sphinx-gallery has put matplotlib's own style back just before."""
    import matplotlib

    matplotlib.rcParams.update(STYLE)
