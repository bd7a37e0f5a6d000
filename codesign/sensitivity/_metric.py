"""What all sensitivity passes share: their options, the data they look at, the checks before they begin."""

from abc import abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar, Literal, get_args, get_origin, get_type_hints

from codesign.calibrate import even_rows
from codesign.design import Design, Sensitivity
from codesign.errors import InputError
from codesign.graph import Graph
from codesign.passes import Context, Pass

if TYPE_CHECKING:
    from codesign.sensitivity._objective import Objective

#: Where no batch is asked for: as many samples as keep the gradients at the front of a backward pass, about three
#: tensors, together this large (in numbers: 32 MiB of float32, near a cache's size), but not more than so many.
FRONT, BATCH = 2**23, 512


@dataclass(frozen=True)
class Metric(Pass):
    """A pass that scores tensors.

    Args:
        samples: Samples of the training split to use, evenly spread; all of it if it has fewer.
        batch: Most samples held at a time; where nothing is set, as many as fit a cache, 512 at most.
        loss: What the network was trained with: "cross_entropy" (class labels) or "squared_error" (mean over outputs,
            of targets, or of labels that stand for one-hot numbers). "auto": squared error if the data has targets.
        precision: Arithmetic of the network; sums over samples are always float64.
        device: "auto" takes a GPU if there is one.
        threads: Of torch on the CPU. More can pay for large networks; the last digits may depend on it.
    """

    samples: int = 16384
    batch: int | None = None
    loss: Literal["auto", "cross_entropy", "squared_error"] = "auto"
    precision: Literal["float32", "float64"] = "float32"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 1

    reads: ClassVar[tuple[str, ...]] = ("graph", "dataset")
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def __post_init__(self) -> None:
        for option, hint in get_type_hints(type(self)).items():
            if get_origin(hint) is Literal:
                self.require(option, getattr(self, option) in get_args(hint), f"one of {', '.join(get_args(hint))}")
        self.require("samples", self.samples >= 2, "2 or more, for a standard error")
        self.require("batch", self.batch is None or self.batch >= 1, "1 or more")
        self.require("threads", 1 <= self.threads <= 1024, "1 to 1024")

    def require(self, option: str, fine: bool, wanted: str) -> None:
        """Refuse an option's value.

        Raises:
            InputError: It is not fine.
        """
        if not fine:
            raise InputError(f"{self.name}, {option}", f"{getattr(self, option)}", wanted)

    @classmethod
    def key(cls) -> str:
        """The metric's name in the design."""
        return cls.name.split(".")[1]

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Check that the loss can be differentiated here, then measure."""
        from codesign.sensitivity._validity import probe

        with self.objective(design) as objective:
            # By one name for all metrics, which would say the same.
            notices = {f"sensitivity.{index}": text for index, text in enumerate(probe(objective))}
            found, remarks = self.measure(objective, design, context)
        notices |= {f"{self.key()}.{index}": f"{self.name}: {text}" for index, text in enumerate(remarks)}
        return {"sensitivity": {self.key(): found}, "notices": notices}

    @abstractmethod
    def measure(self, objective: "Objective", design: Design, context: Context) -> tuple[Sensitivity, list[str]]:
        """The scores, and what the user should know about them."""

    @contextmanager
    def objective(self, design: Design) -> "Generator[Objective]":
        """The loss on the samples asked for, for as long as torch is set up for it.

        Raises:
            InputError: Data, labels, batch or device don't fit.
        """
        import torch

        from codesign.sensitivity._criterion import CRITERIA
        from codesign.sensitivity._objective import Objective, reproducible
        from codesign.torch_forward import threads

        graph, data = design.graph, design.dataset.split("train")
        shape = graph.shapes()[graph.outputs[0]]
        if len(graph.outputs) != 1 or len(shape) != 1:
            found = f"{len(graph.outputs)} outputs, the first of shape {list(shape)}"
            raise InputError("network output", found, "one output of shape [outputs]")
        if len(data) < 2:
            raise InputError(self.name, f"{len(data)} sample in the training split", "at least 2, for a standard error")
        rows = even_rows(len(data), self.samples)
        if self.batch is not None and self.batch > len(rows):
            found = f"{self.batch}, larger than the {len(rows)} samples that it is taken from"
            raise InputError(f"{self.name}, batch", found, f"at most {len(rows)}", "lower batch, or give more data")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise InputError(f"{self.name}, device", "'cuda', but torch sees no GPU", "'auto' or 'cpu'")
        auto = "cuda" if torch.cuda.is_available() else "cpu"
        device = auto if self.device == "auto" else self.device
        dtype = torch.float64 if self.precision == "float64" else torch.float32
        parameters = {name: torch.tensor(value, dtype=dtype, device=device) for name, value in graph.parameters.items()}
        usual = "cross_entropy" if data.targets is None else "squared_error"
        criterion = CRITERIA[usual if self.loss == "auto" else self.loss]
        with threads(self.threads), reproducible():
            made = Objective(graph, criterion, parameters, data, rows, self.batch or _comfortable(graph))
            criterion.check(made.outputs, torch.as_tensor(data.wanted[rows]))
            yield made


def _comfortable(graph: Graph) -> int:
    """Samples whose gradients along every output, in the largest tensor, are of a good size to work with."""
    sizes = [prod(shape) for shape in graph.shapes().values()]
    directions = graph.shapes()[graph.outputs[0]][0]
    return max(1, min(BATCH, FRONT // (max(sizes) * min(directions, 32) * 3)))
