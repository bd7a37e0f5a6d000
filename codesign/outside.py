"""Tools that are on PATH or come as a Python package: the one on PATH if it is new enough, else the package's."""

import re
import shutil
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from codesign import tools
from codesign.errors import InputError
from codesign.sources import distribution_version


def web_assembly(module: str, function: str) -> tuple[str, ...]:
    """A command that runs a package's tool, which is WebAssembly, in a Python of its own.

    It sees the working directory and what is below, and has a ``/tmp`` of its own: name files relative to that.
    """
    return (sys.executable, "-P", "-c", f"import sys, {module}; sys.exit({module}.{function}(sys.argv[1:]))")


@dataclass(frozen=True)
class Found:
    """A tool that can be used.

    Args:
        path: The program on PATH, or the package's folder.
        packaged: Whether it is the package's.
        version: As in "5.048".
        said: Which build it is, in its own words.
    """

    path: Path
    packaged: bool
    version: str
    said: str


@dataclass(frozen=True)
class Tool:
    """A tool to look for.

    Args:
        name: As it begins what it says of its version; in lower case, the program.
        distribution: Its Python distribution.
        module: The module of that.
        file: A file in the module's folder, without which it is of no use.
        oldest: The oldest version that is taken, as in "5.048".
        says: What its version stands behind where that is not the name, as a regular expression.
    """

    name: str
    distribution: str
    module: str
    file: str
    oldest: str
    says: str = ""

    def find(self) -> Found:
        """The one on PATH if it is new enough, else that of the package if it is.

        Raises:
            InputError: There is neither.
        """
        path, found = shutil.which(self.name.lower()), "none on PATH"
        if path is not None:
            said = tools.version(path)
            if version := self._version(rf"{self.says or self.name + ' '}(\d+)\.(\d+)", said):
                return Found(Path(path), False, version, said)
            found = f"{path} says {said[:80]!r}"
        spec = find_spec(self.module)
        if spec is not None and spec.origin is not None and (Path(spec.origin).parent / self.file).is_file():
            said = distribution_version(self.distribution)
            if version := self._version(r"(\d+)\.(\d+)", said):
                return Found(Path(spec.origin).parent, True, version, f"package {self.distribution} {said}")
            found += f", package {self.distribution} {said}"
        step = f"pip install 'codesign[rtl]', or put a newer {self.name} on PATH"
        raise InputError(self.name, found, f"{self.oldest} or newer", step)

    def _version(self, pattern: str, said: str) -> str | None:
        """The version as ``oldest`` is written; None for an older one, or none at all."""
        match, (major, minor) = re.match(pattern, said), self.oldest.split(".")
        if match is None or (int(match[1]), int(match[2])) < (int(major), int(minor)):
            return None
        return f"{match[1]}.{int(match[2]):0{len(minor)}}"
