"""`finetune.qat` with as many bits for every tensor, several networks in the time: see `fronts`."""

from time import monotonic

import torch
from fronts import Given, Made, finish
from networks import designed, evaluated, float_network

from codesign.design import Allocation, Point
from codesign.finetune.qat import Qat
from codesign.passes import Context
from codesign.store import Store

#: Seconds of training in floating point; bits of the networks.
FLOAT_S, BITS = 15.0, (6, 5, 4, 3)


def main() -> None:
    """Train in floating point, then fine-tune at each number of bits, for as long each."""
    given = Given.read()
    torch.set_num_threads(1)
    began = monotonic()
    design = designed(given, float_network(given, FLOAT_S))
    store, graph = Store(given.out / "store"), design.graph
    each_s, options = (given.seconds - (monotonic() - began)) / len(BITS), {}
    if given.rate is not None:
        options["learning_rate"] = given.rate
    made: list[Made] = []
    steps, spent = 0, monotonic() - began
    for bits in BITS:
        point = Point(0.0, {}, dict.fromkeys([*graph.weights(), *graph.activations()], bits))
        given_bits = design.updated({"allocation": Allocation(point, 0)})
        context = Context(store, given.out, given.seed)
        start = monotonic()
        Qat(epochs=1, **options)(given_bits, context)
        epochs = max(1, int((each_s - (monotonic() - start)) / (monotonic() - start)))
        trained = Qat(epochs=epochs, **options)(given_bits, context)
        spent += monotonic() - start
        steps += epochs * (len(given.y[0]) // Qat().batch)
        made.append(evaluated(trained.quantized, given, float(bits), f"{len(made):02d}"))
        print(made[-1], flush=True)
    finish(given, made, steps, spent)


if __name__ == "__main__":
    main()
