"""Every command and snippet of the README and the docs runs, in order, in a copy of the checkout.

A Markdown file says beside its blocks, in HTML comments that readers do not see, what differs from "run it":

- ``<!-- test: skip because REASON -->``: the block is not run;
- ``<!-- test: slow -->``: it takes minutes, and is run by the slow tests alone, with all others of its page;
- ``<!-- test: file PATH -->``: the block is the content of that file;
- ``<!-- test: exits CODE -->``: the commands end with that status instead of 0;
- ``<!-- test: printed -->``: lines of the block are among those that blocks before it have printed.

In a console block, what is not a command is printed likewise.

``pip install -e FOLDER`` makes the folder's package and its entry points importable without pip and without a network.
"""

import os
import pkgutil
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from codesign.describe import options
from codesign.directory import CACHE, withdraw
from codesign.passes import registry
from codesign.shipped import shipped_names
from codesign.store import Store

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r"^(?:<!-- test: (?P<note>[^\n]+) -->\n)?```(?P<language>\w+)\n(?P<body>.*?)^```$", re.M | re.S)
RUNNABLE = ("console", "bash", "python")
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "shared", ".*_cache", "__pycache__", ".hypothesis", "tests")
TIMEOUT_S, SLOW_TIMEOUT_S = 300, 3600


@dataclass(frozen=True)
class Block:
    """A fenced block, and what the comment before it says."""

    language: str
    body: str
    note: str
    line: int

    @property
    def slow(self) -> bool:
        return self.note == "slow"

    @property
    def runs(self) -> bool:
        return self.language in RUNNABLE and not self.note.startswith(("skip", "file"))

    def commands(self) -> str:
        if self.language != "console":
            return self.body
        return "\n".join(line.removeprefix("$ ") for line in self.body.splitlines() if line.startswith("$ "))

    def require_printed(self, output: str) -> None:
        """All that the block says is printed is in an output."""
        lines = [line.rstrip() for line in output.splitlines()]
        if self.note == "printed" or self.language == "console":
            shown = [line for line in self.body.splitlines() if not line.startswith("$ ")]
            assert [line for line in shown if line not in lines] == [], f"line {self.line}: not printed\n{output}"


def markdown_files() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")), *examples()]


def examples() -> list[Path]:
    return sorted((ROOT / "examples").rglob("*.md"))


def blocks(path: Path) -> list[Block]:
    text = path.read_text(encoding="utf-8")
    return [
        Block(found["language"], found["body"], found["note"] or "", text.count("\n", 0, found.start("body")))
        for found in FENCE.finditer(text)
    ]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


class Shell:
    """Runs blocks in a folder, with this interpreter's programs first on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.imported = [folder]

    def run(self, block: Block) -> str:
        """What it printed."""
        if block.language == "python":
            argv = [sys.executable, "-c", block.body]
        else:
            argv = ["bash", "-euo", "pipefail", "-c", self._installed(block.commands())]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        places = os.pathsep.join(map(str, self.imported))
        environment = os.environ | {"PATH": path, "PYTHONPATH": places, "COLUMNS": "120"}
        result = subprocess.run(
            argv, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=SLOW_TIMEOUT_S if block.slow else TIMEOUT_S, check=False,
        )  # fmt: skip
        wanted = int(block.note.removeprefix("exits ")) if block.note.startswith("exits ") else 0
        assert result.returncode == wanted, f"line {block.line}: {block.body}\n{result.stdout}\n{result.stderr}"
        block.require_printed(result.stdout + result.stderr)
        return result.stdout + result.stderr

    def _installed(self, commands: str) -> str:
        lines = commands.splitlines()
        for line in lines:
            if found := re.fullmatch(r"(?:python -m )?pip install -e (\S+)", line):
                self._install(self.folder / found[1])
                lines.remove(line)
        return "\n".join(lines)

    def _install(self, folder: Path) -> None:
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        info.mkdir()
        metadata = {"Metadata-Version": "2.1", "Name": project["name"], "Version": project["version"]}
        (info / "METADATA").write_text("".join(f"{key}: {value}\n" for key, value in metadata.items()))
        groups = [
            "\n".join([f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())])
            for group, entries in project["entry-points"].items()
        ]
        (info / "entry_points.txt").write_text("\n".join(groups))
        self.imported.append(folder)


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder ``build`` of all pages: they share what is cached, not what is published."""
    return tmp_path_factory.mktemp("build")


@pytest.fixture
def shell(tmp_path: Path, cached: Path) -> Iterator[Shell]:
    folder = tmp_path / "codesign"
    shutil.copytree(ROOT, folder, ignore=LEFT_OUT)
    for build in cached.iterdir():
        if (build / CACHE).is_dir():
            withdraw(build)
        elif build.is_dir():
            shutil.rmtree(build)
        else:
            build.unlink()
    (folder / "build").symlink_to(cached)
    yield Shell(folder)
    shutil.rmtree(folder)


