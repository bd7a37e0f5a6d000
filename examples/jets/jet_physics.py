"""From particles to the features of a jet: a simple detector, anti-kt jets, mMDT grooming; and the file of a sample.

The optional packages are imported where they are used: the file of a sample needs NumPy alone.
"""

import functools
import importlib
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLASSES = ("g", "q", "w", "z", "t")
FEATURES = (
    "zlogz",
    *("c1_b0_mmdt", "c1_b1_mmdt", "c1_b2_mmdt", "c2_b1_mmdt", "c2_b2_mmdt"),
    *("d2_b1_mmdt", "d2_b2_mmdt", "d2_a1_b1_mmdt", "d2_a1_b2_mmdt"),
    *("m2_b1_mmdt", "m2_b2_mmdt", "n2_b1_mmdt", "n2_b2_mmdt", "mass_mmdt", "multiplicity"),
)
EXTRAS = ("pythia8mc", "fastjet", "awkward", "numba")

RADIUS = 0.4  # anti-kt
JET_PT_MIN, JET_ETA_MAX = 500.0, 2.2  # pt in GeV
MATCH_RADIUS = 0.3  # between a jet and the hard parton of its class
PARTICLE_ETA_MAX = 3.0
TRACK_PT_MAX = 220.0  # GeV; a stiffer charged hadron is seen by the HCAL alone
ECAL_CELL, HCAL_CELL = 0.0175, 0.022  # in eta and phi
CHARGED_HADRONS = (211, 321, 2212, 3112, 3222, 3312, 3334, 411, 431)


class JetError(Exception):
    """A sample cannot be made; the message tells the user why."""


