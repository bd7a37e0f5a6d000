"""hls4ml's backends: how their C++ is compiled here, and what they can be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

BackendName = Literal["Vitis", "Vivado", "Quartus", "Catapult", "oneAPI"]
IoType = Literal["io_parallel", "io_stream"]
Strategy = Literal["latency", "resource", "distributed_arithmetic"]


@dataclass(frozen=True)
class Backend:
    """How the C++ of a backend is compiled here, and for which parts it is.

    Args:
        parts: What part numbers start with, in lower case.
        example: One of them.
        includes: Folders of headers for a common C++ compiler; none if it takes the vendor's own.
        vendors: The vendor's own compiler, where no other takes the C++.
        strategies: Layouts of layers that it has, the usual one first.
        extended: Whether our own layers are made for its streams, too.
        queues: Whether depths of queues reach its C++.
        widened: Whether hls4ml spells types of one bit with two for it, which it could do without.
    """

    parts: tuple[str, ...]
    example: str
    includes: tuple[str, ...] = ()
    vendors: str = ""
    strategies: tuple[Strategy, ...] = ("latency", "resource")
    extended: bool = True
    queues: bool = False
    widened: bool = False


_AMD = Backend(
    ("xc",),
    "xcvu13p-flga2577-2-e",
    ("firmware/ap_types",),
    strategies=("latency", "resource", "distributed_arithmetic"),
    queues=True,
)
_INTEL = ("1s", "10a", "10c", "5s", "ag", "arria", "cyclone", "max", "stratix")
_AC_FOLDERS = (*(f"firmware/ac_{name}/include" for name in ("types", "math", "simutils")), "firmware/nnet_utils")

BACKENDS: Mapping[BackendName, Backend] = MappingProxyType(
    {
        "Vitis": _AMD,
        "Vivado": _AMD,
        "Quartus": Backend(
            _INTEL, "Arria10", ("firmware/ac_types", "firmware/ap_types"), strategies=("resource",), widened=True
        ),
        "Catapult": Backend(("xc",), _AMD.example, _AC_FOLDERS, widened=True),
        "oneAPI": Backend(_INTEL, "Agilex7", vendors="icpx", strategies=("resource",), extended=False),
    }
)
