"""Fine-tuning: exact arithmetic, accuracy on the jets, resuming."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from codesign.allocate.choose import choose
from codesign.allocate.costs import Hardware
from codesign.allocate.costs.bops_campos import BopsCampos
from codesign.design import Design
from codesign.engine import encode
from codesign.errors import InputError
from codesign.export.qonnx import Qonnx
from codesign.finetune.qat import Qat
from codesign.fixed import Fixed, quantize
from codesign.network import QuantizedNetwork
from codesign.passes import Context
from codesign.report._recount import recount
from codesign.starting import Starting
from codesign.store import Store
from codesign.straight_through import Grid, round_weights, truncate
from tests.counting import layers
from tests.jets import allocated, loaded


def starting_formats(design: Design) -> dict[str, Fixed]:
    """The formats that fine-tuning starts from."""
    start = Starting.of(design, 4096)
    return {name: start.format(name, width)[0] for name, width in design.allocation.point.bits.items()}


def tuned(design: Design, folder: Path, seed: int, step: Qat | None = None) -> Design:
    """Fine-tune in a folder of its own."""
    return (step or Qat())(design, Context(Store(folder), folder, seed))


def at_budget(budget: float) -> Design:
    """The jets, with the best of the front that another budget allows."""
    front = replace(allocated().front, budgets={"bops_campos": budget})
    return allocated().updated({"front": front, "allocation": choose(front, None)})


def exported(design: Design, folder: Path) -> Path:
    """The exported file."""
    store = Store(folder)
    return store.path(Qonnx()(design, Context(store, folder)).artifacts["qonnx"].digest)


def recounted(design: Design, folder: Path) -> float:
    """What the exported file costs."""
    return BopsCampos(Hardware(design.target)).total(recount(exported(design, folder)))


def accuracy(design: Design) -> float:
    test = design.dataset.split("test")
    codes = design.quantized.outputs(test.inputs)[0].values
    return float(np.mean(codes.argmax(1) == test.labels))


def float_accuracy(design: Design) -> float:
    from codesign.torch_forward import float_forward, split_tensors, to_tensors

    inputs, labels = split_tensors(design.dataset.split("test"))
    with torch.no_grad():
        logits = float_forward(design.graph, to_tensors(design.graph.parameters), inputs)[design.graph.outputs[0]]
    return float((logits.argmax(1) == labels).double().mean())


def test_float_jet_tagger() -> None:
    assert float_accuracy(loaded()) >= 0.752


@pytest.mark.slow
@pytest.mark.parametrize(("budget", "points"), [(350_000, 0.002), (250_000, 0.003)])
def test_jets_keep_their_accuracy(budget: float, points: float, tmp_path: Path) -> None:
    design = at_budget(budget)
    reached: list[float] = []
    for seed in range(3):
        done = tuned(design, tmp_path / str(seed), seed)
        reached.append(accuracy(done))
        assert recounted(done, tmp_path / str(seed)) <= design.allocation.point.costs["bops_campos"] <= budget
    assert np.mean(reached) >= float_accuracy(design) - points


@pytest.mark.parametrize("budget", np.linspace(190_000, 480_000, 6))
def test_recount_stays_within_any_budget(budget: float, tmp_path: Path) -> None:
    design = at_budget(float(budget))
    done = tuned(design, tmp_path, 0, Qat(epochs=2))
    found, bits = layers(recount(exported(done, tmp_path))), design.allocation.point.bits
    assert [layer.weight_bits for layer in found] == [(bits[f"fc{i}.weight"],) for i in range(1, 5)]
    assert [layer.activation_bits for layer in found] == [bits[name] for name in ("x", "relu1", "relu2", "relu3")]
    assert recounted(done, tmp_path) <= design.allocation.point.costs["bops_campos"] <= budget


def test_start_costs_exactly_what_was_allocated(tmp_path: Path) -> None:
    design = at_budget(350_000)
    done = tuned(design, tmp_path, 0, Qat(epochs=0))
    assert recounted(done, tmp_path) == design.allocation.point.costs["bops_campos"]


def test_resumes_from_its_last_epoch_bit_for_bit(tmp_path: Path) -> None:
    design = at_budget(300_000)
    step = Qat(epochs=5)
    whole = tuned(design, tmp_path / "whole", 1, step)

    class Killed(BaseException):
        pass

    def kill_after_three(task: str, done: int, total: int) -> None:
        if done == 3:
            raise Killed

    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        step(design, Context(Store(folder), folder, 1, kill_after_three))
    seen: list[int] = []
    again = step(design, Context(Store(folder), folder, 1, lambda task, done, total: seen.append(done)))
    assert seen == [4, 5]
    store = Store(tmp_path / "compare")
    assert encode(again, store)["trained"] == encode(whole, store)["trained"]
    assert encode(again, store)["quantized"] == encode(whole, store)["quantized"]


def test_seeds_matter(tmp_path: Path) -> None:
    design, step = at_budget(300_000), Qat(epochs=1)
    one, two = (tuned(design, tmp_path / str(seed), seed, step).trained.epochs for seed in (0, 1))
    assert one[0] == two[0]
    assert one[1] != two[1]


def test_divergence_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="learning_rate"):
        tuned(at_budget(300_000), tmp_path, 0, Qat(epochs=3, learning_rate=1e39))


def test_half_an_lsb_in_the_bias_rounds_half_up() -> None:
    design = at_budget(350_000)
    formats = starting_formats(design)
    network = QuantizedNetwork(design.graph, formats)
    rules = network.bias_rules
    for layer, activation in (("fc1", "relu1"), ("fc2", "relu2"), ("fc3", "relu3")):
        assert rules[f"{layer}.bias"].offset == 2.0 ** -(int(formats[activation].fraction) + 1)
        assert rules[f"{layer}.bias"].fraction >= int(formats[activation].fraction) + 1
    assert rules["fc4.bias"].offset == 0


def test_quantizers_agree_with_the_integer_reference_and_pass_gradients() -> None:
    fixed = Fixed(True, 5, 2)
    x = torch.linspace(-4, 4, 1001, requires_grad=True)
    for function, rounding in ((round_weights, "nearest_even"), (truncate, "floor")):
        y = function(x, Grid.of(fixed))
        assert np.array_equal(y.detach().numpy(), quantize(x.detach().numpy(), fixed, rounding).real())
        (gradient,) = torch.autograd.grad(y.sum(), x)
        inside = (x > -2) & (x < 2) if function is truncate else torch.ones_like(x, dtype=torch.bool)
        assert torch.equal(gradient, inside.float())
