"""Trained weights from a file, never by running a pickle."""

import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from codesign.errors import InputError

_ADVICE = "save the state_dict with safetensors.torch.save_file (or torch.save of plain tensors)"


def load_checkpoint(module: nn.Module, path: Path) -> None:
    """Load a state dict into a module.

    Args:
        module: Receives the weights.
        path: A safetensors file, or a ``torch.save`` file that loads with ``weights_only=True``.

    Raises:
        InputError: The file can't be read or would run code, or its tensors don't fit the module.
    """
    found = _read(path)
    wanted = module.state_dict()
    for name, tensor in wanted.items():
        if name not in found:
            holds = f"no tensor {name!r}; it holds {', '.join(sorted(found)[:4])}{', ...' if len(found) > 4 else ''}"
            raise InputError(f"{path}", holds, f"{name!r} of shape {list(tensor.shape)}, by the network")
        if found[name].shape != tensor.shape:
            raise InputError(
                f"{path}, tensor {name!r}",
                f"shape {list(found[name].shape)} in the checkpoint",
                f"{list(tensor.shape)}, as in the network",
            )
    if extra := sorted(set(found) - set(wanted)):
        raise InputError(f"{path}", f"tensors that the network does not have: {', '.join(extra)}", "the same network")
    module.load_state_dict(found)


def check_finite(module: nn.Module) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        InputError: Names the tensor and counts the values.
    """
    for name, tensor in module.state_dict().items():
        if tensor.is_meta or isinstance(tensor, UninitializedParameter):
            raise InputError(f"weights {name!r}", "no values yet", "layers with sizes and weights")
        if tensor.is_floating_point() and (bad := int(np.count_nonzero(~np.isfinite(tensor.cpu().float().numpy())))):
            raise InputError(
                f"weights {name!r}", f"{bad} of {tensor.numel()} values are NaN or infinite", "finite numbers"
            )


def _read(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        head = file.read(9)
    if head[8:9] == b"{":  # safetensors: eight bytes of length, then a JSON header
        try:
            return safetensors.torch.load_file(path)  # pyright: ignore[reportUnknownMemberType]
        except SafetensorError as error:
            raise InputError(str(path), f"not a whole safetensors file: {error}", "", _ADVICE) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's remarks on the file's make
            loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  (a damaged file makes the unpickler raise anything; its advice is unsafe)
        raise InputError(
            str(path), "refused: damaged, or more than plain tensors (a pickle could run code)", "safetensors", _ADVICE
        ) from None
    table = cast(dict[str, Any], loaded) if isinstance(loaded, dict) else {}
    if not table or not all(isinstance(value, Tensor) for value in table.values()):
        inner = [name for name, value in table.items() if isinstance(value, dict)]
        found = f"not a state_dict{f' (is it under {inner[0]!r}?)' if inner else ''}"
        raise InputError(str(path), found, "tensors by name", _ADVICE)
    return table
