"""What a result depends on besides its data: the source files behind a pass, and tool versions."""

import ast
import importlib.util
import platform
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import codesign
from codesign.store import digest_file

#: Distributions whose versions a report names.
ENVIRONMENT = ("numpy", "torch", "scipy", "matplotlib", "onnx", "onnxruntime", "qonnx", "hls4ml")
#: Packages whose modules are found by name at run time: who imports one depends on all of them.
PLUGIN_PACKAGES = ("codesign.ops", "codesign.allocate.costs", "codesign.allocate.solvers")
#: Modules that only find and run passes; nothing a pass computes depends on them.
MACHINERY = ("codesign", "codesign.passes")


@cache
def source_digests(module: str) -> dict[str, str]:
    """SHA-256 of a module and of every module of its own package or of codesign that it imports, by module name.

    With a module of codesign's go the templates and data that lie beside it.
    """
    packages = {module.split(".")[0], "codesign"}
    digests: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _file(name)
        if path is None or name in digests or (name in MACHINERY and name != module):
            continue
        digests[name] = _digest(path)
        if name.startswith("codesign."):
            digests |= _data_beside(path.parent)
        waiting += [imported for imported in _imports(path, name) if imported.split(".")[0] in packages]
        if name in PLUGIN_PACKAGES:
            waiting += [f"{name}.{file.stem}" for file in path.parent.glob("*.py") if file.stem != "__init__"]
    return digests


def distribution_version(name: str) -> str:
    """The installed version of a distribution; ``absent`` without it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


def versions(more: Iterable[str] = ()) -> dict[str, str]:
    """Versions of codesign, Python, the distributions of ``ENVIRONMENT`` and more of them, for reports."""
    found = {name: distribution_version(name) for name in dict.fromkeys([*ENVIRONMENT, *more])}
    return {"codesign": codesign.__version__, "python": platform.python_version(), **found}


#: Passes share most of what they import: each file is read once.
_digest = cache(digest_file)


@cache
def _data_beside(folder: Path) -> dict[str, str]:
    """SHA-256 of the files of a folder that are no modules, by folder and file name."""
    files = (file for file in sorted(folder.iterdir()) if file.is_file() and file.suffix != ".py")
    return {f"{folder.name}/{file.name}": digest_file(file) for file in files}


@cache
def _file(module: str) -> Path | None:
    """The source of a module, found without importing it: importing a pass's helpers would load torch."""
    package, *rest = module.split(".")
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    place = Path(spec.origin).parent.joinpath(*rest)
    candidates = [place / "__init__.py", place.with_name(f"{place.name}.py")] if rest else [Path(spec.origin)]
    return next((path for path in candidates if path.is_file()), None)


@cache
def _imports(path: Path, module: str) -> tuple[str, ...]:
    """Every module a file may import, function bodies included."""
    parents = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = parents[: len(parents) + 1 - node.level] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # The imported name may itself be a module; a name that isn't one has no file and is passed over.
            names += [source, *(f"{source}.{alias.name}" for alias in node.names)]
    return tuple(names)
