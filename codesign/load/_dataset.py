"""Checking, splitting and normalizing arrays, wherever they come from."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from codesign.arrays import FloatArray
from codesign.design import Dataset, SplitName
from codesign.errors import InputError

Array = npt.NDArray[Any]


def make_dataset(
    inputs: Mapping[str, Array],
    labels: Array,
    rows: Mapping[SplitName, tuple[int, int]],
    classes: tuple[str, ...] = (),
    normalize: Literal["standard", "none"] = "none",
    where: str = "data",
) -> Dataset:
    """Make a checked dataset.

    Args:
        inputs: Input arrays ``[samples, ...]`` by name, in the order of the network's inputs.
        labels: Class indices ``[samples]``.
        rows: First and last-plus-one row of each split.
        classes: Class names in label order; empty if unknown.
        normalize: ``standard`` to shift and scale each feature by the training split's mean and deviation.
        where: The data's name, for messages.

    Raises:
        InputError: Not numbers, NaN or infinite values, lengths that differ, labels or rows out of range,
            an empty split, or splits that overlap.
    """
    _check_labels(where, labels, classes)
    plain: list[FloatArray] = []
    for name, array in inputs.items():
        plain.append(_numbers(f"{where}, array {name!r}", array))
        if len(array) != len(labels):
            raise InputError(f"{where}, array {name!r}", f"{len(array)} rows", f"{len(labels)}, as there are labels")
    _check_rows(where, rows, len(labels))
    start, stop = rows["train"]
    labels = np.asarray(labels, np.int64)
    if normalize == "none":
        return Dataset(tuple(plain), labels, dict(rows), classes)
    mean = tuple(x[start:stop].mean(0, dtype=np.float64) for x in plain)
    deviation = tuple(x[start:stop].std(0, dtype=np.float64) for x in plain)
    # A constant feature is only shifted; rounding may leave it a deviation that is not quite zero.
    scale = tuple(np.where(s > 1e-12 * np.abs(m), s, 1.0) for m, s in zip(mean, deviation, strict=True))
    shifted: tuple[FloatArray, ...] = tuple(
        ((x - m) / s).astype(np.float32) for x, m, s in zip(plain, mean, scale, strict=True)
    )
    return Dataset(shifted, labels, dict(rows), classes, mean, scale)


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
