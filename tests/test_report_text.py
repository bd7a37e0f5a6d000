"""Names and sentences from outside stand in `report.md` as they are, and are no Markdown."""

from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from codesign.report.files.document import markdown
from tests.builds import finished


def tokens(report: dict[str, Any]) -> list[Token]:
    """The parts of the report as a reader of Markdown sees them."""
    blocks = MarkdownIt("commonmark").enable("table").parse(markdown(report))
    return [part for block in blocks for part in (block, *(block.children or ()))]


def with_text(place: str, text: str) -> dict[str, Any]:
    """A build's report with a text of the user's in a place."""
    report = finished().report()
    if place == "formats":
        return report | {"input": report["input"] | {"formats": {text: "fixed<8,1>"}}}
    return report | {"ok": False, "failures": ["something"]} | {place: [text]}


def kinds(report: dict[str, Any]) -> list[str]:
    """What the parts are; text comes in pieces where something is escaped."""
    return [token.type for token in tokens(report) if token.type not in ("text", "text_special")]


TEXTS = ("x`\n\n# Heading", "# Heading", "<script>alert(1)</script>", "a `b` c", "back\\`slash`", "a | b", "a\r## b")


@pytest.mark.parametrize("place", ["formats", "failures", "notices"])
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_from_outside_is_text(place: str, text: str) -> None:
    report = with_text(place, text)
    assert kinds(report) == kinds(with_text(place, "plain"))
    shown = "".join(token.content for token in tokens(report) if token.type in ("text", "text_special"))
    assert " ".join(text.splitlines()) in shown
