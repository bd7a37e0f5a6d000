"""The written project: names of the user's own can't become Verilog."""

from dataclasses import replace
from pathlib import Path

import pytest

from codesign.errors import InputError
from codesign.transpile._circuit import trace_network
from codesign.transpile._unrolled import write_unrolled
from tests.rtl.test_circuit import small


def test_names_stay_in_comments(tmp_path: Path) -> None:
    quantized = small("relu")
    nodes = [replace(node, name=f"{node.name}\nmodule other; `define x /* \\") for node in quantized.graph.nodes]
    graph = replace(quantized.graph, nodes=tuple(nodes))
    circuit = trace_network(quantized)
    for folder, named in (("plain", quantized.graph), ("odd", graph)):
        write_unrolled(circuit, named, "network", 5.0, 5.0, tmp_path / folder)
    plain, odd = ((tmp_path / folder / "network.v").read_text().split("\n") for folder in ("plain", "odd"))
    assert [line for line in plain if not line.startswith("//")] == [line for line in odd if not line.startswith("//")]
    assert len(plain) == len(odd)


@pytest.mark.parametrize("top", ["logic0", "mux"])
def test_no_module_is_written_over_another(top: str, tmp_path: Path) -> None:
    quantized = small("relu")
    with pytest.raises(InputError, match=rf"project: '{top}', a module that the project has already"):
        write_unrolled(trace_network(quantized), quantized.graph, top, 5.0, 5.0, tmp_path / "project")
