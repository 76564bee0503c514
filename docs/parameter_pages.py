"""The page of the guide that explains a parameter, to which the reference links below its description."""

import re

PAGES = {
    "alpha": "objective",
    "l1_ratio": "objective",
    "standardize": "objective",
    "max_iter": "certificate",
    "tol": "certificate",
    "learning_rate": "step",
    "eta0": "step",
    "average": "drift",
    "forgetting": "drift",
    "variance_reduction": "step",
    "early_stopping": "tools",
    "class_weight": "weights",
    "label_smoothing": "soft_labels",
    "new_classes": "streams",
    "warm_start": "migrating",
    "sample_weight": "weights",
    "offset": "offsets",
    "X_val": "tools",
    "shuffle_buffer": "streams",
    "alphas": "path",
    "l1_ratios": "path",
    "cv": "path",
    "selection": "path",
    "clusters": "inference",
}
PARAMETER = re.compile(r"(\w+) : ")


def with_links(lines):
    """The lines of a docstring (numpydoc), with a link at the end of each parameter that has a page."""
    linked, is_parameters, page = [], False, None

    def add_link():
        if page:
            while not linked[-1]:
                linked.pop()
            linked.extend(["", f"    Guide: :doc:`/guide/{page}`.", ""])

    for number, line in enumerate(lines):
        is_title = lines[number + 1 : number + 2] and set(lines[number + 1]) == {"-"}
        found = PARAMETER.match(line)
        if is_title or (is_parameters and found):
            add_link()
            page = PAGES.get(found[1]) if found and is_parameters else None
        if is_title:
            is_parameters, page = line == "Parameters", None
        linked.append(line)
    add_link()
    return linked


def add_links(app, what, name, obj, options, lines):
    """For Sphinx, before numpydoc reads a docstring."""
    lines[:] = with_links(lines)
