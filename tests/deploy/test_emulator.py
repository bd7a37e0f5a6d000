"""The emulator gives the reference's integers for every input, through every interface, and stands beside others."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from codesign.deploy._compare import compared, expected, flat, write_test_set
from codesign.deploy._library import Library
from codesign.deploy._program import program
from codesign.deploy.emulator import Emulator
from codesign.deployment import deploy
from codesign.errors import InputError
from codesign.fixed import Fixed
from codesign.hdl.circuit import trace_network
from codesign.load._fx import graph_from_module
from codesign.network import QuantizedNetwork
from codesign.passes import Context
from codesign.quantized import Quantized
from codesign.setting import Setting
from codesign.store import Store
from tests import strategies
from tests.builds import copy, finished, samples
from tests.deploy.emulators import Loaded, compiled
from tests.networks import STAGES, Plan, build_network, plans

needs_gcc = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++")
#: Every opcode: tables, products, comparisons.
MIXED = Plan(1, ("gated", "leaky"), "flatten", (True, True, True), ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
SETS = ("plain", "avx2", "avx512")


def wide(signed: bool = True) -> Quantized:
    """Two inputs, the first with a format for each element, and two outputs; numbers of more than 32 bits."""

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Linear(3, 4), nn.Linear(2, 4)

        def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            a, b = self.one(x), self.other(y)
            return a + b, b.relu()

    torch.manual_seed(5)
    graph, _ = graph_from_module(Two().eval(), [(3,), (2,)], "inside")
    first, second = graph.inputs
    formats = dict.fromkeys(graph.activations(), Fixed(True, 12, 4))
    formats[first] = Fixed(np.array([True, False, signed]), np.array([20, 9, 31]), np.array([5, 9, 11]))
    formats[second] = Fixed(True, 34, 10)
    formats |= {name: Fixed(True, 9, 1) for name in graph.weights()}
    return QuantizedNetwork(graph, formats).freeze(graph.parameters)


def edges(quantized: Quantized, count: int = 300) -> list[np.ndarray]:
    """Random inputs in range and out of it, ends, halves of the last place, zeros of both signs, denormals."""
    random = np.random.default_rng(3)
    found: list[np.ndarray] = []
    for name, shape in quantized.graph.inputs.items():
        fixed = quantized.formats[name]
        step = 2.0 ** -np.asarray(fixed.fraction, np.float64)
        low, high = (np.broadcast_to(np.asarray(end) * step, shape) for end in (fixed.low, fixed.high))
        inside = random.uniform(low, high + step, (count, *shape))
        ends = np.stack([low, high, low - step, high + step, low + step / 2, -step / 2 + 0 * low, low * 1e30])
        odd = np.broadcast_to(
            np.array([0.0, -0.0, 1e-42, -1e-42, 3.4e38, -3.4e38]).reshape(-1, *[1] * len(shape)), (6, *shape)
        )
        found.append(np.concatenate([inside, inside * 8, ends, odd]).astype(np.float32))
    return found


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return compiled(build_network(MIXED).quantized, tmp_path_factory.mktemp("mixed") / "emulator", "mixed", 3)


@needs_gcc
def test_it_gives_the_references_integers(mixed: Loaded) -> None:
    mixed.assert_exact(edges(mixed.quantized))
    mixed.assert_exact([x[:1] for x in edges(mixed.quantized)])
    assert mixed.call("predict", np.zeros((0, mixed.library.program.inputs), np.float32)).size == 0


@needs_gcc
def test_what_is_no_number_is_zero_and_infinities_saturate(mixed: Loaded) -> None:
    rows = flat([np.zeros((3, *shape)) for shape in mixed.quantized.graph.inputs.values()])
    odd = rows.copy()
    odd[0, 0], odd[1, 0], odd[2, 0] = np.nan, np.inf, -np.inf
    rows[1, 0], rows[2, 0] = 3e38, -3e38
    np.testing.assert_array_equal(mixed.call("predict", odd), mixed.call("predict", rows))


@needs_gcc
def test_it_exports_its_own_names_alone(mixed: Loaded) -> None:
    listing = subprocess.run(["nm", "-D", "--defined-only", mixed.path], capture_output=True, text=True, check=True)
    names = {line.split()[-1] for line in listing.stdout.splitlines()}
    assert names == {"create_model", "destroy_model", *mixed.library.symbols}
    every = subprocess.run(["nm", "-C", "--defined-only", mixed.path], capture_output=True, text=True, check=True)
    functions = [line.split(maxsplit=2)[2] for line in every.stdout.splitlines() if line.split()[1] in "tT"]
    runtime = ("std::", "_", "deregister_tm_clones", "register_tm_clones", "frame_dummy")
    runtime += ("get_available_features", "set_cpu_feature", "has_cpu_feature")  # of the compiler's own library
    own = [name for name in functions if name not in names and not name.startswith(runtime)]
    assert len(own) > 3 * 4
    assert [name for name in own if "mixed_v3::" not in name] == []


@needs_gcc
def test_a_wrong_weight_is_seen(mixed: Loaded, tmp_path: Path) -> None:
    """The comparison of the pass can fail."""
    name = mixed.quantized.graph.weights()[-1]
    codes = mixed.quantized.codes[name].copy()
    codes.flat[0] += -1 if codes.flat[0] > 0 else 1
    changed = replace(mixed.quantized, codes={**mixed.quantized.codes, name: codes})
    test, context = edges(mixed.quantized), Context(Store(tmp_path / "store"), tmp_path)
    right = compared(mixed.library, mixed.quantized, test, mixed.folder, context, "g++")
    wrong = compared(mixed.library, changed, test, mixed.folder, context, "g++")
    assert (right.status, right.mismatches, wrong.status) == ("exact", 0, "differs")
    assert 0 < wrong.mismatches <= wrong.inputs == right.inputs


@pytest.mark.parametrize("name", ["2jets", "a-b", "", "class", "jets; rm", "ünit", "std"])
def test_a_name_must_be_a_c_identifier(name: str) -> None:
    with pytest.raises(InputError, match=r"deploy\.emulator, project.*C identifier"):
        Emulator(project=name)


@pytest.mark.parametrize("options", [{"version": -1}, {"timeout_s": 0.0}])
def test_numbers_that_make_no_sense(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"deploy\.emulator, (version|timeout_s)"):
        Emulator(**options)


@needs_gcc
def test_it_is_made_of_a_build_with_a_manifest_and_a_test_set(tmp_path: Path) -> None:
    project = copy(finished(), tmp_path / "project")
    given = {"project": "tiny", "version": 2}
    options = [Setting(f"deploy.emulator.{key}", value, "test", Path(), explicit=True) for key, value in given.items()]
    result = deploy(project.out, ["emulator"], options)
    check = next(row for row in result.report["checks"] if row["to"] == "emulator")
    assert (check["status"], check["mismatches"]) == ("exact", 0)
    assert check["inputs"] > 400 * 2
    folder = project.out / "emulator"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["name"], manifest["version"], manifest["library"]) == ("tiny", 2, "tiny_v2.so")
    (tensor,), (made,) = manifest["inputs"], manifest["outputs"]
    assert tensor["formats"] == [project.report()["input"]["formats"][tensor["name"]]]
    assert (tensor["shape"], made["shape"], manifest["normalization"]) == ([4], [3], None)
    assert manifest["proof"]["status"] == "proven"
    assert [(row["to"], row["status"]) for row in manifest["proof"]["checks"]] == [
        ("numpy", "exact"), ("qonnx", "exact"), ("hls4ml", "not_checked"), ("emulator", "exact"),
    ]  # fmt: skip
    assert {row["license"] for row in manifest["licenses"]} == {"Apache-2.0", ""}
    assert "hls4ml: not checked: this flow makes no hls4ml" in (folder / "README.md").read_text()
    found = subprocess.run(["python3", folder / "host.py", folder / "tiny_v2.so"], capture_output=True, text=True)
    assert (found.returncode, found.stderr) == (0, "")
    assert ": 0 of 400 samples" in found.stdout
    inputs = np.fromfile(folder / "test" / "inputs.f32", "<f4").reshape(400, 4)
    np.testing.assert_array_equal(inputs, samples()[0][1600:])


def test_without_a_compiler_it_says_how_to_get_one(tmp_path: Path) -> None:
    project = copy(finished(), tmp_path / "project")
    options = [Setting("deploy.emulator.compiler", "no-such-g++", "test", Path(), explicit=True)]
    with pytest.raises(InputError, match=r"no-such-g\+\+.*not on PATH"):
        deploy(project.out, ["emulator"], options)


# What takes its time.


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("instructions", SETS)
@pytest.mark.parametrize("make", [lambda: build_network(MIXED).quantized, wide], ids=["mixed", "wide"])
def test_every_instruction_set(make: Callable[[], Quantized], instructions: str, tmp_path: Path) -> None:
    flags = {"avx2": "avx2", "avx512": "avx512vl"}.get(instructions)
    if flags and flags not in Path("/proc/cpuinfo").read_text():
        pytest.skip(f"this machine has no {instructions}")
    loaded = compiled(make(), tmp_path / "emulator", flags=[f"-DEMULATOR_SET={instructions}"])
    loaded.assert_exact(edges(loaded.quantized))


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("flags", [(True, True, True), (False, False, False)])
def test_every_operation(stage: str, flags: tuple[bool, ...], tmp_path: Path) -> None:
    plan = Plan(1, (stage, "pointwise"), "flatten", flags, ((5, 1),), ((6, 2),), Fixed(True, 6, 2), 4)
    if not exact(build_network(plan), tmp_path / "emulator"):
        pytest.skip("its outputs are the same for every input")


def exact(network: strategies.Network, folder: Path) -> bool:
    """An emulator without optimization gives the reference's integers; false if the network can't be traced."""
    try:
        loaded = compiled(network.quantized, folder, flags=["-O0"])
    except InputError:
        return False
    loaded.assert_exact([network.inputs(200)])
    loaded.assert_exact(edges(network.quantized, 50))
    return True


few = settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
#: No result has more than 32 bits, but a sum on the way to one.
FINER = Plan(
    1, ("selected", "averaged"), "flatten", (True, False, True), ((13, -2),), ((10, 0), (10, 2), (10, 0), (10, 0)),
    Fixed(False, 11, 3), 0, ((7, 0), (5, 3)),
)  # fmt: skip
WIDE = plans(weights=(8, 14), activations=(10, 16))
WIDE_DENSE = strategies.plans(weight_widths=(10, 18), activation_widths=(12, 20))


def held(network: strategies.Network) -> bool:
    """Whether alkaid's own interpreter gives the reference's integers: its constants lose bits beyond 24."""
    quantized = network.quantized
    try:
        circuit = trace_network(quantized)
    except InputError:
        return False
    library = Library("toy", 1, circuit, program(circuit.logic), quantized.graph.shapes())
    codes, wanted = expected(library, quantized, [network.inputs(50)])
    return bool((circuit.logic.predict(codes.astype(float), n_threads=1) == wanted).all())


@needs_gcc
@pytest.mark.slow
@few
@given(plans())
def test_random_networks(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    assume(exact(build_network(plan), tmp_path_factory.mktemp("random") / "emulator"))


@needs_gcc
@pytest.mark.slow
@few
@given(WIDE)
@example(FINER)
def test_wide_random_networks(tmp_path_factory: pytest.TempPathFactory, plan: Plan) -> None:
    network = build_network(plan)
    assume(held(network))
    assert exact(network, tmp_path_factory.mktemp("wide") / "emulator")


@needs_gcc
@pytest.mark.slow
@few
@given(strategies.plans() | WIDE_DENSE, st.integers(1, 40))
def test_random_dense_networks(tmp_path_factory: pytest.TempPathFactory, plan: strategies.Plan, length: int) -> None:
    """Cut into functions of any length."""
    from codesign.deploy import _library

    network = strategies.build_network(plan)
    assume(held(network))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_library, "LENGTH", length)
        assert exact(network, tmp_path_factory.mktemp("dense") / "emulator")


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> list[Loaded]:
    """Two different models, and a second version of one, with their test sets."""
    folder = tmp_path_factory.mktemp("beside")
    networks = [("toy", 1, build_network(MIXED).quantized), ("other", 1, wide()), ("toy", 2, wide(signed=False))]
    found = [compiled(each, folder / f"{name}{version}", name, version) for name, version, each in networks]
    for each in found:
        write_test_set(each.library, each.quantized, edges(each.quantized), each.folder / "test")
    return found


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("host", ["C++", "Python"])
def test_hosts_run_several_models_at_once(beside: list[Loaded], host: str) -> None:
    folder = beside[0].folder
    if host == "C++":
        subprocess.run(["make", "host"], cwd=folder, check=True, capture_output=True)
    program = [folder / "host"] if host == "C++" else ["python3", folder / "host.py"]
    command = [*program, *(each.path for each in beside)]
    right = subprocess.run(command, capture_output=True, text=True, check=False)
    assert right.returncode == 0, right.stdout + right.stderr
    assert right.stdout.count(": 0 of ") == len(beside)
    wanted = beside[1].folder / "test" / "outputs.i64"
    before = wanted.read_bytes()
    wanted.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    try:
        wrong = subprocess.run(command, capture_output=True, text=True, check=False)
    finally:
        wanted.write_bytes(before)
    assert wrong.returncode == 1
    assert wrong.stdout.count(": 0 of ") == len(beside) - 1
    assert ": 1 of " in wrong.stdout


@needs_gcc
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["address,undefined", "thread"])
def test_sanitizers_find_nothing(beside: list[Loaded], kind: str, tmp_path: Path) -> None:
    paths: list[Path] = []
    for index, each in enumerate(beside):
        folder = shutil.copytree(each.folder, tmp_path / str(index))
        flags = [f"-fsanitize={kind}", "-fno-sanitize-recover=all", "-O1", "-g"]
        make = ["make", "-B", f"NAME={each.library.name}", f"CXXFLAGS={' '.join(flags)}"]
        subprocess.run(make, cwd=folder, check=True, capture_output=True)
        paths.append(folder / each.library.file)
    # A shadow memory and address space layout randomization do not go together on every kernel.
    still = ["setarch", os.uname().machine, "-R"] if kind == "thread" else []
    found = subprocess.run([*still, tmp_path / "0" / "host", *paths], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "Sanitizer" not in found.stderr


ANY = r"""
#include <any>
#include <array>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include "emulator.h"
#include "ap_fixed.h"
extern "C" hls4mlEmulator::Model *create_model();
extern "C" void destroy_model(hls4mlEmulator::Model *);
int main() {
  std::unique_ptr<hls4mlEmulator::Model, void (*)(hls4mlEmulator::Model *)> model(create_model(), destroy_model);
  std::array<INPUT_T, INPUTS> given{};
  given[0] = 1.25; given[INPUTS - 1] = -0.5;
  std::array<float, INPUTS> same{};
  for (int i = 0; i < INPUTS; ++i) same[i] = given[i].to_float();
  std::array<RESULT_T, OUTPUTS> one;
  std::array<double, OUTPUTS> other;
  model->prepare_input(static_cast<INPUT_T *>(given.data()));
  model->predict();
  model->read_result(one.data());
  model->prepare_input(&same);
  model->predict();
  model->read_result(&other);
  for (int i = 0; i < OUTPUTS; ++i) if (one[i].to_double() != other[i]) return 1;
  typedef const std::invalid_argument &Error;
  try { model->prepare_input(std::any(1)); return 2; } catch (Error error) { std::puts(error.what()); }
  try { model->read_result(std::string()); return 3; } catch (Error error) { std::puts(error.what()); }
}
"""


@needs_gcc
@pytest.mark.slow
def test_arrays_of_ap_fixed_are_taken_where_asked_for(beside: list[Loaded], tmp_path: Path) -> None:
    import hls4ml

    from codesign.deploy._library import ap_type

    types = Path(str(hls4ml.__file__)).parent / "templates" / "vivado" / "ap_types"
    each = beside[0]
    folder = shutil.copytree(each.folder, tmp_path / "emulator")
    subprocess.run(["make", "-B", each.library.file, f"AP_TYPES={types}"], cwd=folder, check=True, capture_output=True)
    (folder / "any.cpp").write_text(ANY)
    circuit = each.library.circuit
    defines = {"INPUT_T": ap_type(circuit.inputs), "RESULT_T": ap_type(circuit.outputs)}
    defines |= {"INPUTS": each.library.program.inputs, "OUTPUTS": len(each.library.program.outputs)}
    command = ["g++", "-std=c++17", "-w", "-Iinclude", f"-isystem{types}", *(f"-D{k}={v}" for k, v in defines.items())]
    subprocess.run(
        [*command, "any.cpp", f"./{each.library.file}", "-Wl,-rpath,$ORIGIN", "-o", "any"], cwd=folder, check=True
    )
    found = subprocess.run(["./any"], cwd=folder, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert found.stdout.count("README.md") == 2


def test_expected_codes_are_the_references(mixed: Loaded) -> None:
    inputs = edges(mixed.quantized)
    codes, wanted = expected(mixed.library, mixed.quantized, inputs)
    (outputs,) = mixed.quantized.outputs(inputs)
    np.testing.assert_array_equal(wanted * np.array(mixed.library.steps()), outputs.real())
    assert codes.shape == (len(inputs[0]), mixed.library.program.inputs)
