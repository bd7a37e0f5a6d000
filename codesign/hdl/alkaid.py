"""What is used of alkaid, whose types are no part of what it publishes."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

from codesign.hdl.interface import SUFFIXES, HdlName

_trace: Any = import_module("alkaid.trace")
_model: Any = import_module("alkaid.codegen.rtl.rtl_model")

#: Arrays of variables, a variable, and what the delay of an adder is counted by.
FVArray, FVariable, HWConfig = _trace.FVArray, _trace.FVariable, _trace.HWConfig
#: Variables to combinational logic; that to a pipeline.
trace: Any = _trace.trace
RTLModel: Any = _model.RTLModel


def write_modules(machine: Any, name: str, language: HdlName, prefix: str) -> dict[str, str]:
    """A pipeline as text, by module.

    Args:
        machine: The pipeline.
        name: Of its top module.
        language: What it is written in.
        prefix: Before the names of the modules of stages, which alkaid calls the same in every project.
    """
    writer: Any = import_module(f"alkaid.codegen.rtl.{language}.fsm")
    written: dict[str, str] = writer.fsm_logic_gen(machine, name)
    stage, own = re.compile(r"\b(logic\d+)\b"), rf"{prefix}_\1"
    return {stage.sub(own, module): stage.sub(own, code) for module, code in written.items()}


def static_files(language: HdlName) -> list[Path]:
    """Alkaid's own files, which projects need beside what is written."""
    folder = Path(str(_model.__file__)).parent / language / "source"
    return sorted(folder.glob(f"*{SUFFIXES[language]}"))
