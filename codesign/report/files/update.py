"""A report that is there already, with what was found after it was written."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from codesign.design import Check, Design, Measure
from codesign.engine import PassRun
from codesign.limits import exceeded, limits
from codesign.report.files.document import document_artifact, document_check, document_measure
from codesign.target import Target

Report = Mapping[str, Any]


def with_measures(report: Report, found: Mapping[str, Measure], by: Collection[str], target: Target) -> dict[str, Any]:
    """The report with measures in place of the earlier ones of some passes, and with what fails by them.

    Args:
        report: The content of ``report.json``.
        found: The measures.
        by: Names of the passes.
        target: Its limits are held against them.
    """
    before = {
        row["name"]: Measure(row["value"], row["unit"], row["kind"], row["pass"], row.get("error"))
        for row in report["measures"]
        if row["pass"] in by
    }
    gone, held = exceeded(limits(target, before), before, target), limits(target, found)
    records = {name: {"value": limit.value, "least": limit.least} for name, limit in held.items()}
    rows = [row for row in report["measures"] if row["pass"] not in by]
    rows += [document_measure(name, vars(measure), records) for name, measure in found.items()]
    failures = [text for text in report["failures"] if text not in gone] + exceeded(held, found, target)
    return {
        **report,
        "ok": not failures,
        "failures": failures,
        "measures": sorted(rows, key=lambda row: row["name"]),
    }


def with_checks(report: Report, found: Sequence[Check]) -> dict[str, Any]:
    """The report with hops in place of the earlier ones between the same representations, and with what differs."""
    hops = {(check.start, check.end) for check in found}
    old = [row for row in report["checks"] if (row["from"], row["to"]) in hops]
    gone = {
        Check(row["from"], row["to"], row["inputs"], row["mismatches"], row["status"], row["detail"]).failure
        for row in old
    }
    failures = [text for text in report["failures"] if text not in gone]
    failures += [check.failure for check in found if check.failure]
    rows = [row for row in report["checks"] if row not in old] + [document_check(vars(check)) for check in found]
    return {**report, "ok": not failures, "failures": failures, "checks": rows}


def extended(report: Report, before: Design, after: Design, runs: Sequence[PassRun]) -> dict[str, Any]:
    """The report with what passes found that were run after it; a pass that was run before takes its own place.

    Args:
        report: The content of ``report.json``.
        before: The design at the end of the build.
        after: The design after them.
        runs: What became of each.
    """
    names = {run.name for run in runs}
    measures = {name: measure for name, measure in after.measures.items() if measure.by in names}
    updated = with_measures(report, measures, names, after.target)
    updated = with_checks(updated, list(_new(before, after, "checks").values()))
    artifacts = {row["name"]: row for row in updated["artifacts"]}
    artifacts |= {
        name: document_artifact(name, asdict(item)) for name, item in _new(before, after, "artifacts").items()
    }
    notices = [text for text in _new(before, after, "notices").values() if text not in updated["notices"]]
    return {
        **updated,
        "notices": [*updated["notices"], *notices],
        "passes": [*(row for row in updated["passes"] if row["name"] not in names), *map(asdict, runs)],
        "artifacts": [artifacts[name] for name in sorted(artifacts)],
    }


def _new(before: Design, after: Design, field: str) -> dict[str, Any]:
    """Entries of a collection that were not there, or were others."""
    had, now = ({} if not design.has(field) else dict[str, Any](getattr(design, field)) for design in (before, after))
    return {name: item for name, item in now.items() if had.get(name) != item}
