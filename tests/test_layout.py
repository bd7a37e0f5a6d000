"""What a folder keeps to itself: modules whose names start with an underscore are read inside it alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import codesign

ROOT = Path(codesign.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """Every module, or name in one, that a file imports, function bodies included."""
    package = ("codesign", *module.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            source = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{source}.{alias.name}" for alias in node.names)


def test_no_stage_imports_what_another_keeps_to_itself() -> None:
    """A stage's own folders are part of it."""
    found: list[str] = []
    for module in MODULES:
        room = module.relative_to(ROOT).parts[0]
        for name in imported(module):
            _, *parts = name.split(".")
            private = any(part.startswith("_") and not part.startswith("__") for part in parts)
            if name.startswith("codesign.") and private and parts[0] != room.removesuffix(".py"):
                found.append(f"{module.relative_to(ROOT)} imports {name}")
    assert found == []
