"""Number formats as hls4ml spells them."""

import numpy as np
import numpy.typing as npt

from codesign.fixed import Fixed, smallest_format


def ap_type(fixed: Fixed, saturate: bool = False) -> str:
    """``ap_fixed`` / ``ap_ufixed`` spelling; truncating, and saturating or exact.

    What has no bits gets one above the others: one below would take numbers that are to be cut off.
    """
    fixed = fixed.envelope()
    width = max(int(fixed.width), 1)
    sign = "" if fixed.signed else "u"
    return f"ap_{sign}fixed<{width},{width - int(fixed.fraction)}{',AP_TRN,AP_SAT,0' if saturate else ''}>"


def constant_type(values: npt.NDArray[np.floating]) -> str:
    """The narrowest type that holds a few real constants exactly."""
    ratios = [float(value).as_integer_ratio() for value in np.unique(values)]
    fraction = max(bottom.bit_length() - 1 for _, bottom in ratios)
    codes = [top << (fraction - bottom.bit_length() + 1) for top, bottom in ratios]
    return ap_type(smallest_format(min(*codes, 0), max(*codes, 1), fraction))
