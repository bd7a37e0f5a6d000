"""Functions of tensors as machine code, where PyTorch can make it."""

import logging
import shutil
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

LOG = logging.getLogger(__name__)
#: Operations after which a value with several readers is kept rather than worked out for each of them: a third of the
#: compiler's own, which takes longer to compile and makes nothing faster here.
OPTIONS: dict[str, str | int | bool] = {"realize_opcount_threshold": 8}


def compiled(function: Callable[..., Any], example: Sequence[Tensor], wanted: bool) -> Callable[..., Sequence[Tensor]]:
    """A function and the gradients that it takes as plain operations, fused and compiled.

    It is called with tensors of the shapes of the example. Without a C++ compiler, or where it fails, the same
    operations run one after another.

    Args:
        function: Takes and returns tensors.
        example: What it may be called with.
        wanted: Whether to compile at all.
    """
    function(*example)  # what it works out once, and keeps, is no part of what is compiled
    plain: Callable[..., Sequence[Tensor]] = make_fx(function)(*example)
    if not wanted or shutil.which("g++") is None:
        return plain
    fast: Callable[..., Sequence[Tensor]] = cast(Any, torch).compile(
        plain, fullgraph=True, dynamic=False, options=OPTIONS
    )
    try:
        fast(*example)
    except RuntimeError as error:
        LOG.warning("a step is not compiled: %s", error)
        return plain
    return fast
