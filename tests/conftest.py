"""Fake programs, for the passes that call tools."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from codesign import outside

Program = Callable[[str, str], Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Writes a fake program, a shell script, that is first on PATH."""

    def written(name: str, body: str) -> Path:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{path.parent}{os.pathsep}{os.environ['PATH']}")
        return path

    return written


@pytest.fixture
def no_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the packages that bring the tools."""
    monkeypatch.setattr(outside, "find_spec", lambda name: None)
