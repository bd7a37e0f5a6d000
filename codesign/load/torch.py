"""`load.torch`: a torch network and its checkpoint become a graph."""

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

from codesign.design import Dataset, Design
from codesign.errors import InputError, did_you_mean
from codesign.graph import Graph
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
    """

    model: Path
    factory: str
    checkpoint: Path

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

        module = self._module()
        load_checkpoint(module, self.checkpoint)
        graph, notices = graph_for(module, design.dataset)
        return {"graph": graph, "notices": notices}

    def _module(self) -> "nn.Module":
        from torch import nn

        namespace = _execute(self.model)
        if self.factory not in namespace:
            public = [name for name, value in namespace.items() if callable(value) or isinstance(value, nn.Module)]
            raise InputError(str(self.model), f"no name {self.factory!r}", "", did_you_mean(self.factory, public))
        made = namespace[self.factory]
        try:
            module = made if isinstance(made, nn.Module) else cast(Callable[[], object], made)()
        except (Exception, SystemExit) as error:
            raise InputError(f"{self.model}, {self.factory}()", f"raised {type(error).__name__}: {error}") from error
        if not isinstance(module, nn.Module):
            raise InputError(f"{self.model}, {self.factory}()", f"gave a {type(module).__name__}", "a torch.nn.Module")
        return module


def graph_for(module: "nn.Module", dataset: Dataset) -> tuple[Graph, dict[str, str]]:
    """The graph of a module for given data, and the notices of its conversion.

    Raises:
        InputError: The module can't be converted, its weights aren't finite, or the data doesn't fit it.
    """
    from codesign.load._checkpoint import check_finite
    from codesign.load._conversion import check_conversion, check_outputs
    from codesign.load._fx import graph_from_module

    check_finite(module)
    graph, notices = graph_from_module(module, [x.shape[1:] for x in dataset.inputs])
    check_outputs(graph, dataset)
    check_conversion(module, graph, dataset)
    return graph, {f"load.{index}": notice for index, notice in enumerate(notices)}


def _importable(folder: Path) -> list[Path]:
    """Python files of a folder and of the folders below it that can be packages (no hidden ones, no environments)."""
    found = list(folder.glob("*.py"))
    for below in folder.iterdir():
        if below.is_dir() and below.name.isidentifier() and not (below / "pyvenv.cfg").exists():
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
