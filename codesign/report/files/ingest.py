"""Figures of a vendor's tool that was run elsewhere, put into the report of the build that its project is from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codesign.directory import CACHE, opened, read_report
from codesign.errors import InputError
from codesign.passes import lookup
from codesign.report.files.publish import publish_report
from codesign.report.files.update import with_measures
from codesign.store import Store, digest_file
from codesign.synthesize.vendor.project import MANIFEST, REPORTS, VendorProject
from codesign.synthesize.vendor.reading import Reading
from codesign.synthesize.vendor.tool import SCRIPT, VendorTool
from codesign.target import Target


@dataclass(frozen=True)
class Returned:
    """What came back from where the tool was.

    Args:
        project: The folder that was given: the project, or its reports alone.
        reports: The folder of reports.
        manifest: What lies in it.
        step: The pass that made the project.
    """

    project: Path
    reports: Path
    manifest: VendorProject
    step: VendorTool

    @classmethod
    def at(cls, folder: Path) -> "Returned":
        """Look at a folder.

        Raises:
            InputError: It is no project that was run to its end, and no folder of its reports; or no pass is known that
                made it.
        """
        if not folder.is_dir():
            raise InputError(str(folder), "no such folder", "the folder that came back")
        reports = folder / REPORTS if (folder / SCRIPT).exists() or (folder / REPORTS).exists() else folder
        if not (reports / MANIFEST).is_file():
            started = "a run that did not finish" if reports.is_dir() and any(reports.iterdir()) else "no reports"
            step = f"run the command in its RUN.md, and look at what the tool says; {SCRIPT} writes that file last"
            raise InputError(str(reports), f"{started}: there is no {MANIFEST}", "a finished run", step)
        manifest = VendorProject.read(reports / MANIFEST)
        kind = lookup(manifest.made_by)
        if not issubclass(kind, VendorTool):
            raise InputError(str(reports / MANIFEST), f"made by {kind.name}", "a pass that runs a vendor's tool")
        return cls(folder, reports, manifest, kind())

    def require_own(self, build: Path, store: Store, artifacts: Sequence[Mapping[str, Any]]) -> None:
        """Refuse what does not belong to a build.

        Raises:
            InputError: The project is another build's, or one of its files was changed.
        """
        own = {item["name"]: item["sha256"] for item in artifacts}
        tool = self.step.tool
        listing = store.listing(own[tool]) if tool in own and store.intact(own[tool]) else {}
        if not listing:
            step = f"build again with --also {self.manifest.made_by}, and run what that writes"
            raise InputError(str(build), f"a build without a project for {tool}", "the build that it is from", step)
        if digest_file(self.reports / MANIFEST) != listing[MANIFEST]:
            step = f"run the folder {tool} of this build, or name the build that these reports are of"
            found = f"reports of {self.manifest.source} {self.manifest.digest[:12]}, made for another build"
            raise InputError(str(self.reports), found, f"{own.get(self.manifest.source, 'none')[:12]} of {build}", step)
        for name, digest in listing.items() if self.project != self.reports else ():
            file, given = self.project / name, name.split("/")[0] not in self.step.kept
            if given and file.is_file() and digest_file(file) != digest:
                raise InputError(
                    str(file), "changed since codesign wrote it", "the file of the build", "run it as it was"
                )


def ingest(folder: Path, build: Path | None = None) -> tuple[Path, dict[str, Any]]:
    """Put the figures of a run elsewhere into a build's report, in place of what it had of the same tool.

    Nothing is written before all is read and checked.

    Args:
        folder: What came back: the project, or its folder of reports.
        build: The build directory; None for the one that the folder lies in.

    Returns:
        The build directory, and its report.

    Raises:
        InputError: The folder holds no finished run, a report is damaged, or they are of another build.
    """
    back = Returned.at(folder)
    build = build or _around(folder)
    read_report(build)
    if not (build / CACHE).is_dir():
        raise InputError(str(build), f"no {CACHE} in it", "a build directory with its cache", "build again")
    with opened(build) as store:
        report = read_report(build)
        back.require_own(build, store, report["artifacts"])
        reading = back.step.read(back.reports, back.manifest)
        updated = _updated(report, back.step, reading, back.manifest.target)
        publish_report(build, updated)
    return build, updated


def _around(folder: Path) -> Path:
    """The build directory that a folder lies in."""
    for place in folder.resolve().parents:
        if (place / CACHE).is_dir():
            return place
    raise InputError(str(folder), "not in a build directory", "the build that it is from", "name it after the folder")


def _updated(report: dict[str, Any], step: VendorTool, reading: Reading, target: Target) -> dict[str, Any]:
    """The report with measures in place of the pass's earlier ones, and with what fails by them."""
    updated = with_measures(report, reading.measures(step.tool, step.name), (step.name,), target)
    kept = [text for text in report["notices"] if not text.startswith((f"{step.name} ", f"{step.name}: "))]
    return {**updated, "notices": [*kept, *step.notices(reading).values()]}
