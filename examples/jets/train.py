"""Train the float jet tagger: `python examples/jets/train.py`, about 10 s on two cores."""

import argparse
from pathlib import Path

import torch
from rich.progress import track
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from codesign.design import Dataset
from codesign.load.npz import Npz
from model import JetTagger

HERE = Path(__file__).parent


def load(path: Path) -> Dataset:
    """The jets as the build file splits and normalizes them."""
    return Npz(path, (0, 48000), (48000, 64000), (64000, 80000), classes="classes", normalize="standard").read()


def accuracy(model: JetTagger, inputs: Tensor, labels: Tensor) -> float:
    """Fraction of jets ``[jets, 16]`` put in their class."""
    with torch.no_grad():
        return float((model(inputs).argmax(1) == labels).float().mean())


def main() -> None:
    """Train with Adam on a cosine, keep the epoch with the least validation loss, save it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=HERE / "lhc_jets.npz")
    parser.add_argument("--out", type=Path, default=HERE / "jet_tagger.safetensors")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    torch.set_num_threads(1)  # the same weights on every machine with the same torch
    dataset = load(options.data)
    parts = [dataset.split(name) for name in ("train", "validation", "test")]
    (x, y), (xv, yv), (xt, yt) = [
        (torch.from_numpy(part.inputs[0].copy()), torch.from_numpy(part.labels.copy())) for part in parts
    ]
    model = JetTagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=options.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    best, kept = float("inf"), {name: value.clone() for name, value in model.state_dict().items()}
    for _ in track(range(options.epochs), "training"):
        for rows in torch.randperm(len(y)).split(512):
            optimizer.zero_grad(set_to_none=True)
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        schedule.step()
        with torch.no_grad():
            loss = float(functional.cross_entropy(model(xv), yv))
        if loss < best:
            best, kept = loss, {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    print(f"validation loss {best:.4f}, accuracy {accuracy(model, xv, yv):.4f}")
    print(f"test accuracy {accuracy(model, xt, yt):.4f}")
    save_file(kept, options.out)


if __name__ == "__main__":
    main()
