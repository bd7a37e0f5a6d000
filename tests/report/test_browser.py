"""The page in headless Chromium: drawn, looked at by pointer and by key, with nothing asked of the network."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, sync_playwright
from playwright.sync_api import Page as Tab

from codesign.report.files.compare import compare, comparison_page
from codesign.report.files.page import page
from tests.builds import finished
from tests.report.pages import bare, large, report

CHROMIUM = shutil.which("chromium")
#: A phone, and a screen.
NARROW, WIDE = {"width": 375, "height": 800}, {"width": 1280, "height": 900}
NASTY = "<script>document.title='run'</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="no chromium (Debian: chromium)")


@dataclass
class Seen:
    """A page in a tab, and what it did."""

    tab: Tab
    asked: list[str] = field(default_factory=list[str])
    said: list[str] = field(default_factory=list[str])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Tests run as root in containers, where Chromium has no sandbox; the page is our own.
        started = playwright.chromium.launch(executable_path=CHROMIUM or "chromium", args=["--no-sandbox"])
        yield started
        started.close()


def opened(browser: Browser, folder: Path, text: str, viewport: dict[str, int] = WIDE, **more: Any) -> Seen:
    """Open a page from disk and listen to it."""
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    seen = Seen(browser.new_page(viewport=viewport, **more))  # type: ignore[arg-type]
    seen.tab.on("request", lambda request: seen.asked.append(request.url))
    seen.tab.on("console", lambda message: seen.said.append(message.text))
    seen.tab.on("pageerror", lambda error: seen.said.append(str(error)))
    seen.tab.goto(file.as_uri())
    assert seen.asked == [file.as_uri()]
    return seen


def quiet(seen: Seen) -> None:
    """Nothing was asked but the page itself, and nothing said."""
    assert len(seen.asked) == 1
    assert seen.said == []
    seen.tab.close()


def marks(seen: Seen) -> Locator:
    """The front's points."""
    return seen.tab.locator("figure[data-chart=front] [aria-label^='point ']")


@pytest.mark.parametrize("content", [report, large, bare])
@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_every_figure_is_drawn_and_fits(
    content: Any, viewport: dict[str, int], browser: Browser, tmp_path: Path
) -> None:
    seen = opened(browser, tmp_path, page(content()), viewport)
    seen.tab.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    figures = seen.tab.locator("figure[data-chart]")
    assert figures.count() >= 3
    for figure in figures.all():
        figure.locator(".plot svg").last.wait_for()
    assert seen.tab.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    quiet(seen)


def test_a_point_is_looked_at_by_pointer_and_by_key(browser: Browser, tmp_path: Path) -> None:
    whole = large(layers=20, points=40)
    seen = opened(browser, tmp_path, page(whole))
    panel, svg = seen.tab.locator("#point-1"), seen.tab.locator("figure[data-chart=front] svg[tabindex]")
    chosen = whole["allocation"]["chosen"]
    assert f"point {chosen + 1} of 40, chosen" in panel.inner_text()
    marks(seen).nth(30).hover()
    point = whole["allocation"]["front"][30]
    words = panel.inner_text()
    assert "point 31 of 40" in words
    assert f"{point['costs'][whole['allocation']['cost']]:,.0f}" in words
    rows = [row.inner_text().split() for row in panel.locator(".scroll tr").all()]
    assert rows == [[name, str(bits)] for name, bits in point["bits"].items()]
    assert "point 31 of 40" in (svg.locator("[aria-label=tip]").text_content() or "")
    svg.focus()
    svg.press("ArrowRight")
    assert "point 32 of 40" in panel.inner_text()
    svg.press("Home")
    assert "uniform, 2 bits" in panel.inner_text() or "point 1 of 40" in panel.inner_text()
    quiet(seen)


def test_every_control_is_reached_by_key(browser: Browser, tmp_path: Path) -> None:
    seen = opened(browser, tmp_path, page(report()))
    reached: list[str] = []
    for _ in range(60):
        seen.tab.keyboard.press("Tab")
        reached.append(seen.tab.evaluate("document.activeElement.tagName.toLowerCase()"))
    assert {"a", "svg", "summary", "div", "pre"} <= set(reached)
    quiet(seen)


def test_names_are_text(browser: Browser, tmp_path: Path) -> None:
    whole = report()
    whole["layers"][0]["name"] = whole["classes"][0]["name"] = whole["checks"][0]["detail"] = NASTY
    whole["roc"][0]["signal"] = [NASTY]
    for point in (*whole["allocation"]["front"], *whole["allocation"]["uniform"]):
        point["bits"] = {NASTY: 4}
    seen = opened(browser, tmp_path, page(whole))
    marks(seen).first.hover()
    assert NASTY in seen.tab.locator("#point-1").inner_text()
    assert NASTY[:16] in seen.tab.locator("figure[data-chart=bits]").inner_text()
    assert seen.tab.title() == "tiny: qonnx on pynq-z2"
    quiet(seen)


def test_a_script_that_is_not_the_pages_own_is_not_run(browser: Browser, tmp_path: Path) -> None:
    injected = page(report()).replace("</main>", "<script>document.title='run'</script></main>")
    seen = opened(browser, tmp_path, injected)
    assert seen.tab.title() == "tiny: qonnx on pynq-z2"
    assert len(seen.said) == 1
    assert "Content Security Policy" in seen.said[0]
    seen.tab.close()


def test_dark_and_printed(browser: Browser, tmp_path: Path) -> None:
    seen = opened(browser, tmp_path, page(report()), color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert max(map(int, seen.tab.evaluate(background)[4:-1].split(","))) < 64
    seen.tab.emulate_media(media="print")
    assert seen.tab.evaluate(background) == "rgb(255, 255, 255)"
    assert seen.tab.pdf().startswith(b"%PDF")
    quiet(seen)


def test_builds_side_by_side(browser: Browser, tmp_path: Path) -> None:
    text = comparison_page(compare([finished().out, finished().out]))
    seen = opened(browser, tmp_path, text, NARROW)
    assert seen.tab.locator("table").count() >= 4
    assert seen.tab.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    quiet(seen)
