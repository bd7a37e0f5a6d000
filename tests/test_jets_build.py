"""The main job: the jet tagger, from its build file to proven firmware."""

import hashlib
import json
import subprocess
import sys
from math import fsum, log2
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from tests.jets import JETS


def codesign(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "codesign", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("jets") / "build"
    result = codesign("build", JETS / "build.toml", "--out", folder)
    assert result.returncode == 0, result.stderr
    return folder


def report_of(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


def test_every_hop_is_exact_on_all_test_jets(built: Path) -> None:
    checks = report_of(built)["checks"]
    assert [(check["from"], check["to"]) for check in checks] == [
        ("torch", "numpy"),
        ("numpy", "qonnx"),
        ("qonnx", "hls4ml"),
    ]
    for check in checks:
        assert (check["inputs"], check["mismatches"], check["status"]) == (16000, 0, "exact")


def test_accuracy_and_budget(built: Path) -> None:
    report = report_of(built)
    measures = {row["name"]: row["value"] for row in report["measures"]}
    assert report["ok"]
    assert report["failures"] == []
    accuracy = report["quality"]["accuracy"]
    assert accuracy["float"] >= 0.752
    assert accuracy["quantized"] >= accuracy["float"] - 0.004  # one seed; three are in test_qat
    assert measures["bops_campos"] <= report["allocation"]["budgets"]["bops_campos"] == 350_000
    assert measures["bops_campos"] == fsum(layer["costs"]["bops_campos"] for layer in report["layers"])


def test_bops_recounted_by_hand_from_the_exported_file(built: Path) -> None:
    graph = onnx.load(str(built / "network.qonnx.onnx")).graph
    values = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    quants = {node.output[0]: node for node in graph.node if node.op_type == "Quant"}
    total = 0.0
    for node in graph.node:
        if node.op_type == "MatMul":
            activation, weight = (quants[name] for name in node.input)
            b_a, b_w = (float(values[quant.input[3]].item()) for quant in (activation, weight))
            matrix = values[weight.input[0]]
            n, m = matrix.shape
            p = np.count_nonzero(matrix) / matrix.size
            total += m * n * (p * b_a * b_w + b_a + b_w + log2(n))
    measures = {row["name"]: row["value"] for row in report_of(built)["measures"]}
    assert total == measures["bops_campos"]


def test_report_keeps_its_contract(built: Path) -> None:
    report = report_of(built)
    assert report["schema"] == "codesign-report/4"
    assert set(report["quality"]["accuracy"]) == {"float", "quantized", "unit", "errors"}
    assert set(report["quality"]["accuracy"]["errors"]) == {"float", "quantized", "difference"}
    keys = {"name", "op", "shape", "params", "weight_bits", "activation_bits", "macs", "costs"}
    keys |= {"sensitivity", "sensitivity_stderr"}
    assert [layer["name"] for layer in report["layers"]] == ["fc1", "fc2", "fc3", "fc4"]
    assert all(keys <= set(layer) for layer in report["layers"])
    assert [layer["params"] for layer in report["layers"]] == [1088, 2080, 1056, 165]
    assert all(set(row) == {"name", "value", "error", "unit", "kind", "pass", "limit"} for row in report["measures"])
    assert {"bops_campos", "bops_campos_allocated"} <= {row["name"] for row in report["measures"]}
    assert all({"from", "to", "inputs", "mismatches", "status"} <= set(row) for row in report["checks"])
    assert all(set(row) == {"name", "status", "seconds", "reason"} for row in report["passes"])
    assert {"versions", "seed", "target", "firmware_target", "flow"} <= set(report["environment"])
    assert {row["name"] for row in report["artifacts"]} == {"qonnx", "hls4ml", "sensitivity", "front"}
    assert set(report["sensitivity"]["metrics"]) == {"hessian_trace"} == {report["sensitivity"]["metric"]}


def test_artifacts_have_the_hashes_that_the_report_says(built: Path) -> None:
    for row in report_of(built)["artifacts"]:
        place = built / row["path"]
        if row["folder"]:
            files = sorted(path for path in place.rglob("*") if path.is_file())
            lines = [
                f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(place).as_posix()}\n" for f in files
            ]
            assert hashlib.sha256("".join(lines).encode()).hexdigest() == row["sha256"]
        else:
            assert hashlib.sha256(place.read_bytes()).hexdigest() == row["sha256"]


def test_second_run_is_all_cached_and_show_prints_it_again(built: Path) -> None:
    before = report_of(built)
    again = codesign("build", JETS / "build.toml", "--out", built)
    assert again.returncode == 0
    after = report_of(built)
    assert {row["status"] for row in after["passes"]} == {"cached"}
    assert {k: v for k, v in after.items() if k != "passes"} == {k: v for k, v in before.items() if k != "passes"}
    shown = codesign("show", built)
    assert shown.returncode == 0
    assert f"{before['quality']['accuracy']['quantized']:.4f}" in shown.stdout


def test_no_trace_of_the_machine_in_the_firmware(built: Path) -> None:
    for path in (built / "hls4ml").rglob("*"):
        if path.is_file():
            assert str(built.parent).encode() not in path.read_bytes(), path


def test_markdown_says_the_same(built: Path) -> None:
    report, text = report_of(built), (built / "report.md").read_text()
    assert f"{report['quality']['accuracy']['quantized']:.4f}" in text
    for layer in report["layers"]:
        assert f"| {layer['name']} | linear |" in text
    assert text.count("| exact |") == 3
    assert "None" not in text
