"""The RTL route beside da4ml and alkaid's own torch tracer, on the same integer weights: cells, cycles, seconds.

    python -m venv DA && DA/bin/pip install da4ml==0.6.0
    pip install -e ".[rtl]"
    python benchmarks/rtl.py --da4ml DA/bin/python [--bops N ...]

The jet tagger is built up to its integers at each budget. Three makers turn these into pipelined Verilog with as many
levels of adders in a stage, and Yosys counts the cells of all three for UltraScale+:

- "codesign": `transpile.rtl`, which traces every operation's integer forward by alkaid;
- "alkaid": its torch tracer on a module of torch layers, with floor and clamp where numbers are cut;
- "da4ml": its predecessor's arrays, in a Python of its own (hls4ml wants an older da4ml).

Each maker's own interpreter plays random inputs: "differ" counts those on which it gives other integers than the
reference. hls4ml's C++ cannot stand beside them: what it takes is known only from a vendor's compiler.

How to read the table: cells are synthesized; "stages" are those that each maker says that its pipeline has, which
is not counted in simulation here; "seconds" is the time from weights to Verilog, imports left out.
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from rtl_peers import Ints, Made, Mlp, mlp_of
from rtl_peers.alkaid_torch import by_alkaid
from rtl_peers.ours import by_codesign

from codesign.fixed import Codes
from codesign.hdl.families import FAMILIES, resources
from codesign.hdl.interface import Interface
from codesign.hdl.yosys import count_cells, find_yosys
from codesign.pipeline import build_file
from codesign.quantized import Quantized
from codesign.setting import Setting

ROOT = Path(__file__).parent.parent
CLOCK_NS, LEVELS, SAMPLES, TIMEOUT_S = 5.0, 5, 2000, 7200.0


def built(bops: int, out: Path) -> Quantized:
    """The jet tagger's integers under a budget."""
    settings = [Setting("allocate.budgets", {"bops_campos": bops}, "--bops", ROOT, explicit=True)]
    result = build_file(ROOT / "examples/jets/build.toml", out, set_options=settings, until="finetune.qat")
    return result.design.quantized


def by_da4ml(python: Path, mlp: Mlp, codes: Ints, folder: Path) -> Made:
    """What da4ml makes, in its own Python."""
    mlp.write(folder / "mlp.npz", codes)
    subprocess.run([python, Path(__file__).parent / "rtl_peers/da4ml_program.py", folder, str(LEVELS)], check=True)
    found = np.load(folder / "made.npz")
    return Made("network", int(found["stages"]), found["outputs"], float(found["seconds"]))


def main() -> None:
    """Build, make, count, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--da4ml", type=Path, help="Python that has da4ml 0.6; without it da4ml is left out")
    parser.add_argument("--bops", type=int, nargs="*", default=[200_000], help="budgets of bops_campos")
    parser.add_argument("--out", type=Path, default=Path("build/benchmark-rtl"), help="build directory")
    given = parser.parse_args()
    table, yosys = Table("bops", "maker", "LUT", "FF", "carry", "stages", "seconds", "differ"), find_yosys()
    for bops in given.bops:
        mlp = mlp_of(quantized := built(bops, given.out))
        codes = np.random.default_rng(0).integers(mlp.low, mlp.high + 1, (SAMPLES, mlp.inputs))
        wanted = mlp.run(codes)
        (made,) = quantized.graph.outputs
        own = quantized.run({name: Codes(codes, mlp.formats[0].fraction) for name in quantized.graph.inputs})[made]
        assert (own.real() == wanted).all(), "the layers are not the network's"
        makers: dict[str, Callable[[Path], Made]] = {
            "codesign": partial(by_codesign, quantized, codes, LEVELS),
            "alkaid": partial(by_alkaid, mlp, codes, LEVELS),
        }
        if given.da4ml:
            makers["da4ml"] = partial(by_da4ml, given.da4ml, mlp, codes)
        for name, maker in makers.items():
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                made = maker(folder)
                files = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.v")))
                interface = Interface(made.top, files, CLOCK_NS, made.stages, 1, (), ())
                commands = [FAMILIES["xcup"].command]
                cells, _ = count_cells(yosys, interface, folder, commands, folder / "yosys.log", TIMEOUT_S)
            counts = resources(FAMILIES["xcup"], cells)
            differ = int(np.count_nonzero((made.outputs != wanted).any(1)))
            figures = (counts["lut"], counts["ff"], counts["carry"], made.stages, round(made.seconds, 1), differ)
            table.add_row(str(bops), name, *map(str, figures))
    Console().print(table)


if __name__ == "__main__":
    main()
