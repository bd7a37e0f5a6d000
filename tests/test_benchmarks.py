"""The benchmark of sensitivities runs, and its exact methods agree. Speed is not tested."""

import json
import sys
from pathlib import Path

import pytest

from tests.builds import finish

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """Every method's record by name."""
    file = tmp_path_factory.mktemp("benchmark") / "jets.json"
    script = ROOT / "benchmarks" / "sensitivity.py"
    outcome = finish([sys.executable, str(script), "--quick", "--network", "jets", "--json", str(file)], ROOT, None)
    assert outcome.code == 0, outcome.err
    assert "codesign" in outcome.out
    (network,) = json.loads(file.read_text())["networks"].values()
    return {row["method"]: row for row in network["rows"]}


def test_every_method_has_its_times(rows: dict[str, dict[str, object]]) -> None:
    assert len(rows) >= 8
    for row in rows.values():
        assert all(float(str(row[f"seconds_to_{error}_percent"])) > 0 for error in (5, 1)), row
        assert row["known_to_1_percent"] in ("exact", "run", "extrapolated")


def test_exact_methods_agree_with_the_full_hessian(rows: dict[str, dict[str, object]]) -> None:
    for name, row in rows.items():
        if row["known_to_1_percent"] == "exact" and row["largest_relative_error"] is not None:
            assert row["largest_relative_error"] < 1e-5, name
    assert rows["codesign hessian_trace"]["times_slower_than_ours"] == 1
