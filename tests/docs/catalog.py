"""The documentation as the Snakemake plugin catalog shows it: its own converter, headings and order, and docutils."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any
from unittest.mock import patch

from docutils import nodes
from docutils.core import publish_doctree

_MARKS = '#*=-^"~:`_+<'
"""What underlines the headings of a page of the catalog, level by level."""

_PAGE = """\
Snakemake executor plugin: frceapi
##################################

{intro}

Installation
************

Usage
*****

Settings
********

Further details
***************

{further}
"""
"""The headings that the catalog's template sets, of which docs/intro.md and docs/further.md are parts."""


def rendered(directory: Path) -> nodes.document:
    """Return the page that the catalog makes of ``intro.md`` and ``further.md`` in a directory.

    Raises:
        docutils.utils.SystemMessage: something in it is a warning.
    """
    parts = {"intro": _converted(directory / "intro.md", _MARKS[2:])}
    parts["further"] = _converted(directory / "further.md", _MARKS[3:])
    strict = {"halt_level": 2, "report_level": 2, "warning_stream": False, "file_insertion_enabled": False}
    return publish_doctree(_PAGE.format(**parts), settings_overrides=strict)


def _converted(path: Path, marks: str) -> str:
    """Return Markdown as reStructuredText, with the catalog's marks for headings."""
    with warnings.catch_warnings(), patch("sys.argv", ["m2r2"]):  # it reads the options of the program that runs
        warnings.simplefilter("ignore")  # it is of 2023
        import m2r2

        renderer: Any = m2r2.RestRenderer()
        renderer.hmarks = dict(enumerate(marks, 1))
        return str(m2r2.convert(path.read_text("utf-8"), renderer=renderer))
