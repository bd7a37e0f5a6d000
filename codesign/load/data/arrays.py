"""Data as arrays in memory."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codesign.design import Dataset, SplitName
from codesign.errors import InputError
from codesign.load.data.dataset import make_dataset


@dataclass(frozen=True)
class Data:
    """Arrays for ``build``.

    Args:
        inputs: ``[samples, ...]``, one array or one per network input.
        labels: Class indices ``[samples]``; None if there are targets alone.
        train, validation, test: First row and last-plus-one row of each split.
        classes: Class names, in label order.
        normalize: ``standard`` to shift and scale by the training split; ``inside`` to have the network do it;
            ``none`` to leave the inputs as they are.
        targets: Numbers ``[samples, outputs]`` that the network should give, for one trained with squared error;
            ``inputs`` for the inputs after normalization (an autoencoder); None for a classifier.
        train_classes: Names of the only classes that stay in the training and validation splits; empty for all.
        formats: How the trigger sends the inputs, such as ``ufixed<12,10>``: one for each feature of the last axis,
            inputs one after another, or one for all; none if that is not known. Arrays of integers are then words.
    """

    inputs: npt.NDArray[Any] | Sequence[npt.NDArray[Any]]
    labels: npt.NDArray[Any] | None
    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]
    classes: tuple[str, ...] = ()
    normalize: Literal["standard", "inside", "none"] = "none"
    targets: npt.NDArray[Any] | Literal["inputs"] | None = None
    train_classes: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()

    def dataset(self) -> Dataset:
        """The data, checked.

        Raises:
            InputError: See ``codesign.load.npz``: the same checks.
        """
        single = hasattr(self.inputs, "ndim")
        arrays = [self.inputs] if single else list(self.inputs)
        rows: dict[SplitName, tuple[int, int]] = {}
        for name in ("train", "validation", "test"):
            try:
                start, stop = (index(row) for row in getattr(self, name))
            except (TypeError, ValueError):
                found = repr(getattr(self, name))
                raise InputError(f"Data.{name}", found, "two whole numbers, (first, last + 1)") from None
            rows[name] = start, stop
        if self.normalize not in ("standard", "inside", "none"):
            raise InputError("Data.normalize", repr(self.normalize), "'standard', 'inside' or 'none'")
        named = {f"input {number}": np.asarray(array) for number, array in enumerate(arrays)}
        if self.labels is None and self.targets is None:
            raise InputError("Data", "neither labels nor targets", "what the network should give for each sample")
        labels = np.zeros(len(arrays[0]), np.int64) if self.labels is None else np.asarray(self.labels)
        targets = self.targets if self.targets is None or isinstance(self.targets, str) else np.asarray(self.targets)
        classes = tuple(self.classes)
        return make_dataset(
            named,
            labels,
            rows,
            classes,
            self.normalize,
            targets=targets,
            train_classes=tuple(self.train_classes),
            formats=tuple(self.formats),
        )
