"""Loads emulators of networks, all at once, and has 8 threads run the test set of each; every integer must be right.

Usage: python3 host.py ./NAME_vN.so ...; the folder test is looked for beside each. Needs nothing but Python.
"""

import ctypes
import sys
from array import array
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

THREADS = 8


class Emulator:
    """A loaded library, with its test set."""

    def __init__(self, path: str) -> None:
        self.path, library = path, ctypes.CDLL(path)  # local: names of one library are not seen by another
        name, folder = Path(path).stem.rpartition("_v")[0], Path(path).parent / "test"
        self.predict, self.predict_codes = (library[f"{name}_{end}"] for end in ("predict", "predict_codes"))
        for function in (self.predict, self.predict_codes):
            function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
        sizes = [library[f"{name}_inputs"], library[f"{name}_outputs"]]
        for function in sizes:
            function.restype = ctypes.c_size_t
        self.inputs, self.outputs = (function() for function in sizes)
        self.given, self.codes, self.wanted = array("f"), array("q"), array("q")
        for values, file in ((self.given, "inputs.f32"), (self.codes, "inputs.i64"), (self.wanted, "outputs.i64")):
            values.frombytes((folder / file).read_bytes())
        self.steps = array("d", (folder / "steps.f64").read_bytes())
        self.samples = len(self.wanted) // self.outputs

    def compare(self, start: int, stop: int) -> int:
        """Samples with another integer than wanted."""
        count = stop - start
        real, codes = array("f", bytes(4 * count * self.outputs)), array("q", bytes(8 * count * self.outputs))
        for function, given, found in ((self.predict, self.given, real), (self.predict_codes, self.codes, codes)):
            place = given.buffer_info()[0] + start * self.inputs * given.itemsize
            if function(place, found.buffer_info()[0], count):
                raise RuntimeError(f"{self.path}: a null pointer")
        wanted = self.wanted[start * self.outputs : stop * self.outputs]
        numbers: list[float] = [code * self.steps[i % self.outputs] for i, code in enumerate(wanted)]
        rounded = array("f", numbers)
        rows = range(0, count * self.outputs, self.outputs)
        return sum(
            codes[i : i + self.outputs] != wanted[i : i + self.outputs]
            or real[i : i + self.outputs] != rounded[i : i + self.outputs]
            for i in rows
        )


def main() -> int:
    """Compare; returns the exit status."""
    emulators = [Emulator(path) for path in sys.argv[1:]]
    if not emulators:
        print(__doc__, file=sys.stderr)
        return 2
    wrong = dict.fromkeys(emulators, 0)
    with ThreadPoolExecutor(THREADS) as pool:
        tasks = [
            (each, pool.submit(each.compare, each.samples * i // THREADS, each.samples * (i + 1) // THREADS))
            for i in range(THREADS)
            for each in emulators
        ]
        for each, task in tasks:
            wrong[each] += task.result()
    for each, count in wrong.items():
        print(f"{each.path}: {count} of {each.samples} samples with other integers")
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main())
