"""An autoencoder through a whole build."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import codesign
from codesign.design import Dataset, Design
from codesign.errors import InputError
from codesign.load.torch import graph_for
from codesign.passes import Pass, Progress
from codesign.pipeline import Quiet
from codesign.sensitivity.hessian_trace import HessianTrace
from codesign.verify.anomaly import Anomaly

ROWS = {"train": (0, 400), "validation": (400, 600), "test": (600, 1000)}


class Autoencoder(nn.Module):
    """Four features through two numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.encode = nn.Linear(4, 2)
        self.relu = nn.ReLU()
        self.decode = nn.Linear(2, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.decode(self.relu(self.encode(x)))


def data(**changed: object) -> codesign.Data:
    """A background near a line, a signal everywhere."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 1000)
    line = generator.uniform(0, 2, (1000, 1)) * np.array([1.0, 0.5, 1.5, 0.8])
    inputs = np.where(labels[:, None] == 0, line, generator.uniform(-2, 2, (1000, 4))).astype(np.float32)
    options = {"classes": ("line", "noise"), "targets": "inputs", "train_classes": ("line",)}
    return codesign.Data(inputs, labels, **ROWS, **(options | changed))


def trained() -> Autoencoder:
    torch.manual_seed(2)
    model, x = Autoencoder(), torch.tensor(data().dataset().split("train").inputs[0])
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(300):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), x).backward()
        optimizer.step()
    return model.eval()


def test_an_autoencoder_is_built(tmp_path: Path) -> None:
    options = {
        "allocate.budgets": {"bops_campos": 4000},
        "finetune.epochs": 3,
        "verify.anomaly.background": ["line"],
    }
    result = codesign.build(
        trained(), data(), out=tmp_path / "out", flow="qonnx", options=options, also=["verify.anomaly"]
    )
    assert not result.failures
    quality = result.report["quality"]
    assert set(quality) == {"squared_error", "auc_noise"}
    test = result.design.dataset.split("test")
    real = result.design.quantized.outputs(test.inputs)[0].real()
    assert quality["squared_error"]["quantized"] == pytest.approx(np.square(real - test.inputs[0]).mean())
    again = Anomaly(("line",))(result.design).measures
    assert {name: again[name] for name in again if name.startswith("auc")} == {
        name: item for name, item in result.design.measures.items() if name.startswith("auc")
    }
    assert quality["auc_noise"]["float"] > 0.9 and quality["auc_noise"]["quantized"] > 0.85
    loss = result.design.sensitivity["hessian_trace"]
    assert loss.loss_unit == "squared error"


def test_fine_tuning_lowers_the_squared_error(tmp_path: Path) -> None:
    options = {"allocate.budgets": {"bops_campos": 2000}, "finetune.epochs": 15}
    result = codesign.build(trained(), data(), out=tmp_path / "out", flow="qonnx", options=options, until="finetune")
    losses = result.design.trained.epochs
    assert min(losses) < losses[0]


def design(**changed: object) -> Design:
    dataset = data(**changed).dataset()
    graph, _ = graph_for(trained(), dataset)
    return Design({"graph": graph, "dataset": dataset})


def test_sensitivity_takes_the_loss_that_the_data_has() -> None:
    auto, explicit = HessianTrace()(design()), HessianTrace(loss="squared_error")(design())
    assert auto.sensitivity["hessian_trace"].parameters == explicit.sensitivity["hessian_trace"].parameters


@pytest.mark.parametrize(
    ("changed", "step", "words"),
    [
        ({}, Anomaly(("lime",)), ("background", "lime", "line")),
        ({"targets": None}, Anomaly(("line",)), ("targets",)),
    ],
)
def test_bad_input(changed: dict[str, object], step: Anomaly, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        step.known(data(**changed).dataset())
    assert all(word in str(caught.value) for word in words)


def test_data_that_does_not_fit_is_refused_before_training(tmp_path: Path) -> None:
    options, begun = {"verify.anomaly.background": ["lime"]}, list[str]()

    class Watching(Quiet):
        """Keeps the names of passes that begin."""

        def started(self, step: Pass, reason: str) -> Progress:
            begun.append(step.name)
            return super().started(step, reason)

    with pytest.raises(InputError, match="lime"):
        codesign.build(
            trained(), data(), out=tmp_path / "out", flow="qonnx", options=options, also=["verify.anomaly"],
            observer=Watching(),
        )  # fmt: skip
    assert "finetune.qat" not in begun


def test_targets_must_fit_the_network() -> None:
    dataset = data(targets=np.zeros((1000, 3))).dataset()
    with pytest.raises(InputError, match=r"3 numbers per sample.*4"):
        graph_for(trained(), dataset)


def test_training_rows_are_of_the_classes_asked_for() -> None:
    whole, kept = data(train_classes=()).dataset(), data().dataset()
    for name in ("train", "validation"):
        rows = whole.split(name).labels == 0
        assert np.array_equal(kept.split(name).inputs[0], whole.split(name).inputs[0][rows])
        assert np.array_equal(kept.split(name).wanted, kept.split(name).inputs[0])
        assert not kept.split(name).labels.any()
    assert np.array_equal(kept.split("test").labels, whole.split("test").labels)


def test_normalization_is_of_the_rows_that_stay() -> None:
    dataset: Dataset = data(normalize="standard").dataset()
    train = dataset.split("train")
    assert np.allclose(train.inputs[0].mean(0), 0, atol=1e-5) and np.allclose(train.inputs[0].std(0), 1, atol=1e-4)
    assert np.array_equal(dataset.targets, dataset.inputs[0])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"labels": None, "targets": None}, "neither labels nor targets"),
        ({"targets": np.zeros((3, 4))}, "shape"),
        ({"targets": np.full((1000, 4), np.nan)}, "NaN"),
        ({"targets": np.zeros((1000, 2, 2))}, "shape"),
        ({"train_classes": ("lines",)}, "lines"),
    ],
)
def test_bad_data(changed: dict[str, object], words: str) -> None:
    whole = data()
    options = {
        "labels": whole.labels,
        "classes": whole.classes,
        "targets": "inputs",
        "train_classes": ("line",),
    } | changed
    with pytest.raises(InputError, match=words):
        codesign.Data(whole.inputs, **ROWS, **options).dataset()
