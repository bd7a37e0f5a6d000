"""Damaged ONNX files are read or refused: no crash, no hang, no file written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def try_files(seed: int, count: int) -> dict[str, int]:
    """How many were read and refused."""
    argv = [sys.executable, "-m", "tests.load.onnx_fuzz", str(seed), str(count)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60 + count)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-3000:]}"
    return {name: int(number) for name, number in re.findall(r"'(\w+)': (\d+)", done.stdout)}


def test_two_hundred_files() -> None:
    outcomes = try_files(0, 200)
    assert outcomes["read"] >= 10, "most are refused, but what is read must be tried too"
    assert sum(outcomes.values()) == 200


@pytest.mark.slow
@pytest.mark.parametrize("seed", [10_000, 20_000, 30_000])
def test_thousands_of_files(seed: int) -> None:
    assert sum(try_files(seed, 1000).values()) == 1000
