"""What a check finds in models that other tools make, and that it finds all of it."""

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from onnx import helper

from codesign.check import Finding, Rule, Subject, findings, rules
from codesign.design import Design
from codesign.errors import InputError
from codesign.passes import Context, Pass
from codesign.pipeline import planned
from codesign.target import load_target
from tests.builds import MODEL, Project, make, make_given, run, samples
from tests.load.onnx_nets import dense, model, node, plain_mlp, quantized_mlp, saved

FILES = Path(__file__).parent.parent / "load" / "onnx_files"


def found(path: Path, output: str = "") -> list[Finding]:
    return findings(Subject.of_file(path, load_target("vu13p-l1t", Path()), output))


def effects(items: list[Finding]) -> dict[tuple[str, str], str]:
    """Effect by place and what was found there."""
    return {(item.where, item.found): item.effect for item in items}


def test_every_rule_says_what_it_looks_for() -> None:
    assert len(rules()) >= 10
    for name, kind in rules().items():
        assert issubclass(kind, Rule)
        assert kind.__doc__, name


def test_a_file_in_the_number_system_has_nothing_that_stops_or_changes(tmp_path: Path) -> None:
    path = saved(quantized_mlp(rounding="FLOOR"), tmp_path / "net.onnx")
    assert [item for item in found(path) if item.effect != "note"] == []


def test_the_default_export_of_brevitas() -> None:
    seen = effects(found(FILES / "brevitas_qonnx.onnx"))
    assert seen["x", "scale 0.0446356"] == "changes"
    assert seen["fc1.weight", "scale 0.116496"] == "changes"
    assert seen["fc1.bias", "a float bias"] == "changes"
    assert seen["x", "batch size 1"] == "note"
    assert "stops" not in seen.values()


def test_weights_per_channel_with_batch_norm() -> None:
    seen = effects(found(FILES / "brevitas_conv.onnx"))
    assert seen["conv.weight", "4 scales, one per channel"] == "note"
    assert seen["conv.weight", "4 scales, such as 0.084284"] == "changes"
    assert seen["norm", "folded into conv"] == "note"


def test_qcdq_in_the_place_of_qonnx() -> None:
    assert effects(found(FILES / "brevitas_qcdq.onnx"))["the file", "4 QuantizeLinear nodes (QCDQ)"] == "note"


def test_outputs_to_choose_from() -> None:
    path = FILES / "sklearn_mlp.onnx"
    assert {item.effect for item in found(path)} == {"stops"}
    assert found(path, "probabilities") != found(path)
    assert [item for item in found(path, "probabilities") if item.effect == "stops"] == []


def test_every_unsupported_operator_is_named_not_only_the_first(tmp_path: Path) -> None:
    nodes = [
        node("MatMul", "x w1", "a", "fc1"),
        node("Erf", "a", "b", "erf"),
        node("Sin", "b", "c", "sine"),
        node("MatMul", "c w2", "y", "fc2"),
    ]
    stops = [item for item in found(saved(model(nodes, dense()), tmp_path / "odd.onnx")) if item.effect == "stops"]
    assert [item.where for item in stops] == ["node 'erf' (Erf)", "node 'sine' (Sin)"]


@pytest.mark.parametrize(
    ("build", "where", "text", "effect"),
    [
        (lambda: quantized_mlp({"sw1": 0.1}), "w1", "scale 0.1", "changes"),
        (lambda: quantized_mlp(rounding="UP"), "x", "rounding UP", "changes"),
        (lambda: quantized_mlp(rounding="ROUND"), "relu", "rounding ROUND", "changes"),
    ],
)
def test_scales_and_roundings(
    build: Callable[[], onnx.ModelProto], where: str, text: str, effect: str, tmp_path: Path
) -> None:
    seen = effects(found(saved(build(), tmp_path / "net.onnx")))
    assert (where, text) in seen, seen
    assert seen[where, text] == effect


def test_an_input_with_no_quantizer(tmp_path: Path) -> None:
    built = quantized_mlp()
    kept = [item for item in built.graph.node if item.output[0] != "xq"]
    for item in kept:
        item.input[:] = ["x" if name == "xq" else name for name in item.input]
    del built.graph.node[:]
    built.graph.node.extend(kept)
    seen = effects(found(saved(built, tmp_path / "net.onnx")))
    assert seen["x", "an input with no quantizer"] == "changes"


def test_a_float_file_lacks_no_quantizers(tmp_path: Path) -> None:
    assert [item for item in found(saved(plain_mlp(), tmp_path / "net.onnx")) if item.effect != "note"] == []


@pytest.mark.parametrize("shape", [("batch", "length"), (None, None)])
def test_a_dynamic_shape(shape: tuple[str | None, ...], tmp_path: Path) -> None:
    stops = [item for item in found(saved(plain_mlp(shape=shape), tmp_path / "net.onnx")) if item.effect == "stops"]
    assert any("dynamic shape" in item.found for item in stops), stops


