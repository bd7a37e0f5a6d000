"""`report.html` as text: what is on it, that names are text, and that it asks nothing of the network."""

import base64
import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from codesign.directory import read_report
from codesign.kept import Kept
from codesign.report.files import page as pages
from codesign.report.files._fit import KINDS, fit
from codesign.report.files.document import document, markdown
from codesign.report.files.page import CLASSES, HISTOGRAMS, POINTS, page
from codesign.store import Store
from tests.builds import finished
from tests.report.pages import Page, bare, large, report

MOST_BYTES = 3_000_000
ORDER = [
    "Does it fit?", "Chain of proofs", "Bits against cost", "Sensitivity by layer", "Bits by layer",
    "Weights on their grid", "Float beside quantized", "Fine-tuning", "Time of every pass", "How to repeat it",
]  # fmt: skip
REPORTS = {"tiny": report, "large": large, "bare": bare}


@pytest.fixture(params=REPORTS, scope="module")
def text(request: pytest.FixtureRequest) -> str:
    return page(REPORTS[request.param]())


def test_a_finished_build_has_the_page_of_its_report() -> None:
    project = finished()
    assert (project.out / "report.html").read_text() == page(project.report())


#: SHA-256 of the libraries as their packages have them: see docs/dependencies.md.
LIBRARIES = {
    "d3.min.js": "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",
    "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
}


