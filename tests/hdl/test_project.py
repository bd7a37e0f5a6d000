"""The written project: names of the user's own can't become Verilog."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from codesign.errors import InputError
from codesign.hdl.circuit import trace_network
from codesign.hdl.interface import SUFFIXES, HdlName
from codesign.hdl.unrolled import write_unrolled
from tests.hdl.test_circuit import small


def test_names_stay_in_comments(tmp_path: Path) -> None:
    quantized = small("relu")
    nodes = [replace(node, name=f"{node.name}\nmodule other; `define x /* \\") for node in quantized.graph.nodes]
    graph = replace(quantized.graph, nodes=tuple(nodes))
    circuit = trace_network(quantized)
    for folder, named in (("plain", quantized.graph), ("odd", graph)):
        write_unrolled(circuit, named, "network", 5.0, 5, tmp_path / folder)
    plain, odd = ((tmp_path / folder / "network.v").read_text().split("\n") for folder in ("plain", "odd"))
    assert [line for line in plain if not line.startswith("//")] == [line for line in odd if not line.startswith("//")]
    assert len(plain) == len(odd)


def test_no_module_is_written_over_another(tmp_path: Path) -> None:
    quantized = small("relu")
    with pytest.raises(InputError, match=r"project: 'mux', a module that the project has already"):
        write_unrolled(trace_network(quantized), quantized.graph, "mux", 5.0, 5, tmp_path / "project")


@pytest.mark.parametrize("language", SUFFIXES)
def test_two_projects_share_no_module_but_alkaids(language: HdlName, tmp_path: Path) -> None:
    """Tables are named after what is in them."""
    quantized, found = small("sigmoid"), list[set[str]]()
    circuit = trace_network(quantized)
    for name in ("one", "two"):
        written = write_unrolled(circuit, quantized.graph, name, 5.0, 1, tmp_path / name, language)
        assert written.language == language
        declared = re.compile(r"^\s*(?:module|entity)\s+(\w+)\s*(?:is\b|\(|#|;)", re.MULTILINE)
        text = [(tmp_path / name / file).read_text() for file in written.files if not file.startswith("static")]
        found.append({module for each in text for module in declared.findall(each)})
        assert any(module == f"{name}_logic0" for module in found[-1])
    assert {name for name in found[0] & found[1] if not name.startswith("table_")} == set()
