"""`load.npz`: inputs and labels from a numpy archive, split and normalized."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from codesign.design import Dataset, Design
from codesign.errors import InputError
from codesign.load.data.dataset import make_dataset
from codesign.passes import Context, Pass


@dataclass(frozen=True)
class Npz(Pass):
    """Read the data: arrays of a .npz file, split by rows, normalized by the training split.

    Args:
        data: The .npz file.
        train, validation, test: First row and last-plus-one row of each split; they must not overlap.
        inputs: Names of the input arrays, [samples, ...] each, in the order of the network's inputs.
        labels: Name of the class index array, [samples]; empty for none, if there are targets.
        targets: Name of the array of numbers that the network should give, [samples, outputs], for a network that was
            trained with squared error; "inputs" for the inputs after normalization (an autoencoder); empty for a
            classifier.
        train_classes: Names of the only classes whose rows stay in the training and validation splits, such as the
            background that an autoencoder learns; empty for all.
        classes: Name of an array with the class names, in label order; empty for none.
        normalize: "standard" subtracts the training split's mean per feature and divides by its standard
            deviation, before the input quantizer; "inside" leaves that to the network, which starts with it; "none"
            leaves the inputs as they are.
        formats: How the trigger sends the inputs, such as "ufixed<12,10>": one for each feature of the last axis,
            inputs one after another, or one for all. Arrays of integers are then words. Where nothing is set, the
            input quantizer gets allocate.pareto's input_bits.
    """

    data: Path
    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]
    inputs: tuple[str, ...] = ("x",)
    labels: str = "y"
    classes: str = ""
    targets: str = ""
    train_classes: tuple[str, ...] = ()
    normalize: Literal["standard", "inside", "none"] = "none"
    formats: tuple[str, ...] = ()

    writes: ClassVar[tuple[str, ...]] = ("dataset",)

    def files(self) -> tuple[Path, ...]:
        """The archive."""
        return (self.data,)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Read, check, split and normalize."""
        return {"dataset": self.read()}

    def read(self) -> Dataset:
        """The dataset.

        Raises:
            InputError: The file or its arrays are not what the options say.
        """
        arrays = self._read()
        return make_dataset(
            inputs={name: arrays[name] for name in self.inputs},
            labels=self._labels(arrays),
            rows={"train": self.train, "validation": self.validation, "test": self.test},
            classes=self._class_names(arrays),
            normalize=self.normalize,
            where=str(self.data),
            targets="inputs" if self.targets == "inputs" else arrays.get(self.targets),
            train_classes=self.train_classes,
            formats=self.formats,
        )

    def _labels(self, arrays: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
        if self.labels:
            return arrays[self.labels]
        if not self.targets:
            raise InputError("load.npz", "neither labels nor targets", "what the network should give for each sample")
        return np.zeros(len(arrays[self.inputs[0]]), np.int64)

    def _class_names(self, arrays: Mapping[str, npt.NDArray[Any]]) -> tuple[str, ...]:
        if not self.classes:
            return ()
        names = arrays[self.classes]
        if names.ndim != 1 or names.size == 0:
            raise InputError(f"{self.data}, array {self.classes!r}", f"shape {list(names.shape)}", "[classes]")
        return tuple(str(name) for name in names)

    def _read(self) -> dict[str, npt.NDArray[Any]]:
        targets = "" if self.targets == "inputs" else self.targets
        wanted = [*self.inputs, *(name for name in (self.labels, self.classes, targets) if name)]
        try:
            with np.load(self.data, allow_pickle=False) as archive:
                if missing := [name for name in wanted if name not in archive]:
                    raise InputError(
                        str(self.data),
                        f"no array {missing[0]!r}",
                        f"one of {', '.join(archive)}",
                        "set load.npz.inputs and load.npz.labels",
                    )
                return {name: archive[name] for name in wanted}
        except InputError:
            raise
        except Exception as error:  # a damaged archive makes zipfile, zlib or numpy raise anything at all
            found = f"not a whole .npz file of plain numbers ({type(error).__name__})"
            raise InputError(str(self.data), found, "arrays saved with numpy.savez") from error
