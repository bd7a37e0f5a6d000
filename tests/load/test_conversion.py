"""The converted network is held against the user's own module, on the user's data."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

from codesign.design import Dataset
from codesign.errors import InputError
from codesign.load.data.dataset import make_dataset
from codesign.load.torch import Torch, _execute, graph_for


def dataset() -> Dataset:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, 6)), rng.integers(0, 3, 400)
    return make_dataset({"x": x}, y, {"train": (0, 200), "validation": (200, 300), "test": (300, 400)})


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def pruned() -> nn.Module:
    module = network()
    prune.random_unstructured(module[0], "weight", 0.5)
    saved = {name: value + 1 for name, value in module.state_dict().items()}
    module.load_state_dict(saved)  # the masked weight itself is stale until the next forward
    return module


def hooked() -> nn.Module:
    module = network()
    module[0].register_forward_hook(lambda layer, inputs, output: 2 * output)
    return module


def normed() -> nn.Module:
    module = network()
    parametrizations.weight_norm(module[0])
    with torch.no_grad():
        module[0].parametrizations.weight.original0.mul_(3)
    return module


def noisy() -> nn.Module:
    module = network()
    module[0].register_forward_hook(lambda layer, inputs, output: output + torch.randn_like(output))
    return module


class Overwriting(nn.Module):
    """A branch that is added to the input itself."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x += self.branch(x)
        return self.head(x)


@pytest.mark.parametrize(
    "make", [network, lambda: nn.Sequential(*network(), nn.Softmax(1)), lambda: nn.Linear(6, 3), Overwriting]
)
def test_what_is_only_layers_converts(make: type[nn.Module]) -> None:
    module = make()
    module.train()
    graph_for(module, dataset())
    assert module.training


@pytest.mark.parametrize("make", [hooked, noisy])
def test_what_computes_something_else_is_refused(make: type[nn.Module]) -> None:
    with pytest.raises(InputError, match="something else than its layers"):
        graph_for(make(), dataset())


@pytest.mark.parametrize("make", [pruned, normed])
def test_masks_and_parametrizations_convert_right_or_not_at_all(make: type[nn.Module]) -> None:
    module = make()
    try:
        graph, _ = graph_for(module, dataset())
    except InputError:
        return
    from codesign.torch_forward import float_forward, to_tensors

    x = torch.tensor(np.asarray(dataset().inputs[0]))
    found = float_forward(graph, to_tensors(graph.parameters), [x])[graph.outputs[0]]
    assert float((found - module.eval()(x)).abs().max()) < 1e-3


def test_softmax_over_the_batch_is_refused() -> None:
    with pytest.raises(InputError, match="axis 0"):
        graph_for(nn.Sequential(*network(), nn.Softmax(0)), dataset())


def test_dropout_between_norm_and_layer_and_an_unused_branch() -> None:
    class Branched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm, self.drop = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout()
            self.last, self.unused = nn.Linear(8, 3), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x).relu()
            self.unused(hidden)
            return self.last(self.drop(self.norm(hidden)))

    graph, notices = graph_for(Branched(), dataset())
    assert [node.name for node in graph.nodes] == ["first", "relu", "last"]
    assert any("unused" in notice for notice in notices.values())


@pytest.mark.parametrize("line", ["raise SystemExit(0)", "import sys; sys.exit(4)", "1 / 0"])
def test_a_model_file_that_ends_the_program_does_not(line: str, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(f"{line}\n")
    (tmp_path / "w.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="raised"):
        Torch(tmp_path / "model.py", "Net", tmp_path / "w.safetensors")._module(_execute(tmp_path / "model.py"), "Net")


def test_two_projects_with_neighbours_of_one_name(tmp_path: Path) -> None:
    for project, size in (("one", 4), ("two", 5)):
        folder = tmp_path / project
        folder.mkdir()
        (folder / "sizes.py").write_text(f"SIZE = {size}\n")
        (folder / "model.py").write_text("from sizes import SIZE\nfrom torch import nn\nNET = nn.Linear(SIZE, 3)\n")
        step = Torch(folder / "model.py", "NET", folder / "w.safetensors")
        module = step._module(_execute(step.model), step.factory)
        assert module.in_features == size


@pytest.mark.parametrize("sign", ["'", '"', "\\", "\n"])
def test_a_layer_whose_name_is_no_python(sign: str) -> None:
    module = nn.Sequential(OrderedDict({f"a{sign}b": nn.Linear(4, 3)}))
    with pytest.raises(InputError, match=r"layer .*a quote, a backslash or an end of line in its name"):
        graph_for(module, dataset())
