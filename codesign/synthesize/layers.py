"""`synthesize.layers`: what each layer takes on a chip, made and synthesized by itself."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

from codesign.design import Artifact, Design, Measure
from codesign.graph import Graph
from codesign.hdl.families import FAMILIES, UNITS, FamilyName, require_family, resources
from codesign.hdl.guard import alkaid_runs, require_alkaid
from codesign.passes import Context, Pass
from codesign.quantized import Quantized
from codesign.tools import require_time


@dataclass(frozen=True)
class Layers(Pass):
    """Synthesize every layer alone with Yosys, between registers of its own.

    Layers of the whole design share adders and pipeline stages, so that these counts do not add up to its own.

    Args:
        family: The chip family; None for that of the target's part.
        timeout_s: Longest time that Yosys may take for one layer, in seconds.
    """

    family: FamilyName | None = None
    timeout_s: float = 7200.0

    reads: ClassVar[tuple[str, ...]] = ("target", "quantized")
    writes: ClassVar[tuple[str, ...]] = ("artifacts.layers", "measures", "notices")
    early: ClassVar[tuple[str, ...]] = ("target", "graph")
    distributions: ClassVar[tuple[str, ...]] = ("alkaid", "jinja2")

    def __post_init__(self) -> None:
        require_time(f"{self.name}, timeout_s", self.timeout_s)
        require_alkaid(self.name)

    def versions(self) -> Mapping[str, str]:
        """Yosys."""
        from codesign.hdl.yosys import YOSYS

        return {YOSYS.name: YOSYS.find().said}

    def refuse(self, design: Design) -> None:
        """A part that Yosys doesn't know is refused before anything is trained, and a layer that can't be traced."""
        from codesign.hdl.circuit import require_traceable

        require_family(self.family, design.target, self.name)
        require_traceable(design.graph)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Trace, write, synthesize, one layer after another."""
        from codesign.hdl.yosys import count_cells, find_yosys

        target, yosys, log = design.target, find_yosys(), context.work / "layers.log"
        name = require_family(self.family, target, self.name)
        alone, counts = list(layers(design.quantized)), dict[str, dict[str, float]]()
        for index, (layer, quantized) in enumerate(alone):
            context.progress(f"yosys: {layer}", index, len(alone))
            with context.store.scratch() as scratch:
                project, levels = scratch / "project", target.levels_per_cycle
                with alkaid_runs(log):
                    from codesign.hdl.circuit import trace_network
                    from codesign.hdl.unrolled import write_unrolled

                    circuit = trace_network(quantized)
                    written = write_unrolled(circuit, quantized.graph, "layer", target.clock_ns, levels, project)
                cells, _ = count_cells(yosys, written, project, [FAMILIES[name].command], log, self.timeout_s)
            counts[layer] = resources(FAMILIES[name], cells)
        unit = f"{{}} alone ({name}, Yosys {yosys.version})"
        measures = {
            f"yosys_{resource}:{layer}": Measure(float(count), unit.format(UNITS[resource]), "synthesized", self.name)
            for layer, found in counts.items()
            for resource, count in found.items()
            if count
        }
        notice = "counts of layers alone do not add up to those of the whole, where they share adders and registers"
        return {
            "artifacts": {"layers": Artifact("layers.json", context.store.put(json.dumps(counts, indent=1).encode()))},
            "measures": measures,
            "notices": {self.name: notice},
        }


def layers(quantized: Quantized) -> Iterator[tuple[str, Quantized]]:
    """Every node that computes something which varies, by name, as a network of its own."""
    graph, ranges = quantized.graph, quantized.ranges()
    shapes = graph.shapes()
    for node in graph.nodes:
        made = ranges[node.output]
        if node.op.moves_data or not node.op.arithmetic or not (made.low < made.high).any():
            continue
        inputs, names = {name: shapes[name] for name in node.inputs}, node.op.parameters().values()
        formats = {name: quantized.formats.get(name) or ranges[name].smallest_format() for name in inputs}
        formats |= {name: quantized.formats[name] for name in (*names, node.output) if name in quantized.formats}
        parameters = {name: graph.parameters[name] for name in names}
        own = Graph(inputs, (node.output,), (node,), parameters)
        yield node.name, Quantized(own, formats, {name: quantized.codes[name] for name in names})
