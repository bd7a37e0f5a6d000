"""The command line of a build, written back."""

import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from codesign.setting import Setting, relative


def build_command(
    path: Path,
    target: str | None,
    flow: str | None,
    set_options: Sequence[Setting],
    seed: int | None,
    also: Sequence[str],
) -> str:
    """The ``codesign build`` that gives the same again, for a shell in the folder of the build file.

    Where the build goes is left out, and so is what changes nothing in what is built. Paths of targets and flows are
    written relative to that folder, unless they are absolute.

    Args:
        path: The build file.
        target: Shipped name or path, if it is not the build file's.
        flow: Likewise.
        set_options: What ``--set`` said, as it is said in that folder: see ``codesign.flow.seen_from``.
        seed: The seed, if it is not the build file's.
        also: What ``--also`` said.
    """
    words = ["codesign", "build", path.name]
    for option, value in (("--target", target), ("--flow", flow)):
        if value:
            words += [option, relative(value, Path.cwd(), path.parent) if value.endswith(".toml") else value]
    words += [word for each in set_options for word in ("--set", f"{each.key}={_toml(each.value)}")]
    words += [] if seed is None else ["--seed", str(seed)]
    words += [word for name in also for word in ("--also", name)]
    return shlex.join(words)


def _toml(value: Any) -> str:
    """A value as TOML; what JSON writes of numbers, texts and lists is TOML."""
    if isinstance(value, Mapping):
        table = cast(Mapping[str, Any], value)
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in table.items()) + "}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, cast(Sequence[Any], value)))}]"
    return json.dumps(value, ensure_ascii=False, default=str)
