"""The wheel holds all that the command needs, and works without the checkout."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.builds import Outcome, finished, make, published, python

ROOT = Path(__file__).parents[1]
CODE = "import sys; from codesign.cli import main; main()"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel; hatchling must be installed beside the tests."""
    folder = tmp_path_factory.mktemp("wheel")
    argv = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("codesign-*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path) -> Path:
    """The wheel's content."""
    folder = wheel.parent / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def shadowed(unpacked: Path, *arguments: str) -> Outcome:
    """Run the command with the wheel's content before everything else."""
    return python(CODE, *arguments, cwd=unpacked.parent, environment={"PYTHONPATH": str(unpacked)})


def test_every_file_of_the_package_is_inside(unpacked: Path) -> None:
    package = ROOT / "codesign"
    wanted = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    found = unpacked / "codesign"
    inside = {path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file()}
    shipped = {f"{kind}/{path.name}" for kind in ("flows", "targets") for path in (ROOT / kind).glob("*.toml")}
    assert {"py.typed", "report/files/report.md.j2", "deploy/emulator_files/name.cpp.j2"} <= inside
    assert shipped
    assert inside == wanted | shipped


def test_nothing_else_is_inside(unpacked: Path) -> None:
    names = sorted(path.name for path in unpacked.iterdir())
    assert names[0] == "codesign"
    assert len(names) == 2
    assert names[1].endswith(".dist-info")
    assert (unpacked / names[1] / "licenses" / "LICENSE").is_file()
    assert "codesign = codesign.cli:main" in (unpacked / names[1] / "entry_points.txt").read_text()


def test_the_unpacked_wheel_shadows_the_checkout(unpacked: Path) -> None:
    places = "s.__file__, s.shipped_folder('flow'), s.shipped_folder('target')"
    code = f"from codesign import shipped as s; print({places}, sep='\\n')"
    outcome = python(code, cwd=unpacked.parent, environment={"PYTHONPATH": str(unpacked)})
    package = unpacked / "codesign"
    assert outcome.out.split() == [str(package / name) for name in ("shipped.py", "flows", "targets")]


@pytest.mark.parametrize("kind", ["flows", "targets"])
def test_shipped_files_are_found(kind: str, unpacked: Path) -> None:
    outcome = shadowed(unpacked, kind)
    assert outcome.code == 0, outcome.err
    for path in (ROOT / kind).glob("*.toml"):
        assert path.stem in outcome.out.split()


def test_a_build_from_the_wheel_gives_the_same(unpacked: Path, tmp_path: Path) -> None:
    """The report's template included; the checkout is out of reach."""
    project = make(tmp_path / "project")
    outcome = shadowed(unpacked, *project.arguments())
    assert outcome.code == 0, outcome.err
    assert published(project) == published(finished())
    assert "fc1" in (project.out / "report.md").read_text()
    shutil.rmtree(project.out)
