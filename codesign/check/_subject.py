"""The model that is checked, as far as it can be read."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx

from codesign.check._finding import Finding
from codesign.design import Design
from codesign.errors import CodesignError, InputError, ToolError
from codesign.given import Quantizer
from codesign.graph import Graph
from codesign.load.onnx_files.ends import network_inputs, network_output
from codesign.load.onnx_files.file import OnnxFile
from codesign.load.onnx_files.order import needed_nodes
from codesign.passes import Context, Pass, stage, to_ask
from codesign.store import Store
from codesign.target import Target
from codesign.transpile.firmware.options import Firmware


@dataclass(frozen=True)
class Subject:
    """A model.

    Args:
        target: The hardware it is for.
        file: The ONNX file, if it is one.
        output: Name of its tensor with the logits, if it has several outputs.
        graph: The network in its final form; None if it can't be made.
        quantizers: Of its activations and weights, where the file has them.
        quantized: Names of all parameters that have one, biases included.
        taken: Whether their bits are taken, not chosen anew.
        notices: What is changed on the way to the graph.
        refusals: Why there is no graph, or why passes to come don't take what was loaded.
        firmware: What hls4ml is asked for, for a file by itself its defaults; None if it is not asked.
    """

    target: Target
    file: OnnxFile | None = None
    output: str = ""
    graph: Graph | None = None
    quantizers: dict[str, Quantizer] = field(default_factory=dict[str, Quantizer])
    quantized: frozenset[str] = frozenset()
    taken: bool = True
    notices: tuple[str, ...] = ()
    refusals: tuple[Finding, ...] = ()
    firmware: Firmware | None = None

    @classmethod
    def of_file(cls, path: Path, target: Target, output: str = "") -> "Subject":
        """An ONNX file, for data of the shapes that it says.

        Args:
            path: The file.
            target: The hardware.
            output: Name of the tensor with the logits, if the file has several outputs.

        Raises:
            InputError: It can't be parsed at all.
        """
        from codesign.load.onnx_files.importer import Importer
        from codesign.load.onnx_files.settle import settle

        file = OnnxFile.read(path)
        subject = cls(target, file, output=output, firmware=Firmware())
        try:
            shapes = [tuple(dim.dim_value for dim in info.type.tensor_type.shape.dim)[1:] for info in file.inputs()]
            graph, layers = Importer(file, network_inputs(file, shapes), network_output(file, output)).run()
            settled = settle(graph, layers)
        except InputError as error:
            return replace(subject, refusals=(refusal(error),))
        return replace(
            subject,
            graph=settled.graph,
            quantizers=settled.quantizers,
            quantized=frozenset(layers.quantizers),
            notices=settled.notices,
        )

    @property
    def nodes(self) -> list[onnx.NodeProto]:
        """The file's nodes that the output depends on; all of them, where it is not known which."""
        if self.file is None:
            return []
        try:
            return needed_nodes(self.file, network_output(self.file, self.output))
        except InputError:
            return list(self.file.model.graph.node)

    @classmethod
    def of_passes(cls, steps: Sequence[Pass], target: Target) -> "Subject":
        """The network that a build file loads, and what each pass says of it that a build asks beforehand.

        Args:
            steps: Its passes.
            target: The hardware.

        Raises:
            InputError: The data can't be read.
        """
        design, asked = Design({"target": target}), set[str]()
        firmware = next((step for step in steps if isinstance(step, Firmware)), None)
        refusals: list[Finding] = []
        with tempfile.TemporaryDirectory() as folder:
            try:
                for index, step in enumerate(steps):
                    refusals += _refused(steps[index:], design, asked)
                    if stage(step.name) == "load":
                        design = step(design, Context(Store(Path(folder)), Path(folder)))
            except InputError as error:
                if not design.has("dataset"):
                    raise
                return cls(target, refusals=(refusal(error), *refusals), firmware=firmware)
        given = design.given if design.has("given") else {}
        return cls(
            target,
            graph=design.graph,
            quantizers=given,
            quantized=frozenset(given),
            taken=any("given" in step.reads for step in steps),
            notices=tuple(design.notices.values()),
            refusals=tuple(refusals),
            firmware=firmware,
        )


def _refused(steps: Sequence[Pass], design: Design, asked: set[str]) -> Iterator[Finding]:
    """What passes to come refuse, each asked once."""
    for step, seen in to_ask(steps, vars(design), asked):
        try:
            step.refuse(seen(Design({name: getattr(design, name) for name in step.early})))
        except (InputError, ToolError) as error:
            yield refusal(error)


def refusal(error: CodesignError) -> Finding:
    """What an error says, as a finding."""
    of_model = error.where.startswith(("layer ", "node "))
    return Finding("stops", error.where, error.found, error.wanted, error.next_step or "change the model" * of_model)