def wide(bits: int, fan_in: int, magnitude: float, bias: float = 0) -> onnx.ModelProto:
    """Two layers; the first multiplies codes of so many bits, with weights that take the sign bit of their format."""
    arrays = dense(sizes=(fan_in, 6, 3))
    fine = {"sx": 2.0 ** (1 - bits), "sw1": 2.0 ** (1 - bits)}
    built = quantized_mlp(fine, rounding="FLOOR", shape=("batch", fan_in))
    for item in built.graph.initializer:
        if item.name in ("nx", "nw1"):
            item.CopyFrom(onnx.numpy_helper.from_array(np.float32(bits), item.name))
        if item.name == "w1":
            item.CopyFrom(onnx.numpy_helper.from_array(np.full_like(arrays["w1"], -magnitude), item.name))
        if item.name == "b1":
            item.CopyFrom(onnx.numpy_helper.from_array(np.full_like(arrays["b1"], bias), item.name))
    return built


@pytest.mark.parametrize(
    ("bits", "fan_in", "magnitude", "needed", "effect"),
    [
        (14, 4, 1, 28, "note"),  # 2**13 * 2**13 * 4
        (24, 64, 1, 52, "note"),
        (24, 128, 1, 53, "note"),
        (24, 256, 1, 54, "stops"),
        (24, 256, 0.5, 53, "note"),
    ],
)
def test_wide_sums(bits: int, fan_in: int, magnitude: float, needed: int, effect: str, tmp_path: Path) -> None:
    seen = effects(found(saved(wide(bits, fan_in, magnitude), tmp_path / "net.onnx")))
    sums = {text: effect for (_, text), effect in seen.items() if text.startswith("sums")}
    assert sums == {f"sums of up to {needed} bits": effect}


