"""Whether a build fits: each of the target's limits beside every number that is known of it, by kind."""

from collections.abc import Mapping
from typing import Any, get_args

from codesign.design import Kind
from codesign.limits import LEAST

KINDS: tuple[str, ...] = get_args(Kind)
#: From the one that says most of the real firmware to the one that says least.
TRUSTED = ("placed", "reported", "synthesized", "simulated", "estimated")
TITLES = {
    "latency_cycles": "latency, cycles",
    "initiation_interval_cycles": "initiation interval, cycles",
    "fmax_mhz": "clock frequency, MHz",
    "lut": "LUT",
    "ff": "FF",
    "dsp": "DSP",
    "bram_36k": "BRAM, 36 kb",
    "area_um2": "area, µm²",
    "hold_slack_ns": "hold slack, ns",
}


def fit(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the table: limits of the target, then budgets.

    Returns:
        ``title``, ``limit`` (None if there is none), ``least``, ``cells`` (by kind, a list of ``value``, ``source`` and
        whether it is ``kept``) and ``verdict``: ``fits``, ``over`` or ``unknown``, with the ``kind`` it is known by.
    """
    allowed = report["allowed"]
    rows: list[dict[str, Any]] = []
    for end in TITLES:
        found = [row for row in report["measures"] if _is_of(row["name"], end)]
        if found or (end in allowed and end != "hold_slack_ns"):
            rows.append(_row(TITLES[end], allowed.get(end), end in LEAST, found))
    for name, most in report["allocation"]["budgets"].items():
        rows.append(_row(f"budget: {name}", most, False, [row for row in report["measures"] if row["name"] == name]))
    return rows


def _is_of(name: str, end: str) -> bool:
    """Whether a measure is of a resource; what is of a layer alone has a colon in its name."""
    return ":" not in name and (name == end or name.endswith(f"_{end}"))


def _row(title: str, limit: float | None, least: bool, found: list[Mapping[str, Any]]) -> dict[str, Any]:
    cells: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for row in found:
        kept = None if limit is None else row["value"] >= limit if least else row["value"] <= limit
        cells[row["kind"]].append({"value": row["value"], "source": row["pass"], "name": row["name"], "kept": kept})
    known = next((kind for kind in TRUSTED if cells[kind]), None)
    verdict = "unknown"
    if limit is not None and known is not None:
        verdict = "fits" if all(cell["kept"] for cell in cells[known]) else "over"
    return {"title": title, "limit": limit, "least": least, "cells": cells, "verdict": verdict, "kind": known}
