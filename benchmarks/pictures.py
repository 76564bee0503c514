"""Pictures for pages: SVG without a background, for light pages and dark ones, as wide as a desk or as narrow as a phone."""

from pathlib import Path

TEXT = {"light": "#22262a", "dark": "#ced6dd"}
GRID = {"light": "#d5d8dc", "dark": "#484e55"}
# by what they stand for; each can be told from the others and from the page, in both themes
COLOURS = {
    "light": {"ours": "#d62728", "rival": "#1f5f99", "second": "#5b9bd5", "third": "#2e8b57", "others": "#7a7a7a"},
    "dark": {"ours": "#ff7b72", "rival": "#8ec1f0", "second": "#4a8fcb", "third": "#6fc28f", "others": "#9a9a9a"},
}
# The text is shown in 9 pixels or more: a wide picture in its own size, a narrow one a third larger than that.
POINTS = {"": 9, "-phone": 7.5}


def save(draw, file):
    """`draw(colours, phone)` returns a figure, four times. FILE.svg becomes FILE-light.svg, FILE-phone-dark.svg and so on."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    for theme, text in TEXT.items():
        for width, points in POINTS.items():
            coloured = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "axes.titlecolor")
            style = dict.fromkeys(coloured, text) | {
                "axes.axisbelow": True,
                "axes.labelsize": points,
                "axes.spines.right": False,
                "axes.spines.top": False,
                "axes.titlesize": points + 1,
                "font.size": points,
                "grid.color": GRID[theme],
                "grid.linewidth": 0.6,
                "legend.fontsize": points,
                "legend.frameon": False,
                "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and measured
                "svg.hashsalt": "the same file from the same figures",
                "xtick.labelsize": points,
                "ytick.labelsize": points,
            }
            with plt.rc_context(style):
                figure = draw(COLOURS[theme] | {"text": text}, phone=bool(width))
                name = Path(file).with_suffix("")
                figure.savefig(f"{name}{width}-{theme}.svg", transparent=True, metadata={"Date": None})
                plt.close(figure)
