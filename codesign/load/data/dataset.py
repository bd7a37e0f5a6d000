"""Checking, splitting and normalizing arrays, wherever they come from."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray, IntArray
from codesign.design import Dataset, SplitName
from codesign.errors import InputError, did_you_mean
from codesign.fixed import Fixed
from codesign.load.data.formats import input_formats, on_grid

Array = npt.NDArray[Any]
Normalize = Literal["standard", "inside", "none"]


def make_dataset(
    inputs: Mapping[str, Array],
    labels: Array,
    rows: Mapping[SplitName, tuple[int, int]],
    classes: tuple[str, ...] = (),
    normalize: Normalize = "none",
    where: str = "data",
    targets: Array | Literal["inputs"] | None = None,
    train_classes: tuple[str, ...] = (),
    formats: Sequence[str] = (),
) -> Dataset:
    """Make a checked dataset.

    Args:
        inputs: Input arrays ``[samples, ...]`` by name, in the order of the network's inputs.
        labels: Class indices ``[samples]``.
        rows: First and last-plus-one row of each split.
        classes: Class names in label order; empty if unknown.
        normalize: ``standard`` to shift and scale each feature by the training split's mean and deviation; ``inside``
            to leave that to the network.
        where: The data's name, for messages.
        targets: Numbers ``[samples, outputs]`` that the network should give; ``inputs`` for the first input as it is
            after normalization, flattened (an autoencoder); None for a classifier.
        train_classes: Names of the only classes that stay in the training and validation splits; empty for all.
        formats: How the inputs are sent: of each feature of the last axis, inputs one after another, or one for all;
            none if that is not known.

    Raises:
        InputError: Not numbers, NaN or infinite values, lengths that differ, labels or rows out of range,
            an empty split, splits that overlap, a class that is not there, or numbers that a format does not hold.
    """
    _check_labels(where, labels, classes)
    plain: list[FloatArray] = []
    for name, array in inputs.items():
        plain.append(_numbers(f"{where}, array {name!r}", array))
        if len(array) != len(labels):
            raise InputError(f"{where}, array {name!r}", f"{len(array)} rows", f"{len(labels)}, as there are labels")
    _check_rows(where, rows, len(labels))
    sent = _sent(where, formats, inputs, normalize)
    if sent is not None:
        pairs = zip(inputs.items(), sent, strict=True)
        plain = [on_grid(f"{where}, array {name!r}", array, fixed) for (name, array), fixed in pairs]
    numbers = None if targets is None or isinstance(targets, str) else _targets(where, targets, len(labels))
    labels = np.asarray(labels, np.int64)
    if train_classes:
        kept, rows = _kept(where, labels, classes, rows, train_classes)
        plain, labels = [x[kept] for x in plain], labels[kept]
        numbers = None if numbers is None else numbers[kept]
    raw = Dataset(tuple(plain), labels, dict(rows), classes, targets=numbers, formats=sent, names=tuple(inputs))
    dataset = raw if normalize == "none" else _normalized(raw)
    if isinstance(targets, str):
        dataset = replace(dataset, targets=dataset.inputs[0].reshape(len(labels), -1))
    return replace(dataset, inputs=raw.inputs, inside=True) if normalize == "inside" else dataset


def _sent(
    where: str, formats: Sequence[str], inputs: Mapping[str, Array], normalize: Normalize
) -> tuple[Fixed, ...] | None:
    """The formats of the inputs, if they are known.

    Raises:
        InputError: They don't go with the normalization.
    """
    if formats and normalize == "standard":
        hint = "set normalize to 'inside', or leave formats out"
        raise InputError(f"{where}, formats", "numbers as they are sent, normalized before", "one of both", hint)
    if normalize == "inside" and not formats:
        raise InputError(
            f"{where}, normalize", "'inside' without formats", "how the trigger sends the inputs", "set formats"
        )
    return input_formats(where, formats, inputs) if formats else None


def _normalized(dataset: Dataset) -> Dataset:
    """The inputs shifted and scaled by the training split."""
    start, stop = dataset.rows["train"]
    plain = dataset.inputs
    mean = tuple(x[start:stop].mean(0, dtype=np.float64) for x in plain)
    deviation = tuple(x[start:stop].std(0, dtype=np.float64) for x in plain)
    # A constant feature is only shifted; rounding may leave it a deviation that is not quite zero.
    scale = tuple(np.where(s > 1e-12 * np.abs(m), s, 1.0) for m, s in zip(mean, deviation, strict=True))
    shifted: tuple[FloatArray, ...] = tuple(
        ((x - m) / s).astype(np.float32) for x, m, s in zip(plain, mean, scale, strict=True)
    )
    return replace(dataset, inputs=shifted, mean=mean, scale=scale)


def _targets(where: str, targets: Array, samples: int) -> FloatArray:
    column = targets[:, None] if targets.ndim == 1 else targets
    plain = _numbers(f"{where}, targets", column)
    if plain.ndim != 2 or len(plain) != samples:
        raise InputError(f"{where}, targets", f"shape {list(targets.shape)}", f"[{samples}, outputs]")
    return plain


def _kept(
    where: str,
    labels: IntArray,
    classes: tuple[str, ...],
    rows: Mapping[SplitName, tuple[int, int]],
    train_classes: tuple[str, ...],
) -> tuple[IntArray, dict[SplitName, tuple[int, int]]]:
    """Rows that stay, split after split, and where each split is among them."""
    for name in train_classes:
        if name not in classes:
            raise InputError(f"{where}, train_classes", f"no class {name!r}", "", did_you_mean(name, classes))
    wanted = [classes.index(name) for name in train_classes]
    parts: list[IntArray] = []
    moved: dict[SplitName, tuple[int, int]] = {}
    count = 0
    for split, (start, stop) in rows.items():
        part = np.arange(start, stop)
        if split != "test":
            part = part[np.isin(labels[start:stop], wanted)]
        if not part.size:
            found = f"no row of {', '.join(train_classes)}"
            raise InputError(f"{where}, split {split!r}", found, "at least one", "see train_classes")
        parts.append(part)
        moved[split] = (count, count + len(part))
        count += len(part)
    return np.concatenate(parts), moved


def _numbers(where: str, array: Array) -> FloatArray:
    if array.ndim < 2 or not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise InputError(
            where, f"shape {list(array.shape)} of {array.dtype}", "numbers of shape [samples, features...]"
        )
    with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite, and is counted
        plain = np.asarray(array, np.float32)
    if bad := int(np.count_nonzero(~np.isfinite(plain))):
        raise InputError(
            where, f"{bad} of {array.size} values are NaN or infinite", "finite numbers, in float32's range"
        )
    return plain


def _check_labels(where: str, labels: Array, classes: tuple[str, ...]) -> None:
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{where}, labels", f"shape {list(labels.shape)} of {labels.dtype}", "integers of shape [samples]"
        )
    limit = len(classes) or None
    outside = labels[(labels < 0) | (labels >= (limit or np.iinfo(np.int64).max))]
    if len(outside):
        wanted = f"0 to {limit - 1}, by the class names" if limit else "class indices from 0"
        raise InputError(f"{where}, labels", f"{len(outside)} labels out of range, such as {int(outside[0])}", wanted)


def _check_rows(where: str, rows: Mapping[SplitName, tuple[int, int]], total: int) -> None:
    for name, (start, stop) in rows.items():
        if not 0 <= start <= stop <= total:
            raise InputError(f"{where}, split {name!r}", f"rows {start} to {stop}", f"rows within 0 to {total}")
        if start == stop:
            raise InputError(f"{where}, split {name!r}", "empty", "at least one row")
    ordered = sorted(rows.items(), key=lambda item: item[1])
    for (first, (_, end)), (second, (begin, stop)) in pairwise(ordered):
        if begin < end:
            raise InputError(
                f"{where}, splits {first!r} and {second!r}", f"overlap in rows {begin} to {min(end, stop)}", "apart"
            )
