"""The jet generator: closed forms of the features, the detector, clustering, and whole samples."""

import importlib
import itertools
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from numpy.typing import NDArray

JETS = Path(__file__).parents[2] / "examples" / "jets"
NEEDS = 'needs pip install "codesign[generate]"'
Floats = NDArray[np.float64]


def load(name: str) -> Iterator[ModuleType]:
    """A module of the example, with its folder on the path only for the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(JETS))
        yield importlib.import_module(name)


@pytest.fixture
def physics() -> Iterator[ModuleType]:
    yield from load("jet_physics")


@pytest.fixture
def generate() -> Iterator[ModuleType]:
    yield from load("generate")


def massless(pt: list[float], eta: list[float], phi: list[float]) -> Floats:
    """(px, py, pz, E) [n, 4] in GeV."""
    t, y, f = np.array(pt), np.array(eta), np.array(phi)
    return np.stack([t * np.cos(f), t * np.sin(f), t * np.sinh(y), t * np.cosh(y)], 1)


def brute_force(jet: Floats, groomed: Floats) -> list[float]:
    """The 16 features by plain sums over pairs and triplets."""
    pts = [math.hypot(p[0], p[1]) for p in groomed]
    z = [pt / sum(pts) for pt in pts]
    y = [math.atanh(p[2] / p[3]) for p in groomed]
    phi = [math.atan2(p[1], p[0]) for p in groomed]

    def distance(i: int, j: int) -> float:
        return math.hypot(y[i] - y[j], math.remainder(phi[i] - phi[j], 2 * math.pi))

    def e2(b: int) -> float:
        """Two-point correlator."""
        return sum(z[i] * z[j] * distance(i, j) ** b for i, j in itertools.combinations(range(len(z)), 2))

    def e3(least: int, b: int) -> float:
        """Three-point correlator of the `least` smallest distances of a triplet."""
        total = 0.0
        for i, j, k in itertools.combinations(range(len(z)), 3):
            sides = sorted([distance(i, j), distance(i, k), distance(j, k)])
            total += z[i] * z[j] * z[k] * math.prod(sides[:least]) ** b
        return total

    fractions = [p[3] / sum(jet[:, 3]) for p in jet]
    px, py, pz, e = groomed.sum(0)
    return [
        sum(x * math.log(x) for x in fractions),
        *(e2(0), e2(1), e2(2), e3(3, 1) / e2(1) ** 2, e3(3, 2) / e2(2) ** 2),
        *(e3(3, 1) / e2(1) ** 3, e3(3, 2) / e2(2) ** 3, e3(3, 1) / e2(1) ** 3, e3(3, 1) / e2(2) ** 1.5),
        *(e3(1, 1) / e2(1), e3(1, 2) / e2(2), e3(2, 1) / e2(1) ** 2, e3(2, 2) / e2(2) ** 2),
        *(math.sqrt(e**2 - px**2 - py**2 - pz**2), len(jet)),
    ]


@pytest.mark.parametrize("phi", [0.3, math.pi - 0.1])  # the second pair lies across the end of the azimuth
def test_two_equal_particles(physics: ModuleType, phi: float) -> None:
    pytest.importorskip("numba", reason=NEEDS)
    pair = massless([100, 100], [0, 0], [phi, phi + 0.2])
    expected = dict.fromkeys(physics.FEATURES, 0.0) | {
        "zlogz": -math.log(2),
        "c1_b0_mmdt": 1 / 4,
        "c1_b1_mmdt": 0.2 / 4,
        "c1_b2_mmdt": 0.04 / 4,
        "mass_mmdt": 200 * math.sin(0.1),
        "multiplicity": 2,
    }
    np.testing.assert_allclose(physics.features(pair, pair), list(expected.values()), rtol=1e-9, atol=1e-15)


def test_three_equal_particles_in_an_equilateral_triangle(physics: ModuleType) -> None:
    pytest.importorskip("numba", reason=NEEDS)
    d = 0.3
    triangle = massless([50, 50, 50], [0, 0, d * math.sqrt(3) / 2], [0, d, d / 2])
    found = dict(zip(physics.FEATURES, physics.features(triangle, triangle), strict=True))
    expected = {
        **{"c1_b0_mmdt": 1 / 3, "c1_b1_mmdt": d / 3, "c1_b2_mmdt": d**2 / 3},
        **{"c2_b1_mmdt": d / 3, "c2_b2_mmdt": d**2 / 3, "d2_b1_mmdt": 1, "d2_b2_mmdt": 1},
        **{"d2_a1_b1_mmdt": 1, "d2_a1_b2_mmdt": 3**-1.5, "m2_b1_mmdt": 1 / 9, "m2_b2_mmdt": 1 / 9},
        **{"n2_b1_mmdt": 1 / 3, "n2_b2_mmdt": 1 / 3, "multiplicity": 3},
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_features_of_any_jet_against_plain_sums(physics: ModuleType) -> None:
    pytest.importorskip("numba", reason=NEEDS)
    rng = np.random.default_rng(5)
    for n in (3, 9):
        jet = massless(list(rng.exponential(50, n)), list(rng.normal(0.5, 0.2, n)), list(rng.normal(3.1, 0.2, n)))
        groomed = jet[: n - n // 4]
        np.testing.assert_allclose(physics.features(jet, groomed), brute_force(jet, groomed), rtol=1e-6)


def test_one_particle_has_no_substructure(physics: ModuleType) -> None:
    pytest.importorskip("numba", reason=NEEDS)
    one = massless([700], [0], [1])
    np.testing.assert_allclose(physics.features(one, one), [0] * 15 + [1], atol=1e-3)


def test_cells_sum_the_energy_of_their_event_and_sit_at_their_middle(physics: ModuleType) -> None:
    size = 0.02
    particles = massless([3, 5, 7, 11], [0.001, 0.019, 0.021, 0.001], [1.001, 1.019, 1.001, 1.001])
    event, cells = physics.fill_cells(np.array([0, 0, 0, 1]), particles, size)
    eta, phi = physics.eta_phi(cells)
    assert event.tolist() == [0, 0, 1]
    np.testing.assert_allclose(cells[:, 3], [particles[:2, 3].sum(), particles[2, 3], particles[3, 3]])
    np.testing.assert_allclose(eta, [0.01, 0.03, 0.01])
    np.testing.assert_allclose(phi, [1.01, 1.01, 1.01])
    np.testing.assert_allclose(np.linalg.norm(cells[:, :3], axis=1), cells[:, 3])


def test_detector_tracks_soft_hadrons_and_leptons_and_puts_the_rest_in_cells(physics: ModuleType) -> None:
    # a pion below and one above the limit, a muon above it, a photon, a neutron
    particles = massless([200, 240, 240, 50, 100], [0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 1, 2, -3, -2])
    pid = np.array([211, 211, 13, 22, 2112])
    event, seen = physics.detect(np.array([1, 0, 1, 0, 1]), particles, pid, np.random.default_rng(1))
    assert event.tolist() == [0, 0, 1, 1, 1]
    eta, phi = physics.eta_phi(seen)
    expected_eta, expected_phi = [0.4, 0.2, 0.1, 0.3, 0.5], [-3, 1, 0.1, 2, -2]  # photon, pion; tracks, neutron
    np.testing.assert_allclose(eta[[2, 3]], [0.1, 0.3], rtol=1e-12)  # tracks keep their direction
    np.testing.assert_allclose(eta, expected_eta, atol=physics.HCAL_CELL / 2)
    np.testing.assert_allclose(phi, expected_phi, atol=physics.HCAL_CELL / 2)
    assert 0 < abs(seen[0, 3] / particles[3, 3] - 1) < 0.05  # smeared


def test_resolutions(physics: ModuleType) -> None:
    energy = np.array([1.6, 100.0])
    np.testing.assert_allclose(physics.ecal_resolution(energy)[0], math.hypot(0.027, 0.15, 0.005))
    np.testing.assert_allclose(physics.hcal_resolution(energy)[1], math.hypot(0.12, 0.05))
    factors = physics.smear(np.full(20000, 0.1), np.random.default_rng(2))
    assert factors.mean() == pytest.approx(1, abs=0.003)
    assert factors.std() == pytest.approx(0.1, abs=0.003)
    assert physics.smear(np.full(1000, 9.0), np.random.default_rng(3)).min() > 0


def test_leading_jet_is_found_and_groomed(physics: ModuleType) -> None:
    pytest.importorskip("fastjet", reason=NEEDS)
    # event 0: two hard prongs with a soft particle at a wide angle, and a softer jet opposite; 1: nothing above the
    # threshold; 2: one particle
    particles = massless([500, 400, 10, 800, 300, 600], [0, 0, 0, 1, 0, 1], [0, 0.1, 0.35, 3, 0, 2])
    event, axes, full, groomed = physics.leading_jets(np.array([0, 0, 0, 0, 1, 2]), particles, 3)
    assert event.tolist() == [0, 2]
    np.testing.assert_allclose(axes[1], [1, 2])
    assert sorted(np.hypot(full[0][:, 0], full[0][:, 1])) == pytest.approx([10, 400, 500])
    assert sorted(np.hypot(groomed[0][:, 0], groomed[0][:, 1])) == pytest.approx([400, 500])
    assert len(full[1]) == len(groomed[1]) == 1
    assert [len(found) for found in physics.leading_jets(np.array([1]), particles[4:5], 3)] == [0, 0, 0, 0]


def test_acceptance_and_matching_to_the_hard_parton(physics: ModuleType) -> None:
    ak = pytest.importorskip("awkward", reason=NEEDS)
    pytest.importorskip("fastjet", reason=NEEDS)
    pytest.importorskip("numba", reason=NEEDS)
    # a gluon at the photon jet; a gluon elsewhere; a quark at the jet; a jet outside the acceptance; neutrinos only
    hard = massless([900] * 5, [0.1, 0.1, 0.1, 2.5, 0], [-3.1, 2, -3.1, 1, 1])
    final = massless([900] * 5, [0, 0, 0, 2.5, 0], [3.1, 3.1, 3.1, 1, 1])
    momenta = np.stack([hard, final], 1)
    fields = dict(zip(("px", "py", "pz", "e"), np.moveaxis(momenta, 2, 0), strict=True))
    pid = np.array([[21, 22], [21, 22], [1, 22], [21, 22], [21, 12]])
    events = ak.zip({"status": np.tile([-23, 1], (5, 1)), "id": pid, "p": ak.zip(fields)}, depth_limit=2)
    assert len(physics.jets_of_events(events, (), np.random.default_rng(1))) == 3
    assert len(physics.jets_of_events(events, (21,), np.random.default_rng(1))) == 1


def test_work_is_split_the_same_way_for_any_number_of_workers(generate: ModuleType, tmp_path: Path) -> None:
    options = generate.read_options(["--jets", "6003", "--out", str(tmp_path / "jets.npz"), "--seed", "4"])
    chunks = generate.split_into_chunks(options, tmp_path)
    assert [sum(chunk.jets for chunk in chunks if chunk.label == label) for label in "gqwzt"] == [1201] * 3 + [1200] * 2
    assert max(chunk.jets for chunk in chunks) == generate.CHUNK
    assert len({chunk.seed for chunk in chunks}) == len(chunks) == 15
    assert all(chunk.seed[0] == 4 for chunk in chunks)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, as a user types it."""
    command = [sys.executable, str(JETS / "generate.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_samples(tmp_path: Path) -> None:
    for name in ("pythia8mc", "fastjet", "awkward", "numba"):
        pytest.importorskip(name, reason=NEEDS)
    for name, arguments in {
        "one": ["--jets", "50", "--workers", "1"],
        "two": ["--jets", "50", "--workers", "2"],
        "other": ["--jets", "7", "--workers", "2", "--seed", "2", "--even-gluons", "--matched"],
    }.items():
        result = run("--out", str(tmp_path / name), *arguments)
        assert result.returncode == 0, result.stderr
        assert "PYTHIA" not in result.stdout + result.stderr
        assert "FastJet" not in result.stdout + result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other", "two"]
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()

    with (
        np.load(JETS / "lhc_jets.npz") as shipped,
        np.load(tmp_path / "one") as one,
        np.load(tmp_path / "other") as few,
    ):
        assert one.files == shipped.files
        assert {key: one[key].dtype for key in one.files} == {key: shipped[key].dtype for key in shipped.files}
        for key in ("features", "classes"):
            np.testing.assert_array_equal(one[key], shipped[key])
        assert np.bincount(one["y"]).tolist() == [10] * 5
        assert np.bincount(few["y"]).tolist() == [2, 2, 1, 1, 1]
        assert np.any(np.diff(one["y"].astype(int)) < 0), "not shuffled"
        assert np.isfinite(one["x"]).all()
        assert not np.isin(few["x"][:, 0], one["x"][:, 0]).any(), "another seed, the same jets"
        for label in range(5):
            mine, theirs = one["x"][one["y"] == label], shipped["x"][shipped["y"] == label]
            pulls = (mine.mean(0) - theirs.mean(0)) / (theirs.std(0) / math.sqrt(len(mine)))
            assert np.abs(pulls).max() < 5, dict(zip(one["features"], pulls, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jets", "0"], "--jets must be positive, not 0"),
        (["--jets", "-3"], "--jets must be positive, not -3"),
        (["--jets", "5", "--workers", "0"], "--workers must be positive"),
        (["--jets", "5", "--seed", "-1"], "--seed must not be negative"),
        (["--jets", "5", "--out", "no_such_folder/jets.npz"], "there is no folder no_such_folder"),
    ],
)
def test_bad_arguments(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert generate.main(["--out", str(tmp_path / "jets.npz"), *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]
    assert list(tmp_path.iterdir()) == []


def test_jets_that_are_no_number_are_refused_by_the_command() -> None:
    result = run("--jets", "many", "--out", "jets.npz")
    assert result.returncode == 2
    assert "invalid int value: 'many'" in result.stderr


def test_a_missing_extra_is_named(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pythia8mc", None)
    assert generate.main(["--jets", "5", "--out", str(tmp_path / "jets.npz")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("generate.py: pythia8mc cannot be imported")
    assert error.endswith('pip install "codesign[generate]"\n')
    assert list(tmp_path.iterdir()) == []


def test_a_file_gets_its_name_only_when_it_is_complete(physics: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "jets.npz"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), physics.new_file(target) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"jets.npz": b"old"}
    with physics.new_file(target) as file:
        file.write(b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"jets.npz": b"new"}
    with pytest.raises(physics.JetError, match="is a folder"), physics.new_file(tmp_path):
        pass
    with pytest.raises(physics.JetError, match="cannot write"), physics.new_file(tmp_path / "none" / "jets.npz"):
        pass
