"""The whole network as one circuit of alkaid's: adders, shifts, comparisons and tables, nothing shared over time."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from codesign.errors import CodesignError, InputError
from codesign.fixed import Codes, Fixed, requantize, smallest_format
from codesign.graph import Graph, Node
from codesign.hdl.alkaid import trace
from codesign.hdl.symbols import LimitError, ends, symbols
from codesign.quantized import Quantized

#: Widths of weights and activations, for an estimate before any are chosen.
BITS = 6
#: alkaid's own types are not published.
Logic = Any


@dataclass(frozen=True)
class Circuit:
    """A traced network.

    Args:
        logic: alkaid's combinational logic: integer codes in, each at its own element's fraction; integer codes out.
        inputs: Formats of the inputs by tensor, per element where they are.
        outputs: The narrowest format of each output by tensor; its fraction is that of the codes.
    """

    logic: Logic
    inputs: dict[str, Fixed]
    outputs: dict[str, Fixed]


def trace_network(quantized: Quantized) -> Circuit:
    """Run the integer forward of every operation on symbols.

    Raises:
        InputError: An operation can't be traced, or no output depends on any input.
    """
    graph, given = quantized.graph, dict[str, Codes]()
    for name, shape in graph.inputs.items():
        fixed = quantized.formats[name]
        low, high = (np.broadcast_to(np.asarray(end), (1, *shape)) for end in (fixed.low, fixed.high))
        given[name] = Codes(symbols(low, high), fixed.fraction)

    def step(node: Node, values: list[Codes]) -> Codes:
        try:
            result = node.op.integer(values, quantized.parameters(node))
            fixed = quantized.formats.get(node.output)
            return result if fixed is None else requantize(result, fixed)
        except CodesignError:
            raise
        except LimitError as error:
            raise InputError(
                f"layer {node.name!r}", error.found, error.wanted, "use fewer bits, or --flow hls4ml"
            ) from None
        except Exception as error:
            raise _untraceable(node, error) from error

    values = graph.run(given, step)
    made = {name: values[name].align() for name in graph.outputs}
    ranges = {name: ends(codes.values) for name, codes in made.items()}
    if all(low == high for each in ranges.values() for low, high in each):
        raise InputError("transpile.rtl", "a network whose outputs are the same for every input", "", "use more bits")
    sources, results = (
        np.concatenate([np.asarray(codes.values).reshape(-1) for codes in each.values()]) for each in (given, made)
    )
    logic = trace(sources, results, keep_dead_inputs=True)
    outputs = {
        name: smallest_format(
            min(low for low, _ in ranges[name]), max(high for _, high in ranges[name]), int(np.max(codes.fraction))
        )
        for name, codes in made.items()
    }
    return Circuit(logic, {name: quantized.formats[name] for name in graph.inputs}, outputs)


def require_small(graph: Graph, most_products: int, where: str) -> None:
    """Refuse a network with too many products to unroll.

    Args:
        graph: The network.
        most_products: Most products with weights in one input, positions counted.
        where: The pass that has the limit as an option.

    Raises:
        InputError: Says which layer has most of them.
    """
    from codesign.estimate.model.hardware import estimate_graph

    shapes = graph.shapes()
    products = {
        node.name: node.op.work([shapes[name] for name in node.inputs], shapes[node.output]).macs
        for node in graph.weighted()
    }
    if (total := sum(products.values())) > most_products:
        largest = max(products, key=lambda name: products[name])
        luts = estimate_graph(graph, BITS, BITS)
        found = (
            f"{total:,} products to unroll, {products[largest]:,} of them in layer {largest!r}; by estimate "
            f"{sum(luts.values()):,.0f} LUTs at {BITS} bits, {luts[largest]:,.0f} of them there"
        )
        step = f"give it fewer positions, raise {where}.most_products, or use --flow hls4ml"
        raise InputError(where, found, f"at most {most_products:,}", step)


def require_traceable(graph: Graph) -> None:
    """Try every operation on inputs of one bit, with parameters of zeros.

    Raises:
        InputError: Names the first that can't be traced.
    """
    shapes = graph.shapes()
    for node in graph.nodes:
        one = [np.ones((1, *shapes[name]), np.int64) for name in node.inputs]
        zeros = {role: np.zeros(graph.parameters[name].shape, np.int64) for role, name in node.op.parameters().items()}
        try:
            node.op.integer(
                [Codes(symbols(0 * high, high), 0) for high in one],
                {role: Codes(values, 0) for role, values in zeros.items()},
            )
        except Exception as error:
            raise _untraceable(node, error) from error


def _untraceable(node: Node, error: Exception) -> InputError:
    found = f"an operation {node.op.kind!r} that the rtl route can't trace ({type(error).__name__}: {error})"
    return InputError(f"layer {node.name!r}", found, "", "use --flow hls4ml or --flow qonnx")
