"""codesign: a hardware co-design compiler for trained neural networks.

A trained network and a hardware budget go in; firmware comes out, with proof that it computes the same integers as the
network that was fine-tuned. ``codesign.build`` is the whole pipeline; every pass can also be called by itself.
"""

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codesign.pipeline import BuildResult, Data, build, build_file

__all__ = ["BuildResult", "Data", "build", "build_file"]

try:
    __version__ = version("codesign")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Load the library part on first use, so that ``import codesign`` stays light."""
    if name in __all__:
        from importlib import import_module

        value = getattr(import_module("codesign.pipeline"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'codesign' has no attribute {name!r}")
