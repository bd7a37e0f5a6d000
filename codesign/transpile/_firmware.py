"""What firmware hls4ml is asked for: backend, interface, and how layers are laid out."""

from dataclasses import dataclass
from typing import Literal

BackendName = Literal["Vitis", "Vivado", "Quartus", "Catapult", "oneAPI", "Libero"]
IoType = Literal["io_parallel", "io_stream"]
Strategy = Literal["latency", "resource", "distributed_arithmetic"]


#: File of a project: for inputs and outputs, in order, which of the network's axes each of the firmware's is.
PORTS = "ports.json"


@dataclass(frozen=True)
class Firmware:
    """Options of hls4ml's projects.

    Args:
        backend: Whose compiler the C++ is for.
        io_type: ``io_parallel``: a whole input at once; ``io_stream``: positions one after another.
        part: Part number; empty for the target's.
    """

    backend: BackendName = "Vitis"
    io_type: IoType = "io_parallel"
    part: str = ""

    @property
    def streamed(self) -> bool:
        """Whether positions come one after another."""
        return self.io_type == "io_stream"


@dataclass(frozen=True)
class Backend:
    """How the C++ of a backend is compiled here, and for which parts it is.

    Args:
        parts: What part numbers start with, in lower case.
        example: One of them.
        includes: Folders of headers for a common C++ compiler; none if it takes the vendor's own.
        compiler: The vendor's own compiler, where no other takes the C++.
        numbers: ``ap`` or ``ac``: the library of number types.
    """

    parts: tuple[str, ...]
    example: str
    includes: tuple[str, ...] = ()
    compiler: str = ""
    numbers: Literal["ap", "ac"] = "ap"


_AMD = ("xc",)
_INTEL = ("arria", "agilex", "stratix", "cyclone", "max", "10a", "10c", "1s", "ag", "5s")
BACKENDS: dict[BackendName, Backend] = {
    "Vitis": Backend(_AMD, "xcvu13p-flga2577-2-e", ("firmware/ap_types",)),
    "Vivado": Backend(_AMD, "xcvu13p-flga2577-2-e", ("firmware/ap_types",)),
    "Quartus": Backend(_INTEL, "Arria10", ("firmware/ac_types", "firmware/ap_types"), numbers="ac"),
    "Catapult": Backend(
        _AMD,
        "xcvu13p-flga2577-2-e",
        (*(f"firmware/ac_{name}/include" for name in ("types", "math", "simutils")), "firmware/nnet_utils"),
        numbers="ac",
    ),
    "oneAPI": Backend(_INTEL, "Agilex7", compiler="icpx", numbers="ac"),
    "Libero": Backend(("mpf", "m2gl", "m2s", "rt"), "MPF300", compiler="shls"),
}
