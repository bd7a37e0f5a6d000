"""Makes a jet sample like lhc_jets.npz: `python examples/jets/generate.py --jets 1000 --out jets.npz`.

pp collisions at 13 TeV with hard partons near 1 TeV; the leading jet of each event, in five balanced classes.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from jet_physics import CLASSES, EXTRAS, JetError, extra, jets_of_events, new_file, save_sample

CHUNK = 500  # jets of one class with one seed; fixed, so that the number of workers changes nothing
BATCH = 100  # events that are clustered together
QUIET = ("Print:quiet = on",)
COLLISION = ("Beams:idA = 2212", "Beams:idB = 2212", "Beams:eCM = 13000.")
HADRONIC = ("24:onMode = off", "24:onIfAny = 1 2 3 4 5", "23:onMode = off", "23:onIfAny = 1 2 3 4 5")


@dataclass(frozen=True)
class Process:
    """The hard process of a class: Pythia settings, and the |PDG ids| of the partons that may start its jet.

    An undecayed process puts its bosons or tops on their pole mass and hands them to the shower through an LHE file.
    """

    settings: tuple[str, ...]
    partons: tuple[int, ...]
    undecayed: bool = False


PROCESSES = {
    "g": Process(("HardQCD:gg2gg = on", "HardQCD:qqbar2gg = on"), (21,)),
    "q": Process(("HardQCD:qq2qq = on", "HardQCD:gg2qqbar = on", "HardQCD:qqbar2qqbarNew = on"), (1, 2, 3, 4, 5)),
    "w": Process(("WeakDoubleBoson:ffbar2WW = on",), (24,), undecayed=True),
    "z": Process(("WeakDoubleBoson:ffbar2gmZgmZ = on", "WeakZ0:gmZmode = 2"), (23,), undecayed=True),
    "t": Process(("Top:gg2ttbar = on", "Top:qqbar2ttbar = on"), (6,), undecayed=True),
}


@dataclass(frozen=True)
class Chunk:
    """A part of a sample that one worker makes.

    Attributes:
        label: The class, one of `CLASSES`.
        jets: How many.
        seed: Of the sample, class and part; with the same ones come the same jets.
        folder: Where the temporary LHE file goes.
        even_gluons: Keep gluons below the upper end of the pTHat window, as the other classes are.
        matched: Keep a jet only if a hard parton of its class lies within `MATCH_RADIUS`.
    """

    label: str
    jets: int
    seed: tuple[int, int, int]
    folder: Path
    even_gluons: bool
    matched: bool


def make_chunk(chunk: Chunk) -> NDArray[np.float32]:
    """Features [jets, 16] of the leading jet of each event; mass_mmdt in GeV."""
    process = PROCESSES[chunk.label]
    hard_seed, shower_seed, smear_seed = (int(word) for word in np.random.SeedSequence(chunk.seed).generate_state(3))
    pt_hat_max = -1.0 if chunk.label == "g" and not chunk.even_gluons else 1015.0  # GeV; negative: no limit
    window = ("PhaseSpace:pTHatMin = 985.", f"PhaseSpace:pTHatMax = {pt_hat_max}")
    hard = (*QUIET, *COLLISION, *window, *process.settings, *seed_setting(hard_seed))
    if process.undecayed:
        lhe = chunk.folder / f"{chunk.label}_{chunk.seed[-1]}.lhe"
        write_lhe(lhe, hard, events=50 + chunk.jets * 6 // 5)  # some events have no jet in the acceptance
        pythia = start_pythia((*QUIET, *HADRONIC, *seed_setting(shower_seed)), lhe)
    else:
        pythia = start_pythia((*hard, *HADRONIC))
    rng = np.random.default_rng(smear_seed)
    rows: list[NDArray[np.float64]] = []
    while len(rows) < chunk.jets:
        events = pythia.nextBatch(min(BATCH, chunk.jets - len(rows))).prt
        if len(events) == 0:
            raise JetError(f"Pythia made only {len(rows)} of {chunk.jets} {chunk.label} jets")
        rows += jets_of_events(events, process.partons if chunk.matched else (), rng)
    return np.array(rows, np.float32)


def seed_setting(word: int) -> tuple[str, str]:
    """Pythia takes seeds from 1 to 900,000,000."""
    return "Random:setSeed = on", f"Random:seed = {1 + word % 900_000_000}"


def start_pythia(settings: Sequence[str], lhe: Path | None = None) -> Any:
    """An initialized `pythia8mc.Pythia` without banner, that reads its hard processes from `lhe` if there is one."""
    pythia = extra("pythia8mc").Pythia("", False)
    for setting in settings:
        if not pythia.readString(setting):
            raise JetError(f"Pythia does not take the setting '{setting}'")
    if lhe:
        pythia.readString("Beams:frameType = 4")
        pythia.settings.word("Beams:LHEF", str(lhe))  # as a setting in text, the path could hold no blank
    if not pythia.init():
        raise JetError("Pythia does not start with " + "; ".join(settings))
    return pythia


def write_lhe(path: Path, settings: Sequence[str], events: int) -> None:
    """Writes the bare 2 -> 2 process, its bosons or tops undecayed and at their pole mass."""
    pythia = start_pythia((*settings, "PartonLevel:all = off", "PhaseSpace:useBreitWigners = off"))
    with path.open("w") as file:
        file.write('<LesHouchesEvents version="1.0">\n<init>\n2212 2212 6500. 6500. 0 0 0 0 3 1\n1. 0. 1. 1\n</init>\n')
        written = 0
        while written < events:
            if not pythia.next():
                continue
            written += 1
            file.write(f"<event>\n4 1 1. {pythia.infoPython().QFac():.6e} 0.0078 0.1\n")
            for entry in (3, 4, 5, 6):  # of the process record: two incoming, two outgoing
                p, incoming = pythia.process[entry], entry < 5
                origin = "-1 0 0" if incoming else "1 1 2"
                momentum = " ".join(f"{value:.10e}" for value in (p.px(), p.py(), p.pz(), p.e(), p.m()))
                file.write(f"{p.id()} {origin} {p.col()} {p.acol()} {momentum} 0. 9.\n")
            file.write("</event>\n")
        file.write("</LesHouchesEvents>\n")


def split_into_chunks(options: argparse.Namespace, folder: Path) -> list[Chunk]:
    """The chunks of all classes; the first classes have one jet more where the classes cannot be equal."""
    chunks: list[Chunk] = []
    for index, label in enumerate(CLASSES):
        jets = options.jets // len(CLASSES) + (index < options.jets % len(CLASSES))
        for part, first in enumerate(range(0, jets, CHUNK)):
            seed = (options.seed, index, part)
            chunks.append(Chunk(label, min(CHUNK, jets - first), seed, folder, options.even_gluons, options.matched))
    return chunks


def silence_worker() -> None:
    """Sends what the C++ libraries print to nowhere, and leaves Ctrl-C to the parent process."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make_sample(options: argparse.Namespace) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Features [jets, 16] and class indices [jets] of a shuffled sample, with a progress bar."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with tempfile.TemporaryDirectory(prefix="jets_") as folder, Progress(*columns) as progress:
        chunks = split_into_chunks(options, Path(folder))
        bar = progress.add_task("generating jets", total=options.jets)
        context = multiprocessing.get_context("spawn")  # forking a process that runs threads may hang
        with ProcessPoolExecutor(min(options.workers, len(chunks)), context, silence_worker) as pool:
            futures = [pool.submit(make_chunk, chunk) for chunk in chunks]
            try:
                for future in as_completed(futures):
                    progress.advance(bar, len(future.result()))
            except BrokenProcessPool as error:
                raise JetError("a worker died, perhaps for lack of memory: try fewer --workers") from error
            finally:
                pool.shutdown(cancel_futures=True)
    x = np.concatenate([future.result() for future in futures])
    y = np.repeat([CLASSES.index(chunk.label) for chunk in chunks], [chunk.jets for chunk in chunks]).astype(np.uint8)
    order = np.random.default_rng(options.seed).permutation(len(y))
    return x[order], y[order]


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses and checks the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--jets", type=int, required=True, help="jets in all five classes together")
    parser.add_argument("--out", type=Path, required=True, help="the npz file to write")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same sample (default: 1)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes (default: one per core)")
    parser.add_argument("--even-gluons", action="store_true", help="gluons at most at 1015 GeV, like the other classes")
    parser.add_argument("--matched", action="store_true", help="only jets within 0.3 of a hard parton of their class")
    options = parser.parse_args(arguments)
    if options.jets <= 0:
        raise JetError(f"--jets must be positive, not {options.jets}")
    if options.workers <= 0:
        raise JetError(f"--workers must be positive, not {options.workers}")
    if options.seed < 0:
        raise JetError(f"--seed must not be negative, but is {options.seed}")
    if not options.out.parent.is_dir():
        raise JetError(f"--out: there is no folder {options.out.parent}")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Makes a sample; returns the exit code."""
    start = time.monotonic()
    try:
        options = read_options(arguments)
        for name in EXTRAS:
            extra(name)
        with new_file(options.out) as file:
            save_sample(file, *make_sample(options))
    except JetError as error:
        print(f"generate.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("generate.py: interrupted, nothing written", file=sys.stderr)
        return 130
    print(f"{options.jets} jets in {options.out}, {time.monotonic() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
