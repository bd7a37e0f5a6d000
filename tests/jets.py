"""The jet tagger of the examples, loaded once."""

from functools import cache
from pathlib import Path

from codesign.allocate.choose import Choose
from codesign.allocate.pareto import Pareto
from codesign.design import Design
from codesign.load.npz import Npz
from codesign.load.torch import Torch
from codesign.sensitivity.hessian_trace import HessianTrace
from codesign.target import load_target

JETS = Path(__file__).parent.parent / "examples" / "jets"


@cache
def loaded() -> Design:
    """The float network and its data, on the target of the example."""
    data = JETS / "lhc_jets.npz"
    npz = Npz(data, (0, 48000), (48000, 64000), (64000, 80000), classes="classes", normalize="standard")
    design = npz(Design({"target": load_target("vu13p-l1t", Path())}))
    return Torch(JETS / "model.py", "JetTagger", JETS / "jet_tagger.safetensors")(design)


@cache
def measured() -> Design:
    """With sensitivity."""
    return HessianTrace()(loaded())


@cache
def allocated() -> Design:
    """With the Pareto front of a budget on bops_campos, and its choice."""
    return Choose()(Pareto({"bops_campos": 350_000})(measured()))
