"""The frozen record that passes read and write, and the small records inside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import hypot
from typing import Any, Literal, NoReturn, Self

from codesign.arrays import FloatArray, IntArray
from codesign.errors import ContractError
from codesign.fixed import Fixed
from codesign.given import Quantizer
from codesign.graph import Graph
from codesign.quantized import Quantized
from codesign.separation import Network, Separation
from codesign.target import Target

#: How a number is known: a model's estimate, bit-exact simulation, a synthesis tool's count,
#: after place and route, or a vendor tool's report.
Kind = Literal["estimated", "simulated", "synthesized", "placed", "reported"]
Status = Literal["exact", "differs", "not_checked"]
SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Measure:
    """One number with its unit, how it is known, the pass that found it (``by``), and its standard error if known."""

    value: float
    unit: str
    kind: Kind
    by: str
    error: float | None = None


@dataclass(frozen=True)
class Check:
    """One hop of the chain of proofs: integers of ``start`` against integers of ``end``.

    Args:
        start, end: The two representations.
        inputs: Input vectors compared.
        mismatches: Input vectors on which any output integer differs.
        status: ``not_checked`` if the hop could not be run here.
        detail: The number type it was run in, or why it was not checked.
    """

    start: str
    end: str
    inputs: int
    mismatches: int
    status: Status
    detail: str

    @property
    def failure(self) -> str:
        """A sentence for a hop that differs; empty for any other."""
        told = f"{self.start} -> {self.end}: {self.mismatches} of {self.inputs} inputs give other integers"
        return told if self.status == "differs" else ""


@dataclass(frozen=True)
class Artifact:
    """A file or folder that the build gives out.

    Args:
        path: Where it goes, relative to the build directory.
        digest: SHA-256 of the file; for a folder, of its listing (``SHA-256  relative path`` lines, sorted).
        folder: Whether it is a folder.
    """

    path: str
    digest: str
    folder: bool = False


@dataclass(frozen=True)
class Split:
    """Samples of one split: inputs ``[samples, ...]`` per graph input, class labels ``[samples]``, and targets."""

    inputs: tuple[FloatArray, ...]
    labels: IntArray
    targets: FloatArray | None = None

    @property
    def wanted(self) -> IntArray | FloatArray:
        """What the network should give: numbers ``[samples, outputs]`` if there are any, else class indices."""
        return self.labels if self.targets is None else self.targets

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Inputs as the first quantizer sees them, and labels.

    Args:
        inputs: ``[samples, ...]`` float32 per graph input, normalization applied.
        labels: ``[samples]`` class indices; all 0 where there are none.
        rows: First and last-plus-one row of each split.
        classes: Class names, in label order; may be empty.
        mean, scale: The normalization that was applied per input, ``(raw - mean) / scale``; None if none was.
        targets: ``[samples, outputs]`` float32, the numbers that the network should give, for one that was trained
            with squared error; None for a classifier, trained with cross-entropy.
        formats: How each input is sent; the inputs are numbers of these formats. None where that is not known.
        inside: Whether the inputs are as they are sent, and ``mean`` and ``scale`` are to be applied in the network.
        names: What the inputs are called where they come from.
    """

    inputs: tuple[FloatArray, ...]
    labels: IntArray
    rows: dict[SplitName, tuple[int, int]]
    classes: tuple[str, ...] = ()
    mean: tuple[FloatArray, ...] | None = None
    scale: tuple[FloatArray, ...] | None = None
    targets: FloatArray | None = None
    formats: tuple[Fixed, ...] | None = None
    inside: bool = False
    names: tuple[str, ...] = ()

    def split(self, name: SplitName) -> Split:
        """The samples of a split."""
        start, stop = self.rows[name]
        targets = None if self.targets is None else self.targets[start:stop]
        return Split(tuple(x[start:stop] for x in self.inputs), self.labels[start:stop], targets)


@dataclass(frozen=True)
class Score:
    """What a sensitivity metric gives a tensor, and how well it is known.

    Args:
        value: The metric's quantity: a trace, an eigenvalue, a loss increase.
        data_error: Standard error that the finite number of samples leaves.
        probe_error: Standard error that the finite number of random probes leaves; 0 where none are used.
        size: Elements of the tensor (for an activation: of one sample).
    """

    value: float
    data_error: float
    probe_error: float
    size: int

    @property
    def stderr(self) -> float:
        """Both errors together."""
        return hypot(self.data_error, self.probe_error)


@dataclass(frozen=True)
class Sensitivity:
    """How much the loss moves when a tensor is perturbed, by one metric.

    Args:
        quantity: What the scores are: the trace, or the eigenvalue of largest magnitude, of a tensor's block of
            ``matrix``; or the loss increase when the tensor alone has ``ranking_bits``.
        matrix: Second derivatives of the loss (``hessian``), or what stands for them; None for a loss increase.
        parameters, activations: Scores by tensor name. An activation's is for a shift of it in one sample, averaged.
        samples: Data samples used.
        loss: Mean loss on them.
        loss_unit: Unit of losses: nats for cross-entropy.
        channels: Traces of each output channel's elements ``[channels]``, by tensor name.
        channel_errors: Standard errors of those.
        elements: Diagonal of the matrix, of the tensor's shape, by tensor name.
        increases: Loss increases by tensor name and bits.
        ranking_bits: The bits whose loss increases are the scores.
    """

    quantity: Literal["trace", "eigenvalue", "loss_increase"]
    matrix: Literal["hessian", "gauss_newton", "empirical_fisher"] | None
    parameters: dict[str, Score]
    activations: dict[str, Score]
    samples: int
    loss: float
    loss_unit: str = "nats"
    channels: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    channel_errors: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    elements: dict[str, FloatArray] = field(default_factory=dict[str, FloatArray])
    increases: dict[str, dict[int, Score]] = field(default_factory=dict[str, dict[int, Score]])
    ranking_bits: int | None = None

    @property
    def scores(self) -> dict[str, Score]:
        """Of all tensors."""
        return {**self.activations, **self.parameters}


