"""`finetune.per_weight` from a float network of the same seconds: see `fronts`."""

import os
from time import monotonic

import torch
from fronts import Given, Made, finish, spread
from networks import designed, evaluated, float_network

from codesign.allocate.choose import Choose
from codesign.allocate.pareto import Pareto
from codesign.finetune._points import Points
from codesign.finetune.per_weight import PerWeight
from codesign.passes import Context
from codesign.sensitivity.hessian_trace import HessianTrace
from codesign.store import Store

#: Seconds of training in floating point.
FLOAT_S = 15.0
#: The cost, in LUTs of adders, from which the front comes down, and to which.
HIGHEST, LOWEST = 13_000.0, 200.0


def main() -> None:
    """Train in floating point, allocate, train bits; the time of all of it counts."""
    given = Given.read()
    torch.set_num_threads(1)
    began = monotonic()
    design = designed(given, float_network(given, FLOAT_S))
    start = os.environ.get("START", "allocation")
    metric = HessianTrace(granularity="element") if start == "curvature" else HessianTrace()
    design = Choose()(Pareto(budgets={"bops_campos": 350_000})(metric(design)))
    rest = given.seconds - (monotonic() - began)
    cost, options = os.environ.get("COST", "adders"), {} if given.rate is None else {"learning_rate": given.rate}
    step = PerWeight(cost=cost, start=start, highest=HIGHEST, lowest=LOWEST, seconds=rest, **options)  # type: ignore
    store = Store(given.out / "store")
    design = step(design, Context(store, given.out, given.seed))
    points = Points.load(store.path(design.artifacts["per_weight"].digest).read_bytes(), design)
    found = points.points
    made: list[Made] = []
    for place in spread([each.cost for each in found], [each.loss for each in found]):
        quantized = points.integers(place)[0]
        made.append(evaluated(quantized, given, found[place].cost, f"{len(made):02d}"))
        print(made[-1], flush=True)
    finish(given, made, max(each.step for each in found), rest)


if __name__ == "__main__":
    main()