@pytest.mark.parametrize("name", LIBRARIES)
def test_the_libraries_are_unchanged(name: str) -> None:
    content = (Path(pages.__file__).parent / "page" / "vendor" / name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == LIBRARIES[name]


def test_every_section_is_there_in_order(text: str) -> None:
    assert Page(text).headings == ORDER


def test_it_is_small(text: str) -> None:
    assert len(text.encode()) < MOST_BYTES


def test_nothing_is_loaded(text: str) -> None:
    found = Page(text)
    assert not [tag for tag, _ in found.elements if tag in ("link", "img", "iframe", "object", "embed", "base")]
    for tag, attributes in found.elements:
        for name in ("src", "srcset", "href", "action", "poster", "data", "xlink:href", "background"):
            value = attributes.get(name)
            assert value is None or value.startswith("#"), f"<{tag} {name}={value!r}>"
    style = re.search(r"<style>(.*?)</style>", text, re.S)
    assert style
    assert "url(" not in style[1]
    assert "@import" not in style[1]
    own = [script for script in found.scripts if len(script) < 50_000 and not script.startswith("{")]
    assert len(own) == 2
    for script in own:
        assert not re.search(r"https?:|fetch\(|XMLHttpRequest|import\(|import |WebSocket|sendBeacon|Image\(", script)


def test_the_browser_is_told_to_run_the_pages_own_scripts_alone(text: str) -> None:
    found = Page(text)
    policy = next(a["content"] for _, a in found.elements if a.get("http-equiv") == "Content-Security-Policy")
    scripts = re.findall(r"<script>(.*?)</script>", text, re.S)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    wanted = " ".join(f"'sha256-{each}'" for each in hashes)
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; script-src {wanted}"


NASTY = ("<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "\"'><b>x", "{{ 7 * 7 }}", "<!--", "]]>")


@pytest.mark.parametrize("name", NASTY)
def test_names_are_text(name: str) -> None:
    def renamed(to: str) -> dict[str, Any]:
        whole = json.dumps(report() | {"failures": ["fc1"], "notices": ["fc1"], "ok": False})
        changed = json.loads(whole.replace("fc1", json.dumps(to)[1:-1]).replace("relu1", json.dumps(to)[1:-1]))
        changed["classes"][0]["name"] = changed["checks"][0]["detail"] = to
        changed["roc"][0]["signal"] = [to]
        changed["environment"]["command"] = changed["passes"][0]["reason"] = to
        return changed

    nasty, plain = Page(page(renamed(name))), Page(page(renamed("plain")))
    assert [tag for tag, _ in nasty.elements] == [tag for tag, _ in plain.elements]
    assert len(nasty.scripts) == len(plain.scripts)
    assert any(name in text for text in nasty.texts)
    assert nasty.data["layers"][0]["name"] == name


def test_a_large_network_is_drawn_in_part_and_says_so() -> None:
    found = Page(page(large()))
    assert len(found.data["front"]["points"]) <= POINTS + 1
    assert sum(point["chosen"] for point in found.data["front"]["points"]) == 1
    figures = [attributes for tag, attributes in found.elements if tag == "figure"]
    assert sum(each["data-chart"] == "weights" for each in figures) == HISTOGRAMS
    words = " ".join(found.texts)
    assert f"{HISTOGRAMS} most sensitive of 200 layers" in words
    assert "of the points are drawn; all are in report.json" in words
    assert words.count("stage19.block9.convolution199") >= 1


def test_many_classes_have_no_matrix() -> None:
    whole = large(classes=CLASSES + 1)
    assert "confusion" not in {each.get("class") for _, each in Page(page(whole)).elements}
    assert f"{CLASSES + 1} classes are in report.json" in page(whole)


def test_what_is_not_there_is_said() -> None:
    words = " ".join(Page(page(bare())).texts)
    for said in (
        "no classes that the network tells apart", "Nothing was fine-tuned", "no layers with weights",
        "no histograms", "quantizers that the network came with", "Built from Python",
    ):  # fmt: skip
        assert said in words


def test_passes_without_times_are_no_figure() -> None:
    """Bundles have none, and are the same bytes wherever they are made."""
    for whole, drawn in ((report(), True), (report() | {"passes": []}, False)):
        found = Page(page(whole))
        charts = [attributes.get("data-chart") for tag, attributes in found.elements if tag == "figure"]
        assert ("passes" in charts) == drawn
        assert any("Times are left out" in text for text in found.texts) != drawn


def test_the_license_of_what_draws_is_in_the_page(text: str) -> None:
    words = (Path(pages.__file__).parent / "page" / "vendor" / "LICENSE").read_text()
    assert "Permission to use, copy, modify" in words
    assert html.escape(words, quote=False) in text.replace("&#34;", '"').replace("&#39;", "'")


def test_a_report_from_before_these_keys_is_a_page(tmp_path: Path) -> None:
    whole = report()
    for key in ("classes", "confusion", "roc", "finetune", "allowed"):
        del whole[key]
    del whole["environment"]["command"], whole["environment"]["name"]
    for value in whole["quality"].values():
        del value["unit"], value["errors"]
    for layer in whole["layers"]:
        del layer["histogram"]
    (tmp_path / "report.json").write_text(json.dumps(whole))
    read = read_report(tmp_path)
    assert Page(page(read)).headings == ORDER
    assert "Proofs" in markdown(read)


def test_a_design_from_before_these_keys_is_a_report() -> None:
    project = finished()
    fields = json.loads(json.dumps(Kept.read(project.out, Store(project.out / ".codesign")).fields))
    for value in fields["report"]["quality"].values():
        del value["unit"], value["errors"]
    for measure in fields["measures"].values():
        measure.pop("error")
    whole = document(fields, [], {"versions": {}, "seed": 0, "target": "t", "firmware_target": "t"})
    assert Page(page(whole)).headings == ORDER
    assert "Proofs" in markdown(whole)


def test_the_build_is_named_and_its_figures_have_errors() -> None:
    whole = report()
    whole["environment"]["name"] = "tagger"
    accuracy = whole["quality"]["accuracy"]
    shown = f"{accuracy['quantized']:.4f} ± {accuracy['errors']['quantized']:.4f}"
    assert shown in Page(page(whole)).texts
    assert f"| {shown} |" in markdown(whole)
    assert any(text.startswith("tagger: ") for text in Page(page(whole)).texts)
    assert markdown(whole).startswith("# Build report: tagger: ")


def test_what_was_allocated_is_told_from_what_was_built() -> None:
    whole = report()
    cost = whole["allocation"]["cost"]
    for row in whole["measures"]:
        row["value"] = 123_456.0 if row["name"] == cost else row["value"]
    row = re.search(r"in the exported file</th>(.*?)</tr>", page(whole))
    assert row is not None
    assert "123,456" in row[1]
    assert "| in the exported file | 123,456 |" in markdown(whole)


def test_what_was_not_checked_is_plain_to_see() -> None:
    found = Page(page(report()))
    assert any("1 of 3 not checked" in text for text in found.texts)
    marks = [attributes.get("class") for tag, attributes in found.elements if tag in ("tr", "li")]
    assert marks.count("not_checked") == 2


def measure(name: str, value: float, kind: str) -> dict[str, Any]:
    return {"name": name, "value": value, "unit": "", "kind": kind, "pass": "a.b", "limit": None}


def row(title: str, *measures: dict[str, Any], **allowed: float) -> dict[str, Any]:
    whole = {"measures": list(measures), "allowed": allowed, "allocation": {"budgets": {"adder_lut": 10.0}}}
    return next(each for each in fit(whole) if each["title"] == title)


def test_each_kind_has_a_column_of_its_own() -> None:
    values = {kind: float(place) for place, kind in enumerate(KINDS)}
    found = row("LUT", *(measure(f"{kind}_lut", value, kind) for kind, value in values.items()), lut=2)
    assert {kind: [cell["value"] for cell in cells] for kind, cells in found["cells"].items()} == {
        kind: [value] for kind, value in values.items()
    }
    assert (found["kind"], found["verdict"]) == ("placed", "over")


@pytest.mark.parametrize(
    ("measures", "verdict", "kind"),
    [
        ([], "unknown", None),
        ([("estimated_lut", 9, "estimated")], "fits", "estimated"),
        ([("estimated_lut", 9, "estimated"), ("yosys_lut", 11, "synthesized")], "over", "synthesized"),
        ([("yosys_lut", 11, "synthesized"), ("vivado_lut", 9, "reported")], "fits", "reported"),
        ([("yosys_lut:fc1", 99, "synthesized")], "unknown", None),
        ([("vivado_lut", 9, "reported"), ("vitis_lut", 11, "reported")], "over", "reported"),
    ],
)
def test_the_verdict_is_by_what_says_most(measures: list[Any], verdict: str, kind: str | None) -> None:
    found = row("LUT", *(measure(*each) for each in measures), lut=10)
    assert (found["verdict"], found["kind"]) == (verdict, kind)


def test_a_least_limit_and_a_budget() -> None:
    assert row("clock frequency, MHz", measure("x_fmax_mhz", 199, "placed"), fmax_mhz=200)["verdict"] == "over"
    assert row("clock frequency, MHz", measure("x_fmax_mhz", 200, "placed"), fmax_mhz=200)["verdict"] == "fits"
    assert row("budget: adder_lut", measure("adder_lut", 11, "estimated"))["verdict"] == "over"
