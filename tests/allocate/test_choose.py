"""One point of the front: by number, or the best within the budgets; another one without a new front."""

from dataclasses import replace
from math import nextafter
from pathlib import Path

import pytest

from codesign.allocate.choose import Choose, choose
from codesign.design import Front, Point
from codesign.errors import InputError
from tests.builds import copy, finished
from tests.jets import allocated


def front(**budgets: float) -> Front:
    """Three points along ``a``; ``b`` does not follow it."""
    points = [(9.0, 10, 7), (4.0, 20, 3), (1.0, 30, 9)]
    made = [Point(loss, {"a": a, "b": b}, {"w": index}, 0.0) for index, (loss, a, b) in enumerate(points)]
    return Front("a", tuple(made), {}, "hessian_trace", "milp", True, budgets)


@pytest.mark.parametrize("place", [1, 2, 3])
def test_by_number(place: int) -> None:
    found = choose(front(a=20), place)
    assert (found.index, found.point) == (place - 1, front().points[place - 1])


@pytest.mark.parametrize("place", [0, -1, 4, 10**9])
def test_there_is_no_such_number(place: int) -> None:
    with pytest.raises(InputError, match=rf"allocate\.choose, point: {place}; wanted: 1 to 3, the points of the front"):
        choose(front(), place)


@pytest.mark.parametrize(
    ("budgets", "index"),
    [({}, 2), ({"a": 30}, 2), ({"a": nextafter(30, 0)}, 1), ({"a": 10}, 0), ({"b": 8}, 1), ({"a": 25, "b": 7}, 1)],
)
def test_the_least_loss_within_all_budgets(budgets: dict[str, float], index: int) -> None:
    assert choose(front(**budgets), None).index == index


def test_a_budget_of_exactly_a_points_cost() -> None:
    """Of every point of the jets; and just below, the one before."""
    found = allocated().front
    for index, point in enumerate(found.points):
        cost = point.costs["bops_campos"]
        assert choose(replace(found, budgets={"bops_campos": cost}), None).index == index
        if index:
            assert choose(replace(found, budgets={"bops_campos": nextafter(cost, 0)}), None).index == index - 1


def test_the_picture_shows_the_choice() -> None:
    one, two = (Choose(point)(allocated()).artifacts["front"] for point in (1, 2))
    assert (one.path, one.folder) == ("front.svg", False)
    assert one.digest != two.digest
    assert Choose(1)(allocated()).artifacts["front"] == one


def test_another_point_is_taken_from_the_cache(tmp_path: Path) -> None:
    """The front is not made again; what follows from the choice is."""
    project = copy(finished(), tmp_path / "project")
    project.write({"allocate": {"weight_bits": [3, 6]}})
    project.library()
    before = project.report()["allocation"]
    assert before["chosen"] == len(before["front"]) - 1 > 1
    outcome = project.build("--set", "allocate.point=2")
    assert outcome.code == 0, outcome.err
    statuses = project.statuses()
    assert statuses["allocate.choose"] == ("ran", "changed: option point")
    assert statuses["finetune.qat"] == ("ran", "changed: allocation")
    assert project.ran()[:3] == ["allocate.choose", "finetune.qat", "export.qonnx"]
    for name in ("load.npz", "load.torch", "sensitivity.hessian_trace", "sensitivity.comparison", "allocate.pareto"):
        assert statuses[name][0] == "cached"
    report = project.report()
    assert report["allocation"] == before | {"chosen": 1}
    bits = before["front"][1]["bits"]
    assert {row["weight_name"]: row["weight_bits"] for row in report["layers"]} == {
        f"{name}.weight": [bits[f"{name}.weight"]] * 2 for name in ("fc1", "fc2")
    }
    project.library("allocate.choose.point=1")
    assert project.report()["allocation"]["chosen"] == 0
    with pytest.raises(InputError, match="the points of the front"):
        project.library("allocate.point=1000")


def test_a_chosen_point_over_the_budget_is_said(tmp_path: Path) -> None:
    """The front goes on beyond the budget of the cost that it is along."""
    project = copy(finished(), tmp_path / "project")
    costs = [point["costs"]["bops_campos"] for point in project.report()["allocation"]["front"]]
    project.library(f"allocate.budgets.bops_campos={costs[0]}")
    assert project.report()["ok"]
    assert project.report()["allocation"]["chosen"] == 0
    outcome = project.build(
        "--set", f"allocate.budgets.bops_campos={costs[0]}", "--set", f"allocate.point={len(costs)}"
    )
    assert outcome.code == 1
    assert any("exceeds the budget" in failure for failure in project.report()["failures"])
