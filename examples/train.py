"""Train the float network of an example: `python examples/train.py examples/jets/build.toml`.

The build file says where the data, the splits and the network are; the weights go where it looks for them.
"""

import argparse
import importlib
import sys
import tomllib
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor, nn

from codesign.design import Dataset, SplitName
from codesign.load._preprocess import preprocessing
from codesign.load.npz import Npz
from codesign.torch_forward import mean_loss, split_tensors
from codesign.typed import parse


def load(build_file: Path, table: dict[str, Any], data: Path | None) -> Dataset:
    """The data as the build file splits and normalizes it, from its own file or another."""
    options = table["load"]["npz"]
    path = build_file.parent / options["data"] if data is None else data
    return parse(Npz, options | {"data": str(path)}, str(build_file)).read()


def named(build_file: Path, table: dict[str, Any], key: str) -> Any:
    """What the build file names in the network's Python file; None if it names nothing."""
    options = table["load"]["torch"]
    path = build_file.parent / options["model"]
    sys.path.insert(0, str(path.parent))
    return getattr(importlib.import_module(path.stem), options[key]) if key in options else None


def tensors(dataset: Dataset, name: SplitName, step: Any) -> tuple[Tensor, Tensor]:
    """Inputs of a split, after the step before the network if there is one, and what is wanted of them."""
    inputs, wanted = split_tensors(dataset.split(name))
    if step is not None:
        inputs = preprocessing(step, dataset)[0](*inputs)
    return inputs[0].float(), wanted


@torch.no_grad()
def quality(model: nn.Module, inputs: Tensor, wanted: Tensor) -> str:
    """Loss, and for a classifier the share of samples put in their class."""
    outputs = model(inputs)
    text = f"loss {float(mean_loss(outputs, wanted)):.4f}"
    if wanted.is_floating_point():
        return text
    return f"{text}, accuracy {float((outputs.argmax(1) == wanted).float().mean()):.4f}"


def main() -> None:
    """Train with Adam on a cosine, keep the epoch with the least validation loss, save it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build_file", type=Path)
    parser.add_argument("--data", type=Path, help="another file of the same arrays")
    parser.add_argument("--out", type=Path, help="default: the build file's checkpoint")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(1)  # the same weights on every machine with the same torch
    table = tomllib.loads(options.build_file.read_text())
    dataset = load(options.build_file, table, options.data)
    step = named(options.build_file, table, "preprocess")
    (x, y), validation, test = (tensors(dataset, name, step) for name in ("train", "validation", "test"))
    model = named(options.build_file, table, "factory")()
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    best, kept = float("inf"), {name: value.clone() for name, value in model.state_dict().items()}
    for _ in track(range(options.epochs), "training"):
        model.train()
        for rows in torch.randperm(len(y)).split(options.batch):
            optimizer.zero_grad(set_to_none=True)
            mean_loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        model.eval()
        with torch.no_grad():
            loss = float(mean_loss(model(validation[0]), validation[1]))
        if loss < best:
            best, kept = loss, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    print(f"validation: {quality(model, *validation)}")
    print(f"test: {quality(model, *test)}")
    save_file(kept, options.out or options.build_file.parent / table["load"]["torch"]["checkpoint"])


if __name__ == "__main__":
    main()
