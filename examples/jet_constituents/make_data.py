"""Write particles of jets as a trigger sends them: `python examples/jet_constituents/make_data.py PARTICLES.npz`.

PARTICLES.npz has `x` `[jets, particles, 3]` (pT in GeV, angles from the jet's axis), `y` and `classes`.
"""

import argparse
from pathlib import Path

import numpy as np


def main() -> None:
    """Momenta in units of 0.25 GeV in 12 bits, angles in units of 1/512 in 10 bits, both saturated."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("particles", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "jet_constituents.npz")
    options = parser.parse_args()
    with np.load(options.particles) as given:
        x, labels, classes = given["x"].astype(np.float64), given["y"], given["classes"]
    momentum = np.clip(np.floor(x[..., :1] * 4), 0, 4095)
    angles = np.clip(np.floor(x[..., 1:] * 512), -512, 511)
    words = np.concatenate([momentum, angles], axis=2).astype(np.int16)
    np.savez_compressed(options.out, x=words, y=labels, classes=classes)


if __name__ == "__main__":
    main()
