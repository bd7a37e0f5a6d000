"""The site of the documentation, made by ``make docs``: the repository's Markdown as it is, each page in its place.

The source folder is the whole repository, so that links out of ``docs`` lead to the same pages here and there.
"""

import re
import tomllib
from pathlib import Path
from posixpath import dirname, join, normpath

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

project = "codesign"
release = tomllib.loads(Path(__file__).parents[2].joinpath("pyproject.toml").read_text())["project"]["version"]

extensions = ["myst_parser"]
smartquotes = False
root_doc = "docs/index"
include_patterns = ["README.md", "CHANGELOG.md", "docs/**.md", "examples/**.md"]
exclude_patterns = [".*", "build", "shared"]
#: Headings down to this level can be linked to, by the names that GitHub gives them.
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"{project} {release}"
html_extra_path = ["index.html"]
html_copy_source = html_use_index = False

#: Pages whose links are the navigation.
CONTENTS = (root_doc, "examples/README")
LINK = re.compile(r"\[([^]]+)\]\(([^)#]+)\.md(?:#[^)]*)?\)")


def navigation(app: Sphinx, docname: str, source: list[str]) -> None:
    """Add to a page of ``CONTENTS``, for each of its headings, a hidden table of the pages that are linked below it.

    A page counts where it is linked first. Sphinx warns of pages that are in no such table.
    """
    if docname not in CONTENTS:
        return
    known: set[str] = set()
    before, *parts = re.split("^## (.*)$", source[0], flags=re.MULTILINE)
    for caption, text in zip(["", *parts[::2]], [before, *parts[1::2]], strict=True):
        entries: list[str] = []
        for words, path in LINK.findall(text):
            page = normpath(join(dirname(docname), path))
            if page not in known:
                entries.append(f"{words} </{page}>")
            known.add(page)
        title = [f":caption: {caption}"] if caption else []
        source.append("\n".join(["", "```{toctree}", ":hidden:", *title, "", *entries, "```", ""]))
    source[:] = ["\n".join(source)]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_lexer("csv", TextLexer)  # Pygments has none of its own
    app.connect("source-read", navigation)
