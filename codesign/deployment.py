"""Formats for deployment, made of a finished build: its end is kept, so that nothing of the build is done again."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.directory import CACHE, PENDING, completed, opened, publish, read_report, withdraw_report
from codesign.engine import Engine, Fields, Observer, PassRun, Quiet, decode
from codesign.errors import InputError, did_you_mean
from codesign.flow import Flow, plan, require_programs, unmet
from codesign.kept import Kept
from codesign.passes import Pass, lookup, registry, stage
from codesign.report.files.publish import publish_report
from codesign.report.files.update import extended
from codesign.setting import Setting
from codesign.store import Store, read_json, write_whole

STAGE = "deploy"
#: How the notice of an older bundle ends.
OLDER = "and has it as it was then, or not at all: deploy them together to have it inside"


@dataclass(frozen=True)
class Deployed:
    """What came of formats.

    Args:
        report: The content of ``report.json``, with theirs.
        fields: The design after them.
        passes: What became of each.
    """

    report: dict[str, Any]
    fields: Fields
    passes: list[PassRun]


def deploy(
    directory: Path,
    formats: Sequence[str],
    set_options: Sequence[Setting] = (),
    allow_unproven: bool = False,
    observer: Observer | None = None,
) -> Deployed:
    """Make formats of the build in a directory, beside what it gave out, and put them into its report.

    What an earlier call was killed in the midst of putting out is put out first.

    Args:
        directory: A build directory.
        formats: Their names, such as ``emulator``.
        set_options: Settings that win over the build file's.
        allow_unproven: Whether to go on, and say so in all that is made, where a check differs.
        observer: Told what happens.

    Raises:
        CodesignError: The build is not finished, lacks what a format reads or was found to differ; or a format failed.
    """
    if not (directory / CACHE / PENDING).is_file():
        read_report(directory)
    if not (directory / CACHE).is_dir():
        raise InputError(str(directory), f"no {CACHE} in it", "a build directory with its cache", "build again")
    with opened(directory) as store:
        _put_out(directory, store)
        report, kept = read_report(directory), Kept.read(directory, store)
        names = _chosen(directory, formats, _present(kept.fields))
        _require_named(set_options, names)
        allowed = [Setting(f"{STAGE}.allow_unproven", True, "--allow-unproven", Path(), explicit=True)] * allow_unproven
        flow = Flow(STAGE, "", ()).extended(names, "--format")
        steps = plan(flow, [*kept.settings, *set_options, *allowed], _present(kept.fields))
        require_programs(steps)
        return make(directory, Engine(store, kept.seed, observer or Quiet()), steps, kept.fields, report)


def make(directory: Path, engine: Engine, steps: Sequence[Pass], fields: Fields, report: dict[str, Any]) -> Deployed:
    """Run formats on the fields of a finished build; publish what they give, the report last.

    Args:
        directory: The build directory, locked.
        engine: Runs them, in the directory's store.
        steps: The formats' passes.
        fields: The end of the build.
        report: The content of its ``report.json``.
    """
    after, runs = engine.run(steps, fields)
    updated = extended(report, decode(fields, engine.store), decode(after, engine.store), runs)
    updated["notices"] = of_bundles(updated, [step.name for step in steps])
    # Files of the build are put out too: whatever has become of them, they are as the report says.
    pending = {"artifacts": after.get("artifacts", {}), "report": updated}
    write_whole(directory / CACHE / PENDING, json.dumps(pending, allow_nan=False).encode())
    _put_out(directory, engine.store)
    return Deployed(updated, after, runs)


def of_bundles(report: Mapping[str, Any], made: Sequence[str]) -> list[str]:
    """The notices of a report, with one of a bundle that is older than what lies beside it.

    Args:
        report: Its content.
        made: Names of the formats that were made last.
    """
    others = [text for text in report["notices"] if not text.endswith(OLDER)]
    there = [row["path"] for row in report["artifacts"] if row["name"] == "bundle"]
    if not there or f"{STAGE}.bundle" in made:
        return others
    return [*others, f"{there[0]} was made before {', '.join(made)}, {OLDER}"]


def _put_out(directory: Path, store: Store) -> None:
    """Publish the formats that are pending, if any, with the report that tells of them, which is away meanwhile."""
    pending = read_json(directory / CACHE / PENDING)
    if pending is None:
        return
    withdraw_report(directory)
    publish(directory, store, pending["artifacts"])
    publish_report(directory, completed(pending["report"]))
    (directory / CACHE / PENDING).unlink()


def _present(fields: Fields) -> list[str]:
    return [*fields, *(f"artifacts.{name}" for name in fields.get("artifacts", {}))]


def _chosen(directory: Path, formats: Sequence[str], present: Collection[str]) -> list[str]:
    """Names of passes.

    Raises:
        InputError: There is no such format, or the build lacks what it reads.
    """
    if not formats:
        raise InputError("--format", "none", ", ".join(_known()))
    known = _known()
    for name in formats:
        if name not in known:
            raise InputError(f"--format {name}", "no such format", "", did_you_mean(name, known))
        for fields, writers in unmet(lookup(known[name]), present):
            found = f"no {' or '.join(fields)}, which {known[name]} reads"
            step = f"build again with one of these, by --also or a flow that has it: {', '.join(writers)}"
            raise InputError(str(directory), found, "a build that has it", step)
    return list(dict.fromkeys(known[name] for name in formats))


def _known() -> dict[str, str]:
    """Passes by the names of formats."""
    return {name.removeprefix(f"{STAGE}."): name for name in registry() if stage(name) == STAGE}


def _require_named(given: Sequence[Setting], names: Collection[str]) -> None:
    """Refuse options of what is not made."""
    for setting in given:
        name = ".".join(setting.key.split(".")[:2])
        if stage(setting.key) != STAGE or (name in registry() and name not in names):
            step = f"name it too: --format {name.partition('.')[2]}" if stage(setting.key) == STAGE else "build again"
            raise InputError(f"{setting.where} {setting.key}", "an option of none of the formats", "", step)