WITH_COMMANDS = [path for path in markdown_files() if any(block.runs and not block.slow for block in blocks(path))]
WITH_SLOW = [path for path in markdown_files() if any(block.runs and block.slow for block in blocks(path))]


def quick(page: list[Block]) -> list[Block]:
    """Without slow blocks, and without what these print."""
    kept: list[Block] = []
    slow = False
    for block in page:
        slow = block.slow if block.runs else slow
        if not (slow and (block.runs or block.note == "printed")):
            kept.append(block)
    return kept


def run_page(shell: Shell, wanted: list[Block]) -> None:
    output = ""
    for block in wanted:
        if block.note.startswith("file "):
            place = shell.folder / block.note.removeprefix("file ")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(block.body)
        elif block.runs:
            output += shell.run(block)
        elif block.note == "printed":
            block.require_printed(output)


@pytest.mark.parametrize("path", WITH_COMMANDS, ids=name_of)
def test_every_block_runs(path: Path, shell: Shell) -> None:
    run_page(shell, quick(blocks(path)))


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_SLOW, ids=name_of)
def test_every_block_runs_where_some_take_minutes(path: Path, shell: Shell) -> None:
    run_page(shell, blocks(path))


@pytest.mark.parametrize("path", markdown_files(), ids=name_of)
def test_markdown_is_sound(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n```") + text.startswith("```") == 2 * len(blocks(path)), "a fence without a language, or open"
    for block in blocks(path):
        note = block.note
        assert note in ("", "slow", "printed") or note.startswith(("skip because ", "file ", "exits ")), note
    for label, target in re.findall(r"\[([^]]*)\]\(([^)]+)\)", FENCE.sub("", text)):
        if not re.match(r"https?://|#", target):
            assert (path.parent / target.partition("#")[0]).exists(), f"[{label}]({target})"


def test_what_is_named_of_the_source_is_there() -> None:
    for path in markdown_files():
        text = path.read_text(encoding="utf-8")
        for place in re.findall(r"`((?:benchmarks|codesign|examples|flows|targets|tests)/[\w/.]*)`", text):
            assert (ROOT / place).exists(), f"{name_of(path)}: {place}"
        for name in re.findall(r"`(codesign\.\w+\.[\w.]+)`", text):
            assert pkgutil.resolve_name(name), f"{name_of(path)}: {name}"


def test_skipping_has_a_reason() -> None:
    for path in markdown_files():
        for block in blocks(path):
            if block.note.startswith("skip"):
                reason = block.note.removeprefix("skip because ")
                assert len(reason.split()) > 3, f"{name_of(path)}: say why {block.body!r} is not run"


def test_every_option_is_documented() -> None:
    text = (ROOT / "docs/reference/build-file.md").read_text(encoding="utf-8")
    for name, step in registry().items():
        section = text.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
        assert section, f"no section for pass {name}"
        for option in options(step):
            assert f"| `{option.name}` |" in section, f"{name}.{option.name}"


def test_every_pass_is_in_the_table_of_fields() -> None:
    text = (ROOT / "docs/reference/design.md").read_text(encoding="utf-8")
    for name, step in registry().items():
        row = re.search(rf"^\| `{re.escape(name)}` \|(.*)\|(.*)\|$", text, re.M)
        assert row, f"no row for pass {name}"
        read, written = (set(re.findall("`([^`]+)`", cell)) for cell in row.groups())
        assert (read, written) == ({*step.reads, *step.optional, *step.any_of}, set(step.writes)), name


@pytest.mark.parametrize("sort", ["flow", "target"])
def test_every_shipped_file_is_documented(sort: str) -> None:
    text = (ROOT / "docs/reference/build-file.md").read_text(encoding="utf-8")
    assert [name for name in shipped_names(sort) if f"`{name}`" not in text] == []  # type: ignore[arg-type]


def test_every_dependency_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    named = [*project["dependencies"], *(item for extra in project["optional-dependencies"].values() for item in extra)]
    names = [re.split(r"[<>=\[; ]", item)[0] for item in named]
    assert [name for name in names if f"| {name} |" not in text] == []


def test_folder_digest_command(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for name in ("a/x", "a-b/x", "a.txt", "B/y z", "a/c/d"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    text = (ROOT / "docs/reference/report.md").read_text(encoding="utf-8")
    command = next(line for line in text.splitlines() if "sha256sum | sha256sum" in line).removeprefix("$ ")
    command = command.replace("build/jets/hls4ml", str(folder))
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert result.stdout.split()[0] == Store(tmp_path / "store").put_folder(folder)
