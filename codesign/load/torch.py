"""`load.torch`: a torch network and its checkpoint become a graph."""

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, ClassVar, cast

from codesign.design import Dataset, Design
from codesign.directory import CACHE
from codesign.errors import InputError, did_you_mean
from codesign.graph import Graph
from codesign.ops.softmax import Tables
from codesign.passes import Context, Pass

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Torch(Pass):
    """Read the network: a torch module made by a Python file, with its trained weights.

    Args:
        model: Python file that defines the network.
        factory: Name in that file: a function or class that makes the module when called without arguments,
            or a module.
        checkpoint: Trained weights: safetensors, or a state_dict saved by torch.save (loaded with
            weights_only=True).
        preprocess: Name in that file of the step before the network, which becomes part of it: a torch module, or what
            makes one, without parameters; or a numpy function of the words that the trigger sends. Empty for none.
        softmax: Which softmax is made of lookup tables: "none"; "inside", those that something follows; or "all". Of
            the others, one at the end is taken off, and the firmware gives the logits.
    """

    model: Path
    factory: str
    checkpoint: Path
    preprocess: str = ""
    softmax: Tables = "none"

    reads: ClassVar[tuple[str, ...]] = ("dataset",)
    writes: ClassVar[tuple[str, ...]] = ("graph", "notices")
    distributions: ClassVar[tuple[str, ...]] = ("torch",)

    def files(self) -> tuple[Path, ...]:
        """The Python file, those beside and below it that it may import, and the checkpoint."""
        beside = sorted(path for path in _importable(self.model.parent) if path != self.model)
        return (self.model, *beside, self.checkpoint)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Make the module, load its weights, trace it."""
        from codesign.load._checkpoint import load_checkpoint

        namespace = _execute(self.model)
        module = self._module(namespace, self.factory)
        load_checkpoint(module, self.checkpoint)
        step = self._step(namespace) if self.preprocess else None
        graph, notices = graph_for(module, design.dataset, step, self.softmax)
        return {"graph": graph, "notices": notices}

    def _named(self, namespace: Mapping[str, object], name: str) -> object:
        from torch import nn

        if name not in namespace:
            public = [name for name, value in namespace.items() if callable(value) or isinstance(value, nn.Module)]
            raise InputError(str(self.model), f"no name {name!r}", "", did_you_mean(name, public))
        return namespace[name]

    def _step(self, namespace: Mapping[str, object]) -> "nn.Module | Callable[..., object]":
        """The step before the network: what takes no argument makes it, other functions are it."""
        given = self._named(namespace, self.preprocess)
        if isinstance(given, FunctionType) and inspect.signature(given).parameters:
            return given
        return self._module(namespace, self.preprocess)

    def _module(self, namespace: Mapping[str, object], name: str) -> "nn.Module":
        from torch import nn

        made = self._named(namespace, name)
        try:
            module = made if isinstance(made, nn.Module) else cast(Callable[[], object], made)()
        except (Exception, SystemExit) as error:
            raise InputError(f"{self.model}, {name}()", f"raised {type(error).__name__}: {error}") from error
        if not isinstance(module, nn.Module):
            raise InputError(f"{self.model}, {name}()", f"gave a {type(module).__name__}", "a torch.nn.Module")
        return module


def graph_for(
    module: "nn.Module",
    dataset: Dataset,
    preprocess: "nn.Module | Callable[..., object] | None" = None,
    softmax: Tables = "none",
) -> tuple[Graph, dict[str, str]]:
    """The graph of a module for given data, and the notices of its conversion.

    Args:
        module: The network.
        dataset: Its data.
        preprocess: A step before it, a torch module or a numpy function of words.
        softmax: Which softmax is made of lookup tables.

    Raises:
        InputError: The module can't be converted, its weights aren't finite, or the data doesn't fit it.
    """
    from codesign.load._checkpoint import check_finite
    from codesign.load._conversion import check_conversion, check_outputs
    from codesign.load._fx import rewritten
    from codesign.load._preprocess import check_ranges, composed

    check_finite(module)
    _check_names(module)
    module, whole = composed(module, dataset, preprocess)
    graph, notices = rewritten(whole, softmax)
    check_outputs(graph, dataset)
    check_conversion(module, graph, dataset)
    check_ranges(graph, dataset)
    return graph, {f"load.{index}": notice for index, notice in enumerate(notices)}


def _check_names(module: "nn.Module") -> None:
    """Names of layers go into Python that tracing writes, and into names of tensors.

    Raises:
        InputError: One has a quote, a backslash or an end of line.
    """
    names = cast("Iterable[tuple[str, object]]", module.named_modules())
    for name, _ in names:
        if any(sign in name for sign in "'\"\\\n\r"):
            where = f"network {type(module).__name__}, layer {name!r}"
            raise InputError(where, "a quote, a backslash or an end of line in its name", "a name without", "rename it")


def _importable(folder: Path) -> list[Path]:
    """Python files of a folder and of those below it that can be packages (none hidden, no environment, no build)."""
    found = list(folder.glob("*.py"))
    for below in folder.iterdir():
        own = any((below / name).exists() for name in ("pyvenv.cfg", CACHE))
        if below.is_dir() and below.name.isidentifier() and not own:
            found += _importable(below)
    return found


def _execute(path: Path) -> dict[str, object]:
    """Run a Python file and return its names; the files beside it can be imported by it."""
    name = f"codesign_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        hint = "an ONNX file goes into a table [load.onnx]" if path.suffix == ".onnx" else ""
        raise InputError(str(path), "not a Python file", "a file ending in .py", hint)
    module = importlib.util.module_from_spec(spec)
    before = set(sys.modules)
    sys.path.insert(0, str(path.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise InputError(str(path), f"raised {type(error).__name__}: {error}", "a file that can be imported") from error
    finally:
        sys.path.remove(str(path.parent))
        # Another network's file may have neighbours of the same names.
        for loaded in set(sys.modules) - before:
            origin = getattr(sys.modules[loaded], "__file__", None)
            if origin is not None and path.parent in Path(origin).parents:
                del sys.modules[loaded]
    return vars(module)
