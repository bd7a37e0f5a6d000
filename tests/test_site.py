"""The site of the documentation, as ``make docs`` makes it: complete, sound, and asking nothing of the network."""

import json
import os
import re
import shlex
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.test_docs import ROOT, markdown_files, name_of

pytestmark = pytest.mark.skipif(
    find_spec("sphinx") is None and not os.environ.get("CI"), reason="no Sphinx: pip install -e '.[docs]'"
)
#: Attributes by which a browser loads something without being asked, and the elements that have them.
LOADED = {"src": None, "srcset": None, "poster": None, "data": "object", "href": "link"}


class Page(HTMLParser):
    """What a page loads, where its links lead, and what can be linked to in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in LOADED and LOADED[name] in (None, tag):
                self.loaded.append(value or "")
            elif (tag, name) == ("a", "href"):
                self.links.append(value or "")
            elif name == "id":
                self.anchors.add(value or "")


@cache
def page(path: Path) -> Page:
    return Page(path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the recipe of ``make docs`` gives, warnings being errors."""
    folder = tmp_path_factory.mktemp("site")
    recipe = next(line for line in (ROOT / "Makefile").read_text().splitlines() if "sphinx" in line)
    argv = shlex.split(recipe.replace("$(RUN)/python", sys.executable).replace("build/site", str(folder)))
    assert "-W" in argv
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > 40
    return found


def test_every_markdown_page_is_in_it_and_in_its_search(site: Path) -> None:
    names = [name_of(path).removesuffix(".md") for path in markdown_files()]
    index = json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)", (site / "searchindex.js").read_text())[1])  # type: ignore[index]
    assert sorted(index["docnames"]) == sorted(names)
    assert "drift" in index["terms"]
    assert [name for name in names if not (site / f"{name}.html").is_file()] == []


def test_every_page_is_in_the_navigation(site: Path) -> None:
    first = site / "docs/index.html"
    sidebar = first.read_text(encoding="utf-8").partition('<div class="sidebar-tree">')[2].partition("</div>")[0]
    listed = {(first.parent / link).resolve() for link in re.findall(r'href="([^"#]+)"', sidebar)}
    wanted = {(site / name_of(path)).with_suffix(".html") for path in markdown_files()}
    assert wanted - listed <= {first}
    captions = re.findall(r'caption-text">([^<]+)<', sidebar)
    assert captions == ["Start", "How to", "Reference", "Explanation"]


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in pages(site):
        for target in page(path).loaded:
            split = urlsplit(target)
            assert not split.scheme, f"{path}: {target}"
            assert not split.netloc, f"{path}: {target}"
            assert target == "#" or (path.parent / unquote(split.path)).is_file(), f"{path}: {target}"
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert "@import" not in text
        places = re.findall(r"url\(\s*['\"]?([^'\")]+)", text)
        assert [place for place in places if re.match(r"https?:|//", place)] == []


def test_every_link_leads_to_something(site: Path) -> None:
    for path in pages(site):
        for target in page(path).links:
            split = urlsplit(target)
            if split.scheme:
                assert split.scheme == "https", f"{path}: {target}"
                continue
            place = (path.parent / unquote(split.path)).resolve() if split.path else path
            assert place.is_file(), f"{path}: {target}"
            if split.fragment and place.suffix == ".html":
                assert unquote(split.fragment) in page(place).anchors, f"{path}: {target}"
