"""What the report says of classes, ROC curves and fine-tuning."""

from dataclasses import asdict
from typing import Any

import numpy as np

from codesign.design import Design


def classification(design: Design) -> dict[str, Any]:
    """``classes``, ``confusion`` and ``roc`` of the report; empty where a network has no classes."""
    roc = design.separation if design.has("separation") else {}
    confusion = design.confusion if design.has("confusion") else {}
    matrices = {network: np.asarray(matrix) for network, matrix in confusion.items()}
    classes: list[dict[str, Any]] = []
    if matrices:
        samples = next(iter(matrices.values())).sum(1).tolist()
        names = design.dataset.classes or [str(number) for number in range(len(samples))]
        for place, (name, count) in enumerate(zip(names, samples, strict=True)):
            right = {network: int(matrix[place, place]) for network, matrix in matrices.items()}
            curves = roc[name].curves if name in roc else {}
            classes.append(
                {
                    "name": name,
                    "samples": count,
                    "accuracy": {network: value / count for network, value in right.items()} if count else None,
                    "auc": {network: curve.auc for network, curve in curves.items()} or None,
                }
            )
    return {
        "classes": classes,
        "confusion": {network: matrix.tolist() for network, matrix in matrices.items()},
        "roc": [asdict(each) for each in roc.values()],
    }


def training(design: Design) -> dict[str, Any] | None:
    """``finetune`` of the report; None where nothing was trained."""
    if not design.has("trained") or not design.trained.training:
        return None
    return {
        "loss_unit": design.sensitivity[design.front.metric].loss_unit,
        "validation": list(design.trained.epochs),
        "training": list(design.trained.training),
        "best_epoch": design.trained.best_epoch,
    }
