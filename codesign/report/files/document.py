"""The report as one document: `report.json`, and its Markdown for people."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codesign.describe import amount, figure_of, span, with_error
from codesign.directory import SCHEMA, completed
from codesign.engine import PassRun
from codesign.templates import filled


def document(fields: Mapping[str, Any], runs: Sequence[PassRun], environment: Mapping[str, Any]) -> dict[str, Any]:
    """The content of ``report.json``, as docs/reference/report.md specifies it.

    Args:
        fields: The design at the end of the build, as JSON.
        runs: What became of each pass.
        environment: Versions, seed, target, flow.
    """
    report = dict(fields["report"])
    allocation, front = fields["allocation"], fields["front"]
    whole = {
        "schema": SCHEMA,
        "ok": not report["failures"],
        "failures": report["failures"],
        "quality": report["quality"],
        "input": report["input"],
        "sensitivity": report["sensitivity"],
        "layers": report["layers"],
        "allocation": {
            "cost": front["cost"],
            "units": report["costs"],
            "budgets": front["budgets"],
            "solver": front["solver"],
            "complete": front["complete"],
            "losses": front["losses"],
            "chosen": allocation["index"],
            "front": front["points"],
            "uniform": [{"weight_bits": int(bits), **point} for bits, point in front["uniform"].items()],
        },
        "measures": [
            document_measure(name, item, report["limits"]) for name, item in sorted(fields["measures"].items())
        ],
        "checks": [document_check(item) for item in fields["checks"].values()],
        "allowed": report["allowed"],
        "classes": report["classes"],
        "confusion": report["confusion"],
        "roc": report["roc"],
        "finetune": report["finetune"],
        "notices": list(fields.get("notices", {}).values()),
        "passes": [asdict(run) for run in runs],
        "artifacts": [document_artifact(name, item) for name, item in sorted(fields["artifacts"].items())],
        "environment": environment,
    }
    return completed(whole)


def markdown(report: Mapping[str, Any]) -> str:
    """The report for people, from the same numbers."""
    # Names and sentences that come from outside are escaped by the filter `cell`.
    values = {**report, "counted": counted(report)}
    return filled(Path(__file__).with_name("report.md.j2"), values, amount, cell, figure_of, span, with_error)


def counted(report: Mapping[str, Any]) -> dict[str, float]:
    """Costs of the network that was built, by name, as they were recounted from its file."""
    values = {row["name"]: row["value"] for row in report["measures"]}
    return {name: values[name] for name in report["allocation"]["units"] if name in values}


def cell(text: object) -> str:
    """A text as words of one line of Markdown: no table, code, HTML or heading begins in it."""
    return re.sub(r"([\\`|<#])", r"\\\1", " ".join(str(text).splitlines()))


def document_measure(name: str, item: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``measures``, from a measure and the limits by measures' names."""
    return {
        "name": name,
        "value": item["value"],
        "error": item.get("error"),
        "unit": item["unit"],
        "kind": item["kind"],
        "pass": item["by"],
        "limit": limits.get(name),
    }


def document_check(item: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``checks``."""
    return {
        "from": item["start"],
        "to": item["end"],
        "inputs": item["inputs"],
        "mismatches": item["mismatches"],
        "status": item["status"],
        "detail": item["detail"],
    }


def document_artifact(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """A row of ``artifacts``."""
    return {"name": name, "path": item["path"], "sha256": item["digest"], "folder": item["folder"]}
