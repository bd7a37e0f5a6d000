"""Checkpoints: what loads, what is refused, and that nothing in a file is ever run."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save, save_file
from torch import Tensor, nn

from codesign.errors import InputError
from codesign.load._checkpoint import check_finite, load_checkpoint
from codesign.load.torch import Torch


def network() -> nn.Sequential:
    """Two layers and a batch norm."""
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


def other_state(seed: int = 1) -> dict[str, Tensor]:
    """A state dict with its own numbers."""
    generator = torch.Generator().manual_seed(seed)
    state = network().state_dict()
    return {
        name: torch.randn(value.shape, generator=generator) if value.is_floating_point() else value + 7
        for name, value in state.items()
    }


def write(state: dict[str, Tensor], path: Path, how: str) -> Path:
    """Save a state dict in one of the formats that load."""
    if how == "safetensors":
        save_file(state, path)
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how == "zip")
    return path


@pytest.mark.parametrize("how", ["safetensors", "zip", "legacy"])
def test_weights_are_those_of_the_file(how: str, tmp_path: Path) -> None:
    module, state = network(), other_state()
    load_checkpoint(module, write(state, tmp_path / "weights", how))
    assert all(torch.equal(module.state_dict()[name], value) for name, value in state.items())


@pytest.mark.parametrize("protocol", [2, 5])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pickle_that_runs_code_is_refused_and_not_run(protocol: int, wrapped: bool, tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (canary,)

    path = tmp_path / "weights.pt"
    payload = {**other_state(), "extra": Malicious()} if wrapped else Malicious()
    if wrapped:
        torch.save(payload, path)
    else:
        path.write_bytes(pickle.dumps(payload, protocol=protocol))
    with pytest.raises(InputError, match=r"refused.*could run code.*safetensors"):
        load_checkpoint(network(), path)
    assert not canary.exists()
    pickle.loads(pickle.dumps(Malicious()))
    assert canary.exists(), "the payload of this test must be able to run"


def test_a_whole_module_is_refused(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "module.pt")
    with pytest.raises(InputError, match=r"module.pt: refused.*save the state_dict"):
        load_checkpoint(network(), tmp_path / "module.pt")


@pytest.mark.parametrize("content", [[torch.ones(3)], {"epoch": 3, "state": {}}, torch.ones(2)])
def test_what_is_not_a_state_dict(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(InputError, match=r"weights.pt: .*not a state_dict"):
        load_checkpoint(network(), tmp_path / "weights.pt")


@pytest.mark.parametrize("how", ["safetensors", "zip", "legacy"])
@settings(deadline=None, max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file(how: str, share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write(other_state(), tmp_path_factory.mktemp("truncated") / "weights", how)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])  # of the same network a file has not always as many bytes
    with pytest.raises(InputError, match="weights"):
        load_checkpoint(network(), path)


@settings(deadline=None, max_examples=100)
@given(content=st.binary(max_size=200))
def test_any_other_file(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("noise") / "weights"
    path.write_bytes(content)
    with pytest.raises(InputError, match="weights"):
        load_checkpoint(network(), path)


@settings(deadline=None, max_examples=60)
@given(
    place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), how=st.sampled_from(["safetensors", "legacy"])
)
def test_a_damaged_file_loads_or_is_refused(
    place: float, byte: int, how: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = write(other_state(), tmp_path_factory.mktemp("damaged") / "weights", how)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] = byte
    path.write_bytes(content)
    try:
        load_checkpoint(network(), path)
    except InputError as error:
        assert "weights" in str(error)


def test_a_shape_that_does_not_fit_names_both(tmp_path: Path) -> None:
    state = {**other_state(), "2.weight": torch.ones(2, 5)}
    path = write(state, tmp_path / "weights.safetensors", "safetensors")
    with pytest.raises(InputError, match=r"'2.weight': shape \[2, 5\] in the checkpoint; wanted: \[2, 4\]"):
        load_checkpoint(network(), path)


def test_a_missing_tensor(tmp_path: Path) -> None:
    state = other_state()
    del state["2.bias"]
    with pytest.raises(InputError, match=r"no tensor '2.bias'; it holds .*; wanted: '2.bias' of shape \[2\]"):
        load_checkpoint(network(), write(state, tmp_path / "weights.pt", "zip"))


def test_tensors_too_many(tmp_path: Path) -> None:
    state = {**other_state(), "4.weight": torch.ones(1), "3.bias": torch.ones(1)}
    with pytest.raises(InputError, match=r"does not have: 3.bias, 4.weight"):
        load_checkpoint(network(), write(state, tmp_path / "weights.pt", "zip"))


def test_a_refused_file_changes_nothing(tmp_path: Path) -> None:
    module = network()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(InputError):
        load_checkpoint(module, write({**other_state(), "9": torch.ones(1)}, tmp_path / "weights.pt", "zip"))
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


@settings(deadline=None)
@given(st.integers(0, 7), st.integers(0, 4))
def test_numbers_that_are_none_are_counted(nans: int, infinities: int) -> None:
    module = network()
    check_finite(module)
    with torch.no_grad():
        flat = module[0].weight.view(-1)
        flat[:nans] = float("nan")
        flat[nans : nans + infinities] = float("-inf")
    if nans + infinities == 0:
        check_finite(module)
        return
    with pytest.raises(InputError, match=f"weights '0.weight': {nans + infinities} of 12 values are NaN or infinite"):
        check_finite(module)


def test_statistics_are_checked_too() -> None:
    module = network()
    module[1].running_var[2] = float("inf")
    with pytest.raises(InputError, match=r"weights '1.running_var': 1 of 4"):
        check_finite(module)


def test_the_safetensors_header_alone_decides(tmp_path: Path) -> None:
    """A file is known by its content, not by the ending of its name."""
    path = tmp_path / "weights.pt"
    path.write_bytes(save(other_state()))
    module = network()
    load_checkpoint(module, path)
    assert torch.equal(module[2].bias, other_state()["2.bias"])


def test_what_other_builds_wrote_is_no_part_of_the_network(tmp_path: Path) -> None:
    """hls4ml's projects have Python files of their own."""
    step = Torch(tmp_path / "model.py", "Net", tmp_path / "weights.safetensors")
    for name in ("model.py", "layers/blocks.py", "out/hls4ml/tool.py", "out/.codesign/lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert {path.relative_to(tmp_path).as_posix() for path in step.files()} == {
        "model.py",
        "layers/blocks.py",
        "weights.safetensors",
    }
