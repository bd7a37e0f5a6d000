"""What is used of alkaid, whose types are no part of what it publishes."""

from importlib import import_module
from pathlib import Path
from typing import Any

_trace: Any = import_module("alkaid.trace")
_verilog: Any = import_module("alkaid.codegen.rtl.verilog.fsm")
_model: Any = import_module("alkaid.codegen.rtl.rtl_model")

#: Arrays of variables, a variable, and what the delay of an adder is counted by.
FVArray, FVariable, HWConfig = _trace.FVArray, _trace.FVariable, _trace.HWConfig
#: Variables to combinational logic; that to a pipeline; that to Verilog by file name.
trace: Any = _trace.trace
RTLModel: Any = _model.RTLModel
write_verilog: Any = _verilog.fsm_logic_gen
#: Its own Verilog files, which projects need beside what is written.
STATIC = Path(str(_verilog.__file__)).parent / "source"