@pytest.mark.parametrize(("fan_in", "bias", "code"), [(64, 1, 0), (128, 0, 0), (256, 0, 2)])
def test_wide_sums_stop_the_builds_that_they_are_said_to(fan_in: int, bias: float, code: int, tmp_path: Path) -> None:
    made = make_given(tmp_path / "p")
    saved(wide(24, fan_in, 1, bias), made.folder / "net.onnx")
    x, y = samples()
    made.write_data(np.tile(x, fan_in // x.shape[1]) / 8, y)
    assert bool(stops(made)) == bool(code)
    outcome = made.build("--until", "finetune")
    assert outcome.code == code, outcome.err
    assert bool(code) == ("layer 'fc1': a sum of 54 bits" in outcome.err)


def test_a_layer_over_the_unroll_limit(tmp_path: Path) -> None:
    big = dense(sizes=(4, 1200, 5))
    nodes = [node("MatMul", "x w1", "a", "fc1"), node("Relu", "a", "h", "relu"), node("MatMul", "h w2", "y", "fc2")]
    seen = effects(found(saved(model(nodes, {name: big[name] for name in ("w1", "w2")}), tmp_path / "big.onnx")))
    assert [text for (where, text) in seen if "weights" in text] == ["4,800 weights", "6,000 weights"]


def test_a_softmax_at_the_end_is_said_to_be_taken_off(tmp_path: Path) -> None:
    built = plain_mlp()
    built.graph.node[-1].output[0] = "logits"
    built.graph.node.append(helper.make_node("Softmax", ["logits"], ["y"], name="softmax", axis=-1))
    seen = found(saved(built, tmp_path / "net.onnx"))
    assert any(item.where == "softmax" and item.effect == "note" for item in seen), seen


def test_the_command(tmp_path: Path) -> None:
    shutil.copy(FILES / "sklearn_mlp.onnx", tmp_path / "net.onnx")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    stopped = run("check", "net.onnx", "--json", cwd=tmp_path)
    assert stopped.code == 1
    assert {item["effect"] for item in json.loads(stopped.out)} == {"stops"}
    fine = run("check", "net.onnx", "--output", "probabilities", cwd=tmp_path)
    assert fine.code == 0, fine.err
    assert "0 stop a build" in fine.out
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / "net.onnx").write_bytes(b"not an ONNX file")
    broken = run("check", "net.onnx", cwd=tmp_path)
    assert broken.code == 2
    assert "not a whole ONNX file" in broken.err
    assert run("check", "nothing.onnx", cwd=tmp_path).code == 2


ODD = MODEL.replace("self.fc2(self.relu1(self.fc1(x)))", "self.fc2(torch.erf(self.fc1(x) * x.shape[1]).sin().erf())")


def test_every_unsupported_call_of_a_torch_network_is_named(tmp_path: Path) -> None:
    """What is computed from shapes meets no tensor, and is no finding."""
    made = make(tmp_path / "p")
    made.write_model(ODD.replace("from torch", "import torch\nfrom torch", 1))
    outcome = run("check", str(made.file), "--json")
    assert outcome.code == 1, outcome.err
    (item,) = json.loads(outcome.out)
    assert item["where"] == "layers 'erf', 'sin', 'erf_1'"
    assert item["found"] == "unsupported operations torch.erf, Tensor.sin, Tensor.erf"
    assert "layers 'erf', 'sin', 'erf_1': unsupported operations" in made.build().err


def stops(made: Project, *options: str) -> list[str]:
    """What `codesign check` says of a build file that stops a build."""
    outcome = run("check", str(made.file), "--json", *options)
    found = [f"{item['found']}; {item['action']}" for item in json.loads(outcome.out) if item["effect"] == "stops"]
    assert outcome.code == bool(found), outcome.err
    return found


def test_the_flow_of_the_build_file_counts(tmp_path: Path) -> None:
    """What hls4ml does not make stops a build that ends there, with its backend, and no other; all of it is named."""
    made = make(tmp_path / "p")
    made.write_model(
        MODEL.replace("self.relu1(self.fc1(x))", "self.relu1(self.fc1(x).clamp(-1, 1)).clamp(max=2)"),
    )
    oneapi = ("--flow", "hls4ml", "--set", "transpile.backend=oneAPI", "--set", "transpile.io_type=io_stream")
    said = [item for item in stops(made, *oneapi) if "an operation 'clip'" in item]
    assert len(said) == 2
    assert all("(oneAPI, io_stream)" in item and "assumed" not in item for item in said)
    assert stops(made, "--flow", "qonnx") == []
    assert stops(made, "--flow", "hls4ml") == []


def test_a_file_by_itself_is_for_no_flow(tmp_path: Path) -> None:
    """hls4ml's defaults are assumed then, the finding says so, and it stops nothing."""
    nodes = [
        node("MatMul", "x w1", "a", "fc1"),
        node("Reshape", "a shape", "b", "four"),
        node("Flatten", "b", "c", "flatten"),
        node("MatMul", "c w2", "y", "fc2"),
    ]
    weights = {name: dense(sizes=(4, 6, 3))[name] for name in ("w1", "w2")}
    path = saved(model(nodes, {**weights, "shape": np.array([-1, 1, 1, 2, 3])}), tmp_path / "net.onnx")
    (item,) = [item for item in found(path) if "assumed" in item.action]
    assert item.effect == "note"
    assert item.found == "a tensor of shape [1, 1, 2, 3]"
    assert "Vitis and io_parallel are assumed" in item.action


def test_what_the_flow_rtl_refuses_stops_its_builds_alone(tmp_path: Path) -> None:
    pytest.importorskip("alkaid")
    made, options = make(tmp_path / "p"), ("--flow", "rtl", "--set", "transpile.rtl.most_products=3")
    (said,) = stops(made, *options)
    assert "products to unroll" in said
    built = made.build(*options)
    assert built.code == 2
    assert said.split(";")[0] in built.err
    assert stops(made, "--flow", "rtl") == []


@dataclass(frozen=True)
class Never(Pass):
    """A pass of another package, which takes no network."""

    name: ClassVar[str] = "transpile.never"
    early: ClassVar[tuple[str, ...]] = ("graph", "target")

    def refuse(self, design: Design) -> None:
        """Whatever it is."""
        raise InputError("layer 'relu1'", f"a network of {len(design.graph.nodes)} nodes", "none", design.target.name)

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Never."""
        raise NotImplementedError


def test_every_pass_is_asked_what_it_refuses(tmp_path: Path) -> None:
    steps, target = planned(make(tmp_path / "p").file, flow="qonnx")
    assert [item for item in findings(Subject.of_passes(steps, target)) if item.effect == "stops"] == []
    (item,) = [item for item in findings(Subject.of_passes([*steps, Never()], target)) if item.effect == "stops"]
    assert (item.where, item.found, item.action) == ("layer 'relu1'", "a network of 3 nodes", target.name)


def test_options_of_a_build_for_an_onnx_file(tmp_path: Path) -> None:
    path = saved(plain_mlp(), tmp_path / "net.onnx")
    for options in (["--flow", "hls4ml"], ["--set", "transpile.io_type=io_stream"]):
        outcome = run("check", str(path), *options)
        assert outcome.code == 2
        assert "for an ONNX file; wanted: a build file" in outcome.err


def test_a_build_file(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent.parent
    outcome = run("check", str(root / "examples" / "jets" / "build.toml"), cwd=tmp_path)
    assert outcome.code == 0, outcome.err
    assert "0 stop a build" in outcome.out
    assert list(tmp_path.iterdir()) == []