def extra(name: str, package: str = '"codesign[generate]"') -> ModuleType:
    """An optional module, or a `JetError` that says which package brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise JetError(f"{name} cannot be imported ({error}): pip install {package}") from error


def jets_of_events(events: Any, partons: Sequence[int], rng: np.random.Generator) -> list[Floats]:
    """Features [16] of the leading jet of each event that has one in the acceptance.

    Args:
        events: Awkward array of Pythia's particle records.
        partons: |PDG ids| of the hard partons that the jet may be matched to; none for no matching.
        rng: Smears the energies.
    """
    ak = extra("awkward")
    event = np.repeat(np.arange(len(events)), ak.num(events))
    status, pid = (ak.flatten(events[field]).to_numpy() for field in ("status", "id"))
    momenta = np.stack([ak.flatten(events.p[field]).to_numpy() for field in ("px", "py", "pz", "e")], 1)
    eta, phi = eta_phi(momenta)
    visible = (status > 0) & (np.abs(eta) < PARTICLE_ETA_MAX) & ~np.isin(np.abs(pid), (12, 14, 16))
    seen_event, seen = detect(event[visible], momenta[visible], np.abs(pid[visible]), rng)
    jet_event, axes, full, groomed = leading_jets(seen_event, seen, len(events))
    keep = np.abs(axes[:, 0]) < JET_ETA_MAX
    if partons:
        hard = np.isin(np.abs(status), (22, 23)) & np.isin(np.abs(pid), partons)  # 22: itself decays
        directions = np.stack([eta, phi], 1)
        for jet in np.flatnonzero(keep):
            away = directions[hard & (event == jet_event[jet])] - axes[jet]
            away[:, 1] = (away[:, 1] + np.pi) % (2 * np.pi) - np.pi
            keep[jet] = bool((np.hypot(away[:, 0], away[:, 1]) < MATCH_RADIUS).any())
    return [features(full[jet], groomed[jet]) for jet in np.flatnonzero(keep)]


def eta_phi(momenta: Floats) -> tuple[Floats, Floats]:
    """Pseudorapidity and azimuth [n] of momenta [n, 4] = (px, py, pz, E) in GeV."""
    px, py, pz, _ = momenta.T
    return np.arcsinh(pz / np.maximum(np.hypot(px, py), 1e-9)), np.arctan2(py, px)


def detect(
    event: NDArray[np.int64], momenta: Floats, pid: NDArray[np.int32], rng: np.random.Generator
) -> tuple[NDArray[np.int64], Floats]:
    """Tracks, ECAL cells (of photons) and HCAL cells (of the rest), their energies smeared.

    Args:
        event: Event of each particle [n].
        momenta: (px, py, pz, E) [n, 4] in GeV.
        pid: |PDG id| [n].
        rng: Smears the energies.

    Returns:
        Event [m] and momentum [m, 4] of each track or cell, ordered by event.
    """
    pt = np.hypot(momenta[:, 0], momenta[:, 1])
    track = np.isin(pid, (11, 13)) | (np.isin(pid, CHARGED_HADRONS) & (pt < TRACK_PT_MAX))
    photon = ~track & (pid == 22)
    tracks = momenta[track] * smear(np.hypot(0.00025 * pt[track], 0.015), rng)[:, None]
    found = [(event[track], tracks)]
    calorimeters = (photon, ECAL_CELL, ecal_resolution), (~track & ~photon, HCAL_CELL, hcal_resolution)
    for part, size, resolution in calorimeters:
        cell_event, cells = fill_cells(event[part], momenta[part], size)
        found.append((cell_event, cells * smear(resolution(cells[:, 3]), rng)[:, None]))
    all_events, all_momenta = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.argsort(all_events, kind="stable")
    return all_events[order], all_momenta[order]


def smear(resolution: Floats, rng: np.random.Generator) -> Floats:
    """Gaussian energy factors around one, kept positive."""
    return np.maximum(1e-10, 1 + rng.standard_normal(len(resolution)) * resolution)


def ecal_resolution(energy: Floats) -> Floats:
    """Relative resolution of the ECAL at an energy in GeV: stochastic, noise and constant term."""
    return np.sqrt((0.027 * np.sqrt(1.6 / energy)) ** 2 + (0.15 * 1.6 / energy) ** 2 + 0.005**2)


def hcal_resolution(energy: Floats) -> Floats:
    """Relative resolution of the HCAL at an energy in GeV: stochastic and constant term."""
    return np.sqrt(1.2**2 / energy + 0.05**2)


def fill_cells(event: NDArray[np.int64], momenta: Floats, size: float) -> tuple[NDArray[np.int64], Floats]:
    """Sums energy in square cells of eta and phi; a cell is a massless particle at the middle of the square.

    Args:
        event: Event of each particle [n].
        momenta: (px, py, pz, E) [n, 4] in GeV.
        size: Side of a cell.

    Returns:
        Event [m] and momentum [m, 4] of the cells above 1 keV.
    """
    eta, phi = eta_phi(momenta)
    row = np.floor((eta + PARTICLE_ETA_MAX) / size).astype(np.int64)
    column = np.floor(np.mod(phi, 2 * np.pi) / size).astype(np.int64)
    cell, where = np.unique((event * 1024 + row) * 1024 + column, return_inverse=True)  # under 1024 cells a side
    energy = np.bincount(where, momenta[:, 3], len(cell)).astype(np.float64)
    cell, energy = cell[energy > 1e-6], energy[energy > 1e-6]
    eta = (cell // 1024 % 1024 + 0.5) * size - PARTICLE_ETA_MAX
    phi = (cell % 1024 + 0.5) * size
    pt = energy / np.cosh(eta)
    return cell // 1024**2, np.stack([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta), energy], 1)


def leading_jets(
    event: NDArray[np.int64], momenta: Floats, events: int
) -> tuple[NDArray[np.int64], Floats, list[Floats], list[Floats]]:
    """Clusters each event with anti-kt, and grooms its hardest jet with mMDT (soft drop, beta 0, z_cut 0.1).

    Args:
        event: Event of each particle [n], in ascending order.
        momenta: (px, py, pz, E) [n, 4] in GeV.
        events: Number of events.

    Returns:
        For each jet above `JET_PT_MIN`: its event [jets], its axis (eta, phi) [jets, 2], and the momenta [k, 4] of its
        constituents, before and after grooming.
    """
    ak, fastjet = extra("awkward"), extra("fastjet")
    fields = dict(zip(("px", "py", "pz", "E"), momenta.T, strict=True))
    particles = ak.unflatten(ak.zip(fields, with_name="Momentum4D"), np.bincount(event, minlength=events))
    antikt = fastjet.ClusterSequence(particles, fastjet.JetDefinition(fastjet.antikt_algorithm, RADIUS))
    jets, constituents = antikt.inclusive_jets(JET_PT_MIN), antikt.constituents(JET_PT_MIN)
    hardest = ak.argsort(np.hypot(jets.px, jets.py), axis=1, ascending=False)[:, :1]
    jet_event = np.flatnonzero(ak.num(hardest).to_numpy())
    if len(jet_event) == 0:
        return jet_event, np.zeros((0, 2)), [], []
    leading = ak.flatten(jets[hardest], axis=1)
    full = ak.flatten(constituents[hardest], axis=1)
    # a Cambridge/Aachen radius beyond every distance makes one jet of all constituents
    tree = fastjet.ClusterSequence(full, fastjet.JetDefinition(fastjet.cambridge_algorithm, 1000.0))
    groomed = tree.exclusive_jets_softdrop_grooming(njets=1, beta=0.0, symmetry_cut=0.1, R0=RADIUS).constituents
    axes = np.stack(eta_phi(np.stack([leading[field].to_numpy() for field in ("px", "py", "pz", "E")], 1)), 1)
    return jet_event, axes, momenta_of_jets(full), momenta_of_jets(groomed)


def momenta_of_jets(jets: Any) -> list[Floats]:
    """The momenta [k, 4] of each jet of an Awkward array of constituents."""
    ak = extra("awkward")
    flat = np.stack([ak.flatten(jets[field]).to_numpy() for field in ("px", "py", "pz", "E")], 1)
    return np.split(flat, np.cumsum(ak.num(jets).to_numpy())[:-1])


def features(jet: Floats, groomed: Floats) -> Floats:
    """The 16 features of a jet, in the order of `FEATURES`.

    Args:
        jet: (px, py, pz, E) [n, 4] in GeV of the constituents; sets zlogz and multiplicity.
        groomed: The same [m, 4] after grooming; sets the rest.

    Returns:
        Features [16]; the mass in GeV. Ratios of correlators are 0 where the denominator is (few particles).
    """
    energy = jet[:, 3]
    z = energy[energy > 0] / energy.sum()
    px, py, pz, e = groomed.T
    rapidity = 0.5 * np.log((e + pz) / np.maximum(e - pz, 1e-12))
    sums = compiled_correlators()(np.hypot(px, py), rapidity, np.arctan2(py, px))
    e20, e21, e22, e31, e32, m31, m32, n31, n32 = (float(value) for value in sums)
    mass2 = e.sum() ** 2 - px.sum() ** 2 - py.sum() ** 2 - pz.sum() ** 2
    c2 = [ratio(e31, e21**2), ratio(e32, e22**2)]
    d2 = [ratio(e31, e21**3), ratio(e32, e22**3), ratio(e31, e21**3), ratio(e31, e22**1.5)]
    m2_n2 = [ratio(m31, e21), ratio(m32, e22), ratio(n31, e21**2), ratio(n32, e22**2)]
    z_log_z = (z * np.log(z)).sum()
    return np.array([z_log_z, e20, e21, e22, *c2, *d2, *m2_n2, np.sqrt(max(0.0, mass2)), len(jet)])


def ratio(numerator: float, denominator: float) -> float:
    """Their ratio, or 0 for a denominator of 0."""
    return numerator / denominator if denominator > 0 else 0.0


def correlators(pt: Floats, rapidity: Floats, phi: Floats) -> tuple[float, ...]:
    """Energy correlation functions of the particles [n] of one jet, with weights z = pt / sum pt.

    Returns:
        Two-point sums of z z d^b for b = 0, 1, 2; then three-point sums over z z z, for b = 1 and 2, of the product of
        all three distances d^b, of the least d^b, and of the product of the two least d^b.
    """
    n = len(pt)
    z = pt / pt.sum()
    distance = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            turn = abs(phi[i] - phi[j])
            turn = min(turn, 2 * np.pi - turn)
            distance[i, j] = distance[j, i] = np.sqrt((rapidity[i] - rapidity[j]) ** 2 + turn**2)
    e20 = e21 = e22 = e31 = e32 = m31 = m32 = n31 = n32 = 0.0
    for i in range(n):
        for j in range(i):
            weight, a = z[i] * z[j], distance[i, j]
            e20 += weight
            e21 += weight * a
            e22 += weight * a * a
            for k in range(j):
                b, c, w = distance[i, k], distance[j, k], weight * z[k]
                least, most = min(a, b, c), max(a, b, c)
                all_three = a * b * c
                two_least = all_three / most if most > 0 else 0.0
                e31 += w * all_three
                e32 += w * all_three**2
                m31 += w * least
                m32 += w * least**2
                n31 += w * two_least
                n32 += w * two_least**2
    return e20, e21, e22, e31, e32, m31, m32, n31, n32


@functools.cache
def compiled_correlators() -> Callable[[Floats, Floats, Floats], tuple[float, ...]]:
    """`correlators` in machine code: a jet has some 50,000 triplets."""
    return extra("numba").njit(correlators)


@contextmanager
def new_file(path: Path) -> Generator[BinaryIO]:
    """A file that gets its name only when it is complete; it is opened at once, to fail before the work is done."""
    if path.is_dir():
        raise JetError(f"{path} is a folder")
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            yield file
        os.replace(partial, path)
    except OSError as error:
        raise JetError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def save_sample(file: BinaryIO, x: NDArray[np.float32], y: NDArray[np.uint8]) -> None:
    """Writes features [jets, 16] and class indices [jets] as a compressed npz, with the names of both."""
    np.savez_compressed(file, x=x, y=y, features=np.array(FEATURES), classes=np.array(CLASSES))
