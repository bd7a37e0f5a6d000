"""Parts of the data are fair ones, in whatever order the file is."""

import numpy as np
import pytest

from codesign.design import Dataset, Design, Score
from codesign.sensitivity.hutchinson import Hutchinson
from codesign.sensitivity.top_eigenvalue import TopEigenvalue
from tests.jets import loaded


def by_class() -> Design:
    """The first 2048 jets, sorted by class, beside the same ones as they come."""
    train = loaded().dataset.split("train")
    order = np.argsort(train.labels[:2048], kind="stable")
    return with_rows(order)


def with_rows(rows: np.ndarray) -> Design:
    train = loaded().dataset.split("train")
    data = Dataset((train.inputs[0][rows],), train.labels[rows], {"train": (0, len(rows))})
    return Design({"graph": loaded().graph, "dataset": data})


def scores(step: Hutchinson | TopEigenvalue, design: Design) -> dict[str, Score]:
    return step(design).sensitivity[step.key()].parameters


def test_a_file_sorted_by_class_has_the_same_errors() -> None:
    step = Hutchinson(relative_error=0.5)
    mixed, ordered = (scores(step, design) for design in (with_rows(np.arange(2048)), by_class()))
    for name, score in mixed.items():
        assert ordered[name].value == pytest.approx(score.value, rel=1e-4)
        assert 0.4 < ordered[name].data_error / score.data_error < 2.5


def test_a_file_sorted_by_class_has_the_same_eigenvalues() -> None:
    for statistic in ("whole", "mean_plus_deviation"):
        step = TopEigenvalue(statistic=statistic)
        mixed, ordered = (scores(step, design) for design in (with_rows(np.arange(2048)), by_class()))
        for name, score in mixed.items():
            assert ordered[name].value == pytest.approx(score.value, rel=0.15)


def test_the_eigenvalue_on_all_samples_does_not_depend_on_the_parts() -> None:
    few, many = (scores(TopEigenvalue(parts=parts), with_rows(np.arange(1024))) for parts in (2, 64))
    for name, score in few.items():
        assert many[name].value == pytest.approx(score.value, rel=1e-3)
