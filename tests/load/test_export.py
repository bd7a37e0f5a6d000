"""Modules that ``torch.fx`` cannot trace come in by ``torch.export``."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.load._conversion import evaluating
from codesign.load._export import exported
from codesign.load._fx import graph_from_module, rewritten
from tests.load.test_fx import assert_converts, moving_statistics, outputs
from tests.networks import STAGES, Plan, module_of


class Branching(nn.Module):
    """A forward that looks at shapes, in a module of the user's."""

    def __init__(self) -> None:
        super().__init__()
        self.block, self.head = Block(), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.block(x)
        if x.shape[1] == 4 and x.shape[2] > 3:
            x = x + 1
        for _ in range(x.shape[1] // 2):
            x = functional.relu(x) * 0.5
        return self.head(x.flatten(1))


class Block(nn.Module):
    """A convolution and what follows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), 0.25)


def test_branches_on_shapes() -> None:
    graph, notices = assert_converts(moving_statistics(Branching()), (2, 6))
    assert notices == ["block.norm: folded into block.conv"]
    assert set(graph.parameters) >= {"block.conv.weight", "head.weight", "head.bias"}
    assert [node.name for node in graph.nodes][:2] == ["block.conv", "block.leaky_relu"]
    assert graph.inputs == {"x": (2, 6)}


#: An index of several axes is exported as one call for each axis: test_preprocess.py compares what comes out.
SPELT_OUT = ("selected",)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage not in SPELT_OUT])
@pytest.mark.parametrize("rank", [1, 2])
def test_exporting_gives_the_same_network_as_tracing(stage: str, rank: int) -> None:
    plan = Plan(rank, (stage,), "mean", (True,) * 3, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    torch.manual_seed(1)
    module, shape = module_of(plan)
    x = torch.randn(20, *shape)
    traced, _ = graph_from_module(module, [shape], "inside")
    with evaluating(module):
        graph, _ = rewritten(exported(module, [shape]), "inside")
    assert [node.op.kind for node in graph.nodes] == [node.op.kind for node in traced.nodes]
    (found,), (wanted,) = outputs(graph, x), outputs(traced, x)
    torch.testing.assert_close(found, wanted)


def test_what_it_does_not_support_is_named() -> None:
    class Unknown(Branching):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).exp() if x.shape[1] == 2 else x

    with pytest.raises(InputError, match=r"layer 'exp': unsupported operation aten.exp"):
        graph_from_module(Unknown(), [(2, 6)])
