"""What goes into a bundle: the build's files, the float network, test vectors and the report; and its manifest."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from codesign.arrays import IntArray
from codesign.bundle.contents import Vectors
from codesign.bundle.drift import Drift, drift
from codesign.deploy._licenses import parts_of
from codesign.deploy.format.manifest import MANIFEST, Manifest, Tensor
from codesign.deploy.format.proof import Proof
from codesign.design import Design
from codesign.directory import REPORT_HTML, REPORT_JSON, REPORT_MD
from codesign.engine import encode
from codesign.export.writers.float_network import FloatWriter
from codesign.passes import Context
from codesign.report.files.document import document, markdown
from codesign.report.files.page import page
from codesign.report.files.update import with_checks
from codesign.sources import versions
from codesign.store import digest_file
from codesign.typed import adapter
from codesign.verify.hops.corners import corners

#: The float network, and the folder of test vectors.
FLOAT, VECTORS = "float.onnx", "vectors"
#: Fields that a report is made of.
REPORTED = ("report", "front", "allocation", "measures", "checks", "artifacts", "notices")
#: Ends of measures' names that say when an output comes.
WHEN = ("latency_cycles", "initiation_interval_cycles")


@dataclass(frozen=True)
class Gathered:
    """What goes into a bundle.

    Args:
        files: By name in the archive.
        inputs, outputs: The network's tensors.
        vectors: Test vectors.
        drift: What the whole test split gives.
    """

    files: Mapping[str, Path]
    inputs: Sequence[Tensor]
    outputs: Sequence[Tensor]
    vectors: Vectors
    drift: Drift

    @classmethod
    def of(cls, design: Design, context: Context, scratch: Path, most: int) -> "Gathered":
        """Gather.

        Args:
            design: A finished build.
            context: Has the build's files.
            scratch: A folder for what is made here.
            most: Most test vectors of the test split; 0 for all.
        """
        quantized = design.quantized
        graph, shapes, ranges = quantized.graph, quantized.graph.shapes(), quantized.ranges()
        inputs = [Tensor.of(name, shape, quantized.formats[name]) for name, shape in graph.inputs.items()]
        narrowest = {name: ranges[name].smallest_format() for name in graph.outputs}
        formats = {name: quantized.formats.get(name, fixed) for name, fixed in narrowest.items()}
        outputs = [Tensor.of(name, shapes[name], fixed) for name, fixed in formats.items()]
        files = _artifacts(design, context)
        files[FLOAT] = scratch / FLOAT
        model = FloatWriter(design.graph).write()
        onnx.checker.check_model(model)  # pyright: ignore[reportUnknownMemberType]
        files[FLOAT].write_bytes(model.SerializeToString(deterministic=True))
        files |= _report(design, context, scratch)
        test = design.dataset.split("test").inputs
        paths = (context.store.path(design.artifacts["qonnx"].digest), files[FLOAT])
        decides = design.dataset.targets is None
        vectors, arrays = _vectors(design, context, outputs, most)
        (scratch / VECTORS).mkdir()
        for name, array in arrays.items():
            np.save(scratch / name, array, allow_pickle=False)
            files[name] = scratch / name
        return cls(files, inputs, outputs, vectors, drift(*paths, inputs, test, decides))

    def with_manifest(self, folder: Path) -> dict[str, Path]:
        """All files of the archive.

        Args:
            folder: Has the manifest.
        """
        return {**self.files, MANIFEST: folder / MANIFEST}


def described(
    design: Design, context: Context, gathered: Gathered, proof: Proof, project: str, version: int
) -> Manifest:
    """The manifest of a bundle; docs/reference/bundle.md says what its keys are."""
    dataset = design.dataset
    times = [{"name": name, **asdict(item)} for name, item in sorted(design.measures.items()) if name.endswith(WHEN)]
    more = {
        "arrays": list(dataset.names),
        "outside": dataset.mean is not None and not dataset.inside,
        "sent": dataset.formats is not None,
        "decides": dataset.targets is None,
        "mantissa_bits": design.quantized.mantissa_bits(),
        "latency": times,
        "clock_ns": design.target.clock_ns,
        "network": design.artifacts["qonnx"].path,
        "float_network": FLOAT,
        "vectors": asdict(gathered.vectors),
        "artifacts": {name: item.path for name, item in sorted(design.artifacts.items())},
        "drift": asdict(gathered.drift),
        "machine": platform.machine(),
        "seed": context.seed,
        "versions": versions(),
        "files": {
            name: {"sha256": digest_file(path), "size": path.stat().st_size}
            for name, path in sorted(gathered.files.items())
        },
    }
    step, tensors = ("deploy.bundle", project, version), (gathered.inputs, gathered.outputs)
    return Manifest.of(design.report, step, tensors, proof, parts_of(gathered.files), more)


def _artifacts(design: Design, context: Context) -> dict[str, Path]:
    """Every file that the build gave out, by its path in the build directory."""
    files: dict[str, Path] = {}
    for item in design.artifacts.values():
        if item.folder:
            listing = context.store.listing(item.digest)
            files |= {f"{item.path}/{name}": context.store.path(digest) for name, digest in listing.items()}
        else:
            files[item.path] = context.store.path(item.digest)
    return files


def _report(design: Design, context: Context, scratch: Path) -> dict[str, Path]:
    """The report, without what differs between builds of the same: times of passes, and the machine."""
    fields = encode(Design({name: getattr(design, name) for name in REPORTED if design.has(name)}), context.store)
    environment = {
        "versions": versions(),
        "seed": context.seed,
        "target": (design.chosen_for if design.has("chosen_for") else design.target).name,
        "firmware_target": design.target.name,
    }
    report = with_checks(document(fields, [], environment), list(design.checks.values()))
    texts = {REPORT_JSON: adapter(dict[str, Any]).dump_json(report, indent=2) + b"\n"}
    texts |= {REPORT_MD: markdown(report).encode(), REPORT_HTML: page(report).encode()}
    for name, content in texts.items():
        (scratch / name).write_bytes(content)
    return {name: scratch / name for name in texts}


def _vectors(
    design: Design, context: Context, outputs: Sequence[Tensor], most: int
) -> tuple[Vectors, dict[str, IntArray]]:
    """Codes of the test split and of corners of the input range, and of what comes out, by file."""
    quantized = design.quantized
    test = [x[: most or len(x)] for x in design.dataset.split("test").inputs]
    given, ends = quantized.encode(test), corners(quantized, context.seed)
    codes = {name: type(x)(np.concatenate([x.values, ends[name].values]), x.fraction) for name, x in given.items()}
    values = quantized.run(codes)
    arrays = {f"{VECTORS}/input_{index}.npy": _narrow(x.values) for index, x in enumerate(codes.values())}
    inputs = tuple(arrays)
    for index, tensor in enumerate(outputs):
        fraction = np.max(np.asarray(tensor.fractions))
        found = values[tensor.name].align(int(fraction)).values
        arrays[f"{VECTORS}/output_{index}.npy"] = _narrow(found >> (fraction - np.asarray(tensor.fixed.fraction)))
    sizes = len(test[0]), len(next(iter(ends.values())).values)
    return Vectors(*sizes, inputs, tuple(name for name in arrays if name not in inputs)), arrays


def _narrow(codes: IntArray) -> IntArray:
    """The same numbers in the narrowest type of integers."""
    kinds = (np.int8, np.int16, np.int32, np.int64)
    least, most = codes.min(initial=0), codes.max(initial=0)
    return codes.astype(next(kind for kind in kinds if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max))