@dataclass(frozen=True)
class Point:
    """One assignment of bits.

    Args:
        loss: Loss increase: predicted, or measured on the validation split, as ``Front.losses`` says.
        costs: Its costs by name.
        bits: By tensor name: of the whole tensor, or of each output channel of a weight. 0 bits are zero.
        gap: How far the loss can be from the least that is possible at this cost, as a share of it: 0 if it is
            proven to be the least, None if nothing is proven.
    """

    loss: float
    costs: dict[str, float]
    bits: dict[str, int | tuple[int, ...]]
    gap: float | None = None


@dataclass(frozen=True)
class Measurement:
    """What synthesis gave for one layer at one pair of widths."""

    layer: str
    weight_bits: int
    activation_bits: int
    value: float


@dataclass(frozen=True)
class Front:
    """Pareto-optimal assignments, cost rising and predicted loss falling; ``uniform`` ones beside them.

    Args:
        cost: Name of the cost that the front is along.
        points: The assignments; they meet every budget but that of ``cost``.
        uniform: Those with one weight width for all layers, by that width; pinned tensors keep theirs.
        metric: The sensitivity that predicted the losses.
        solver: Who found them.
        complete: Whether there are no other Pareto-optimal assignments.
        budgets: Most of each cost that the build allows, by name.
        reuse_factor: Products that one multiplier does one after another, as the costs were told.
        measurements: Measured costs of layers, for the cost ``measured``.
        losses: Whether losses were predicted from a sensitivity, or are those of trained networks on the validation
            split.
    """

    cost: str
    points: tuple[Point, ...]
    uniform: dict[int, Point]
    metric: str
    solver: str
    complete: bool
    budgets: dict[str, float]
    reuse_factor: int = 1
    measurements: tuple[Measurement, ...] = ()
    losses: Literal["predicted", "validation"] = "predicted"


@dataclass(frozen=True)
class Allocation:
    """The chosen point.

    Args:
        point: The bits.
        index: Its place in the front.
        formats: Formats of tensors where they came with the bits; of the others the binary point is chosen.
    """

    point: Point
    index: int
    formats: dict[str, Fixed] = field(default_factory=dict[str, Fixed])


@dataclass(frozen=True)
class Trained:
    """Fine-tuned float parameters and the formats that they were tuned for (biases excepted: their format follows).

    Args:
        parameters: Float parameters by name.
        formats: ``Fixed`` of weights and activations by tensor name.
        epochs: Validation loss at the start and after each epoch.
        best_epoch: The epoch that was kept, from 1; 0 if the start was never bettered.
        training: Mean loss on the training samples during each epoch.
    """

    parameters: dict[str, FloatArray]
    formats: dict[str, Fixed]
    epochs: tuple[float, ...]
    best_epoch: int
    training: tuple[float, ...] = ()


class Design:
    """The state of a build: a frozen record of the fields below, each there once a pass has written it.

    Raises:
        ContractError: Reading a field that no pass has written, naming it.
    """

    target: Target
    chosen_for: Target
    dataset: Dataset
    graph: Graph
    given: dict[str, Quantizer]
    sensitivity: dict[str, Sensitivity]
    front: Front
    allocation: Allocation
    trained: Trained
    quantized: Quantized
    artifacts: dict[str, Artifact]
    measures: dict[str, Measure]
    checks: dict[str, Check]
    confusion: dict[Network, tuple[tuple[int, ...], ...]]
    separation: dict[str, Separation]
    notices: dict[str, str]
    report: dict[str, Any]

    def __init__(self, fields: Mapping[str, object]) -> None:
        if unknown := set(fields) - set(FIELDS):
            raise ContractError("design", f"unknown fields {sorted(unknown)}", ", ".join(FIELDS))
        self.__dict__.update(fields)

    def __getattr__(self, name: str) -> NoReturn:
        if name in FIELDS:
            raise ContractError(f"design.{name}", "not there", "a pass that writes it, and a reader that declares it")
        raise AttributeError(name)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise ContractError(f"design.{name}", "assigned to a frozen record", "design.updated({...})")

    def has(self, name: str) -> bool:
        """Whether a field has been written."""
        return name in self.__dict__

    def updated(self, changes: Mapping[str, object]) -> Self:
        """A new design with fields replaced; the entries of collections are added to, by key."""
        fields = dict(self.__dict__)
        for name, value in changes.items():
            fields[name] = {**fields.get(name, {}), **value} if name in COLLECTIONS else value  # type: ignore[dict-item]
        return type(self)(fields)

    def verify(self) -> None:
        """Check the graph and the integer network.

        Raises:
            ContractError: They are inconsistent.
        """
        for name in ("graph", "quantized"):
            if self.has(name):
                getattr(self, name).verify()


#: Names of the design's fields.
FIELDS = tuple(Design.__annotations__)
#: Fields that are dictionaries which several passes add to.
COLLECTIONS = ("sensitivity", "artifacts", "measures", "checks", "separation", "notices")
