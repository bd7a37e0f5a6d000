"""Write scikit-learn's handwritten digits as `digits.npz`: `python examples/digits/make_data.py`.

The set is the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and C. Kaynak, UCI Machine Learning
Repository, CC BY 4.0): 1797 images of 8x8 pixels, 0 to 16.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits


def main() -> None:
    """Shuffle once, so that rows can be splits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "digits.npz")
    options = parser.parse_args()
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = digits.images[order].astype(np.uint8)[:, None]  # [images, channels, rows, columns]
    np.savez_compressed(
        options.out, x=images, y=digits.target[order].astype(np.uint8), classes=np.array([str(n) for n in range(10)])
    )


if __name__ == "__main__":
    main()
