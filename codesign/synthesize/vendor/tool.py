"""A run of a vendor's tool: a project with one script, which is run here if the tool is there, and else elsewhere."""

import os
import re
import shutil
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from inspect import getfile
from pathlib import Path
from typing import ClassVar

from codesign import tools
from codesign.design import Artifact, Design
from codesign.errors import InputError, ToolError
from codesign.passes import Context, Pass
from codesign.synthesize.vendor.project import MANIFEST, REPORTS, VendorProject
from codesign.synthesize.vendor.reading import Reading
from codesign.tcl import tcl
from codesign.templates import filled
from codesign.tools import require_time

#: The script, and what people read.
SCRIPT, README = "run.tcl", "RUN.md"
#: The latter's template.
README_TEMPLATE = Path(__file__).with_name("vendor.md.j2")


@dataclass(frozen=True)
class VendorTool(Pass):
    """A pass that has a vendor's tool run one script in a project of its own, and reads its reports.

    Without the tool the project is what it gives, with the command to run elsewhere; ``codesign report --ingest`` reads
    what comes back. The script puts all reports into one folder, and the manifest beside them when all went well.

    Args:
        timeout_s: Longest time that the tool may take, in seconds.
    """

    timeout_s: float = 86400.0

    early: ClassVar[tuple[str, ...]] = ("target",)
    distributions: ClassVar[tuple[str, ...]] = ("jinja2",)

    #: Ways to run the script, the newest first; of the programs on PATH the first is taken.
    commands: ClassVar[tuple[tuple[str, ...], ...]]
    #: What makes a program say its version.
    asks: ClassVar[str]
    #: What part numbers of targets start with, in lower case, where the tool is told the target's.
    parts: ClassVar[tuple[str, ...]] = ("",)
    #: Folders that the script makes, which are kept of what the tool leaves.
    kept: ClassVar[tuple[str, ...]] = (REPORTS,)

    def __post_init__(self) -> None:
        require_time(f"{self.name}, timeout_s", self.timeout_s)

    @property
    def tool(self) -> str:
        """The tool's name: of the artifact, and how measures begin."""
        return self.name.split(".")[1]

    @property
    def template(self) -> Path:
        """The script's template: a file beside the pass's own, called after the tool."""
        return Path(getfile(type(self))).with_name(f"{self.tool}.tcl.j2")

    def files(self) -> tuple[Path, ...]:
        """The templates."""
        return self.template, README_TEMPLATE

    def versions(self) -> Mapping[str, str]:
        """Which program there is, in its own words; it may well not be there."""
        command = self._command()
        if command is None:
            return {self.tool: "not on PATH"}
        try:
            said = tools.answer([command[0], self.asks])
        except (InputError, ToolError) as error:
            said = error.found
        line = next((line for line in said.splitlines() if re.search(r"\d+\.\d+", line)), "no version")
        return {self.tool: f"{command[0]}: {line.strip()}"}

    def refuse(self, design: Design) -> None:
        """A part of another vendor's is refused before anything is trained."""
        if not (part := design.target.part).lower().startswith(self.parts):
            wanted = f"a part that starts with {' or '.join(self.parts)}"
            raise InputError(f"target {design.target.name!r}, part", f"{part!r} for {self.name}", wanted)

    @abstractmethod
    def top(self, project: Path, source: str) -> str:
        """The top module or function of a project.

        Args:
            project: Its folder, with the source in it.
            source: The artifact that it was made of.
        """

    @abstractmethod
    def scripts(self, project: Path, manifest: VendorProject) -> Mapping[str, str]:
        """The files to be added to the project, the script among them, by name."""

    @abstractmethod
    def read(self, reports: Path, manifest: VendorProject) -> Reading:
        """The figures of a folder of reports.

        Raises:
            InputError: A report is missing, cut off, or of another design.
        """

    def run(self, design: Design, context: Context) -> Mapping[str, object]:
        """Write the project; run it if the tool is there."""
        source = next(name for name in self._sources() if name in design.artifacts)
        command = self._command()
        with context.store.scratch() as scratch:
            project, digest = scratch / "project", design.artifacts[source].digest
            context.store.take_out(digest, project, folder=True)
            shutil.rmtree(project / REPORTS, ignore_errors=True)  # of a tool that came before
            manifest = VendorProject(self.name, source, digest, self.top(project, source), design.target)
            self._write(project, manifest)
            written = context.store.put_folder(project)
            if command is None:
                found = {"measures": {}, "notices": {self.name: self.not_run}}
            else:
                context.store.take_out(written, scratch / "work", folder=True)
                reading = self._run(command, scratch / "work", manifest, context)
                found = {"measures": reading.measures(self.tool, self.name), "notices": self.notices(reading)}
                for name in self.kept:
                    if (scratch / "work" / name).is_dir():
                        os.replace(scratch / "work" / name, project / name)
                written = context.store.put_folder(project)
        return {"artifacts": {self.tool: Artifact(self.tool, written, folder=True)}, **found}

    @property
    def not_run(self) -> str:
        """What the user should know where there is no such tool."""
        call = " ".join(self.commands[0])
        return (
            f"{self.name} was not run: {self.commands[0][0]} is not on PATH. Run `{call}` in a copy of the folder "
            f"{self.tool}, elsewhere, then: codesign report --ingest FOLDER"
        )

    def notices(self, reading: Reading) -> dict[str, str]:
        """What the user should know of reports that were read."""
        missing = ", ".join(reading.missing)
        return {self.name: f"{self.name}: the reports give no {missing}"} if missing else {}

    def _run(self, command: tuple[str, ...], work: Path, manifest: VendorProject, context: Context) -> Reading:
        log = context.work / f"{self.tool}.log"
        context.progress(f"{self.tool}: running", 0, 1)
        tools.run(command, work, log, self.timeout_s)
        context.progress(f"{self.tool}: finished", 1, 1)
        left = work / REPORTS / MANIFEST
        if not left.is_file() or left.read_bytes() != (work / MANIFEST).read_bytes():
            raise ToolError(self.tool, f"ended without {REPORTS}/{MANIFEST}", "a run to the end", f"log: {log}")
        try:
            return self.read(work / REPORTS, manifest)
        except InputError as error:
            found = f"{Path(error.where).name}: {error.found}"
            raise ToolError(self.tool, found, error.wanted, f"log: {log}") from None

    def _write(self, project: Path, manifest: VendorProject) -> None:
        """Add the script, the manifest, and what people read."""
        call, others = " ".join(self.commands[0]), [" ".join(each) for each in self.commands[1:]]
        values = {"manifest": manifest, "tool": self.tool, "call": call, "others": others}
        manifest.write(project)
        for name, text in {**self.scripts(project, manifest), README: filled(README_TEMPLATE, values, tcl)}.items():
            (project / name).write_text(text, encoding="utf-8")

    def _command(self) -> tuple[str, ...] | None:
        return next((command for command in self.commands if shutil.which(command[0])), None)

    def _sources(self) -> list[str]:
        """Names of the artifacts that a project can be made of, the first that is there is taken."""
        return [name.split(".")[1] for name in (*self.reads, *self.optional) if name.startswith("artifacts.")]
