"""What vendors' tools need to know of hls4ml's project."""

from pathlib import Path
from typing import Any, cast

import yaml

from codesign.errors import InputError

#: The folder of Verilog in a project that Vitis HLS has been run on.
HDL = "hdl"


def hls4ml_config(project: Path) -> dict[str, Any]:
    """What hls4ml was asked for."""
    return cast("dict[str, Any]", yaml.safe_load((project / "hls4ml_config.yml").read_bytes()))


def function_for(name: str, project: Path, backend: str) -> str:
    """The top function of a project that is for a tool.

    Args:
        name: The pass that asks.
        project: Its folder.
        backend: hls4ml's name of the tool.

    Raises:
        InputError: The project is for another tool.
    """
    found = hls4ml_config(project)
    if found["Backend"] != backend:
        step = f"set transpile.hls4ml.backend to {backend!r}"
        raise InputError(name, f"C++ for {found['Backend']}", f"C++ for {backend}", step)
    return str(found["ProjectName"])
