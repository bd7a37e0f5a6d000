"""Which of the measured sensitivities is taken."""

from collections.abc import Mapping

from codesign.design import Sensitivity
from codesign.errors import InputError


def metric_named(name: str, measured: Mapping[str, Sensitivity], where: str) -> str:
    """The metric to predict the loss with: one by name, or the first.

    Raises:
        InputError: It was not measured.
    """
    if name and name not in measured:
        hint = f"measured: {', '.join(measured)}; to measure others too: --also sensitivity.METRIC"
        raise InputError(f"{where}, metric", f"{name!r}, which was not measured", "", hint)
    return name or next(iter(measured))
